"""Wrong arguments of every public function: the message has the name of the argument."""

from __future__ import annotations

import datetime
import inspect

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
    with pytest.raises((TypeError, ValueError), match=TEXTS.get(name, rf"\b{name}\b")):
        result = call(**{**valid, **needed, name: value})
        if inspect.isgenerator(result):
            list(result)
