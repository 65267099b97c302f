"""A client of my_package.DisplacementService: one call with one request, and one call with a stream of requests.

usage: client.py ADDRESS X1 Y1 X2 Y2 [X Y]...
"""

import sys

import grpc
from my_package.displacement_pb2 import Displacement, Point
from my_package.displacement_pb2_grpc import DisplacementServiceStub


def run(address, points):
    with grpc.insecure_channel(address) as channel:
        stub = DisplacementServiceStub(channel)

        # Unary: one request, one reply. wait_for_ready waits for the server to start, up to the timeout.
        ends = Displacement(start=points[0], end=points[-1])
        reply = stub.computeDisplacement(ends, timeout=10, wait_for_ready=True)
        print(f"displacement: {reply.distance}")

        # Client streaming: grpc takes the points from the iterator as fast as the server reads them. The end of the
        # iterator closes the stream, and only then the server replies.
        reply = stub.computePathLength(iter(points), timeout=10)
        print(f"path length: {reply.length} through {reply.point_count} points")


if __name__ == "__main__":
    address, *numbers = sys.argv[1:] or sys.exit(__doc__)
    if len(numbers) < 4 or len(numbers) % 2:
        sys.exit(__doc__)
    try:
        points = [Point(x=int(x), y=int(y)) for x, y in zip(numbers[0::2], numbers[1::2])]
    except ValueError as error:
        sys.exit(f"{error}\n{__doc__}")
    try:
        run(address, points)
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
