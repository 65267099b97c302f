"""Random tracks and options that reach all rules.

Speeds, gaps and steps of integer tracks meet limits exactly: their coordinates and seconds are integers, and distances
such as 5 (3-4-5 triangles) are exact. Other tracks have random limits, which no rounding of a distance can reach.
"""

import dataclasses
import math

from path_reference import PRESETS, SECOND, Options, Point

NAN = float("nan")
ZONES = ["", "UTC", "Europe/Ljubljana", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Auckland", "Pacific/Apia", "America/Sao_Paulo", "Australia/Lord_Howe"]
# Moments near changes of the clocks, of the year and of the date line.
MOMENTS = [1_711_846_800, 1_729_990_800, 1_730_613_600, 1_704_067_200, 1_325_200_000, 1_539_486_000, 0, -86_400, 951_782_400, 1_712_415_600, 1_728_142_200]


def random_tracks(random, count):
    """Returns the points of tracks, and the options of all of them."""
    model = random.choice(["planar", "planar", "planar", "geodesic", "geodesic", "haversine"])
    exact = model == "planar" and random.random() < 0.7
    metres = 1.0 if model == "planar" else 1 / 111_000
    scale = 1 if exact else random.choice([1, 1, 30, 1_000]) * random.uniform(0.5, 2)
    options = _options(random, model, exact, scale)
    tracks = []
    for _ in range(count):
        if exact and random.random() < 0.4:
            tracks.append(_few_places(random))
            continue
        points = _Walk(random, model, exact, metres * scale).points()
        if random.random() < (0.8 if options.reorder_count or options.reorder_time else 0.1):
            _swap(random, points)
        tracks.append(points)
    return tracks, options


def _few_places(random):
    """Returns points at few places and moments, which repeat and meet limits often."""
    points = []
    second = random.choice(MOMENTS)
    places = random.choice([[(0, 0), (3, 4), (6, 8), (100, 0), (103, 4), (106, 8)], [(0, 0), (5, 0), (10, 0)], [(1, 0), (1, 5), (50, 0), (50, 5)]])
    has_time = random.random() < 0.95
    for _ in range(random.randrange(1, 14)):
        second += random.choice([0, 1, 1, 1, 1, 2, -1, 30, 31])
        x, y = random.choice(places)
        points.append(
            Point(
                float(x) if random.random() < 0.97 else NAN,
                float(y),
                z=random.choice([None, 0.0, 1.0, 8.0]),
                time=second * SECOND if has_time and random.random() < 0.9 else None,
                accuracy=random.choice([None, None, None, 3.0, 30.0]),
                mark=random.random() < 0.08,
            )
        )
    return points


def random_track(random):
    """Returns the points and the options of a track."""
    (points,), options = random_tracks(random, 1)
    return points, options


def _swap(random, points):
    """Moves some points to an earlier place. Marks stay in their places, so that segments keep their length."""
    for _ in range(random.randrange(1, 6)):
        if len(points) > 1:
            later = random.randrange(1, len(points))
            earlier = max(0, later - random.choice([1, 1, 2, 5, 40]))
            marks = [point.mark for point in points]
            points.insert(earlier, points.pop(later))
            points[:] = [dataclasses.replace(point, mark=mark) for point, mark in zip(points, marks)]


class _Walk:
    """Makes the points of one track. Steps are about 1, 5 or 10 long, in units of `scale`, and a second or more apart."""

    def __init__(self, random, model, exact, scale):
        self.random = random
        self.model = model
        self.exact = exact
        self.scale = scale
        self.origin = self._origin()
        self.at = (0.0, 0.0)
        self.time = self._start()
        self.pace = random.choice([1, 1, 1, 1, 1, 60, 600, 7_200, 86_400])
        self.has_time = random.random() < 0.9
        self.has_z = random.random() < 0.6
        self.has_accuracy = random.random() < 0.5
        self.missing = random.choice([0, 0, 0.1, 0.4])
        self.odd = random.choice([0, 0.05, 0.2, 0.4])
        self.z = 100.0

    def _origin(self):
        random = self.random
        if self.model == "planar":
            return 0.0, 0.0
        longitude = random.choice([0, 14.5, 180, -179.999, 179.99, random.uniform(-180, 180)])
        latitude = random.choice([0, 0, 46, 46, -33.3, 90, 89.9999, -89.999, 81, random.uniform(-89, 89)])
        return longitude, latitude

    def _start(self):
        random = self.random
        if random.random() < 0.05:
            return random.randrange(-9_000_000_000, 9_000_000_000) * SECOND
        return (random.choice(MOMENTS) + random.randrange(-20_000, 20_000)) * SECOND

    def points(self):
        random = self.random
        points = []
        count = random.choice([random.randrange(4), *([random.randrange(4, 12)] * 3), *([random.randrange(12, 40)] * 3)])
        if random.random() < 0.004:
            count = random.randrange(200, 1_200)
        if random.random() < 0.2:
            points.append(self._outlier())
        while len(points) < count:
            self._advance()
            if random.random() >= self.odd:
                points.append(self._here())
                continue
            points.extend(self._odd_points(points))
        return [self._thinned(point) for point in points]

    def _odd_points(self, points):
        """Returns what receivers send besides a walk."""
        random = self.random
        kind = random.choice([*range(15), *range(15), 15])
        if kind <= 1:
            return [self._outlier()]
        if kind <= 4:
            return self._burst()
        if kind == 5:
            return [random.choice(points)] if points else []
        if kind == 14:
            # The same place may have several longitudes. Planar points are at the limit.
            x, y = random.choice([(180, 1), (-180, 1), (540, 1), (-540, 1), (361, 0), (1, 0), (-179, 0), (181, 0)])
            if self.model == "planar":
                x, y = random.choice([2**40, -(2**40)]), random.choice([2**40, 0])
            return [dataclasses.replace(self._here(), x=float(x), y=float(y))]
        if kind == 15:
            # In 1678 and 2261, at the limits of times.
            second = random.choice([-9_200_000_000, 9_200_000_000]) + random.randrange(10)
            return [dataclasses.replace(self._here(), time=self._time(second * SECOND))]
        if kind == 6:
            return [points[-1]] * random.randrange(1, 4) if points else []
        if kind in (7, 12, 13):
            return [dataclasses.replace(self._here(), time=self._time(self.time + random.choice([-30, -3, -1, 0]) * SECOND))]
        if kind == 8:
            return [dataclasses.replace(self._here(), mark=True)]
        if kind == 9:
            return [dataclasses.replace(self._here(), x=0.0, y=0.0, mark=random.random() < 0.2)]
        if kind == 10:
            x, y = random.choice([(NAN, 1.0), (1.0, NAN), (math.inf, 0.0), (2e12, -2e12)])
            return [dataclasses.replace(self._here(), x=x, y=y, mark=random.random() < 0.2)]
        self.time += random.choice([29, 30, 31, 100, 4_000, 90_000, 3_000_000, 40_000_000]) * SECOND
        return [self._here()]

    def _advance(self):
        random = self.random
        step = random.choice([(3, 4), (4, 3), (0, 5), (5, 0), (6, 8), (0, 1), (1, 0), (0, 0), (0, 0), (1, 1), (2, 3)])
        signs = random.choice([1, -1]), random.choice([1, 1, -1])
        jitter = 1 if self.exact else random.uniform(0.8, 1.2)
        self.at = self.at[0] + step[0] * signs[0] * jitter, self.at[1] + step[1] * signs[1] * jitter
        self.time += self._interval()
        self.z += random.choice([0, 0, 1, -1, 3, random.randrange(-9, 9)])

    def _interval(self):
        random = self.random
        seconds = random.choice([0, 1, 1, 1, 1, 2, 5, 10])
        if self.exact or random.random() < 0.7:
            return seconds * self.pace * SECOND
        return random.randrange(1, 3_000) * 1_000_000

    def _burst(self):
        """Returns points elsewhere that agree, or nearly do, as after a bad start."""
        random = self.random
        back = self.at
        far = random.choice([100, 1_000, 20_000])
        self.at = self.at[0] + random.choice([far, -far, 0]), self.at[1] + random.choice([far, -far])
        burst = []
        for _ in range(random.choice([random.randrange(1, 8), random.randrange(1, 8), random.randrange(8, 20)])):
            self._advance()
            point = self._here()
            burst.append(point)
            change = random.randrange(12)
            if change == 0:
                burst.append(point)
            elif change == 1:
                burst.append(dataclasses.replace(point, time=self._time(self.time - SECOND)))
            elif change == 2:
                burst.append(dataclasses.replace(point, accuracy=1_000.0))
            elif change == 3:
                burst.append(dataclasses.replace(point, time=None))
            elif change == 4:
                burst.append(self._outlier())
        if random.random() < 0.4:
            self.at = back
        return burst

    def _outlier(self):
        random = self.random
        at = self.at
        self.at = random.randrange(-30_000, 30_000), random.randrange(-30_000, 30_000)
        point = self._here()
        self.at = at
        return point

    def _here(self):
        random = self.random
        x = self.origin[0] + self.at[0] * self.scale
        y = self.origin[1] + self.at[1] * self.scale
        if self.model != "planar":
            # The nearest numbers to multiples of 1e-7, as most receivers and PointColumns have them.
            x = round(math.remainder(x, 360) * 1e7) / 1e7
            y = round(max(-90, min(90, y)) * 1e7) / 1e7
        elif not self.exact:
            x, y = round(x, 3), round(y, 3)
        return Point(
            x,
            y,
            z=float(self.z) if self.has_z else None,
            time=self._time(self.time),
            accuracy=float(random.choice([3, 5, 10, 10, 30])) if self.has_accuracy else None,
        )

    def _time(self, time):
        return time if self.has_time else None

    def _thinned(self, point):
        random = self.random
        changes = {name: None for name in ("z", "time", "accuracy") if random.random() < self.missing}
        return dataclasses.replace(point, **changes) if changes else point


def _options(random, model, exact, scale):
    """Returns options with each rule on or off."""

    def limit(*values):
        value = random.choice(values)
        return float(value) if exact else value * scale * random.uniform(0.9, 1.1)

    on = lambda: random.random() < 0.4  # noqa: E731
    options = Options(model=model, invalid_points=random.choice(["skip", "skip", "split", "split", "reject_call"]))
    options.three_dimensional = random.random() < 0.3
    if on():
        options.max_gap_time = random.choice([1, 2, 30, 3_600]) * SECOND
    if on():
        options.max_gap = limit(5, 10, 100, 2_000)
    if random.random() < 0.6:
        options.max_speed = limit(1, 5, 10, 50)
        options.reanchor_count = random.choice([0, 0, 1, 2, 3, 4, 5, 16])
    if on():
        options.min_step = limit(1, 5, 7)
    if on():
        options.max_accuracy = float(random.choice([5, 10, 20]))
    options.reject_backward_time = on()
    if on():
        options.stopped_speed = limit(1, 5)
    options.reject_zero_position = on()
    if model != "planar" and random.random() < 0.15:
        options.preset = random.choice(list(PRESETS))
    options.estimate = model != "planar" and random.random() < 0.2
    if random.random() < 0.25:
        options.reorder_count = random.choice([0, 1, 2, 5, 32, 256])
        options.reorder_time = random.choice([0, 0, 1, 3, 60]) * SECOND
        if options.reorder_count or options.reorder_time:
            options.drop_duplicates = random.random() < 0.5
    if random.random() < 0.4:
        options.window_unit = random.choice(["hour", "day", "day", "week", "month", "year"])
        options.time_zone = random.choice(ZONES)
        options.max_windows = random.choice([0, 0, 1, 3, 10, 400])
        options.keep_latest = random.random() < 0.5
    return options


def is_usable(point):
    """Returns whether a point of these tracks has a valid position in files, where the model is not known."""
    return math.isfinite(point.x) and math.isfinite(point.y) and abs(point.y) <= 2**40


def in_a_file(point, options):
    """Returns the point with a longitude of -180 to 180 degrees, because files refuse some of the others."""
    if options.model == "planar" or not is_usable(point):
        return point
    return dataclasses.replace(point, x=math.remainder(point.x, 360))
