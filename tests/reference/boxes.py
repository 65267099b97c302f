"""Boxes around paths, as the comment of BoundingBox says."""

import fractions
import math

from geographiclib.geodesic import Geodesic

LEAST_GAP = fractions.Fraction(45, 2)


def planar_box(positions):
    xs, ys = zip(*positions)
    return min(xs), min(ys), max(xs), max(ys)


def geographic_box(model, positions, legs):
    """Returns west, south, east and north. West and east are None if rounding decides which gap is the widest.

    Longitudes are greater than -180 and at most 180 degrees.
    """
    latitudes = [y for _, y in positions]
    around = any(abs(y) == 90 for y in latitudes)
    arcs = [(_exact(x), 0) for x, _ in positions]
    for a, b in legs:
        turn = (_exact(b[0]) - _exact(a[0])) % 360
        if turn == 180:
            latitudes.append(90 if a[1] + b[1] >= 0 else -90)
            around = True
        elif turn != 0:
            arcs.append((_exact(a[0]), turn) if turn < 180 else (_exact(b[0]), 360 - turn))
            if min(turn, 360 - turn) > 0.009:
                latitudes.extend(_vertices(model, a, b))
    south, north = min(latitudes), max(latitudes)
    if around:
        return -180, south, 180, north
    west, east = _longitudes(arcs)
    return west, south, east, north


def _exact(longitude):
    return fractions.Fraction(longitude)


def _longitudes(arcs):
    """Returns the longitudes that are left without the widest gap between arcs (west end, width)."""
    gaps = []
    for end in {(west + width) % 360 for west, width in arcs}:
        if any((end - west) % 360 < width for west, width in arcs):
            continue
        ahead = [(west - end) % 360 for west, _ in arcs]
        gaps.append((min((turn for turn in ahead if turn != 0), default=360), end))
    widths = sorted((width for width, _ in gaps), reverse=True)
    widest = widths[0] if widths else 0
    if 0 < abs(widest - LEAST_GAP) < 1e-9 or any(0 < widest - width < 1e-9 for width in widths):
        return None, None
    if widest < LEAST_GAP:
        return -180, 180
    # The end from -180 to 180 degrees, without 180.
    end = max((end + 180) % 360 - 180 for width, end in gaps if width == widest)
    start = (end + widest + 180) % 360 - 180
    if start == end == -180:
        return 180, 180
    return float(start), 180.0 if end == -180 else float(end)


def _vertices(model, a, b):
    """Returns the greatest or the least latitude of the line from a to b, if it is between its ends."""
    if model == "haversine":
        flattening = 0
        first = _bearing(a, b)
        last = _bearing(b, a) + math.pi
    else:
        flattening = Geodesic.WGS84.f
        line = Geodesic.WGS84.Inverse(a[1], a[0], b[1], b[0], Geodesic.AZIMUTH)
        first, last = math.radians(line["azi1"]), math.radians(line["azi2"])
        if a[1] == -b[1] and math.cos(first) < 0 < math.cos(last):
            first, last = last, first  # Of two lines, the northern one.
    start = math.atan((1 - flattening) * math.tan(math.radians(a[1])))
    highest = math.atan2(math.hypot(math.cos(first), math.sin(first) * math.sin(start)), abs(math.sin(first) * math.cos(start)))
    latitude = math.degrees(math.atan(math.tan(highest) / (1 - flattening)))
    if math.cos(first) > 0 > math.cos(last):
        return [latitude]
    if math.cos(first) < 0 < math.cos(last):
        return [-latitude]
    return []


def _bearing(a, b):
    turn = math.radians(math.remainder(b[0] - a[0], 360))
    y1, y2 = math.radians(a[1]), math.radians(b[1])
    return math.atan2(math.sin(turn) * math.cos(y2), math.cos(y1) * math.sin(y2) - math.sin(y1) * math.cos(y2) * math.cos(turn))
