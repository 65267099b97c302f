"""length and legs: values against other libraries, and every type of argument."""

from __future__ import annotations

import array
import math
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

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

GEOD = pyproj.Geod(ellps="WGS84")

LONGITUDES = st.floats(-180, 180) | st.integers(-1_800_000_000, 1_800_000_000).map(lambda e7: e7 / 1e7)
LATITUDES = st.floats(-90, 90) | st.integers(-900_000_000, 900_000_000).map(lambda e7: e7 / 1e7)


@st.composite
def walks(draw, max_size=40):
    """Return a path of nearby points somewhere on the Earth."""
    step = draw(st.sampled_from([1e-6, 1e-4, 1e-2, 1.0]))
    count = draw(st.integers(0, max_size))
    steps = st.lists(st.floats(-step, step), min_size=count, max_size=count)
    lon = draw(st.floats(-170, 170)) + np.cumsum(np.array(draw(steps)))
    lat = draw(st.floats(-45, 45)) + np.cumsum(np.array(draw(steps)))
    return lon, np.clip(lat, -90, 90)


@given(st.tuples(LONGITUDES, LATITUDES), st.tuples(LONGITUDES, LATITUDES))
def test_a_leg_has_the_length_of_geographiclib(a, b):
    expected = Geodesic.WGS84.Inverse(a[1], a[0], b[1], b[0], Geodesic.DISTANCE)["s12"]
    # 15 nm is the error of a long leg, and each coordinate is rounded by up to 1.4 nm.
    assert ww.length([a[0], b[0]], [a[1], b[1]]) == pytest.approx(expected, abs=30e-9, rel=1e-14)


@given(walks())
def test_a_path_has_the_length_of_pyproj(walk):
    lon, lat = walk
    if len(lon) < 2:
        assert ww.length(lon, lat) == 0
        return
    # Each end of a leg is rounded by up to 2 nm, and the legs of a path that repeats two points have the same error.
    expected = pytest.approx(GEOD.line_length(lon, lat), rel=1e-12, abs=1e-7 + 4e-9 * len(lon))
    assert ww.length(lon, lat) == expected


@given(walks(), st.sampled_from(["geodesic", "haversine", "planar"]))
def test_the_length_is_the_exact_sum_of_the_legs(walk, metric):
    legs = ww.legs(*walk, metric=metric)
    assert len(legs) == len(walk[0])
    assert ww.length(*walk, metric=metric) == pytest.approx(math.fsum(legs), abs=1e-18 * len(legs), rel=1e-16)


@given(walks(2000), st.integers(1, 5))
def test_threads_do_not_change_a_bit(walk, threads):
    # More points than are measured without threads.
    lon, lat = (np.tile(column, 8000 // max(len(column), 1) + 1) for column in walk)
    assert ww.length(lon, lat, threads=threads) == ww.length(lon, lat)
    np.testing.assert_array_equal(ww.legs(lon, lat, threads=threads), ww.legs(lon, lat))


def test_planar_and_haversine_lengths():
    assert ww.length([0, 3, 3], [0, 4, 5], metric="planar") == 6.0
    quarter = ww.length([0.0, 90.0], [0.0, 0.0], metric="haversine")
    assert quarter == pytest.approx(6_371_008.8 * math.pi / 2, rel=1e-9)


LON = np.array([13.0, 13.25, 13.5, 13.125])
LAT = np.array([46.0, 46.5, 46.25, 46.125])


class OnlyArray:
    """An array of Arrow without anything but its PyCapsule interface."""

    def __init__(self, values):
        self.values = pa.array(values)

    def __arrow_c_array__(self, requested_schema=None):
        return self.values.__arrow_c_array__(requested_schema)


class OnlyStream:
    """A chunked array of Arrow without anything but its PyCapsule interface."""

    def __init__(self, *chunks):
        self.values = pa.chunked_array(list(chunks))

    def __arrow_c_stream__(self, requested_schema=None):
        return self.values.__arrow_c_stream__(requested_schema)


CONVERSIONS = {
    "list": list,
    "tuple": tuple,
    "array.array": lambda values: array.array("d", values),
    "memoryview": lambda values: memoryview(np.array(values)),
    "float32": lambda values: values.astype(np.float32),
    "float16": lambda values: values.astype(np.float32),
    "big-endian": lambda values: values.astype(">f8"),
    "objects": lambda values: values.astype(object),
    "negative strides": lambda values: values[::-1].copy()[::-1],
    "every second": lambda values: np.repeat(values, 2)[::2],
    "a column": lambda values: np.stack([values, values], axis=1)[:, 0],
    "Fortran order": lambda values: np.asfortranarray(np.stack([values, values]))[0],
    "read-only": lambda values: np.frombuffer(values.tobytes()),
    "unaligned": lambda values: np.frombuffer(b"x" + values.tobytes(), dtype=np.uint8)[1:].view(np.float64),
    "a field of records": lambda values: np.array([(v, 1) for v in values], [("x", "f8"), ("a", "u1")])["x"],
    "masked without mask": np.ma.masked_array,
    "pandas": pd.Series,
    "pandas Float64": lambda values: pd.Series(values, dtype="Float64"),
    "pandas of Arrow": lambda values: pd.Series(values, dtype=pd.ArrowDtype(pa.float64())),
    "pandas of objects": lambda values: pd.Series(values, dtype=object),
    "Arrow": pa.array,
    "Arrow slice": lambda values: pa.array([0.0, *values, 0.0])[1:-1],
    "Arrow float32": lambda values: pa.array(values, pa.float32()),
    "Arrow chunks": lambda values: pa.chunked_array([pa.array(values[:1]), pa.array(values[1:])]),
    "Arrow dictionary": lambda values: pa.array(values).dictionary_encode(),
    "Arrow capsule": OnlyArray,
    "Arrow stream": lambda values: OnlyStream(pa.array(values[:2]), pa.array(values[2:])),
    "int32": lambda values: np.round(values * 1e7).astype(np.int32),
    "big-endian int32": lambda values: np.round(values * 1e7).astype(">i4"),
    "Arrow int32": lambda values: pa.array(np.round(values * 1e7).astype(np.int32)),
    "int32 with a mask": lambda values: np.ma.masked_array(np.round(values * 1e7).astype(np.int32), mask=False),
    "pandas Int32": lambda values: pd.Series(np.round(values * 1e7), dtype="Int32"),
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_every_type_of_array_gives_the_same_bits(name):
    convert = CONVERSIONS[name]
    assert ww.length(convert(LON), convert(LAT)) == ww.length(LON, LAT)
    np.testing.assert_array_equal(ww.legs(convert(LON), convert(LAT)), ww.legs(LON, LAT))


@pytest.mark.parametrize("name", [name for name in CONVERSIONS if "nt32" not in name])
def test_types_can_be_mixed(name):
    assert ww.length(CONVERSIONS[name](LON), LAT) == ww.length(LON, LAT)


def test_whole_numbers_that_are_not_int32_are_degrees():
    expected = ww.length(np.array([13.0, 14.0]), np.array([46.0, 47.0]))
    for convert in (list, lambda v: np.array(v, dtype=np.int64), lambda v: np.array(v, dtype=np.uint8), pa.array):
        assert ww.length(convert([13, 14]), convert([46, 47])) == expected
    assert ww.length(range(13, 15), range(46, 48)) == expected


MISSING = {
    "NaN": np.array([13.0, np.nan, 13.5, 13.125]),
    "None": [13.0, None, 13.5, 13.125],
    "mask": np.ma.masked_array(LON, mask=[0, 1, 0, 0]),
    "pandas NA": pd.Series([13.0, None, 13.5, 13.125], dtype="Float64"),
    "pandas objects": pd.Series([13.0, pd.NA, 13.5, 13.125], dtype=object),
    "Arrow null": pa.array([13.0, None, 13.5, 13.125]),
    "Arrow stream": OnlyStream(pa.array([13.0, None]), pa.array([13.5, 13.125])),
    "infinite": np.array([13.0, np.inf, 13.5, 13.125]),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_positions(name):
    with pytest.raises(ValueError, match="index 1: longitude (NaN|inf) is not a finite number; use on_invalid="):
        ww.length(MISSING[name], LAT)
    kept = np.array([0, 2, 3])
    assert ww.length(MISSING[name], LAT, on_invalid="skip") == ww.length(LON[kept], LAT[kept])
    assert ww.length(MISSING[name], LAT, on_invalid="split") == ww.length(LON[2:], LAT[2:])
    legs = ww.legs(MISSING[name], LAT, on_invalid="split")
    assert legs.tolist() == [0, 0, 0, ww.legs(LON[2:], LAT[2:])[1]]


@pytest.mark.parametrize("column", [0, 1])
def test_missing_whole_numbers(column):
    e7 = [np.round(values * 1e7).astype(np.int32) for values in (LON, LAT)]
    e7[column] = pa.array(e7[column], mask=np.array([False, True, False, False]))
    kept = np.array([0, 2, 3])
    assert ww.length(*e7, on_invalid="skip") == ww.length(LON[kept], LAT[kept])


@given(st.integers(0, 2**32), st.floats(0, 1), st.sampled_from(["skip", "split"]), st.integers(1, 4))
def test_missing_positions_at_the_ends_of_steps(seed, share, on_invalid, threads):
    missing = np.random.default_rng(seed).random(5000) < share
    lon, lat = 13 + np.arange(5000) * 1e-4, 46 + np.arange(5000) % 7 * 1e-4
    lon[missing] = np.nan
    legs = ww.legs(lon, lat, on_invalid=on_invalid, threads=threads)
    np.testing.assert_array_equal(legs, ww.legs(lon, lat, on_invalid=on_invalid))
    last = None
    for index in range(5000):
        if np.isnan(lon[index]):
            last = None if on_invalid == "split" else last
            assert legs[index] == 0
            continue
        if index % 100 == 0:  # one by one is slow
            expected = 0 if last is None else ww.length(lon[[last, index]], lat[[last, index]])
            assert legs[index] == expected
        last = index


def test_swapped_arguments():
    lon, lat = [-120.0, -121.0], [46.0, 47.0]
    with pytest.raises(ValueError, match="index 0: latitude -120 is not between -90 and 90 degrees; .*swapped"):
        ww.length(lat, lon)
    with pytest.warns(UserWarning, match="swapped"):
        ww.length(lat, lon, on_invalid="skip")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ww.length([-120.0, 120.0], [91.0, 1.0], on_invalid="skip")  # some longitude is outside -90 to 90
        ww.length([1.0], [91.0], metric="planar")


def test_whole_degrees_as_int32():
    def e7(*values: int):
        return np.array(values, dtype=np.int32)

    for measure in (ww.length, ww.legs, ww.measure, lambda lon, lat: ww.line_lengths((lon, lat, [0, 2]))):
        with pytest.warns(UserWarning, match="units of 1e-7 degree, and all of these are within the first 180 units"):
            measure(e7(13, -180), e7(46, 90))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for lon, lat in [((13, 14), (46, 91)), ((0, 181), (0, 0)), ((0, 0), (0, 0)), ((0, -(2**31)), (0, 0))]:
                measure(e7(*lon), e7(*lat))
            measure(e7(*range(40), 181)[-2:], e7(*[1] * 41)[-2:])
            measure(np.array([13, 14]), np.array([46, 47]))
    with pytest.warns(UserWarning, match="units of 1e-7 degree"):
        ww.length(e7(*[1] * 100_000), e7(*[1] * 100_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ww.length(e7(*[1] * 100_000, 200), e7(*[1] * 100_001))
        ww.length(e7(13, 14), e7(46, 47), metric="planar")


ERRORS = [
    (([1.0, 2.0], [1.0]), {}, ValueError, "lon has 2 values and lat has 1"),
    ((np.zeros((2, 2)), np.zeros((2, 2))), {}, ValueError, r"lon must have one dimension, but its shape is \(2, 2\)"),
    ((1.0, 2.0), {}, TypeError, "lon is a number; use an array"),
    (([[1.0], [2.0, 3.0]], [1.0, 2.0]), {}, ValueError, "lon cannot be converted"),
    ((np.array([1, 2], dtype=np.int32), [1.0, 2.0]), {}, TypeError, "int32 is in units of 1e-7 degree"),
    ((["a", "b"], [1.0, 2.0]), {}, TypeError, "lon has the type <U1"),
    (([1.0, "b"], [1.0, 2.0]), {}, TypeError, "lon"),
    (([None, "b"], [1.0, 2.0]), {}, TypeError, "index 1 is 'b'"),
    (([1.0, 2.0], [1j, 2.0]), {}, TypeError, "lat has the type complex128"),
    (([True, False], [1.0, 2.0]), {}, TypeError, "lon has the type bool"),
    ((np.array(["2020"], dtype="M8[s]"), [1.0]), {}, TypeError, "lon has the type datetime64"),
    ((pa.array(["a"]), [1.0]), {}, TypeError, "lon has the Arrow type string"),
    ((pa.array([[1.0]]), [1.0]), {}, TypeError, "lon has the Arrow type list"),
    ((None, [1.0]), {}, TypeError, "lon is None; use an array"),
    ((object(), [1.0]), {}, TypeError, "lon is an object; use an array"),
    (([1.0], [1.0]), {"metric": "euclid"}, ValueError, 'metric "euclid" is unknown; use geodesic, haversine or planar'),
    (([1.0], [1.0]), {"on_invalid": "drop"}, ValueError, 'on_invalid "drop" is unknown'),
    (([1.0], [1.0]), {"threads": 0}, ValueError, "threads is 0"),
    (([1.0], [1.0]), {"threads": 10**6}, ValueError, "threads is 1000000"),
    (([0.0, 1e13], [0.0, 0.0]), {"metric": "planar"}, ValueError, r"index 1: x 10000000000000 is not between"),
]


@pytest.mark.parametrize("arguments, options, error, message", ERRORS)
def test_wrong_arguments(arguments, options, error, message):
    for function in (ww.length, ww.legs):
        with pytest.raises(error, match=message):
            function(*arguments, **options)


def test_a_column_with_a_unit_is_refused():
    class Quantity:
        unit = "rad"

        def __array__(self, dtype=None, copy=None):
            return np.array([0.1, 0.2])

    with pytest.raises(TypeError, match=r"lon has a unit \(rad\)"):
        ww.length(Quantity(), [1.0, 2.0])


def test_no_points():
    for empty in ([], np.array([]), np.array([], dtype=np.int32), pa.array([], pa.float64()), pa.array([])):
        assert ww.length(empty, empty) == 0
        assert ww.legs(empty, empty).tolist() == []
    assert ww.length([1.0], [1.0]) == 0


def test_two_to_the_31_points():
    # One value that is repeated without memory.
    count = 2**31 + 1
    lon, lat = (np.broadcast_to(np.float64(value), count) for value in (13.5, 46.5))
    assert ww.length(lon, lat, threads=None) == 0
    with pytest.raises(ValueError, match=f"lon has {count} values and lat has {count - 1}"):
        ww.length(lon, lat[1:])


def test_an_overflow_is_an_exception():
    far = np.broadcast_to(np.array([2.0**40, -(2.0**40)]), (2**23, 2)).reshape(-1)
    with pytest.raises(OverflowError, match="exceeds 2\\^64"):
        ww.length(far, far, metric="planar")


@pytest.mark.parametrize("call", ["length(column, column)", "line_lengths((column, column, [0, 2**40]))"])
def test_a_call_can_be_interrupted(call):
    program = f"""
        import numpy as np, waywiser as ww
        column = np.broadcast_to(np.float64(13.5), 2**40)  # an hour
        try:
            print("started", flush=True)
            ww.{call}
        except KeyboardInterrupt:
            print("interrupted")
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.2)  # so that the call has most probably started; a signal before it ends the program too
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "interrupted\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is that of Linux")
def test_a_call_computes_without_threads_that_the_system_refuses():
    program = """
        import os, resource, threading, numpy as np, waywiser as ww
        column = np.linspace(13.5, 14, 3_000_000)
        groups = np.arange(3_000_000) // 100_000
        expected = ww.length(column, column)
        table = ww.by(groups, None, column, column, threads=1)
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        if os.getuid() == 0:
            os.setuid(65534)  # the limit does not apply to root
        try:
            threading.Thread(target=print).start()
        except RuntimeError:
            print("refused")
        assert ww.length(column, column, threads=200) == expected
        assert ww.by(groups, None, column, column, threads=200).equals(table)
        print("done")
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert run.stdout == "refused\ndone\n", run.stderr


def test_other_threads_run_during_a_call():
    column = np.broadcast_to(np.float64(13.5), 2**28)

    def count_during_a_call():
        done = threading.Event()

        def measure():
            ww.length(column, column)
            done.set()

        thread = threading.Thread(target=measure)
        thread.start()
        count = 0
        while not done.is_set():
            count += 1
        thread.join()
        return count

    # On a busy machine, this thread may have no processor during a call.
    assert any(count_during_a_call() > 1000 for _ in range(20))


def test_a_series_of_geopandas_has_coordinates():
    points = geopandas.GeoSeries.from_xy(LON, LAT, crs=4326)
    assert ww.length(points.x, points.y) == ww.length(LON, LAT)


@pytest.mark.parametrize("function", [ww.length, ww.legs])
def test_a_long_run_of_missing_positions_takes_linear_time(function):
    def seconds(count):
        missing = np.broadcast_to(np.nan, count)
        start = time.process_time()
        function(missing, missing, on_invalid="skip")
        return time.process_time() - start

    short, long = 4_000_000, 32_000_000
    seconds(short)
    ratio = min(seconds(long) for _ in range(2)) / max(min(seconds(short) for _ in range(3)), 1e-9)
    # 8 times the points; quadratic time would be about 60 times as long.
    assert ratio < 24


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("on_invalid", ["skip", "split"])
def test_legs_between_steps_have_the_same_bits(on_invalid, threads):
    generator = np.random.default_rng(3)
    count, step = 5_000_000, 1 << 20
    lon, lat = 13 + np.cumsum(generator.normal(0, 1e-5, count)), 46 + generator.normal(0, 1e-4, count)
    lat[step - 1] = lat[2 * step] = np.nan
    lat[3 * step - 70 : 3 * step + 30] = np.nan
    lat[3 * step + 1000 : 4 * step + 1000] = np.nan
    valid = np.flatnonzero(~np.isnan(lat))
    expected = np.zeros(count)
    expected[valid] = ww.legs(lon[valid], lat[valid])
    if on_invalid == "split":
        expected[valid[1:][np.diff(valid) > 1]] = 0
    options = {"on_invalid": on_invalid, "threads": threads}
    np.testing.assert_array_equal(ww.legs(lon, lat, **options), expected)
    assert ww.length(lon, lat, **options) == ww.measure(lon, lat, on_invalid=on_invalid).length
