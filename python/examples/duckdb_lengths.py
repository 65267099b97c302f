"""Lengths of the paths of devices with SQL in DuckDB: a state for each file and device, and exact merges.

usage: python duckdb_lengths.py FOLDER

The files of the folder divide the time. The lengths have the same bits as with one file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import waywiser as ww

QUERY = """
    WITH states AS (
        SELECT device, min(time) AS first, fold(list(lon ORDER BY time), list(lat ORDER BY time)) AS state
        FROM read_parquet($files, filename = true)
        GROUP BY device, filename
    )
    SELECT device, merged_length(list(state ORDER BY first)) AS length_m
    FROM states
    GROUP BY device
    ORDER BY device
"""


def fold(lon: pa.ChunkedArray, lat: pa.ChunkedArray) -> pa.Array:
    """Return the state of each list of points as bytes."""
    states = []
    for x, y in zip(lon, lat):
        state = ww.Fold()
        state.extend(x.values, y.values)
        states.append(bytes(state))
    return pa.array(states, pa.binary())


def merged_length(lists: pa.ChunkedArray) -> pa.Array:
    """Return the length of each list of consecutive states."""
    lengths = []
    for states in lists:
        first, *rest = (ww.Fold.from_bytes(state.as_py()) for state in states)
        for state in rest:
            first.merge(state)
        lengths.append(first.length_m)
    return pa.array(lengths, pa.float64())


def lengths(folder: Path) -> pa.Table:
    """Return the length of the path of each device."""
    with duckdb.connect() as connection:
        connection.create_function("fold", fold, ["DOUBLE[]", "DOUBLE[]"], "BLOB", type="arrow")
        connection.create_function("merged_length", merged_length, ["BLOB[]"], "DOUBLE", type="arrow")
        return connection.sql(QUERY, params={"files": str(folder / "*.parquet")}).to_arrow_table()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for row in lengths(Path(sys.argv[1])).to_pylist():
        print(row["device"], row["length_m"])
