#!/usr/bin/env python3
"""Writes tests/geodesic/legs.bin: the true lengths of 136 000 geodesics on WGS84, with which tests compare.

The file contains only lengths: f64, little-endian, in metres, in the order of the generators below, which
src/measure/metric/geodesic/tests/generator.rs repeats. The first 112 000 legs have lengths from under 1 mm to
20 000 km, and all azimuths and latitudes. They include the borders of the table's cells, the limits of the series,
the poles, the equator, the antimeridian, and nearly antipodal points. The ends of the other 24 000 legs use all bits
of an f64, like degrees that were multiplied. Half of these legs cross the antimeridian. The other half are those with
the largest errors of the series: the longest legs of each bound, at the borders of cells and at the limits.

The method is independent of the series under test. With 50 digits (MPFR), a trial geodesic starts at the first
point on the auxiliary sphere (Bessel 1825; Karney 2013, eqs. 7-12) with an azimuth and an arc. Its length and
longitude are two integrals:

    s / b  =  integral of sqrt(1 + k^2 sin^2 sigma)
    lambda =  omega - f sin(alpha0) integral of (2 - f) / (1 + (1 - f) sqrt(1 + k^2 sin^2 sigma)),

Gauss-Legendre quadrature computes them with an error below 1e-24. The script corrects azimuth and arc until the
geodesic ends within 1e-22 m of the second point. GeographicLib in f64 gives only the initial values, and with them the
choice of the shortest of two geodesics near the antipode.

Needs gmpy2 and geographiclib (pip install gmpy2 geographiclib). Takes some minutes on two processors. The file is
byte-identical on all machines.

usage: python3 tests/geodesic/make_legs.py [--check N]

    --check N   computes N legs, spread over the file, and compares them with it
"""

import math
import multiprocessing
import pathlib
import struct
import sys

import gmpy2
from geographiclib.geodesic import Geodesic
from gmpy2 import mpfr

FILE = pathlib.Path(__file__).with_name("legs.bin")

# ---- The first generator. Coordinates are whole numbers of 2^-10 E7 units (0.01 mm), exact in f64.

COARSE_LEGS = 112_000
UNIT = 1 << 10
POLE = 900_000_000 * UNIT
HALF_TURN = 2 * POLE


class Lcg:
    """A linear congruential generator with Knuth's MMIX constants."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self.state >> 33) % n

    def wide(self, n):
        """Returns a number below n, for n above 2^31."""
        high = self.below(1 << 31)
        return ((high << 31) | self.below(1 << 31)) % n

    def sign(self):
        return 1 - 2 * self.below(2)

    def around(self, n):
        """Returns a number between -n and n."""
        return self.wide(2 * n + 1) - n


def middle_latitude(lcg):
    kind = lcg.below(8)
    if kind <= 2:
        return lcg.around(POLE)
    if kind == 3:
        return lcg.around(POLE // 900)  # within 0.1 degree of the equator
    sign = lcg.sign()
    if kind == 4:
        return sign * (790_000_000 * UNIT + lcg.wide(20_000_000 * UNIT))
    if kind == 5:
        return sign * (850_000_000 * UNIT + lcg.wide(50_000_000 * UNIT))
    if kind == 6:
        # The sum of two latitudes is at a border of cells of 2^18 units or more, or next to it.
        return sign * (lcg.below(13_600) * (1 << 16) * UNIT + lcg.around(3) * (1 << 3 * lcg.below(4)))
    return sign * ((880_000_000 if lcg.below(2) else 854_000_000) * UNIT + lcg.around(2_000_000 * UNIT))


def log_uniform(lcg, low, high):
    size = 1 << (low + lcg.below(high - low))
    return size + lcg.wide(size)


def leg(lcg):
    """Returns (latitude, longitude, latitude, longitude)."""
    middle = middle_latitude(lcg)
    longitude = lcg.sign() * (HALF_TURN - lcg.wide(1 << 24)) if lcg.below(4) == 0 else lcg.around(HALF_TURN)
    kind = lcg.below(8)
    if kind == 0:
        length = log_uniform(lcg, 6, 16)  # under 1 mm to 0.7 m
    elif kind in (1, 2):
        length = log_uniform(lcg, 16, 26)  # to 1 km
    elif kind == 3:
        length = log_uniform(lcg, 26, 30)  # to 12 km and more
    elif kind == 4:
        # The longer half of the legs with a limit of 1 km and of 10 km.
        length = (46_000_000 + lcg.below(46_000_000)) * (1 if lcg.below(2) else 10)
    else:
        length = log_uniform(lcg, 30, 40)
    if kind <= 5:
        # The difference is on a square around the point, and parallel to an axis one time in four.
        other = (lcg.around(length), 0, lcg.around(length), lcg.around(length))[lcg.below(4)]
        dx, dy = (lcg.sign() * length, other) if lcg.below(2) else (other, lcg.sign() * length)
        # Approximates the cosine of the latitude with integers.
        shrink = 900_000_000**2 - (abs(middle) // UNIT) ** 2
        width = min(abs(dx) * 900_000_000**2 // shrink, HALF_TURN) if shrink else HALF_TURN
        dx = width if dx >= 0 else -width
        first = middle - (abs(dy) // 2 if dy >= 0 else -(abs(dy) // 2))
        ends = [first, longitude, first + dy, longitude + dx]
    elif kind == 6:
        ends = [middle, longitude, lcg.around(POLE), lcg.around(HALF_TURN)]
    else:
        miss = log_uniform(lcg, 10, 36)
        ends = [middle, longitude, -middle + lcg.around(miss), longitude + HALF_TURN + lcg.around(miss)]
    whole = lcg.below(2) == 0
    for at in range(4):
        if whole:
            ends[at] = ends[at] // UNIT * UNIT  # rounds down
        if at % 2 == 0:
            ends[at] = max(-POLE, min(POLE, ends[at]))
        else:
            ends[at] = (ends[at] + HALF_TURN) % (2 * HALF_TURN) - HALF_TURN
    return tuple(ends)


# ---- The second generator. Coordinates are whole numbers of 2^-30 E7 units, rounded to f64.

FINE_LEGS = 24_000
LEGS = COARSE_LEGS + FINE_LEGS
FINE = 1 << 30
FINE_POLE = 900_000_000 * FINE
FINE_HALF_TURN = 2 * FINE_POLE


def cosine(latitude):
    """Returns the cosine of a latitude in fine units, as a multiple of 2^-30 with an error of about 1e-4."""
    x2 = (latitude // 900_000_000) ** 2 // FINE
    # Approximates cos(x pi/2) / (1 - x^2), which is 1 at the equator and pi/4 at a pole.
    ratio = FINE - 250_935_051 * x2 // FINE + 20_508_674 * x2 // FINE * x2 // FINE
    return (FINE - x2) * ratio // FINE


def fine_leg(lcg):
    """Returns (latitude, longitude, latitude, longitude)."""
    is_worst_case = lcg.below(2) == 0
    # The middle latitude.
    kind = lcg.below(6)
    if kind == 0:
        middle = lcg.wide(FINE_POLE)
    elif kind == 1:
        middle = 780_000_000 * FINE + lcg.wide(21_000_000 * FINE)
    elif kind == 2:
        middle = 850_000_000 * FINE + lcg.wide(31_000_000 * FINE)
    elif kind == 3:
        middle = 799_000_000 * FINE + lcg.wide(1_000_000 * FINE)
    elif kind == 4:
        middle = 879_500_000 * FINE + lcg.wide(500_000 * FINE)
    else:
        middle = 853_500_000 * FINE + lcg.wide(3_000_000 * FINE)
    if is_worst_case and lcg.below(2) == 0:
        # The nearest border of a cell, which is an odd multiple of 2^18.
        border = 1 << 48
        middle = (middle // (2 * border)) * (2 * border) + border + lcg.around(1 << 20)
    middle = min(middle, FINE_POLE)
    # The length in units of latitude.
    if is_worst_case:
        longest = (900_000, 90_000, 23_000, (FINE_POLE - middle) // (50 * FINE))[lcg.below(4)]
        length = longest * (FINE // 1024) * (900 + lcg.below(128))
    else:
        length = log_uniform(lcg, 24, 50)
    # The azimuth, by the half-angle formulas.
    t = lcg.below(1025)
    if lcg.below(4) == 0:
        t = 1024 - t // 64
    north = length * (1024**2 - t**2) // (1024**2 + t**2)
    east = length * 2048 * t // (1024**2 + t**2)
    east = min(east * FINE // max(cosine(middle), 1), FINE_HALF_TURN)
    longitude = lcg.around(FINE_HALF_TURN)
    if not is_worst_case:
        # Places the antimeridian at a random position along the leg.
        longitude = FINE_HALF_TURN - east * lcg.below(1024) // 1024
    sign, first = lcg.sign(), middle - north // 2
    ends = [sign * first, longitude, sign * (first + north), longitude + east]
    if lcg.below(2) == 0:
        ends[1], ends[3] = -ends[1], -ends[3]
    for at in range(4):
        if at % 2 == 0:
            ends[at] = max(-FINE_POLE, min(FINE_POLE, ends[at]))
        elif not -FINE_HALF_TURN <= ends[at] <= FINE_HALF_TURN:
            ends[at] -= 2 * FINE_HALF_TURN * (1 if ends[at] > 0 else -1)
        # Rounds to f64, which keeps whole numbers whole.
        ends[at] = int(float(ends[at]))
    return tuple(ends)


def legs():
    """Returns all legs in fine units, in which all coordinates are whole numbers."""
    coarse, fine = Lcg(20130143), Lcg(18461938)
    first = [tuple(end * (FINE // UNIT) for end in leg(coarse)) for _ in range(COARSE_LEGS)]
    return first + [fine_leg(fine) for _ in range(FINE_LEGS)]


# ---- True lengths. All coordinates are in fine units.

gmpy2.get_context().precision = 168
PI = gmpy2.const_pi()
A = mpfr(6378137)
F = mpfr(10**9) / mpfr(298257223563)
B = A * (1 - F)
EP2 = F * (2 - F) / (1 - F) ** 2
RAD = PI / FINE_HALF_TURN


def legendre(n, z):
    """Returns the Legendre polynomial of degree n and its derivative."""
    before, value = mpfr(1), z
    for k in range(2, n + 1):
        before, value = value, ((2 * k - 1) * z * value - (k - 1) * before) / k
    return value, n * (z * value - before) / (z**2 - 1)


def gauss_legendre(n):
    """Returns nodes and weights on [-1, 1]."""
    rule = []
    for k in range(1, n + 1):
        node = gmpy2.cos(PI * (k - mpfr("0.25")) / (n + mpfr("0.5")))
        for _ in range(10):
            value, slope = legendre(n, node)
            node -= value / slope
        rule.append((node, 2 / ((1 - node**2) * legendre(n, node)[1] ** 2)))
    assert abs(sum(weight for _, weight in rule) - 2) < 1e-45
    return rule


SHORT, LONG = gauss_legendre(10), gauss_legendre(24)


def integrals(sigma1, arc, k2):
    """Returns the integrals of length and longitude from sigma1 over `arc`, and the first integrand at the end."""
    half = arc / 2
    centre = sigma1 + half
    length = longitude = mpfr(0)
    for node, weight in SHORT if abs(arc) < 0.02 else LONG:
        root = gmpy2.sqrt(1 + k2 * gmpy2.sin(centre + half * node) ** 2)
        length += weight * root
        longitude += weight / (1 + (1 - F) * root)
    return half * length, half * (2 - F) * longitude, gmpy2.sqrt(1 + k2 * gmpy2.sin(sigma1 + arc) ** 2)


def reduced(latitude):
    """Returns the sine and cosine of the reduced latitude."""
    angle = latitude * RAD
    sine, cosine = (1 - F) * gmpy2.sin(angle), gmpy2.sin((FINE_POLE - abs(latitude)) * RAD)
    norm = gmpy2.sqrt(sine**2 + cosine**2)
    return sine / norm, cosine / norm


def wrapped(angle):
    """Returns the angle in the range from -pi to pi."""
    return angle - 2 * PI * gmpy2.rint(angle / (2 * PI))


def true_length(ends):
    lat1, lon1, lat2, lon2 = ends
    dlon = (lon2 - lon1 + FINE_HALF_TURN) % (2 * FINE_HALF_TURN) - FINE_HALF_TURN
    if lat1 == lat2 and dlon == 0:
        return mpfr(0)
    sb1, cb1 = reduced(lat1)
    sb2, cb2 = reduced(lat2)
    if FINE_POLE in (abs(lat1), abs(lat2)):
        # The geodesic is part of a meridian.
        beta1, beta2 = gmpy2.atan2(sb1, cb1), gmpy2.atan2(sb2, cb2)
        return B * abs(integrals(beta1, beta2 - beta1, EP2)[0])
    if lat1 == lat2 == 0 and abs(dlon) * RAD <= (1 - F) * PI:
        return A * abs(dlon) * RAD
    deg = 1e7 * FINE
    start = Geodesic.WGS84.Inverse(
        lat1 / deg, 0.0, lat2 / deg, dlon / deg, Geodesic.AZIMUTH | Geodesic.DISTANCE | Geodesic.REDUCEDLENGTH
    )
    alpha1, arc, m12 = mpfr(start["azi1"]) * PI / 180, mpfr(start["a12"]) * PI / 180, mpfr(start["m12"])
    target_dlon = dlon * RAD
    for _ in range(60):
        sa1, ca1 = gmpy2.sin(alpha1), gmpy2.cos(alpha1)
        sa0 = sa1 * cb1
        ca0 = gmpy2.sqrt(ca1**2 + (sa1 * sb1) ** 2)
        sigma1 = gmpy2.atan2(sb1, ca1 * cb1)
        omega1 = gmpy2.atan2(sa0 * gmpy2.sin(sigma1), gmpy2.cos(sigma1))
        sigma2 = sigma1 + arc
        s2, c2 = gmpy2.sin(sigma2), gmpy2.cos(sigma2)
        sb, cb = ca0 * s2, gmpy2.sqrt((ca0 * c2) ** 2 + sa0**2)
        omega2 = gmpy2.atan2(sa0 * s2, c2)
        k2 = EP2 * ca0**2
        length, longitude, slope = integrals(sigma1, arc, k2)
        dlon_now = omega2 - omega1 - F * sa0 * longitude
        # The distance from the end to the second point in metres: north and east, then along and across.
        north = (sb2 * cb - cb2 * sb) * B * gmpy2.sqrt(1 + EP2 * sb**2)
        east = wrapped(target_dlon - dlon_now) * A * cb2
        sa2, ca2 = sa0 / cb, ca0 * c2 / cb
        along, across = north * ca2 + east * sa2, east * ca2 - north * sa2
        error = abs(along) + abs(across)
        if error < 1e-22:
            return B * length
        alpha1 += across / m12
        arc += along / (B * slope)
    raise ArithmeticError(f"{ends}: does not converge, the error is {float(error)} m")


def lengths(batch):
    return [float(true_length(ends)) for ends in batch]


def main():
    todo = legs()
    if sys.argv[1:2] == ["--check"]:
        stored = struct.unpack(f"<{LEGS}d", FILE.read_bytes())
        chosen = range(0, LEGS, LEGS // int(sys.argv[2]))
        wrong = [at for at in chosen if float(true_length(todo[at])) != stored[at]]
        print(f"{len(chosen)} legs computed, {len(wrong)} differ from {FILE.name}")
        return 1 if wrong else 0
    with multiprocessing.Pool() as pool:
        parts = pool.map(lengths, [todo[at : at + 500] for at in range(0, LEGS, 500)], chunksize=1)
    FILE.write_bytes(b"".join(struct.pack("<d", length) for part in parts for length in part))
    print(f"wrote {LEGS} legs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
