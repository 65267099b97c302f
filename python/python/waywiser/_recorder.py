"""Recordings on a server, which survive lost connections, restarted servers and restarted programs."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, Unpack

import numpy as np

from . import _arrays, _times, _waywiser
from ._waywiser import RecordingError

if TYPE_CHECKING:
    from ._summary import Summary
    from ._types import Metric, OnInvalid, Options

__all__ = ["AsyncRecorder", "RecordEvent", "Recorder", "RecordingError"]

#: The longest time in seconds between two checks for signals.
_WAIT_S = 0.1
#: The time in seconds between two checks for changes, for event loops that cannot watch a file descriptor.
_POLL_S = 0.02
#: The value of NaT.
_NAT = int(np.iinfo(np.int64).min)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


class RecordEvent(NamedTuple):
    """A progress event of a recording.

    Attributes
    ----------
    kind : {"connected", "committed", "retrying"}
        A stream is about to continue after the durable points, more points are durable, or the stream was lost and will
        be opened again.
    committed_points : int or None
        The number of durable points.
    wait_s : float or None
        The wait in seconds before the next stream is opened.
    reason : str or None
        The error of the lost stream.
    """

    kind: str
    committed_points: int | None
    wait_s: float | None
    reason: str | None


class _Columns(NamedTuple):
    """The points of a call. The columns are arrays of one length."""

    lon: Any
    lat: Any
    time: Any
    elevation: Any
    accuracy: Any


class _Base:
    """The common base class of the recorders with and without asyncio."""

    _has_wakeup_fd = False

    def __init__(
        self,
        url: str,
        name: str,
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        ca: str | os.PathLike[str] | bytes | None = None,
        client_cert: str | os.PathLike[str] | bytes | None = None,
        client_key: str | os.PathLike[str] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        retry_for: float | datetime.timedelta = 300.0,
        buffer_points: int = 262_144,
        on_event: Callable[[RecordEvent], object] | None = None,
        metric: Metric = "geodesic",
        on_invalid: OnInvalid = "raise",
        **options: Unpack[Options],
    ) -> None:
        connection = {
            "token": token,
            "token_file": token_file,
            "ca": ca,
            "client_cert": client_cert,
            "client_key": client_key,
            "headers": dict(headers or {}),
        }
        for key, pem in (("ca", ca), ("client_cert", client_cert), ("client_key", client_key)):
            if not isinstance(pem, str | os.PathLike | bytes | None):
                raise TypeError(f"{key} is {pem!r}; use the path of a PEM file, or its content as bytes")
        if isinstance(retry_for, datetime.timedelta):
            retry_for = retry_for.total_seconds()
        self._core = _waywiser.RecorderCore(
            url, name, connection, retry_for, buffer_points, self._has_wakeup_fd, metric, on_invalid, dict(options)
        )
        self._name = name
        self._is_planar = metric == "planar"
        self._on_event = on_event
        self._summary: Summary | None = None
        self._state = "open"
        self._prepare()

    def _prepare(self) -> None:
        """Prepare what only one class of recorders needs."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name!r}: {self._state}>"

    @property
    def name(self) -> str:
        """The name of the recording."""
        return self._name

    @property
    def sent_points(self) -> int:
        """The number of points that `send` has accepted."""
        return self._core.sent_points

    @property
    def committed_points(self) -> int:
        """The number of points that are durable on the server, also those of an earlier recorder."""
        return self._core.committed_points

    @property
    def summary(self) -> Summary | None:
        """The summary of the finished recording; None before."""
        return self._summary

    @property
    def closed(self) -> bool:
        """Whether the recorder takes no more points."""
        return self._state != "open"

    def _check_open(self) -> None:
        if self._state != "open":
            raise ValueError(f"the recorder is {self._state}; it takes no more points")

    def _deliver(self) -> None:
        """Pass the events to the callback."""
        if self._on_event is not None:
            for event in self._core.take_events():
                self._on_event(RecordEvent(*event))

    def _push_one(self, lon: float, lat: float, time: Any, elevation: Any, accuracy: Any) -> bool:
        return self._core.push_one(
            np.nan if lon is None else lon,
            np.nan if lat is None else lat,
            _NAT if time is None else time,
            np.nan if elevation is None else elevation,
            np.nan if accuracy is None else accuracy,
        )

    def _columns(self, lon: Any, lat: Any, time: Any, elevation: Any, accuracy: Any) -> _Columns:
        names = ("x", "y") if self._is_planar else ("lon", "lat")
        columns = _Columns(
            *_arrays.coordinates(lon, lat, names, self._is_planar),
            None if time is None else _times.unix_ns(time, "time"),
            None if elevation is None else _arrays.column(elevation, "elevation"),
            None if accuracy is None else _arrays.column(accuracy, "accuracy"),
        )
        times = None if columns.time is None else columns.time.view("datetime64[ns]")
        self._core.check(*columns._replace(time=times))
        return columns

    def _is_committed(self, points: int) -> bool:
        self._core.is_finished()  # raises the error of the recording
        return self._core.committed_points >= points

    def _is_finished(self) -> bool:
        try:
            summary = self._core.result()
        except RecordingError:
            self._state = "failed"
            raise
        if summary is None:
            return False
        self._summary, self._state = summary, "finished"
        return True


class Recorder(_Base):
    """Record a path on a server, point by point or in arrays.

    The recording survives lost connections and restarts of the server: points stay in memory until they are durable,
    and are sent again where needed. The lengths have the same bits as those of one uninterrupted recording.

    Use it in a `with` statement. At its end the recording is finished, and `summary` has the result. If the block
    raises an exception, the recording stays unfinished. A new recorder with the same name and options resumes it: it
    sends the same points from the first one on, and those that the server has already are compared and not sent.

    Parameters
    ----------
    url : str
        The server with the scheme, such as "https://paths.example.org" or "http://127.0.0.1:50051".
    name : str
        The name of the recording, such as "van-7" (which is "paths/van-7") or "namespaces/acme/paths/van-7".
    token, token_file : str, path or None
        The bearer token, or a file with it, which is read again when it changes. Sent over https only, except to this
        machine.
    ca : path, bytes or None
        CA certificates to trust instead of those of the system: a PEM file, or its content as bytes.
    client_cert, client_key : path, bytes or None
        The certificate and the key of the client in PEM. Files are read again for each connection.
    headers : mapping of str to str or None
        Headers to send with each call.
    retry_for : float or datetime.timedelta
        How long to retry while no point becomes durable, in seconds.
    buffer_points : int
        The maximum number of points in memory that are sent and not durable. `send` waits when it is reached. Up to
        33 000 further points wait in front of them.
    on_event : callable or None
        Called with a `RecordEvent` for each change, by the thread that uses the recorder, during its calls. It must not
        call `send` with arrays, which raises RuntimeError during another `send` of arrays.
    metric : {"geodesic", "haversine", "planar"}
        The geodesic on WGS84, the great circle on a sphere, or the straight line in the unit of x and y.
    on_invalid : {"raise", "split", "skip"}
        For positions that are missing or out of range: raise ValueError, join no leg over them, or join a leg over
        them.
    **options
        The options of `measure`, such as preset, max_speed or min_step.

    Raises
    ------
    ValueError
        If an argument is not valid.
    TypeError
        If an option is unknown.

    Notes
    -----
    Methods raise `RecordingError` after the recording has failed: the server refuses it, another client writes it, the
    points differ from those of the recording, or no point became durable for `retry_for`.

    A recorder may be used by several threads. After a fork, the child process cannot use the recorders of its parent,
    and can create its own.
    """

    def _prepare(self) -> None:
        self._lock = threading.Lock()
        self._lock_owner: int | None = None

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.close()
        elif self._state == "open":
            self.finish()

    def send(self, lon: Any, lat: Any, time: Any = None, elevation: Any = None, accuracy: Any = None) -> None:
        """Add one point, or the points of arrays. Waits while the buffer is full.

        All points are checked before the first one is added. If an exception such as KeyboardInterrupt interrupts the
        wait, a part of the points was added, which `sent_points` shows.

        Parameters
        ----------
        lon, lat : float or array_like
            Longitudes and latitudes on WGS84 in degrees; arrays of int32 have units of 1e-7 degree. With
            metric="planar": x and y.
        time : datetime, datetime64, float or array_like, optional
            Times: datetime (without a time zone in UTC), datetime64, timestamps of pandas or Arrow, or seconds since
            1970.
        elevation, accuracy : float or array_like, optional
            Elevations and accuracy radii in metres. NaN is missing.

        Raises
        ------
        ValueError
            If a point is not valid, with its index, or if the recorder is closed.
        RecordingError
            If the recording has failed.
        RuntimeError
            If a callback calls it during a `send` of arrays by the same thread, or in a child process.
        """
        self._check_open()
        if _is_scalar(lon):
            time = _scalar_time(time)
            while True:
                seen = self._core.version
                if self._push_one(lon, lat, time, elevation, accuracy):
                    break
                self._wait(seen)
                self._check_open()
            return self._deliver()
        columns = self._columns(lon, lat, time, elevation, accuracy)
        with self._array_lock():
            start, end = 0, len(columns.lon)
            while start < end:
                seen = self._core.version
                start = self._core.push(*columns, start)
                if start < end:
                    self._wait(seen)
                    self._check_open()
        self._deliver()

    @contextlib.contextmanager
    def _array_lock(self) -> Iterator[None]:
        """Lock the recorder, so that the points of one array are consecutive."""
        # Raises in a child process after a fork: a thread that only the parent has may hold the lock.
        _ = self._core.version
        thread = threading.get_ident()
        if self._lock_owner == thread:
            raise RuntimeError(
                "send() was called by on_event or a signal handler during another send() of the same thread; "
                "collect the points, and send them after that send() has returned"
            )
        with self._lock:
            try:
                self._lock_owner = thread
                yield
            finally:
                self._lock_owner = None

    def flush(self) -> None:
        """Wait until all points that were sent before are durable.

        Points that the server has from an earlier recorder are durable. They are compared with those that are sent when
        as many have been sent.

        Raises
        ------
        ValueError
            If the recorder is closed.
        RecordingError
            If the recording has failed.
        """
        self._check_open()
        points = self._core.sent_points
        while True:
            seen = self._core.version
            if self._is_committed(points):
                break
            self._wait(seen)
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
            If the recorder was closed without a result.
        RecordingError
            If the recording has failed.
        """
        if self._state == "closed":
            raise ValueError("the recorder was closed without finishing the recording")
        if self._state != "finished":
            self._state = "finishing"
            self._core.end()
            while True:
                seen = self._core.version
                if self._is_finished():
                    break
                self._wait(seen)
            self._deliver()
        assert self._summary is not None
        return self._summary

    def close(self) -> None:
        """Stop without finishing the recording. Points that are not durable are lost. Does nothing after finish()."""
        if self._state in ("open", "finishing"):
            self._state = "closed"
            while True:
                seen = self._core.version
                if self._core.abort():
                    break
                self._wait(seen)

    def _wait(self, seen: int) -> None:
        self._deliver()
        self._core.wait(seen, _WAIT_S)


class AsyncRecorder(_Base):
    """Record a path on a server from a coroutine. The arguments are those of `Recorder`.

    Use it in an `async with` statement, in one event loop. Methods wait without blocking the loop. Cancelling a method
    loses no point that was accepted: `sent_points` has their number.
    """

    _has_wakeup_fd = True

    _wakeup: socket.socket | None = None

    def _prepare(self) -> None:
        self._lock = asyncio.Lock()
        self._waiters: set[asyncio.Future[None]] = set()
        wakeup_fd = self._core.wakeup_fd
        if wakeup_fd is not None:
            self._wakeup = socket.socket(fileno=wakeup_fd)
            self._wakeup.setblocking(False)

    def __del__(self) -> None:
        if self._wakeup is not None:
            self._wakeup.close()

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            await self.close()
        elif self._state == "open":
            await self.finish()

    async def send(self, lon: Any, lat: Any, time: Any = None, elevation: Any = None, accuracy: Any = None) -> None:
        """Add one point, or the points of arrays. Waits while the buffer is full. See `Recorder.send`."""
        self._check_open()
        if _is_scalar(lon):
            time = _scalar_time(time)
            while True:
                seen = self._core.version
                if self._push_one(lon, lat, time, elevation, accuracy):
                    break
                await self._wait(seen)
                self._check_open()
            return self._deliver()
        columns = self._columns(lon, lat, time, elevation, accuracy)
        async with self._lock:
            start, end = 0, len(columns.lon)
            while start < end:
                seen = self._core.version
                start = self._core.push(*columns, start)
                if start < end:
                    await self._wait(seen)
                    self._check_open()
        self._deliver()

    async def flush(self) -> None:
        """Wait until all points that were sent before are durable. See `Recorder.flush`."""
        self._check_open()
        points = self._core.sent_points
        while True:
            seen = self._core.version
            if self._is_committed(points):
                break
            await self._wait(seen)
        self._deliver()

    async def finish(self) -> Summary:
        """Finish the recording, wait for the result and return it. See `Recorder.finish`.

        If it is cancelled, the recording may be finished later; call it again for the result.
        """
        if self._state == "closed":
            raise ValueError("the recorder was closed without finishing the recording")
        if self._state != "finished":
            self._state = "finishing"
            self._core.end()
            while True:
                seen = self._core.version
                if self._is_finished():
                    break
                await self._wait(seen)
            self._deliver()
        assert self._summary is not None
        return self._summary

    async def close(self) -> None:
        """Stop without finishing the recording. Points that are not durable are lost. Does nothing after finish()."""
        if self._state in ("open", "finishing"):
            self._state = "closed"
            while True:
                seen = self._core.version
                if self._core.abort():
                    break
                await self._wait(seen)

    async def _wait(self, seen: int) -> None:
        self._deliver()
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
            while self._wakeup.recv(4096):
                pass
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 0
    return isinstance(value, float | int) or not (hasattr(value, "__len__") or _arrays.has_arrow(value))


def _scalar_time(time: Any) -> int | None:
    """Return a time as nanoseconds since 1970."""
    if time is None:
        return None
    if type(time) is datetime.datetime:
        aware = time if time.tzinfo is not None else time.replace(tzinfo=datetime.UTC)
        ns = (aware - _EPOCH) // _MICROSECOND * 1000
        if abs(ns) < 1 << 63:
            return ns
    return int(_times.unix_ns([time], "time")[0])
