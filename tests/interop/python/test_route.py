"""routeguide.RouteGuide/RecordRoute from Python, compared with an independent formula for the distance."""

import math
import random

import grpc
from conftest import error_info, error_of
from routeguide import route_guide_pb2, route_guide_pb2_grpc

MEAN_EARTH_RADIUS_M = 6_371_008.8


def record(channel, path):
    points = (route_guide_pb2.Point(latitude=lat, longitude=lon) for lat, lon in path)
    return route_guide_pb2_grpc.RouteGuideStub(channel).RecordRoute(points)


def great_circle_m(a, b):
    """Returns the distance by the angle between two unit vectors, not by the haversine formula."""

    def vector(point):
        lat, lon = (math.radians(e7 / 1e7) for e7 in point)
        return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)

    (ax, ay, az), (bx, by, bz) = vector(a), vector(b)
    cross = math.hypot(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)
    return MEAN_EARTH_RADIUS_M * math.atan2(cross, ax * bx + ay * by + az * bz)


def length_m(path):
    return math.fsum(great_circle_m(a, b) for a, b in zip(path, path[1:]))


def test_a_route_is_summed_in_full_and_rounded_once(channel):
    draw = random.Random(7)
    # A slow walk with legs of about a metre. Truncation would make each of them 0 or 1.
    lat, lon, path = 565_000_000, -40_000_000, []
    for _ in range(5000):
        path.append((lat, lon))
        lat += draw.randint(-40, 90)
        lon += draw.randint(-80, 150)
    reply = record(channel, path)
    assert reply.point_count == 5000
    assert reply.feature_count == 0
    assert 0 <= reply.elapsed_time <= 3600
    # Half a metre for the rounding, and 1 mm for the difference of the two formulas.
    assert abs(reply.distance - length_m(path)) <= 0.5 + 1e-3


def test_slow_steps_are_not_lost(channel):
    # 0.9 m per second for an hour. A server that truncates each leg would return 0.
    step = round(0.9 / MEAN_EARTH_RADIUS_M * 180 / math.pi * 1e7)
    path = [(i * step, 0) for i in range(3601)]
    assert record(channel, path).distance == round(length_m(path)) == 3242


def test_a_leg_across_the_date_line_is_short(channel):
    path = [(0, 1_799_000_000), (0, -1_799_000_000)]
    assert record(channel, path).distance == round(great_circle_m(*path)) == 22_239


def test_no_point_and_one_point_have_no_length(channel):
    for path in [], [(407_838_351, -746_143_763)]:
        reply = record(channel, path)
        assert (reply.point_count, reply.feature_count, reply.distance) == (len(path), 0, 0)


def test_poles_are_valid_and_an_error_names_a_point_beyond_them(channel):
    assert record(channel, [(900_000_000, 0), (-900_000_000, 0)]).distance == 20_015_114
    for latitude in 900_000_001, -900_000_001, 2**31 - 1, -(2**31):
        path = [(i, i) for i in range(417)] + [(latitude, 0)]
        error = error_of(lambda: record(channel, path))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "417" in error.details()
        error_info(error)


def test_a_distance_over_int32_is_refused(channel):
    there_and_back = [(0, 0), (0, 1_800_000_000)] * 60
    fits = there_and_back[:108]
    assert abs(record(channel, fits).distance - length_m(fits)) <= 0.5 + 1e-3
    error = error_of(lambda: record(channel, there_and_back))
    assert error.code() == grpc.StatusCode.OUT_OF_RANGE
    error_info(error)
