"""Tests of failing calls: status codes, error details, and a server that works afterwards."""

import threading

import grpc
import pytest
from conftest import error_info, error_of
from my_package import displacement_pb2, displacement_pb2_grpc

DISPLACEMENT = "/my_package.DisplacementService/computeDisplacement"
PATH_LENGTH = "/my_package.DisplacementService/computePathLength"
RECORD_ROUTE = "/routeguide.RouteGuide/RecordRoute"

# A point that repeats its x. It is valid, because the last value counts. It is compressible, because clients send
# messages uncompressed if compression does not shorten them.
REPETITIVE_POINT = b"\x08\x01" * 1000 + b"\x08\x03\x10\x04"


def raw_unary(channel, method, message, **options):
    """Makes a unary call whose message is these bytes."""
    return channel.unary_unary(method, request_serializer=lambda m: m, response_deserializer=lambda m: m)(
        message, **options
    )


def raw_stream(channel, method, messages, **options):
    """Makes a client-streaming call whose messages are these bytes."""
    return channel.stream_unary(method, request_serializer=lambda m: m, response_deserializer=lambda m: m)(
        iter(messages), **options
    )


def works(channel):
    points = (displacement_pb2.Point(x=3 * i, y=4 * i) for i in range(11))
    return displacement_pb2_grpc.DisplacementServiceStub(channel).computePathLength(points).length == 50.0


class Endless:
    """A stream that sends some points and then stays open until it is released."""

    def __init__(self, count):
        self.count = count
        self.sent = threading.Event()
        self.released = threading.Event()

    def __iter__(self):
        for i in range(self.count):
            yield displacement_pb2.Point(x=i, y=i)
        self.sent.set()
        self.released.wait()


def test_the_server_works_after_a_cancelled_stream(channel, healthy):
    for count in 0, 1, 10_000:
        points = Endless(count)
        call = displacement_pb2_grpc.DisplacementServiceStub(channel).computePathLength.future(iter(points))
        points.sent.wait()
        assert call.cancel()
        points.released.set()
        assert call.code() == grpc.StatusCode.CANCELLED
        assert healthy()
        assert works(channel)


def test_a_stream_that_never_closes_ends_with_its_deadline(channel, healthy):
    points = Endless(3)
    stub = displacement_pb2_grpc.DisplacementServiceStub(channel)
    error = error_of(lambda: stub.computePathLength(iter(points), timeout=0.3))
    points.released.set()
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert healthy()
    assert works(channel)


def test_gzip_is_accepted_for_a_call_and_for_a_channel(address, channel):
    gzip = grpc.Compression.Gzip
    unary = b"\x12" + bytes([0xD4, 0x0F]) + REPETITIVE_POINT  # Displacement.end
    assert len(REPETITIVE_POINT) == 0x7D4
    with grpc.insecure_channel(address, compression=gzip) as compressing:
        for each, options in (channel, {"compression": gzip}), (compressing, {}):
            reply = displacement_pb2.DisplacementResponse.FromString(raw_unary(each, DISPLACEMENT, unary, **options))
            assert reply.distance == 5.0
            messages = [b"", REPETITIVE_POINT, b""] * 100
            reply = displacement_pb2.PathLengthResponse.FromString(raw_stream(each, PATH_LENGTH, messages, **options))
            assert (reply.length, reply.point_count) == (1000.0, 300)
            stub = displacement_pb2_grpc.DisplacementServiceStub(each)
            end = displacement_pb2.Point(x=3, y=4)
            assert stub.computeDisplacement(displacement_pb2.Displacement(end=end), **options).distance == 5.0


def test_deflate_is_refused(channel):
    deflate = grpc.Compression.Deflate
    for call in (
        lambda: raw_unary(channel, DISPLACEMENT, b"\x12\xd4\x0f" + REPETITIVE_POINT, compression=deflate),
        lambda: raw_stream(channel, PATH_LENGTH, [REPETITIVE_POINT] * 3, compression=deflate),
    ):
        error = error_of(call)
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED
        assert "deflate" in error.details()
        error_info(error)
    assert works(channel)


MALFORMED = {
    "a varint that does not end": b"\x08\xff",
    "a key alone": b"\x08",
    "field number 0": b"\x00\x01",
    "wire type 7": b"\x0f\x01",
    "a length past the end": b"\x12\x7f\x00",
    "a varint of 11 bytes": b"\x08" + b"\xff" * 10 + b"\x01",
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_messages_are_invalid_arguments(channel, message):
    for call in (
        lambda: raw_unary(channel, DISPLACEMENT, message),
        lambda: raw_stream(channel, PATH_LENGTH, [b"\x08\x01", message]),
        lambda: raw_stream(channel, RECORD_ROUTE, [b"\x08\x01", message]),
    ):
        error = error_of(call)
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error.details()
        error_info(error)
    assert works(channel)


def test_a_message_over_the_size_limit_is_refused(channel):
    point = b"\x08\x01" * (512 * 1024)
    displacement = b"\x12\x80\x80\x40" + point
    displacement_pb2.Displacement.FromString(displacement)  # the message is valid except for its size
    for call in (
        lambda: raw_unary(channel, DISPLACEMENT, displacement),
        lambda: raw_stream(channel, PATH_LENGTH, [b"\x08\x01", point]),
        lambda: raw_stream(channel, RECORD_ROUTE, [b"\x08\x01", point]),
        # Small on the wire, large once decompressed.
        lambda: raw_stream(channel, PATH_LENGTH, [b"\x08\x01", point], compression=grpc.Compression.Gzip),
    ):
        error = error_of(call)
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error.details()
        error_info(error)
    assert works(channel)


@pytest.mark.parametrize(
    "method",
    [
        "/my_package.DisplacementService/computeNothing",
        "/my_package.NoService/computeDisplacement",
        "/routeguide.RouteGuide/ComputeNothing",
    ],
)
def test_an_unknown_method_is_unimplemented(channel, method):
    error = error_of(lambda: raw_unary(channel, method, b""))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    error_info(error)
    assert works(channel)
