"""Wrong arguments of every public function: the message has the name of the argument."""

from __future__ import annotations

import datetime
import inspect
import re

import numpy as np
import pytest
import waywiser as ww
from waywiser._types import FilterOptions, Options

GPX = b'<gpx><trk><trkseg><trkpt lat="46" lon="13"/><trkpt lat="46.1" lon="13"/></trkseg></trk></gpx>'
POINTS = {"lon": [1.0, 2.0], "lat": [1.0, 2.0]}
TRACK = ww.read(GPX)[0]
FOLD = ww.Fold()

#: Functions with valid arguments, and the names of the options that they have in addition.
CALLS = {
    "length": (ww.length, POINTS, ()),
    "legs": (ww.legs, POINTS, ()),
    "line_lengths": (ww.line_lengths, {"lines": ([1.0, 2.0], [1.0, 2.0], [0, 2])}, ()),
    "measure": (ww.measure, POINTS, Options.__annotations__),
    "by": (ww.by, {"key": ["a", "b"], "time": [1, 2], **POINTS}, FilterOptions.__annotations__),
    "Fold": (ww.Fold, {}, Options.__annotations__),
    "Fold.extend": (FOLD.extend, POINTS, ()),
    "Fold.merge": (FOLD.merge, {"other": ww.Fold()}, ()),
    "Fold.from_bytes": (ww.Fold.from_bytes, {"data": bytes(ww.Fold())}, ()),
    "read": (ww.read, {"source": GPX}, ()),
    "iter_tracks": (ww.iter_tracks, {"source": GPX}, ww.read.__kwdefaults__),
    "Track.measure": (TRACK.measure, {}, Options.__annotations__),
}

_CHOICE = [3, "xyzzy", object()]
_FLAG = ["yes", 3, object()]
_ARRAY = [object(), "text", ["a", "b"], [[1.0], [2.0]], [1.0], [True, False], 1j, np.array([1, 2], "m8[s]"), 3]
_NUMBER = ["3", True, -3, np.nan, object(), [1]]
_DURATION = ["30s", True, -3, np.nan, object(), datetime.timedelta(-1), np.timedelta64("NaT"), np.timedelta64(1, "M")]
_COUNT = ["3", 1.5, -3, 2**70, object()]
_COLUMN = [1.5, object(), True, b"lon"]

#: Values that no function accepts for an argument of this name.
WRONG = {
    **dict.fromkeys(("lon", "lat"), [None, *_ARRAY]),
    **dict.fromkeys(("elevation", "accuracy"), [*_ARRAY, [0.0, 1e300]]),
    "time": [*_ARRAY, [0.0, 1e300]],
    "key": [object(), "text", 3, [object(), object()], ["a"], [["a"], ["b"]], None],
    "metric": [None, *_CHOICE],
    "on_invalid": [None, *_CHOICE],
    "threads": [-1, 0, 257, 2**70, "2", 1.5, True, object()],
    "statistics": [*_FLAG, None],
    "every": _CHOICE,
    "timezone": [3, "Mars/Olympus", object(), datetime.timedelta(hours=1), datetime.timezone(datetime.timedelta(0, 1))],
    "preset": _CHOICE,
    "elevation_mode": _CHOICE,
    **dict.fromkeys(("estimate", "trips", "reject_backward_time", "reject_zero_position", "drop_duplicates"), _FLAG),
    **dict.fromkeys(("max_gap", "max_speed", "min_step", "max_accuracy", "stopped_speed", "min_climb"), _NUMBER),
    **dict.fromkeys(("min_stop_time", "max_gap_time", "reorder_time", "climb_smoothing"), _DURATION),
    **dict.fromkeys(("reanchor_count", "reorder", "keep_latest_windows"), _COUNT),
    "joined": [*_FLAG, None],
    "other": [None, 3, b"", object()],
    "data": [None, 3, "text", object(), np.zeros(3)],
    "format": _CHOICE,
    "errors": [None, 3, "ignore", object()],
    "on_note": [3, "text", object()],
    "only": _CHOICE,
    "points": [None, *_CHOICE],
    **dict.fromkeys(("strict", "join_segments", "sort_by_time"), [*_FLAG, None]),
    "time_format": [3, "%Q", object()],
    **dict.fromkeys((f"{name}_column" for name in ("x", "y", "z", "time", "accuracy", "track", "segment")), _COLUMN),
    "delimiter": [3, "ab", "", object()],
}

#: Arguments whose messages have other texts, and arguments that others need.
TEXTS = {"source": "cannot read", "lines": "lines|geometr|GeoArrow", "data": "bytes", "other": "other"}
NEEDED = {
    "timezone": {"every": "day"},
    "keep_latest_windows": {"every": "day"},
    "drop_duplicates": {"reorder": 3},
    "elevation_mode": {"statistics": True},
    "stopped_speed": {"statistics": True},
    "min_climb": {"statistics": True},
    "climb_smoothing": {"statistics": True},
}


def arguments():
    """Return each argument of each function with each value that is wrong."""
    for function, (call, _, options) in CALLS.items():
        names = [name for name, each in inspect.signature(call).parameters.items() if each.kind != each.VAR_KEYWORD]
        for name in dict.fromkeys([*names, *options]):
            for value in WRONG.get(name, [None, 3, object()]):
                if function == "Track.measure" and value is None:  # the value of the call that read the track
                    continue
                yield pytest.param(function, name, value, id=f"{function}-{name}-{value!r:.30}")


@pytest.mark.parametrize(("function", "name", "value"), list(arguments()))
def test_the_message_of_a_wrong_argument_has_its_name(function, name, value):
    call, valid, options = CALLS[function]
    needed = {key: value for key, value in NEEDED.get(name, {}).items() if key in options or function == "by"}
    if function == "by" and name == "timezone":
        needed = {}
    with pytest.raises((TypeError, ValueError)) as info:
        result = call(**{**valid, **needed, name: value})
        if inspect.isgenerator(result):
            list(result)
    # `match` would also search the notes of the exception, which logs do not have.
    assert re.search(TEXTS.get(name, rf"\b{name}\b"), str(info.value)), str(info.value)


NOT_ARRAYS = {
    "a generator": lambda: (value for value in (1.0, 2.0)),
    "a list_iterator": lambda: iter([1.0, 2.0]),
    "a set": lambda: {1.0, 2.0},
    "a frozenset": lambda: frozenset({1.0, 2.0}),
    "a dict": lambda: {0: 1.0, 1: 2.0},
    "a dict_values": lambda: {0: 1.0, 1: 2.0}.values(),
    "a str": lambda: "ab",
    "bytes": lambda: b"ab",
    "a bytearray": lambda: bytearray(b"ab"),
    "a number": lambda: 14,
    "a number ": lambda: 14.5,
    "a number  ": lambda: np.float64(14),
    "a number   ": lambda: np.array(14.0),
    "a number    ": lambda: np.array(14, np.int32),
    "a datetime": lambda: datetime.datetime(2024, 1, 1),
    "an object": object,
}


@pytest.mark.parametrize("kind", NOT_ARRAYS)
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (function, name)
        for function, (call, *_) in CALLS.items()
        for name in ("key", "time", "lon", "lat", "elevation", "accuracy")
        if name in inspect.signature(call).parameters
    ],
)
def test_what_is_not_an_array_is_a_type_error(function, name, kind):
    call, valid, _ = CALLS[function]
    value = NOT_ARRAYS[kind]()
    if name == "key" and kind == "a bytearray":
        return
    with pytest.raises(TypeError, match=f"^{name} is {kind.strip()}; use an array"):
        call(**{**valid, name: value})
    if name in ("lon", "lat") and np.ndim(value) == 0:
        with pytest.raises(TypeError, match=f"^lon is {kind.strip()}; use an array"):
            call(**{**valid, "lon": value, "lat": value})


@pytest.mark.parametrize(
    "dtype",
    ["f8", "i4", "M8[ns]", "M8[us]", "M8[s]", "M8[ps]", "M8[D]", ">M8[ns]", ">f8", "f4", "i8", "u8", "i2"],
)
@pytest.mark.parametrize("offset", [1, 3])
def test_columns_may_be_fields_of_packed_records(dtype, offset):
    fields = ("key", "time", "lon", "lat", "elevation", "accuracy")
    is_time = "M8" in dtype
    kinds = {name: dtype if (name == "time") == is_time or dtype in ("f8", "i8") else "f8" for name in fields}
    kinds["time"] = dtype if is_time else "M8[ns]"
    layout = np.dtype([("flag", f"V{offset}"), *kinds.items()])
    records = np.zeros(40, layout)
    for number, name in enumerate(fields):
        # Coordinates of the type int32 have the unit of 1e-7 degree.
        unit = 1_000_000 if dtype == "i4" and name in ("lon", "lat") else 1
        records[name] = (np.arange(40) % 3 if name == "key" else (np.arange(40) + number) * unit).astype(layout[name])
    packed = {name: records[name] for name in fields}
    assert not any(column.flags.aligned for column in packed.values() if column.itemsize > 1)
    # Also a column that is not in records, at an odd address.
    odd = {}
    for name, column in packed.items():
        memory = bytearray(offset + column.nbytes)
        odd[name] = np.frombuffer(memory, column.dtype, offset=offset)
        odd[name][:] = column
    copies = {name: column.astype(column.dtype, copy=True) for name, column in packed.items()}
    for columns in (packed, odd):
        for statistics in (False, True):
            expected = ww.by(**copies, statistics=statistics, threads=2)
            assert ww.by(**columns, statistics=statistics, threads=2) == expected
        given, same = ({key: value for key, value in each.items() if key != "key"} for each in (columns, copies))
        assert ww.measure(**given, estimate=True) == ww.measure(**same, estimate=True)
        folds = ww.Fold(), ww.Fold()
        folds[0].extend(**given)
        folds[1].extend(**same)
        assert folds[0] == folds[1]


@pytest.mark.parametrize("name", ["time", "elevation", "accuracy"])
def test_an_argument_of_another_function_is_not_suggested(name):
    with pytest.raises(
        TypeError, match=rf"Fold\(\) got an unexpected keyword argument '{name}'; pass it to extend\(\)"
    ):
        ww.Fold(**{name: [1]})
    with pytest.raises(TypeError, match=rf"Track.measure\(\) .* '{name}'; it uses the attribute '{name}' of the track"):
        TRACK.measure(**{name: [1]})
    for function in (ww.Fold, TRACK.measure):
        for wrong in ("tim", "elevatio", "accurac", "x"):
            with pytest.raises(TypeError) as info:
                function(**{wrong: 1})
            assert not re.search("'(time|elevation|accuracy)'", str(info.value)), info.value
