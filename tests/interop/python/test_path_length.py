"""my_package.DisplacementService/computePathLength from Python: streams from a generator."""

import math
import random
import threading
from concurrent import futures
from fractions import Fraction

import grpc
from my_package import displacement_pb2, displacement_pb2_grpc

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def stream(path):
    return (displacement_pb2.Point(x=x, y=y) for x, y in path)


def measure(channel, path):
    return displacement_pb2_grpc.DisplacementServiceStub(channel).computePathLength(stream(path))


def squares_of_legs(path):
    """Returns the squared lengths of the legs as exact integers."""
    return [(bx - ax) ** 2 + (by - ay) ** 2 for (ax, ay), (bx, by) in zip(path, path[1:])]


def summed_legs(path):
    """Returns the length that the contract defines: legs in double precision, and their sum correctly rounded."""
    return math.fsum(math.sqrt(square) for square in squares_of_legs(path))


def true_length(path):
    """Returns the length without floating-point arithmetic: integer roots to 2^-64, summed as a Fraction."""
    return sum((Fraction(math.isqrt(square << 128), 2**64) for square in squares_of_legs(path)), Fraction(0))


def walk(seed, count, step):
    """Yields a random walk of integers within int32, which sometimes repeats a point."""
    draw = random.Random(seed)
    x = y = 0
    for _ in range(count):
        yield x, y
        x = min(max(x + draw.randint(-step, step), INT32_MIN), INT32_MAX)
        y = min(max(y + draw.randint(-step, step), INT32_MIN), INT32_MAX)


def test_the_length_of_a_hundred_thousand_points_is_bit_identical(channel):
    path = list(walk(seed=1, count=100_000, step=1000))
    reply = measure(channel, path)
    assert reply.point_count == 100_000
    assert reply.length == summed_legs(path)
    assert reply.displacement == math.sqrt((path[-1][0] - path[0][0]) ** 2 + (path[-1][1] - path[0][1]) ** 2)
    # The relative error of a correctly rounded leg is at most 2^-53, and so is that of the rounded total.
    assert abs(Fraction(reply.length) - true_length(path)) <= Fraction(reply.length) * Fraction(2, 2**53)


def test_no_point_and_one_point_have_no_length(channel):
    empty = measure(channel, [])
    assert (empty.length, empty.point_count, empty.displacement) == (0.0, 0, 0.0)
    single = measure(channel, [(-5, 12)])
    assert (single.length, single.point_count, single.displacement) == (0.0, 1, 0.0)


def test_a_closed_path_has_length_and_no_displacement(channel):
    reply = measure(channel, [(0, 0), (3, 4), (3, 0), (0, 0)])
    assert (reply.length, reply.point_count, reply.displacement) == (12.0, 4, 0.0)


def test_the_corners_of_int32_do_not_overflow(channel):
    path = [(INT32_MIN, INT32_MIN), (INT32_MAX, INT32_MAX)] * 50
    reply = measure(channel, path)
    assert reply.point_count == 100
    # The squares need 66 bits. Rounding them to double before the root changes a leg by at most one ulp.
    assert math.isclose(reply.length, float(true_length(path)), rel_tol=2**-51)
    assert math.isclose(reply.displacement, math.dist(path[0], path[-1]), rel_tol=2**-51)


def test_fifty_streams_at_once_do_not_mix(channel):
    paths = [list(walk(seed=100 + i, count=200 + i, step=50 * (i + 1))) for i in range(50)]
    # Each stream waits until all fifty have sent their first point.
    all_open = threading.Barrier(len(paths))

    def points(path):
        messages = stream(path)
        yield next(messages)
        all_open.wait()
        yield from messages

    stub = displacement_pb2_grpc.DisplacementServiceStub(channel)
    calls = [stub.computePathLength.future(points(path)) for path in paths]
    for path, call in zip(paths, calls, strict=True):
        reply = call.result()
        assert reply.point_count == len(path)
        assert reply.length == summed_legs(path)


def test_fifty_connections_at_once_do_not_mix(address):
    def one(i):
        path = list(walk(seed=500 + i, count=300, step=10 * (i + 1)))
        with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as own:
            return measure(own, path).length == summed_legs(path)

    with futures.ThreadPoolExecutor(50) as pool:
        assert all(pool.map(one, range(50)))
