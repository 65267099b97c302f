"""A client of the first published contract, which has one unary method.

usage: client.py ADDRESS X1 Y1 X2 Y2
"""

import sys

import displacement_pb2
import displacement_pb2_grpc
import grpc


def run(address, x1, y1, x2, y2):
    with grpc.insecure_channel(address) as channel:
        stub = displacement_pb2_grpc.DisplacementServiceStub(channel)
        response = stub.computeDisplacement(
            displacement_pb2.Displacement(
                start=displacement_pb2.Point(x=x1, y=y1),
                end=displacement_pb2.Point(x=x2, y=y2),
            )
        )
    print(response.distance)


if __name__ == "__main__":
    run(sys.argv[1], *map(int, sys.argv[2:]))
