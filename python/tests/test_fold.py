"""The class Fold: the same bits however a path is divided, merged, stored and pickled."""

from __future__ import annotations

import copy
import pickle
import struct
import threading

import numpy as np
import pytest
import waywiser as ww
from hypothesis import given
from hypothesis import strategies as st

COORDINATES = st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), max_size=40)
NEAR = st.lists(st.tuples(st.floats(13.0, 13.2), st.floats(46.0, 46.1)), max_size=700)
POINTS = st.one_of(COORDINATES, NEAR)
METRICS = st.sampled_from(["geodesic", "haversine", "planar"])


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def fold(points, **options) -> ww.Fold:
    result = ww.Fold(**options)
    extend(result, points)
    return result


def extend(path: ww.Fold, points) -> None:
    path.extend([x for x, _ in points], [y for _, y in points])


@given(POINTS, st.lists(st.integers(0, 700)), METRICS)
def test_any_division_has_the_same_bits(points, cuts, metric):
    whole = fold(points, metric=metric)
    assert bits(whole.length) == bits(ww.length([x for x, _ in points], [y for _, y in points], metric=metric))
    path = ww.Fold(metric=metric)
    ends = sorted({min(cut, len(points)) for cut in cuts} | {len(points)})
    for start, end in zip([0, *ends], ends):
        extend(path, points[start:end])
    assert path == whole
    assert bytes(path) == bytes(whole)
    assert path.summary() == whole.summary()


@given(POINTS, st.lists(st.tuples(st.integers(0, 700), st.booleans()), max_size=6), METRICS, st.data())
def test_any_grouping_of_merges_has_the_same_bits(points, cuts, metric, data):
    cuts = sorted({min(cut, len(points)): joined for cut, joined in cuts}.items())
    starts = [(0, True), *cuts]
    ends = [cut for cut, _ in cuts] + [len(points)]
    parts = [(fold(points[start:end], metric=metric), joined) for (start, joined), end in zip(starts, ends)]
    in_order = ww.Fold(metric=metric)
    for part, joined in parts:
        in_order.merge(part, joined=joined)
    while len(parts) > 1:
        index = data.draw(st.integers(0, len(parts) - 2))
        (first, is_first_joined), (second, joined) = parts[index : index + 2]
        first.merge(second, joined=joined)
        parts[index : index + 2] = [(first, is_first_joined)]
    assert parts[0][0] == in_order
    assert bytes(parts[0][0]) == bytes(in_order)
    if all(joined for _, joined in cuts):
        assert in_order == fold(points, metric=metric)


@given(st.lists(POINTS, min_size=1, max_size=6), METRICS, st.randoms())
def test_the_order_of_parts_that_are_not_joined_does_not_matter(parts, metric, random):
    def merged(parts):
        path = ww.Fold(metric=metric)
        for part in parts:
            path.merge(fold(part, metric=metric), joined=False)
        return path

    shuffled = list(parts)
    random.shuffle(shuffled)
    a, b = merged(parts), merged(shuffled)
    assert bits(a.length) == bits(b.length)
    assert a.point_count == b.point_count
    assert a.summary().bounds == b.summary().bounds


OPTIONS = [
    {},
    {"metric": "haversine"},
    {"metric": "planar", "max_gap": 3},
    {"preset": "walk"},
    {"preset": "phone", "every": "hour", "timezone": "Europe/Ljubljana"},
    {"max_speed": 3.5, "min_step": 1, "max_accuracy": 20, "max_gap_time": 30, "on_invalid": "split"},
    {"elevation_mode": "3d", "on_invalid": "skip", "min_climb": 1, "climb_smoothing": 0},
]


def track(count=600, seed=7):
    generator = np.random.default_rng(seed)
    lon = 13.7 + np.cumsum(generator.normal(0, 2e-5, count))
    lat = 46.4 + np.cumsum(generator.normal(0, 2e-5, count))
    time = np.datetime64("2024-03-30T22:00", "ns") + np.cumsum(generator.integers(1, 20, count)) * np.timedelta64(
        1, "s"
    )
    return {
        "lon": lon,
        "lat": lat,
        "time": time,
        "elevation": 500 + np.cumsum(generator.normal(0, 1, count)),
        "accuracy": generator.uniform(3, 25, count),
    }


def part(columns, start, end):
    return {name: column[start:end] for name, column in columns.items()}


@pytest.mark.parametrize("options", OPTIONS)
def test_bytes_and_pickles_continue_with_the_same_bits(options):
    columns = track()
    if options.get("on_invalid"):
        columns["lat"][100:103] = np.nan
    whole = ww.Fold(**options)
    whole.extend(**columns)
    path = ww.Fold(**options)
    for start in range(0, 600, 37):
        path.extend(**part(columns, start, start + 37))
        path = ww.Fold.from_bytes(bytes(path))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            path = pickle.loads(pickle.dumps(path, protocol))
        path = copy.deepcopy(copy.copy(path)).copy()
    assert path == whole
    assert path.summary() == whole.summary()
    assert pickle.loads(pickle.dumps(path.summary())) == whole.summary()


def test_the_state_of_a_path_without_options_is_small():
    path = ww.Fold()
    path.extend(np.linspace(0, 10, 5000), np.linspace(0, 10, 5000))
    assert len(bytes(path)) < 1024


@pytest.mark.parametrize("options", OPTIONS)
def test_damaged_bytes_are_an_error(options):
    path = ww.Fold(**options)
    path.extend(**track(50))
    data = bytes(path)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x10
        with pytest.raises(ValueError, match="the bytes are not a fold"):
            ww.Fold.from_bytes(changed)
        with pytest.raises(ValueError, match="the bytes are not a fold"):
            ww.Fold.from_bytes(data[:at])
    assert ww.Fold.from_bytes(memoryview(data)) == path
    with pytest.raises(TypeError, match="data must be bytes, not str"):
        ww.Fold.from_bytes("text")


def test_an_error_has_the_index_and_leaves_the_fold_unchanged():
    path = fold([(1, 1), (2, 2)])
    before = bytes(path)
    lon = np.linspace(3, 4, 2000)
    wrong = {
        "lat": (1900, np.nan, r"index 1900: .*use on_invalid=\"split\" or \"skip\""),
        "elevation": (1000, np.inf, "index 1000: elevation inf .*use NaN"),
        "accuracy": (700, -1, "index 700: accuracy -1 .*use NaN"),
        "time": (300, 1e11, "index 300: time 100000000000.0 s since 1970 is not in the years 1678 to 2261"),
    }
    for name, (index, value, message) in wrong.items():
        columns = {"lon": lon, "lat": lon.copy(), name: lon.copy()}
        columns[name][index] = value
        with pytest.raises(ValueError, match=message):
            path.extend(**columns)
        assert bytes(path) == before
    with pytest.raises(ValueError, match="time has 1 values for 2 points"):
        path.extend([1, 2], [1, 2], time=[1])
    assert bytes(path) == before


def test_segments_have_no_leg_between_them():
    path = fold([(0, 0), (3, 4)], metric="planar")
    path.end_segment()
    extend(path, [(10, 10), (10, 11)])
    assert path.length == 6
    assert path.summary().segments == 2
    # The end of a segment that is at the end of a part has the same effect after a merge.
    first = fold([(0, 0), (3, 4)], metric="planar")
    first.end_segment()
    first.merge(fold([(10, 10), (10, 11)], metric="planar"))
    assert first == path


def test_a_fold_merges_with_itself():
    path = fold([(0, 0), (3, 4)], metric="planar")
    path.merge(path)
    assert path.length == 15
    path.merge(path, joined=False)
    assert path.length == 30


def test_folds_that_cannot_be_merged_are_unchanged_and_the_error_says_what_to_do():
    plain, timed, ruled = ww.Fold(), ww.Fold(), ww.Fold(preset="walk")
    timed.extend([1, 2], [1, 2], time=[0, 1])
    for a, b, message in [
        (plain, ruled, "different options; create both with the same arguments"),
        (plain, ww.Fold(metric="planar"), "different options"),
        (ruled, ruled, "folds with filters, an estimate, .* extend one fold in order"),
        (timed, plain, "folds with times or elevations .* leave out time and elevation"),
        (plain, timed, "folds with times or elevations .* leave out time and elevation"),
    ]:
        before = bytes(a)
        for joined in (True, False):
            with pytest.raises(ValueError, match=message):
                a.merge(b, joined=joined)
        assert bytes(a) == before
    with pytest.raises(TypeError):
        plain.merge("other")


def test_a_length_that_is_too_large_is_an_error_and_changes_nothing():
    far = [(-(2.0**40), 0), (2.0**40, 0)] * 1000
    path = fold(far, metric="planar")
    for _ in range(64):
        other = path.copy()
        try:
            path.merge(other)
        except OverflowError as error:
            assert "2^64" in str(error)
            assert path == other
            return
    pytest.fail("no overflow")


def test_equality_text_and_names():
    path = fold([(0, 0), (3, 4)], metric="planar")
    assert path == fold([(0, 0), (3, 4)], metric="planar")
    assert path != fold([(0, 0), (3, 5)], metric="planar")
    assert path != "other"
    assert repr(path) == "Fold(metric='planar', point_count=2, length=5.0)"
    assert repr(ww.Fold()) == "Fold(metric='geodesic', point_count=0, length_m=0.0)"
    with pytest.raises(AttributeError, match="a planar path has no length in metres; use length"):
        path.length_m  # noqa: B018
    with pytest.raises(TypeError, match="unhashable"):
        hash(path)
    with pytest.raises(AttributeError):
        path.other = 1


def test_concurrent_changes_are_applied_or_raise():
    path = ww.Fold()
    lon = np.linspace(0, 1, 100_000)
    added, errors = [], []

    def work():
        for _ in range(20):
            try:
                path.extend(lon, lon)
                added.append(len(lon))
            except RuntimeError as error:
                errors.append(str(error))
            path.length_m, bytes(path), path.copy(), repr(path)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.point_count == sum(added)
    assert len(added) + len(errors) == 80
    assert all("another thread has changed the fold" in error for error in errors)
    leg = ww.length(lon, lon)
    back = ww.length([1, 0], [1, 0])
    assert path.length_m == pytest.approx(len(added) * leg + (len(added) - 1) * back, rel=1e-12)
