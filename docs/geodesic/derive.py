#!/usr/bin/env python3
"""Derives the series of docs/geodesic.md from the eikonal equation, and checks the one in use.

Needs sympy (pip install sympy). Prints every coefficient it derived and compares it with the ones
written below, which are those of src/measure/metric/geodesic/series.rs. Exit status 1 when one differs.

usage: python3 docs/geodesic/derive.py
"""

import math
import sys

import sympy as sp

# The surface: ds^2 = E(phi) dphi^2 + G(phi) dlambda^2. E[n], G[n] are the n-th derivatives at the mid latitude.
ORDER = 6
E = sp.symbols(f"E0:{ORDER + 1}")
G = sp.symbols(f"G0:{ORDER + 1}")
p, l, t = sp.symbols("p l t")  # phi2 - phi1, lambda2 - lambda1, and a bookkeeper of the order in both

E0, E1, E2, E3, E4 = E[:5]
G0, G1, G2, G3, G4 = G[:5]

# What is claimed: the coefficient of p^i l^j in s^2.
CLAIMED = {
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
    """The derivative by the mid latitude: E_n becomes E_(n+1), G_n becomes G_(n+1)."""
    return sum(
        sp.diff(expression, table[n]) * table[n + 1] for table in (E, G) for n in range(ORDER)
    )


def derive(highest):
    """s^2 up to terms of degree `highest` in p and l, as {(i, j): coefficient of p^i l^j}.

    S = s^2 as a function of one end (phi2, lambda2) obeys |grad S|^2 = 4 S on the surface:

        (dS/dphi2)^2 / E(phi2) + (dS/dlambda2)^2 / G(phi2) = 4 S.

    With the mid latitude m = phi2 - p/2 and p = phi2 - phi1 as variables, dS/dphi2 = S_m / 2 + S_x.
    Let S = S2 + S3 + S4 + ..., Sn homogeneous of degree n in p, l, S2 = E0 p^2 + G0 l^2. In degree n
    the equation reads 4 (p d/dx + l d/dy) Sn - 4 Sn + (known from lower degrees) = 0, and by Euler
    (p d/dx + l d/dy) Sn = n Sn: so Sn = -known / (4 (n - 1)). Nothing has to be guessed or solved.
    """
    def taylor(table, degree):
        return sum(table[n] * (p / 2) ** n / sp.factorial(n) for n in range(degree + 1))

    def inverse(table, degree):
        """1 / taylor, up to `degree` in p."""
        terms = [1 / table[0]]
        for n in range(1, degree + 1):
            terms.append(-sum(table[k] / 2**k / sp.factorial(k) * terms[n - k] for k in range(1, n + 1)) / table[0])
        return [term * p**n for n, term in enumerate(terms)]

    over_e, over_g = inverse(E, highest), inverse(G, highest)
    parts = {2: E0 * p**2 + G0 * l**2}

    def slope_phi(n):
        """The part of degree n of dS/dphi2: S_x comes down from degree n + 1, S_m / 2 stays."""
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


def main():
    found = derive(6)
    wrong = 0
    for i, j in sorted(found, key=lambda power: (sum(power), -power[0])):
        claimed = CLAIMED.get((i, j))
        if claimed is None:
            verdict = "left out, see below" if (i, j) == (6, 0) else "NOT CLAIMED"
        else:
            verdict = "as claimed" if sp.simplify(found[i, j] - claimed) == 0 else "DIFFERS"
        wrong += verdict not in ("as claimed", "left out, see below")
        print(f"p^{i} l^{j}: {verdict}\n    {found[i, j]}")
    wrong += any(power not in found for power in CLAIMED)
    # Odd terms must vanish: the length is the same when the ends are exchanged (p, l -> -p, -l) and
    # when east and west are (l -> -l). So it also holds at the other end.
    odd = [power for power in found if power[0] % 2 or power[1] % 2]
    print(f"odd terms: {odd or 'none'}")
    wrong += len(odd)

    # The sphere, where the series can be known otherwise: hav(s) = hav(p) + cos(p1) cos(p2) hav(l).
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

    # The term that is left out, on WGS84.
    e2 = sp.Rational(1, 298257223563) * 10**9
    e2 = e2 * (2 - e2)
    meridian = 6378137**2 * (1 - e2) ** 2 / (1 - e2 * sp.sin(phi) ** 2) ** 3
    left_out = found[6, 0].subs({E[n]: sp.diff(meridian, phi, n) for n in range(ORDER + 1)})
    length = 10_000
    left_out, meridian = (sp.lambdify(phi, it, "math") for it in (left_out, meridian))
    worst = 0.0
    for degrees in range(90):
        at = math.radians(degrees)
        difference_rad = length / math.sqrt(meridian(at))
        worst = max(worst, abs(left_out(at)) * difference_rad**6 / (2 * length))
    print(f"p^6 would change a leg of {length} m by at most {worst:.1e} m")
    wrong += worst > 1e-11
    print("all as claimed" if not wrong else f"{wrong} WRONG")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
