"""Exact geodesic lengths of paths: arrays, geometries, track files, and recordings that survive lost connections."""

from __future__ import annotations

from ._by import by
from ._lines import line_lengths
from ._read import Track, Tracks, iter_tracks, read
from ._recorder import AsyncRecorder, Recorder, RecordEvent, RecordingError
from ._summary import Summary
from ._waywiser import Fold, legs, length, measure

__all__ = [
    "AsyncRecorder",
    "Fold",
    "RecordEvent",
    "Recorder",
    "RecordingError",
    "Summary",
    "Track",
    "Tracks",
    "by",
    "iter_tracks",
    "legs",
    "length",
    "line_lengths",
    "measure",
    "read",
]
