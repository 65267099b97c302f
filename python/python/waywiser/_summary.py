"""The summary of a path."""

from __future__ import annotations

import datetime
import html
import textwrap
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """An estimate of a true length, and its 90 % interval.

    Attributes
    ----------
    length_m : float
        The estimate in metres.
    low_m, high_m : float
        The ends of the interval in metres.
    """

    length_m: float
    low_m: float
    high_m: float


class Bounds(NamedTuple):
    """A bounding box.

    Attributes
    ----------
    min_x, min_y : float
        West and south in degrees, or the smallest x and y. If the box crosses
        the antimeridian, the western longitude is larger than the eastern one.
    max_x, max_y : float
        East and north in degrees, or the largest x and y.
    """

    min_x: float
    min_y: float
    max_x: float
    max_y: float


class AscentMethod(NamedTuple):
    """How ascent and descent were computed.

    Attributes
    ----------
    smoothing_s : float
        The time over which elevations are averaged, in seconds.
    threshold : float
        The smallest climb that counts, in metres or in the unit of x and y.
    """

    smoothing_s: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Rejection:
    """The points that were rejected for one reason.

    Attributes
    ----------
    reason : str
        The reason: one of the keys of Summary.rejections.
    count : int
        The number of points.
    first_offset : int
        The smallest index of them in the path, from 0.
    rejected_length : float
        The length that their rejection removes, in metres or in the unit of x
        and y.
    """

    reason: str
    count: int
    first_offset: int
    rejected_length: float


class Stop(NamedTuple):
    """A place where the path stood still.

    Attributes
    ----------
    longitude_deg, latitude_deg : float
        The position in degrees.
    arrival_time, departure_time : numpy.datetime64
        The start and the end of the stop in UTC, in nanoseconds.
    """

    longitude_deg: float
    latitude_deg: float
    arrival_time: np.datetime64
    departure_time: np.datetime64


class Trip(NamedTuple):
    """The part of a path between two stops, or between a stop and an end.

    Attributes
    ----------
    start_time, end_time : numpy.datetime64
        The times of the first and the last point in UTC, in nanoseconds.
    start_longitude_deg, start_latitude_deg, end_longitude_deg, end_latitude_deg : float
        The positions of the first and the last point in degrees.
    estimate : Estimate
        The estimate of the true length.
    """

    start_time: np.datetime64
    end_time: np.datetime64
    start_longitude_deg: float
    start_latitude_deg: float
    end_longitude_deg: float
    end_latitude_deg: float
    estimate: Estimate


class Window(NamedTuple):
    """The part of a path in an hour, day, week, month or year.

    Attributes
    ----------
    start, end : datetime.datetime
        The start of the window, and the start of the next one, with the offset
        of the time zone.
    length : float
        The length in metres (length_m) or in the unit of x and y.
    points : int
        The number of accepted points.
    """

    start: datetime.datetime
    end: datetime.datetime
    length: float
    points: int

    @property
    def length_m(self) -> float:
        """The length in metres."""
        return self.length


class PlanarWindow(Window):
    """The part of a planar path in an hour, day, week, month or year.

    Attributes
    ----------
    start, end : datetime.datetime
        As in Window.
    length : float
        The length in the unit of x and y.
    points : int
        The number of accepted points.
    """

    __slots__ = ()

    @property
    def length_m(self) -> float:
        """A planar path has no length in metres."""
        raise AttributeError(_planar("length"))


def _planar(name: str) -> str:
    """Return the message for a value of a planar path in metres."""
    return f"a planar path has no {name}_{_UNITS[name]}; use {name}, in the unit of x and y"


class UnusedOption(NamedTuple):
    """An option that had no effect, because no point has the data that it needs.

    Attributes
    ----------
    option : str
        The name of the argument. The options of a preset have their own names,
        such as max_speed.
    missing : {"time", "elevation", "accuracy"}
        The data that no point has.
    """

    option: str
    missing: str


#: Maximum width of the text of a summary.
_COLUMNS = 80

#: The data that options need, with articles.
_ARTICLES = {"time": "a time", "elevation": "an elevation", "accuracy": "an accuracy"}

#: The names that have a unit for geographic paths.
_UNITS = {
    "length": "m",
    "raw_length": "m",
    "length_3d": "m",
    "displacement": "m",
    "gap_length": "m",
    "max_speed": "mps",
    "ascent": "m",
    "descent": "m",
    "raw_ascent": "m",
    "raw_descent": "m",
    "undated_length": "m",
    "rejected_length": "m",
    "threshold": "m",
}


@dataclass(frozen=True, slots=True, repr=False)
class Summary:
    """The summary of a path: the result of measure(), Track.measure(),
    Fold.summary() and recordings.

    Lengths are in metres and speeds in metres per second. With metric="planar"
    they are in the unit of x and y. Names with a unit, such as length_m, are
    for geographic paths only; those without, such as length, are for all paths.
    Values that are not available are None.

    Attributes
    ----------
    model : {"geodesic", "haversine", "planar"}
        The metric.
    points : int
        The number of points, including rejected and invalid ones.
    segments : int
        The number of segments of accepted points.
    accepted : int
        The number of points that were not rejected.
    length : float
        The length of the accepted points in metres (length_m) or in the unit of
        x and y. It is rounded once from the exact sum of the legs.
    raw_length : float
        The length of all points with a valid position, without filters, in
        metres (raw_length_m) or in the unit of x and y.
    length_3d : float or None
        The length in three dimensions in metres (length_3d_m) or in the unit of
        x and y, with elevation_mode="3d".
    displacement : float
        The distance from the first accepted point to the last in metres
        (displacement_m) or in the unit of x and y.
    gap_length : float
        The sum of the distances over the gaps between segments that
        max_gap_time, max_gap and reanchor_count have started, in metres
        (gap_length_m) or in the unit of x and y. Segments of files, of
        Fold.end_segment() and of on_invalid="split" have no gap.
    elapsed_s : float or None
        The time from the earliest to the latest point in seconds. Points that a
        filter rejects do not count, except those that min_step rejects. None
        without times.
    moving_s : float or None
        The time of the legs that are not slower than stopped_speed, in seconds.
        Each moment counts once.
    max_speed : float or None
        The highest average speed over at least 5 s of consecutive legs, in
        metres per second (max_speed_mps) or in the unit of x and y per second.
    ascent, descent : float or None
        The sums of all climbs and of all descents in metres (ascent_m,
        descent_m) or in the unit of x and y, after smoothing and above the
        threshold. Both are positive.
    raw_ascent, raw_descent : float or None
        The sums of all rises and of all falls in metres (raw_ascent_m,
        raw_descent_m) or in the unit of x and y, without smoothing and
        threshold. Both are positive.
    ascent_method : AscentMethod or None
        How ascent and descent were computed.
    bounds : Bounds or None
        The bounding box of the path of the accepted points; None without one. A
        long leg can leave the box of its ends: the shortest line between two
        points of a parallel is nearer to the pole.
    estimate : Estimate or None
        The estimate of the true length with its 90 % interval. None if it was
        not requested, or if no segment has two accepted points with times that
        increase: times that decrease give no estimate.
    stop_count, trip_count : int or None
        The numbers of stops and of trips; None without an estimate.
    stopped_s : float or None
        The sum of the durations of the stops in seconds; None without an
        estimate.
    stops : tuple of Stop, or None
        The latest stops, at most 1000; None without an estimate or with
        trips=False.
    trips : tuple of Trip, or None
        The latest trips, at most 1000; None without an estimate or with
        trips=False.
    rejections : dict of str to Rejection
        The rejected points by reason: backward_time, accuracy, speed, step,
        invalid_position, late, zero_position, duplicate. Reasons without points
        are left out.
    unused_options : tuple of UnusedOption
        The options that had no effect, because no point has the data that they
        need.
    window_unit : {"hour", "day", "week", "month", "year"} or None
        The period of the windows; None without the argument `every`.
    window_time_zone : str or None
        The time zone of the windows.
    windows : tuple of Window, or None
        The lengths by time, in the order of time. They sum to the length with
        undated_length and earlier_windows, exactly and in any order. None
        without the argument `every`, and if windows_dropped is True.
    windows_dropped : bool
        Whether the path has too many windows (more than 100 000), or its times
        go back and forth over too many, so that there are none.
        keep_latest_windows keeps the latest ones.
    undated_length : float or None
        The length of the legs whose ends have no time, in metres
        (undated_length_m) or in the unit of x and y; None if windows is None.
    earlier_windows : Window or None
        The sum of the windows before the latest ones, with keep_latest_windows.
    """

    model: str
    points: int
    segments: int
    accepted: int
    length: float
    raw_length: float
    length_3d: float | None
    displacement: float
    gap_length: float
    elapsed_s: float | None
    moving_s: float | None
    max_speed: float | None
    ascent: float | None
    descent: float | None
    raw_ascent: float | None
    raw_descent: float | None
    ascent_method: AscentMethod | None
    bounds: Bounds | None
    estimate: Estimate | None
    stop_count: int | None
    trip_count: int | None
    stopped_s: float | None
    stops: tuple[Stop, ...] | None
    trips: tuple[Trip, ...] | None
    rejections: dict[str, Rejection]
    unused_options: tuple[UnusedOption, ...]
    window_unit: str | None
    window_time_zone: str | None
    windows: tuple[Window, ...] | None
    windows_dropped: bool
    undated_length: float | None
    earlier_windows: Window | None
    _keeps_latest: bool
    _is_estimate_requested: bool

    def _in_metres(self, name: str) -> Any:
        if self.model == "planar":
            raise AttributeError(_planar(name))
        return getattr(self, name)

    @property
    def length_m(self) -> float:
        """The length in metres."""
        return self._in_metres("length")  # type: ignore[no-any-return]

    @property
    def raw_length_m(self) -> float:
        """The length of all points in metres, without filters."""
        return self._in_metres("raw_length")  # type: ignore[no-any-return]

    @property
    def length_3d_m(self) -> float | None:
        """The length in three dimensions in metres."""
        return self._in_metres("length_3d")  # type: ignore[no-any-return]

    @property
    def displacement_m(self) -> float:
        """The distance from the first point to the last in metres."""
        return self._in_metres("displacement")  # type: ignore[no-any-return]

    @property
    def gap_length_m(self) -> float:
        """The sum of the distances over gaps in metres."""
        return self._in_metres("gap_length")  # type: ignore[no-any-return]

    @property
    def max_speed_mps(self) -> float | None:
        """The highest average speed over at least 5 s, in metres per second."""
        return self._in_metres("max_speed")  # type: ignore[no-any-return]

    @property
    def ascent_m(self) -> float | None:
        """The ascent in metres."""
        return self._in_metres("ascent")  # type: ignore[no-any-return]

    @property
    def descent_m(self) -> float | None:
        """The descent in metres."""
        return self._in_metres("descent")  # type: ignore[no-any-return]

    @property
    def raw_ascent_m(self) -> float | None:
        """The sum of all rises in metres."""
        return self._in_metres("raw_ascent")  # type: ignore[no-any-return]

    @property
    def raw_descent_m(self) -> float | None:
        """The sum of all falls in metres."""
        return self._in_metres("raw_descent")  # type: ignore[no-any-return]

    @property
    def undated_length_m(self) -> float | None:
        """The length of the legs whose ends have no time, in metres."""
        return self._in_metres("undated_length")  # type: ignore[no-any-return]

    @property
    def estimated_length_m(self) -> float | None:
        """The estimate of the true length in metres."""
        return self.estimate.length_m if self.estimate else None

    @property
    def estimated_length_low_m(self) -> float | None:
        """The lower end of the 90 % interval of the estimate in metres."""
        return self.estimate.low_m if self.estimate else None

    @property
    def estimated_length_high_m(self) -> float | None:
        """The upper end of the 90 % interval of the estimate in metres."""
        return self.estimate.high_m if self.estimate else None

    @property
    def bbox(self) -> Bounds | None:
        """The bounding box of the path, as bounds."""
        return self.bounds

    def _named(self, name: str) -> str:
        return f"{name}_{_UNITS[name]}" if name in _UNITS and self.model != "planar" else name

    def to_dict(self) -> dict[str, Any]:
        """Return the values that are available as a dict for JSON.

        The keys are those of `waywiser measure --json`. Differences:
        unused_options has the options that had no effect (they are notes of
        the command line), and without an estimate there are no stops and
        trips.
        """
        row: dict[str, Any] = {"points": self.points, "segments": self.segments}
        for name in ("length", "displacement"):
            row[self._named(name)] = getattr(self, name)
        row["model"] = self.model
        row["bbox"] = list(self.bounds) if self.bounds else None
        row["accepted"] = self.accepted
        for name in ("raw_length", "length_3d", "elapsed_s", "moving_s", "max_speed", "ascent", "descent"):
            row[self._named(name)] = getattr(self, name)
        row["rejections"] = [
            {
                "reason": rejection.reason,
                "count": rejection.count,
                "first_offset": rejection.first_offset,
                self._named("rejected_length"): rejection.rejected_length,
            }
            for rejection in self.rejections.values()
        ]
        for name in ("gap_length", "raw_ascent", "raw_descent"):
            row[self._named(name)] = getattr(self, name)
        row |= _of_estimate(self.estimate)
        row |= {"stop_count": self.stop_count, "trip_count": self.trip_count, "stopped_s": self.stopped_s}
        if self.ascent_method is not None:
            method = self.ascent_method
            row["ascent_method"] = {
                "smoothing_s": method.smoothing_s,
                self._named("threshold"): method.threshold,
            }
        row = {name: value for name, value in row.items() if value is not None or name == "bbox"}
        if self.stops is not None:
            row["stops"] = [_stop_row(stop) for stop in self.stops]
        if self.trips is not None:
            row["trips"] = [_trip_row(trip) for trip in self.trips]
        if self.window_unit is not None:
            row["window_unit"] = self.window_unit
            row["window_time_zone"] = self.window_time_zone
            row["windows"] = None if self.windows is None else [self._window_row(window) for window in self.windows]
            row[self._named("undated_length")] = self.undated_length
            if self._keeps_latest:
                earlier = self.earlier_windows
                row["earlier_windows"] = None if earlier is None else self._window_row(earlier)
        if self.unused_options:
            row["unused_options"] = [unused._asdict() for unused in self.unused_options]
        return row

    def _window_row(self, window: Window) -> dict[str, Any]:
        return {
            "start": _rfc3339(window.start),
            "end": _rfc3339(window.end),
            self._named("length"): window.length,
            "points": window.points,
        }

    def _lines(self) -> list[tuple[str, str]]:
        """Return the names and values that are available, without empty lists."""
        lines = []
        values = self.to_dict()
        if self._is_estimate_requested and self.estimate is None:
            values["estimate"] = None
        for name, value in values.items():
            if name == "windows" and self.windows_dropped:
                text = "None, because there are too many; use keep_latest_windows"
            elif name == "estimate":
                has_times = all(unused.missing != "time" for unused in self.unused_options)
                reason = "no segment has two points with increasing times" if has_times else "no point has a time"
                text = f"None, because {reason}"
            elif name in ("rejections", "stops", "trips", "windows", "unused_options"):
                if not value:
                    continue
                if name == "unused_options":
                    text = ", ".join(
                        f"{option} (no point has {_ARTICLES[missing]})" for option, missing in self.unused_options
                    )
                elif name == "rejections":
                    text = ", ".join(f"{entry['count']} {entry['reason']}" for entry in value)
                else:
                    text = f"{len(value)} {name}" if len(value) != 1 else f"1 {name[:-1]}"
            else:
                text = repr(value)
            lines.append((name, text))
        return lines

    def __repr__(self) -> str:
        lines = self._lines()
        start = max(len(name) for name, _ in lines) + 4
        rows = ["Summary"]
        for name, text in lines:
            first = f"  {name}".ljust(start)
            rows += textwrap.wrap(
                first + text,
                _COLUMNS,
                subsequent_indent=" " * start,
                drop_whitespace=True,
                break_long_words=False,
                break_on_hyphens=False,
            )
        return "\n".join(rows)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
            for name, text in self._lines()
        )
        return f"<table>{rows}</table>"


def _of_estimate(estimate: Estimate | None) -> dict[str, float]:
    if estimate is None:
        return {}
    return {
        "estimated_length_m": estimate.length_m,
        "estimated_length_low_m": estimate.low_m,
        "estimated_length_high_m": estimate.high_m,
    }


def _stop_row(stop: Stop) -> dict[str, Any]:
    return {
        "longitude_deg": stop.longitude_deg,
        "latitude_deg": stop.latitude_deg,
        "arrival_time": _rfc3339_ns(stop.arrival_time),
        "departure_time": _rfc3339_ns(stop.departure_time),
    }


def _trip_row(trip: Trip) -> dict[str, Any]:
    row = {
        "start_time": _rfc3339_ns(trip.start_time),
        "end_time": _rfc3339_ns(trip.end_time),
        "start_longitude_deg": trip.start_longitude_deg,
        "start_latitude_deg": trip.start_latitude_deg,
        "end_longitude_deg": trip.end_longitude_deg,
        "end_latitude_deg": trip.end_latitude_deg,
    }
    return row | _of_estimate(trip.estimate)


def _rfc3339(time: datetime.datetime) -> str:
    """Format a time as the command line does: with the offset of the zone, or in UTC if the offset has seconds."""
    offset = time.utcoffset() or datetime.timedelta(0)
    if offset.total_seconds() % 60 != 0:
        time = time.astimezone(datetime.UTC)
    return time.isoformat().replace("+00:00", "Z")


def _rfc3339_ns(time: np.datetime64) -> str:
    text = str(time)
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "Z"


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def _window(values: tuple[int, int, tuple[int, int], float, int], kind: type[Window]) -> Window:
    start_s, end_s, offsets_s, length, points = values
    start, end = (
        (_EPOCH + datetime.timedelta(seconds=time)).astimezone(datetime.timezone(datetime.timedelta(seconds=offset)))
        for time, offset in zip((start_s, end_s), offsets_s)
    )
    return kind(start, end, length, points)


def _time(unix_ns: int) -> np.datetime64:
    return np.datetime64(unix_ns, "ns")


def from_values(values: dict[str, Any]) -> Summary:
    """Return the summary of the values of the extension module."""
    has_lists = values.pop("has_trip_lists")
    stops = tuple(Stop(x, y, _time(arrival), _time(departure)) for x, y, arrival, departure in values.pop("stops"))
    trips = tuple(
        Trip(_time(start), _time(end), first[0], first[1], last[0], last[1], Estimate(*estimate))
        for start, end, first, last, estimate in values.pop("trips")
    )
    rejections = {entry[0]: Rejection(*entry) for entry in values.pop("rejections")}
    windows = values.pop("windows", None)
    for name, kind in (("ascent_method", AscentMethod), ("bounds", Bounds), ("estimate", Estimate)):
        if values[name] is not None:
            values[name] = kind(*values[name])
    of_windows: dict[str, Any] = {
        "window_unit": None,
        "window_time_zone": None,
        "windows": None,
        "windows_dropped": False,
        "undated_length": None,
        "earlier_windows": None,
        "_keeps_latest": False,
    }
    if windows is not None:
        kind_of_window = PlanarWindow if values["model"] == "planar" else Window
        of_windows["window_unit"] = windows["unit"]
        of_windows["window_time_zone"] = windows["zone"]
        of_windows["_keeps_latest"] = windows["keep_latest"]
        of_windows["windows_dropped"] = windows["windows"] is None
        if windows["windows"] is not None:
            of_windows["windows"] = tuple(_window(each, kind_of_window) for each in windows["windows"])
            of_windows["undated_length"] = windows["undated_length"]
        if windows["earlier"] is not None:
            of_windows["earlier_windows"] = _window(windows["earlier"], kind_of_window)
    return Summary(
        stops=stops if has_lists else None,
        trips=trips if has_lists else None,
        rejections=rejections,
        unused_options=tuple(UnusedOption(*entry) for entry in values.pop("unused_options")),
        **values,
        **of_windows,
    )
