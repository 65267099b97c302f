"""my_package.DisplacementService/computeDisplacement from Python."""

import math
import struct

import pytest
from my_package import displacement_pb2, displacement_pb2_grpc

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def float32(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def displacement(channel, start=None, end=None):
    request = displacement_pb2.Displacement()
    if start is not None:
        request.start.CopyFrom(displacement_pb2.Point(x=start[0], y=start[1]))
    if end is not None:
        request.end.CopyFrom(displacement_pb2.Point(x=end[0], y=end[1]))
    return displacement_pb2_grpc.DisplacementServiceStub(channel).computeDisplacement(request).distance


@pytest.mark.parametrize(
    "start, end",
    [
        ((0, 0), (3, 4)),
        ((-1, -1), (2, 3)),
        ((7, 7), (7, 7)),
        ((0, 0), (1, 1)),
        ((123456789, -987654321), (-192837465, 564738291)),
        ((INT32_MIN, INT32_MIN), (INT32_MAX, INT32_MAX)),
        ((INT32_MAX, INT32_MIN), (INT32_MIN, INT32_MAX)),
        ((INT32_MIN, 0), (INT32_MAX, 0)),
    ],
)
def test_the_distance_is_the_double_rounded_once_to_float(channel, start, end):
    exact = math.sqrt((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2)
    assert displacement(channel, start, end) == float32(exact)


def test_an_absent_point_is_the_origin(channel):
    assert displacement(channel, end=(3, 4)) == 5.0
    assert displacement(channel, start=(-6, 8)) == 10.0
    assert displacement(channel) == 0.0
    assert displacement(channel, start=(0, 0), end=(3, 4)) == 5.0
