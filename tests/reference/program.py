"""Runs the program on tracks, over gRPC and over the command line, and returns its summaries as dictionaries.

The keys are the names of the fields of PathSummary without a unit.
"""

import csv
import datetime
import io
import json
import math
import re
import subprocess

import grpc

import tracks
from path_reference import SECOND
from waywiser.v1 import path_pb2, path_pb2_grpc

MODELS = {"geodesic": path_pb2.MODEL_WGS84_GEODESIC, "haversine": path_pb2.MODEL_SPHERE_HAVERSINE, "planar": path_pb2.MODEL_PLANAR}
LENGTHS = ["length", "raw_length", "length_3d", "displacement", "gap_length", "raw_ascent", "raw_descent", "undated_length"]


class Server:
    """A server that keeps recordings in memory."""

    def __init__(self, program):
        command = [program, "serve", "--ephemeral", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on (\S+:\d+)\n", line)
        if not found:
            self.stop()
            raise RuntimeError(f"the first line of the server is not its address: {line!r}")
        self.address = found[1]

    def stop(self):
        self.process.kill()
        self.process.wait()


# Messages.


def _duration(field, nanoseconds):
    field.seconds, field.nanos = divmod(nanoseconds, SECOND)


def options_message(options):
    """Returns PathOptions."""
    unit = {"planar": ""}.get(options.model, "_m")
    message = path_pb2.PathOptions(
        model=MODELS[options.model],
        reanchor_count=options.reanchor_count,
        max_accuracy_m=options.max_accuracy,
        reject_backward_time=options.reject_backward_time,
        reject_zero_position=options.reject_zero_position,
        reorder_count=options.reorder_count,
        drop_duplicates=options.drop_duplicates,
        estimate=options.estimate,
        preset=path_pb2.Preset.Value(f"PRESET_{(options.preset or 'unspecified').upper()}"),
        # With a preset, the default is another one.
        invalid_points=0
        if options.invalid_points == "reject_call"
        else path_pb2.InvalidPoints.Value(f"INVALID_POINTS_{options.invalid_points.upper()}"),
    )
    if options.three_dimensional:
        message.elevation_mode = path_pb2.ELEVATION_MODE_THREE_DIMENSIONAL
    for name in ("max_gap", "min_step"):
        setattr(message, name + unit, getattr(options, name))
    for name in ("max_speed", "stopped_speed"):
        setattr(message, name + unit + ("ps" if unit else ""), getattr(options, name))
    for name in ("max_gap_time", "reorder_time"):
        if getattr(options, name):
            _duration(getattr(message, name), getattr(options, name))
    if options.window_unit:
        message.windows.unit = path_pb2.WindowUnit.Value(f"WINDOW_UNIT_{options.window_unit.upper()}")
        message.windows.time_zone = options.time_zone
        message.windows.max_windows = options.max_windows
        message.windows.keep_latest = options.keep_latest
    return message


def _row(point):
    message = path_pb2.Point(x=point.x, y=point.y, z=point.z, accuracy_m=point.accuracy, starts_segment=point.mark)
    if point.time is not None:
        _duration(message.time, point.time)
    return message


def _columns(points, model):
    """Returns PointColumns, or None if the points do not fit into columns."""
    xy, z_scale = (1, 1) if model == "planar" else (10**7, 10**3)
    columns = path_pb2.PointColumns()
    for name in ("z", "time", "accuracy"):
        if len({getattr(point, name) is None for point in points}) > 1:
            return None
    rows = []
    for index, point in enumerate(points):
        if not (math.isfinite(point.x) and math.isfinite(point.y)):
            return None
        if max(abs(point.x), abs(point.y)) > 2**40:
            return None
        row = [round(point.x * xy), round(point.y * xy)]
        exact = row[0] / xy == point.x and row[1] / xy == point.y
        row.append(None if point.z is None else round(point.z * z_scale))
        exact = exact and (point.z is None or row[2] / z_scale == point.z)
        row.append(None if point.time is None else point.time // 1_000_000)
        exact = exact and (point.time is None or point.time % 1_000_000 == 0)
        if not exact:
            return None
        rows.append(row)
        if point.accuracy is not None:
            columns.accuracy_mm.append(round(point.accuracy * 1_000))
        if point.mark:
            columns.segment_starts.append(index)
    for column, field in zip(zip(*rows), (columns.x, columns.y, columns.z, columns.time_ms)):
        if column[0] is not None:
            field.extend([column[0], *(b - a for a, b in zip(column, column[1:]))])
    return columns


def _blocks(random, points):
    """Yields the points in blocks, each as the keyword argument of a message."""
    at = 0
    while at < len(points):
        block = points[at : at + random.choice([1, 3, 10, 1_000])]
        at += len(block)
        yield block


def _points(random, block, model):
    columns = _columns(block, model) if random.random() < 0.5 else None
    return {"columns": columns} if columns is not None else {"points": [_row(point) for point in block]}


def _nanoseconds(message):
    return message.seconds * SECOND + message.nanos


def summary_of(message, model):
    """Returns PathSummary as a dictionary. Fields in the unit of another model are `wrong_unit`."""
    planar = model == "planar"
    found = {name: getattr(message, name) for name in ("point_count", "accepted_count", "segment_count")}

    def optional(message, name, unit="_m"):
        mine, other = (name, name + unit) if planar else (name + unit, name)
        if message.HasField(other):
            found.setdefault("wrong_unit", []).append(other)
        return getattr(message, mine) if message.HasField(mine) else None

    for name in LENGTHS:
        found[name] = optional(message, name)
    found["has_ascent"] = optional(message, "ascent") is not None
    found["max_speed"] = optional(message, "max_speed", "_mps")
    for name in ("elapsed_time", "moving_time"):
        found[name] = _nanoseconds(getattr(message, name)) if message.HasField(name) else None
    found["rejections"] = {
        path_pb2.RejectionReason.Name(rejection.reason).removeprefix("REJECTION_REASON_"): (
            rejection.count,
            rejection.first_offset,
            optional(rejection, "rejected_length"),
        )
        for rejection in message.rejections
    }
    bounds = message.bounds
    found["bounds"] = (bounds.min_x, bounds.min_y, bounds.max_x, bounds.max_y) if message.HasField("bounds") else None
    found["windows_dropped"] = message.windows_dropped
    if hasattr(message, "undated_point_count") and message.windows:
        found["undated_point_count"] = message.undated_point_count
    found["windows"] = [
        (_nanoseconds(window.start_time), _nanoseconds(window.end_time), optional(window, "length"), window.point_count)
        for window in ([message.earlier_windows] if message.HasField("earlier_windows") else []) + list(message.windows)
    ]
    found["unused_options"] = {
        unused.option: path_pb2.PointField.Name(unused.missing).removeprefix("POINT_FIELD_")
        for unused in message.unused_options
    }
    return found


class Client:
    """The calls of a server."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.stub = path_pb2_grpc.PathServiceStub(self.channel)

    def measure_paths(self, random, paths):
        """Returns the summary of each path (points, options), or the offset of its invalid point."""
        messages = []
        for index, (points, options) in enumerate(paths):
            first = {"path_id": str(index), "options": options_message(options)}
            for block in _blocks(random, points):
                messages.append(path_pb2.MeasurePathsRequest(**first, **_points(random, block, options.model)))
                first = {}
            if first:
                messages.append(path_pb2.MeasurePathsRequest(**first))
            messages[-1].end_path = True
        answers = list(self.stub.MeasurePaths(iter(messages)))
        if [answer.path_id for answer in answers] != [str(index) for index in range(len(paths))]:
            raise RuntimeError(f"the answers are {[answer.path_id for answer in answers]}")
        found = []
        for answer, (_, options) in zip(answers, paths):
            if answer.HasField("failure"):
                found.append({"failure": (answer.failure.code, answer.failure.metadata.get("offset"), answer.failure.message)})
            else:
                found.append(summary_of(answer.summary, options.model))
        return found

    def record_path(self, random, points, options):
        """Returns the summary of an unnamed path."""
        messages = [path_pb2.RecordPathRequest(options=options_message(options))]
        for block in _blocks(random, points):
            messages.append(path_pb2.RecordPathRequest(**_points(random, block, options.model)))
        return summary_of(self.stub.RecordPath(iter(messages)).summary, options.model)

    def record_in_streams(self, random, name, points, options):
        """Yields the summary after each of several streams of a recording, and the number of its points."""
        name = f"paths/{name}"
        committed = 0
        sizes = [0, 1, 2, 5, 20] if len(points) < 150 else [0, len(points) // 3]
        while True:
            end = min(len(points), committed + random.choice(sizes))
            offset = random.randrange(committed + 1)
            first = path_pb2.RecordPathRequest(name=name, options=options_message(options), write_offset=offset)
            messages = [first]
            for block in _blocks(random, points[offset:end]):
                messages.append(path_pb2.RecordPathRequest(**_points(random, block, options.model)))
            messages[-1].finish_write = end == len(points)
            response = self.stub.RecordPath(iter(messages))
            committed = response.committed_points
            if committed != end or response.complete != (end == len(points)):
                raise RuntimeError(f"{committed} committed points of {end}, complete: {response.complete}")
            yield committed, summary_of(response.summary, options.model)
            if end == len(points):
                break
        self.stub.DeletePath(path_pb2.DeletePathRequest(name=name))


# The command line.


def command_flags(program):
    """Returns the flags of `measure`."""
    text = subprocess.run([program, "measure", "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--[a-z0-9-]+", text))


def _arguments(options, flags):
    """Returns the arguments for options, or None if the program does not have a flag."""
    arguments = ["--model", options.model, "--on-invalid", {"reject_call": "error"}.get(options.invalid_points, options.invalid_points)]
    values = {
        "--max-gap": options.max_gap,
        "--max-speed": options.max_speed,
        "--reanchor-count": options.reanchor_count,
        "--min-step": options.min_step,
        "--max-accuracy": options.max_accuracy,
        "--stopped-speed": options.stopped_speed,
        "--reorder": options.reorder_count,
        "--max-gap-time": options.max_gap_time and f"{options.max_gap_time // SECOND}s",
        "--reorder-time": options.reorder_time and f"{options.reorder_time // SECOND}s",
        "--elevation": options.three_dimensional and "3d",
        "--preset": options.preset,
        "--by": options.window_unit,
        "--timezone": options.window_unit and options.time_zone,
    }
    for flag, value in values.items():
        if value:
            if flag not in flags:
                return None
            arguments += [flag, str(value)]
    switches = {
        "--reject-backward-time": options.reject_backward_time,
        "--reject-zero-position": options.reject_zero_position,
        "--drop-duplicates": options.drop_duplicates,
        "--estimate": options.estimate,
    }
    for flag, is_set in switches.items():
        if is_set:
            if flag not in flags:
                return None
            arguments.append(flag)
    if options.window_unit and options.keep_latest:
        if "--keep-latest-windows" not in flags:
            return None
        arguments.append(f"--keep-latest-windows={options.max_windows or 400}")
    return arguments


def _table(random, paths, model):
    """Returns a table with the rows of all paths mixed."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    x, y, z = ("x", "y", "z") if model == "planar" else ("lon", "lat", "ele")
    table.writerow(["trip", "part", x, y, z, "time", "accuracy"])
    seconds = random.random() < 0.5 and all(point.time is None or point.time > 10**18 for points in paths for point in points)
    rows = [(index, iter(points)) for index, points in enumerate(paths)]
    parts = [0] * len(paths)
    while rows:
        index, points = row = random.choice(rows)
        point = next(points, None)
        if point is None:
            rows.remove(row)
            continue
        parts[index] += point.mark
        valid = tracks.is_usable(point)
        values = [point.x, point.y] if valid else random.choice([["NaN", "1"], ["", ""], ["", "1.5"]])
        values.append(point.z)
        values.append(None if point.time is None else _time(point.time, seconds))
        values.append(point.accuracy)
        table.writerow([f"t{index}", parts[index], *("" if value is None else value for value in values)])
    return text.getvalue()


def _time(time, seconds):
    if seconds:
        return f"{time // SECOND}.{time % SECOND:09}"
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=time // SECOND)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time % SECOND:09}Z".replace(" ", "0")


def measure_table(random, program, flags, paths, options):
    """Returns the summaries of paths by `waywiser measure`, or None if it has no flag for an option."""
    arguments = _arguments(options, flags)
    if arguments is None:
        return None
    table = _table(random, paths, options.model)
    command = [program, "measure", "--json", *arguments, "--track-column", "trip", "--segment-column", "part", "-"]
    run = subprocess.run(command, input=table, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {run.stderr}\n{table}")
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    found = {line["track"]: _json_summary(line, options) for line in lines if "track" in line}
    return [found.get(f"t{index}") for index in range(len(paths))]


def _json_summary(line, options):
    unit = "" if options.model == "planar" else "_m"
    found = {"point_count": line["points"], "accepted_count": line["accepted"], "segment_count": line["segments"]}
    for name in ("length", "raw_length", "length_3d", "displacement", "gap_length", "raw_ascent", "raw_descent"):
        found[name] = line.get(name + unit)
    found["max_speed"] = line.get("max_speed" + unit + ("ps" if unit else ""))
    for name, key in [("elapsed_time", "elapsed_s"), ("moving_time", "moving_s")]:
        found[name] = line[key] * SECOND if key in line else None
    found["rejections"] = {
        rejection["reason"].upper(): (rejection["count"], rejection["first_offset"], rejection["rejected_length" + unit])
        for rejection in line["rejections"]
    }
    found["bounds"] = tuple(line["bbox"]) if line["bbox"] else None
    if options.window_unit:
        # Without a time there are no windows, and the command has a note instead.
        windows = line.get("windows", [])
        found["windows_dropped"] = windows is None
        if line.get("earlier_windows"):
            windows = [line["earlier_windows"], *windows]
        found["undated_length"] = line.get("undated_length" + unit)
        found["windows"] = [
            (_moment(window["start"]), _moment(window["end"]), window["length" + unit], window["points"]) for window in windows or []
        ]
    return found


def _moment(text):
    moment = datetime.datetime.fromisoformat(text)
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(seconds=1) * SECOND
