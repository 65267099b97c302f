"""Compares the program with the reference on random tracks.

usage: compare.py PROGRAM [--tracks N] [--seed SEED] [--only I] [--jobs N]

`tests/reference/run` calls it in an environment that has its packages. A failing track is reduced to few points and few
options, and printed with the fields that differ. The track I of a seed is the same for every number of tracks.
"""

import argparse
import collections
import dataclasses
import fractions
import itertools
import math
import multiprocessing
import pathlib
import random
import re
import sys

import program
from path_reference import InvalidPoint, Measurement, Options

INVALID_ARGUMENT = 3
BATCH = 100
RECORDINGS = itertools.count()


def expected_summary(points, options):
    """Returns the summary by the reference; values with a tolerance are pairs."""
    try:
        path = Measurement(points, options)
    except InvalidPoint as error:
        return {"failure": (INVALID_ARGUMENT, str(error.offset))}
    summary = {
        "planar": options.model == "planar",
        "point_count": len(path.points),
        "accepted_count": len(path.accepted),
        "segment_count": len(path.segments),
        "elapsed_time": path.elapsed_time(),
        "moving_time": path.moving_time(),
        "bounds": path.bounds(),
        "rejections": path.rejections(),
        "windows": [],
        "windows_dropped": False,
        "undated_length": None,
        "length_3d": None,
        "undated_point_count": sum(entry.time is None for entry in path.accepted),
        "unused_options": path.unused_options(),
    }
    for name, total in path.lengths().items():
        summary[name] = total.value, total.tolerance
    speed = path.max_speed()
    summary["max_speed"] = None if speed is None else (speed[0], speed[1] + 1e-12 * speed[0])
    climbs = path.raw_climbs()
    summary["has_ascent"] = path.has_climbs()
    for index, name in enumerate(["raw_ascent", "raw_descent"]):
        summary[name] = None if climbs is None else (climbs[index], 1e-12 * climbs[index])
    if options.window_unit:
        windows = path.windows()
        summary["windows_dropped"] = windows is None
        if windows is not None:
            found, undated = windows
            summary["windows"] = [(start, end, total, count) for start, (end, total, count) in found.items()]
            summary["undated_length"] = undated.value, undated.tolerance
    return summary


def near(actual, value, tolerance):
    return actual is not None and abs(actual - value) <= tolerance


def same_bounds(actual, wanted, planar):
    if actual is None or wanted is None or planar:
        return actual == wanted
    if any(not near(actual[index], wanted[index], 1.1e-7) for index in (1, 3)):
        return False
    return wanted[0] is None or all(near(actual[index], wanted[index], 1e-9) for index in (0, 2))


def differences(actual, wanted):
    """Returns the fields of `actual` that differ, as text. Fields that it does not have are not compared."""
    if "failure" in actual or "failure" in wanted:
        failure = actual.get("failure", (None, None))
        return [] if failure[:2] == wanted.get("failure") else [f"failure: {failure}, not {wanted.get('failure')}"]
    found = [f"a field of another model: {name}" for name in actual.get("wrong_unit", [])]
    for name, value in actual.items():
        if name == "wrong_unit":
            continue
        want = wanted[name]
        if name == "bounds":
            same = same_bounds(value, want, wanted["planar"])
        elif name == "rejections":
            same = set(value) == set(want) and all(
                value[reason][:2] == (count, first) and near(value[reason][2], total.value, total.tolerance)
                for reason, (count, first, total) in want.items()
            )
            want = {reason: (count, first, total.value) for reason, (count, first, total) in want.items()}
        elif name == "windows":
            same = [(start, end, count) for start, end, _, count in value] == [(start, end, count) for start, end, _, count in want]
            # The program rounds the lengths of windows to multiples of the last place of the length, so that they add up.
            place = 2 * math.ulp(actual["length"])
            same = same and all(near(a[2], b[2].value, b[2].tolerance + place) for a, b in zip(value, want))
            terms = [a[2] for a in value] + [actual["undated_length"] or 0.0]
            same = same and (not value or sum(map(fractions.Fraction, terms)) == fractions.Fraction(actual["length"]))
            want = [(start, end, total.value, count) for start, end, total, count in want]
        elif isinstance(value, float) and isinstance(want, int):
            same = near(value, want, 2 * math.ulp(value))  # The command line prints seconds.
        elif name == "undated_length" and want is not None:
            # It is rounded as the lengths of the windows.
            same = near(value, want[0], want[1] + 2 * math.ulp(actual["length"]))
        elif isinstance(want, tuple):
            same = near(value, *want)
        else:
            same = value == want
        if not same:
            found.append(f"{name}: {value}, not {want}")
    return found


# The ways in which a path reaches the program. Each returns the differences of one path.


class Ways:
    """The server and the command line."""

    def __init__(self, binary, address, ignored):
        self.binary = binary
        self.ignored = ignored
        self.flags = program.command_flags(binary)
        self.client = program.Client(address)
        self.fields = collections.Counter()

    def _differences(self, actual, points, options):
        actual = {name: value for name, value in actual.items() if name not in self.ignored}
        self.fields.update(actual.keys())
        return differences(actual, expected_summary(points, options))

    def batch(self, randomness, points, options):
        (actual,) = self.client.measure_paths(randomness, [(points, options)])
        return self._differences(actual, points, options)

    def unnamed(self, randomness, points, options):
        actual = self.client.record_path(randomness, points, options)
        return self._differences(actual, points, options)

    def recording(self, randomness, points, options):
        limited = dataclasses.replace(options, max_windows=options.max_windows or 400)
        name = f"{multiprocessing.current_process().pid}-{next(RECORDINGS)}"
        for count, actual in self.client.record_in_streams(randomness, name, points, options):
            found = self._differences(actual, points[:count], limited)
            if found:
                return [f"after {count} points: {text}" for text in found]
        return []

    def table(self, randomness, points, options):
        actual = program.measure_table(randomness, self.binary, self.flags, [points], options)
        return [] if actual is None else self._differences(actual[0], points, options)

    def many_batches(self, paths):
        """Yields the differences of each path, with one call for all of them."""
        answers = self.client.measure_paths(random.Random(len(paths)), paths)
        for (points, options), actual in zip(paths, answers):
            yield self._differences(actual, points, options)

    def many_in_a_table(self, randomness, paths, options):
        """Returns the differences of each path, with one table for all of them; or None without a flag for an option."""
        actual = program.measure_table(randomness, self.binary, self.flags, paths, options)
        if actual is None:
            return None
        return [self._differences(found, points, options) for found, points in zip(actual, paths)]


def reduced(points, options, fails):
    """Returns the points and options without all that the failure does not need."""
    size = len(points)
    while size > 0:
        start = 0
        while start < len(points):
            fewer = points[:start] + points[start + size :]
            if fails(fewer, options):
                points = fewer
            else:
                start += size
        size //= 2
    for field in dataclasses.fields(Options):
        simpler = dataclasses.replace(options, **{field.name: field.default})
        if field.name != "model" and simpler != options and fails(points, simpler):
            options = simpler
    for name in ("z", "time", "accuracy"):
        simpler = [dataclasses.replace(point, **{name: None}) for point in points]
        if simpler != points and fails(simpler, options):
            points = simpler
    return points, options


def kind(text):
    """Returns the name of the field of a difference."""
    return re.sub(r"after \d+ points: ", "", text).split(":")[0]


def report(number, way, points, options):
    """Returns the smallest failure that is found, as text."""

    def found(points, options):
        try:
            return way(random.Random(number), points, options)
        except Exception as error:  # A failure of the call is a difference too.
            return [f"{type(error).__name__}: {error}"]

    kinds = set(map(kind, found(points, options)))
    points, options = reduced(points, options, lambda points, options: not kinds.isdisjoint(map(kind, found(points, options))))
    changed = {field.name: getattr(options, field.name) for field in dataclasses.fields(Options) if getattr(options, field.name) != field.default}
    lines = [f"track {number}, {way.__name__}: {changed}"]
    start = next((point.time for point in points if point.time is not None), None)
    for index, point in enumerate(points):
        fields = {name: value for name, value in dataclasses.asdict(point).items() if value not in (None, False)}
        if point.time is not None:
            fields["time"] = f"{start / 1e9:.3f} s + {(point.time - start) / 1e9} s"
        lines.append(f"    {index}: {fields}")
    return "\n".join([*lines, *(f"  {text}" for text in found(points, options))])


def random_of(seed, number):
    return random.Random(f"{seed}/{number}")


def compare(arguments):
    """Compares a range of tracks, and returns the numbers of comparisons and the reports of failures."""
    binary, address, seed, ignored, numbers = arguments
    ways = Ways(binary, address, ignored)
    failed = []
    counts = collections.Counter()

    def check(number, way, points, options):
        counts[way.__name__] += 1
        try:
            found = way(random.Random(number), points, options)
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        if found:
            failed.append((number, way, points, options, found))

    paths = []
    for number in numbers:
        randomness = random_of(seed, number)
        paths.append(program.tracks.random_track(randomness))
        points, options = paths[-1]
        if number % 10 == 0 and options.filled_in().invalid_points != "reject_call":
            check(number, ways.unnamed, points, options)
        if number % 10 == 1 and options.filled_in().invalid_points != "reject_call":
            check(number, ways.recording, points, options)
        if number % 20 == 2:
            group, options = program.tracks.random_tracks(randomness, 20)
            group = [[program.tracks.in_a_file(point, options) for point in points] for points in group]
            group = [points for points in group if any(map(program.tracks.is_usable, points))]
            if options.invalid_points == "reject_call":
                options.invalid_points = "skip"
            options.max_windows = 100_000  # That of the command line.
            try:
                results = group and ways.many_in_a_table(randomness, group, options)
            except Exception as error:
                results = [[f"{type(error).__name__}: {error}"]] * len(group)
            if results:
                counts["table"] += len(group)
                failed += [(number, ways.table, points, options, found) for points, found in zip(group, results) if found]
    try:
        results = list(ways.many_batches(paths))
    except Exception as error:
        results = [[f"{type(error).__name__}: {error}"]] * len(paths)
    counts["batch"] += len(paths)
    failed += [(number, ways.batch, points, options, found) for number, (points, options), found in zip(numbers, paths, results) if found]
    kinds = {}
    for number, way, points, options, found in failed:
        kinds.setdefault((way.__name__, kind(found[0])), (number, way, points, options))
    reports = [(name, report(*first)) for name, first in kinds.items()]
    return counts, ways.fields, len(failed), reports


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--tracks", type=int, default=4_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--ignore", default="", help="names of fields that are not compared, separated by commas")
    parser.add_argument("--reports", type=int, default=10, help="the number of failures to print")
    arguments = parser.parse_args()
    binary = str(arguments.program.resolve())
    server = program.Server(binary)
    numbers = range(arguments.tracks) if arguments.only is None else range(arguments.only, arguments.only + 1)
    ranges = [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]
    work = [(binary, server.address, arguments.seed, arguments.ignore.split(","), part) for part in ranges]
    counts, fields, failures, kinds = collections.Counter(), collections.Counter(), 0, {}
    try:
        # The processes are new ones, because those of gRPC cannot be copied.
        with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
            for compared, named, failed, reports in pool.imap(compare, work):
                counts += compared
                fields += named
                failures += failed
                for name, text in reports:
                    kinds.setdefault(name, text)
    finally:
        server.stop()
    for text in list(kinds.values())[: arguments.reports]:
        print(text)
    print(f"seed {arguments.seed}: {dict(counts)} paths, {fields.total()} fields, {failures} paths differ")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
