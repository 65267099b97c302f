"""Requests of AppendPoints while servers are killed."""

import random
import threading
import time

import grpc
from clients import Client, bits
from google.protobuf import timestamp_pb2
from programs import wait_until
from waywiser.v1 import path_pb2 as pb

NAME = "paths/cluster-requests"
# The buffer of the recording puts this many points in order. Requests that are sent at the same time differ by less.
REORDER = 64
BATCH = 5
ROUND = 50
ROUNDS = 40
KILLS = 4
# The codes after which a client sends a request again. ABORTED: the other server has taken the recording.
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)


def options():
    windows = pb.WindowOptions(unit=pb.WINDOW_UNIT_HOUR)
    return pb.PathOptions(preset=pb.PRESET_PHONE, reorder_count=REORDER, windows=windows)


def point(number):
    x, y = 13.8 + number * 2e-5 + number * 7919 % 100 * 1e-7, 46.3 + number * 104729 % 100 * 1e-7
    return pb.Point(x=x, y=y, time=timestamp_pb2.Timestamp(seconds=1_700_000_000 + 5 * number), accuracy_m=5)


def totals(summary):
    """Returns a summary without the numbers that count repetitions."""
    copy = pb.PathSummary()
    copy.CopyFrom(summary)
    copy.ClearField("point_count")
    copy.ClearField("rejections")
    return bits(copy)


def requests_survive_killed_servers(cluster):
    """Sends ten requests at a time to both servers and the proxy, in any order and repeatedly, and kills servers."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    choices = random.Random(seed)
    addresses = [server.address for server in cluster.servers] + [cluster.haproxy.address]
    repeated = 0
    lock = threading.Lock()

    def send(batch, order, may_start):
        nonlocal repeated
        may_start.wait()
        request = pb.AppendPointsRequest(name=NAME, options=options(), points=[point(number) for number in batch])
        for address in order:
            client = Client(address)
            try:
                client.paths.AppendPoints(request, timeout=20)
                return
            except grpc.RpcError as error:
                assert error.code() in AGAIN + (grpc.StatusCode.DEADLINE_EXCEEDED,), error
                with lock:
                    repeated += 1
            finally:
                client.channel.close()
            time.sleep(0.1)
        raise AssertionError("no server has answered")

    kill_at = sorted(choices.sample(range(ROUNDS), KILLS))
    for number in range(ROUNDS):
        points = range(number * ROUND, (number + 1) * ROUND)
        batches = [list(points[start : start + BATCH]) for start in range(0, ROUND, BATCH)]
        for batch in batches:
            choices.shuffle(batch)
        # Some are sent twice, as after a lost answer.
        batches += choices.sample(batches, 3)
        choices.shuffle(batches)
        orders = [choices.choices(addresses, k=200) for _ in batches]
        victim = cluster.servers[number % 2] if number in kill_at else None
        at_once, after_the_kill = threading.Event(), threading.Event()
        at_once.set()
        starts = [at_once] * len(batches)
        if victim:
            # The last requests are sent after the kill, at least one of them to the server that was killed.
            starts[-3:] = [after_the_kill] * 3
            orders[-1][0] = victim.address
        arguments = zip(batches, orders, starts)
        threads = [threading.Thread(target=guarded(send), args=each) for each in arguments]
        for thread in threads:
            thread.start()
        if victim:
            time.sleep(choices.uniform(0, 0.05))
            victim.kill()
            before = repeated
            after_the_kill.set()
            wait_until(lambda: repeated > before or failures, "an error of the server that was killed")
            victim.run()
        for thread in threads:
            thread.join()
        assert not failures, failures
        if victim:
            victim.wait_until_ready()
            wait_until(lambda: cluster.is_up(victim), "that HAProxy uses the server again")

    one = Client(cluster.servers[0].address)
    ordered = [point(number) for number in range(ROUNDS * ROUND)]
    pieces = [pb.RecordPathRequest(points=ordered[start : start + 500]) for start in range(0, len(ordered), 500)]
    pieces[0].options.CopyFrom(options())
    expected = one.paths.RecordPath(iter(pieces), timeout=60).summary
    assert expected.length_m > 1000 and len(expected.windows) > 2, expected
    for client in [one, Client(cluster.servers[1].address)]:
        path = client.get(NAME)
        duplicates = sum(rejection.count for rejection in path.summary.rejections)
        assert path.committed_points - duplicates == len(ordered), path.summary.rejections
        assert totals(path.summary) == totals(expected), f"{path.summary} instead of {expected}"
    assert repeated >= KILLS, f"only {repeated} requests were repeated"
    return f"{KILLS} servers killed, {repeated} requests repeated after errors, {duplicates} duplicates, same bits"


failures = []


def guarded(function):
    """Returns a function for a thread. Its errors are added to `failures`."""

    def run(*arguments):
        try:
            function(*arguments)
        except BaseException as error:
            failures.append(error)

    return run
