#!/usr/bin/env python3
"""Makes tests/geodesic/legs.bin: the true lengths of 136 000 geodesics on WGS84, to judge ours by.

Only lengths are stored: f64, little-endian, in metres, in the order of the generators below, which
src/measure/metric/geodesic/tests/generator.rs repeats. The first 112 000 legs are from under 1 mm to 20 000 km,
of all azimuths and latitudes, at the borders of the table's cells, at the limits of the series, at the poles, along
the equator, across the antimeridian, and between nearly antipodal points. The other 24 000 have ends
with all the bits of an f64, which degrees have when they are multiplied: half of those legs go across the
antimeridian, and the other half are aimed at what the series does worst, the longest legs of each bound
at the borders of cells and at the limits.

How a length is found has nothing in common with the series it judges. In 50 digits (MPFR), a trial
geodesic leaves the first point on the auxiliary sphere (Bessel 1825; Karney 2013, eqs. 7-12) with an
azimuth and an arc; the two integrals that give its length and longitude,

    s / b  =  integral of sqrt(1 + k^2 sin^2 sigma)
    lambda =  omega - f sin(alpha0) integral of (2 - f) / (1 + (1 - f) sqrt(1 + k^2 sin^2 sigma)),

are taken by Gauss-Legendre quadrature, whose own error is below 1e-24; and azimuth and arc are corrected by
where it ends until it ends within 1e-22 m of the second point. GeographicLib in f64 only says where
to start, and so which of two geodesics near the antipode is the shortest.

Needs gmpy2 and geographiclib (pip install gmpy2 geographiclib). Takes some minutes on
two processors. The same file, byte for byte, whatever the machine.

usage: python3 tests/geodesic/make_legs.py [--check N]    (N legs spread over the file, against it)
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
    """Knuth's MMIX constants."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self.state >> 33) % n

    def wide(self, n):
        """Below n, for n past 2^31."""
        high = self.below(1 << 31)
        return ((high << 31) | self.below(1 << 31)) % n

    def sign(self):
        return 1 - 2 * self.below(2)

    def around(self, n):
        """Between -n and n."""
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
    """(latitude, longitude, latitude, longitude)"""
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
        # The upper half of what is held to 1 km and to 10 km.
        length = (46_000_000 + lcg.below(46_000_000)) * (1 if lcg.below(2) else 10)
    else:
        length = log_uniform(lcg, 30, 40)
    if kind <= 5:
        # Somewhere on a square around the point, a right angle one time in four.
        other = (lcg.around(length), 0, lcg.around(length), lcg.around(length))[lcg.below(4)]
        dx, dy = (lcg.sign() * length, other) if lcg.below(2) else (other, lcg.sign() * length)
        # About the cosine of the latitude, and whole numbers all the way.
        shrink = 900_000_000**2 - (abs(middle) // UNIT) ** 2
        wide = min(abs(dx) * 900_000_000**2 // shrink, HALF_TURN) if shrink else HALF_TURN
        dx = wide if dx >= 0 else -wide
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
            ends[at] = ends[at] // UNIT * UNIT  # downwards
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
    """Of a latitude in fine units, in units of 2^-30, good to some 1e-4."""
    x2 = (latitude // 900_000_000) ** 2 // FINE
    # cos(x pi/2) / (1 - x^2), which is 1 at the equator and pi/4 at a pole.
    ratio = FINE - 250_935_051 * x2 // FINE + 20_508_674 * x2 // FINE * x2 // FINE
    return (FINE - x2) * ratio // FINE


def fine_leg(lcg):
    """(latitude, longitude, latitude, longitude)"""
    aimed = lcg.below(2) == 0
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
    if aimed and lcg.below(2) == 0:
        # The border of a cell: the nearest odd multiple of 2^18.
        border = 1 << 48
        middle = (middle // (2 * border)) * (2 * border) + border + lcg.around(1 << 20)
    middle = min(middle, FINE_POLE)
    # The length, as so many units of latitude.
    if aimed:
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
    if not aimed:
        # The antimeridian somewhere along it.
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
        # The f64 nearest to a whole number is whole.
        ends[at] = int(float(ends[at]))
    return tuple(ends)


def legs():
    """In fine units, in which all are whole."""
    coarse, fine = Lcg(20130143), Lcg(18461938)
    first = [tuple(end * (FINE // UNIT) for end in leg(coarse)) for _ in range(COARSE_LEGS)]
    return first + [fine_leg(fine) for _ in range(FINE_LEGS)]


# ---- The truth. It takes fine units.

gmpy2.get_context().precision = 168
PI = gmpy2.const_pi()
A = mpfr(6378137)
F = mpfr(10**9) / mpfr(298257223563)
B = A * (1 - F)
EP2 = F * (2 - F) / (1 - F) ** 2
RAD = PI / FINE_HALF_TURN


def legendre(n, z):
    """The polynomial and its derivative."""
    before, value = mpfr(1), z
    for k in range(2, n + 1):
        before, value = value, ((2 * k - 1) * z * value - (k - 1) * before) / k
    return value, n * (z * value - before) / (z**2 - 1)


def gauss_legendre(n):
    """Nodes and weights on [-1, 1]."""
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
    """Of length and of longitude, from sigma1 over `arc`; and the first integrand at the end."""
    half = arc / 2
    centre = sigma1 + half
    length = longitude = mpfr(0)
    for node, weight in SHORT if abs(arc) < 0.02 else LONG:
        root = gmpy2.sqrt(1 + k2 * gmpy2.sin(centre + half * node) ** 2)
        length += weight * root
        longitude += weight / (1 + (1 - F) * root)
    return half * length, half * (2 - F) * longitude, gmpy2.sqrt(1 + k2 * gmpy2.sin(sigma1 + arc) ** 2)


def reduced(latitude):
    """Sine and cosine of the reduced latitude."""
    angle = latitude * RAD
    sine, cosine = (1 - F) * gmpy2.sin(angle), gmpy2.sin((FINE_POLE - abs(latitude)) * RAD)
    norm = gmpy2.sqrt(sine**2 + cosine**2)
    return sine / norm, cosine / norm


def short_way(angle):
    return angle - 2 * PI * gmpy2.rint(angle / (2 * PI))


def true_length(ends):
    lat1, lon1, lat2, lon2 = ends
    dlon = (lon2 - lon1 + FINE_HALF_TURN) % (2 * FINE_HALF_TURN) - FINE_HALF_TURN
    if lat1 == lat2 and dlon == 0:
        return mpfr(0)
    sb1, cb1 = reduced(lat1)
    sb2, cb2 = reduced(lat2)
    if FINE_POLE in (abs(lat1), abs(lat2)):
        # Along a meridian.
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
        # What is missing at the end, in metres: north and east, then along and across.
        north = (sb2 * cb - cb2 * sb) * B * gmpy2.sqrt(1 + EP2 * sb**2)
        east = short_way(target_dlon - dlon_now) * A * cb2
        sa2, ca2 = sa0 / cb, ca0 * c2 / cb
        along, across = north * ca2 + east * sa2, east * ca2 - north * sa2
        miss = abs(along) + abs(across)
        if miss < 1e-22:
            return B * length
        alpha1 += across / m12
        arc += along / (B * slope)
    raise ArithmeticError(f"{ends}: misses by {float(miss)} m")


def lengths(some):
    return [float(true_length(ends)) for ends in some]


def main():
    todo = legs()
    if sys.argv[1:2] == ["--check"]:
        stored = struct.unpack(f"<{LEGS}d", FILE.read_bytes())
        chosen = range(0, LEGS, LEGS // int(sys.argv[2]))
        wrong = [at for at in chosen if float(true_length(todo[at])) != stored[at]]
        print(f"{len(chosen)} legs made again, {len(wrong)} differ from {FILE.name}")
        return 1 if wrong else 0
    with multiprocessing.Pool() as pool:
        parts = pool.map(lengths, [todo[at : at + 500] for at in range(0, LEGS, 500)], chunksize=1)
    FILE.write_bytes(b"".join(struct.pack("<d", length) for part in parts for length in part))
    print(f"wrote {LEGS} legs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
