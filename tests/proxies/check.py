"""Streams through the proxies, and checks that nothing is lost. `run` prepares the environment.

usage: check.py FOLDER [PROXY]...
"""

import contextlib
import http.client
import os
import pathlib
import random
import re
import ssl
import subprocess
import sys
import threading
import time
import traceback

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from live import Live
from programs import CLIENT_ADDRESS, Caddy, Envoy, HAProxy, Nginx, Waywiser, forwarded_from_client_address
from programs import make_certificates
from waywiser.v1 import path_pb2 as pb
from waywiser.v1.path_pb2_grpc import PathServiceStub

PROXIES = {"nginx": Nginx, "haproxy": HAProxy, "caddy": Caddy, "envoy": Envoy}
POINTS = 1_000_000
# Longer than the default of nginx, 60 s, and than the timeouts of the packaged configuration of HAProxy, 50 s.
SILENCE_S = 75
# How long the test waits for an answer or an event that must come. It never decides whether a result is right.
WAIT_S = 600
# Open calls, to count the connections that a proxy uses for them.
CALLS = 40


def columns(number, count):
    """Returns a walk of steps that differ, as columns in 1e-7 degree. Each point takes about 8 bytes."""
    draw = random.Random(number)
    steps = [(draw.randint(-9_999_999, 9_999_999), draw.randint(-9_999_999, 9_999_999)) for _ in range(count // 2)]
    steps = [step for x, y in steps for step in [(x, y), (-x, -y)]]
    return pb.PointColumns(x=[x for x, _ in steps], y=[y for _, y in steps])


def point(number):
    return pb.Point(x=number % 50 / 1000, y=number % 70 / 1000)


class Client:
    """A channel to a server or a proxy."""

    def __init__(self, address, certificates=None):
        if certificates is None:
            self.channel = grpc.insecure_channel(address)
        else:
            trusted = grpc.ssl_channel_credentials((certificates / "ca.pem").read_bytes())
            # Reconnects soon after a restart.
            options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 100)]
            options += [("grpc.min_reconnect_backoff_ms", 2000)]
            self.channel = grpc.secure_channel(address, trusted, options)
        self.paths = PathServiceStub(self.channel)

    def wait_until_serving(self):
        """Calls health until the answer is SERVING. Proxies answer UNAVAILABLE until they know the server."""
        deadline = time.monotonic() + WAIT_S
        health = health_pb2_grpc.HealthStub(self.channel)
        while True:
            try:
                reply = health.Check(health_pb2.HealthCheckRequest(), timeout=20, wait_for_ready=True)
                assert reply.status == health_pb2.HealthCheckResponse.SERVING
                return
            except grpc.RpcError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def committed(self, name):
        try:
            return self.paths.GetPath(pb.GetPathRequest(name=name), timeout=WAIT_S).path.committed_points
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return 0
            raise


def measure_a_million_points(client):
    def requests():
        for number in range(POINTS // 1000):
            yield pb.MeasurePathsRequest(columns=columns(number, 1000), end_path=number == POINTS // 1000 - 1)

    [answer] = client.paths.MeasurePaths(requests(), timeout=WAIT_S)
    assert answer.summary.point_count == POINTS, answer
    return answer.summary.length_m


def keep_silent(client, name):
    """Records ten points, is silent, and records ten more, while another call watches. Returns the final summary."""
    live = Live(client, name, point)
    watch = client.paths.WatchPath(pb.WatchPathRequest(name=name, allow_missing=True))
    live.send(range(10))
    while next(watch).path.committed_points < 10:
        pass
    threading.Event().wait(SILENCE_S)
    live.send(range(10, 20), finish_write=True)
    live.close()
    reply = live.reply.result(timeout=WAIT_S)
    *_, last = watch
    assert last.path.committed_points == 20, last
    return reply.summary


def check_silence(proxy, client, direct):
    summary = keep_silent(client, f"paths/silent-{proxy.PROGRAM}")
    expected = direct.paths.RecordPath(iter([pb.RecordPathRequest(points=[point(number) for number in range(20)])]))
    assert (summary.point_count, summary.length_m) == (20, expected.summary.length_m), summary


def check_restart(proxy, client, direct):
    """Restarts the proxy in the middle of a recording, which resumes without losing a point."""
    name, count = f"paths/restart-{proxy.PROGRAM}", 2000
    live = Live(client, name, point)
    for start in range(0, count // 2, 10):
        live.send(range(start, start + 10))
    while direct.committed(name) < count // 2:
        assert not live.reply.done(), live.reply.exception()
        time.sleep(0.05)
    proxy.stop()
    proxy.run()
    error = live.reply.exception(timeout=WAIT_S)
    assert isinstance(error, grpc.RpcError), "the restart did not end the stream"
    live.close()
    client.wait_until_serving()
    start = client.committed(name)
    assert count // 2 <= start < count
    live = Live(client, name, point, write_offset=start)
    for first in range(start, count, 10):
        live.send(range(first, min(first + 10, count)))
    live.send([], finish_write=True)
    live.close()
    summary = live.reply.result(timeout=WAIT_S).summary
    whole = pb.RecordPathRequest(points=[point(number) for number in range(count)])
    expected = direct.paths.RecordPath(iter([whole])).summary
    assert (summary.point_count, summary.length_m) == (count, expected.length_m), (summary, expected)
    return error.code().name


def check_command_line(proxy, direct, folder):
    """Restarts the proxy while `waywiser record` reads a track. Returns `False` if the program has no TLS."""
    program = [os.environ["WAYWISER"], "record"]
    if "--ca-file" not in subprocess.run([*program, "--help"], capture_output=True, text=True).stdout:
        return False
    name, count = f"paths/command-{proxy.PROGRAM}", 20_000
    command = [*program, "--server", f"https://{proxy.address}", "--ca-file", str(proxy.certificates / "ca.pem")]
    command += ["--name", name, "--format", "csv", "-"]
    errors = open(folder / f"record-{proxy.PROGRAM}.log", "w+")
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)

    def lines(numbers):
        return "".join(f"{number % 50 / 1000},{number % 70 / 1000}\n" for number in numbers)

    run.stdin.write("lon,lat\n" + lines(range(count // 2)))
    run.stdin.flush()
    while direct.committed(name) == 0:
        assert run.poll() is None, (folder / f"record-{proxy.PROGRAM}.log").read_text()
        time.sleep(0.05)
    proxy.stop()
    proxy.run()
    run.stdin.write(lines(range(count // 2, count)))
    run.stdin.close()
    assert run.wait(timeout=WAIT_S) == 0, (folder / f"record-{proxy.PROGRAM}.log").read_text()
    path = direct.paths.GetPath(pb.GetPathRequest(name=name)).path
    assert path.committed_points == count, path
    return True


def check_client_address(proxy, server):
    with forwarded_from_client_address(proxy.port) as port:
        client = Client(f"localhost:{port}", proxy.certificates)
        client.paths.ComputeDisplacement(
            pb.ComputeDisplacementRequest(start=point(0), end=point(1)),
            metadata=[("x-forwarded-for", "192.0.2.99"), ("forwarded", "for=192.0.2.98")],
            timeout=WAIT_S,
        )
        client.channel.close()
    deadline = time.monotonic() + WAIT_S
    while CLIENT_ADDRESS not in server.peers("ComputeDisplacement"):
        assert time.monotonic() < deadline, server.peers("ComputeDisplacement")
        time.sleep(0.05)
    assert server.peers("ComputeDisplacement") == {CLIENT_ADDRESS}, server.peers("ComputeDisplacement")
    # The proxy may write its log with a delay.
    while CLIENT_ADDRESS not in proxy.access_log() and time.monotonic() < deadline:
        time.sleep(0.05)


def check_connections(proxy, client, server):
    """Returns the number of connections to the server while calls are open: one for each with nginx, fewer otherwise."""
    name = f"paths/watched-{proxy.PROGRAM}"
    client.paths.RecordPath(iter([pb.RecordPathRequest(name=name)]), timeout=WAIT_S)
    watches = [client.paths.WatchPath(pb.WatchPathRequest(name=name)) for _ in range(CALLS)]
    for watch in watches:
        next(watch)
    connection = http.client.HTTPConnection("127.0.0.1", server.admin_port, timeout=WAIT_S)
    connection.request("GET", "/metrics")
    metrics = connection.getresponse().read().decode()
    count = int(re.search(r"^waywiser_connections_open (\d+)$", metrics, re.MULTILINE)[1])
    for watch in watches:
        watch.cancel()
    assert (count >= CALLS) == (proxy.PROGRAM == "nginx"), count
    return count


def check_grpc_web(proxy):
    """Calls over HTTP/1.1, as a browser does."""
    context = ssl.create_default_context(cafile=proxy.certificates / "ca.pem")
    message = pb.ComputeDisplacementRequest(start=pb.Point(x=0, y=0), end=pb.Point(x=3, y=4), model=pb.MODEL_PLANAR)
    payload = message.SerializeToString()
    connection = http.client.HTTPSConnection("localhost", proxy.port, context=context, timeout=WAIT_S)
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": "https://app.example.com"}
    frame = b"\0" + len(payload).to_bytes(4, "big") + payload
    connection.request("POST", "/waywiser.v1.PathService/ComputeDisplacement", frame, headers)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, response.status
    assert response.getheader("access-control-allow-origin") == "https://app.example.com"
    length = int.from_bytes(body[1:5], "big")
    reply = pb.ComputeDisplacementResponse.FromString(body[5 : 5 + length])
    assert reply.displacement == 5, reply
    trailers = body[5 + length :]
    assert trailers[0] == 0x80 and b"grpc-status:0" in trailers.replace(b" ", b""), trailers


def check_defaults_cut_silence(folder, server):
    """nginx without the timeouts of our file ends a silent stream, so the file is what keeps it open."""

    def without_timeouts(text):
        kept = [line for line in text.splitlines() if not line.strip().endswith(" 1d;")]
        assert len(kept) == len(text.splitlines()) - 3
        return "\n".join(kept) + "\n"

    proxy = Nginx(folder / "nginx-defaults", server, edit=without_timeouts)
    proxy.run()
    try:
        client = Client(proxy.address, proxy.certificates)
        client.wait_until_serving()
        try:
            keep_silent(client, "paths/silent-defaults")
        except grpc.RpcError:
            return
        raise AssertionError("nginx kept a silent stream open with its default timeouts")
    finally:
        proxy.stop()


def check_encrypted(kind, folder, server):
    proxy = kind(folder / f"{kind.PROGRAM}-tls", server, encrypted=True)
    proxy.run()
    try:
        client = Client(proxy.address, proxy.certificates)
        client.wait_until_serving()
        summary = client.paths.RecordPath(
            iter([pb.RecordPathRequest(points=[point(number) for number in range(100)])]), timeout=WAIT_S
        ).summary
        assert summary.point_count == 100, summary
    finally:
        proxy.stop()


def check(kind, folder, certificates, expected, report):
    """Checks one proxy, in front of servers of its own."""
    with contextlib.ExitStack() as stack:
        server = Waywiser(folder, f"{kind.PROGRAM}-server")
        stack.callback(server.stop)
        key = ["--tls-cert", certificates / "cert.pem", "--tls-key", certificates / "key.pem"]
        encrypted = Waywiser(folder, f"{kind.PROGRAM}-tls-server", *key)
        stack.callback(encrypted.stop)
        proxy = kind(folder / kind.PROGRAM, server)
        stack.callback(proxy.stop)
        proxy.run()
        # Without PINGs, which are traffic to a proxy, nothing but the settings of the proxy keeps a silent stream open.
        no_pings = ["--keepalive-interval", "10m"]
        silent_server = Waywiser(folder, f"{kind.PROGRAM}-silent-server", *no_pings)
        stack.callback(silent_server.stop)
        silent = kind(folder / f"{kind.PROGRAM}-silent", silent_server)
        stack.callback(silent.stop)
        silent.run()
        direct = Client(server.address)
        client, quiet = Client(proxy.address, certificates), Client(silent.address, certificates)
        client.wait_until_serving()
        quiet.wait_until_serving()
        # The silence passes while the other checks run.
        silences = [Task(check_silence, silent, quiet, direct)]
        if kind is Nginx:
            silences.append(Task(check_defaults_cut_silence, folder, silent_server))

        check_client_address(proxy, server)
        assert CLIENT_ADDRESS in proxy.access_log(), "the log of the proxy has no client address"
        report("the logs of the server and of the proxy have the address of the client")
        report(f"{CALLS} open calls have {check_connections(proxy, client, server)} connections to the server")
        started = time.monotonic()
        assert measure_a_million_points(client) == expected
        report(f"{POINTS} points in one stream in {time.monotonic() - started:.1f} s")
        code = check_restart(proxy, client, direct)
        report(f"a recording resumed after a restart of the proxy ({code}), without losing a point")
        if check_command_line(proxy, direct, folder):
            report("waywiser record resumed after a restart of the proxy")
        else:
            report("SKIPPED: waywiser record, because this program has no --ca-file")
        check_encrypted(kind, folder, encrypted)
        report("TLS to the server works")
        if kind is Envoy:
            check_grpc_web(proxy)
            report("gRPC-Web over HTTP/1.1 works")
        for silence in silences:
            silence.result()
        report(f"streams that were silent for {SILENCE_S} s continued")
        if kind is Nginx:
            report("with the default timeouts of nginx, such a stream ends")


class Task:
    """A function in a thread, whose error `result` raises."""

    def __init__(self, function, *arguments):
        self.error = None

        def run():
            try:
                function(*arguments)
            except BaseException as error:  # noqa: BLE001
                self.error = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def result(self):
        self.thread.join()
        if self.error:
            raise self.error


def main(folder, names):
    make_certificates(folder / "certificates")
    reference = Waywiser(folder, "reference")
    expected = measure_a_million_points(Client(reference.address))
    reference.stop()
    failures, threads = [], []
    for name in names:
        kind = PROXIES[name]
        version = kind.version()
        if version is None:
            print(f"SKIPPED: {name}, because it is not installed and could not be installed", flush=True)
            continue
        print(f"{name}: {version}", flush=True)

        def run(name=name, kind=kind):
            try:
                check(kind, folder, folder / "certificates", expected, lambda text: print(f"{name}: {text}", flush=True))
            except BaseException:  # noqa: BLE001
                failures.append(name)
                print(f"{name}: FAILED\n{traceback.format_exc()}", file=sys.stderr, flush=True)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
    for thread in threads:
        thread.join()
    for name in failures:
        for log in sorted(folder.glob(f"{name}*/log")) + sorted(folder.glob(f"{name}*.log")):
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            print(f"== the end of {log.relative_to(folder)}\n{tail}", file=sys.stderr)
    if failures:
        sys.exit(f"proxies: {', '.join(failures)} failed")
    print("proxies: all checks passed")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:] or list(PROXIES))
