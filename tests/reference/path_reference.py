"""A reference implementation of the measurement of a path.

It is written from the text of proto/waywiser/v1/path.proto alone, and not from the program. It keeps the whole path in
memory, takes the rules one after another, and computes each field from the points that are left at the end. The program
reads a path once and keeps a small state; `compare.py` compares both.

Not implemented: the estimate with its stops and trips, and the ascent with smoothing.
"""

import dataclasses
import fractions
import math

import boxes
import calendar_windows
import distances

SECOND = 1_000_000_000

BACKWARD_TIME = "BACKWARD_TIME"
ACCURACY = "ACCURACY"
SPEED = "SPEED"
STEP = "STEP"
INVALID_POSITION = "INVALID_POSITION"
LATE = "LATE"
ZERO_POSITION = "ZERO_POSITION"
DUPLICATE = "DUPLICATE"

# The maximum speed, the maximum accuracy, the speed of a stop, and the number of points that are reordered.
PRESETS = {
    "walk": (6.0, 50.0, 0.3, 0),
    "run": (12.0, 50.0, 0.5, 0),
    "bike": (30.0, 50.0, 0.8, 0),
    "car": (70.0, 100.0, 1.0, 0),
    "boat": (40.0, 100.0, 0.5, 0),
    "flight": (400.0, 500.0, 1.0, 0),
    "phone": (400.0, 200.0, 0.5, 32),
}


@dataclasses.dataclass(frozen=True)
class Point:
    """A point of a path; the time is in nanoseconds since 1970."""

    x: float
    y: float
    z: float | None = None
    time: int | None = None
    accuracy: float | None = None
    mark: bool = False


@dataclasses.dataclass
class Options:
    """The options of a path. Distances and speeds are in the unit of the model, times in nanoseconds; 0 is not set."""

    model: str = "geodesic"
    three_dimensional: bool = False
    max_gap_time: int = 0
    max_gap: float = 0.0
    max_speed: float = 0.0
    reanchor_count: int = 0
    min_step: float = 0.0
    max_accuracy: float = 0.0
    reject_backward_time: bool = False
    stopped_speed: float = 0.0
    invalid_points: str = "reject_call"
    reject_zero_position: bool = False
    reorder_count: int = 0
    reorder_time: int = 0
    drop_duplicates: bool = False
    window_unit: str = ""
    time_zone: str = ""
    max_windows: int = 0
    keep_latest: bool = False
    estimate: bool = False
    preset: str = ""

    def filled_in(self):
        """Returns the options with those of the preset where they are not set."""
        if not self.preset:
            return self
        speed, accuracy, stopped, count = PRESETS[self.preset]
        return dataclasses.replace(
            self,
            preset="",
            estimate=True,
            reject_zero_position=True,
            invalid_points="skip" if self.invalid_points == "reject_call" else self.invalid_points,
            max_speed=self.max_speed or speed,
            max_accuracy=self.max_accuracy or accuracy,
            stopped_speed=self.stopped_speed or stopped,
            reorder_count=self.reorder_count or count,
            drop_duplicates=self.drop_duplicates or self.preset == "phone",
        )


class InvalidPoint(Exception):
    """The path has a point without a valid position, and the options refuse it."""

    def __init__(self, offset):
        super().__init__(f"point {offset} has no valid position")
        self.offset = offset


class Entry:
    """A point of the path, and what the rules decide about it."""

    def __init__(self, offset, point, part, model):
        self.offset = offset
        self.point = point
        self.position = _position(point, model)
        self.part = part  # The number of marks up to the point: each part starts a segment.
        self.reason = None
        self.alone = False  # Rejected by one of the rules 1 to 4.
        self.abandoned = False  # Rejected by re-anchoring.
        self.copy = False  # A copy of a candidate.
        self.segment = None

    @property
    def time(self):
        return self.point.time

    @property
    def accepted(self):
        return self.reason is None


class Sum:
    """A sum that is rounded once, and how far the program's may be from it."""

    def __init__(self):
        self.terms = []
        self.tolerance = 0.0

    def add(self, length, tolerance, sign=1):
        self.terms.append(sign * length)
        self.tolerance += tolerance

    @property
    def value(self):
        return math.fsum(self.terms)


def is_valid(point, model):
    """Returns whether a point has a valid position."""
    if not (math.isfinite(point.x) and math.isfinite(point.y)):
        return False
    if model == "planar":
        return abs(point.x) <= 2**40 and abs(point.y) <= 2**40
    return abs(point.y) <= 90


def _position(point, model):
    """Returns x and y, with a longitude of more than -180 and at most 180 degrees."""
    if model == "planar" or not math.isfinite(point.x):
        return point.x, point.y
    longitude = math.remainder(point.x, 360)  # Exact.
    return (180.0 if longitude == -180 else longitude), point.y


def _reduced(x, model):
    """Returns x, or a longitude of -180 to 180 degrees. -180 and 180 stay different."""
    if model == "planar" or abs(x) <= 180:
        return x
    longitude = math.fmod(x, 360)  # Exact.
    return longitude - math.copysign(360, x) if abs(longitude) > 180 else longitude


class Measurement:
    """One path and its options."""

    def __init__(self, points, options):
        self.options = options = options.filled_in()
        self.points = points
        self.invalid = []
        self.duplicates = []
        valid = self._valid_entries(points)
        self.path = self._in_order(valid)
        self._judge_alone()
        self.segments = []
        for part in self._parts():
            passed = [entry for entry in part if not entry.alone]
            self.segments.extend(Rules(self, passed).segments)
        self.segments = [segment for segment in self.segments if segment.accepted]
        self.accepted = [entry for segment in self.segments for entry in segment.accepted]

    # Rules 1 to 4.

    def _valid_entries(self, points):
        """Rule 1. Numbers the parts too; a mark on an invalid point is one on the next valid point."""
        entries = []
        part = 0
        for offset, point in enumerate(points):
            part += point.mark
            if is_valid(point, self.options.model):
                entries.append(Entry(offset, point, part, self.options.model))
                continue
            if self.options.invalid_points == "reject_call":
                raise InvalidPoint(offset)
            entry = Entry(offset, point, part, self.options.model)
            entry.reason = INVALID_POSITION
            self.invalid.append(entry)
            part += self.options.invalid_points == "split"
        return entries

    def _in_order(self, entries):
        """Rule 2. Returns the points in the order in which the other rules see them."""
        capacity = self.options.reorder_count
        wait = self.options.reorder_time
        if not capacity and not wait:
            return entries
        capacity = capacity or 256
        ordered, buffer = [], []
        latest = time = -math.inf  # Of the points since the last mark.
        last_left = (-math.inf,)
        part = None

        def place(entry):
            if not self.options.drop_duplicates:
                return (time,)
            # Points without a time follow those with the same time.
            if entry.time is None:
                return (time, 1)
            return (time, 0, _reduced(entry.point.x, self.options.model), entry.point.y)

        def leave():
            nonlocal last_left
            last_left, entry = buffer.pop(0)
            ordered.append(entry)

        for entry in entries:
            if entry.part != part:
                while buffer:
                    leave()
                part = entry.part
                latest = time = -math.inf
                last_left = (-math.inf,)
            if entry.time is not None:
                time = entry.time
            key = place(entry)
            if entry.time is not None:
                if key < last_left:
                    entry.reason = LATE
                    entry.alone = True
                    ordered.append(entry)
                    continue
                if self.options.drop_duplicates and key in [last_left, *(waiting for waiting, _ in buffer)]:
                    entry.reason = DUPLICATE
                    self.duplicates.append(entry)
                    continue
            elif key < last_left or time == -math.inf:
                ordered.append(entry)
                continue
            buffer.append((key, entry))
            buffer.sort(key=lambda item: item[0])  # Stable: equal keys stay in the order in which they were sent.
            latest = max(latest, time)
            while len(buffer) > capacity or (wait and buffer and buffer[0][0][0] < latest - wait):
                leave()
        while buffer:
            leave()
        return ordered

    def _judge_alone(self):
        """Rules 3 and 4."""
        for entry in self.path:
            point = entry.point
            if entry.reason is not None:
                continue
            if self.options.reject_zero_position and entry.position == (0, 0):
                entry.reason = ZERO_POSITION
            elif self.options.max_accuracy and point.accuracy is not None and point.accuracy > self.options.max_accuracy:
                entry.reason = ACCURACY
            entry.alone = entry.reason is not None

    def _parts(self):
        parts = {}
        for entry in self.path:
            parts.setdefault(entry.part, []).append(entry)
        return list(parts.values())

    # Distances.

    def distance(self, a, b):
        return distances.distance(self.options.model, a.position, b.position)

    def is_faster(self, a, b, speed):
        """Returns whether the speed from a to b, both with a time, is greater than a speed."""
        if b.time == a.time and self.distance(a, b) == 0:
            return False
        if b.time <= a.time:
            return True
        return fractions.Fraction(self.distance(a, b)) * SECOND > fractions.Fraction(speed) * (b.time - a.time)

    def _add(self, total, a, b, sign=1):
        length = self.distance(a, b)
        total.add(length, distances.tolerance(self.options.model, a.position, b.position, length), sign)

    def legs(self):
        """Yields the accepted legs."""
        for segment in self.segments:
            yield from zip(segment.accepted, segment.accepted[1:])

    # The summary.

    def lengths(self):
        """Returns the sums of lengths by the name of their fields."""
        sums = {name: Sum() for name in ("length", "raw_length", "gap_length", "displacement", "length_3d")}
        for part in self._parts():
            for a, b in zip(part, part[1:]):
                self._add(sums["raw_length"], a, b)
        for a, b in self.legs():
            self._add(sums["length"], a, b)
            self._add_3d(sums["length_3d"], a, b)
        for before, after in zip(self.segments, self.segments[1:]):
            a, b = before.accepted[-1], after.accepted[0]
            if a.part == b.part:
                self._add(sums["gap_length"], a, b)
        if self.accepted:
            self._add(sums["displacement"], self.accepted[0], self.accepted[-1])
        if not self.options.three_dimensional:
            del sums["length_3d"]
        return sums

    def _add_3d(self, total, a, b):
        if a.point.z is None or b.point.z is None:
            self._add(total, a, b)
            return
        flat = self.distance(a, b)
        rise = b.point.z - a.point.z
        # The slope only makes the error of the flat length smaller.
        error = distances.tolerance(self.options.model, a.position, b.position, flat)
        length = math.sqrt(flat * flat + rise * rise)
        total.add(length, error + 1e-12 * length)

    def rejections(self):
        """Returns the count, the least offset and the length of the rejections by reason."""
        found = {}
        for entry in [*self.invalid, *self.duplicates, *self.path]:
            if entry.reason is not None:
                found.setdefault(entry.reason, []).append(entry)
        sums = {reason: Sum() for reason in found}
        for part in self._parts():
            left = list(part)
            alone = [entry for entry in part if entry.alone]
            judged = [entry for entry in part if not entry.alone and not entry.accepted]
            copies = [entry for entry in judged if entry.copy]
            abandoned = [entry for entry in judged if entry.abandoned]
            others = [entry for entry in judged if not entry.copy and not entry.abandoned]
            for entry in [*alone, *copies, *others, *abandoned]:
                index = left.index(entry)
                before = left[index - 1] if index > 0 else None
                after = left[index + 1] if index + 1 < len(left) else None
                total = sums[entry.reason]
                if before:
                    self._add(total, before, entry)
                if after:
                    self._add(total, entry, after)
                if before and after:
                    self._add(total, before, after, -1)
                del left[index]
        return {
            reason: (len(entries), min(entry.offset for entry in entries), sums[reason])
            for reason, entries in found.items()
        }

    def has_climbs(self):
        """Returns whether a segment has two accepted points with an elevation."""
        return any(sum(entry.point.z is not None for entry in segment.accepted) > 1 for segment in self.segments)

    def elapsed_time(self):
        times = [entry.time for segment in self.segments for entry in segment.checked if entry.time is not None]
        return max(times) - min(times) if times else None

    def moving_time(self):
        stopped = self.options.stopped_speed
        if not stopped:
            if self.options.model == "planar":
                return None
            stopped = 0.3
        known = False
        total = 0
        earliest = latest = None
        for segment in self.segments:
            for index, entry in enumerate(segment.accepted):
                if entry.time is None:
                    continue
                before = segment.accepted[index - 1] if index > 0 else None
                if before and before.time is not None and before.time != entry.time:
                    known = True
                    length = fractions.Fraction(self.distance(before, entry)) * SECOND
                    if length >= fractions.Fraction(stopped) * abs(entry.time - before.time):
                        total += max(0, entry.time - latest, earliest - entry.time)
                earliest = entry.time if earliest is None else min(earliest, entry.time)
                latest = entry.time if latest is None else max(latest, entry.time)
        return total if known else None

    def max_speed(self):
        """Returns the greatest average speed of a run of at least 5 s, and its tolerance."""
        speeds = []
        for segment in self.segments:
            for points in _in_time_order(segment.accepted):
                start = 0
                while start is not None:
                    first = points[start]
                    end = _later(points, start, first.time + 5 * SECOND)
                    if end is not None:
                        run = points[start : end + 1]
                        length = Sum()
                        for a, b in zip(run, run[1:]):
                            self._add(length, a, b)
                        seconds = (run[-1].time - first.time) / SECOND
                        speeds.append((length.value / seconds, length.tolerance / seconds))
                    start = _later(points, start, first.time + SECOND // 2)
        if not speeds:
            return None
        # A slower run with a greater tolerance can be the greatest one of the program.
        return max(speeds)[0], max(tolerance for _, tolerance in speeds)

    def raw_climbs(self):
        """Returns the sums of the rises and of the falls, or None."""
        rises = [b.point.z - a.point.z for a, b in self.legs() if a.point.z is not None and b.point.z is not None]
        if not rises:
            return None
        up = math.fsum(rise for rise in rises if rise > 0)
        down = math.fsum(-rise for rise in rises if rise < 0)
        return up, down

    def unused_options(self):
        """Returns the options that are set and need a field that no point has, with the field.

        A path without a valid point has none.
        """
        if not self.path:
            return {}
        options = self.options
        speed_unit = "" if options.model == "planar" else "_mps"
        # Only options that differ from their defaults count.
        speed_is_set = options.model == "planar" or options.stopped_speed != 0.3
        needs = {
            "elevation_mode": ("Z", options.three_dimensional),
            "max_gap_time": ("TIME", options.max_gap_time),
            "max_speed" + speed_unit: ("TIME", options.max_speed),
            "max_accuracy_m": ("ACCURACY", options.max_accuracy),
            "reject_backward_time": ("TIME", options.reject_backward_time),
            "stopped_speed" + speed_unit: ("TIME", speed_is_set and options.stopped_speed),
            "reorder_count": ("TIME", options.reorder_count or options.reorder_time),
            "drop_duplicates": ("TIME", options.drop_duplicates),
            "windows": ("TIME", options.window_unit),
            "estimate": ("TIME", options.estimate),
        }
        known = set()
        for entry in self.path:
            known |= {field for field in ("z", "time", "accuracy") if getattr(entry.point, field) is not None}
        return {name: field for name, (field, is_set) in needs.items() if is_set and field.lower() not in known}

    def bounds(self):
        """Returns west, south, east and north; None if no point was accepted."""
        positions = [entry.position for entry in self.accepted]
        if not positions:
            return None
        if self.options.model == "planar":
            return boxes.planar_box(positions)
        return boxes.geographic_box(self.options.model, positions, [(a.position, b.position) for a, b in self.legs()])

    def windows(self):
        """Returns the windows by their start, and the length without a time; or None if there are too many windows.

        With keep_latest, those before the latest ones are one window.
        """
        unit, zone = self.options.window_unit, self.options.time_zone
        limit = self.options.max_windows or 400
        crossings = 0  # The ends of windows in legs, without the first one of each leg.
        found = {}
        undated = Sum()

        def window(time):
            start, end = calendar_windows.window_of(time, unit, zone)
            return found.setdefault(start, [end, Sum(), 0])

        for entry in self.accepted:
            if entry.time is not None:
                window(entry.time)[2] += 1
        for a, b in self.legs():
            times = sorted(entry.time for entry in (a, b) if entry.time is not None)
            if not times:
                self._add(undated, a, b)
            elif times[0] == times[-1]:
                self._add(window(times[0])[1], a, b)
            else:
                length = self.distance(a, b)
                if length == 0:
                    continue
                duration = times[-1] - times[0]
                if self.options.keep_latest and duration >= 64 * calendar_windows.USUAL[unit] * SECOND:
                    self._add(undated, a, b)
                    continue
                if not self.options.keep_latest and duration > limit * calendar_windows.LONGEST[unit] * SECOND:
                    return None
                error = distances.tolerance(self.options.model, a.position, b.position, length) + 1e-12 * length
                time = times[0]
                crossings -= window(time)[0] < times[-1]
                while time < times[-1]:
                    part = window(time)
                    until = min(part[0], times[-1])
                    part[1].add(length * (until - time) / (times[-1] - times[0]), error)
                    time = until
                    crossings += time < times[-1]
                    if not self.options.keep_latest and (len(found) > limit or crossings > 16 * limit):
                        return None
        if len(found) > limit and not self.options.keep_latest:
            return None
        windows = {start: tuple(found[start]) for start in sorted(found)}
        if len(windows) <= limit:
            return windows, undated
        starts = list(windows)
        dropped = [windows.pop(start) for start in starts[:-limit]]
        total = Sum()
        for _, length, _ in dropped:
            total.add(length.value, length.tolerance)
        earlier = dropped[-1][0], total, sum(count for _, _, count in dropped)
        return {starts[0]: earlier, **windows}, undated


def _in_time_order(points):
    """Yields the longest sequences of points with times that do not decrease."""
    sequence = []
    for point in points:
        if sequence and (point.time is None or point.time < sequence[-1].time):
            yield sequence
            sequence = []
        if point.time is not None:
            sequence.append(point)
    if sequence:
        yield sequence


def _later(points, index, time):
    """Returns the index of the first point after an index that is not earlier than a time, or None."""
    for later in range(index + 1, len(points)):
        if points[later].time >= time:
            return later
    return None


class Segment:
    """The points of a segment."""

    def __init__(self, first):
        self.checked = [first]
        self.accepted = [first]

    def previous_timed(self):
        return next((entry for entry in reversed(self.checked) if entry.time is not None), None)


class Rules:
    """Rules 5 to 8 for the points between two marks, after the rules 1 to 4."""

    def __init__(self, measurement, entries):
        self.measurement = measurement
        self.options = measurement.options
        self.segments = []
        self.chain = []
        for entry in entries:
            self._take(entry)

    def _take(self, entry):
        if not self.segments:
            self.segments.append(Segment(entry))
            return
        entry.reason = self._rules_5_and_6(entry, self.segments[-1].previous_timed())
        if entry.reason is None:
            self.chain = []
            self._rules_7_and_8(entry)
            return
        if self.chain:
            last = self.chain[-1]
            if entry.time == last.time and entry.position == last.position:
                entry.copy = True
                return
            if not self._agrees(last, entry):
                self.chain = []
        self.chain.append(entry)
        if len(self.chain) >= (self.options.reanchor_count or 3):
            self._reanchor()

    def _rules_5_and_6(self, entry, timed):
        if entry.time is None or timed is None:
            return None
        if self.options.reject_backward_time and entry.time < timed.time:
            return BACKWARD_TIME
        if self.options.max_speed and self.measurement.is_faster(timed, entry, self.options.max_speed):
            return SPEED
        return None

    def _agrees(self, last, entry):
        if entry.time <= last.time:
            return False
        return not self.options.max_speed or not self.measurement.is_faster(last, entry, self.options.max_speed)

    def _rules_7_and_8(self, entry):
        segment = self.segments[-1]
        timed = segment.previous_timed()
        if self.options.max_gap_time and entry.time is not None and timed is not None:
            if abs(entry.time - timed.time) > self.options.max_gap_time:
                self.segments.append(Segment(entry))
                return
        if self.options.max_gap and self.measurement.distance(segment.checked[-1], entry) > self.options.max_gap:
            self.segments.append(Segment(entry))
            return
        segment.checked.append(entry)
        if self.options.min_step and self.measurement.distance(segment.accepted[-1], entry) < self.options.min_step:
            entry.reason = STEP
            return
        segment.accepted.append(entry)

    def _reanchor(self):
        before = self.segments[-1]
        first = self.chain[0]
        if len(before.checked) == 1:
            alone = before.checked[0]
            alone.reason = first.reason
            alone.abandoned = True
            before.checked, before.accepted = [], []
        for entry in self.chain:
            entry.reason = None
        self.segments.append(Segment(first))
        for entry in self.chain[1:]:
            self._rules_7_and_8(entry)
        self.chain = []
