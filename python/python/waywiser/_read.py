"""Track files: tracks of every format as arrays and Arrow tables."""

from __future__ import annotations

import datetime
import difflib
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, Unpack, cast

import numpy as np
import numpy.typing as npt

from . import _waywiser
from ._warnings import warn

if TYPE_CHECKING:
    import pyarrow

    from ._summary import Summary
    from ._types import Metric, OnInvalid, Options

__all__ = ["Track", "Tracks", "iter_tracks", "read"]


class _Readable(Protocol):
    """A file object that is open in binary mode."""

    def read(self, size: int, /) -> bytes: ...


Source: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | _Readable"
Errors: TypeAlias = 'Literal["raise", "warn", "skip"] | Callable[[str], object]'


@dataclass(eq=False, repr=False)
class Track:
    """A track or route of a file. Points without a valid position have no row in
    the arrays.

    Attributes
    ----------
    lon, lat : numpy.ndarray of float64
        Longitudes and latitudes on WGS84 in degrees. With metric="planar": x
        and y.
    time : numpy.ndarray of datetime64[ns]
        Times in UTC; NaT is missing.
    elevation, accuracy : numpy.ndarray of float64
        Elevations and accuracy radii in metres; NaN is missing.
    segment : numpy.ndarray of int32
        The number of the segment of each point, from 0. No leg joins two
        segments.
    invalid_offsets : numpy.ndarray of int64
        The offsets, among all points of the track, of those without a valid
        position.
    name : str or None
        The name of the track in the file.
    kind : {"track", "route"}
        Whether the track was recorded or planned.
    file : str
        The name of the file. A member of an archive has the name of the archive
        before its name. A name that is not valid in the encoding of the file
        system has surrogate escapes, which os.fsencode reverses.
    notes : list of str
        What was ignored, guessed, skipped or assumed in the track.
    is_incomplete : bool
        Whether the file ends or is damaged before the end of the track.
    device_length_m : float or None
        The length in metres that the device stored in the file.
    metric : {"geodesic", "haversine", "planar"}
        The metric of the call that read the track.
    on_invalid : {"raise", "split", "skip"}
        The treatment of points without a valid position in the call that read
        the track.
    """

    lon: npt.NDArray[np.float64]
    lat: npt.NDArray[np.float64]
    time: npt.NDArray[np.datetime64]
    elevation: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    segment: npt.NDArray[np.int32]
    invalid_offsets: npt.NDArray[np.int64]
    name: str | None = None
    kind: str = "track"
    file: str = ""
    notes: list[str] = field(default_factory=list)
    is_incomplete: bool = False
    device_length_m: float | None = None
    metric: str = "geodesic"
    on_invalid: str = "skip"

    def __len__(self) -> int:
        """Return the number of points with a valid position."""
        return len(self.lon)

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        incomplete = ", incomplete" if self.is_incomplete else ""
        return f"<{self.kind.capitalize()}{name} of {self.file!r}: {len(self)} points{incomplete}>"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "table"}

    def measure(
        self, *, metric: Metric | None = None, on_invalid: OnInvalid | None = None, **options: Unpack[Options]
    ) -> Summary:
        """Measure the track, with its segments and with its points without a
        valid position.

        The result has the same bits as that of `waywiser measure`.

        Parameters
        ----------
        metric, on_invalid
            As in `measure`; None is the value of the call that read the track.
        **options
            The options of `measure`, such as preset, max_speed or min_step.

        Returns
        -------
        Summary
            The lengths and the other results.

        Raises
        ------
        TypeError, ValueError
            If an option is unknown or not valid.

        Warns
        -----
        UserWarning
            As for `measure`, for example if most points are rejected.
        """
        return _waywiser.measure_track(
            self.lon,
            self.lat,
            self.time,
            self.elevation,
            self.accuracy,
            self.segment,
            self.invalid_offsets,
            self.metric if metric is None else metric,
            self.on_invalid if on_invalid is None else on_invalid,
            dict(options),
        )

    @cached_property
    def table(self) -> pyarrow.Table:
        """The points as a table with the columns lon, lat, elevation, time,
        accuracy and segment. Missing is null.
        """
        import pyarrow as pa

        time = pa.array(self.time, pa.timestamp("ns"), from_pandas=True)
        columns = {
            "lon": pa.array(self.lon),
            "lat": pa.array(self.lat),
            "elevation": pa.array(self.elevation, from_pandas=True),
            "time": time.cast(pa.timestamp("ns", "UTC")),
            "accuracy": pa.array(self.accuracy, from_pandas=True),
            "segment": pa.array(self.segment),
        }
        return pa.table(columns)


#: Maximum number of tracks that the text of a list has.
_SHOWN_MAX = 20


class Tracks(list[Track]):
    """The tracks of files, in the order of the files.

    Attributes
    ----------
    notes : list of str
        What was ignored, guessed, skipped or assumed in the files, also the
        files that were skipped. Each track has its own notes too.
    errors : list of str
        The errors of files that could not be read to their end, unless
        errors="raise".
    """

    def __init__(self, tracks: Iterable[Track] = ()) -> None:
        super().__init__(tracks)
        self.notes: list[str] = []
        self.errors: list[str] = []

    def __repr__(self) -> str:
        lines = [f"{len(self)} track{'' if len(self) == 1 else 's'}", *map(repr, self[:_SHOWN_MAX])]
        if len(self) > _SHOWN_MAX:
            lines.append(f"and {len(self) - _SHOWN_MAX} more")
        return "\n  ".join(lines)


def read(
    source: Source,
    *,
    format: str | None = None,
    metric: Metric = "geodesic",
    on_invalid: OnInvalid = "skip",
    errors: Errors = "raise",
    strict: bool = False,
    only: Literal["tracks", "routes"] | None = None,
    join_segments: bool = False,
    sort_by_time: bool = False,
    points: Literal["path", "ignore"] = "path",
    timezone: str | datetime.tzinfo | None = None,
    time_format: str | None = None,
    x_column: str | int | None = None,
    y_column: str | int | None = None,
    z_column: str | int | None = None,
    time_column: str | int | None = None,
    accuracy_column: str | int | None = None,
    track_column: str | int | None = None,
    segment_column: str | int | None = None,
    delimiter: str | None = None,
) -> Tracks:
    """Read the tracks and routes of a file, of the files of a folder, or of the
    members of an archive.

    The formats are GPX, TCX, KML, FIT, GeoJSON, Google location history,
    OwnTracks, Overland, NMEA, IGC, OziExplorer PLT, encoded polylines, WKT and
    tables (CSV), also compressed with gzip or in a zip archive. The format is
    detected from the content and not from the name. For Parquet, read the
    columns with pyarrow, or build the package with the feature parquet.

    A folder stands for all files in it and in the folders in it, sorted by
    name. It may have 1 048 576 files. Hidden files are skipped. Links are
    followed, also to files and folders outside of the folder; each of these is
    read once. Files of a folder or of an archive that are not track files are
    skipped, with a note.

    Parameters
    ----------
    source : str, os.PathLike, bytes or binary file object
        The file or folder, the content of a file, or a file object, which is
        read from its current position on.
    format : str or None
        The format, such as "gpx", "csv" or "google-timeline"; None detects it.
    metric : {"geodesic", "haversine", "planar"}
        With "planar" the coordinates are x and y in any unit.
    on_invalid : {"raise", "split", "skip"}
        For points without a valid position: raise ValueError, start a segment
        after them, or join a leg over them.
    errors : {"raise", "warn", "skip"} or callable
        For a file or folder that cannot be read to its end: raise; issue a
        UserWarning with the message; continue; or call a function with the
        message. Unless it raises, the message is in the errors of the result,
        and the tracks before the error are in the result.
    strict : bool
        Whether each note is an error.
    only : {"tracks", "routes"} or None
        The kind of tracks to read. If the files have only tracks of the other
        kind, there is a UserWarning.
    join_segments : bool
        Whether the segments of each track are joined.
    sort_by_time : bool
        Whether the points of each segment are sorted by time, and then the
        segments.
    points : {"path", "ignore"}
        Whether points that are separate in a file, such as GeoJSON Point
        features, are one path.
    timezone : str, datetime.tzinfo or None
        The time zone of times without one, such as "Europe/Berlin"; None is
        UTC. See by().
    time_format : str or None
        The format of times, such as "%d/%m/%Y %H:%M:%S"; None detects it.
    x_column, y_column, z_column, time_column, accuracy_column, segment_column : str, int or None
        Tables: the name of a column, or its number from 1; None finds it by a
        common name. A whole number is never a name, and a text is a name first.
        In segment_column a new value starts a segment.
    track_column : str, int or None
        Tables: the column that identifies the track; "none" reads one track,
        and None detects it.
    delimiter : str or None
        CSV: the character between two fields, or "tab"; None detects it.

    Returns
    -------
    Tracks
        The tracks: a list with the attributes `notes` and `errors`.

    Raises
    ------
    FileNotFoundError, OSError
        If a file cannot be opened or read.
    ValueError
        If a file is malformed or has no tracks, with the position in the file;
        if a folder has no files, or too many; and if an option is not valid. It
        is not an error if all files of a folder or an archive are skipped: the
        result has their notes and no tracks.
    """
    options = dict(locals())
    del options["source"], options["errors"]
    result = Tracks()
    for of_file in _results(source, _reporter(errors), _options(options)):
        result += of_file
        result.notes += of_file.notes
        result.errors += of_file.errors
    return result


def iter_tracks(
    source: Source, *, errors: Errors = "raise", on_note: Callable[[str], object] | None = None, **options: Any
) -> Iterator[Track]:
    """Read the tracks of a file or folder one file after another, as `read` does.

    Only the tracks of one file are in memory at a time; an archive is one file.

    Parameters
    ----------
    source
        As in `read`.
    errors : {"raise", "warn", "skip"} or callable
        As in `read`. A function gets each message: `errors=messages.append`
        collects them in a list.
    on_note : callable, optional
        A function that gets each of the notes that `read` returns, also of the
        files that are skipped.
    **options
        The other options of `read`.

    Yields
    ------
    Track
        The next track.

    Raises
    ------
    FileNotFoundError, OSError, ValueError
        As in `read`.
    """
    if on_note is not None and not callable(on_note):
        raise TypeError(f"on_note must be a function or None, not {type(on_note).__name__}")
    return _iter_tracks(source, _reporter(errors), on_note, _options(options))


def _iter_tracks(
    source: Source, report: _Report | None, on_note: Callable[[str], object] | None, options: dict[str, Any]
) -> Iterator[Track]:
    for result in _results(source, report, options):
        if on_note is not None:
            for note in result.notes:
                on_note(note)
        # Each track is released when the caller does not need it, and all before the next file is read.
        result.reverse()
        while result:
            yield result.pop()


def _results(source: Source, report: _Report | None, options: dict[str, Any]) -> Iterator[Tracks]:
    """Yield the tracks, notes and errors of each file. `report` gets the errors; without it they are raised."""
    is_any_track = is_any_excluded = False
    for path, is_found in _inputs(source):
        result = Tracks()
        if isinstance(path, _Skipped):
            if path.error is None:
                result.notes.append(path.note)
            elif report is None:
                raise path.error
            else:
                result.errors.append(path.note)
        else:
            is_any_excluded |= _read_one(path, is_found, options, report is None, result)
        is_any_track |= len(result) > 0
        for error in result.errors:
            if report is not None:
                report(error)
        yield result
    if options["only"] is not None and is_any_excluded and not is_any_track:
        other = "routes" if options["only"] == "tracks" else "tracks"
        message = f"{_name(source)}: there are {other} only, and only={options['only']!r} excludes them"
        warn(message)
        result = Tracks()
        result.notes.append(message)
        yield result


_Report: TypeAlias = Callable[[str], object]


_DEFAULTS: dict[str, Any] = {name: value for name, value in (read.__kwdefaults__ or {}).items() if name != "errors"}


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Return all options, with columns as text."""
    unknown = given.keys() - _DEFAULTS.keys()
    if unknown:  # only of iter_tracks
        name = min(unknown)
        similar = difflib.get_close_matches(name, [*_DEFAULTS, "errors", "on_note"], 1)
        advice = f"did you mean {similar[0]!r}?" if similar else f"the options are {', '.join(_DEFAULTS)}"
        raise TypeError(f"iter_tracks() got an unexpected keyword argument {name!r}; {advice}")
    options = {**_DEFAULTS, **given}
    for name, value in options.items():
        if name in ("strict", "join_segments", "sort_by_time"):
            if not isinstance(value, (bool, np.bool_)):
                raise TypeError(f"{name} must be True or False, not {type(value).__name__}")
            options[name] = bool(value)
        elif name == "timezone":
            options[name] = None if value is None else _waywiser.time_zone(value)
        elif name.endswith("_column"):
            if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
                options[name] = _column_number(name, int(value))
            elif not (value is None or isinstance(value, str)):
                raise TypeError(f"{name} must be the name or the number of a column, not {type(value).__name__}")
        elif not (isinstance(value, str) or (value is None and _DEFAULTS[name] is None)):
            raise TypeError(f"{name} must be a text, not {type(value).__name__}")
    _waywiser.check_read_options(options)
    return options


def _column_number(name: str, number: int) -> str:
    """Return a text for the number of a column that is not also the name of a column.

    The reader takes a text as a name first, and then as a number, which may have a sign and zeros.
    """
    if number < 1:
        raise ValueError(f"{name} is {number}; columns are numbered from 1")
    return f"+{number:020}"


#: A number of `_column_number` in a message.
_COLUMN_NUMBER = re.compile(r'(?:named )?"\+(?=\d{20})0*(\d+)"')


def _reporter(errors: Errors) -> _Report | None:
    """Return the function that gets the errors of files; None raises them."""
    if callable(errors):
        return errors
    if not isinstance(errors, str):
        raise TypeError(f"errors must be raise, warn, skip or a function, not {type(errors).__name__}")
    reporters: dict[str, _Report | None] = {"raise": None, "warn": warn, "skip": lambda _: None}
    if errors not in reporters:
        raise ValueError(f"errors {errors!r} is unknown; use raise, warn, skip or a function")
    return reporters[errors]


@dataclass
class _Skipped:
    """A path in a folder that is not read, and the error if it cannot be read."""

    note: str
    error: OSError | ValueError | None = None


#: Maximum number of files in a folder and the folders in it.
_FILES_MAX = 1 << 20


def _refused(message: str) -> _Skipped:
    return _Skipped(message, ValueError(message))


def _inputs(source: Source) -> Iterator[tuple[Any, bool]]:
    """Yield the files of a source, and whether each was found in a folder."""
    if isinstance(source, (bytearray, memoryview)):
        yield bytes(source), False
    elif isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
        root = os.fsdecode(source)
        # One more than the limit, so that the excess is noticed.
        files = sorted(itertools.islice(_walk(root), _FILES_MAX + 1), key=lambda found: found[0].split(os.sep))
        if not files:
            files = [(root, _refused(f"{root}: the folder has no files"))]
        if len(files) > _FILES_MAX:
            message = f"the folder has more than {_FILES_MAX} files; read the folders in it one by one"
            files = [(root, _refused(f"{root}: {message}"))]
        for path, skipped in files:
            yield (path if skipped is None else skipped), True
    else:
        yield source, False


def _walk(root: str) -> Iterator[tuple[str, _Skipped | None]]:
    """Yield the paths of the files in a folder, and notes for paths that are not read. Follows links last."""
    folders = [root]
    links: list[str] = []
    seen_folders: set[str] = set()
    linked: set[str] = set()
    while folders or links:
        if folders:
            folder = folders.pop()
            real = os.path.realpath(folder)
            if real in seen_folders:
                continue
            seen_folders.add(real)
            try:
                with os.scandir(folder) as entries:
                    found = [entry for entry in entries if not entry.name.startswith(".")]
            except OSError as error:
                yield folder, _Skipped(str(error), error)
                continue
            for entry in found:
                if entry.is_symlink():
                    links.append(entry.path)
                elif entry.is_dir():
                    folders.append(entry.path)
                elif entry.is_file():
                    yield entry.path, None
                else:
                    yield entry.path, _Skipped(f"{entry.path}: it is not a regular file")
            continue
        link = links.pop(0)
        real = os.path.realpath(link)
        parent, name = os.path.split(real)
        if os.path.isdir(real):
            if real in seen_folders:
                yield link, _Skipped(f"{link}: the link leads to a folder that is read already")
            folders.append(link)
        elif not os.path.isfile(real):
            yield link, _Skipped(f"{link}: the link does not lead to a file")
        elif (parent in seen_folders and not name.startswith(".")) or real in linked:
            yield link, _Skipped(f"{link}: the link leads to a file that is read already")
        else:
            linked.add(real)
            yield link, None


def _read_one(source: Any, is_found: bool, options: dict[str, Any], raises: bool, result: Tracks) -> bool:
    """Add the tracks of a file. Return whether it has only tracks that the options exclude."""
    name = _name(source)
    # The extension module has names in UTF-8, which need not be the bytes of the file system.
    shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def named(text: str) -> str:
        if name != shown and text.startswith(shown):
            text = name + text[len(shown) :]
        return _COLUMN_NUMBER.sub(r"\1", text)

    try:
        files = _waywiser.read_files(source, shown, name, is_found, options)
    except OSError as error:
        if raises or not isinstance(source, (str, os.PathLike)):
            raise
        result.errors.append(str(error))
        return False
    is_any_excluded = False
    for file in files:
        file_name, end, message = named(file["name"]), file["end"], named(file["message"])
        if end == "failed":
            if raises:
                raise ValueError(message)
            result.errors.append(message)
        elif end == "unsupported":
            result.notes.append(f"{file_name}: the file is in no supported format and was skipped")
        elif end is not None:
            result.notes.append(f"{message}; the file was skipped")
        elif not file["tracks"]:
            is_any_excluded = True
        result.notes.extend(map(named, file["notes"]))
        for track in file["tracks"]:
            track["notes"] = list(map(named, track["notes"]))
            result.append(_track(file_name, track, options))
            result.notes.extend(track["notes"])
    return is_any_excluded


def _track(file: str, track: dict[str, Any], options: dict[str, Any]) -> Track:
    arrays: dict[str, Any] = {name: np.frombuffer(track.pop(name), dtype) for name, dtype in _DTYPES.items()}
    return Track(file=file, metric=options["metric"], on_invalid=options["on_invalid"], **arrays, **track)


_DTYPES: dict[str, str] = {
    "lon": "float64",
    "lat": "float64",
    "elevation": "float64",
    "time": "datetime64[ns]",
    "accuracy": "float64",
    "segment": "int32",
    "invalid_offsets": "int64",
}


def _name(source: Any) -> str:
    """Return the name of a source in messages."""
    if isinstance(source, bytes):
        return "<bytes>"
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(cast("os.PathLike[str]", source))
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<file>"
