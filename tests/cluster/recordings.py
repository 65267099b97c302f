"""Recordings while servers are killed, and watches across servers."""

import os
import signal
import threading

import grpc
from clients import Client, Live, bits, program_recorder, python_recorder
from programs import wait_until
from waywiser.v1 import path_pb2 as pb

KILLS = int(os.environ.get("KILLS", "6"))
# Points of each recording between two kills.
PIECE = 4_000


def recordings_survive_killed_servers(cluster):
    """Kills one server after the other while two clients record. Compares their totals with an uninterrupted fold."""
    names = {"python": "paths/cluster-python", "program": "paths/cluster-program"}
    python = python_recorder(cluster, cluster.haproxy.address, names["python"])
    program = program_recorder(cluster, cluster.haproxy.address, names["program"])
    direct = [Client(server.address) for server in cluster.servers]
    sent, seen = 0, {name: 0 for name in names.values()}
    for kill in range(KILLS):
        # Half of the points are durable or on their way when the server is killed, and half follow.
        for recorder in python, program:
            recorder.send(range(sent, sent + PIECE // 2))
        other = direct[(kill + 1) % 2]
        victim = cluster.servers[kill % 2]
        wait_until(lambda: some_are_durable(other, names.values(), sent), "a durable point")
        victim.kill()
        for recorder in python, program:
            recorder.send(range(sent + PIECE // 2, sent + PIECE))
        sent += PIECE
        for name in names.values():
            durable = other.get(name).committed_points
            assert durable >= seen[name], f"{name} had {seen[name]} durable points, and has {durable}"
            seen[name] = durable
        victim.run()
        victim.wait_until_ready()
        wait_until(lambda: cluster.is_up(victim), "that HAProxy uses the server again")
    printed = python.finish()
    program.finish()
    expected = direct[0].measure(range(sent))
    assert printed == f"{sent} points, {expected.length_m!r} m\n", (printed, expected.length_m)
    # The same points by the same program, without an interruption.
    reference = program_recorder(cluster, cluster.servers[0].address, "paths/cluster-reference")
    reference.send(range(sent))
    reference.finish()
    expectations = {names["python"]: expected, names["program"]: direct[0].get("paths/cluster-reference").summary}
    for client in direct:
        for name, expected in expectations.items():
            path = client.get(name)
            assert (path.complete, path.committed_points) == (True, sent), path
            assert bits(path.summary) == bits(expected), f"{name}: {path.summary} instead of {expected}"
    interrupted = (cluster.folder / "cluster-python.log").read_text().count("; continuing")
    assert interrupted > 0, "no stream of the Python client was interrupted"
    return f"{KILLS} servers killed, {interrupted} streams of the Python client interrupted, same bits"


def recordings_survive_a_restart_of_all_servers(cluster):
    """Restarts the servers one after the other, as for an upgrade, while two clients record."""
    names = ["paths/cluster-restart-python", "paths/cluster-restart-program"]
    python = python_recorder(cluster, cluster.haproxy.address, names[0])
    program = program_recorder(cluster, cluster.haproxy.address, names[1])
    direct = [Client(server.address) for server in cluster.servers]
    sent = 0
    for number, server in enumerate(cluster.servers):
        for recorder in python, program:
            recorder.send(range(sent, sent + PIECE))
        sent += PIECE
        other = direct[1 - number]
        wait_until(lambda: all(counts_of(other, name) > sent - PIECE for name in names), "a durable point")
        assert server.stop(signal.SIGTERM) == 0
        server.run()
        server.wait_until_ready()
        wait_until(lambda: cluster.is_up(server), "that HAProxy uses the server again")
    printed = python.finish()
    program.finish()
    expected = direct[0].measure(range(sent))
    assert printed == f"{sent} points, {expected.length_m!r} m\n", (printed, expected.length_m)
    for name in names:
        path = direct[1].get(name)
        assert (path.complete, path.committed_points) == (True, sent), path
        assert path.summary.length_m == expected.length_m, path
    return f"{sent} points"


def some_are_durable(client, names, least):
    """Returns whether each recording has more than `least` points minus one piece, which are those of this round."""
    try:
        return all(client.get(name).committed_points > max(least - PIECE, 0) for name in names)
    except grpc.RpcError as error:
        assert error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE), error
        return False


def a_watch_sees_the_commits_of_other_servers(cluster):
    """Records at one server, and watches and deletes at the other."""
    one, two = (Client(server.address) for server in cluster.servers)
    name = "paths/cluster-watched"
    watch = two.paths.WatchPath(pb.WatchPathRequest(name=name, allow_missing=True))
    counts = []

    def follow():
        counts.extend((update.path.committed_points, update.path.complete) for update in watch)

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    live = Live(one, name)
    for start in range(0, 300, 100):
        live.send(range(start, start + 100))
        wait_until(lambda: counts_of(one, name) >= start + 100, "a commit")
        wait_until(lambda: counts and counts[-1][0] >= start + 100, "an update at the other server")
    live.send([], finish_write=True)
    live.close()
    reply = live.reply.result(timeout=60)
    follower.join()
    assert counts == sorted(counts) and counts[-1] == (300, True), counts
    assert bits(two.get(name).summary) == bits(reply.summary)

    # An unfinished recording: another server takes it over, and the old stream is fenced.
    name = "paths/cluster-fenced"
    live = Live(one, name)
    live.send(range(100))
    wait_until(lambda: counts_of(two, name) == 100, "a commit")
    second = Live(two, name, write_offset=100)
    second.send(range(100, 150))
    wait_until(lambda: counts_of(one, name) == 150, "a commit of the second server")
    live.send(range(100, 130))
    error = live.reply.exception(timeout=60)
    assert error.code() == grpc.StatusCode.ABORTED, error
    live.close()
    watch = one.paths.WatchPath(pb.WatchPathRequest(name=name))
    assert next(watch).path.committed_points == 150
    two.paths.DeletePath(pb.DeletePathRequest(name=name), timeout=20)
    try:
        while True:
            next(watch)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
    second.send(range(150, 160))
    error = second.reply.exception(timeout=60)
    assert error.code() == grpc.StatusCode.ABORTED, error
    second.close()
    listed = [client.paths.ListPaths(pb.ListPathsRequest(page_size=1000)).paths for client in (one, two)]
    assert listed[0] == listed[1] and len(listed[0]) >= 3, listed
    return f"{len(counts)} updates"


def counts_of(client, name):
    try:
        return client.get(name).committed_points
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        return 0
