"""Lengths of the paths of devices with Polars: a state for each file and device, and exact merges.

usage: python polars_lengths.py FOLDER

The files of the folder divide the time. The lengths have the same bits as with one file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import waywiser as ww


def fold(columns: Sequence[pl.Series]) -> pl.Series:
    """Return the state of points as bytes."""
    state = ww.Fold()
    state.extend(*columns)
    return pl.Series([bytes(state)])


def length(columns: Sequence[pl.Series]) -> pl.Series:
    """Return the length of consecutive states."""
    first, *rest = (ww.Fold.from_bytes(state) for state in columns[0])
    for state in rest:
        first.merge(state)
    return pl.Series([first.length_m])


def lengths(folder: Path) -> pl.DataFrame:
    """Return the length of the path of each device."""
    states = pl.concat(
        pl.scan_parquet(file)
        .sort("time")
        .group_by("device")
        .agg(
            pl.col("time").first().alias("first"),
            pl.map_groups(["lon", "lat"], fold, return_dtype=pl.Binary, returns_scalar=True).alias("state"),
        )
        for file in sorted(folder.glob("*.parquet"))
    )
    merged = pl.map_groups(["state"], length, return_dtype=pl.Float64, returns_scalar=True)
    return states.sort("first").group_by("device").agg(merged.alias("length_m")).sort("device").collect()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for device, length_m in lengths(Path(sys.argv[1])).iter_rows():
        print(device, length_m)
