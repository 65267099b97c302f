"""measure and Summary: the same bits as the command line, and every type of argument."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import pickle
import re
import struct
import warnings
import zoneinfo

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyproj
import pytest
import waywiser as ww
from geographiclib.geodesic import Geodesic
from hypothesis import given
from hypothesis import strategies as st
from tracks import ROOT, as_row, command_line, hill_walk, walk, write_csv

GEOD = pyproj.Geod(ellps="WGS84")

#: Options in Python, and the same ones on the command line.
OPTIONS = [
    ({}, []),
    *(({"preset": name}, ["--preset", name]) for name in ("walk", "run", "bike", "car", "boat", "flight", "phone")),
    (
        {"preset": "walk", "max_speed": 3, "stopped_speed": 1},
        ["--preset", "walk", "--max-speed", 3, "--stopped-speed", 1],
    ),
    ({"preset": "phone", "reorder": 5}, ["--preset", "phone", "--reorder", 5]),
    ({"preset": "bike", "stopped_speed": 0.3}, ["--preset", "bike", "--stopped-speed", 0.3]),
    ({"preset": "car", "trips": False}, ["--preset", "car", "no trips"]),
    ({"estimate": True}, ["--estimate"]),
    ({"trips": True}, ["--trips"]),
    ({"min_stop_time": 120}, ["--min-stop-time", "2min"]),
    ({"min_stop_time": datetime.timedelta(minutes=5)}, ["--min-stop-time", "5min"]),
    ({"elevation_mode": "3d"}, ["--elevation", "3d"]),
    ({"max_gap_time": 60}, ["--max-gap-time", "60s"]),
    ({"max_gap_time": 0.75}, ["--max-gap-time", "750ms"]),
    ({"max_gap": 100}, ["--max-gap", 100]),
    ({"max_speed": 2.5}, ["--max-speed", 2.5]),
    ({"max_speed": 2.5, "reanchor_count": 2}, ["--max-speed", 2.5, "--reanchor-count", 2]),
    ({"min_step": 4}, ["--min-step", 4]),
    ({"max_accuracy": 40}, ["--max-accuracy", 40]),
    ({"reject_backward_time": True}, ["--reject-backward-time"]),
    ({"reject_zero_position": np.True_}, ["--reject-zero-position"]),
    ({"reorder": 8}, ["--reorder", 8]),
    ({"reorder_time": 10}, ["--reorder-time", "10s"]),
    ({"reorder": np.int64(8), "drop_duplicates": True}, ["--reorder", 8, "--drop-duplicates"]),
    ({"stopped_speed": 1.5}, ["--stopped-speed", 1.5]),
    ({"min_climb": 1}, ["--min-climb", 1]),
    ({"climb_smoothing": 0}, ["--climb-smoothing", "0s"]),
    ({"metric": "haversine", "min_step": np.float32(2)}, ["--model", "haversine", "--min-step", 2]),
    ({"metric": "planar", "max_gap": 1}, ["--model", "planar", "--max-gap", 1]),
    ({"metric": "planar", "stopped_speed": 1e-6}, ["--model", "planar", "--stopped-speed", 1e-6]),
    *(({"every": unit}, ["--by", unit]) for unit in ("hour", "day", "week", "month", "year")),
    (
        {"every": "hour", "timezone": "europe/ljubljana", "preset": "walk"},
        ["--by", "hour", "--timezone", "Europe/Ljubljana", "--preset", "walk"],
    ),
    (
        {"every": "day", "timezone": zoneinfo.ZoneInfo("America/St_Johns"), "metric": "planar"},
        ["--by", "day", "--timezone", "America/St_Johns", "--model", "planar"],
    ),
    ({"every": "day", "timezone": "+05:45"}, ["--by", "day", "--timezone", "+05:45"]),
    ({"every": "hour", "keep_latest_windows": 2}, ["--by", "hour", "--keep-latest-windows=2"]),
    ({"every": "hour", "keep_latest_windows": True}, ["--by", "hour", "--keep-latest-windows"]),
]


def flags_of(flags):
    """Return the flags for the lists of stops and trips that measure() makes by default."""
    if "no trips" in flags:
        return [flag for flag in flags if flag != "no trips"]
    has_estimate = {"--preset", "--estimate", "--min-stop-time", "--trips"} & set(map(str, flags))
    return [*flags, "--trips"] if has_estimate and "--trips" not in flags else flags


@pytest.mark.parametrize("on_invalid", ["skip", "split"])
@pytest.mark.parametrize(("options", "flags"), OPTIONS)
def test_all_options_have_the_bits_of_the_command_line(options, flags, on_invalid, tmp_path):
    columns = walk()
    read = write_csv(tmp_path / "walk.csv", columns)
    (expected,) = command_line(*read, *flags_of(flags), "--on-invalid", on_invalid)
    summary = ww.measure(**columns, on_invalid=on_invalid, **options)
    assert as_row(summary) == expected
    # Also in parts, stored after each of them.
    path = ww.Fold(on_invalid=on_invalid, **options)
    for start in range(0, 1500, 211):
        path.extend(**{name: column[start : start + 211] for name, column in columns.items()})
        path = ww.Fold.from_bytes(bytes(path))
    assert path.summary() == summary


@pytest.mark.parametrize(("options", "flags"), OPTIONS)
def test_the_example_has_the_bits_of_the_command_line(options, flags):
    (expected,) = command_line(ROOT / "examples" / "hill-walk.gpx", *flags_of(flags))
    path = ww.Fold(**options)
    for segment in hill_walk():
        path.end_segment()
        path.extend(**segment)
    assert as_row(path.summary()) == expected


@given(st.lists(st.tuples(st.floats(13.0, 13.4), st.floats(46.0, 46.4)), min_size=2, max_size=60))
def test_the_length_is_that_of_other_libraries(points):
    lon, lat = map(np.array, zip(*points))
    summary = ww.measure(lon, lat)
    # Each end of a leg is rounded by up to 2 nm, and the legs of a path that repeats two points have the same error.
    assert summary.length_m == pytest.approx(GEOD.line_length(lon, lat), rel=1e-12, abs=1e-7 + 4e-9 * len(lon))
    expected = Geodesic.WGS84.Inverse(lat[0], lon[0], lat[-1], lon[-1])["s12"]
    assert summary.displacement_m == pytest.approx(expected, rel=1e-13, abs=3e-8)
    assert struct.pack("<d", summary.length_m) == struct.pack("<d", ww.length(lon, lat))


START = np.datetime64("2024-03-31T00:30:00", "s")


def same_times():
    """Return forms of the same times: one every 20 minutes, with a missing one."""
    seconds = START.astype(np.int64) + np.arange(12) * 1200.0
    seconds[3] = np.nan
    times = seconds.astype("datetime64[s]")
    times[3] = np.datetime64("NaT")
    utc = pd.DatetimeIndex(times.astype("datetime64[ns]")).tz_localize("UTC")
    python = [None if np.isnat(time) else time.item() for time in times]
    aware = [time and time.replace(tzinfo=datetime.UTC) for time in python]
    zone = zoneinfo.ZoneInfo("Asia/Kathmandu")
    forms = {
        "seconds": seconds,
        "list of seconds": [None if np.isnan(time) else time for time in seconds.tolist()],
        "masked": np.ma.masked_array(np.nan_to_num(seconds).astype(np.int64), mask=np.isnan(seconds)),
        "series": pd.Series(times.astype("datetime64[ns]")),
        "aware series": pd.Series(utc.tz_convert("America/New_York"), index=range(5, 17)),
        "aware index": utc.tz_convert("Europe/Ljubljana"),
        "datetimes": python,
        "aware datetimes": aware,
        "datetimes of a zone": [time and time.astimezone(zone) for time in aware],
        "objects": np.array(python, dtype=object),
        "timestamps": list(utc),
        "arrow of seconds": pa.array(seconds, from_pandas=True),
        "arrow dictionary": pa.array(times).dictionary_encode(),
        "arrow chunks": pa.chunked_array([pa.array(times[:5]), pa.array(times[5:])]),
        "big endian": times.astype(">M8[s]"),
        "strided": np.repeat(times.astype("datetime64[ns]"), 2)[::2],
        "reversed": times[::-1].copy()[::-1],
        "column of pandas with Arrow": pd.Series(pa.array(times)).astype(pd.ArrowDtype(pa.timestamp("s"))),
    }
    for unit in ("m", "s", "ms", "us", "ns", "10s"):
        forms[f"datetime64[{unit}]"] = times.astype(f"datetime64[{unit}]")
    for unit in ("s", "ms", "us", "ns"):
        forms[f"arrow {unit}"] = pa.array(times).cast(pa.timestamp(unit))
        forms[f"arrow {unit} of a zone"] = pa.array(times).cast(pa.timestamp(unit, "Asia/Tokyo"))
    return forms


@pytest.mark.parametrize("form", list(same_times()))
def test_every_form_of_times_is_read(form):
    lon = 13 + np.arange(12) / 100
    options = {"every": "hour", "timezone": "Europe/Ljubljana"}
    expected = ww.measure(lon, lon, time=same_times()["seconds"], **options)
    assert ww.measure(lon, lon, time=same_times()[form], **options) == expected
    assert expected.elapsed_s == 11 * 1200
    assert [window.start.isoformat() for window in expected.windows][:2] == [
        "2024-03-31T01:00:00+01:00",
        "2024-03-31T03:00:00+02:00",
    ]


def test_fractions_of_seconds_are_rounded_to_nanoseconds():
    seconds = [1_700_000_000.25, 1_700_000_001.5, -0.5, -1e-9, 0.1]
    lon = np.zeros(5)
    for time in (seconds, np.array(seconds), pa.array(seconds), [np.float64(time) for time in seconds]):
        path = ww.Fold()
        path.extend(lon, lon, time=time)
        exact = ww.Fold()
        ns = [1_700_000_000_250_000_000, 1_700_000_001_500_000_000, -500_000_000, -1, 100_000_000]
        exact.extend(lon, lon, time=np.array(ns, dtype="datetime64[ns]"))
        assert path == exact
    stamp = pd.Timestamp("2024-01-01T00:00:00.123456789")
    path, exact = ww.Fold(), ww.Fold()
    path.extend([1], [1], time=[stamp])
    exact.extend([1], [1], time=np.array([stamp.value], dtype="datetime64[ns]"))
    assert path == exact


OUT_OF_RANGE = {
    "seconds": [0.0, 1e18],
    "negative seconds": [0.0, -1e10],
    "infinite seconds": [0.0, np.inf],
    "milliseconds": np.array([0, 1_700_000_000_000]),
    "unsigned": np.array([0, 2**64 - 1], dtype=np.uint64),
    "years": np.array([0, 2**40], dtype="datetime64[Y]"),
    "days": np.array(["1970-01-01", "1600-01-01"], dtype="datetime64[D]"),
    "datetime64[s]": np.array([0, 2**62], dtype="datetime64[s]"),
    "datetime64[ms]": np.array([0, -(2**62)], dtype="datetime64[ms]"),
    "datetime64[ns]": np.array([0, 2**63 - 1], dtype="datetime64[ns]"),
    "arrow": pa.array([0, 2**62], pa.timestamp("us")),
    "datetimes": [datetime.datetime(2000, 1, 1), datetime.datetime(2300, 1, 1)],
    "objects": np.array([0, 10**30], dtype=object),
}


@pytest.mark.parametrize("form", list(OUT_OF_RANGE))
def test_a_time_out_of_range_is_an_error_with_its_index(form):
    with pytest.raises(ValueError, match=r"index 1.*(not in the years 1678 to 2261)"):
        ww.measure([1, 2], [1, 2], time=OUT_OF_RANGE[form])


@pytest.mark.parametrize(
    "time",
    [
        ["2024-01-01", "2024-01-02"],
        np.array(["a", "b"]),
        [True, False],
        np.array([True, False]),
        [1j, 2j],
        [object(), object()],
        pa.array(["a", "b"]),
        np.array([1, 2], dtype="timedelta64[s]"),
        pa.array([True, False]),
    ],
)
def test_what_is_not_a_time_is_an_error(time):
    with pytest.raises(TypeError, match=r"time.*use datetime64, timestamps of pandas or Arrow, or numbers of seconds"):
        ww.measure([1, 2], [1, 2], time=time)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"max_sped": 3},
            TypeError,
            "measure\\(\\) got an unexpected keyword argument 'max_sped'; did you mean 'max_speed'",
        ),
        ({"acuracy": [1, 2]}, TypeError, "did you mean 'accuracy'"),
        ({"model": "planar"}, TypeError, "did you mean 'metric'"),
        ({"by": "day"}, TypeError, "did you mean 'every'"),
        ({"xyzzy": 1}, TypeError, "the options are preset, estimate"),
        ({"max_speed": "3"}, TypeError, "max_speed must be a number, not str"),
        ({"max_speed": True}, TypeError, "max_speed must be a number, not bool"),
        ({"max_speed": -3}, ValueError, "max_speed is -3, and must be a number above 0"),
        ({"max_speed": np.nan}, ValueError, "max_speed is NaN"),
        ({"max_accuracy": 0}, ValueError, "max_accuracy is 0, and must be"),
        ({"min_climb": -1}, ValueError, "min_climb is -1, and must be"),
        ({"climb_smoothing": 601}, ValueError, "climb_smoothing is 601 s, and must be at most 10 minutes"),
        ({"min_stop_time": 0.5}, ValueError, "min_stop_time is 500000000 ns, and must be at least 1 second"),
        ({"min_stop_time": -5}, ValueError, "min_stop_time is -5, and must be from 0 s"),
        ({"max_gap_time": 0}, ValueError, "max_gap_time is 0 ns, and must be at least 1 ns"),
        ({"max_gap_time": 1e300}, ValueError, "max_gap_time is 1e\\+300, and must be"),
        ({"max_gap_time": datetime.timedelta(-1)}, ValueError, "max_gap_time is -1 day"),
        ({"max_gap_time": datetime.timedelta.max}, ValueError, "max_gap_time is 999999999 days.*584 years"),
        (
            {"max_gap_time": "30s"},
            TypeError,
            "max_gap_time must be a number of seconds or a datetime.timedelta, not str",
        ),
        ({"reorder": 257}, ValueError, "reorder is 257, and must be from 1 to 256"),
        ({"reorder": -1}, ValueError, "reorder is -1"),
        ({"reorder": 1.5}, TypeError, "reorder must be a whole number, not float"),
        ({"reorder_time": 0}, ValueError, "reorder_time is 0"),
        ({"reanchor_count": 17}, ValueError, "reanchor_count is 17, and must be from 1 to 16"),
        ({"drop_duplicates": True}, ValueError, "drop_duplicates compares the points in a buffer; add reorder"),
        ({"estimate": 1}, TypeError, "estimate must be True or False, not int"),
        ({"estimate": False, "trips": True}, ValueError, "estimate is False, but trips"),
        ({"preset": "wlak"}, ValueError, 'preset "wlak" is unknown; use walk, run'),
        ({"preset": 3}, TypeError, "preset must be a text, not int"),
        ({"every": "days"}, ValueError, 'every "days" is unknown; use hour, day'),
        ({"every": "day", "timezone": "Europe/Lubljana"}, ValueError, "timezone: .*did you mean Europe/Ljubljana"),
        ({"timezone": "UTC"}, ValueError, "timezone has no effect without every"),
        ({"keep_latest_windows": 3}, ValueError, "keep_latest_windows has no effect without every"),
        ({"every": "day", "keep_latest_windows": 100_001}, ValueError, "keep_latest_windows is 100001, and must be"),
        ({"elevation_mode": "2d"}, ValueError, 'elevation_mode "2d" is unknown; use ignored or 3d'),
        ({"metric": "flat"}, ValueError, 'metric "flat" is unknown'),
        ({"on_invalid": "drop"}, ValueError, 'on_invalid "drop" is unknown; use raise, split or skip'),
        ({"metric": "planar", "preset": "walk"}, ValueError, "preset is for geographic paths"),
        ({"metric": "planar", "estimate": True}, ValueError, "estimate is for geographic paths"),
        ({"elevation": [1]}, ValueError, "elevation has 1 values for 2 points"),
        ({"elevation": [[1, 2]]}, ValueError, "elevation must have one dimension"),
        ({"elevation": ["a", "b"]}, TypeError, "elevation"),
        ({"accuracy": [1, 2, 3]}, ValueError, "accuracy has 3 values for 2 points"),
        ({"accuracy": [1, -2]}, ValueError, "index 1: accuracy -2 is not a number from 0"),
        ({"elevation": [1, 1e300]}, ValueError, "index 1: elevation"),
        ({"time": [[1, 2]]}, ValueError, "time must have one dimension"),
        ({"time": 5}, TypeError, "time is a number; use an array"),
        ({"time": [1] * 2, "bla": 1}, TypeError, "the options are preset, estimate, trips"),
        ({"time": []}, ValueError, "time has 0 values for 2 points"),
    ],
)
def test_a_wrong_argument_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        ww.measure([1, 2], [1, 2], **arguments)


def test_none_is_an_option_that_is_not_set():
    names = ["preset", "estimate", "trips", "max_speed", "every", "timezone", "reorder", "drop_duplicates"]
    options = dict.fromkeys(names)
    assert ww.measure([1, 2], [1, 2], **options) == ww.measure([1, 2], [1, 2])


def test_points_of_other_types_have_the_same_bits():
    columns = {name: column for name, column in walk(300).items()}
    columns["lat"] = np.nan_to_num(columns["lat"], nan=46.4)
    expected = ww.measure(**columns)
    frame = pd.DataFrame(columns)
    arrow = {name: pa.array(column, from_pandas=True) for name, column in columns.items()}
    strided = {name: np.repeat(column, 3)[::3] for name, column in columns.items()}
    backwards = {name: column[::-1].copy()[::-1] for name, column in columns.items()}
    read_only = {name: column.copy() for name, column in columns.items()}
    for column in read_only.values():
        column.flags.writeable = False
    masked = {name: np.ma.masked_invalid(column) for name, column in columns.items() if name != "time"}
    for other in (dict(frame), arrow, strided, backwards, read_only, masked | {"time": columns["time"]}):
        assert ww.measure(**other) == expected
    e7 = {name: np.round(columns[name] * 1e7).astype(np.int32) for name in ("lon", "lat")}
    rest = {name: columns[name] for name in ("time", "elevation", "accuracy")}
    degrees = {name: column / 1e7 for name, column in e7.items()}
    assert ww.measure(**e7, **rest) == ww.measure(**degrees, **rest)
    points = geopandas.GeoSeries.from_xy(columns["lon"], columns["lat"])
    assert ww.measure(points.x, points.y, **rest) == expected


def test_an_empty_path_and_a_point_have_summaries():
    empty = ww.measure([], [], time=[], elevation=[], accuracy=[], preset="walk", every="day")
    assert (empty.length_m, empty.points, empty.bounds, empty.estimate, empty.windows) == (0, 0, None, None, ())
    assert empty.to_dict()["bbox"] is None
    point = ww.measure([1], [2])
    assert (point.length_m, point.points, point.segments) == (0, 1, 1)
    assert point.bounds == (1, 2, 1, 2)


def test_invalid_positions_raise_split_or_skip():
    lon, lat = [0.0, 1.0, np.nan, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match='index 2: .*use on_invalid="split" or "skip"'):
        ww.measure(lon, lat)
    with pytest.raises(ValueError, match="index 2"):
        ww.measure(lon, lat, preset="walk")
    split = ww.measure(lon, lat, on_invalid="split")
    skip = ww.measure(lon, lat, on_invalid="skip")
    assert (split.segments, skip.segments) == (2, 1)
    assert split.length_m == ww.length(lon, lat, on_invalid="split")
    assert skip.length_m == ww.length([0, 1, 3, 4], [0, 0, 0, 0])
    (rejection,) = skip.rejections.values()
    assert rejection is skip.rejections["invalid_position"]
    assert dataclasses.astuple(rejection) == ("invalid_position", 1, 2, 0.0)


def test_latitudes_that_may_be_longitudes_warn():
    with pytest.raises(ValueError, match="index 0: latitude 120 .*the arguments may be swapped"):
        ww.measure([46, 47], [120, 121])
    with pytest.warns(UserWarning, match="the arguments may be swapped"):
        ww.measure([46, 47], [120, 121], on_invalid="skip")
    path = ww.Fold(on_invalid="split")
    with pytest.warns(UserWarning, match="the arguments may be swapped"):
        path.extend([46, 47], [120, 121])
    (track,) = ww.read(b"lon,lat\n46,120\n47,121\n", metric="planar")
    with pytest.warns(UserWarning, match="the arguments may be swapped") as warned:
        track.measure(metric="geodesic", on_invalid="skip")
    assert warned[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ww.measure([46, 147], [120, 45], on_invalid="skip")


@pytest.mark.parametrize("dtype", [np.int64, np.float64, object])
def test_units_of_1e_7_degree_that_are_not_int32_are_named(dtype):
    lon, lat = (np.array(column).astype(dtype) for column in ([137_000_000, 138_000_000], [460_000_000, 460_001_000]))
    message = "units of 1e-7 degree must have the type int32"
    calls = [
        lambda **options: ww.length(lon, lat, **options),
        lambda **options: ww.legs(lon, lat, **options),
        lambda **options: ww.line_lengths((lon, lat, [0, 2]), **options),
        lambda **options: ww.measure(lon, lat, **options),
        lambda **options: ww.Fold(**options).extend(lon, lat),
        lambda **options: ww.by([1, 1], None, lon, lat, **options),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="index 0.*" + message):
            call()
        with pytest.warns(UserWarning, match=message) as warned:
            call(on_invalid="skip")
        assert warned[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call(metric="planar")
    assert ww.length(lon.astype(np.int32), lat.astype(np.int32)) > 7000


def test_options_without_the_data_that_they_need_are_reported():
    summary = ww.measure([1, 2], [1, 2], preset="walk", elevation_mode="3d", every="day")
    unused = dict(summary.unused_options)
    assert unused["max_speed"] == "time"
    assert unused["max_accuracy"] == "accuracy"
    assert unused["elevation_mode"] == "elevation"
    assert unused["every"] == "time"
    rows = summary.to_dict()["unused_options"]
    assert {row["option"]: row["missing"] for row in rows} == unused
    for text in (" ".join(repr(summary).split()), summary._repr_html_()):
        assert "max_speed (no point has a time)" in text
        assert "elevation_mode (no point has an elevation)" in text
    assert "unused_options" not in ww.measure([1, 2], [1, 2]).to_dict()


def test_without_times_there_are_no_stops():
    names = ("estimate", "stop_count", "trip_count", "stopped_s", "stops", "trips")
    for time in (None, [np.nan, np.nan], [0, np.nan]):
        summary = ww.measure([1, 2], [1, 2], time=time, estimate=True)
        assert [getattr(summary, name) for name in names] == [None] * 6
        assert not set(names) & summary.to_dict().keys()
    row = ww.by(["a", "a"], None, [1, 2], [1, 2], estimate=True, statistics=True).to_pylist()[0]
    assert row["stop_count"] is row["stopped_s"] is row["estimated_length_m"] is None
    summary = ww.measure([1, 2], [1, 2], time=[0, 60], estimate=True)
    assert (summary.stop_count, summary.stops) == (0, ())


def test_windows_that_were_dropped_are_reported():
    columns = {"lon": [1, 2], "lat": [1, 2], "time": [0, 9e9]}
    with pytest.warns(UserWarning, match='every="hour" had no effect: .*100000.*use keep_latest_windows') as warned:
        summary = ww.measure(**columns, every="hour")
    assert warned[0].filename == __file__
    assert summary.windows_dropped
    assert summary.windows is summary.undated_length is None
    assert summary.to_dict()["windows"] is None
    assert "too many; use keep_latest_windows" in repr(summary)
    path = ww.Fold(every="hour")
    path.extend(**columns)
    with pytest.warns(UserWarning, match="keep_latest_windows"):
        assert path.summary() == summary
    latest = ww.measure(**columns, every="hour", keep_latest_windows=5)
    assert latest.windows and not latest.windows_dropped
    assert not ww.measure(**columns).windows_dropped
    assert not ww.measure(**columns, every="year").windows_dropped


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        (datetime.UTC, "UTC"),
        (datetime.timezone(datetime.timedelta(hours=2)), "+02:00"),
        (datetime.timezone(datetime.timedelta(hours=-9, minutes=-30), "Marquesas"), "-09:30"),
        (zoneinfo.ZoneInfo("Europe/Ljubljana"), "Europe/Ljubljana"),
        ("europe/ljubljana", "Europe/Ljubljana"),
        ("+0545", "+05:45"),
        (None, "UTC"),
    ],
)
def test_time_zones_of_every_type(zone, name):
    time, degrees = [1_711_843_200, 1_711_850_400], [1, 2]
    summary = ww.measure(degrees, degrees, time=time, every="hour", timezone=zone)
    assert summary.window_time_zone == name
    table = ww.by(["a", "a"], time, degrees, degrees, every="hour", timezone=zone)
    assert str(table["start"].type) == f"timestamp[us, tz={name}]"
    assert [row["start"] for row in table.to_pylist()] == [window.start for window in summary.windows]
    (track,) = ww.read(b"lon,lat,time\n1,1,2024-03-31 02:00:00\n2,2,2024-03-31 04:00:00\n", timezone=zone)
    if zone is not None:
        first = datetime.datetime(2024, 3, 31, 2, tzinfo=zone if isinstance(zone, datetime.tzinfo) else None)
        if first.tzinfo is not None:
            assert track.time[0].astype(int) == first.timestamp() * 10**9


@pytest.mark.parametrize(
    ("zone", "error", "message"),
    [
        (3, TypeError, "timezone must be the name of a time zone or a datetime.tzinfo, not int"),
        (datetime.timedelta(hours=2), TypeError, "timezone must be .*, not timedelta"),
        ("Mars/Olympus", ValueError, "timezone: .*Mars/Olympus"),
        (datetime.timezone(datetime.timedelta(seconds=90)), ValueError, "timezone is .*whole number of minutes"),
        (
            type("Rules", (datetime.tzinfo,), {"utcoffset": lambda self, time: None})(),
            ValueError,
            "timezone is .*zoneinfo",
        ),
    ],
)
def test_wrong_time_zones(zone, error, message):
    calls = [
        lambda: ww.measure([1], [1], every="day", timezone=zone),
        lambda: ww.by(["a"], [0], [1], [1], timezone=zone),
        lambda: ww.Fold(every="day", timezone=zone),
        lambda: ww.read(b"lon,lat\n1,1\n", timezone=zone),
    ]
    for call in calls:
        with pytest.raises(error, match=message):
            call()


def test_durations_of_every_type():
    columns = walk(300)
    expected = ww.measure(**columns, on_invalid="skip", max_gap_time=90)
    minute = datetime.timedelta(seconds=90)
    for duration in (minute, pd.Timedelta(minute), np.timedelta64(90, "s"), np.timedelta64(90_000, "ms"), np.int32(90)):
        assert ww.measure(**columns, on_invalid="skip", max_gap_time=duration) == expected
    for duration in (np.timedelta64("NaT"), np.timedelta64(-1, "s"), pd.NaT, np.timedelta64(1, "Y")):
        with pytest.raises((TypeError, ValueError), match="max_gap_time"):
            ww.measure([1], [1], max_gap_time=duration)


def test_every_attribute_has_a_meaning_in_the_help():
    from waywiser import _summary

    for kind in vars(_summary).values():
        if not isinstance(kind, type) or kind.__module__ != _summary.__name__:
            continue
        fields = getattr(kind, "_fields", None) or [field.name for field in dataclasses.fields(kind)]
        section = kind.__doc__.partition("Attributes\n    ----------\n")[2]
        lines = [
            line.strip()
            for line in section.splitlines()
            if " : " in line and line.startswith("    ") and line[4] != " "
        ]
        named = [name for line in lines for name in line.partition(" : ")[0].split(", ")]
        assert named == [name for name in fields if not name.startswith("_")], kind


def test_a_summary_is_a_value():
    summary = ww.measure(**walk(), on_invalid="skip", preset="walk", every="hour")
    assert pickle.loads(pickle.dumps(summary)) == summary == copy.deepcopy(summary)
    assert summary != ww.measure([1], [1])
    with pytest.raises(dataclasses.FrozenInstanceError):
        summary.length = 3
    text = repr(summary)
    assert f"length_m                 {summary.length_m!r}" in text
    assert "rejections" in text
    page = summary._repr_html_()
    assert page.startswith("<table>")
    assert f"<td>{summary.length_m!r}</td>" in page
    assert repr(ww.measure([], []))
    for name, value in summary.to_dict().items():
        if name not in ("bbox", "rejections", "stops", "trips", "windows", "ascent_method"):
            assert getattr(summary, name) == value
    assert summary.bbox == summary.bounds
    assert summary.estimate == (
        summary.estimated_length_m,
        summary.estimated_length_low_m,
        summary.estimated_length_high_m,
    )
    total = sum(rejection.count for rejection in summary.rejections.values())
    assert summary.accepted + total == summary.points
    assert len(summary.stops) == summary.stop_count > 0
    assert len(summary.trips) == summary.trip_count > 0
    # The exact parts sum to the length in any order.
    parts = [window.length for window in summary.windows] + [summary.undated_length]
    assert sum(parts) == sum(reversed(parts)) == summary.length


def test_planar_names_have_no_unit():
    summary = ww.measure([0, 3], [0, 4], metric="planar")
    assert summary.length == 5
    assert summary.to_dict()["length"] == 5
    assert "length_m" not in summary.to_dict()
    for name in (
        "length_m",
        "raw_length_m",
        "displacement_m",
        "gap_length_m",
        "max_speed_mps",
        "ascent_m",
        "length_3d_m",
    ):
        with pytest.raises(AttributeError, match="a planar path has no"):
            getattr(summary, name)


@pytest.mark.parametrize(
    "time",
    [
        np.ma.masked_values([0.0, 9.96921e36, 60.0], 9.96921e36),
        np.ma.masked_array([0, 2**62, 60], mask=[0, 1, 0]),
        np.ma.masked_array(np.array(["1970-01-01", "9999-01-01", "1970-01-01T00:01"], "M8[s]"), mask=[0, 1, 0]),
    ],
)
def test_values_under_a_mask_have_no_meaning(time):
    assert ww.measure([0, 1, 2], [0, 0, 0], time=time).elapsed_s == 60


def test_a_missing_estimate_has_a_reason():
    columns = {"lon": [14.0, 14.1, 14.2], "lat": [46.0] * 3}
    reasons = {
        "no point has a time": [{}, {"time": [np.nan] * 3}],
        "no segment has two points with increasing times": [{"time": [20, 10, 0]}, {"time": [5, np.nan, 5]}],
    }
    for reason, cases in reasons.items():
        for case in cases:
            summary = ww.measure(**columns, **case, estimate=True)
            assert summary.estimate is None
            assert re.search(rf"\n  estimate +None, because {reason}(\n|$)", repr(summary)), repr(summary)
            assert reason in summary._repr_html_()
            assert pickle.loads(pickle.dumps(summary)) == summary
            assert "estimate " not in repr(ww.measure(**columns, **case))
    assert "estimate " not in repr(ww.measure(**columns, time=[0, 600, 1200], estimate=True))
    assert "estimate " in repr(ww.measure([], [], estimate=True))


def test_windows_have_a_length_in_metres_unless_they_are_planar():
    columns = ([13.0, 13.1, 13.2], [46.0, 46.0, 46.0])
    time = [0, 86_400, 200_000]
    summary = ww.measure(*columns, time=time, every="day", keep_latest_windows=2)
    for window in (*summary.windows, summary.earlier_windows):
        assert window.length_m == window.length > 0
        start, end, length, points = window
        assert (start, end, length, points) == window
        assert pickle.loads(pickle.dumps(window)) == window
    summary = ww.measure(*columns, time=time, every="day", keep_latest_windows=2, metric="planar")
    for window in (*summary.windows, summary.earlier_windows):
        assert window.length > 0
        with pytest.raises(AttributeError, match="a planar path has no length_m; use length"):
            _ = window.length_m
        assert pickle.loads(pickle.dumps(window)) == window
    assert pickle.loads(pickle.dumps(summary)) == summary


def fast(count: int) -> dict[str, list[float]]:
    """Return points that a preset of walks rejects, except the first."""
    return {
        "lon": [float(at) for at in range(count)],
        "lat": [46.0] * count,
        "time": [float(at) for at in range(count)],
    }


def test_a_path_that_is_mostly_rejected_warns():
    text = (
        "4 of 5 points are rejected as too fast: the times of the points may be wrong, or the points are not in order of "
        "time (sort them by time), or max_speed is too low"
    )
    with pytest.warns(UserWarning) as warned:
        summary = ww.measure(**fast(5), max_speed=2)
    assert [str(each.message) for each in warned] == [text]
    assert warned[0].filename == __file__
    assert summary.rejections["speed"].count == 4
    with pytest.warns(
        UserWarning, match="1 of 1 point is rejected as back|2 of 3 points are rejected as back in time: "
    ) as warned:
        ww.measure([1, 1, 1], [1, 1, 1], time=[9, 5, 5], reject_backward_time=True)
    assert "max_speed" not in str(warned[0].message)
    # Half of the points, points that are too near, and invalid ones give no warning.
    ww.measure([13.0, 14.0], [46.0, 46.0], time=[0, 1], max_speed=2)
    ww.measure([13.0] * 9, [46.0] * 9, min_step=5)
    ww.measure([np.nan] * 9, [46.0] * 9, on_invalid="skip")
    # The rows of by() have the numbers of points.
    rows = fast(5)
    table = ww.by(["a"] * 5, rows["time"], rows["lon"], rows["lat"], max_speed=2)
    assert table["point_count"].to_pylist() == [5] and table["accepted_count"].to_pylist() == [1]


@pytest.mark.filterwarnings("ignore:.*points are rejected")
def test_the_text_of_a_summary_is_at_most_80_columns_wide():
    count = 400
    columns = walk()
    shapes = [
        ww.measure(**columns, on_invalid="skip", preset="walk", every="hour", max_gap=100, elevation_mode="3d"),
        ww.measure(
            [1.0, 2.0], [1.0, 2.0], preset="phone", elevation_mode="3d", max_gap_time=60, every="day", min_climb=1
        ),
        ww.measure(
            np.arange(count) % 7 * 1e-5 + 13,
            np.full(count, 46.0),
            time=np.arange(count) % 9 * 1.0 + np.arange(count) // 2,
            preset="walk",
            reorder=2,
            reject_backward_time=True,
            max_speed=100,
        ),
    ]
    for summary in shapes:
        lines = repr(summary).splitlines()
        assert max(map(len, lines)) <= 80, repr(summary)
        start = len(lines[1]) - len(lines[1][2:].lstrip("abcdefghijklmnopqrstuvwxyz_0123456789").lstrip())
        assert all(line[start - 1] == " " != line[start] for line in lines[1:]), repr(summary)
        words = [word for name, text in summary._lines() for word in (name, *text.split())]
        assert repr(summary).split()[1:] == words
    assert len(shapes[1].unused_options) > 5
