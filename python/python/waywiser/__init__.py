"""Exact geodesic lengths of paths: arrays, geometries, track files, and recordings that survive lost connections."""

from __future__ import annotations

from ._lines import line_lengths
from ._waywiser import Fold, legs, length

__all__ = [
    "Fold",
    "legs",
    "length",
    "line_lengths",
]
