"""Exact geodesic lengths of paths: arrays, geometries, track files, and recordings that survive lost connections."""

from __future__ import annotations

import pkgutil

# The stubs that protoc makes from the contract are modules of `waywiser.v1`, in another folder.
__path__ = pkgutil.extend_path(__path__, __name__)

from ._by import by  # noqa: E402
from ._lines import line_lengths  # noqa: E402
from ._summary import Summary  # noqa: E402
from ._waywiser import Fold, legs, length, measure  # noqa: E402

__all__ = [
    "Fold",
    "Summary",
    "by",
    "legs",
    "length",
    "line_lengths",
    "measure",
]
