"""Arrays: conversion of arguments, and functions that return arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _waywiser

__all__ = ["coordinates", "legs", "line_lengths"]


def coordinates(values: Any, name: str) -> np.ndarray:
    """Return coordinates as an array of float64 (degrees) or int32 (1e-7 degree). Missing values are NaN."""
    array = np.asarray(values)
    if array.dtype.kind == "f":
        return array.astype(np.float64, copy=False)
    return array.astype(np.float64)


def legs(lon, lat, *, metric="geodesic", on_invalid="raise", threads=1):
    out = np.empty(len(lon))
    _waywiser.legs_into(lon, lat, metric, on_invalid, threads, out)
    return out


def line_lengths(lines, *, metric="geodesic", on_invalid="raise", threads=1):
    import shapely

    kind, coords, offsets = shapely.to_ragged_array(lines)
    out = np.empty(len(lines))
    _waywiser.line_lengths_into(coords[:, 0], coords[:, 1], offsets[0].astype(np.int64), None, metric, on_invalid, threads, out)
    return out
