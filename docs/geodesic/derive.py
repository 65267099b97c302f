#!/usr/bin/env python3
"""Derives the series of docs/geodesic.md from the eikonal equation, and checks the code.

Needs sympy (pip install sympy). Prints every derived coefficient. Compares it with the coefficients of docs/geodesic.md,
which are written below, and with the expressions in src/measure/metric/geodesic/series.rs, which it reads. Then adds
the errors of the series and of its table, cell by cell, and compares the sums with the documented bounds. Exits with
status 1 if a coefficient differs or a bound does not hold.

usage: python3 docs/geodesic/derive.py
"""

import math
import pathlib
import re
import sys

import sympy as sp

CODE = pathlib.Path(__file__).parents[2] / "src/measure/metric/geodesic"

# The surface: ds^2 = E(phi) dphi^2 + G(phi) dlambda^2. E[n], G[n] are the n-th derivatives at the mid latitude.
ORDER = 6
E = sp.symbols(f"E0:{ORDER + 1}")
G = sp.symbols(f"G0:{ORDER + 1}")
p, l, t = sp.symbols("p l t")  # phi2 - phi1, lambda2 - lambda1, and a factor that counts the order in both

E0, E1, E2, E3, E4 = E[:5]
G0, G1, G2, G3, G4 = G[:5]

# The documented coefficient of p^i l^j in s^2.
DOCUMENTED = {
    (2, 0): E0,
    (0, 2): G0,
    (4, 0): (2 * E0 * E2 - E1**2) / (48 * E0),
    (2, 2): (E0 * G0 * G2 - 2 * E0 * G1**2 + E1 * G0 * G1) / (24 * E0 * G0),
    (0, 4): -(G1**2) / (48 * E0),
    (4, 2): (
        3 * E0**3 * G0**3 * G4 - 24 * E0**3 * G0**2 * G1 * G3 - 8 * E0**3 * G0**2 * G2**2
        + 68 * E0**3 * G0 * G1**2 * G2 - 32 * E0**3 * G1**4 + 6 * E0**2 * E1 * G0**3 * G3
        - 16 * E0**2 * E1 * G0**2 * G1 * G2 - 4 * E0**2 * E1 * G0 * G1**3 + 4 * E0**2 * E2 * G0**3 * G2
        - 8 * E0**2 * E2 * G0**2 * G1**2 + 6 * E0**2 * E3 * G0**3 * G1 - 2 * E0 * E1**2 * G0**3 * G2
        + 14 * E0 * E1**2 * G0**2 * G1**2 - 14 * E0 * E1 * E2 * G0**3 * G1 + 7 * E1**3 * G0**3 * G1
    ) / (5760 * E0**3 * G0**3),
    (2, 4): -(
        6 * E0**2 * G0**2 * G1 * G3 + 2 * E0**2 * G0**2 * G2**2 - 24 * E0**2 * G0 * G1**2 * G2
        + 4 * E0**2 * G1**4 + 4 * E0 * E1 * G0**2 * G1 * G2 + 12 * E0 * E1 * G0 * G1**3
        - 3 * E0 * E2 * G0**2 * G1**2 - E1**2 * G0**2 * G1**2
    ) / (5760 * E0**3 * G0**2),
    (0, 6): G1**2 * (6 * E0 * G0 * G2 - 2 * E0 * G1**2 - 3 * E1 * G0 * G1) / (5760 * E0**3 * G0),
}


def d_mid(expression):
    """Returns the derivative by the mid latitude: E_n becomes E_(n+1), G_n becomes G_(n+1)."""
    return sum(
        sp.diff(expression, table[n]) * table[n + 1] for table in (E, G) for n in range(ORDER)
    )


def derive(highest):
    """Returns s^2 up to terms of degree `highest` in p and l, as {(i, j): coefficient of p^i l^j}.

    S = s^2 as a function of one end (phi2, lambda2) obeys |grad S|^2 = 4 S on the surface:

        (dS/dphi2)^2 / E(phi2) + (dS/dlambda2)^2 / G(phi2) = 4 S.

    With the mid latitude m = phi2 - p/2 and p = phi2 - phi1 as variables, dS/dphi2 = S_m / 2 + S_x.
    Let S = S2 + S3 + S4 + ..., Sn homogeneous of degree n in p, l, S2 = E0 p^2 + G0 l^2. In degree n
    the equation reads 4 (p d/dx + l d/dy) Sn - 4 Sn + (known from lower degrees) = 0, and by Euler
    (p d/dx + l d/dy) Sn = n Sn: so Sn = -known / (4 (n - 1)).
    """
    def taylor(table, degree):
        return sum(table[n] * (p / 2) ** n / sp.factorial(n) for n in range(degree + 1))

    def inverse(table, degree):
        """Returns 1 / taylor, up to `degree` in p."""
        terms = [1 / table[0]]
        for n in range(1, degree + 1):
            terms.append(-sum(table[k] / 2**k / sp.factorial(k) * terms[n - k] for k in range(1, n + 1)) / table[0])
        return [term * p**n for n, term in enumerate(terms)]

    over_e, over_g = inverse(E, highest), inverse(G, highest)
    parts = {2: E0 * p**2 + G0 * l**2}

    def slope_phi(n):
        """Returns the part of degree n of dS/dphi2: S_x has degree n if S has degree n + 1, S_m / 2 keeps the degree."""
        return sp.diff(parts.get(n + 1, sp.S(0)), p) + d_mid(parts.get(n, sp.S(0))) / 2

    def slope_lambda(n):
        return sp.diff(parts.get(n + 1, sp.S(0)), l)

    for degree in range(3, highest + 1):
        known = sp.S(0)
        for slope, over in ((slope_phi, over_e), (slope_lambda, over_g)):
            slopes = {n: slope(n) for n in range(1, degree)}
            for i in range(1, degree):
                for j in range(1, degree):
                    k = degree - i - j
                    if k >= 0:
                        known += slopes[i] * slopes[j] * over[k]
        parts[degree] = sp.expand(-known / (4 * (degree - 1)))

    found = {}
    for degree, part in parts.items():
        poly = sp.Poly(part, p, l)
        for (i, j), coefficient in poly.terms():
            coefficient = sp.factor(coefficient)
            if coefficient != 0:
                found[i, j] = coefficient
    return found


def check_code(found):
    """Compares the expressions of series.rs with the derived ones. Returns how many differ."""
    source = (CODE / "series.rs").read_text()
    # Rust's numbers with a point are whole; the rest of the arithmetic is valid Python.
    whole = re.sub(r"(\d)\.0\b", r"\1", source)
    names = dict(zip(("e0", "e1", "e2", "e3", "g0", "g1", "g2", "g3", "g4"), (E0, E1, E2, E3, G0, G1, G2, G3, G4)))
    wrong = 0

    def compare(name, power, over, names):
        nonlocal wrong
        (text,) = re.findall(rf"let {name} = (.*?);", whole, re.DOTALL)
        value = eval("".join(text.split()), {"__builtins__": {}}, names)
        same = sp.simplify(value - found[power] / over) == 0
        wrong += not same
        print(f"{name} of series.rs: {'as derived' if same else 'DIFFERS'}")

    compare("a", (4, 0), 1, names)
    compare("b", (2, 2), 1, names)
    compare("c", (0, 4), G0, names)
    assert "let (g1, g2, g3, g4) = (g1 / g0, g2 / g0, g3 / g0, g4 / g0);" in source
    names |= {f"g{n}": names[f"g{n}"] / G0 for n in range(1, 5)}
    names["scale"] = 5760 * E0**3
    assert "let scale = 5760 * e0 * e0 * e0;" in whole
    compare("d21", (4, 2), 1, names)
    compare("d12", (2, 4), G0, names)
    compare("d03", (0, 6), G0, names)
    return wrong


# ---- The errors of the series and of the table, on WGS84.

F = 1 / 298.257223563
ECC2 = F * (2 - F)
EQUATOR_M = 6378137.0
RAD_PER_E7 = math.pi / 1.8e9


def product(a, b):
    """Returns the product of two power series, to the length of the shorter one."""
    return [sum(a[k] * b[n - k] for k in range(n + 1)) for n in range(min(len(a), len(b)))]


def reciprocal(a):
    inverse = [1 / a[0]]
    for n in range(1, len(a)):
        inverse.append(-sum(a[k] * inverse[n - k] for k in range(1, n + 1)) / a[0])
    return inverse


def metric(latitude, terms):
    """Returns the Taylor series of E and G."""
    # cos^2 = (1 + cos 2 phi) / 2
    to_pole = math.pi / 2 - latitude
    cos2 = [math.sin(to_pole) ** 2]
    for n in range(1, terms):
        cos2.append(0.5 * 2**n / math.factorial(n) * math.cos(2 * latitude + n * math.pi / 2))
    w = [ECC2 * it for it in cos2]
    w[0] += 1 - ECC2
    over_w = reciprocal(w)
    e = product(over_w, product(over_w, over_w))
    a2 = EQUATOR_M**2
    return [a2 * (1 - ECC2) ** 2 * it for it in e], [a2 * it for it in product(cos2, over_w)]


def parts_of(latitude, highest):
    """Returns {(i, j): coefficient of p^i l^j} at one latitude up to a high degree: derive() with numbers. Each
    coefficient is a Taylor series in the latitude, and a derivative shortens it by one term."""
    e, g = metric(latitude, highest + 2)

    def over(series):
        """Returns 1 / series(phi + p/2), with the coefficient of p^k at k."""
        h = reciprocal(series)
        return [[math.comb(k + m, k) * h[k + m] / 2**k for m in range(len(h) - k)] for k in range(highest + 1)]

    def add(total, key, series):
        old = total.get(key)
        total[key] = series if old is None else [a + b for a, b in zip(old, series)]

    over_e, over_g = over(e), over(g)
    parts = {2: {(2, 0): e, (0, 2): g}}
    for degree in range(4, highest + 1, 2):
        known = {}
        for along_phi, overs in ((True, over_e), (False, over_g)):
            slopes = {}
            for n in range(1, degree):
                slope = {}
                for (i, j), series in parts.get(n + 1, {}).items():
                    if along_phi and i:
                        add(slope, (i - 1, j), [i * it for it in series])
                    elif not along_phi and j:
                        add(slope, (i, j - 1), [j * it for it in series])
                for (i, j), series in parts.get(n, {}).items() if along_phi else ():
                    add(slope, (i, j), [0.5 * m * series[m] for m in range(1, len(series))])
                slopes[n] = slope
            for m, first in slopes.items():
                for n, second in slopes.items():
                    k = degree - m - n
                    if k < 0:
                        continue
                    for (i, j), a in first.items():
                        for (s, t), b in second.items():
                            add(known, (i + s + k, j + t), product(product(a, b), overs[k]))
        # Odd powers cancel, except for rounding.
        parts[degree] = {
            key: [-it / (4 * (degree - 1)) for it in series] for key, series in known.items() if key[1] % 2 == key[0] % 2 == 0
        }
    return {key: series[0] for part in parts.values() for key, series in part.items()}


def economised(taylor, half, terms):
    """Returns the polynomial in x = distance / half a cell, as in table.rs."""
    rest = ((0, -3 / 4, 0, 0), (1 / 8, 0, -1, 0), (0, 5 / 16, 0, -5 / 4))
    scaled = [it * half**n for n, it in enumerate(taylor)]
    for n in range(len(taylor) - 1, terms - 1, -1):
        for k in range(4):
            scaled[k] -= scaled[n] * rest[n - 3][k]
    return scaled[:terms]


def constant(name):
    """Returns a constant of table.rs."""
    (text,) = re.findall(rf"const {name}: \w+ = ([0-9_.e-]+);", (CODE / "table.rs").read_text())
    return float(text.replace("_", ""))


# Length in metres (0: the limit), latitudes, and the documented bound in nanometres.
BOUNDS = (
    ("to 1 km, below 80 degrees", 1000, (0, 80), 0.2),
    ("to 10 km, below 80 degrees", 0, (0, 80), 10),
    ("to 1 km, 80 to 88 degrees", 1000, (80, 88), 1),
    ("to 10 km, 80 to 88 degrees", 0, (80, 88), 200),
)
SOURCES = ("degree 8 and up", "p^6", "E and G", "a, b, c linear", "d constant", "sum")
# The same for short legs, which use the leading order alone; the cell has their greatest length.
SHORT = (
    ("short, below 80 degrees", (0, 80), 0.2),
    ("short, 80 to 88 degrees", (80, 88), 1),
)
SHORT_SOURCES = ("E and G", "a, b, c and d", "sum")


def budget(found):
    """Prints the greatest error of each approximation over all cells, and their sums. Returns how many are too large."""
    over_g = {(0, 4), (2, 4), (0, 6)}
    kept = [power for power in found if sum(power) >= 4 and power != (6, 0)]
    forms = {power: found[power] / (G0 if power in over_g else 1) for power in kept}
    symbols = E + G
    values = sp.lambdify(symbols, [forms[power] for power in kept], "math", cse=True)
    fourth = [power for power in kept if sum(power) == 4]
    slopes = sp.lambdify(symbols, [d_mid(forms[power]) for power in fourth], "math", cse=True)

    def derivatives(latitude):
        e, g = metric(latitude, ORDER + 1)
        return [math.factorial(n) * it for series in (e, g) for n, it in enumerate(series)]

    cell_e7 = 2 ** constant("CELL_BITS")
    reach_m, reach_of_turn = constant("REACH_M"), constant("REACH_OF_TURN")
    half = 0.25 * cell_e7 * RAD_PER_E7  # of the middle latitude, in radians
    cells = int(2 * constant("SERIES_MAX_E7") / cell_e7) + 1
    spread = [k / 8 for k in range(-8, 9)]
    turns = [math.pi / 2 * k / 24 for k in range(25)]
    worst = {name: dict.fromkeys(SOURCES, 0.0) for name, *_ in BOUNDS}
    worst_short = {name: dict.fromkeys(SHORT_SOURCES, 0.0) for name, *_ in SHORT}
    ends = {name: (math.inf, 0) for name, *_ in SHORT}
    omitted = None
    for cell in range(cells):
        centre = cell * 2 * half
        e, g = metric(centre, 6)
        if cell % 8 == 0:
            # Smooth in the latitude, and slow to compute.
            omitted = {
                power: it for power, it in parts_of(max(centre, 1e-9), 10).items() if sum(power) > 6 or power == (6, 0)
            }
        poly_e, poly_g, poly_e2 = economised(e, half, 4), economised(g, half, 4), economised(e, half, 3)
        off_e = off_g = off_e2 = 0.0
        for x in spread:
            true_e, true_g = (it[0] for it in metric(centre + x * half, 1))
            off_e = max(off_e, abs(sum(it * x**n for n, it in enumerate(poly_e)) / true_e - 1))
            off_g = max(off_g, abs(sum(it * x**n for n, it in enumerate(poly_g)) / true_g - 1))
            off_e2 = max(off_e2, abs(sum(it * x**n for n, it in enumerate(poly_e2)) / true_e - 1))
        at_centre, slope = values(*derivatives(centre)), slopes(*derivatives(centre))
        at_centre, slope = dict(zip(kept, at_centre)), dict(zip(fourth, slope))
        off, everywhere = dict.fromkeys(kept, 0.0), [at_centre]
        for x in (-1, -0.5, 0.5, 1):
            there = dict(zip(kept, values(*derivatives(centre + x * half))))
            everywhere.append(there)
            for power in kept:
                linear = slope.get(power, 0.0) * x * half
                off[power] = max(off[power], abs(there[power] - at_centre[power] - linear))
        tan = math.tan(centre)
        limit = min(reach_m, reach_of_turn * EQUATOR_M / tan) if tan > 0 else reach_m
        for name, length, (south, north), _ in BOUNDS:
            # A cell on the border counts for both sides.
            if not south <= math.degrees(centre + half) or not math.degrees(centre - half) <= north:
                continue
            length = min(length or limit, limit)
            for turn in turns:
                p2, l2 = (length * math.cos(turn)) ** 2 / e[0], (length * math.sin(turn)) ** 2 / g[0]

                def cost(table, choose):
                    return sum(
                        abs(it) * p2 ** (i / 2) * l2 ** (j / 2) * (g[0] if (i, j) in over_g else 1)
                        for (i, j), it in table.items() if choose(i, j)
                    ) / (2 * length)

                costs = [
                    # Terms of one degree have signs.
                    sum(
                        abs(sum(it * p2 ** (i / 2) * l2 ** (j / 2) for (i, j), it in omitted.items() if i + j == degree))
                        for degree in (8, 10)
                    ) / (2 * length),
                    abs(omitted[6, 0]) * p2**3 / (2 * length),
                    (off_e * math.cos(turn) ** 2 + off_g * math.sin(turn) ** 2) * length / 2,
                    cost(off, lambda i, j: i + j == 4),
                    cost(off, lambda i, j: i + j == 6),
                ]
                for source, it in zip(SOURCES, [*costs, sum(costs)]):
                    worst[name][source] = max(worst[name][source], it)

        # The greatest length of a short leg: as in table.rs.
        g0 = g[0]
        form = [at_centre[4, 0] / e[0] ** 2, at_centre[2, 2] / (2 * e[0] * g0), at_centre[0, 4] / g0]
        length = 64
        while 0.5 * max(map(abs, form)) * length**3 > constant("SHORT_ERROR_M"):
            length *= 0.875
        for name, (south, north), _ in SHORT:
            if not south <= math.degrees(centre + half) or not math.degrees(centre - half) <= north:
                continue
            ends[name] = (min(ends[name][0], length), max(ends[name][1], length))
            for turn in turns:
                p2, l2 = (length * math.cos(turn)) ** 2 / e[0], (length * math.sin(turn)) ** 2 / g0
                costs = [
                    (off_e2 * math.cos(turn) ** 2 + off_g * math.sin(turn) ** 2) * length / 2,
                    max(
                        abs(sum(
                            it * p2 ** (i / 2) * l2 ** (j / 2) * (g0 if (i, j) in over_g else 1)
                            for (i, j), it in there.items()
                        ))
                        for there in everywhere
                    ) / (2 * length),
                ]
                for source, it in zip(SHORT_SOURCES, [*costs, sum(costs)]):
                    worst_short[name][source] = max(worst_short[name][source], it)

    wrong = 0

    def table(rows, sources, worst):
        nonlocal wrong
        print(" " * 28 + "".join(f"{source:>17}" for source in sources) + f"{'documented':>12}")
        for name, *_, bound in rows:
            print(f"{name:28}" + "".join(f"{worst[name][source] * 1e9:17.2g}" for source in sources) + f"{bound:12}")
            wrong += not worst[name]["sum"] * 1e9 <= bound

    print(f"\ngreatest errors in nm over {cells} cells:")
    table(BOUNDS, SOURCES, worst)
    print("\nby short legs:")
    table(SHORT, SHORT_SOURCES, worst_short)
    for name, (least, most) in ends.items():
        print(f"{name}: up to {least:.1f} m in one cell, {most:.1f} m in another")
    return wrong


def main():
    found = derive(6)
    wrong = 0
    for i, j in sorted(found, key=lambda power: (sum(power), -power[0])):
        documented = DOCUMENTED.get((i, j))
        if documented is None:
            result = "omitted, see below" if (i, j) == (6, 0) else "NOT DOCUMENTED"
        else:
            result = "as documented" if sp.simplify(found[i, j] - documented) == 0 else "DIFFERS"
        wrong += result not in ("as documented", "omitted, see below")
        print(f"p^{i} l^{j}: {result}\n    {found[i, j]}")
    wrong += any(power not in found for power in DOCUMENTED)
    # Odd terms must vanish: the length is the same when the ends are exchanged (p, l -> -p, -l) and
    # when east and west are (l -> -l). So the equation also holds at the other end.
    odd = [power for power in found if power[0] % 2 or power[1] % 2]
    print(f"odd terms: {odd or 'none'}")
    wrong += len(odd)

    # The sphere, where the series follows from the haversine formula: hav(s) = hav(p) + cos(p1) cos(p2) hav(l).
    phi = sp.symbols("phi")
    on_sphere = {E[0]: 1, **{E[n]: 0 for n in range(1, ORDER + 1)}}
    on_sphere |= {G[n]: sp.diff(sp.cos(phi) ** 2, phi, n) for n in range(ORDER + 1)}
    series = sum(c.subs(on_sphere) * (t * p) ** i * (t * l) ** j for (i, j), c in found.items())
    # 2 hav(s) = 1 - cos s = S/2 - S^2/24 + S^3/720 - ...
    left = series / 2 - series**2 / 24 + series**3 / 720
    right = (1 - sp.cos(t * p)) + sp.cos(phi - t * p / 2) * sp.cos(phi + t * p / 2) * (1 - sp.cos(t * l))
    right = sp.series(right, t, 0, 7).removeO()
    difference = sp.expand(sp.expand(left) - right)
    difference = sum(sp.simplify(difference.coeff(t, n)) for n in range(7))
    print(f"on the sphere it is the haversine formula: {'yes' if difference == 0 else 'NO'}")
    wrong += difference != 0

    # The omitted term, on WGS84.
    e2 = sp.Rational(1, 298257223563) * 10**9
    e2 = e2 * (2 - e2)
    meridian = 6378137**2 * (1 - e2) ** 2 / (1 - e2 * sp.sin(phi) ** 2) ** 3
    omitted_term = found[6, 0].subs({E[n]: sp.diff(meridian, phi, n) for n in range(ORDER + 1)})
    length = 10_000
    omitted_term, meridian = (sp.lambdify(phi, it, "math") for it in (omitted_term, meridian))
    worst = 0.0
    for degrees in range(90):
        at = math.radians(degrees)
        difference_rad = length / math.sqrt(meridian(at))
        worst = max(worst, abs(omitted_term(at)) * difference_rad**6 / (2 * length))
    print(f"p^6 would change a leg of {length} m by at most {worst:.1e} m")
    wrong += worst > 1e-11

    # Compares the numeric part with the symbols.
    at = math.radians(50)
    numbers = parts_of(at, 6)
    e, g = metric(at, ORDER + 1)
    point = {**{E[n]: math.factorial(n) * e[n] for n in range(ORDER + 1)}, **{G[n]: math.factorial(n) * g[n] for n in range(ORDER + 1)}}
    apart = max(abs(numbers[power] / float(found[power].subs(point)) - 1) for power in found)
    print(f"at 50 degrees symbols and numbers differ by a relative {apart:.1e}")
    wrong += not apart < 1e-9

    wrong += check_code(found)
    wrong += budget(found)
    print("all as documented" if not wrong else f"{wrong} WRONG")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
