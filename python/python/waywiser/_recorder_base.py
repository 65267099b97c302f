"""What the recorders with and without asyncio have in common."""

from __future__ import annotations

import collections
import contextlib
import datetime
import os
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, Unpack

from . import _arrays, _times, _waywiser
from ._recorder_arguments import (
    check_pem,
    check_type,
    checked_buffer_points,
    coordinate,
    is_scalar,
    number,
    scalar_time,
    seconds,
    shown,
)
from ._waywiser import RecordingError

if TYPE_CHECKING:
    from ._summary import Summary
    from ._types import Metric, OnInvalid, Options


class RecordEvent(NamedTuple):
    """A progress event of a recording.

    Attributes
    ----------
    kind : {"connected", "committed", "retrying"}
        A stream is about to continue after the durable points, more points are
        durable, or the stream was lost and will be opened again.
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


class Columns(NamedTuple):
    """The points of a call. The columns are arrays of one length."""

    lon: Any
    lat: Any
    time: Any
    elevation: Any
    accuracy: Any


class BaseRecorder:
    """A recorder without the methods that wait.

    A generator of this class does a step of the work, and yields a version of
    the core when it has to wait until the version changes. The classes differ
    in how they wait.
    """

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
        for key, text in (("url", url), ("name", name), ("metric", metric), ("on_invalid", on_invalid)):
            check_type(key, text, str, "a str")
        check_type("token", token, str | None, "a str")
        check_type("token_file", token_file, str | os.PathLike | None, "the path of a file")
        for key, pem in (("ca", ca), ("client_cert", client_cert), ("client_key", client_key)):
            check_pem(key, pem)
        check_type("headers", headers, Mapping | None, "a mapping of str to str")
        for header, value in (headers or {}).items():
            check_type("a name in headers", header, str, "a str")
            check_type(f"the header {header!r}", value, str, "a str")
        if on_event is not None and not callable(on_event):
            raise TypeError(f"on_event has the type {type(on_event).__name__}; use a function of one RecordEvent")
        connection = {
            "token": token,
            "token_file": token_file,
            "ca": ca,
            "client_cert": client_cert,
            "client_key": client_key,
            "headers": dict(headers or {}),
        }
        self._state = "open"
        self._core = _waywiser.RecorderCore(
            url,
            name,
            connection,
            seconds(retry_for),
            checked_buffer_points(buffer_points),
            self._has_wakeup_fd,
            metric,
            on_invalid,
            dict(options),
        )
        self._name = name
        self._is_planar = metric == "planar"
        self._on_event = on_event
        self._events: collections.deque[RecordEvent] = collections.deque()
        self._is_delivering = False
        self._summary: Summary | None = None
        self._prepare()

    def _prepare(self) -> None:
        """Prepare what only one class of recorders needs."""

    def _release(self) -> None:
        """Release what `_prepare` has opened."""

    def __repr__(self) -> str:
        try:
            state: str = self.state
        except RuntimeError:
            state = "belongs to the parent process"
        return f"<{type(self).__name__} {self._name!r}: {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be copied or pickled; create one in each process")

    def __del__(self, _warn: Any = warnings.warn) -> None:
        self._release()
        # Without the attribute if the constructor has raised an exception.
        core = getattr(self, "_core", None)
        if core is not None and self._state != "closed" and core.is_running:
            _warn(
                f"{self!r} was not closed, and its points that are not durable are lost; "
                "use a with statement, or call finish() or close()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

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
    def state(self) -> Literal["open", "finishing", "finished", "closed", "failed"]:
        """The state.

        - open: `send` accepts points.
        - finishing: `finish` was called, and the result has not arrived.
        - finished: `summary` has the result.
        - closed: `close` was called before the recording was finished.
        - failed: the recording has failed. `send`, `flush` and `finish` raise
          its RecordingError.
        """
        if self._state in ("open", "finishing"):
            try:
                self._take_result()
            except RecordingError:
                # A close() of another thread ends the task with an error.
                return "closed" if self._state == "closed" else "failed"
        return self._state  # type: ignore[return-value]

    @property
    def closed(self) -> bool:
        """Whether the recorder takes no more points: its state is not "open"."""
        return self.state != "open"

    def _check(self) -> None:
        """Raise the error of a recorder that has failed or was closed."""
        self._check_not_closed()
        try:
            self._core.is_finished()  # raises the error of the recording
        except RecordingError:
            self._check_not_closed()  # a close() of another thread ends the task with an error
            raise

    def _check_not_closed(self) -> None:
        if self._state == "closed":
            raise ValueError("the recorder is closed, and the recording was not finished")

    def _check_open(self) -> None:
        self._check()
        if self._state != "open":
            raise ValueError(f"the recorder is {self._state}; it takes no more points")

    def _take_result(self) -> None:
        """Store the summary if the recording is finished. Raises the error of a recording that has failed."""
        summary = self._core.result()
        if summary is not None:
            self._summary, self._state = summary, "finished"

    def _deliver(self) -> None:
        """Pass the events to the callback. Those after an exception of the callback are passed later.

        Does nothing while another call passes events, such as the one whose callback has made this call.
        """
        if self._on_event is None or self._is_delivering:
            return
        try:
            self._is_delivering = True
            if not self._events:
                self._events.extend(RecordEvent(*event) for event in self._core.take_events())
            while self._events:
                try:
                    event = self._events.popleft()
                except IndexError:  # another thread has taken it
                    return
                self._on_event(event)
        finally:
            self._is_delivering = False

    def _point(self, lon: Any, lat: Any, time: Any, elevation: Any, accuracy: Any) -> tuple[Any, Any, Any, Any, Any]:
        """Return the values of one point for the core."""
        return (
            lon if type(lon) is float else coordinate(lon, "lon", self._is_planar),
            lat if type(lat) is float else coordinate(lat, "lat", self._is_planar),
            scalar_time(time),
            number(elevation, "elevation"),
            number(accuracy, "accuracy"),
        )

    def _adding_point(self, point: tuple[Any, Any, Any, Any, Any]) -> Generator[int]:
        """Add a point when there is space. The caller has the lock, so that no array is being added."""
        self._core.end_array()  # an exception may have prevented the call at the end of an array
        while True:
            seen = self._core.version
            if self._core.push_one(*point):
                return
            yield seen
            self._check()

    def _columns(self, lon: Any, lat: Any, time: Any, elevation: Any, accuracy: Any) -> Columns:
        for key, value in (("lat", lat), ("time", time), ("elevation", elevation), ("accuracy", accuracy)):
            if is_scalar(value) and (key == "lat" or value is not None):
                raise TypeError(f"{key} is {shown(value)}, and lon is an array; pass an array")
        names = ("x", "y") if self._is_planar else ("lon", "lat")
        columns = Columns(
            *_arrays.coordinates(lon, lat, names, self._is_planar),
            None if time is None else _times.unix_ns(time, "time"),
            None if elevation is None else _arrays.column(elevation, "elevation"),
            None if accuracy is None else _arrays.column(accuracy, "accuracy"),
        )
        times = None if columns.time is None else columns.time.view("datetime64[ns]")
        self._core.check(*columns._replace(time=times))
        return columns

    def _adding(self, columns: Columns) -> Generator[int]:
        """Add the points of columns as there is space. Other points wait for the end."""
        start, end = 0, len(columns.lon)
        try:
            self._core.start_array()
            while start < end:
                seen = self._core.version
                start, is_full = self._core.push(*columns, start)
                if is_full:
                    yield seen
                    self._check()
        finally:
            self._core.end_array()

    def _flushing(self) -> Generator[int]:
        """Make all points durable that were sent before."""
        self._check_open()
        points = self._core.sent_points
        self._core.flush(points)
        while True:
            seen = self._core.version
            self._check()
            if self._core.is_durable(points):
                return
            yield seen

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        """Refuse new points while the body of a with statement waits for other calls and ends the queue."""
        self._check()
        before = self._state
        try:
            self._state = "finishing" if before == "open" else before
            yield
        finally:
            # The body may have been interrupted before or after the end of the queue, here or in another call.
            if self._state in ("open", "finishing"):
                self._state = "finishing" if self._core.is_ended else before

    def _finishing(self) -> Generator[int]:
        """Wait for the end of the recording and store its summary."""
        while self._summary is None:
            seen = self._core.version
            self._check()
            try:
                self._take_result()
            except RecordingError:
                self._check_not_closed()
                raise
            if self._summary is None:
                yield seen

    def _closing(self) -> Generator[int]:
        """Reset the stream, unless the recording is finished or has failed."""
        state = self.state
        if state == "failed":
            # The end of a block does not raise the error again.
            self._state = "failed"
        elif state in ("open", "finishing"):
            self._state = "closed"
            while True:
                seen = self._core.version
                if self._core.abort():
                    return
                yield seen

    def _result(self) -> Summary:
        assert self._summary is not None
        return self._summary
