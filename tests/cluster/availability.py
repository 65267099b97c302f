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
        server.wait_until_ready()
        # The connections are opened one after the other.
        wait_until(lambda: server.metric("waywiser_database_connected") == 1, "both connections")
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
