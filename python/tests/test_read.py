"""Reading files: every number is compared with that of the command line, which the variable WAYWISER names."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
import weakref
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import waywiser as ww
from formats import CSV, FILES, GPX
from tracks import as_row, summary_row
from waywiser import _read

WAYWISER = os.environ.get("WAYWISER")
needs_program = pytest.mark.skipif(WAYWISER is None, reason="the variable WAYWISER does not name the program")
ROOT = Path(__file__).resolve().parents[2]

#: Options of `read` and of `Track.measure`, and the same on the command line.
OPTIONS: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({}, {}, []),
    ({"on_invalid": "split"}, {}, ["--on-invalid", "split"]),
    ({"join_segments": True, "only": "tracks"}, {}, ["--join-segments", "--only", "tracks"]),
    ({"sort_by_time": True}, {}, ["--sort-by-time"]),
    ({"metric": "haversine"}, {}, ["--model", "haversine"]),
    ({}, {"preset": "walk"}, ["--preset", "walk", "--trips"]),
    (
        {},
        {"max_speed": 3, "min_step": 10, "max_accuracy": 20, "max_gap": 5000, "max_gap_time": 60},
        ["--max-speed", "3", "--min-step", "10", "--max-accuracy", "20", "--max-gap", "5000", "--max-gap-time", "60s"],
    ),
    ({}, {"estimate": True, "elevation_mode": "3d"}, ["--trips", "--elevation", "3d"]),
]


def measured(path: Path, arguments: list[str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of the tracks, and the total."""
    assert WAYWISER is not None
    run = subprocess.run([WAYWISER, "measure", "--json", *arguments, path], capture_output=True, text=True)
    *rows, total = map(json.loads, run.stdout.splitlines())
    return rows, total["total"]


def assert_same(track: ww.Track, row: dict[str, Any], options: dict[str, Any]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert as_row(track.measure(**options)) == summary_row(row)
    rejected = [note["count"] for note in row["notes"] if note["kind"] == "rejected_points"]
    assert [int(str(each.message).partition(" of ")[0]) for each in caught] == rejected
    assert track.name == row["track"] or track.name is None and row["track"].isdigit()
    assert (track.file, track.kind, track.is_incomplete) == (row["file"], row["kind"], row["incomplete"])
    assert track.device_length_m == row.get("device_length_m")
    assert len(track) + len(track.invalid_offsets) == row["points"]
    times = track.time[~np.isnat(track.time)]
    assert len(times) == 0 or times.min() == np.datetime64(row["start_time"].rstrip("Z"), "ns")
    assert len(times) == 0 or times.max() == np.datetime64(row["end_time"].rstrip("Z"), "ns")
    places = ["".join(f":{note[key]}" for key in ("line", "column") if key in note) for note in row["notes"]]
    for text in track.notes:
        assert any(text.startswith(f"{track.file}{place}: ") for place in places)
    # The program adds notes on the options of the measurement.
    kinds = [note["kind"] for note in row["notes"]]
    reader = [kind for kind in kinds if kind not in ("unused_option", "rejected_points")]
    assert len([text for text in track.notes if "had no effect" not in text]) == len(reader)


@needs_program
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(options[2]) or "none")
@pytest.mark.parametrize("name", FILES)
def test_every_format_has_the_bits_of_the_command_line(tmp_path: Path, name: str, options: Any) -> None:
    read_options, measure_options, arguments = options
    path = tmp_path / name
    path.write_bytes(FILES[name])
    rows, _ = measured(path, arguments)
    tracks = ww.read(path, **read_options)
    assert len(rows) > 0
    for track, row in zip(tracks, rows, strict=True):
        assert_same(track, row, measure_options)
    assert ww.read(path, format=name, **read_options)[0].measure() == tracks[0].measure()


@needs_program
@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({"segment_column": "part"}, ["--segment-column", "part"]),
        ({"segment_column": 6, "on_invalid": "split"}, ["--segment-column", "6", "--on-invalid", "split"]),
        ({"track_column": "part"}, ["--track-column", "part"]),
        (
            {"track_column": "none", "x_column": 2, "y_column": 1},
            ["--track-column", "none", "--x-column", "2", "--y-column", "1"],
        ),
        ({"z_column": "accuracy", "accuracy_column": "ele"}, ["--z-column", "accuracy", "--accuracy-column", "ele"]),
        ({"delimiter": ","}, ["--delimiter", ","]),
        (
            {"timezone": "Europe/Berlin", "time_format": "%Y-%m-%dT%H:%M:%S%z"},
            ["--timezone", "Europe/Berlin", "--time-format", "%Y-%m-%dT%H:%M:%S%z"],
        ),
    ],
)
def test_options_of_tables_have_the_bits_of_the_program(tmp_path: Path, options: Any, arguments: list[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CSV)
    rows, _ = measured(path, arguments)
    for track, row in zip(ww.read(path, **options), rows, strict=True):
        assert_same(track, row, {})


@needs_program
def test_random_segments_and_invalid_points_have_the_bits_of_the_command_line(tmp_path: Path) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    random = np.random.default_rng(seed)
    for on_invalid in ("skip", "split"):
        lines = ["lon,lat,time,part"]
        for i in range(400):
            lon = "" if random.random() < 0.2 else f"{13 + random.random() / 100:.7f}"
            lat, group = f"{46 + random.random() / 100:.7f}", i // random.integers(1, 40)
            lines.append(f"{lon},{lat},{1_700_000_000 + 10 * i},{group}")
        path = tmp_path / "a.csv"
        path.write_text("\n".join(lines))
        rows, _ = measured(path, ["--segment-column", "part", "--max-speed", "40", "--on-invalid", on_invalid])
        (track,) = ww.read(path, segment_column="part", on_invalid=on_invalid)
        assert track.segment.max() > 5 and len(track.invalid_offsets) > 5
        assert_same(track, rows[0], {"max_speed": 40})


@needs_program
def test_planar_coordinates_have_the_bits_of_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n400000.5,5100000\n400010,5100020\n,\n400011,5100020\n")
    rows, _ = measured(path, ["--model", "planar"])
    (track,) = ww.read(path, metric="planar")
    assert_same(track, rows[0], {})
    assert list(track.lon) == [400000.5, 400010, 400011]


def archive(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in FILES.items():
            file.writestr(f"day/{name}", content)
        file.writestr("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(100))
        file.writestr("empty.gpx", b"<gpx></gpx>")
        file.writestr("table.csv.gz", gzip.compress(CSV))
    return path


@needs_program
def test_compressed_files_have_the_bits_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "a.gpx.gz").write_bytes(gzip.compress(GPX))
    for path in (archive(tmp_path / "a.zip"), tmp_path / "a.gpx.gz"):
        rows, _ = measured(path, [])
        tracks = ww.read(path)
        assert len(rows) > 1
        for track, row in zip(tracks, rows, strict=True):
            assert_same(track, row, {})
        # The content is the same from bytes and from a file object.
        for source in (path.read_bytes(), io.BytesIO(path.read_bytes()), path.open("rb")):
            again = ww.read(source)
            assert [track.measure() for track in again] == [track.measure() for track in tracks]
            if isinstance(source, io.BufferedReader):
                source.close()
    notes = ww.read(tmp_path / "a.zip").notes
    assert any("photo.jpg: the file is in no supported format" in note for note in notes)
    assert any("empty.gpx: this GPX has nothing to measure" in note for note in notes)


@needs_program
def test_a_folder_has_the_tracks_of_the_command_line(tmp_path: Path) -> None:
    inner = tmp_path / "b" / "c"
    inner.mkdir(parents=True)
    archive(inner / "z.zip")
    for name in ("b.gpx", "a.gpx", "b/a.gpx", "b-a.gpx", "b/.hidden.gpx"):
        (tmp_path / name).write_bytes(GPX)
    (tmp_path / "notes.md").write_text("# Walks, and more\n")
    (tmp_path / "link.gpx").symlink_to(tmp_path / "a.gpx")
    (tmp_path / "b" / "back").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to("missing")
    os.mkfifo(tmp_path / "pipe")
    rows, total = measured(tmp_path, [])
    tracks = ww.read(tmp_path)
    assert [(track.file, track.kind) for track in tracks] == [(row["file"], row["kind"]) for row in rows]
    for track, row in zip(tracks, rows, strict=True):
        assert_same(track, row, {})
    assert sum(len(track) + len(track.invalid_offsets) for track in tracks) == total["points"]
    skipped = ("notes.md", "link.gpx", "back", "nowhere", "pipe", "photo.jpg")
    assert all(any(name in note for note in tracks.notes) for name in skipped)
    assert list(map(repr, ww.iter_tracks(tmp_path))) == list(map(repr, tracks))


def test_the_table_has_the_arrays_of_the_track() -> None:
    (track,) = ww.read(CSV, segment_column="part")
    types = dict.fromkeys(("lon", "lat", "elevation", "accuracy"), pa.float64())
    types |= {"time": pa.timestamp("ns", "UTC"), "segment": pa.int32()}
    assert {field.name: field.type for field in track.table.schema} == types
    assert track.table.column("lon").to_pylist() == list(track.lon)
    assert track.table.column("elevation").to_pylist() == [500, 501, None, 502, 503, 504]
    assert track.table.column("accuracy").to_pylist() == [5, None, 50, 3, 3, 3]
    assert track.table.column("segment").to_pylist() == [0, 0, 0, 1, 1, 1]
    assert [time is None for time in track.table.column("time").to_pylist()] == [False, False, True] + 3 * [False]
    assert track.time[4] == np.datetime64("2024-05-18T09:00:50.123456789")
    assert np.isnat(track.time[2]) and np.isnan(track.elevation[2]) and np.isnan(track.accuracy[1])
    assert list(track.invalid_offsets) == [2, 4, 7]
    again = pickle.loads(pickle.dumps(track))
    assert again.table == track.table and again.measure() == track.measure()


def test_a_track_goes_into_other_functions() -> None:
    (track,) = ww.read(ROOT / "examples" / "hill-walk.gpx", join_segments=True)
    fold = ww.Fold()
    fold.extend(track.lon, track.lat, time=track.time, elevation=track.elevation, accuracy=track.accuracy)
    table = track.table
    from_table = ww.Fold()
    from_table.extend(
        table["lon"], table["lat"], time=table["time"], elevation=table["elevation"], accuracy=table["accuracy"]
    )
    assert fold.summary() == from_table.summary() == track.measure()
    assert ww.length(track.lon, track.lat) == track.measure().length_m


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "<bytes>: the file is empty"),
        (b"<gpx><trk>\n</gpx>", {}, "<bytes>:2:1: not well-formed XML"),
        (b"lat,lon\n1,2\n91,1\n", {"on_invalid": "raise"}, '<bytes>:3:1: latitude 91 .*; use on_invalid="skip"'),
        (b"lat,lon\n1,2\n91,1\n", {"strict": True}, "<bytes>:3:1: .*; strict=True makes this an error"),
        (b"lat,lon\n400000,5100000\n", {}, '<bytes>:2:1: .*use metric="planar"'),
        (b"a,b\n1,2\n", {}, "x_column|y_column"),
        (b"\x89PNG\r\n\x1a\n", {}, "<bytes>: not a supported track file"),
        (GPX, {"format": "fit"}, "is not in the format FIT"),
        (GPX, {"format": "doc"}, "format \"doc\" is unknown; use gpx, "),
        (GPX, {"metric": "mercator"}, "metric .* is unknown"),
        (GPX, {"on_invalid": "error"}, "on_invalid .* is unknown; use raise, split or skip"),
        (GPX, {"only": "track"}, "only .* is unknown"),
        (GPX, {"points": "join"}, "points .* is unknown"),
        (GPX, {"errors": "ignore"}, "errors .* is unknown; use raise, warn, skip or a function"),
        (GPX, {"timezone": "Mars/Olympus"}, "Mars/Olympus"),
        (GPX, {"time_format": "%Q"}, "%Q"),
        (CSV, {"delimiter": "ab"}, "delimiter is \"ab\""),
        (CSV, {"delimiter": "é"}, "delimiter is "),
        (CSV, {"z_column": "height"}, "height"),
        (b"PK\x03\x04" + bytes(50), {}, "<bytes>: "),
    ],
)  # fmt: skip
def test_errors_name_the_position_and_the_argument(content: bytes, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        ww.read(content, **options)
    assert "--" not in str(raised.value)


def test_wrong_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        ww.read(tmp_path / "missing.gpx")
    assert missing.value.filename == str(tmp_path / "missing.gpx")
    for source in (None, 3, 1.5, ["a.gpx"], object()):
        with pytest.raises(TypeError, match="use a path, bytes or a binary file object"):
            ww.read(source)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="open it in binary mode"):
        ww.read(io.StringIO(GPX.decode()))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ww.read(GPX, fromat="gpx")  # type: ignore[call-arg]
    with pytest.raises(
        TypeError, match=r"iter_tracks\(\) got an unexpected keyword argument 'fromat'; did you mean 'format'"
    ):
        ww.iter_tracks(GPX, fromat="gpx")
    with pytest.raises(ValueError, match="NUL"):
        ww.read("a\0b")


def test_parquet_is_read_or_explained(tmp_path: Path) -> None:
    (track,) = ww.read(GPX, only="tracks")
    (tmp_path / "a.gpx").write_bytes(GPX)
    pyarrow.parquet.write_table(track.table, tmp_path / "b.parquet")
    try:
        (again,) = ww.read(tmp_path / "b.parquet")
    except ValueError as error:
        assert "READS_PARQUET" not in os.environ  # set for the package with the feature parquet
        assert "b.parquet: this build does not read Parquet; read the columns with pyarrow" in str(error)
        assert any("b.parquet: this build does not read Parquet" in note for note in ww.read(tmp_path).notes)
    else:
        assert again.measure().length_m == ww.measure(track.lon, track.lat).length_m
    table = pyarrow.parquet.read_table(tmp_path / "b.parquet")
    assert ww.measure(table["lon"], table["lat"]) == ww.measure(track.lon, track.lat)


def test_a_damaged_file_is_read_up_to_the_damage(tmp_path: Path) -> None:
    (tmp_path / "a.gpx").write_bytes(GPX)
    damaged = tmp_path / "b.gpx"
    damaged.write_bytes(GPX[: GPX.index(b"nonsense")])
    with pytest.raises(ValueError, match="b.gpx:10:"):
        ww.read(tmp_path)
    tracks = ww.read(tmp_path, errors="skip")
    assert [track.is_incomplete for track in tracks] == [False, False, False, True]
    assert len(tracks.errors) == 1 and "b.gpx:10:" in tracks.errors[0]
    assert ww.read(tmp_path / "missing", errors="skip").errors != []
    # The first file is read before the second one is opened.
    lazy = ww.iter_tracks(tmp_path)
    assert [next(lazy).kind, next(lazy).kind] == ["route", "track"]
    with pytest.raises(ValueError, match="b.gpx:10:"):
        next(lazy)


def test_errors_of_files_are_returned_warned_of_or_passed_to_a_function(tmp_path: Path) -> None:
    (tmp_path / "a.gpx").write_bytes(GPX)
    (tmp_path / "b.gpx").write_bytes(GPX[: GPX.index(b"nonsense")])
    (tmp_path / "c.gpx").write_bytes(b"<gpx><trk>\n</gpx>")
    (tmp_path / "notes.md").write_text("# Walks, and more\n")
    expected = ww.read(tmp_path, errors="skip")
    assert len(expected) == 5 and ["b.gpx:10:" in expected.errors[0], "c.gpx:2:" in expected.errors[1]] == [True, True]
    messages: list[str] = []
    notes: list[str] = []
    found = list(ww.iter_tracks(tmp_path, errors=messages.append, on_note=notes.append))
    assert (messages, notes) == (expected.errors, expected.notes)
    assert any("notes.md" in note for note in notes)
    assert list(map(repr, found)) == list(map(repr, expected))
    messages.clear()
    assert ww.read(tmp_path, errors=messages.append).errors == messages == expected.errors
    for read in (ww.read, lambda source, errors: list(ww.iter_tracks(source, errors=errors))):
        with pytest.warns(UserWarning) as warned:
            assert len(read(tmp_path, errors="warn")) == 5
        assert [str(each.message) for each in warned] == expected.errors
        assert {each.filename for each in warned} == {__file__}

    # The function may raise.
    def stop(message: str) -> None:
        raise KeyError(message)

    with pytest.raises(KeyError, match="b.gpx:10:"):
        ww.read(tmp_path, errors=stop)
    with pytest.raises(TypeError, match="errors must be raise, warn, skip or a function, not int"):
        ww.iter_tracks(tmp_path, errors=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="on_note must be a function or None, not int"):
        ww.iter_tracks(tmp_path, on_note=3)  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_listed_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.gpx").write_bytes(GPX)
    (tmp_path / "c.gpx").write_bytes(GPX)
    scandir = os.scandir

    def refuse(folder: str) -> Any:
        if folder.endswith("b"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    tracks = ww.read(tmp_path, errors="skip")
    assert len(tracks) == 4 and len(tracks.errors) == 1 and "Permission denied" in tracks.errors[0]
    with pytest.raises(PermissionError):
        ww.read(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux only")
def test_names_that_are_not_utf8_are_read_and_kept(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff\xfe"
    os.mkdir(folder)
    contents = {
        b"\xe9t\xe9.gpx": GPX,
        b"damaged\xe9.gpx": b"<gpx><trk>\n</gpx>",
        b"note\xe9.csv": b"lat,lon\n1,2\n91,1\n",
        b"other\xe9.txt": b"# Walks, and more\n",
        b"z\xe9.zip": archive(tmp_path / "z.zip").read_bytes(),
    }
    for name, content in contents.items():
        with open(folder + b"/" + name, "wb") as file:
            file.write(content)
    (tmp_path / "z.zip").unlink()
    for source in (os.fsdecode(folder), str(tmp_path), Path(os.fsdecode(folder))):
        tracks = ww.read(source, errors="skip")
        files = {os.fsencode(track.file) for track in tracks}
        expected = {folder + b"/" + name for name in (b"\xe9t\xe9.gpx", b"note\xe9.csv")}
        assert expected < files
        assert any(file.startswith(folder + b"/z\xe9.zip/day/") for file in files)
        assert [os.fsencode(error).startswith(folder + b"/damaged\xe9.gpx:2:1: ") for error in tracks.errors] == [True]
        for name in (b"note\xe9.csv:3:1", b"other\xe9.txt: the file is in no", b"z\xe9.zip/photo.jpg: "):
            assert any(os.fsencode(note).startswith(folder + b"/" + name) for note in tracks.notes), name
        assert list(map(repr, ww.iter_tracks(source, errors="skip"))) == list(map(repr, tracks))
    path = os.fsdecode(folder + b"/note\xe9.csv")
    assert ww.read(path)[0].file == path
    assert ww.read(path)[0].notes[0].startswith(path)
    with pytest.raises(FileNotFoundError) as missing:
        ww.read(path + ".gz")
    assert missing.value.filename == path + ".gz"


def test_a_choice_that_excludes_all_tracks_is_a_warning(tmp_path: Path) -> None:
    walk = ROOT / "examples" / "hill-walk.gpx"
    message = "hill-walk.gpx: there are tracks only, and only='routes' excludes them"
    with pytest.warns(UserWarning, match=message) as warned:
        tracks = ww.read(walk, only="routes")
    assert warned[0].filename == __file__
    assert len(tracks) == 0 and message in tracks.notes[-1]
    with pytest.warns(UserWarning, match=message):
        assert list(ww.iter_tracks(walk, only="routes")) == []
    # A file without routes among others is not worth a warning.
    (tmp_path / "a.gpx").write_bytes(walk.read_bytes())
    (tmp_path / "b.gpx").write_bytes(GPX)
    assert [track.kind for track in ww.read(tmp_path, only="routes")] == ["route"]


class Counted:
    """A file object that counts the bytes that were read."""

    name = "counted.gpx"

    def __init__(self, content: bytes, fail: Callable[[], bytes] | None = None) -> None:
        self.file, self.count, self.fail = io.BytesIO(content), 0, fail

    def read(self, size: int) -> bytes:
        if self.fail is not None and self.count > 0:
            return self.fail()
        content = self.file.read(min(size, 100_000))
        self.count += len(content)
        return content


def test_a_file_object_is_read_once_and_from_its_position() -> None:
    source = Counted(GPX)
    assert [track.file for track in ww.read(source)] == ["counted.gpx"] * 2
    assert source.count == len(GPX)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("a.gpx", GPX)
    source = Counted(zipped.getvalue())
    assert [track.file for track in ww.read(source)] == ["counted.gpx/a.gpx"] * 2
    assert source.count == len(zipped.getvalue())
    shifted = io.BytesIO(b"12345" + CSV)
    shifted.seek(5)
    assert len(ww.read(shifted)[0]) == 6


def test_exceptions_of_a_file_object_pass_through() -> None:
    def fail() -> bytes:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ww.read(Counted(GPX, fail))
    with pytest.raises(ValueError, match="returned 3000000 bytes"):
        ww.read(Counted(GPX, lambda: bytes(3_000_000)))
    with pytest.raises(TypeError, match="NoneType"):
        ww.read(Counted(GPX, lambda: None))  # type: ignore[arg-type, return-value]


def test_a_keyboard_interrupt_ends_the_reading() -> None:
    row = b"13.7,46.1\n"

    def interrupt() -> bytes:
        signal.raise_signal(signal.SIGINT)
        return row * 1000

    with pytest.raises(KeyboardInterrupt):
        ww.read(Counted(b"lon,lat\n" + row * 1000, interrupt))


@pytest.mark.parametrize("has_writer", [True, False])
def test_a_keyboard_interrupt_ends_a_read_that_waits(tmp_path: Path, has_writer: bool) -> None:
    """The read waits for bytes, or for a program that opens the pipe."""
    os.mkfifo(tmp_path / "pipe")
    code = "import sys, waywiser\nprint('ready', flush=True)\nwaywiser.read(sys.argv[1])"
    command = [sys.executable, "-c", code, tmp_path / "pipe"]
    with contextlib.ExitStack() as stack:
        child = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        assert child.stdout is not None and child.stderr is not None
        assert child.stdout.readline() == b"ready\n"
        if has_writer:
            pipe = stack.enter_context(open(tmp_path / "pipe", "wb"))
            pipe.write(b"lon,lat\n")
            pipe.flush()
        # The child may not be waiting yet, so that one signal may arrive before the read.
        while child.poll() is None:
            child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.2)
        assert b"KeyboardInterrupt" in child.stderr.read()


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="this system does not count the bytes that are read")
def test_a_keyboard_interrupt_ends_the_reading_of_an_archive(tmp_path: Path) -> None:
    member = b"lon,lat\n" + b"13.7,46.1\n" * 100_000
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for index in range(20):
            file.writestr(f"{index}.csv", member)

    def bytes_read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    def interrupt(*_: object) -> None:
        if bytes_read() - start > 2 * len(member):
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    def is_interrupted() -> bool:
        nonlocal start
        start = bytes_read()
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            ww.read(tmp_path / "a.zip")
        except KeyboardInterrupt:
            return bytes_read() - start < 15 * len(member)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return False

    start = 0
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        # A busy machine may deliver the signals after the end of a call.
        assert any(is_interrupted() for _ in range(20))
    finally:
        signal.signal(signal.SIGALRM, before)


def test_other_threads_run_while_a_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found: list[ww.Tracks] = []
    reader = threading.Thread(target=lambda: found.append(ww.read(tmp_path / "pipe")))
    reader.start()
    # With the lock of the interpreter, this thread could not write what the other one waits for.
    with open(tmp_path / "pipe", "wb") as pipe:
        for start in range(0, len(CSV), 50):
            pipe.write(CSV[start : start + 50])
            pipe.flush()
    reader.join()
    assert len(found[0][0]) == 6


def test_import_loads_no_heavy_module() -> None:
    code = "import sys, waywiser\nprint(*({'pyarrow', 'pandas', 'shapely', 'asyncio'} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pyarrow", "pandas", "shapely"} & set(loaded)


def test_tracks_of_earlier_files_are_not_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / f"{name}.gpx").write_bytes(GPX)
    found: list[weakref.ref[ww.Track]] = []
    alive_counts: list[int] = []

    def read_one(*arguments: Any) -> bool:
        alive_counts.append(sum(each() is not None for each in found))
        return original(*arguments)

    original = _read._read_one
    monkeypatch.setattr(_read, "_read_one", read_one)
    expected = [(repr(track), track.lon.tolist()) for track in ww.read(tmp_path)]
    alive_counts.clear()
    tracks = []
    for track in ww.iter_tracks(tmp_path):
        assert all(each() is None for each in found)
        found.append(weakref.ref(track))
        tracks.append((repr(track), track.lon.tolist()))
        del track
    assert len(tracks) > 3 and tracks == expected
    assert alive_counts == [0, 0, 0]


def test_folders_and_archives_without_tracks(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    message = f"{empty}: the folder has no files"
    with pytest.raises(ValueError, match="the folder has no files"):
        ww.read(empty)
    assert ww.read(empty, errors="skip").errors == [message]
    messages: list[str] = []
    assert ww.read(empty, errors=messages.append) == [] and messages == [message]
    with pytest.warns(UserWarning, match="the folder has no files"):
        assert list(ww.iter_tracks(empty, errors="warn")) == []
    (tmp_path / "notes.md").write_text("# Walks, and more\n")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as members:
        members.write(tmp_path / "notes.md", "notes.md")
    for source, count in ((tmp_path / "a.zip", 1), (tmp_path, 2)):
        found = ww.read(source)
        assert (found, found.errors, len(found.notes)) == ([], [], count)


def test_the_number_of_files_in_a_folder_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_read, "_FILES_MAX", 5)
    outside = tmp_path / "outside"
    outside.mkdir()
    for number in range(4):
        (outside / f"{number}.gpx").write_bytes(GPX)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.gpx").write_bytes(GPX)
    # A link to another folder is followed.
    (folder / "link").symlink_to(outside, target_is_directory=True)
    assert len({track.file for track in ww.read(folder)}) == 5
    (folder / "b.gpx").write_bytes(GPX)
    # The other files are not listed.
    original = _read._walk
    listed: list[str] = []

    def walk(root: str) -> Any:
        for each in original(root):
            listed.append(each[0])
            yield each

    monkeypatch.setattr(_read, "_walk", walk)
    for number in range(4, 9):
        (outside / f"{number}.gpx").write_bytes(GPX)
    message = f"{folder}: the folder has more than 5 files; read the folders in it one by one"
    with pytest.raises(ValueError, match="more than 5 files"):
        ww.read(folder)
    assert len(listed) == 6
    assert ww.read(folder, errors="skip").errors == [message]


COLUMNS = [f"{name}_column" for name in ("x", "y", "z", "time", "accuracy", "track", "segment")]


def test_a_number_of_a_column_is_not_a_name() -> None:
    # The name of the first column is the number of another one.
    for name, options, attribute in (
        ("x_column", {"y_column": "lat"}, "lon"),
        ("y_column", {"x_column": "lon"}, "lat"),
        ("z_column", {}, "elevation"),
        ("accuracy_column", {}, "accuracy"),
    ):
        table = b"4,lon,lat,other\n9,13,46,5\n9,14,47,5\n"
        by_number, by_name = (ww.read(table, **{name: column}, **options)[0] for column in (4, "4"))
        assert getattr(by_number, attribute).tolist() == [5, 5]
        assert getattr(by_name, attribute).tolist() == [9, 9]
    table = b"4,lon,lat,other\n8,13,46,5\n9,14,47,5\n"
    assert [len(ww.read(table, track_column=column)) for column in (4, "4")] == [1, 2]
    assert [ww.read(table, segment_column=column)[0].segment.tolist() for column in (4, "4")] == [[0, 0], [0, 1]]
    assert [int(ww.read(table, time_column=column)[0].time[0].astype(int)) for column in (4, "4")] == [
        5 * 10**9,
        8 * 10**9,
    ]
    # Without names, the first row has data.
    (track,) = ww.read(b"46,13\n47,14\n", x_column=np.int64(2), y_column=1)
    assert (track.lon.tolist(), track.lat.tolist()) == ([13, 14], [46, 47])
    tracks = ww.read(b"1,lon,lat\na,1,2\na,1,3\nb,4,5\nb,4,6\n", track_column=1)
    assert [len(track) for track in tracks] == [2, 2]


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("number", [0, -1, np.int64(0), -(2**70)])
def test_columns_are_numbered_from_1(name: str, number: int) -> None:
    for call in (ww.read, ww.iter_tracks):
        with pytest.raises(ValueError, match=f"{name} is {number}; columns are numbered from 1"):
            call(b"0,-1,lon,lat\n1,2,13,46\n", **{name: number})
        with pytest.raises(TypeError, match=f"{name} must be the name or the number of a column, not bool"):
            call(b"True,lon,lat\n1,13,46\n", **{name: True})


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("number", [9, 2**70])
def test_a_number_without_a_column_is_an_error(name: str, number: int) -> None:
    with pytest.raises(ValueError) as error:
        ww.read(f"{number},lon,lat\n1,13,46\n1,13,47\n".encode(), **{name: number})
    assert f"no column {number} " in str(error.value) and name in str(error.value)
    assert "+" not in str(error.value)


def test_the_text_of_a_list_has_a_line_for_each_track() -> None:
    tracks = ww.read(GPX) * 25
    for count in (0, 1, 20, 25):
        some = ww.Tracks(tracks[:count])
        first, *lines = repr(some).splitlines()
        assert first == ("1 track" if count == 1 else f"{count} tracks")
        assert lines[:20] == [f"  {track!r}" for track in some[:20]]
        assert lines[20:] == (["  and 5 more"] if count == 25 else [])
        assert max(map(len, (first, *lines))) <= 80


@pytest.mark.parametrize(
    ("field", "values", "error", "message"),
    [
        ("segment", [0], ValueError, "segment has 1 values for 3 points"),
        ("segment", [0, 0, 0, 1], ValueError, "segment has 4 values for 3 points"),
        ("segment", [0.0, 0.0, 1.0], TypeError, "segment must be an array of int64 or int32"),
        ("invalid_offsets", [-1], ValueError, "index 0 of invalid_offsets: -1 is not an offset from 0 to 3"),
        ("invalid_offsets", [4], ValueError, "index 0 of invalid_offsets: 4 is not an offset from 0 to 3"),
        ("invalid_offsets", [1, 1], ValueError, "index 1 of invalid_offsets: 1 is not an offset from 2 to 4"),
        ("invalid_offsets", [0, 3, 2], ValueError, "index 2 of invalid_offsets: 2 is not an offset from 4 to 5"),
        ("invalid_offsets", [2**62], ValueError, f"index 0 of invalid_offsets: {2**62} is not"),
    ],
)
def test_columns_of_a_track_that_do_not_fit_are_errors(
    field: str, values: list[float], error: type[Exception], message: str
) -> None:
    table = b"lon,lat,segment\n13,46,0\n13,46.1,0\n13,46.2,1\n"
    (track,) = ww.read(table, segment_column="segment")
    expected = track.measure()
    setattr(track, field, np.array(values))
    with pytest.raises(error, match=message):
        track.measure()
    track.segment, track.invalid_offsets = np.array([0, 0, 1]), np.array([0, 4])
    assert track.measure().length == expected.length
    assert track.measure().rejections["invalid_position"].count == 2


def test_a_track_that_is_mostly_rejected_warns() -> None:
    (track,) = ww.read(b"lon,lat,time\n" + b"".join(b"%d,46,%d\n" % (at, 1_700_000_000 + at) for at in range(9)))
    with pytest.warns(
        UserWarning, match=r"8 of 9 points are rejected as too fast: .*see sort_by_time of read\(\)"
    ) as warned:
        track.measure(preset="walk", on_invalid="raise")
    assert len(warned) == 1 and warned[0].filename == __file__
