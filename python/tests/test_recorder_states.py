"""The states of recorders, and what they do without a server: full buffers, flushes, warnings and errors."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import waywiser as ww
from servers import Proxy, Server, needs_program
from test_recorder import part, walk
from waiting import interrupted

pytestmark = needs_program


@pytest.fixture
def lazy(tmp_path: Path) -> Iterator[Server]:
    """A server that commits points once an hour, if no client asks for it."""
    with Server(tmp_path, "--checkpoint-interval", "1h") as server:
        yield server


@pytest.fixture
def proxy(lazy: Server) -> Iterator[Proxy]:
    """A proxy whose address stays the same when the server is started again."""
    with Proxy(lazy, 1, 1 << 60) as proxy:
        yield proxy


@pytest.mark.parametrize("capacity", [1, 1000, 150_000])
def test_the_buffer_takes_its_points_while_no_server_is_reachable(lazy: Server, proxy: Proxy, capacity: int) -> None:
    points = walk(capacity + 100)
    lazy.kill()
    with ww.Recorder(proxy.url, "a", buffer_points=capacity) as recorder:
        recorder.send(**part(points, 0, capacity // 2))
        for index in range(capacity // 2, min(capacity, capacity // 2 + 500)):
            recorder.send(**{key: values[index] for key, values in points.items()})
        recorder.send(**part(points, recorder.sent_points, capacity))
        assert (recorder.sent_points, recorder.committed_points) == (capacity, 0)
        rest = part(points, capacity)
        interrupted(recorder, lambda: recorder.send(**rest))
        interrupted(recorder, lambda: recorder.send(*(rest[key][0] for key in ("lon", "lat"))))
        assert recorder.sent_points == capacity
        lazy.start()
        recorder.send(**rest)
    assert recorder.summary == ww.measure(**points)


def test_the_buffer_of_an_async_recorder_takes_its_points(lazy: Server, proxy: Proxy) -> None:
    points = walk(40_000)

    async def record() -> ww.Summary | None:
        lazy.kill()
        async with ww.AsyncRecorder(proxy.url, "a", buffer_points=30_000) as recorder:
            await recorder.send(**part(points, 0, 30_000))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(recorder.send(**part(points, 30_000)), 0.3)
            assert recorder.sent_points == 30_000
            lazy.start()
            await recorder.send(**part(points, 30_000))
        return recorder.summary

    assert asyncio.run(record()) == ww.measure(**points)


def test_the_buffer_is_full_when_the_server_hangs(lazy: Server) -> None:
    points = walk(60_000)
    with ww.Recorder(lazy.url, "a", buffer_points=50_000) as recorder:
        recorder.send(**part(points, 0, 10))
        recorder.flush()
        lazy.send_signal(signal.SIGSTOP)
        recorder.send(**part(points, 10, 50_010))
        interrupted(recorder, lambda: recorder.send(**part(points, 50_010)))
        assert (recorder.sent_points, recorder.committed_points) == (50_010, 10)
        lazy.send_signal(signal.SIGCONT)
        recorder.send(**part(points, 50_010))
    assert recorder.summary == ww.measure(**points)


def test_the_buffer_is_bounded_while_the_points_of_an_earlier_recorder_are_compared(lazy: Server, proxy: Proxy) -> None:
    points = walk(60_000)
    recorder = ww.Recorder(proxy.url, "a")
    recorder.send(**part(points, 0, 50_000))
    recorder.flush()
    recorder.close()
    lazy.send_signal(signal.SIGSTOP)
    with ww.Recorder(proxy.url, "a", buffer_points=1_000) as recorder:
        recorder.send(**part(points, 0, 1_000))
        interrupted(recorder, lambda: recorder.send(**part(points, 1_000)))
        assert recorder.sent_points == 1_000
        lazy.send_signal(signal.SIGCONT)
        recorder.send(**part(points, 1_000))
    assert recorder.summary == ww.measure(**points)


def test_a_flush_does_not_wait_for_the_next_commit_of_the_server(lazy: Server) -> None:
    points = walk(3_000)
    with ww.Recorder(lazy.url, "a") as recorder:
        recorder.flush()
        for start in range(0, 2_000, 100):
            recorder.send(**part(points, start, start + 100))
            recorder.flush()
            assert recorder.committed_points == start + 100
            recorder.flush()
        recorder.send(**part(points, 2_000))
    assert recorder.summary == ww.measure(**points)

    async def record() -> ww.Summary | None:
        async with ww.AsyncRecorder(lazy.url, "b") as recorder:
            for start in range(0, 3_000, 100):
                await recorder.send(**part(points, start, start + 100))
                await asyncio.gather(recorder.flush(), recorder.flush())
                assert recorder.committed_points == start + 100
        return recorder.summary

    assert asyncio.run(record()) == recorder.summary


def test_a_full_buffer_does_not_wait_for_the_next_commit_of_the_server(lazy: Server) -> None:
    points = walk(20_000)
    with ww.Recorder(lazy.url, "a", buffer_points=1_000) as recorder:
        recorder.send(**points)
    assert recorder.summary == ww.measure(**points)


def test_the_states_of_a_recording(lazy: Server) -> None:
    recorder = ww.Recorder(lazy.url, "a")
    assert (recorder.state, recorder.closed, repr(recorder)) == ("open", False, "<Recorder 'a': open>")
    recorder.send(1, 2)
    recorder.flush()
    lazy.send_signal(signal.SIGSTOP)
    interrupted(recorder, recorder.finish)
    assert (recorder.state, recorder.closed, repr(recorder)) == ("finishing", True, "<Recorder 'a': finishing>")
    with pytest.raises(ValueError, match="the recorder is finishing; it takes no more points"):
        recorder.send(1, 2)
    lazy.send_signal(signal.SIGCONT)
    recorder.finish()
    recorder.close()
    assert (recorder.state, recorder.closed, repr(recorder)) == ("finished", True, "<Recorder 'a': finished>")
    recorder = ww.Recorder(lazy.url, "b")
    recorder.close()
    assert (recorder.state, recorder.closed, repr(recorder)) == ("closed", True, "<Recorder 'b': closed>")


def test_the_end_of_a_block_waits_for_a_result_that_was_interrupted(lazy: Server) -> None:
    async def record() -> ww.Summary | None:
        async with ww.AsyncRecorder(lazy.url, "b") as recorder:
            await recorder.send(1, 2)
            await recorder.flush()
            lazy.send_signal(signal.SIGSTOP)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(recorder.finish(), 0.3)
            lazy.send_signal(signal.SIGCONT)
        return recorder.summary

    with ww.Recorder(lazy.url, "a") as recorder:
        recorder.send(1, 2)
        recorder.flush()
        lazy.send_signal(signal.SIGSTOP)
        interrupted(recorder, recorder.finish)
        lazy.send_signal(signal.SIGCONT)
    assert asyncio.run(record()) == recorder.summary == ww.measure([1], [2])


def test_every_call_raises_the_error_of_a_failed_recording(nowhere: str) -> None:
    recorder = ww.Recorder(nowhere, "a", retry_for=0.1)
    with pytest.raises(ww.RecordingError, match=r"no point became durable for (0\.[1-9]|[1-9][0-9.]*) s") as first:
        recorder.send(1, 2)  # raises the error already if this thread was slow
        recorder.flush()
    calls = (
        lambda: recorder.send(1, 2),
        lambda: recorder.send([1], [2]),
        recorder.flush,
        recorder.finish,
        recorder.__enter__,
    )
    for _ in range(2):
        for call in calls:
            with pytest.raises(ww.RecordingError) as raised:
                call()
            assert str(raised.value) == str(first.value)
        recorder.close()
        assert (recorder.state, recorder.closed, recorder.summary) == ("failed", True, None)
        assert repr(recorder) == "<Recorder 'a': failed>"

    async def record() -> None:
        recorder = ww.AsyncRecorder(nowhere, "a", retry_for=0)
        with pytest.raises(ww.RecordingError) as first:
            await recorder.finish()
        calls = (lambda: recorder.send(1, 2), lambda: recorder.send([1], [2]), recorder.flush, recorder.__aenter__)
        for call in calls:
            with pytest.raises(ww.RecordingError) as raised:
                await call()
            assert str(raised.value) == str(first.value)
        await recorder.close()
        assert repr(recorder) == "<AsyncRecorder 'a': failed>"

    asyncio.run(record())


def test_a_failure_is_visible_without_a_call(nowhere: str) -> None:
    recorder = ww.Recorder(nowhere, "a", retry_for=0)
    while recorder.state == "open":
        recorder._core.wait(recorder._core.version, 0.05)
    assert recorder.state == "failed" and recorder.closed and "failed" in repr(recorder)


def test_the_end_of_a_block_raises_the_error_of_a_recording(lazy: Server) -> None:
    def wait_for_failure(recorder: ww.Recorder) -> None:
        while not recorder.closed:
            recorder._core.wait(recorder._core.version, 0.05)

    with ww.Recorder(lazy.url, "a") as recorder:
        recorder.send(1, 2)
        recorder.flush()
        recorder.close()

    def failed() -> None:
        recorder.send(50, 60)  # the server has another point
        wait_for_failure(recorder)

    with pytest.raises(ww.RecordingError, match="are different"), ww.Recorder(lazy.url, "a") as recorder:
        failed()
    with ww.Recorder(lazy.url, "a") as recorder:
        failed()
        recorder.close()
    assert recorder.state == "failed"
    with pytest.raises(KeyError), ww.Recorder(lazy.url, "a") as recorder:
        failed()
        raise KeyError
    with pytest.raises(ww.RecordingError), ww.Recorder(lazy.url, "b", retry_for=0) as recorder:
        lazy.kill()
        wait_for_failure(recorder)


@pytest.mark.parametrize("kind", [ww.Recorder, ww.AsyncRecorder])
def test_a_recorder_that_is_not_closed_gives_a_warning(lazy: Server, kind: Any) -> None:
    recorder = kind(lazy.url, "a")
    text = f"<{kind.__name__} 'a': open> was not closed, .* call finish\\(\\) or close\\(\\)"
    with pytest.warns(ResourceWarning, match=text):
        del recorder
        gc.collect()


@pytest.mark.parametrize("end", ["finish", "close", "fail"])
def test_a_recorder_that_has_ended_gives_no_warning(lazy: Server, nowhere: str, end: str) -> None:
    def record() -> None:
        recorder = ww.Recorder(nowhere, "a", retry_for=0) if end == "fail" else ww.Recorder(lazy.url, "a")
        if end == "fail":
            with pytest.raises(ww.RecordingError):
                recorder.flush()
                recorder.finish()
        else:
            getattr(recorder, end)()

    async def record_async() -> None:
        recorder = ww.AsyncRecorder(nowhere, "b", retry_for=0) if end == "fail" else ww.AsyncRecorder(lazy.url, "b")
        if end == "fail":
            with pytest.raises(ww.RecordingError):
                await recorder.finish()
        else:
            await getattr(recorder, end)()

    def fail() -> None:
        with pytest.raises(ValueError):
            ww.Recorder("nonsense", "a")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for call in (record, lambda: asyncio.run(record_async()), fail):
            call()
            gc.collect()


def test_a_recorder_is_not_copied(lazy: Server) -> None:
    with ww.Recorder(lazy.url, "a") as recorder:
        for call in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="a Recorder cannot be copied or pickled; create one in each process"):
                call(recorder)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_process_shows_a_recorder_of_its_parent_without_a_warning(lazy: Server) -> None:
    code = """
import gc, os, sys, waywiser
recorder = waywiser.Recorder(sys.argv[1], "a")
recorder.send(1, 2)
child = os.fork()
if child == 0:
    assert repr(recorder) == "<Recorder 'a': belongs to the parent process>", repr(recorder)
    del recorder
    gc.collect()
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(recorder.finish().points)
"""
    command = [
        sys.executable,
        "-W",
        "always::ResourceWarning",
        "-W",
        "ignore::DeprecationWarning",
        "-c",
        code,
        lazy.url,
    ]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "1\n", "")


@pytest.mark.parametrize("kind", ["thread", "daemon", "send", "coroutine"])
def test_the_interpreter_ends_while_a_call_waits(nowhere: str, kind: str) -> None:
    code = """
import asyncio, os, signal, sys, threading, time, waywiser
url, kind = sys.argv[1:]
# Only the thread waits for the end of its call.
options = {"retry_for": 2} if kind == "thread" else {}
recorder = (waywiser.AsyncRecorder if kind == "coroutine" else waywiser.Recorder)(url, "a", buffer_points=10, **options)

def send():
    try:
        recorder.send([1] * 20, [2] * 20)
    except waywiser.RecordingError as error:
        print("failed", flush=True)

def interrupt(*_):
    if recorder.sent_points == 10:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt

if kind == "coroutine":
    async def main():
        asyncio.create_task(recorder.send([1] * 20, [2] * 20))
        while recorder.sent_points < 10:
            await asyncio.sleep(0.01)
    asyncio.run(main())
elif kind == "send":
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    recorder.send([1] * 20, [2] * 20)
else:
    thread = threading.Thread(target=send, daemon=kind == "daemon")
    thread.start()
    while recorder.sent_points < 10 and thread.is_alive():
        time.sleep(0.01)
"""
    run = subprocess.run([sys.executable, "-c", code, nowhere, kind], capture_output=True, text=True)
    assert "panicked" not in run.stderr and "Fatal" not in run.stderr, run.stderr
    assert run.returncode == (-signal.SIGINT if kind == "send" else 0), run.stderr
    assert run.stdout == ("failed\n" if kind == "thread" else "")
