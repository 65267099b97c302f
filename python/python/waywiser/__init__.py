"""Exact geodesic lengths of paths: arrays, geometries, track files, and recordings that survive lost connections."""

from __future__ import annotations

from ._lines import line_lengths
from ._waywiser import legs, length

__all__ = [
    "legs",
    "length",
    "line_lengths",
]
