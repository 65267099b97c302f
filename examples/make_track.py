#!/usr/bin/env python3
"""Writes examples/hill-walk.gpx: a simulated walk of two and a half hours, with the noise of a receiver.

The hill is a formula and the path is a curve on it, so the true length is known, unlike that of a recorded track.
The seed is fixed, so the file is always byte-identical. Needs only the standard library.

usage: python3 examples/make_track.py [FOLDER]

Writes FOLDER/hill-walk.gpx and prints the lengths.
"""

import datetime
import math
import pathlib
import random
import sys

SEED = 20240518
START = datetime.datetime(2024, 5, 18, 9, 12, 40, tzinfo=datetime.timezone.utc)
# Open water west of Scotland, where no such hill exists.
ORIGIN_LATITUDE_DEG, ORIGIN_LONGITUDE_DEG = 57.1, -7.9

# The errors of a consumer receiver: one correlated over two minutes, and a smaller independent one each second.
WANDER_M, WANDER_S = 3.0, 120.0
WHITE_M = 0.5
WANDER_UP_M, WHITE_UP_M = 5.0, 0.8

# The positions of rests along the path in metres, and their durations in seconds.
RESTS = [(900, 45), (2100, 120), (3300, 75), (5600, 60)]
# The receiver is off at the summit for this time. A new segment starts after the gap.
SUMMIT_BREAK_S = 600


def way_points():
    """Returns way points in metres east and north (approach, switchbacks, ridge, way back) and the summit's index."""
    plan = [(0, 0), (140, 60), (290, 90), (450, 160), (600, 260), (690, 390)]
    # Eight switchbacks that become narrower with height.
    north = 460.0
    for i in range(16):
        reach = 150 - 5 * i
        plan.append((740 + (reach if i % 2 == 0 else -reach), north))
        north += 38
    plan += [(760, north + 50), (800, north + 160), (870, north + 270), (960, north + 350)]
    summit = len(plan) - 1
    plan += [(1120, north + 300), (1290, north + 180), (1420, north - 10), (1500, north - 230), (1480, north - 450)]
    plan += [(1380, north - 640), (1210, north - 790), (1050, north - 930), (900, north - 1050), (690, 40)]
    plan += [(480, -40), (260, -60), (90, -30), (0, 0)]
    return plan, summit


def curve(plan, step_m):
    """Returns a centripetal Catmull-Rom spline through the plan, sampled about every `step_m` metres."""
    points = [(2 * plan[0][0] - plan[1][0], 2 * plan[0][1] - plan[1][1])]
    points += plan
    points += [(2 * plan[-1][0] - plan[-2][0], 2 * plan[-1][1] - plan[-2][1])]
    ends, out = [0], [plan[0]]
    for p0, p1, p2, p3 in zip(points, points[1:], points[2:], points[3:]):
        t0, t1 = 0.0, math.sqrt(math.dist(p0, p1))
        t2 = t1 + math.sqrt(math.dist(p1, p2))
        t3 = t2 + math.sqrt(math.dist(p2, p3))
        count = max(2, math.ceil(math.dist(p1, p2) / step_m))

        def blend(a, b, ta, tb, t):
            u = (t - ta) / (tb - ta)
            return a[0] + (b[0] - a[0]) * u, a[1] + (b[1] - a[1]) * u

        for i in range(1, count + 1):
            t = t1 + (t2 - t1) * i / count
            a1, a2, a3 = blend(p0, p1, t0, t1, t), blend(p1, p2, t1, t2, t), blend(p2, p3, t2, t3, t)
            b1, b2 = blend(a1, a2, t0, t2, t), blend(a2, a3, t1, t3, t)
            out.append(blend(b1, b2, t1, t2, t))
        ends.append(len(out) - 1)
    return out, ends


def height_m(east, north):
    """Returns the height above sea level: one broad hill and two ripples."""
    rise = 420 * math.exp(-(((east - 960) / 700) ** 2 + ((north - 1420) / 800) ** 2))
    return 35 + rise + 9 * math.sin(east / 130) * math.cos(north / 170) + 4 * math.sin(north / 47)


class Path:
    """The path as a function of the walked distance."""

    def __init__(self):
        plan, summit = way_points()
        self.points, ends = curve(plan, step_m=0.5)
        self.along = [0.0]
        for a, b in zip(self.points, self.points[1:]):
            self.along.append(self.along[-1] + math.dist(a, b))
        self.length_m = self.along[-1]
        self.summit_m = self.along[ends[summit]]
        self._at = 0

    def at(self, walked_m):
        """Returns east and north after `walked_m` metres, which must not decrease between calls."""
        while self._at < len(self.along) - 2 and self.along[self._at + 1] < walked_m:
            self._at += 1
        i = self._at
        u = min((walked_m - self.along[i]) / (self.along[i + 1] - self.along[i]), 1.0)
        (ax, ay), (bx, by) = self.points[i], self.points[i + 1]
        return ax + (bx - ax) * u, ay + (by - ay) * u


def walk(path):
    """Yields the true position (second, segment, east, north, height) once per second."""
    second, segment, walked = 0, 0, 0.0
    rests = list(RESTS)
    while walked < path.length_m:
        here = path.at(walked)
        height = height_m(*here)
        yield second, segment, *here, height
        second += 1
        if rests and walked >= rests[0][0]:
            for _ in range(rests.pop(0)[1]):
                yield second, segment, *here, height
                second += 1
        if segment == 0 and walked >= path.summit_m:
            second += SUMMIT_BREAK_S
            segment = 1
        # Tobler's hiking function (1993): 6 km/h down a slope of 5 %, slower on all other slopes.
        look = path.points[min(path._at + 10, len(path.points) - 1)]
        run = math.dist(here, look)
        slope = (height_m(*look) - height) / run if run > 1.0 else 0.0
        walked += 6 / 3.6 * math.exp(-3.5 * abs(slope + 0.05))
    yield second, segment, *path.at(path.length_m), height_m(*path.at(path.length_m))


class Wander:
    """A first-order Gauss-Markov error with correlation time `time_s` and standard deviation `sigma`."""

    def __init__(self, draw, sigma, time_s):
        self.draw, self.sigma, self.time_s = draw, sigma, time_s
        self.value = draw.gauss(0, sigma)

    def after(self, seconds):
        keep = math.exp(-seconds / self.time_s)
        self.value = keep * self.value + self.draw.gauss(0, self.sigma * math.sqrt(1 - keep * keep))
        return self.value


def metres_per_degree():
    """Returns the lengths of a degree of latitude and of longitude at the origin, exact to 1e-3 on this hill."""
    a, f = 6_378_137.0, 1 / 298.257223563
    e2 = f * (2 - f)
    phi = math.radians(ORIGIN_LATITUDE_DEG)
    w2 = 1 - e2 * math.sin(phi) ** 2
    meridian, normal = a * (1 - e2) / w2**1.5, a / math.sqrt(w2)
    return math.radians(meridian), math.radians(normal * math.cos(phi))


def degrees(east, north):
    per_latitude, per_longitude = metres_per_degree()
    return ORIGIN_LATITUDE_DEG + north / per_latitude, ORIGIN_LONGITUDE_DEG + east / per_longitude


def fixes(truth):
    """Yields the fix of the receiver for each true position: (second, segment, lat, lon, ele)."""
    draw = random.Random(SEED)
    errors = [Wander(draw, sigma, WANDER_S) for sigma in (WANDER_M, WANDER_M, WANDER_UP_M)]
    before = None
    for second, segment, east, north, up in truth:
        wander = [e.after(second - before if before is not None else 1) for e in errors]
        before = second
        east += wander[0] + draw.gauss(0, WHITE_M)
        north += wander[1] + draw.gauss(0, WHITE_M)
        up += wander[2] + draw.gauss(0, WHITE_UP_M)
        yield second, segment, *degrees(east, north), up


def gpx(points):
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<gpx version="1.1" creator="waywiser examples/make_track.py" xmlns="http://www.topografix.com/GPX/1/1">'
    yield "<metadata><name>A hill walk that was simulated</name></metadata>"
    yield "<trk><name>Hill walk</name>"
    last = None
    for second, segment, lat, lon, ele in points:
        if segment != last:
            if last is not None:
                yield "</trkseg>"
            yield "<trkseg>"
            last = segment
        time = (START + datetime.timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield f'<trkpt lat="{lat:.7f}" lon="{lon:.7f}"><ele>{ele:.1f}</ele><time>{time}</time></trkpt>'
    yield "</trkseg></trk></gpx>"


def length_m(points):
    """Returns the sum of all legs within segments on a flat earth, to compare the walk with its fixes."""
    per_lat, per_lon = metres_per_degree()
    legs = (
        math.hypot((q[2] - p[2]) * per_lat, (q[3] - p[3]) * per_lon)
        for p, q in zip(points, points[1:])
        if p[1] == q[1]
    )
    return math.fsum(legs)


def thinned(points, step_m):
    """Returns the first fix of each segment, and fixes that are at least `step_m` from the last one kept."""
    kept = []
    for point in points:
        if not kept or kept[-1][1] != point[1] or length_m([kept[-1], point]) >= step_m:
            kept.append(point)
    return kept


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    path = Path()
    truth = list(walk(path))
    # The file has seven decimals.
    noisy = [(s, g, round(lat, 7), round(lon, 7), ele) for s, g, lat, lon, ele in fixes(truth)]
    (folder / "hill-walk.gpx").write_text("\n".join(gpx(noisy)) + "\n", encoding="utf-8", newline="\n")
    segments = [sum(1 for p in noisy if p[1] == g) for g in (0, 1)]
    print(f"points     {len(noisy)} in segments of {segments[0]} and {segments[1]}")
    print(f"elapsed    {noisy[-1][0]} s, of which {SUMMIT_BREAK_S} s with the receiver off at the summit")
    print(f"true       {path.length_m:.1f} m")
    print(f"measured   {length_m(noisy):.1f} m through every fix")
    for step_m in (2, 5, 10, 20):
        print(f"           {length_m(thinned(noisy, step_m)):.1f} m through fixes {step_m} m apart or more")


if __name__ == "__main__":
    main()
