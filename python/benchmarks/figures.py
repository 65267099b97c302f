"""Compares the package with other libraries, side by side in one run on one core.

usage: python benchmarks/figures.py [--short] [--check]

Each figure is the shortest time of several alternating rounds, and the ratio of two of them. --short measures smaller
inputs. --check fails if a ratio is far below those in the README, or if a short call takes far longer, for tests.
"""

from __future__ import annotations

import argparse
import sys
import time
import timeit
from collections.abc import Callable
from functools import partial
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyproj
import shapely
import waywiser as ww
from geographiclib.geodesic import Geodesic

GEOD = pyproj.Geod(ellps="WGS84")
RANDOM = np.random.default_rng(1)
#: Maximum time of one call with few points, which takes less than 2 us on an idle machine.
CALL_MAX_S = 10e-6


def shortest(functions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the shortest time of each function in seconds. They run in turns.

    In its turn, a function runs several times: the first time, the caches have the data of the others.
    """
    times = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            for _ in range(3):
                start = time.perf_counter()
                function()
                times[name] = min(times[name], time.perf_counter() - start)
    return times


class Report:
    """Prints a row for each comparison, and remembers what is too slow."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def section(self, title: str) -> None:
        print(f"\n{title}")

    def row(self, name: str, seconds: float, per: int, ratio: float | None = None, bound: float | None = None) -> None:
        text = "" if ratio is None else f"{ratio:8.1f} times"
        print(f"  {name:<44}{seconds / per * 1e9:12.1f} ns{text:>20}".rstrip())
        if ratio is not None and bound is not None and ratio < bound:
            self.failures.append(f"{name}: {ratio:.1f} times as fast, and at least {bound} is expected")

    def compare(self, ours: str, others: dict[str, float], times: dict[str, float], per: int, bound: float) -> None:
        """Print our time, and those of others with the ratio. The bound is for the first of them."""
        self.row(ours, times[ours], per)
        for index, (name, scale) in enumerate(others.items()):
            seconds = times[name] * scale
            self.row(name, seconds, per, seconds / times[ours], bound if index == 0 else None)


def walk(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a path of legs of about 10 m."""
    return tuple(start + np.cumsum(RANDOM.uniform(-1e-4, 1e-4, count)) for start in (13.5, 46.5))  # type: ignore[return-value]


def lengths(report: Report, count: int, rounds: int) -> None:
    lon, lat = walk(count)
    e7 = tuple(np.round(column * 1e7).astype(np.int32) for column in (lon, lat))
    few = count // 100
    series = geopandas.GeoSeries([shapely.linestrings(lon, lat)], crs=4326)
    inverse = Geodesic.WGS84.Inverse

    def geographiclib() -> float:
        points = list(zip(lat[:few].tolist(), lon[:few].tolist()))
        return sum(inverse(*a, *b, Geodesic.DISTANCE)["s12"] for a, b in zip(points, points[1:]))

    times = shortest(
        {
            "waywiser.length": lambda: ww.length(lon, lat),
            "waywiser.length, int32": lambda: ww.length(*e7),
            "waywiser.legs": lambda: ww.legs(lon, lat),
            "pyproj.Geod.line_length": lambda: GEOD.line_length(lon, lat),
            "pyproj.Geod.inv": lambda: GEOD.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])[2].sum(),
            "geographiclib": geographiclib,
            "geopandas, to_crs().length (not geodesic)": lambda: series.to_crs(3857).length,
            "shapely.length (in degrees)": lambda: shapely.length(series.values),
        },
        rounds,
    )
    report.section(f"One path of {count:,} points, per leg")
    others = {name: 1.0 for name in times if not name.startswith("waywiser") and name != "geographiclib"}
    others["geographiclib"] = 100.0
    report.row("waywiser.length, int32", times["waywiser.length, int32"], count)
    report.row("waywiser.legs", times["waywiser.legs"], count)
    report.compare("waywiser.length", others, times, count, 60)


def lines(report: Report, count: int, rounds: int) -> None:
    steps = RANDOM.uniform(-1e-4, 1e-4, (count, 10, 2))
    starts = np.stack([RANDOM.uniform(-170, 170, count), RANDOM.uniform(-70, 70, count)], axis=1)
    points = starts[:, None, :] + np.cumsum(steps, axis=1)
    series = geopandas.GeoSeries(shapely.linestrings(points), crs=4326)
    geoarrow = pa.array(series.to_arrow(geometry_encoding="geoarrow", interleaved=False))
    few = count // 20
    some, columns = series[:few], [tuple(np.ascontiguousarray(line.T)) for line in points[:few]]
    times = shortest(
        {
            "line_lengths of a GeoSeries": lambda: ww.line_lengths(series),
            "line_lengths of GeoArrow": lambda: ww.line_lengths(geoarrow),
            "loop of Geod.geometry_length": lambda: [GEOD.geometry_length(line) for line in some],
            "loop of Geod.line_length of arrays": lambda: [GEOD.line_length(*line) for line in columns],
            "geopandas, to_crs().length (not geodesic)": lambda: series.to_crs(3857).length,
            "shapely.get_coordinates alone": lambda: shapely.get_coordinates(series.values),
        },
        rounds,
    )
    report.section(f"{count:,} lines of 10 points, per line")
    loops = {"loop of Geod.geometry_length": 20.0, "loop of Geod.line_length of arrays": 20.0}
    report.compare("line_lengths of GeoArrow", loops, times, count, 40)
    others = loops | {"geopandas, to_crs().length (not geodesic)": 1.0, "shapely.get_coordinates alone": 1.0}
    report.compare("line_lengths of a GeoSeries", others, times, count, 10)


def groups(report: Report, count: int, rounds: int) -> None:
    devices = count // 1000
    device = RANDOM.integers(0, devices, count)
    when = np.datetime64("2026-05-01", "ns") + np.sort(RANDOM.integers(0, 86_400_000 * 7, count)) * np.timedelta64(
        1, "ms"
    )
    lon, lat = (column[device] + RANDOM.uniform(-1e-3, 1e-3, count) for column in walk(devices))
    frame = pd.DataFrame({"device": device, "time": when, "lon": lon, "lat": lat})

    def pandas() -> Any:
        ordered = frame.sort_values(["device", "time"])
        return ordered.groupby("device").apply(lambda rows: GEOD.line_length(rows.lon.to_numpy(), rows.lat.to_numpy()))

    times = shortest(
        {
            "by": lambda: ww.by(frame.device, frame.time, frame.lon, frame.lat),
            "by, for each day": lambda: ww.by(frame.device, frame.time, frame.lon, frame.lat, every="day"),
            "pandas groupby with pyproj": pandas,
        },
        rounds,
    )
    report.section(f"{count:,} rows of {devices:,} devices in order of time, per row")
    report.row("by, for each day", times["by, for each day"], count)
    report.compare("by", {"pandas groupby with pyproj": 1.0}, times, count, 8)


def calls(report: Report) -> None:
    lon, lat = walk(10)
    # A few milliseconds at a time, so that some of the repeats run without an interruption on a busy machine.
    number = 1_000
    report.section("One call with 10 points")
    for name, function in (("waywiser.length", ww.length), ("pyproj.Geod.line_length", GEOD.line_length)):
        seconds = min(timeit.repeat(partial(function, lon, lat), number=number, repeat=100)) / number
        report.row(name, seconds, 1)
        if function is ww.length and seconds > CALL_MAX_S:
            report.failures.append(
                f"{name}: {seconds * 1e6:.1f} us per call, and at most {CALL_MAX_S * 1e6:.0f} us is expected"
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--short", action="store_true", help="measure smaller inputs")
    parser.add_argument("--check", action="store_true", help="fail if a figure is far worse than those in the README")
    arguments = parser.parse_args()
    scale, rounds = (10, 3) if arguments.short else (1, 7)
    report = Report()
    lengths(report, 1_000_000 // scale, rounds)
    lines(report, 100_000 // scale, rounds)
    if hasattr(ww, "by"):
        groups(report, 1_000_000 // scale, rounds)
    calls(report)
    for failure in report.failures:
        print(failure, file=sys.stderr)
    return 1 if report.failures and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
