"""Recordings on a server, which survive lost connections, restarted servers and restarted programs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ._recorder_arguments import is_scalar
from ._recorder_base import BaseRecorder, RecordEvent
from ._waywiser import RecordingError

if TYPE_CHECKING:
    from ._summary import Summary

__all__ = ["AsyncRecorder", "RecordEvent", "Recorder", "RecordingError"]

#: The longest time in seconds between two checks for signals.
_WAIT_S = 0.1
#: The time in seconds between two checks for changes, in daemon threads, and in event loops that cannot watch a file
#: descriptor.
_POLL_S = 0.02


class Recorder(BaseRecorder):
    """Record a path on a server, point by point or in arrays.

    The recording survives lost connections and restarts of the server: points
    stay in memory until they are durable, and are sent again where needed. The
    lengths have the same bits as those of one uninterrupted recording.

    Use it in a `with` statement. At its end the recording is finished, and
    `summary` has the result. If the block raises an exception, the recording
    stays unfinished. A new recorder with the same name and options resumes it:
    it sends the same points from the first one on, and those that the server
    has already are compared and not sent.

    Parameters
    ----------
    url : str
        The server with the scheme, such as "https://paths.example.org" or
        "http://127.0.0.1:50051".
    name : str
        The name of the recording, such as "van-7" (which is "paths/van-7") or
        "namespaces/acme/paths/van-7".
    token, token_file : str, path or None
        The bearer token, or a file with it, which is read again when it
        changes. Sent over https only, except to this machine.
    ca : path, bytes or None
        CA certificates to trust instead of those of the system: a PEM file, or
        its content as bytes.
    client_cert, client_key : path, bytes or None
        The certificate and the key of the client in PEM. Files are read again
        for each connection.
    headers : mapping of str to str or None
        Headers to send with each call.
    retry_for : float or datetime.timedelta
        How long to retry while no point becomes durable, in seconds. With 0
        nothing is retried. A server that accepts the connection always has at
        least 5 s to answer.
    buffer_points : int
        The maximum number of points in memory: those that `send` has accepted
        and that are not durable, whether or not the server can be reached.
        `send` waits when it is reached. A point takes 80 to 160 bytes.
    on_event : callable or None
        Called with a `RecordEvent` for each change, one after the other, by a
        thread that uses the recorder, during its calls. While a `send` waits
        for space, it must not call `send` or `finish`, which raise RuntimeError
        then. The call raises the exceptions of on_event: `sent_points` has the
        number of points that were added before.
    metric : {"geodesic", "haversine", "planar"}
        The geodesic on WGS84, the great circle on a sphere, or the straight
        line in the unit of x and y.
    on_invalid : {"raise", "split", "skip"}
        For positions that are missing or out of range: raise ValueError, join
        no leg over them, or join a leg over them.
    **options
        The options of `measure`, such as preset, max_speed or min_step.

    Raises
    ------
    ValueError
        If an argument is not valid.
    TypeError
        If an argument has a wrong type, or an option is unknown.

    Notes
    -----
    Methods raise `RecordingError` after the recording has failed: the server
    refuses it, another client writes it, the points differ from those of the
    recording, or no point became durable for `retry_for`. Each further call
    raises the same error.

    A recorder that is deleted without `finish` or `close` gives a
    ResourceWarning, and its points that are not durable are lost. The end of
    the program loses them too.

    A recorder may be used by several threads. After a fork, the child process
    cannot use the recorders of its parent, and can create its own.
    """

    def _prepare(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.close()
        elif self._state in ("open", "finishing"):
            self.finish()

    def send(self, lon: Any, lat: Any, time: Any = None, elevation: Any = None, accuracy: Any = None) -> None:
        """Add one point, or the points of arrays. Waits while the buffer is full.

        All points are checked before the first one is added. The points of an
        array stay together: those of other threads wait for its end. The arrays
        must not change until `send` returns. If an exception such as
        KeyboardInterrupt interrupts the wait, a part of the points was added,
        which `sent_points` shows.

        Parameters
        ----------
        lon, lat : float or array_like
            Longitudes and latitudes on WGS84 in degrees; arrays of int32 have
            units of 1e-7 degree. With metric="planar": x and y.
        time : datetime, datetime64, float or array_like, optional
            Times: datetime (without a time zone in UTC), datetime64, timestamps
            of pandas or Arrow, or seconds since 1970.
        elevation, accuracy : float or array_like, optional
            Elevations and accuracy radii in metres. NaN is missing.

        Raises
        ------
        ValueError
            If a point is not valid, with its index, or if the recorder is
            closed.
        TypeError
            If an argument is neither a number nor an array.
        RecordingError
            If the recording has failed.
        RuntimeError
            If on_event or a signal handler calls it while another `send` of the
            same thread waits, or in a child process.
        """
        self._check_open()
        if is_scalar(lon):
            point = self._point(lon, lat, time, elevation, accuracy)
            self._deliver()
            if not self._core.push_one(*point):
                with self._locked():
                    self._wait_for(self._adding_point(point))
        else:
            columns = self._columns(lon, lat, time, elevation, accuracy)
            self._deliver()
            with self._locked():
                self._wait_for(self._adding(columns))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the recorder, so that the points of one array are consecutive."""
        # Raises in a child process after a fork: a thread that only the parent has may hold the lock.
        _ = self._core.version
        # A signal handler runs between two instructions of its thread. With another variable for the owner, it could find
        # the lock taken and the variable not set, and would wait for its own thread.
        if self._lock._is_owned():  # type: ignore[attr-defined]
            raise RuntimeError(
                "on_event or a signal handler has called send() or finish() while another send() of the same thread "
                "waits for space; call it after that send() has returned"
            )
        with self._lock:
            yield

    def flush(self) -> None:
        """Make all points durable that were sent before, and wait for it.

        Without it, a server makes points durable once a second by default. Each
        flush costs the server a commit.

        Points that the server has from an earlier recorder are already durable.
        The server keeps totals, so they are compared when as many points have
        been sent, or by `finish`. While fewer have been sent, `flush` returns
        without a comparison.

        Raises
        ------
        ValueError
            If the recorder is closed.
        RecordingError
            If the recording has failed.
        """
        self._wait_for(self._flushing())
        self._deliver()

    def finish(self) -> Summary:
        """Finish the recording, wait for the result and return it.

        Returns
        -------
        Summary
            The lengths of the path.

        Raises
        ------
        ValueError
            If the recorder was closed before.
        RecordingError
            If the recording has failed.
        """
        with self._ending(), self._locked():
            self._core.end()
        self._wait_for(self._finishing())
        self._deliver()
        return self._result()

    def close(self) -> None:
        """Stop without finishing the recording. Points that are not durable are lost.

        Does nothing after `finish`, and after the recording has failed.
        """
        self._wait_for(self._closing())

    def _wait_for(self, steps: Generator[int]) -> None:
        # Python ends daemon threads when the interpreter ends. It must not do so within a call of Rust code that waits.
        is_daemon = threading.current_thread().daemon
        with contextlib.closing(steps):
            for seen in steps:
                self._deliver()
                if is_daemon:
                    time.sleep(_POLL_S)
                else:
                    self._core.wait(seen, _WAIT_S)


class AsyncRecorder(BaseRecorder):
    """Record a path on a server from a coroutine. The arguments are those of `Recorder`.

    Use it in an `async with` statement, in one event loop. Methods wait without
    blocking the loop. Cancelling a method loses no point that was accepted:
    `sent_points` has their number.

    The points of an array are converted, checked and queued without a pause of
    the coroutine, which takes about 25 ns for each point. Send long arrays in
    parts, so that other tasks run in between.
    """

    _has_wakeup_fd = True

    #: A file descriptor that becomes readable when the core changes. A socket object in a reference cycle could be
    #: finalised before the recorder closes it, and would give a ResourceWarning.
    _wakeup: int | None = None

    def _prepare(self) -> None:
        self._lock = asyncio.Lock()
        self._waiters: set[asyncio.Future[None]] = set()
        self._wakeup = self._core.wakeup_fd
        if self._wakeup is not None:
            os.set_blocking(self._wakeup, False)

    def _release(self) -> None:
        if self._wakeup is not None:
            os.close(self._wakeup)
            self._wakeup = None

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            await self.close()
        elif self._state in ("open", "finishing"):
            await self.finish()

    async def send(self, lon: Any, lat: Any, time: Any = None, elevation: Any = None, accuracy: Any = None) -> None:
        """Add one point, or the points of arrays. Waits while the buffer is full. See `Recorder.send`."""
        self._check_open()
        if is_scalar(lon):
            point = self._point(lon, lat, time, elevation, accuracy)
            self._deliver()
            if not self._core.push_one(*point):
                async with self._lock:
                    await self._wait_for(self._adding_point(point))
        else:
            columns = self._columns(lon, lat, time, elevation, accuracy)
            self._deliver()
            async with self._lock:
                await self._wait_for(self._adding(columns))

    async def flush(self) -> None:
        """Make all points durable that were sent before, and wait for it. See `Recorder.flush`."""
        await self._wait_for(self._flushing())
        self._deliver()

    async def finish(self) -> Summary:
        """Finish the recording, wait for the result and return it. See `Recorder.finish`.

        If it is cancelled, the recording may be finished later; call it again
        for the result.
        """
        with self._ending():
            async with self._lock:
                self._core.end()
        await self._wait_for(self._finishing())
        self._deliver()
        return self._result()

    async def close(self) -> None:
        """Stop without finishing the recording. Points that are not durable are lost. See `Recorder.close`."""
        await self._wait_for(self._closing())

    async def _wait_for(self, steps: Generator[int]) -> None:
        with contextlib.closing(steps):
            for seen in steps:
                self._deliver()
                await self._wait(seen)
        if not self._waiters and not self._core.is_running:
            self._release()

    async def _wait(self, seen: int) -> None:
        loop = asyncio.get_running_loop()
        wakeup = self._wakeup
        if wakeup is None:
            return await asyncio.sleep(_POLL_S)
        if not self._waiters:
            try:
                loop.add_reader(wakeup, self._wake)
            except NotImplementedError:
                return await asyncio.sleep(_POLL_S)
        waiter = loop.create_future()
        self._waiters.add(waiter)
        try:
            if self._core.version == seen:
                await waiter
        finally:
            self._waiters.discard(waiter)
            if not self._waiters:
                loop.remove_reader(wakeup)

    def _wake(self) -> None:
        """Read the bytes of the changes, and resume the coroutines that wait."""
        assert self._wakeup is not None
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wakeup, 4096):
                pass
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
