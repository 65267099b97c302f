"""Tracks for tests, and the results of the command line for them."""

from __future__ import annotations

import json
import os
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import waywiser as ww

ROOT = Path(__file__).resolve().parents[2]

#: The members of a track in JSON that are about its file.
_OF_FILE = {
    "file",
    "track",
    "kind",
    "start_time",
    "end_time",
    "incomplete",
    "notes",
    "track_index",
    "device_length_m",
}


#: The members that a summary does not have without an estimate. The command line prints them with zeros.
_OF_ESTIMATE = {"stop_count", "trip_count", "stopped_s", "stops", "trips"}


def summary_row(row: dict) -> dict:
    """Return a track that the command line prints as to_dict() of its summary, without unused_options."""
    left_out = _OF_FILE if "estimated_length_m" in row else _OF_FILE | _OF_ESTIMATE
    return {name: value for name, value in row.items() if name not in left_out}


def as_row(summary: ww.Summary) -> dict:
    """Return a summary as summary_row() does."""
    row = json.loads(json.dumps(summary.to_dict()))
    row.pop("unused_options", None)
    return row


def program() -> str:
    """Return the path of the command line, or skip the test."""
    path = os.environ.get("WAYWISER")
    if not path:
        pytest.skip("the variable WAYWISER is not set to the path of the command line")
    return path


def command_line(*arguments: object) -> list[dict]:
    """Return the tracks that `waywiser measure --json` prints, without the members about their files."""
    command = [program(), "measure", "--json", "--jobs", "1", *map(str, arguments)]
    output = subprocess.run(command, capture_output=True, text=True, check=False)
    assert output.returncode == 0, output.stderr
    rows = [json.loads(line) for line in output.stdout.splitlines()]
    return [summary_row(row) for row in rows if "total" not in row]


def hill_walk() -> list[dict[str, np.ndarray]]:
    """Return the segments of the example."""
    space = {"g": "http://www.topografix.com/GPX/1/1"}
    segments = []
    for segment in ET.parse(ROOT / "examples" / "hill-walk.gpx").iterfind(".//g:trkseg", space):
        points = segment.findall("g:trkpt", space)
        texts = {name: [point.findtext(f"g:{name}", namespaces=space) for point in points] for name in ("ele", "time")}
        segments.append(
            {
                "lon": np.array([float(point.get("lon")) for point in points]),
                "lat": np.array([float(point.get("lat")) for point in points]),
                "elevation": np.array([float(text) for text in texts["ele"]]),
                "time": np.array([text.removesuffix("Z") for text in texts["time"]], dtype="datetime64[ns]"),
            }
        )
    assert len(segments) > 1
    return segments


def walk(count: int = 1500, seed: int = 7) -> dict[str, np.ndarray]:
    """Return a track with noise, jumps, gaps, missing values and times that go back."""
    generator = np.random.default_rng(seed)
    moves = np.where(np.arange(count) % 400 < 120, 0.0, 1.5)  # with stops
    lon = 13.7 + np.cumsum(moves) * 1e-5 + generator.normal(0, 2e-5, count)
    lat = 46.4 + np.cumsum(moves * np.sin(np.arange(count) / 50)) * 1e-5 + generator.normal(0, 2e-5, count)
    seconds = np.cumsum(generator.integers(500, 4000, count)) / 1000 + (np.arange(count) > count // 2) * 5000
    time = np.datetime64("2024-03-30T22:00", "ns") + (seconds * 1e9).astype("timedelta64[ns]")
    jumps = generator.integers(0, count, 15)
    lat[jumps] += 0.02
    zeros = generator.integers(1, count, 5)
    lon[zeros] = lat[zeros] = 0
    swapped = generator.integers(1, count, 40)
    time[[swapped, swapped - 1]] = time[[swapped - 1, swapped]]
    twice = generator.integers(1, count, 40)
    for column in (lon, lat, time):
        column[twice] = column[twice - 1]
    elevation = 500 + np.cumsum(generator.normal(0, 0.7, count))
    accuracy = generator.uniform(3, 70, count)
    for column in (elevation, accuracy):
        column[generator.integers(0, count, 30)] = np.nan
    time[generator.integers(0, count, 20)] = np.datetime64("NaT")
    lat[generator.integers(0, count, 20)] = np.nan
    return {"lon": lon, "lat": lat, "time": time, "elevation": elevation, "accuracy": accuracy}


def write_csv(path: Path, columns: dict[str, np.ndarray], **more: np.ndarray) -> list[object]:
    """Write a table, and return the arguments of the command line that read it."""

    def field(value: object) -> str:
        if isinstance(value, np.datetime64):
            return "" if np.isnat(value) else f"{value}Z"
        if isinstance(value, float):
            return "" if np.isnan(value) else repr(float(value))
        return str(value)

    columns = columns | more
    lines = [",".join(columns)]
    lines += [",".join(field(value) for value in row) for row in zip(*columns.values())]
    path.write_text("\n".join(lines) + "\n")
    names = {"lon": "x", "lat": "y", "elevation": "z", "time": "time", "accuracy": "accuracy", "key": "track"}
    flags = [argument for name in columns for argument in (f"--{names[name]}-column", name)]
    if "key" not in columns:
        flags += ["--track-column", "none"]
    return [path, "--format", "csv", *flags]
