"""A damaged recording, at servers that run."""

import grpc
from clients import Client, Live, bits
from programs import wait_until
from recordings import counts_of
from waywiser.v1 import path_pb2 as pb

METRIC = 'waywiser_call_errors_total{grpc_status="DATA_LOSS",reason="CHECKPOINT_DAMAGED"}'
NAME = "paths/cluster-damaged"


def a_damaged_recording_is_lost_alone(cluster):
    """Damages a row. Calls about it get DATA_LOSS, and an open stream of another recording continues."""
    one, two = (Client(server.address) for server in cluster.servers)
    server = cluster.servers[1]
    other = "paths/cluster-undamaged"
    live = {name: Live(one, name) for name in (NAME, other)}
    for stream in live.values():
        stream.send(range(100))
    wait_until(lambda: all(counts_of(two, name) == 100 for name in live), "the commits")
    live[NAME].close()
    live[NAME].reply.result(timeout=60)
    damage = "set_byte(state, length(state) / 2, get_byte(state, length(state) / 2) # 1)"
    cluster.postgres.sql(f"UPDATE waywiser_recording SET state = {damage} WHERE id = 'cluster-damaged'", "waywiser")

    before = server.metric(METRIC, missing=0)
    calls = [
        lambda: two.get(NAME),
        lambda: next(two.paths.WatchPath(pb.WatchPathRequest(name=NAME))),
        lambda: two.paths.RecordPath(iter([pb.RecordPathRequest(name=NAME, write_offset=100)]), timeout=60),
    ]
    for call in calls:
        try:
            answer = call()
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.DATA_LOSS and NAME in error.details(), error
            assert b"CHECKPOINT_DAMAGED" in dict(error.trailing_metadata())["grpc-status-details-bin"], error
        else:
            raise AssertionError(f"a damaged recording was read: {answer}")
    wait_until(lambda: server.metric(METRIC, missing=0) == before + len(calls), "the metric of the errors")
    lines = [line for line in server.log.read_text().splitlines() if "outcome=DataLoss" in line]
    assert len(lines) == len(calls) and all(NAME in line and " WARN " in line for line in lines), lines
    assert server.page("/readyz")[0] == 200
    listed = {path.name: path for path in two.paths.ListPaths(pb.ListPathsRequest(page_size=1000)).paths}
    assert listed[NAME] == pb.Path(name=NAME) and listed[other].committed_points == 100, listed
    status, _, errors = cluster.program("store", "check", *cluster.store_arguments, check=False)
    assert status == 1 and f"{NAME} is damaged" in errors, errors

    live[other].send(range(100, 200), finish_write=True)
    live[other].close()
    reply = live[other].reply.result(timeout=60)
    assert bits(two.get(other).summary) == bits(reply.summary) == bits(two.measure(range(200)))
    # The documented remedy.
    two.paths.DeletePath(pb.DeletePathRequest(name=NAME), timeout=20)
    again = Live(one, NAME)
    again.send(range(50), finish_write=True)
    again.close()
    assert bits(again.reply.result(timeout=60).summary) == bits(two.measure(range(50)))
    cluster.program("store", "check", *cluster.store_arguments)
