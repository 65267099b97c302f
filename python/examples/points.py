"""Writes the points of some devices to Parquet files, one file for each day, as an ingestion does.

usage: python points.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def write(folder: Path, days: int = 4, devices: int = 5, count: int = 2000) -> None:
    """Write `count` points for each day. The rows of a day have no order."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    for day in range(days):
        seconds = day * 86_400 + random.permutation(86_400)[:count]
        device = random.integers(0, devices, count)
        columns = {
            "device": [f"van-{number}" for number in device],
            "time": np.datetime64("2026-05-01T00:00:00") + seconds.astype("m8[s]"),
            "lon": 14.5 + 0.1 * device + np.sin(seconds / 9000) * 0.2 + random.normal(0, 1e-5, count),
            "lat": 46.0 + 0.1 * device + np.cos(seconds / 7000) * 0.1 + random.normal(0, 1e-5, count),
        }
        pq.write_table(pa.table(columns), folder / f"2026-05-{day + 1:02}.parquet")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
