#!/usr/bin/env python3
"""Compares the answers of a server of the published contracts with known ones.

usage: check.py ADDRESS
"""

import math
import pathlib
import sys

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "proto"))
displacement_pb2, displacement_pb2_grpc = grpc.protos_and_services("my_package/displacement.proto")
route_guide_pb2, route_guide_pb2_grpc = grpc.protos_and_services("routeguide/route_guide.proto")


def equal(what, got, expected):
    if got != expected:
        sys.exit(f"{what}: got {got}, expected {expected}")


def check(address):
    planar = displacement_pb2.Point
    position = route_guide_pb2.Point
    with grpc.insecure_channel(address) as channel:
        displacements = displacement_pb2_grpc.DisplacementServiceStub(channel)
        routes = route_guide_pb2_grpc.RouteGuideStub(channel)

        request = displacement_pb2.Displacement(start=planar(x=1, y=1), end=planar(x=4, y=5))
        equal("displacement", displacements.computeDisplacement(request, timeout=60).distance, 5.0)
        request = displacement_pb2.Displacement(end=planar(x=-3, y=-4))
        equal("displacement from the origin", displacements.computeDisplacement(request, timeout=60).distance, 5.0)

        def path(points):
            reply = displacements.computePathLength((planar(x=x, y=y) for x, y in points), timeout=60)
            return reply.length, reply.point_count, reply.displacement

        equal("no point", path([]), (0.0, 0, 0.0))
        equal("one point", path([(7, -7)]), (0.0, 1, 0.0))
        equal("a square", path([(0, 0), (9, 0), (9, 9), (0, 9), (0, 0)]), (36.0, 5, 0.0))
        zigzag = [(3 * index, 4 * (index % 2)) for index in range(5001)]
        equal("a zigzag", path(zigzag), (25_000.0, 5001, 15_000.0))
        corner = 2**31 - 1
        diagonal = math.hypot(2 * corner + 1, 2 * corner + 1)
        equal("all of int32", path([(-corner - 1, -corner - 1), (corner, corner)]), (diagonal, 2, diagonal))

        def route(points):
            stream = (position(latitude=latitude, longitude=longitude) for latitude, longitude in points)
            reply = routes.RecordRoute(stream, timeout=60)
            equal("feature_count", reply.feature_count, 0)
            return reply.point_count, reply.distance

        equal("no position", route([]), (0, 0))
        # Two quarters of a great circle with a radius of 6 371 008.8 m: to the east and to the north.
        quarter = math.pi / 2 * 6_371_008.8
        equal("two quarters", route([(0, 0), (0, 900_000_000), (900_000_000, 900_000_000)]), (3, round(2 * quarter)))
        # Steps of 0.9 m to the north. Truncation of each leg would return 0 m.
        step_e7 = 81
        hour = [(464_000_000 + step_e7 * index, 137_000_000) for index in range(3601)]
        expected = round(math.radians(3600 * step_e7 / 1e7) * 6_371_008.8)
        equal("a walk of an hour", route(hour), (3601, expected))


check(sys.argv[1])
print(f"{sys.argv[1]}: all answers are correct")
