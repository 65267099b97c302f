"""Recorders against a server of the program, which the variable WAYWISER names."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
import waywiser as ww
from servers import Server, needs_program
from waiting import interrupted, waiting

pytestmark = needs_program


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Server]:
    """A server of one test, which may stop it."""
    with Server(tmp_path) as server:
        yield server


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)[-120:] + os.urandom(3).hex()


Walk = dict[str, npt.NDArray[Any]]


def walk(count: int, seed: int = 1) -> Walk:
    random = np.random.default_rng(seed)
    return {
        "lon": 13.7 + np.cumsum(random.normal(0, 1e-5, count)),
        "lat": 46.1 + np.cumsum(random.normal(0, 1e-5, count)),
        "time": np.datetime64("2024-05-18T09:00:00.123456789") + np.arange(count) * np.timedelta64(1, "s"),
        "elevation": np.where(random.random(count) < 0.1, np.nan, 500 + np.cumsum(random.normal(0, 0.2, count))),
        "accuracy": np.where(random.random(count) < 0.1, np.nan, random.uniform(1, 30, count)),
    }


def part(points: Walk, start: int, end: int | None = None) -> Walk:
    return {name: values[start:end] for name, values in points.items()}


OPTIONS: list[dict[str, Any]] = [
    {},
    {"preset": "walk", "trips": True},
    {"metric": "haversine", "max_speed": 2.0, "min_step": 5},
    {"on_invalid": "split", "max_gap_time": datetime.timedelta(seconds=30)},
    {"on_invalid": "skip"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_recording_has_the_bits_of_measure(server: Server, name: str, options: dict[str, Any]) -> None:
    points = walk(3000)
    if "on_invalid" in options:
        points["lon"][[5, 6, 700]] = np.nan
        points["lat"][[1000, 2999]] = np.nan
    with ww.Recorder(server.url, name, **options) as recorder:
        recorder.send(**part(points, 0, 1000))
        for index in range(1000, 1100):
            recorder.send(**{key: values[index] for key, values in points.items()})
        recorder.send(**part(points, 1100, 1100))
        recorder.send(**part(points, 1100))
        assert recorder.summary is None and not recorder.closed
    assert recorder.summary == ww.measure(**points, **options)
    assert recorder.summary.points == recorder.sent_points == recorder.committed_points == 3000
    assert recorder.finish() is recorder.summary and recorder.closed

    async def record() -> ww.Summary | None:
        async with ww.AsyncRecorder(server.url, f"{name}-2", **options) as recorder:
            await recorder.send(**part(points, 0, 2000))
            for index in range(2000, 3000):
                await recorder.send(**{key: values[index] for key, values in points.items()})
            await recorder.flush()
            assert recorder.committed_points == 3000
        return recorder.summary

    assert asyncio.run(record()) == recorder.summary


def test_every_type_of_argument_is_the_same(server: Server, name: str) -> None:
    points = walk(50)
    points["lon"], points["lat"] = points["lon"].round(7), points["lat"].round(7)
    e7 = [np.rint(points[key] * 1e7).astype(np.int32) for key in ("lon", "lat")]
    times = pd.DatetimeIndex(points["time"], tz="UTC")
    sources: list[tuple[Any, Any, Any]] = [
        (points["lon"], points["lat"], points["time"]),
        (*e7, pd.Series(times)),
        (points["lon"].tolist(), points["lat"].tolist(), times.tz_convert("Europe/Ljubljana")),
        (pa.array(points["lon"]), pa.chunked_array([points["lat"]]), pa.array(points["time"])),
        (pd.Series(points["lon"]), points["lat"][::-1][::-1], pa.chunked_array([pa.array(times)])),
    ]
    summaries = []
    for index, source in enumerate(sources):
        with ww.Recorder(server.url, f"{name}-{index}") as recorder:
            recorder.send(*source)
        summaries.append(recorder.summary)
    assert summaries == [ww.measure(points["lon"], points["lat"], time=points["time"])] * len(sources)


def test_every_type_of_time_is_the_same(server: Server, name: str) -> None:
    utc = datetime.UTC
    moment = datetime.datetime(2024, 5, 18, 9, 0, 0, 250_000)
    times: list[Any] = [
        moment,
        moment.replace(tzinfo=utc),
        moment.replace(tzinfo=utc).astimezone(datetime.timezone(datetime.timedelta(hours=5))),
        np.datetime64(moment),
        np.datetime64(moment, "ns"),
        pd.Timestamp(moment),
        pd.Timestamp(moment, tz="UTC"),
        moment.replace(tzinfo=utc).timestamp(),
        np.float64(moment.replace(tzinfo=utc).timestamp()),
    ]
    with ww.Recorder(server.url, name) as recorder:
        for time in times:
            recorder.send(13, 46, time)
        for missing in (None, float("nan"), np.datetime64("NaT"), pd.NaT):
            recorder.send(np.float32(13), np.array(46.0), missing)
    assert recorder.summary is not None
    assert recorder.summary.elapsed_s == 0 and recorder.summary.points == len(times) + 4
    assert recorder.summary == ww.measure([13] * 13, [46] * 13, time=[moment] * 9 + [None] * 4)


def test_planar_points(server: Server, name: str) -> None:
    with ww.Recorder(server.url, name, metric="planar") as recorder:
        recorder.send([400_000.0, 400_003.0], [5_100_000.0, 5_100_004.0])
        recorder.send(400_003, 5_100_005)
    assert recorder.summary is not None and recorder.summary.length == 6


@pytest.mark.parametrize(
    ("points", "exception", "message"),
    [
        ({"lon": [1, 2, 3], "lat": [1, 2, 91]}, ValueError, "index 2: latitude 91 is not between"),
        ({"lon": [1, np.nan], "lat": [1, 1]}, ValueError, "index 1: .*on_invalid"),
        ({"lon": 1, "lat": 91}, ValueError, "^latitude 91 is not between"),
        ({"lon": None, "lat": 1}, ValueError, "on_invalid"),
        ({"lon": "1", "lat": 1}, TypeError, "^lon is '1', which is not a number$"),
        ({"lon": 1, "lat": b"2"}, TypeError, "^lat is b'2', which is not a number$"),
        ({"lon": 1, "lat": True}, TypeError, "^lat is True, which is not a number$"),
        ({"lon": 1, "lat": object()}, TypeError, "^lat is <object .*>, which is not a number$"),
        ({"lon": 1, "lat": 2, "elevation": "3"}, TypeError, "^elevation is '3', which is not a number$"),
        ({"lon": 1, "lat": 2, "accuracy": 1j}, TypeError, "^accuracy is 1j, which is not a number$"),
        ({"lon": 1, "lat": [2]}, TypeError, "^lat is of the type list, and lon is one number; pass one number"),
        ({"lon": 1, "lat": 2, "elevation": np.ones(3)}, TypeError, "^elevation is of the type ndarray, and lon is one"),
        ({"lon": 1, "lat": 2, "time": [3]}, TypeError, "^time is of the type list, and lon is one number; pass one time"),
        ({"lon": [1], "lat": 2}, TypeError, "^lat is 2, and lon is an array; pass an array$"),
        ({"lon": [1], "lat": None}, TypeError, "^lat is None, and lon is an array; pass an array$"),
        ({"lon": [1], "lat": [2], "time": 3}, TypeError, "^time is 3, and lon is an array; pass an array$"),
        ({"lon": [1], "lat": [2], "elevation": "a"}, TypeError, "^elevation is 'a', and lon is an array"),
        ({"lon": ["a"], "lat": [2]}, TypeError, "^lon "),
        ({"lon": [1, b"a"], "lat": [2, 3]}, TypeError, "^lon "),
        ({"lon": np.int32(5), "lat": 1}, TypeError, "^lon is one number of int32, whose unit is not known"),
        ({"lon": [1, 2], "lat": [1]}, ValueError, "2 values|equally long"),
        ({"lon": [1, 2], "lat": [1, 2], "time": [1]}, ValueError, "time has 1 values for 2 points"),
        ({"lon": [1, 2], "lat": [1, 2], "elevation": [0, 1e13]}, ValueError, "index 1: elevation"),
        ({"lon": 1, "lat": 2, "accuracy": -1}, ValueError, "accuracy"),
        ({"lon": [[1, 2]], "lat": [[1, 2]]}, ValueError, "one dimension"),
        ({"lon": 1, "lat": 2, "time": "2024-05-18"}, TypeError, "^time is '2024-05-18', which is not a time; use a datetime"),
        ({"lon": 1, "lat": 2, "time": b"2024"}, TypeError, "^time is b'2024', which is not a time"),
        ({"lon": 1, "lat": 2, "time": True}, TypeError, "^time is True, which is not a time"),
        ({"lon": 1, "lat": 2, "time": 1e18}, ValueError, "^time .*1678"),
        ({"lon": 1, "lat": 2, "time": datetime.datetime(1, 1, 1)}, ValueError, "1678"),
    ],
)  # fmt: skip
def test_an_invalid_point_adds_nothing(
    server: Server, name: str, points: dict[str, Any], exception: type[Exception], message: str
) -> None:
    with ww.Recorder(server.url, name) as recorder:
        recorder.send([1, 2], [3, 4])
        with pytest.raises(exception, match=message):
            recorder.send(**points)
        assert recorder.sent_points == 2
        recorder.send(3, 4)
    assert recorder.summary == ww.measure([1, 2, 3], [3, 4, 4])


@pytest.mark.parametrize(
    ("arguments", "exception", "message"),
    [
        ({"url": "nonsense://a"}, ValueError, "not the address of a server"),
        ({"url": "http://user:secret@host"}, ValueError, "must not have a user name"),
        ({"name": "a b"}, ValueError, "a name is paths/ followed by"),
        ({"name": ""}, ValueError, "a name is paths/"),
        ({"retry_for": -1}, ValueError, "retry_for is -1"),
        ({"retry_for": float("nan")}, ValueError, "retry_for is NaN"),
        ({"retry_for": "5m"}, TypeError, "retry_for is '5m'; use a number of seconds, or a timedelta"),
        ({"retry_for": None}, TypeError, "retry_for is None; use a number"),
        ({"retry_for": True}, TypeError, "retry_for is True; use a number"),
        ({"retry_for": 10**400}, TypeError, "retry_for is 10+[.]+0+; use a number"),
        ({"retry_for": np.timedelta64(1, "M")}, TypeError, "retry_for is .*'M'.*; use a number of seconds"),
        ({"retry_for": np.timedelta64("NaT")}, ValueError, "retry_for is NaN"),
        ({"buffer_points": np.timedelta64(9)}, TypeError, "buffer_points is .*timedelta.*; use a whole number"),
        ({"buffer_points": 0}, ValueError, "buffer_points is 0"),
        ({"buffer_points": -1}, ValueError, "buffer_points is -1; use 1 to"),
        ({"buffer_points": 10**30}, ValueError, "buffer_points is 10{30}; use 1 to"),
        ({"buffer_points": 1e5}, TypeError, "buffer_points is 100000.0; use a whole number"),
        ({"url": b"http://a"}, TypeError, "^url has the type bytes; use a str$"),
        ({"name": 7}, TypeError, "^name has the type int; use a str$"),
        ({"token": b"secret"}, TypeError, "^token has the type bytes; use a str$"),
        ({"token_file": b"secret"}, TypeError, "^token_file has the type bytes; use the path of a file$"),
        ({"headers": ["a"]}, TypeError, "^headers has the type list; use a mapping of str to str$"),
        ({"headers": {"a": b"secret"}}, TypeError, "^the header 'a' has the type bytes; use a str$"),
        ({"headers": {1: "secret"}}, TypeError, "^a name in headers has the type int; use a str$"),
        ({"on_event": 3}, TypeError, "^on_event has the type int; use a function"),
        ({"metric": None}, TypeError, "^metric has the type NoneType; use a str$"),
        ({"token": ""}, ValueError, "the token is empty"),
        ({"token": "secret\n"}, ValueError, "the token has a space, a line end"),
        ({"token_file": "/missing/token"}, FileNotFoundError, "/missing/token"),
        ({"client_cert": "/missing/a.pem", "client_key": "b"}, FileNotFoundError, "/missing/a.pem"),
        ({"client_cert": "/dev/null", "client_key": "/dev/null"}, ValueError, "^/dev/null is not a regular file"),
        ({"ca": "/dev/zero", "url": "https://127.0.0.1:1"}, ValueError, "^/dev/zero is not a regular file"),
        ({"ca": "-----BEGIN secret"}, ValueError, "^ca is PEM text of the type str; use bytes, or the path of a file$"),
        ({"client_key": "secret\n", "client_cert": b""}, ValueError, "^client_key is PEM text of the type str"),
        ({"client_cert": "-----BEGIN secret", "client_key": b""}, ValueError, "^client_cert is PEM text of the type str"),
        ({"token": "a", "token_file": "b"}, ValueError, "both token and token_file"),
        ({"url": "http://example.org", "token": "a"}, ValueError, "only sent over https"),
        ({"headers": {"a b": "c"}}, ValueError, "header"),
        ({"client_cert": "a.pem"}, ValueError, "client_key"),
        ({"ca": "/missing/ca.pem"}, OSError, "/missing/ca.pem"),
        ({"url": "https://127.0.0.1:1", "ca": b"nonsense"}, ValueError, "has no certificate"),
        ({"ca": 3}, TypeError, "PEM"),
        ({"max_sped": 3}, TypeError, "max_speed"),
        ({"max_speed": -1}, ValueError, "max_speed"),
        ({"url": "foo"}, ValueError, 'url is "foo", which has no scheme'),
        ({"url": "127.0.0.1:50051"}, ValueError, "no scheme"),
        ({"url": ""}, ValueError, "no scheme"),
        ({"url": "a:secret@b"}, ValueError, "password"),
        ({"url": "http://"}, ValueError, "is not the address of a server"),
        ({"url": "http://a/b"}, ValueError, "is not the address of a server"),
        ({"metric": "mercator"}, ValueError, "metric"),
        ({"on_invalid": "drop"}, ValueError, "on_invalid"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(arguments: dict[str, Any], exception: type[Exception], message: str) -> None:
    for kind in (ww.Recorder, ww.AsyncRecorder):
        with pytest.raises(exception, match=message) as raised:
            kind(**{"url": "http://127.0.0.1:1", "name": "a", **arguments})
        assert "secret" not in str(raised.value) and not re.search("(^| )--[a-z]", str(raised.value))


def test_a_closed_recorder_takes_no_points(server: Server, name: str) -> None:
    with ww.Recorder(server.url, name) as recorder:
        recorder.send(1, 2)
    calls = (lambda: recorder.send(1, 2), lambda: recorder.send([1], [2]), recorder.flush, recorder.__enter__)
    for call in calls:
        with pytest.raises(ValueError, match="the recorder is finished"):
            call()
    recorder.close()
    assert recorder.summary is not None and "finished" in repr(recorder)
    other = ww.Recorder(server.url, f"{name}-2")
    other.close()
    other.close()
    with pytest.raises(ValueError, match="the recorder is closed"):
        other.send(1, 2)
    with pytest.raises(ValueError, match="closed, and the recording was not finished"):
        other.finish()


def test_a_recording_is_resumed_after_an_exception(server: Server, name: str) -> None:
    points = walk(2000)
    with pytest.raises(KeyError), ww.Recorder(server.url, name, preset="walk") as recorder:
        recorder.send(**part(points, 0, 1200))
        recorder.flush()
        assert recorder.committed_points == 1200
        raise KeyError
    assert recorder.summary is None and recorder.closed
    with ww.Recorder(server.url, name, preset="walk") as recorder:
        recorder.send(**points)
    expected = ww.measure(**points, preset="walk")
    assert recorder.summary == expected
    # A finished recording is confirmed with the same points.
    with ww.Recorder(server.url, name, preset="walk") as recorder:
        recorder.send(**points)
    assert recorder.summary == expected
    points["lat"][300] += 0.001
    for wrong, options, message in (
        (points, {}, "options"),
        (points, {"preset": "walk"}, "are different"),
        (part(points, 0, 100), {"preset": "walk"}, "there are 100 points to record"),
    ):
        recorder = ww.Recorder(server.url, name, **options)
        with contextlib.suppress(ww.RecordingError):  # the server may have answered already
            recorder.send(**wrong)
        for _ in range(2):
            with pytest.raises(ww.RecordingError, match=message):
                recorder.finish()
        assert "failed" in repr(recorder)


def test_the_error_of_a_recording_appears_at_the_next_call(server: Server, name: str) -> None:
    with ww.Recorder(server.url, name) as first:
        first.send([1, 2], [3, 4])
        first.flush()
        with ww.Recorder(server.url, name) as second:
            second.send([1, 2, 5], [3, 4, 6])
        with pytest.raises(ww.RecordingError, match=name):
            while True:
                first.send(2, 4)
                first.flush()
        with pytest.raises(ww.RecordingError, match=name):
            first.send([1, 2], [3, 4])
        first.close()


def test_flush_reports_that_the_server_has_other_points(server: Server, name: str) -> None:
    first = ww.Recorder(server.url, name)
    first.send([1, 2, 3], [1, 2, 3])
    first.flush()
    first.close()
    for send in (lambda r: r.send([50, 51, 52], [10, 20, 30]), lambda r: [r.send(50 + i, i) for i in range(3)]):
        second = ww.Recorder(server.url, name)
        send(second)
        with pytest.raises(ww.RecordingError, match="the first 3 .* are different"):
            second.flush()
    again = ww.Recorder(server.url, name)
    again.send([1, 2], [1, 2])
    again.flush()
    again.send(3, 3)
    again.flush()
    again.send(4, 4)
    again.flush()
    assert (again.finish(), again.committed_points) == (ww.measure([1, 2, 3, 4], [1, 2, 3, 4]), 4)


def test_flush_reports_the_points_of_another_writer(server: Server, name: str) -> None:
    first, second = ww.Recorder(server.url, name), ww.Recorder(server.url, name)
    for recorder in (first, second):
        recorder.send(1, 1)
        recorder.flush()
    first.send(2, 2)
    first.flush()
    # The second one sends after that, because the newest writer ends the streams of others.
    with pytest.raises(ww.RecordingError, match="are different|another client"):
        second.send(50, 50)
        second.flush()
    assert first.finish() == ww.measure([1, 2], [1, 2])


@pytest.mark.parametrize(
    "change",
    [
        {"time": [864_000, 864_100, 864_200, 864_300]},
        {"time": [0, 100, 200, 900]},
        {"time": None},
        {"elevation": [0.0, 5.0, 0.0, 0.0]},
        {"accuracy": [99.0, 1.0, 1.0, 1.0]},
        {"lat": [1.0, 1.002, 1.001, 1.003]},
    ],
)
def test_a_resumed_recording_has_the_same_times_and_elevations(
    server: Server, name: str, change: dict[str, Any]
) -> None:
    points = {
        "lon": [1.0, 1.001, 1.002, 1.003],
        "lat": [1.0, 1.001, 1.002, 1.003],
        "time": [0, 100, 200, 300],
        "elevation": [0.0, 10.0, 0.0, 0.0],
        "accuracy": [1.0, 1.0, 99.0, 1.0],
    }
    options: dict[str, Any] = {"max_accuracy": 10, "every": "day"}
    first = ww.Recorder(server.url, name, **options)
    first.send(**points)
    first.flush()
    first.close()
    with pytest.raises(ww.RecordingError, match="the first 4 .* are different"):
        second = ww.Recorder(server.url, name, **options)
        second.send(**{**points, **change})
        second.finish()
    third = ww.Recorder(server.url, name, **options)
    third.send(**points)
    assert third.finish() == ww.measure(**points, **options)


def test_events_are_delivered_in_calls(server: Server, name: str) -> None:
    events: list[tuple[int, ww.RecordEvent]] = []

    def add(event: ww.RecordEvent) -> None:
        events.append((threading.get_ident(), event))

    with ww.Recorder(server.url, name, on_event=add) as recorder:
        recorder.send([1, 2], [3, 4])
        recorder.flush()
        recorder.send(3, 4)
    assert {thread for thread, _ in events} == {threading.get_ident()}
    kinds = [event.kind for _, event in events]
    assert kinds[0] == "connected" and set(kinds[1:]) == {"committed"}
    counts = [event.committed_points for _, event in events]
    assert counts[0] == 0 and 2 in counts and counts == sorted(counts)


def test_an_exception_of_a_callback_loses_no_event_and_repeats_no_point(server: Server, name: str) -> None:
    events: list[ww.RecordEvent] = []

    def add_and_fail(event: ww.RecordEvent) -> None:
        events.append(event)
        raise IndexError("mine")

    points = walk(20)
    recorder = ww.Recorder(server.url, name, on_event=add_and_fail)
    failures = 0
    for index in range(20):
        point = {key: values[index] for key, values in points.items()}
        while True:
            before = recorder.sent_points
            try:
                recorder.send(**point) if index % 2 else recorder.send(**part(points, index, index + 1))
                break
            except IndexError:
                failures += 1
                assert recorder.sent_points == before
        recorder._core.flush(recorder.sent_points)
        while recorder.committed_points < recorder.sent_points:
            recorder._core.wait(recorder._core.version, 0.1)
    recorder._on_event = events.append
    assert recorder.finish() == ww.measure(**points)
    assert failures > 10 and [event.kind for event in events] == ["connected"] + ["committed"] * (len(events) - 1)
    counts = [event.committed_points for event in events]
    assert counts == sorted(set(counts)) and counts[-1] == 20


def test_a_callback_that_sends_points_gets_the_events_one_after_the_other(server: Server, name: str) -> None:
    depth, deepest = 0, 0
    counts: list[int | None] = []

    def send_more(event: ww.RecordEvent) -> None:
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        counts.append(event.committed_points)
        recorder.send(1, 2)
        recorder.send([1, 2], [3, 4])
        depth -= 1

    recorder = ww.Recorder(server.url, name)
    for index in range(50):
        recorder.send(index, index)
        recorder._core.flush(index + 1)
        while recorder.committed_points <= index:
            recorder._core.wait(recorder._core.version, 0.1)
    recorder._on_event = send_more
    recorder.send(3, 4)
    assert (deepest, counts) == (1, [0, *range(1, 51)])
    recorder._on_event = None
    assert recorder.finish().points == 51 + 3 * 51


class CountingLock:
    """A lock that counts the threads that wait for it."""

    def __init__(self) -> None:
        self.lock, self.count_lock = threading.RLock(), threading.Lock()
        self.waiting = 0

    def _is_owned(self) -> bool:
        return self.lock._is_owned()  # type: ignore[attr-defined]

    def __enter__(self) -> None:
        with self.count_lock:
            self.waiting += 1
        self.lock.acquire()
        with self.count_lock:
            self.waiting -= 1

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_the_points_of_an_array_stay_together(stopped: Server) -> None:
    """Other threads and tasks add points while an array waits for space."""
    array, single = walk(2000), walk(6, seed=2)
    recorder = ww.Recorder(stopped.url, "threads", buffer_points=300)
    lock = CountingLock()
    recorder._lock = lock  # type: ignore[assignment]

    def send(index: int) -> None:
        recorder.send(**{key: values[index] for key, values in single.items()})

    def send_array() -> None:
        recorder.send(**array)

    threads = [threading.Thread(target=send_array), *(threading.Thread(target=send, args=(i,)) for i in range(6))]
    stopped.send_signal(signal.SIGSTOP)
    threads[0].start()
    while recorder.sent_points < 300:
        threads[0].join(0.01)
    for thread in threads[1:]:
        thread.start()
    while lock.waiting < 6:
        threads[1].join(0.01)
    assert recorder.sent_points == 300
    stopped.send_signal(signal.SIGCONT)
    for thread in threads:
        thread.join()
    recorder.finish()

    # An array is added whole although another thread finishes the recording meanwhile.
    ending = ww.Recorder(stopped.url, "end", buffer_points=300)
    stopped.send_signal(signal.SIGSTOP)
    sender = threading.Thread(target=lambda: ending.send(**array))
    sender.start()
    while ending.sent_points < 300:
        sender.join(0.01)
    ender = threading.Thread(target=ending.finish)
    ender.start()
    while ending.state == "open":
        ender.join(0.01)
    with pytest.raises(ValueError, match="the recorder is finishing; it takes no more points"):
        ending.send(1, 2)
    stopped.send_signal(signal.SIGCONT)
    for thread in (sender, ender):
        thread.join()
    assert ending.summary == ww.measure(**array)

    async def record() -> ww.Summary | None:
        async with ww.AsyncRecorder(stopped.url, "tasks", buffer_points=300) as recorder:
            stopped.send_signal(signal.SIGSTOP)
            tasks = [asyncio.create_task(recorder.send(**array))]
            for index in range(6):
                await asyncio.sleep(0.01)
                point = {key: values[index] for key, values in single.items()}
                tasks.append(asyncio.create_task(recorder.send(**point)))
            await asyncio.sleep(0.01)
            assert recorder.sent_points == 300
            stopped.send_signal(signal.SIGCONT)
            await asyncio.gather(*tasks)
        return recorder.summary

    together = {key: np.concatenate([array[key], single[key]]) for key in array}
    assert asyncio.run(record()) == ww.measure(**together)
    summary = recorder.summary
    assert summary is not None and summary.points == 2006
    # The threads wait for the lock in any order.
    orders = itertools.permutations(range(6))
    ends = ({key: np.concatenate([array[key], single[key][list(order)]]) for key in array} for order in orders)
    assert any(summary.length == ww.measure(**points).length for points in ends)


def test_the_descriptors_of_ended_recorders_are_closed(server: Server, name: str) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def record() -> None:
        recorders = []
        for index in range(20):
            url, retry_for = (server.url, 300) if index % 4 else ("http://127.0.0.1:1", 0)
            recorder = ww.AsyncRecorder(url, f"{name}-{index}", retry_for=retry_for)
            with contextlib.suppress(ww.RecordingError):
                await recorder.send(1, 2)
                await (recorder.close() if index % 4 == 1 else recorder.finish())
            recorders.append(recorder)
            if index == 3:
                before = count()
        # The connections of the runtime come and go, and each is closed a little after its recorder has ended.
        while count() >= before + 8:
            await asyncio.sleep(0.01)
        assert [recorder.state for recorder in recorders[:4]] == ["failed", "closed", "finished", "finished"]

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("this system does not list the descriptors of a process")
    asyncio.run(record())


def test_a_cancelled_finish_leaves_the_result(stopped: Server, name: str) -> None:
    async def record() -> None:
        recorder = ww.AsyncRecorder(stopped.url, name)
        await recorder.send([1, 2], [3, 4])
        await recorder.flush()
        stopped.send_signal(signal.SIGSTOP)
        task = asyncio.create_task(recorder.finish())
        while recorder.state == "open":
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert recorder.state == "finishing"
        stopped.send_signal(signal.SIGCONT)
        while recorder.state == "finishing":
            await asyncio.sleep(0.001)
        assert recorder.state == "finished" and recorder.summary == ww.measure([1, 2], [3, 4])
        await recorder.close()
        assert await recorder.finish() is recorder.summary

    asyncio.run(record())


def test_calls_that_wait_end_when_the_recorder_is_closed(stopped: Server) -> None:
    for call in ("flush", "finish"):
        recorder = ww.Recorder(stopped.url, call)
        recorder.send(1, 2)
        stopped.send_signal(signal.SIGSTOP)
        errors: list[BaseException] = []

        def wait(recorder: ww.Recorder = recorder, call: str = call, errors: list[BaseException] = errors) -> None:
            try:
                getattr(recorder, call)()
            except Exception as raised:
                errors.append(raised)

        thread = threading.Thread(target=wait)
        with waiting(recorder) as is_waiting:
            thread.start()
            is_waiting.wait()
            recorder.close()
            thread.join()
        stopped.send_signal(signal.SIGCONT)
        assert [type(error) for error in errors] == [ValueError] and "closed" in str(errors[0])


def test_no_server_is_an_error_after_the_time(nowhere: str) -> None:
    events: list[ww.RecordEvent] = []
    retry_for = 0.3
    while not events:
        with (
            pytest.raises(ww.RecordingError, match="is a server running there"),
            ww.Recorder(nowhere, "a", retry_for=retry_for, on_event=events.append) as recorder,
        ):
            recorder.send(1, 2)
            recorder.flush()
        # Without an event if the time was over before the second try, or before the first call.
        retry_for *= 4
    assert events[0].kind == "retrying" and events[0].reason is not None and events[0].wait_s is not None


def test_a_full_buffer_blocks_and_can_be_interrupted(stopped: Server) -> None:
    points = walk(100_000)
    with ww.Recorder(stopped.url, "a", buffer_points=20_000) as recorder:
        recorder.send(points["lon"][0], points["lat"][0])
        recorder.flush()
        stopped.send_signal(signal.SIGSTOP)
        try:
            interrupted(recorder, lambda: recorder.send(points["lon"][1:], points["lat"][1:]))
            assert recorder.sent_points == 20_001  # one of them is durable
            next_point = points["lon"][20_001], points["lat"][20_001]
            interrupted(recorder, lambda: recorder.send(*next_point))
            interrupted(recorder, recorder.flush)
        finally:
            stopped.send_signal(signal.SIGCONT)
        assert recorder.sent_points == 20_001
        recorder.send(points["lon"][recorder.sent_points :], points["lat"][recorder.sent_points :])
    assert recorder.summary == ww.measure(points["lon"], points["lat"])


def test_cancellation_loses_no_point(stopped: Server) -> None:
    points = walk(100_000)

    async def record() -> ww.Summary | None:
        async with ww.AsyncRecorder(stopped.url, "a", buffer_points=20_000) as recorder:
            await recorder.send(points["lon"][0], points["lat"][0])
            await recorder.flush()
            stopped.send_signal(signal.SIGSTOP)
            ticks = 0
            for call in (
                lambda: recorder.send(points["lon"][1:], points["lat"][1:]),
                lambda: recorder.send(points["lon"][recorder.sent_points], points["lat"][recorder.sent_points]),
                recorder.flush,
                lambda: asyncio.gather(recorder.flush(), recorder.flush()),
            ):
                task = asyncio.ensure_future(call())
                sent = -1
                # Until no more points fit.
                while sent != recorder.sent_points:
                    sent = recorder.sent_points
                    await asyncio.sleep(0.1)
                    ticks += 1
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert recorder.sent_points == 20_001  # one of them is durable
            assert ticks >= 4
            stopped.send_signal(signal.SIGCONT)
            await recorder.send(points["lon"][recorder.sent_points :], points["lat"][recorder.sent_points :])
        return recorder.summary

    assert asyncio.run(record()) == ww.measure(points["lon"], points["lat"])


def test_a_cancelled_end_can_be_awaited_again(stopped: Server) -> None:
    async def record() -> None:
        recorder = ww.AsyncRecorder(stopped.url, "a")
        await recorder.send([1, 2], [3, 4])
        await recorder.flush()
        stopped.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(recorder.finish(), 0.2)
        with pytest.raises(ValueError, match="the recorder is finishing"):
            await recorder.send(1, 2)
        stopped.send_signal(signal.SIGCONT)
        assert await recorder.finish() == ww.measure([1, 2], [3, 4])

    asyncio.run(record())


def test_an_async_recorder_without_a_result(server: Server, name: str) -> None:
    async def record() -> None:
        with pytest.raises(KeyError):
            async with ww.AsyncRecorder(server.url, name) as recorder:
                await recorder.send([1, 2], [3, 4])
                await recorder.flush()
                raise KeyError
        assert recorder.summary is None
        for call in (lambda: recorder.send(1, 2), lambda: recorder.send([1], [2]), recorder.flush, recorder.finish):
            with pytest.raises(ValueError, match="closed"):
                await call()
        async with ww.AsyncRecorder(server.url, name) as recorder:
            await recorder.send([1, 2, 3], [3, 4, 5])
        assert recorder.summary == ww.measure([1, 2, 3], [3, 4, 5])
        other = ww.AsyncRecorder(server.url, name)
        await other.send([1, 2, 9], [3, 4, 9])
        with pytest.raises(ww.RecordingError, match="are different"):
            await other.finish()

    asyncio.run(record())


class PollingLoop(asyncio.SelectorEventLoop):
    """A loop that cannot watch file descriptors."""

    def add_reader(self, *_: Any) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("loop", [asyncio.SelectorEventLoop, PollingLoop])
def test_many_async_recorders_at_once(server: Server, name: str, loop: type[asyncio.AbstractEventLoop]) -> None:
    async def record(index: int) -> None:
        points = walk(20_000, index)
        events: list[ww.RecordEvent] = []
        async with ww.AsyncRecorder(
            server.url, f"{name}-{index}", buffer_points=5_000, on_event=events.append
        ) as recorder:
            for start in range(0, 20_000, 5_000):
                await recorder.send(**part(points, start, start + 5000))
            # Two tasks wait at the same time.
            await asyncio.gather(recorder.flush(), recorder.flush())
        assert recorder.summary == ww.measure(**points)
        assert events[-1].committed_points == 20_000

    async def record_all() -> None:
        await asyncio.gather(*map(record, range(20)))

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(record_all())


def test_threads_can_share_a_recorder(server: Server, name: str) -> None:
    with ww.Recorder(server.url, name) as recorder:

        def send() -> None:
            for _ in range(500):
                recorder.send([1, 1], [2, 2])
                recorder.send(1, 2)

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert recorder.summary is not None and recorder.summary.points == 6000


@pytest.mark.parametrize("attempt", range(10))
def test_no_point_is_lost_when_the_recording_is_finished_during_a_send(server: Server, name: str, attempt: int) -> None:
    recorder = ww.Recorder(server.url, name)
    errors: list[str] = []

    def send(kind: int) -> None:
        try:
            while True:
                if kind == 0:
                    recorder.send(1, 2)
                else:
                    recorder.send([1] * 50, [2] * 50)
        except ValueError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=send, args=(kind,)) for kind in range(3)]
    for thread in threads:
        thread.start()
    while recorder.sent_points < 500 * attempt:
        threads[0].join(0.001)
    summary = recorder.finish()
    for thread in threads:
        thread.join()
    assert recorder.sent_points == recorder.committed_points == summary.points
    assert all(re.fullmatch("the recorder is finish(ing|ed); it takes no more points", error) for error in errors)
    assert len(errors) == 3


def test_the_queue_takes_no_points_after_its_end(server: Server, name: str) -> None:
    recorder = ww.Recorder(server.url, name)
    recorder.send(1, 2)
    core = recorder._core
    core.end()
    columns = (np.array([1.0]), np.array([2.0]), None, None, None)
    is_finished = False
    # The first pass is before the recording is finished or after it: both refuse points.
    while not is_finished:
        is_finished = core.is_finished()
        with pytest.raises(ValueError, match="it takes no more points"):
            core.push_one(1, 2, np.iinfo(np.int64).min, np.nan, np.nan)
        with pytest.raises(ValueError, match="it takes no more points"):
            core.push(*columns, 0)
    assert recorder.sent_points == recorder.finish().points == 1


def test_a_send_that_waits_is_finished_or_ends_when_the_recorder_is_closed(stopped: Server) -> None:
    points = walk(100_000)
    for end in ("finish", "close"):
        recorder = ww.Recorder(stopped.url, end, buffer_points=20_000)
        recorder.send(1, 2)
        recorder.flush()
        stopped.send_signal(signal.SIGSTOP)
        errors: list[BaseException] = []

        def send(recorder: ww.Recorder = recorder, errors: list[BaseException] = errors) -> None:
            try:
                recorder.send(points["lon"], points["lat"])
            except (ValueError, ww.RecordingError) as error:
                errors.append(error)

        thread = threading.Thread(target=send)
        thread.start()
        while recorder.sent_points < 20_001:  # one of them is durable
            thread.join(0.01)
        ender = threading.Thread(target=getattr(recorder, end))
        ender.start()
        # The server does not answer yet, so that the task neither reads points nor ends.
        while recorder.state == "open":
            ender.join(0.01)
        stopped.send_signal(signal.SIGCONT)
        thread.join()
        ender.join()
        if end == "finish":
            # It waits for the array.
            assert errors == [] and recorder.summary is not None and recorder.summary.points == 100_001
        else:
            assert len(errors) == 1 and recorder.sent_points < 100_001


@pytest.mark.parametrize("origin", ["event", "signal"])
@pytest.mark.parametrize("call", ["array", "point", "finish"])
def test_a_thread_does_not_wait_for_its_own_send(stopped: Server, origin: str, call: str) -> None:
    points = walk(100_000)
    errors: list[str] = []
    calls: dict[str, Callable[[], object]] = {
        "array": lambda: recorder.send([1, 2], [3, 4]),
        "point": lambda: recorder.send(1, 2),
        "finish": lambda: recorder.finish(),
    }

    def send_again(*_: object) -> None:
        if not recorder._lock._is_owned():  # type: ignore[attr-defined]
            return  # send() does not wait yet
        if origin == "signal":
            if recorder.sent_points < 20_001:  # one of them is durable
                return
            signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            calls[call]()
        except RuntimeError as error:
            errors.append(str(error))
        stopped.send_signal(signal.SIGCONT)

    recorder = ww.Recorder(stopped.url, "a", buffer_points=20_000)
    recorder.send(points["lon"][0], points["lat"][0])
    recorder.flush()
    before = signal.signal(signal.SIGALRM, send_again)
    try:
        if origin == "event":
            recorder._on_event = send_again
        else:
            stopped.send_signal(signal.SIGSTOP)
            signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        recorder.send(points["lon"][1:], points["lat"][1:])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    recorder._on_event = None
    assert any("while another send() of the same thread waits" in error for error in errors)
    recorder.send([1, 2], [3, 4])  # the lock is free
    assert recorder.finish().points == recorder.sent_points >= 100_001


def traced(call: Callable[[], object], codes: set[types.CodeType], on_line: Callable[[int], object]) -> None:
    """Call a function, and `on_line` with a number before each line of code objects, where signal handlers can run."""
    count = 0

    def trace(frame: types.FrameType, event: str, _: object) -> Any:
        nonlocal count
        if event == "line" and frame.f_code in codes:
            on_line(count)
            count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)


LOCKED = ww.Recorder._locked.__wrapped__.__code__  # type: ignore[attr-defined]
ENDING = ww.Recorder._ending.__wrapped__.__code__  # type: ignore[attr-defined]


def test_a_signal_handler_at_any_line_waits_for_no_lock_of_its_thread(server: Server, name: str) -> None:
    recorder = ww.Recorder(server.url, name)
    outcomes: list[str] = []

    def send_again(_: int) -> None:
        try:
            recorder.send([1, 2], [3, 4])
            outcomes.append("sent")
        except RuntimeError:
            outcomes.append("refused")

    traced(lambda: recorder.send([5, 6], [7, 8]), {LOCKED}, send_again)
    assert set(outcomes) == {"sent", "refused"}
    assert recorder.finish().points == recorder.sent_points == 2 + 2 * outcomes.count("sent")


def test_finish_can_be_interrupted_at_any_line(server: Server, name: str) -> None:
    points = walk(20)
    states: list[str] = []

    def interrupt_at(number: int) -> bool:
        recorder = ww.Recorder(server.url, f"{name}-{number}")
        recorder.send(**points)

        def interrupt(count: int) -> None:
            if count == number:
                raise KeyboardInterrupt

        try:
            traced(recorder.finish, {ENDING, ww.Recorder.finish.__code__}, interrupt)
        except KeyboardInterrupt:
            assert recorder._state == ("finishing" if recorder._core.is_ended else "open") or recorder.summary
            states.append(recorder._state)
            if recorder._state == "open":
                recorder.send(1, 2)
                assert recorder.finish().points == 21
            else:
                assert recorder.finish() == ww.measure(**points)
            return True
        assert recorder.summary == ww.measure(**points)
        return False

    number = 0
    while interrupt_at(number):
        number += 1
    assert {"open", "finishing"} <= set(states)


def exit_code_of_child(run: Callable[[], object]) -> int:
    """Call a function in a child process, and return 0 unless it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            run()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_process_does_not_wait_for_a_lock_of_its_parent(stopped: Server) -> None:
    points = walk(100_000)
    recorder = ww.Recorder(stopped.url, "a", buffer_points=20_000)
    recorder.send(1, 2)
    recorder.flush()
    stopped.send_signal(signal.SIGSTOP)
    thread = threading.Thread(target=recorder.send, args=(points["lon"], points["lat"]))
    thread.start()
    while recorder.sent_points < 10_000:  # the thread adds points, and has the lock
        thread.join(0.01)

    def send_in_child() -> None:
        # Ends a child that waits for the lock.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(300)
        with pytest.raises(RuntimeError, match="create a recorder after the fork"):
            recorder.send([1, 2], [3, 4])

    assert exit_code_of_child(send_in_child) == 0
    stopped.send_signal(signal.SIGCONT)
    thread.join()
    assert recorder.finish().points == 100_001


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_process_makes_its_own_recorder(server: Server, name: str) -> None:
    def use_recorders() -> None:
        for call in (lambda: recorder.send(1, 2), recorder.flush, recorder.close):
            with pytest.raises(RuntimeError, match="create a recorder after the fork"):
                call()
        with ww.Recorder(server.url, f"{name}-child") as own:
            own.send([1, 2, 3], [3, 4, 5])
        assert own.summary == ww.measure([1, 2, 3], [3, 4, 5])

    with ww.Recorder(server.url, name) as recorder:
        recorder.send([1, 2], [3, 4])
        recorder.flush()
        assert exit_code_of_child(use_recorders) == 0
        recorder.send(5, 6)
    assert recorder.summary == ww.measure([1, 2, 5], [3, 4, 6])


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise SystemExit(3)", "os.kill(os.getpid(), signal.SIGINT)"])
def test_the_interpreter_ends_with_open_recorders(server: Server, name: str, end: str) -> None:
    code = f"""
import asyncio, os, signal, sys, waywiser
open_recorders = [waywiser.Recorder(sys.argv[1], f"{{sys.argv[2]}}-{{i}}", on_event=print) for i in range(4)]
for recorder in open_recorders:
    recorder.send([1, 2], [3, 4])
open_recorders.append(waywiser.AsyncRecorder(sys.argv[1], sys.argv[2] + "-a", on_event=print))
asyncio.run(open_recorders[-1].send([1, 2] * 20000, [3, 4] * 20000))
{end}
"""
    for warning in ("error::DeprecationWarning", "error", "always"):
        command = [sys.executable, "-W", warning, "-c", code, server.url, name]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == {"": 0, "os.kill(os.getpid(), signal.SIGINT)": -signal.SIGINT}.get(end, 3)
        assert "panicked" not in run.stderr and "FATAL" not in run.stderr and "Fatal" not in run.stderr
        if warning == "error::DeprecationWarning":
            assert run.stderr == "" or "KeyboardInterrupt" in run.stderr
        else:
            assert "ResourceWarning: <Recorder " in run.stderr


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, and the certificates of a server and of a client."""
    folder = tmp_path_factory.mktemp("pki")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(folder, "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2")
    for role, alternative in (("server", "IP:127.0.0.1"), ("client", "DNS:van-7.example.org")):
        (folder / "extensions").write_text(f"subjectAltName={alternative}")
        openssl(folder, "req", *curve, "-keyout", f"{role}.key", "-out", f"{role}.csr", "-subj", f"/CN={role}")
        openssl(
            folder, "x509", "-req", "-in", f"{role}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{role}.pem", "-days", "2", "-extfile", "extensions",
        )  # fmt: skip
    return folder


def tls_server(folder: Path, pki: Path, *arguments: str) -> Server:
    certificate = ["--tls-cert", str(pki / "server.pem"), "--tls-key", str(pki / "server.key")]
    return Server(folder, *certificate, *arguments, scheme="https")


def record(url: str, name: str, **arguments: Any) -> ww.Summary | None:
    with ww.Recorder(url, name, **arguments) as recorder:
        recorder.send([1, 2], [3, 4])
    return recorder.summary


def test_tls_and_tokens(tmp_path: Path, pki: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    command = [os.environ["WAYWISER"], "token", "new", "--name", "van", "--append", str(tokens)]
    token = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    (tmp_path / "token").write_text(token + "\n")
    expected = ww.measure([1, 2], [3, 4])
    ca = pki / "ca.pem"
    with tls_server(tmp_path, pki, "--tokens", str(tokens)) as server:
        assert record(server.url, "a", ca=ca, token=token) == expected
        assert record(server.url, "b", ca=ca.read_bytes(), token_file=tmp_path / "token") == expected
        assert record(server.url, "c", ca=str(ca), token=token, headers={"x-request-source": "test"}) == expected
        with pytest.raises(ValueError, match="set the token as a token") as raised:
            record(server.url, "d", ca=ca, headers={"authorization": f"Bearer {token}"})
        assert token not in str(raised.value)
        with pytest.raises(ww.RecordingError, match="Unauthenticated"):
            record(server.url, "d", ca=ca, token="other")
        with pytest.raises(ww.RecordingError, match="Unauthenticated"):
            record(server.url, "d", ca=ca)
        events: list[ww.RecordEvent] = []
        with pytest.raises(ww.RecordingError, match=r"unknown CA; .* \(ca\)"):
            record(server.url, "d", token=token, retry_for=2, on_event=events.append)
        assert all("--" not in str(event.reason) for event in events)
        with pytest.raises(ww.RecordingError):
            record(server.url.replace("https", "http"), "d", token=token, retry_for=2)


def test_client_certificates(tmp_path: Path, pki: Path) -> None:
    expected = ww.measure([1, 2], [3, 4])
    ca, certificate, key = (pki / name for name in ("ca.pem", "client.pem", "client.key"))
    with tls_server(tmp_path, pki, "--tls-client-ca", str(ca)) as server:
        assert record(server.url, "a", ca=ca, client_cert=certificate, client_key=key) == expected
        pem = certificate.read_bytes(), key.read_bytes()
        assert record(server.url, "b", ca=ca, client_cert=pem[0], client_key=pem[1]) == expected
        with pytest.raises(ww.RecordingError) as raised:
            record(server.url, "c", ca=ca, retry_for=2)
        assert "--" not in str(raised.value) and "FILE" not in str(raised.value)
