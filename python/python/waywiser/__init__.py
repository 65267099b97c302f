"""Exact geodesic lengths of paths."""

from ._arrays import legs, line_lengths
from ._waywiser import length

__all__ = ["legs", "length", "line_lengths"]
