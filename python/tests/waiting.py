"""Calls of recorders that wait, and what ends them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator

import pytest
import waywiser as ww


@contextlib.contextmanager
def waiting(recorder: ww.Recorder) -> Iterator[threading.Event]:
    """Yield an event that is set when a call of the recorder waits."""
    is_waiting = threading.Event()
    wait_for = recorder._wait_for

    def observed(steps: Generator[int]) -> Generator[int]:
        with contextlib.closing(steps):
            for seen in steps:
                is_waiting.set()
                yield seen

    recorder._wait_for = lambda steps: wait_for(observed(steps))  # type: ignore[method-assign]
    try:
        yield is_waiting
    finally:
        del recorder._wait_for


def interrupted(recorder: ww.Recorder, call: Callable[[], object]) -> None:
    """Check that a call waits until a signal interrupts it, and that other threads run meanwhile."""
    has_ended = threading.Event()

    def raise_interrupt(*_: object) -> None:
        if not has_ended.is_set():
            raise KeyboardInterrupt

    def interrupt() -> None:
        while not is_waiting.wait(0.05):
            if has_ended.is_set():
                return
        # A call that does not wait for the server ends in this time, and the check fails.
        for _ in range(4):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, raise_interrupt)
    thread = threading.Thread(target=interrupt)
    try:
        with waiting(recorder) as is_waiting:
            thread.start()
            with pytest.raises(KeyboardInterrupt):
                try:
                    call()
                finally:
                    has_ended.set()
            thread.join()
    finally:
        has_ended.set()
        signal.signal(signal.SIGALRM, before)
