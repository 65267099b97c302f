"""waywiser.v1 from Python: rows and columns, interrupted recordings, watching, batches, listing and deleting."""

import itertools
import os
import threading

import grpc
import pytest
from conftest import error_info, error_of
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from waywiser.v1 import path_pb2 as pb
from waywiser.v1 import path_pb2_grpc

PLANAR = pb.PathOptions(model=pb.MODEL_PLANAR)
LEG = 5.0

numbers = itertools.count()


@pytest.fixture
def paths(channel):
    return path_pb2_grpc.PathServiceStub(channel)


@pytest.fixture
def name():
    """A recording name that is unique, also if the server has recordings of earlier runs."""
    return f"paths/python-{os.getpid()}-{next(numbers)}"


def points(start, stop):
    return [pb.Point(x=3 * i, y=4 * i) for i in range(start, stop)]


def message(name, start, stop, finish_write=False):
    return pb.RecordPathRequest(
        name=name, options=PLANAR, write_offset=start, points=points(start, stop), finish_write=finish_write
    )


def deltas(values):
    return [b - a for a, b in zip([0, *values], values)]


def columns(start, stop):
    return pb.PointColumns(
        x=deltas([3 * i for i in range(start, stop)]), y=deltas([4 * i for i in range(start, stop)])
    )


class InterruptedCall:
    """A RecordPath call on its own channel, whose stream stays open until the call is interrupted."""

    def __init__(self, address, messages):
        self.channel = grpc.insecure_channel(address)
        self.released = threading.Event()

        def stream():
            yield from messages
            self.released.wait()

        self.call = path_pb2_grpc.PathServiceStub(self.channel).RecordPath.future(stream())

    def close_channel(self):
        self.channel.close()
        self.released.set()

    def cancel_call(self):
        self.call.cancel()
        self.released.set()


def wait_for(paths, name, committed_points):
    """Watches until this many points are durable. Returns the number of durable points in each response."""
    watch = paths.WatchPath(pb.WatchPathRequest(name=name, allow_missing=True))
    counts = []
    for response in watch:
        counts.append(response.path.committed_points)
        if counts[-1] >= committed_points:
            break
    watch.cancel()
    return counts


def violations(error):
    """Returns the fields in the google.rpc.BadRequest of an error."""
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error.details()
    error_info(error)
    for detail in rpc_status.from_call(error).details:
        if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            found = error_details_pb2.BadRequest()
            detail.Unpack(found)
            return [violation.field for violation in found.field_violations]
    pytest.fail(f"no BadRequest in {error!r}")


def test_rows_and_columns_have_the_same_summary(paths):
    rows = paths.RecordPath(iter([message("", 0, 40), message("", 40, 100)]))
    assert rows.complete
    assert rows.name == ""
    assert (rows.committed_points, rows.summary.length, rows.summary.displacement) == (100, 99 * LEG, 99 * LEG)
    mixed = paths.RecordPath(
        iter([pb.RecordPathRequest(options=PLANAR, columns=columns(0, 70)), message("", 70, 100)])
    )
    assert mixed.summary.SerializeToString(deterministic=True) == rows.summary.SerializeToString(deterministic=True)


def test_elevation_time_and_accuracy_are_summarized(paths):
    fixes = pb.PointColumns(
        x=deltas([137_433_000, 137_434_000, 137_435_000]),
        y=deltas([464_397_000, 464_398_000, 464_399_000]),
        z=deltas([1_611_000, 1_613_500, 1_612_500]),
        time_ms=deltas([1_700_000_000_000, 1_700_000_004_000, 1_700_000_008_000]),
        accuracy_mm=[3000, 3000, 3000],
    )
    options = pb.PathOptions(elevation_mode=pb.ELEVATION_MODE_THREE_DIMENSIONAL, max_speed_mps=50)
    summary = paths.RecordPath(iter([pb.RecordPathRequest(options=options, columns=fixes)])).summary
    assert summary.options.model == pb.MODEL_WGS84_GEODESIC
    assert 26 < summary.length_m < summary.length_3d_m < 28
    assert not summary.HasField("length")
    assert (summary.raw_ascent_m, summary.raw_descent_m) == (2.5, 1.0)
    assert summary.elapsed_time.seconds == 8
    assert summary.bounds.min_x == pytest.approx(13.7433)
    assert summary.bounds.max_y == pytest.approx(46.4399)


def test_a_filter_reports_the_length_that_it_rejects(paths):
    options = pb.PathOptions(model=pb.MODEL_PLANAR, min_step=10)
    request = pb.RecordPathRequest(options=options, points=points(0, 5))
    summary = paths.RecordPath(iter([request])).summary
    assert (summary.length, summary.raw_length, summary.accepted_count) == (4 * LEG, 4 * LEG, 3)
    (rejection,) = summary.rejections
    assert (rejection.reason, rejection.count, rejection.first_offset) == (pb.REJECTION_REASON_STEP, 2, 1)
    # The points are on a line, so that the length is the same without those that are rejected.
    assert rejection.rejected_length == 0


@pytest.mark.parametrize(("mode", "legs"), [(pb.INVALID_POINTS_SKIP, 3), (pb.INVALID_POINTS_SPLIT, 2)])
def test_a_point_without_a_position_is_counted_on_request(paths, mode, legs):
    options = pb.PathOptions(model=pb.MODEL_PLANAR, invalid_points=mode)
    track = [*points(0, 2), pb.Point(x=float("nan")), *points(2, 4)]
    summary = paths.RecordPath(iter([pb.RecordPathRequest(options=options, points=track)])).summary
    assert (summary.point_count, summary.accepted_count, summary.length) == (5, 4, legs * LEG)
    (rejection,) = summary.rejections
    assert (rejection.reason, rejection.count) == (pb.REJECTION_REASON_INVALID_POSITION, 1)
    assert (rejection.first_offset, rejection.rejected_length) == (2, 0)


@pytest.mark.parametrize("interrupt", ["close_channel", "cancel_call"])
def test_an_interrupted_recording_resumes_at_its_durable_offset(address, paths, name, interrupt):
    call = InterruptedCall(address, (message(name, at, at + 10) for at in range(0, 500, 10)))
    counts = wait_for(paths, name, 500)
    assert counts == sorted(counts)
    getattr(call, interrupt)()

    path = paths.GetPath(pb.GetPathRequest(name=name)).path
    assert (path.name, path.complete, path.committed_points) == (name, False, 500)
    assert path.summary.length == 499 * LEG
    assert path.HasField("create_time")
    assert path.expire_time.seconds > path.update_time.seconds

    # The first message may start earlier. The server skips durable points.
    start = path.committed_points - 30
    rest = [message(name, start, 700), message(name, 700, 1001, finish_write=True)]
    reply = paths.RecordPath(iter(rest))
    assert reply.skipped_points == 30
    assert (reply.name, reply.complete, reply.committed_points) == (name, True, 1001)
    assert reply.summary.length == 1000 * LEG
    whole = paths.RecordPath(iter([message("", 0, 1001)])).summary
    assert reply.summary.SerializeToString(deterministic=True) == whole.SerializeToString(deterministic=True)


def test_closing_the_stream_does_not_finish_the_path(paths, name):
    reply = paths.RecordPath(iter([message(name, 0, 3)]))
    assert (reply.complete, reply.committed_points) == (False, 3)
    reply = paths.RecordPath(iter([pb.RecordPathRequest(name=name, write_offset=3, finish_write=True)]))
    assert (reply.complete, reply.committed_points, reply.summary.length) == (True, 3, 2 * LEG)


def test_a_finished_path_sent_again_gets_the_same_reply(paths, name):
    request = message(name, 0, 10, finish_write=True)
    reply = paths.RecordPath(iter([request]))
    assert reply.complete
    again = paths.RecordPath(iter([request]))
    assert (reply.skipped_points, again.skipped_points) == (0, 10)
    again.skipped_points = 0
    assert again == reply
    error = error_of(lambda: paths.RecordPath(iter([message(name, 5, 11)])))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert error_info(error).reason == "PATH_COMPLETE"
    assert paths.GetPath(pb.GetPathRequest(name=name)).path.summary == reply.summary


def test_points_after_the_end_are_refused_and_do_not_finish_the_path(paths, name):
    stream = [message(name, 0, 3, finish_write=True), message(name, 3, 4)]
    error = error_of(lambda: paths.RecordPath(iter(stream)))
    assert violations(error) == ["points"]
    assert error_info(error).reason == "FIELD_INVALID"
    assert not paths.GetPath(pb.GetPathRequest(name=name)).path.complete


def test_a_gap_is_refused_with_the_durable_offset(paths, name):
    paths.RecordPath(iter([message(name, 0, 10)]))
    error = error_of(lambda: paths.RecordPath(iter([message(name, 11, 20)])))
    assert error.code() == grpc.StatusCode.OUT_OF_RANGE
    info = error_info(error)
    assert info.reason == "OFFSET_GAP"
    assert info.metadata["committed_points"] == "10"


def one_by_one(name, start, stop, finish_write=False):
    """Yields messages of one point each, without offsets."""
    for i in range(start, stop):
        last = finish_write and i == stop - 1
        yield pb.RecordPathRequest(name=name, options=PLANAR, points=points(i, i + 1), finish_write=last)


def test_a_stream_without_offsets_loses_no_point(paths, name):
    reply = paths.RecordPath(one_by_one(name, 0, 10, finish_write=True))
    assert (reply.complete, reply.committed_points, reply.skipped_points) == (True, 10, 0)
    assert reply.summary.length == 9 * LEG


def test_a_stream_that_resumes_needs_an_offset(paths, name):
    paths.RecordPath(one_by_one(name, 0, 10))
    error = error_of(lambda: paths.RecordPath(one_by_one(name, 10, 20, finish_write=True)))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    info = error_info(error)
    assert (info.reason, info.metadata["committed_points"]) == ("OFFSET_REQUIRED", "10")
    assert paths.GetPath(pb.GetPathRequest(name=name)).path.committed_points == 10

    def resumed():
        for index, message in enumerate(one_by_one(name, 10, 20, finish_write=True)):
            if index == 0:
                message.write_offset = int(info.metadata["committed_points"])
            yield message

    reply = paths.RecordPath(resumed())
    assert (reply.complete, reply.committed_points, reply.summary.length) == (True, 20, 19 * LEG)


def test_points_that_are_durable_are_skipped_and_counted(paths, name):
    paths.RecordPath(iter([message(name, 0, 10)]))
    reply = paths.RecordPath(iter([message(name, 4, 7), message(name, 7, 12), *one_by_one(name, 12, 14)]))
    assert (reply.committed_points, reply.skipped_points, reply.summary.length) == (14, 6, 13 * LEG)


def test_a_message_that_does_not_continue_the_stream_is_refused(paths, name):
    for start in 0, 5, 9, 11:
        stream = [message("", 0, 10), message("", start, 20)]
        error = error_of(lambda: paths.RecordPath(iter(stream)))
        assert violations(error) == ["write_offset"]
        assert error_info(error).reason == "OFFSET_MISMATCH"
    error = error_of(lambda: paths.RecordPath(iter([message(name, 0, 10), message(name, 5, 20)])))
    # The points before the error are committed first.
    assert error_info(error).metadata["committed_points"] == "10"
    assert paths.GetPath(pb.GetPathRequest(name=name)).path.committed_points == 10


def test_other_options_than_the_first_are_refused(paths, name):
    paths.RecordPath(iter([message(name, 0, 10)]))
    other = pb.RecordPathRequest(name=name, write_offset=10, points=points(10, 11))
    other.options.model = pb.MODEL_WGS84_GEODESIC
    error = error_of(lambda: paths.RecordPath(iter([other])))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    info = error_info(error)
    assert (info.reason, info.metadata["field"]) == ("OPTIONS_DIFFER", "options.model")
    assert "it is MODEL_WGS84_GEODESIC in this message and MODEL_PLANAR in the recording" in error.details()


def test_the_newest_writer_wins(address, paths, name):
    more = threading.Event()

    def messages():
        yield message(name, 0, 10)
        more.wait()
        yield message(name, 10, 20)

    stale = InterruptedCall(address, messages())
    wait_for(paths, name, 10)
    assert paths.RecordPath(iter([message(name, 10, 15)])).committed_points == 15
    more.set()
    error = error_of(stale.call.result)
    stale.close_channel()
    assert error.code() == grpc.StatusCode.ABORTED
    assert error_info(error).reason == "WRITER_FENCED"
    assert paths.GetPath(pb.GetPathRequest(name=name)).path.committed_points == 15


def test_a_watch_ends_when_the_path_is_finished(paths, name):
    error = error_of(lambda: next(paths.WatchPath(pb.WatchPathRequest(name=name))))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    watch = paths.WatchPath(pb.WatchPathRequest(name=name, allow_missing=True))
    paths.RecordPath(iter([message(name, 0, 10)]))
    paths.RecordPath(iter([message(name, 10, 20, finish_write=True)]))
    states = [response.path for response in watch]
    counts = [path.committed_points for path in states]
    assert counts == sorted(counts)
    assert [path.complete for path in states] == [False] * (len(states) - 1) + [True]
    assert (counts[-1], states[-1].summary.length) == (20, 19 * LEG)


def test_an_invalid_path_does_not_fail_the_rest_of_the_batch(paths):
    def batch():
        for number in range(5):
            path_id = f"path {number}"
            yield pb.MeasurePathsRequest(path_id=path_id, options=PLANAR, points=points(0, 10))
            if number == 2:
                yield pb.MeasurePathsRequest(points=[pb.Point(x=float("nan"))])
            yield pb.MeasurePathsRequest(columns=columns(10, 20), end_path=True)

    answers = list(paths.MeasurePaths(batch()))
    assert [answer.path_id for answer in answers] == [f"path {number}" for number in range(5)]
    for number, answer in enumerate(answers):
        if number == 2:
            assert answer.failure.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
            assert answer.failure.reason == "POINT_INVALID"
            assert "point 10" in answer.failure.message
            assert answer.failure.metadata["field"] == "points[0].x"
            assert answer.failure.metadata["offset"] == "10"
        else:
            assert (answer.summary.point_count, answer.summary.length) == (20, 19 * LEG)


def test_recordings_are_listed_and_deleted(paths, name):
    names = [f"{name}-{i}" for i in range(5)]
    for each in names:
        paths.RecordPath(iter([message(each, 0, 2, finish_write=True)]))

    found, token = [], ""
    while True:
        page = paths.ListPaths(pb.ListPathsRequest(page_size=2, page_token=token))
        assert len(page.paths) <= 2
        found += [path.name for path in page.paths]
        token = page.next_page_token
        if not token:
            break
    assert found == sorted(found)
    assert set(names) <= set(found)

    for each in names:
        paths.DeletePath(pb.DeletePathRequest(name=each))
    error = error_of(lambda: paths.GetPath(pb.GetPathRequest(name=names[0])))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert error_info(error).reason == "PATH_NOT_FOUND"
    error = error_of(lambda: paths.DeletePath(pb.DeletePathRequest(name=names[0])))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    paths.DeletePath(pb.DeletePathRequest(name=names[0], allow_missing=True))


def test_every_violation_names_its_field(paths):
    bad_options = pb.PathOptions(max_speed=1, stopped_speed_mps=-1)
    bad = pb.RecordPathRequest(options=bad_options, points=points(0, 1))
    error = error_of(lambda: paths.RecordPath(iter([bad])))
    assert violations(error) == ["options.max_speed", "options.stopped_speed_mps"]

    error = error_of(lambda: paths.GetPath(pb.GetPathRequest(name="paths/with space")))
    assert violations(error) == ["name"]

    both = pb.RecordPathRequest(options=PLANAR, points=points(0, 1), columns=columns(0, 1))
    error = error_of(lambda: paths.RecordPath(iter([both])))
    assert violations(error) == ["columns"]

    uneven = pb.RecordPathRequest(options=PLANAR, columns=pb.PointColumns(x=[1, 2], y=[1]))
    error = error_of(lambda: paths.RecordPath(iter([uneven])))
    assert violations(error)[0].startswith("columns.")

    # The error has the index in the message and the offset in the path.
    bad = pb.RecordPathRequest(points=[pb.Point(), pb.Point(y=91)])
    error = error_of(lambda: paths.RecordPath(iter([pb.RecordPathRequest(points=[pb.Point()] * 3), bad])))
    assert violations(error) == ["points[1].y"]
    assert error_info(error).metadata["point_index"] == "4"
    assert (error_info(error).metadata["field"], error_info(error).metadata["offset"]) == ("points[1].y", "4")

    # An error about another field has the index of its message.
    again = pb.RecordPathRequest(name="paths/other", points=points(1, 2))
    error = error_of(lambda: paths.RecordPath(iter([pb.RecordPathRequest(points=[pb.Point()]), again])))
    assert violations(error) == ["name"]
    assert error_info(error).metadata["message_index"] == "1"

    error = error_of(lambda: paths.ListPaths(pb.ListPathsRequest(page_size=-1)))
    assert violations(error) == ["page_size"]
    error = error_of(lambda: paths.ComputeDisplacement(pb.ComputeDisplacementRequest(end=pb.Point(y=-91))))
    assert violations(error) == ["end.y"]


def test_a_distance_is_in_the_unit_of_its_model(paths):
    request = pb.ComputeDisplacementRequest(start=pb.Point(x=1, y=1), end=pb.Point(x=4, y=5), model=pb.MODEL_PLANAR)
    reply = paths.ComputeDisplacement(request)
    assert (reply.displacement, reply.HasField("displacement_m")) == (5.0, False)
    request.model = pb.MODEL_UNSPECIFIED
    reply = paths.ComputeDisplacement(request)
    assert 550_000 < reply.displacement_m < 560_000


def test_gzip_is_accepted(address, name):
    with grpc.insecure_channel(address, compression=grpc.Compression.Gzip) as compressing:
        paths = path_pb2_grpc.PathServiceStub(compressing)
        reply = paths.RecordPath(iter([message(name, 0, 500), message(name, 500, 1001, finish_write=True)]))
        assert (reply.complete, reply.summary.length) == (True, 1000 * LEG)
        batch = [pb.MeasurePathsRequest(path_id="a", options=PLANAR, columns=columns(0, 1000), end_path=True)]
        (answer,) = paths.MeasurePaths(iter(batch))
        assert answer.summary.length == 999 * LEG
        assert paths.GetPath(pb.GetPathRequest(name=name)).path.complete
