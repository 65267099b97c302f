"""The database away: before the start of a server, for a moment, and after a crash."""

import signal

import grpc
from clients import Client, Live, bits, program_recorder, python_recorder
from programs import PASSWORD, Server, wait_until
from recordings import counts_of
from waywiser.v1 import path_pb2 as pb


def an_outage_of_the_database_delays_and_loses_nothing(cluster):
    return with_outage(cluster, "paths/cluster-outage", lambda: cluster.postgres.stop())


def a_crash_of_the_database_loses_nothing(cluster):
    return with_outage(cluster, "paths/cluster-crash", lambda: cluster.postgres.kill())


def with_outage(cluster, name, end):
    """Ends the database while a stream is open and a client records, and starts it again."""
    direct = [Client(server.address) for server in cluster.servers]
    proxied = Client(cluster.haproxy.address)
    live = Live(direct[0], name)
    live.send(range(1000))
    wait_until(lambda: counts_of(direct[1], name) == 1000, "a commit")
    names = [f"{name}-python", f"{name}-program"]
    recorder = python_recorder(cluster, cluster.haproxy.address, names[0])
    program = program_recorder(cluster, cluster.haproxy.address, names[1])
    for client in recorder, program:
        client.send(range(1000))
    wait_until(lambda: all(counts_of(direct[1], recorded) > 0 for recorded in names), "a commit")
    watch = direct[1].paths.WatchPath(pb.WatchPathRequest(name=name))
    assert next(watch).path.committed_points == 1000

    end()
    for server in cluster.servers:
        reason = server.wait_for_page("/readyz", 503)
        assert "connect" in reason or "database" in reason, reason
        wait_until(lambda: server.metric("waywiser_database_connected") == 0, "the metric of the outage")
        assert server.page("/healthz")[0] == 200
    for client in [*direct, proxied]:
        error = client.error(name)
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
    wait_until(lambda: proxied.error(name).details() == "no server is ready", "that HAProxy has no server")
    # The open stream accepts points meanwhile, and the path that is not stored is measured.
    live.send(range(1000, 3000))
    for client in recorder, program:
        client.send(range(1000, 3000))
    assert direct[0].measure(range(100)).point_count == 100
    assert not live.reply.done(), live.reply.exception()

    cluster.postgres.run()
    for server in cluster.servers:
        server.wait_for_database()
    wait_until(lambda: counts_of(direct[1], name) == 3000, "the commit after the outage")
    live.send(range(3000, 4000), finish_write=True)
    live.close()
    reply = live.reply.result(timeout=120)
    for client in recorder, program:
        client.send(range(3000, 4000))
    program.finish()
    path = direct[0].get(names[1])
    assert (path.committed_points, path.complete) == (4000, True), path
    printed = recorder.finish()
    *_, last = watch
    assert (last.path.committed_points, last.path.complete) == (4000, True), last
    expected = direct[1].measure(range(4000))
    assert printed == f"4000 points, {expected.length_m!r} m\n", (printed, expected.length_m)
    for path in [direct[0].get(name), direct[1].get(name), direct[1].get(f"{name}-python")]:
        assert bits(path.summary) == bits(expected) == bits(reply.summary), path
    return "the open stream continued"


def a_server_starts_before_its_database(cluster):
    """Starts servers while the database is away: one waits, one migrates later, and one ends."""
    cluster.postgres.create_database("later")
    later = ["--store", cluster.postgres.url("later"), *cluster.password_arguments, "--migrate"]
    cluster.postgres.stop()
    errors = cluster.serve_to_its_end("--fail-fast", *cluster.store_arguments)
    assert "error: postgres://waywiser@127.0.0.1" in errors, errors
    servers = [
        Server(cluster.folder, "early", cluster.store_arguments),
        Server(cluster.folder, "early-migrating", later),
    ]
    for server in servers:
        server.run()
        reason = server.wait_for_page("/readyz", 503)
        assert PASSWORD not in reason, reason
        assert Client(server.address).error().code() == grpc.StatusCode.UNAVAILABLE
    cluster.postgres.run()
    for server in servers:
        server.wait_until_ready()
        error = Client(server.address).error()
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        assert server.stop(signal.SIGTERM) == 0
    assert cluster.postgres.sql("SELECT version FROM waywiser_schema", "later") == ["1"]


def a_stream_of_a_paused_server_continues_at_another(parent):
    """Pauses the server of a stream. HAProxy keeps the stream open, so only the lack of progress ends it."""
    # Commits are more frequent than the client needs, so that it does not leave a server that works.
    cluster = parent.another("stalled", "--checkpoint-interval", "100ms")
    cluster.program("store", "migrate", *cluster.store_arguments)
    cluster.run()
    program = cluster.folder / "record-stall.py"
    text = cluster.record_py.read_text()
    assert text.count("\nSTALL_S = 30\n") == 1
    program.write_text(text.replace("\nSTALL_S = 30\n", "\nSTALL_S = 1\n"))
    name = "paths/cluster-stalled"
    recorder = python_recorder(cluster, cluster.haproxy.address, name, program)
    recorder.send(range(1000))
    first = Client(cluster.haproxy.address)
    wait_until(lambda: counts_of(first, name) == 1000, "a commit")

    def with_stream():
        servers = [server for server in cluster.servers if server.metric("waywiser_recordings_open") == 1]
        return servers if len(servers) == 1 else None

    # A stream that the client has left ends a little later.
    [paused] = wait_until(with_stream, "that one server has the stream")
    [other] = [server for server in cluster.servers if server is not paused]
    paused.process.send_signal(signal.SIGSTOP)
    try:
        recorder.send(range(1000, 2000))
        client = Client(other.address)
        wait_until(lambda: counts_of(client, name) == 2000, "the commit of the other server")
        wait_until(lambda: cluster.is_down(paused), "the failed health check")
        assert recorder.is_running(), recorder.log.read_text()
    finally:
        paused.process.send_signal(signal.SIGCONT)
    paused.wait_until_ready()
    recorder.send(range(2000, 3000))
    printed = recorder.finish()
    errors = recorder.log.read_text()
    assert "no point became durable for 1 s; continuing" in errors, errors
    expected = client.measure(range(3000))
    assert printed == f"3000 points, {expected.length_m!r} m\n", (printed, expected.length_m)
    for server in cluster.servers:
        path = Client(server.address).get(name)
        assert (path.complete, bits(path.summary)) == (True, bits(expected)), path
    wait_until(lambda: cluster.is_up(paused), "that HAProxy uses the server again")
    return f"{errors.count('; continuing')} streams"
