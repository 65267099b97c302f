"""The distances of the three models, and how far a distance of the program may be from them."""

import functools
import math

from geographiclib.geodesic import Geodesic

EARTH_RADIUS_M = 6_371_008.8


@functools.lru_cache(maxsize=100_000)
def distance(model, a, b):
    """Returns the distance without z between two positions (x, y)."""
    if a == b:
        return 0.0
    if model != "planar" and a[1] == b[1] and abs(a[1]) == 90:
        return 0.0  # The same pole.
    if model == "planar":
        dx, dy = b[0] - a[0], b[1] - a[1]
        return math.sqrt(dx * dx + dy * dy)
    if model == "haversine":
        return _haversine(a, b)
    return Geodesic.WGS84.Inverse(a[1], a[0], b[1], b[0], Geodesic.DISTANCE)["s12"]


def _haversine(a, b):
    half_x = math.radians(math.remainder(b[0] - a[0], 360)) / 2
    half_y = math.radians(b[1] - a[1]) / 2
    cosines = math.cos(math.radians(a[1])) * math.cos(math.radians(b[1]))
    h = math.sin(half_y) ** 2 + cosines * math.sin(half_x) ** 2
    # 1 - h without the rounding of the difference: the same with the antipode of b.
    sum_y = math.radians(a[1] + b[1]) / 2
    rest = math.sin(sum_y) ** 2 + cosines * math.cos(half_x) ** 2
    return 2 * EARTH_RADIUS_M * math.atan2(math.sqrt(h), math.sqrt(rest))


def tolerance(model, a, b, length):
    """Returns the greatest difference between the program's length of a leg and this module's.

    The limits of geodesics are those that docs/geodesic.md documents for the program, and 5 nm for the rounding of degrees,
    which the program corrects if they are multiples of 1e-7.
    """
    if a == b:
        return 0.0
    rounding = 1e-12 * length
    if model == "planar":
        integers = all(float(value).is_integer() for value in (*a, *b))
        parallel = a[0] == b[0] or a[1] == b[1]
        return 0.0 if integers and parallel else rounding
    if model == "haversine":
        # Near the antipode the haversine has few significant digits.
        return rounding + 5e-9 + (0.5 if length > 0.999 * math.pi * EARTH_RADIUS_M else 0.0)
    steep = max(abs(a[1]), abs(b[1])) > 80
    if length < 1_000 and not steep:
        return rounding + 5e-9
    if length < 10_000 and not steep:
        return rounding + 1.5e-8
    return rounding + 2e-7
