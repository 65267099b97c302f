"""A server of my_package.DisplacementService in plain Python.

usage: server.py ADDRESS
"""

import math
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from my_package.displacement_pb2 import DisplacementResponse, PathLengthResponse
from my_package.displacement_pb2_grpc import DisplacementServiceServicer, add_DisplacementServiceServicer_to_server


def distance(a, b):
    return math.hypot(b.x - a.x, b.y - a.y)


class Service(DisplacementServiceServicer):
    def computeDisplacement(self, request, context):
        return DisplacementResponse(distance=distance(request.start, request.end))

    def computePathLength(self, points, context):
        # If the client cancels or disconnects, the iterator raises an error, and no reply is sent.
        first = last = None
        count, legs = 0, 0.0
        for count, point in enumerate(points, start=1):
            first = first or point
            legs += distance(last or point, point)
            last = point
        return PathLengthResponse(length=legs, point_count=count, displacement=distance(first, last) if count else 0)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    server = grpc.server(ThreadPoolExecutor(max_workers=10))
    add_DisplacementServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port(sys.argv[1])
    server.start()
    print(f"listening on port {port}", flush=True)
    server.wait_for_termination()
