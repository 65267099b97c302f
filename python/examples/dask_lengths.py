"""Lengths of the paths of devices with Dask: a state for each partition and device, and exact merges.

usage: python dask_lengths.py FOLDER

The partitions divide the time: they are the files of the folder. The lengths have the same bits as with one partition.
"""

from __future__ import annotations

import sys
from pathlib import Path

import dask.dataframe as dd
import pandas as pd
import waywiser as ww


def states(points: pd.DataFrame) -> pd.DataFrame:
    """Return the state of each device in a partition. Folds are pickled between processes and machines."""
    rows = []
    for device, group in points.sort_values("time").groupby("device"):
        state = ww.Fold()
        state.extend(group["lon"], group["lat"])
        rows.append((device, group["time"].iloc[0], state))
    return pd.DataFrame(rows, columns=["device", "first", "state"])


def merged_length(states: pd.Series) -> float:
    """Return the length of consecutive states."""
    path = states.iloc[0].copy()
    for state in states.iloc[1:]:
        path.merge(state)
    return path.length_m


def lengths(folder: Path) -> pd.Series:
    """Return the length of the path of each device."""
    points = dd.read_parquet(folder, split_row_groups=False, aggregate_files=False)
    meta = {"device": object, "first": "datetime64[us]", "state": object}
    found = points.map_partitions(states, meta=meta, enforce_metadata=False).compute()
    return found.sort_values("first").groupby("device")["state"].agg(merged_length)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for device, length_m in lengths(Path(sys.argv[1])).items():
        print(device, length_m)
