"""by: the results of measure() for the rows of each key, in the order of their times."""

from __future__ import annotations

import datetime
import math
import signal
import subprocess
import sys
import threading
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyproj
import pytest
import waywiser as ww
from hypothesis import given
from hypothesis import strategies as st
from tracks import command_line, walk, write_csv
from waywiser import _waywiser
from waywiser import spark as ws

GEOD = pyproj.Geod(ellps="WGS84")

ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, 1, 5, -3, 2**40]),
        st.none() | st.integers(-5, 5).map(lambda hour: hour * 1800 + 1_711_843_200),
        st.floats(13.0, 13.2) | st.just(math.nan),
        st.floats(46.0, 46.1),
    ),
    max_size=60,
)


def in_order_of_time(rows):
    """Sort rows by time. A row without a time stays after the row before it."""
    keyed, before = [], -math.inf
    for row in rows:
        before = before if row[1] is None else row[1]
        keyed.append((before, row))
    return [row for _, row in sorted(keyed, key=lambda entry: entry[0])]


def expected_rows(rows, **options):
    """Return the rows of the table from the results of measure()."""
    table = []
    for key in dict.fromkeys(row[0] for row in rows):
        ours = in_order_of_time([row for row in rows if row[0] == key])
        time, lon, lat = ([row[column] for row in ours] for column in (1, 2, 3))
        table.append(
            (key, [moment for moment in time if moment is not None], ww.measure(lon, lat, time=time, **options))
        )
    return table


def columns(rows):
    return [[row[column] for row in rows] for column in range(4)]


@given(ROWS, st.sampled_from([1, 3]), st.sampled_from(["skip", "split"]), st.booleans())
def test_the_path_of_a_key_is_that_of_its_sorted_rows(rows, threads, on_invalid, statistics):
    key, time, lon, lat = columns(rows)
    table = ww.by(
        pa.array(key, pa.int64()), time, lon, lat, on_invalid=on_invalid, threads=threads, statistics=statistics
    )
    expected = expected_rows(rows, on_invalid=on_invalid)
    assert table["key"].to_pylist() == [key for key, _, _ in expected]
    for row, (_, times, summary) in zip(table.to_pylist(), expected):
        values = (row["length_m"], row["raw_length_m"], row["point_count"], row["accepted_count"])
        assert values == (summary.length, summary.raw_length, summary.points, summary.accepted)
        ends = [moment and moment.timestamp() for moment in (row["start"], row["end"])]
        assert ends == ([min(times), max(times)] if times else [None, None])
        assert ("moving_s" in row) == statistics
        if statistics:
            for name in ("elapsed_s", "moving_s", "max_speed_mps", "gap_length_m", "ascent_m", "stopped_s"):
                assert row[name] == getattr(summary, name)
            assert row["segment_count"] == summary.segments


@given(ROWS, st.sampled_from(["hour", "day"]), st.sampled_from([1, 3]))
def test_the_windows_of_a_key_are_those_of_its_sorted_rows(rows, every, threads):
    key, time, lon, lat = columns(rows)
    options = {"every": every, "timezone": "Europe/Ljubljana", "on_invalid": "skip"}
    table = ww.by(pa.array(key, pa.int64()), time, lon, lat, threads=threads, **options)
    expected = []
    for key, _, summary in expected_rows(rows, **options):
        expected += [(key, window.start, window.end, window.length, window.points) for window in summary.windows]
        undated_points = summary.accepted - sum(window.points for window in summary.windows)
        if undated_points or summary.undated_length:
            expected.append((key, None, None, summary.undated_length, undated_points))
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
    assert str(table["start"].type) == "timestamp[us, tz=Europe/Ljubljana]"


def fleet(keys=7, seed=3):
    """Return mixed rows of several tracks, and the tracks."""
    tracks = {f"device {index}": walk(400 + 50 * index, seed + index) for index in range(keys)}
    rows = {name: np.concatenate([track[name] for track in tracks.values()]) for name in walk(2)}
    rows["key"] = np.concatenate([np.full(len(track["lon"]), key) for key, track in tracks.items()])
    order = np.random.default_rng(seed).permutation(len(rows["key"]))
    order = order[np.argsort(np.nan_to_num(rows["time"][order].astype(float)) // 6e11, kind="stable")]
    return {name: column[order] for name, column in rows.items()}


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ({}, []),
        ({"preset": "walk"}, ["--preset", "walk"]),
        ({"preset": "phone"}, ["--preset", "phone"]),
        ({"elevation_mode": "3d", "max_accuracy": 40}, ["--elevation", "3d", "--max-accuracy", 40]),
        ({"metric": "planar"}, ["--model", "planar"]),
        ({"every": "hour", "timezone": "Europe/Ljubljana"}, ["--by", "hour", "--timezone", "Europe/Ljubljana"]),
        ({"every": "month", "preset": "car"}, ["--by", "month", "--preset", "car"]),
    ],
)
def test_a_table_has_the_bits_of_the_command_line(options, flags, tmp_path):
    rows = fleet()
    is_timed = ~np.isnat(rows["time"])  # the command line sorts rows without a time in another way
    rows = {name: column[is_timed] for name, column in rows.items()}
    tracks = command_line(*write_csv(tmp_path / "fleet.csv", rows), *flags, "--sort-by-time")
    table = ww.by(**rows, on_invalid="skip", statistics="every" not in options, **options)
    if "every" in options:
        expected = [
            (window["start"], window["length_m"], window["points"]) for track in tracks for window in track["windows"]
        ]
        found = [
            (row["start"].isoformat().replace("+00:00", "Z"), row["length_m"], row["point_count"])
            for row in table.to_pylist()
        ]
        assert sorted(found) == sorted(expected)
        return
    names = {"point_count": "points", "accepted_count": "accepted", "segment_count": "segments"}
    found = [
        {names.get(name, name): value for name, value in row.items() if name not in ("key", "start", "end")}
        for row in table.to_pylist()
    ]
    expected = [{name: track.get(name) for name in found[0]} for track in tracks]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_the_lengths_are_those_of_pandas_and_pyproj():
    rows = fleet()
    frame = pd.DataFrame(rows).dropna(subset=["lat", "time"])
    frame = frame.sort_values("time", kind="stable")
    expected = frame.groupby("key")[["lon", "lat"]].apply(lambda group: GEOD.line_length(group["lon"], group["lat"]))
    table = ww.by(frame["key"], frame["time"], frame["lon"], frame["lat"]).to_pandas().set_index("key")
    for key, length in expected.items():
        assert table.loc[key, "length_m"] == pytest.approx(length, rel=1e-12)


@given(st.permutations(range(40)), st.integers(1, 4))
def test_the_order_of_the_rows_does_not_matter_if_the_times_differ(order, threads):
    key = np.arange(40) % 3
    time, lon, lat = np.arange(40) * 7, 13 + np.arange(40) ** 2 / 1e4, 46 + np.arange(40) / 1e3
    order = np.array(order)
    for every in (None, "hour"):
        table = ww.by(key, time, lon, lat, every=every).sort_by("key")
        other = ww.by(key[order], time[order], lon[order], lat[order], every=every, threads=threads)
        assert other.sort_by([("key", "ascending"), ("start", "ascending")]).equals(table)


def test_the_lengths_of_windows_sum_to_the_length_exactly():
    rows = fleet()
    lengths = {row["key"]: row["length_m"] for row in ww.by(**rows, on_invalid="skip").to_pylist()}
    for every in ("hour", "day", "week", "month", "year"):
        parts = ww.by(**rows, on_invalid="skip", every=every, timezone="Asia/Kathmandu").to_pylist()
        for key, length in lengths.items():
            ours = [row["length_m"] for row in parts if row["key"] == key]
            assert sum(ours) == sum(reversed(ours)) == length


@pytest.mark.parametrize(
    "key",
    [
        ["b", "a", None, "b"],
        pd.Series(["b", "a", None, "b"]),
        pd.Series(["b", "a", None, "b"], dtype="category"),
        pd.Series(["b", "a", None, "b"], dtype="string"),
        np.array(["b", "a", None, "b"], dtype=object),
        pa.array(["b", "a", None, "b"]),
        pa.array(["b", "a", None, "b"], pa.large_string()),
        pa.array(["b", "a", None, "b"], pa.string_view()),
        pa.chunked_array([["b"], ["a", None], [], ["b"]]),
        pa.chunked_array([["b"], ["a", None], [], ["b"]], pa.string_view()),
        pa.array(["b", "a", None, "b"]).dictionary_encode(),
        pa.array(["b", "a", None, "b"]).dictionary_encode(null_encoding="encode"),
        pa.DictionaryArray.from_arrays([0, 1, None, 3], ["b", "a", "c", "b"]),
        pa.chunked_array([pa.array(["b", "a"]).dictionary_encode(), pa.array([None, "b"]).dictionary_encode()]),
    ],
)
def test_keys_of_texts(key):
    table = ww.by(key, None, [0, 1, 2, 3], [0, 0, 0, 0])
    assert table["key"].to_pylist() == ["b", "a", None]
    assert table["point_count"].to_pylist() == [2, 1, 1]
    assert table["length_m"][0].as_py() == ww.length([0, 3], [0, 0])


@pytest.mark.parametrize(
    "key",
    [
        np.array([7, -7, 7], dtype=np.int64),
        np.array([7, 9, 7], dtype=np.uint8),
        np.array([2**62, -(2**62), 2**62]),
        np.array([2**64 - 1, 0, 2**64 - 1], dtype=np.uint64),
        np.array([7, 9, 7], dtype=np.int32)[::-1],
        np.array([-(2**63), 2**63 - 1, -(2**63)]),
        [1.5, 2.5, 1.5],
        [True, False, True],
        pa.array([datetime.date(2024, 1, 1), datetime.date(2024, 1, 2), datetime.date(2024, 1, 1)]),
        np.array(["2024-01-01", "2024-01-02", "2024-01-01"], dtype="datetime64[ns]"),
        pa.array([b"x", b"y", b"x"], pa.binary(1)),
        pa.array([1, 2, 1], pa.decimal128(5, 2)),
        np.ma.masked_array([1, 2, 3], mask=[True, False, True]),
    ],
)
def test_keys_of_other_types(key):
    table = ww.by(key, [3, 2, 1], [0, 1, 2], [0, 0, 0])
    assert table["point_count"].to_pylist() == [2, 1]
    assert table["length_m"][0].as_py() == ww.length([2, 0], [0, 0])
    expected = pa.array(key)
    assert table["key"].type == expected.type
    assert table["key"].to_pylist() == expected.to_pylist()[:2]


def test_an_empty_table_has_all_columns():
    for kind in (pa.string(), pa.string_view(), pa.int64(), pa.float64(), pa.dictionary(pa.int32(), pa.string())):
        empty = ww.by(pa.chunked_array([], kind), [], [], [])
        assert empty.num_rows == 0 and len(empty.column_names) == 10, kind
    for options in ({}, {"statistics": True}, {"every": "day"}, {"metric": "planar"}):
        empty = ww.by(pa.array([], pa.string()), [], [], [], **options)
        assert empty.num_rows == 0
        assert empty.schema == ww.by(["a"], [1], [1], [1], **options).schema
    assert ww.by([], [], [], []).num_rows == 0


def test_the_schema_names_units_and_the_zone():
    table = ww.by(["a"], [0.5], [1], [1], timezone="america/new_york", statistics=True)
    assert str(table.schema.field("start").type) == "timestamp[us, tz=America/New_York]"
    assert table["start"].to_pylist()[0].timestamp() == 0.5
    assert {"length_m", "max_speed_mps", "ascent_m"} <= set(table.column_names)
    planar = ww.by(["a"], None, [1], [1], metric="planar", statistics=True)
    assert {"length", "max_speed", "ascent"} <= set(planar.column_names)
    assert planar["start"].to_pylist() == [None]
    # Times before 1970 are rounded down too.
    early = ww.by(["a"], np.array([-1], dtype="datetime64[ns]"), [1], [1])
    assert early["start"].cast(pa.int64()).to_pylist() == [-1]


def test_an_estimate_is_in_the_rows():
    rows = fleet(2)
    row = ww.by(**rows, on_invalid="skip", preset="walk").to_pylist()[0]
    assert row["estimated_length_low_m"] < row["estimated_length_m"] < row["estimated_length_high_m"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"key": ["a"]}, ValueError, "key has 1 values for 3 points"),
        ({"key": [["a"], ["b"], ["c"]]}, ValueError, "key must have one dimension"),
        ({"key": "abc"}, TypeError, "key is a str; use an array"),
        ({"key": 5}, TypeError, "key is a number; use an array"),
        ({"key": [1, 2, 2**70]}, ValueError, f"index 2: key {2**70} does not fit into 64 bits; use texts"),
        ({"key": [-1, 2**63, 1]}, ValueError, f"index 1: key {2**63} does not fit into 64 bits; use texts"),
        ({"key": pa.array([{"a": 1}] * 3)}, TypeError, "key has the Arrow type struct.*use numbers or texts"),
        ({"key": [object()] * 3}, TypeError, "key cannot be converted"),
        ({"time": [1, 2]}, ValueError, "time has 2 values for 3 points"),
        ({"time": ["x", "y", "z"]}, TypeError, "time"),
        ({"lon": [1, 2]}, ValueError, "lon has 2 values and lat has 3"),
        ({"lat": [1, 2, 91]}, ValueError, "index 2: latitude 91"),
        ({"lat": [1, np.nan, 2]}, ValueError, "index 1: .*on_invalid"),
        ({"lat": [1, 100, 2]}, ValueError, "index 1: .*may be swapped"),
        ({"elevation": [1, 2, np.inf]}, ValueError, "index 2: elevation inf"),
        ({"accuracy": [1, -2, 1]}, ValueError, "index 1: accuracy -2"),
        ({"threads": 0}, ValueError, "threads is 0"),
        ({"every": "days"}, ValueError, 'every "days" is unknown'),
        ({"timezone": "Mars"}, ValueError, "timezone: the time zone"),
        ({"trips": True}, TypeError, "by\\(\\) has no argument 'trips'"),
        ({"keep_latest_windows": 3, "every": "day"}, TypeError, "by\\(\\) has no argument 'keep_latest_windows'"),
        (
            {"max_sped": 3},
            TypeError,
            "by\\(\\) got an unexpected keyword argument 'max_sped'; did you mean 'max_speed'",
        ),
        ({"time": [0, 9e9, 1], "every": "hour"}, ValueError, "row at index 2 has more than 100000 windows"),
    ],
)
def test_a_wrong_argument_is_named_with_the_index_of_the_row(arguments, error, message):
    given = {"key": ["b", "a", "a"], "time": [5, 3, 1], "lon": [1, 2, 3], "lat": [1, 2, 3]}
    with pytest.raises(error, match=message):
        ww.by(**(given | arguments))


def test_swapped_arguments_warn():
    with pytest.warns(UserWarning, match="the arguments may be swapped"):
        ww.by(["a", "b"], None, [46, 46], [120, 121], on_invalid="skip")


def test_strides_read_only_arrays_and_whole_numbers():
    rows = fleet()
    key = np.unique(rows.pop("key"), return_inverse=True)[1]
    rows["lat"] = np.nan_to_num(rows["lat"], nan=46.4)
    expected = ww.by(key, **rows, statistics=True)
    for change in (lambda column: np.repeat(column, 2)[::2], lambda column: column[::-1].copy()[::-1], pa.array):
        changed = {name: change(column) for name, column in rows.items()}
        assert ww.by(change(key), **changed, statistics=True).equals(expected)
    e7 = {name: np.round(rows[name] * 1e7).astype(np.int32) for name in ("lon", "lat")}
    degrees = {name: column / 1e7 for name, column in e7.items()}
    assert ww.by(key, rows["time"], **e7).equals(ww.by(key, rows["time"], **degrees))


def test_many_keys_on_threads_have_the_same_bits():
    generator = np.random.default_rng(5)
    count = 200_000
    key, time = generator.integers(0, 5000, count), generator.integers(0, 10**6, count)
    lon, lat = generator.uniform(13, 13.1, count), generator.uniform(46, 46.1, count)
    one = ww.by(key, time, lon, lat, every="day")
    for threads in (2, 5, None):
        assert ww.by(key, time, lon, lat, every="day", threads=threads).equals(one)
    results = []
    workers = [
        threading.Thread(target=lambda: results.append(ww.by(key, time, lon, lat, every="day"))) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(result.equals(one) for result in results)
    assert len(results) == 3


def mixed_rows(count=150_000, keys=40):
    """Return rows in the order of time, enough for several batches, with missing times and positions."""
    generator = np.random.default_rng(11)
    key = generator.integers(0, keys, count)
    time = 1_700_000_000 + np.sort(generator.integers(0, 10**6, count)).astype(np.float64)
    lon, lat = 13 + np.cumsum(generator.normal(0, 1e-6, count)), 46 + generator.normal(0, 1e-4, count)
    time[generator.integers(0, count, 500)] = np.nan
    lat[generator.integers(0, count, 500)] = np.nan
    return key, time, lon, lat


@pytest.mark.parametrize(
    "options", [{}, {"statistics": True}, {"every": "day"}, {"max_speed": 3, "on_invalid": "split"}]
)
def test_batches_of_mixed_rows_have_the_bits_of_sorted_rows(options):
    key, time, lon, lat = mixed_rows()
    options = {"on_invalid": "skip"} | options
    table = ww.by(key, time, lon, lat, **options)
    order = np.argsort(key, kind="stable")
    first_rows = ww.by(key, time, lon, lat, threads=2, **options)
    assert table.equals(first_rows)
    by_key = ww.by(key[order], time[order], lon[order], lat[order], **options)
    assert table.sort_by([("key", "ascending"), ("start", "ascending")]).equals(
        by_key.sort_by([("key", "ascending"), ("start", "ascending")])
    )
    if not options.get("every"):
        ours = key == 17
        options.pop("statistics", None)
        summary = ww.measure(lon[ours], lat[ours], time=time[ours], **options)
        (row,) = (row for row in table.to_pylist() if row["key"] == 17)
        assert (row["length_m"], row["accepted_count"]) == (summary.length, summary.accepted)


def test_an_error_in_a_batch_has_the_index_of_the_row():
    key, time, lon, lat = mixed_rows()
    lat = np.nan_to_num(lat, nan=46)
    lat[140_000] = 95
    with pytest.raises(ValueError, match="index 140000: latitude 95 "):
        ww.by(key, time, lon, lat)
    lat[140_000] = 45
    time[130_000] = 1e10
    with pytest.raises(ValueError, match="index 130000: time"):
        ww.by(key, time, lon, lat)
    time[130_000] = 0  # earlier than the rows before
    table = ww.by(key, time, lon, lat)
    assert table.equals(ww.by(key, time, lon, lat, threads=3))
    assert min(table["start"].to_pylist()).timestamp() == 0


def test_keys_that_are_many_or_few_rows_have_the_same_bits():
    count = 70_000
    time, lon = np.arange(count), 13 + np.arange(count) / 1e6
    for key in (np.arange(count) % 30_000, np.arange(count) % 1, np.arange(count) // 2, np.arange(count)[::-1]):
        one = ww.by(key, time, lon, lon)
        assert one.equals(ww.by(key, time, lon, lon, threads=2))
        assert sum(one["point_count"].to_pylist()) == count


@pytest.mark.parametrize("type_", [pa.string_view(), pa.dictionary(pa.int32(), pa.string_view())])
def test_texts_as_views_are_keys(type_):
    keys = pa.array(["a", "b", "a"], pa.string_view())
    if pa.types.is_dictionary(type_):
        keys = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int32()), pa.array(["a", "b"], pa.string_view()))
    table = ww.by(keys, None, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert table["key"].to_pylist() == ["a", "b"]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("order", ["sorted", "random"])
def test_a_call_with_one_large_key_can_be_interrupted(threads, order):
    count = 3_000_000
    random = np.random.default_rng(5)
    time = 1_700_000_000 + np.arange(count) * 1.0
    if order == "random":
        random.shuffle(time)
    lon, lat = 13.7 + np.cumsum(random.normal(0, 1e-5, count)), 46 + np.cumsum(random.normal(0, 1e-5, count))

    def run():
        ww.by(np.zeros(count, np.int64), time, lon, lat, threads=threads, preset="walk")

    def seconds():
        start = process_time()
        run()
        return process_time() - start

    # The first call is slower than others.
    complete = min(seconds() for _ in range(2))
    where = []

    def interrupt(_, frame):
        where.append(frame.f_code.co_name)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGPROF, interrupt)
    start = process_time()
    try:
        # Measured in processor time, like the complete call.
        signal.setitimer(signal.ITIMER_PROF, complete / 2)
        with pytest.raises(KeyboardInterrupt):
            run()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    assert process_time() - start < complete * 0.85
    assert where == ["by"]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_keys_that_are_equal_numbers_are_one_key(kind):
    values = [0.0, -0.0, math.nan, None, 1.5, math.nan]
    keys = pa.array(values, kind)
    expected = [0.0, None, 1.5]
    forms = [
        keys,
        pa.chunked_array([keys[:3], keys[3:]]),
        keys.dictionary_encode(),
        keys.to_numpy(zero_copy_only=False),
    ]
    if kind != pa.float16():  # of which pandas has no categories
        forms.append(pd.Series(forms[-1]).astype("category"))
    for key in (*forms, pd.Series(forms[3])):
        table = ww.by(key, None, range(6), [0] * 6)
        assert table["key"].to_pylist() == expected
        assert table["key"].type == kind
        assert table["point_count"].to_pylist() == [2, 3, 1]
        assert math.copysign(1, table["key"][0].as_py()) == 1
    groups = pd.Series(values[:2]).groupby([0.0, -0.0]).size()
    assert len(groups) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": "day", "statistics": True}, "statistics=True cannot be combined with every"),
        ({"every": "day", "estimate": True}, "estimate has no effect with every"),
        ({"every": "day", "min_stop_time": 60}, "min_stop_time has no effect with every"),
        ({"every": "day", "elevation_mode": "3d"}, "elevation_mode has no effect with every"),
        ({"every": "day", "min_climb": 0}, "min_climb has no effect with every"),
        ({"min_climb": 0}, "min_climb has no effect without statistics=True"),
        ({"stopped_speed": 1.0}, "stopped_speed has no effect without statistics=True"),
        ({"climb_smoothing": 1.0}, "climb_smoothing has no effect without statistics=True"),
        ({"elevation_mode": "3d"}, "elevation_mode has no effect without statistics=True"),
    ],
)
def test_options_without_an_effect_are_refused(options, message):
    rows = {"key": ["a", "a"], "time": [0, 60], "lon": [1, 2], "lat": [1, 2]}
    with pytest.raises(ValueError, match=message):
        ww.by(**rows, **options)
    off = {"estimate": False, "elevation_mode": "ignored", "min_climb": None}
    assert ww.by(**rows, every="day", **off).equals(ww.by(**rows, every="day"))
    table = ww.by(**rows, elevation=[0, 1e5], elevation_mode="3d", statistics=True)
    assert table["length_3d_m"][0].as_py() > table["length_m"][0].as_py()


def test_the_sort_of_the_rows_handles_signals():
    # The rows of two keys alternate, so that each column is copied in another order.
    count, step = 8 << 20, 1 << 20
    key, zeros = np.arange(count, dtype=np.int32) % 2, np.broadcast_to(0.0, count)
    options = dict.fromkeys(("elevation", "accuracy")) | {"metric": "geodesic", "on_invalid": "raise", "threads": 2}
    options |= {"statistics": False, "options": {}}
    calls, last = [], None

    def count_calls(*_):
        calls.append(None)
        if len(calls) == last:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    def run():
        calls.clear()
        before = signal.signal(signal.SIGALRM, count_calls)
        try:
            signal.setitimer(signal.ITIMER_REAL, 5e-5, 5e-5)
            _waywiser.lengths_by(key, 2, None, zeros, zeros, **options)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    # Signals are pending all the time, so that each check calls the handler once. Each step of the count of the rows, of the
    # computation of their positions, and of the copies of two columns has a check.
    # A busy machine may deliver a signal later than a check, so that several runs are necessary.
    for _ in range(20):
        run()
        if len(calls) >= 4 * count // step:
            break
    assert len(calls) >= 4 * count // step
    last = 3 * count // step

    def is_interrupted():
        try:
            run()
        except KeyboardInterrupt:
            return True
        return False

    assert any(is_interrupted() for _ in range(20))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not report the address space")
def test_too_little_memory_is_an_exception():
    # The arrays have one value, and the address space has no place for what the call needs.
    program = r"""
import resource, sys
import numpy as np
import waywiser as ww
from waywiser import _waywiser
from waywiser import spark as ws

size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (100 << 20),) * 2)
count = 100_000_000
zeros, groups = np.broadcast_to(0.0, count), np.broadcast_to(np.int32(0), count)
more = dict(elevation=None, accuracy=None, metric="geodesic", on_invalid="raise", threads=2, statistics=False, options={})
calls = [
    lambda: _waywiser.lengths_by(groups, 1, None, zeros, zeros, **more),
    lambda: _waywiser.lengths_by(groups[:1], 2**40, None, zeros[:1], zeros[:1], **more),
    lambda: _waywiser.group_integers(groups),
    lambda: ww.line_lengths((zeros, zeros, groups)),
    lambda: ww.legs(zeros, zeros),
    lambda: ww.read(Rows()),
]

class Rows:
    def __init__(self):
        self.start = b"lon,lat\n"
    def read(self, size):
        start, self.start = self.start, b""
        return start or b"13,46\n" * (size // 6)

# The summaries of all groups together would need more memory than there is.
many = 200_000
_waywiser.lengths_by(np.arange(many, dtype=np.int32), many, None, zeros[:many], zeros[:many], **(more | {"threads": 1}))
for call in calls:
    try:
        call()
    except MemoryError as error:
        print("MemoryError", error)
    else:
        sys.exit("no exception")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("MemoryError") == 6


def test_keys_in_chunks_may_have_more_than_2_gib_of_text():
    # The chunks are one array, so that the test needs less memory.
    chunk = pa.array(["b" * 2**26])
    key = pa.chunked_array([pa.array(["a"])] + [chunk] * 33)
    with pytest.raises(pa.ArrowInvalid, match="offset overflow"):
        key.combine_chunks()
    table = ww.by(key, None, range(34), [0] * 34)
    assert table["point_count"].to_pylist() == [1, 33]
    assert table["key"].type == pa.string() and len(table["key"][1].as_py()) == 2**26
    codes, _ = ws._encoded(key)
    assert codes.tolist() == [0] + [1] * 33


@pytest.mark.parametrize("key", [[[1], [1, 2], [3]], [[1], [2], [3]], [("a",), ("a", "b"), ()]])
def test_keys_have_one_dimension(key):
    with pytest.raises(ValueError, match="key must have one dimension"):
        ww.by(key, None, [0, 1, 2], [0, 0, 0])


def test_options_that_by_does_not_have_are_not_suggested():
    for name in ("bla", "trip", "keep_latest_window"):
        with pytest.raises(TypeError, match=rf"by\(\) got an unexpected keyword argument '{name}'; ") as error:
            ww.by([1], None, [1], [1], **{name: 1})
        assert "trips" not in str(error.value) and "keep_latest_windows" not in str(error.value)
    with pytest.raises(TypeError, match="did you mean 'statistics'"):
        ww.by([1], None, [1], [1], statistic=True)


@pytest.mark.parametrize("dtype", [">i8", ">i4", ">i2", ">u4", ">f8", ">M8[s]", ">U3"])
def test_keys_may_have_the_other_order_of_bytes(dtype):
    key = np.array([1, 2, 1]).astype(dtype)
    expected = ww.by(key.astype(key.dtype.newbyteorder("=")), None, [0, 1, 2], [0, 0, 0])
    assert ww.by(key, None, [0, 1, 2], [0, 0, 0]) == expected
    assert ww.by(np.ma.masked_array(key), None, [0, 1, 2], [0, 0, 0]) == expected


@pytest.mark.parametrize("ns", [-(2**63) + 1, -9_214_560_000 * 10**9 - 1, 9_214_646_400 * 10**9, 2**63 - 1])
@pytest.mark.parametrize("kind", ["numpy", "Arrow", "pandas"])
def test_times_that_no_result_needs_are_checked(ns, kind):
    time = np.array([0, ns, 0], dtype="M8[ns]")
    time = {"numpy": time, "Arrow": pa.array(time), "pandas": pd.Series(time)}[kind]
    with pytest.raises(ValueError, match="index 1: time .* is not in the years 1678 to 2261"):
        ww.by(["a", "a", "a"], time, [0, 1, 2], [0, 0, 0])
