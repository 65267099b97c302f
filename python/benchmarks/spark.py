"""Measures waywiser.spark on Spark and on Sail, with several numbers of partitions, next to a pandas UDF with pyproj.

usage: python benchmarks/spark.py [--points N] [--devices N] [--partitions N ...] [--engines NAME ...]
                                  [--udf-partitions N]

The points are in Parquet files, one for each partition, which divide the time: each has points of all devices, in the
order of their times. The legs are about 100 m. waywiser.spark sorts the partitions, or not (presorted). Fails unless all
results have the same bits. The files are temporary; 100 million points need 3 GB for each number of partitions.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from waywiser import spark as ws

#: The number of points that are made at once.
CHUNK = 1_000_000
#: The time of the first point, and the time between two points, in microseconds.
START_US, STEP_US = 1_767_225_600_000_000, 1000


def write(folder: Path, points: int, devices: int, partitions: list[int]) -> None:
    """Write the same points to a folder for each number of partitions."""
    writers: dict[Path, pq.ParquetWriter] = {}
    random = np.random.default_rng(1)
    # Device d has the points d, d + devices, d + 2 * devices ... in time.
    for first in range(0, points, CHUNK):
        number = np.arange(first, min(points, first + CHUNK))
        device, tick = number % devices, number // devices
        columns = {
            "device": device.astype(np.int32),
            "time": pa.array(START_US + number * STEP_US, pa.timestamp("us", "UTC")),
            "lon": device / devices * 300 - 150 + np.sin(tick / 1000 + device) + random.normal(0, 1e-5, len(number)),
            "lat": device % 120 - 60 + np.cos(tick / 900 + device) + random.normal(0, 1e-5, len(number)),
        }
        table = pa.table(columns)
        for count in partitions:
            part = number * count // points
            for index in range(part[0], part[-1] + 1):
                path = folder / str(count) / f"part-{index:05}.parquet"
                if path not in writers:
                    path.parent.mkdir(exist_ok=True)
                    writers[path] = pq.ParquetWriter(path, table.schema)
                start, end = np.searchsorted(part, [index, index + 1])
                writers[path].write_table(table.slice(start, end - start))
                if number[-1] + 1 == points or part[-1] > index:
                    writers[path].close()


@contextmanager
def spark_session() -> Iterator[SparkSession]:
    """Start Spark in this process, with one partition for each file."""
    builder = SparkSession.builder.master(f"local[{os.cpu_count()}]").appName("waywiser")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "OFF",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "4g",
        "spark.sql.files.maxPartitionBytes": str(1 << 50),
        "spark.sql.files.openCostInBytes": str(1 << 50),
        "spark.sql.shuffle.partitions": "8",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()


@contextmanager
def sail_session() -> Iterator[SparkSession]:
    """Start a server of Sail in this process. It divides files itself."""
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    session = SparkSession.builder.remote("sc://127.0.0.1:{1}".format(*server.listening_address)).getOrCreate()
    try:
        yield session
    finally:
        session.stop()
        server.stop()


SESSIONS = {"spark": spark_session, "sail": sail_session}


def pyproj_length(points: pd.DataFrame) -> pd.DataFrame:
    """Return the length of the path of a device, as users of pyproj write it."""
    points = points.sort_values("time")
    length = pyproj.Geod(ellps="WGS84").line_length(points["lon"], points["lat"])
    return pd.DataFrame({"device": points["device"].iloc[:1], "length_m": [length]})


def timed(df: DataFrame) -> tuple[float, dict[int, float]]:
    """Return the time of a job, and the length of each device."""
    start = time.perf_counter()
    rows = df.select("device", "length_m").collect()
    return time.perf_counter() - start, dict(map(tuple, rows))


def digest(lengths: dict[int, float]) -> str:
    """Return a text that is equal for equal bits, also of other runs of this program."""
    text = "".join(f"{device} {length.hex()}\n" for device, length in sorted(lengths.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 7, 200])
    parser.add_argument("--engines", nargs="+", choices=SESSIONS, default=list(SESSIONS))
    parser.add_argument("--udf-partitions", type=int, help="run the pandas UDF only with this number of partitions")
    arguments = parser.parse_args()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    found: list[dict[int, float]] = []
    with tempfile.TemporaryDirectory(prefix="waywiser-") as name:
        folder = Path(name)
        write(folder, arguments.points, arguments.devices, arguments.partitions)
        print(f"{arguments.points} points, {arguments.devices} devices", flush=True)
        for engine in arguments.engines:
            with SESSIONS[engine]() as session:
                for count in arguments.partitions:
                    df = session.read.parquet(str(folder / str(count)))
                    # Sail assigns row groups to its tasks in any order, so that a task has parts of the time.
                    number = f"(unix_micros(time) - {START_US}) div {STEP_US}"
                    runs = F.expr(f"{number} * {count} div {arguments.points} + {number} div {CHUNK}")
                    options: dict[str, Any] = {"key": "device", "order": "time", "runs": runs}
                    timed(ws.lengths(df.where("device = 0"), **options))  # starts the workers
                    ours: list[float] = []
                    for presorted in (False, True):
                        seconds, lengths = timed(ws.lengths(df, presorted=presorted, **options))
                        ours.append(seconds)
                        found.append(lengths)
                    line = [f"{engine:6} {count:4} files: waywiser {ours[0]:6.1f} s, presorted {ours[1]:6.1f} s"]
                    if arguments.udf_partitions in (None, count):
                        udf = df.groupBy("device").applyInPandas(pyproj_length, "device int, length_m double")
                        slow, expected = timed(udf)
                        error = max(abs(lengths[key] / expected[key] - 1) for key in expected)
                        ratios = " and ".join(f"{slow / seconds:.1f}" for seconds in ours)
                        line.append(f"pandas UDF with pyproj {slow:6.1f} s, {ratios} times")
                        line.append(f"relative difference {error:.0e}")
                    line.append(f"digest of the bits {digest(lengths)}")
                    print("; ".join(line), flush=True)
            for variable in ("SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED"):
                os.environ.pop(variable, None)
    if any(lengths != found[0] for lengths in found) or len(found[0]) != arguments.devices:
        print("the results differ", file=sys.stderr)
        return 1
    print(f"{len(found)} results of {len(found[0])} devices have the same bits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
