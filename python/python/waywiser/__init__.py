"""Exact geodesic lengths of paths: arrays, geometries, track files, and recordings that survive lost connections."""

from __future__ import annotations

import pkgutil

# The stubs that protoc makes from the contract are modules of `waywiser.v1`, in another folder.
__path__ = pkgutil.extend_path(__path__, __name__)

from ._by import by  # noqa: E402
from ._lines import line_lengths  # noqa: E402
from ._read import Track, Tracks, iter_tracks, read  # noqa: E402
from ._recorder import AsyncRecorder, Recorder, RecordEvent, RecordingError  # noqa: E402
from ._summary import Summary  # noqa: E402
from ._waywiser import Fold, __version__, legs, length, measure  # noqa: E402

__all__ = [
    "AsyncRecorder",
    "Fold",
    "RecordEvent",
    "Recorder",
    "RecordingError",
    "Summary",
    "Track",
    "Tracks",
    "__version__",
    "by",
    "iter_tracks",
    "legs",
    "length",
    "line_lengths",
    "measure",
    "read",
]
