"""Exact geodesic lengths of paths: arrays, geometries, track files, and recordings that survive lost connections."""

from __future__ import annotations

from ._by import by
from ._lines import line_lengths
from ._summary import Summary
from ._waywiser import Fold, legs, length, measure

__all__ = [
    "Fold",
    "Summary",
    "by",
    "legs",
    "length",
    "line_lengths",
    "measure",
]
