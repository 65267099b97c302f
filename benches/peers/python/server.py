#!/usr/bin/env python3
"""The services of waywiser in plain grpcio: servicers of generated stubs on a thread pool.

grpcio-tools generates the stubs at the start. The server is not tuned. It sums legs as floats and rounds once, so that
its answers can be compared.
"""

import argparse
import math
import pathlib
import sys
import time
from concurrent import futures

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "proto"))
displacement_pb2, displacement_pb2_grpc = grpc.protos_and_services("my_package/displacement.proto")
route_guide_pb2, route_guide_pb2_grpc = grpc.protos_and_services("routeguide/route_guide.proto")

# The mean radius (2a + b) / 3 of WGS84, in metres.
EARTH_RADIUS_M = 6_371_008.8


def haversine_m(start, end):
    """Returns the haversine distance in metres, with atan2 as in the RouteGuide examples."""
    start_latitude = math.radians(start.latitude / 1e7)
    end_latitude = math.radians(end.latitude / 1e7)
    half_latitude = (end_latitude - start_latitude) / 2
    half_longitude = math.radians((end.longitude - start.longitude) / 1e7) / 2
    a = math.sin(half_latitude) ** 2 + math.cos(start_latitude) * math.cos(end_latitude) * math.sin(half_longitude) ** 2
    return 2 * EARTH_RADIUS_M * math.atan2(math.sqrt(a), math.sqrt(1 - a))


def planar(start, end):
    """Returns the straight distance, in the unit of the points."""
    return math.hypot(end.x - start.x, end.y - start.y)


class RouteGuide(route_guide_pb2_grpc.RouteGuideServicer):
    def RecordRoute(self, request_iterator, context):
        started = time.monotonic()
        point_count = 0
        distance = 0.0
        last = None
        for point in request_iterator:
            point_count += 1
            if last is not None:
                distance += haversine_m(last, point)
            last = point
        return route_guide_pb2.RouteSummary(
            point_count=point_count, distance=round(distance), elapsed_time=int(time.monotonic() - started)
        )


class DisplacementService(displacement_pb2_grpc.DisplacementServiceServicer):
    def computeDisplacement(self, request, context):
        return displacement_pb2.DisplacementResponse(distance=planar(request.start, request.end))

    def computePathLength(self, request_iterator, context):
        point_count = 0
        length = 0.0
        first = last = None
        for point in request_iterator:
            point_count += 1
            if last is None:
                first = point
            else:
                length += planar(last, point)
            last = point
        displacement = 0.0 if last is None else planar(first, last)
        return displacement_pb2.PathLengthResponse(length=length, point_count=point_count, displacement=displacement)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:50051", metavar="ADDRESS")
    listen = parser.parse_args().listen

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    displacement_pb2_grpc.add_DisplacementServiceServicer_to_server(DisplacementService(), server)
    route_guide_pb2_grpc.add_RouteGuideServicer_to_server(RouteGuide(), server)
    port = server.add_insecure_port(listen)
    server.start()
    print(f"listening on {listen.rpartition(':')[0]}:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
