"""Tests of reflection, health, and shutdown."""

import queue
import threading

import grpc
import pytest
from conftest import error_of, own_server
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from my_package import displacement_pb2, displacement_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICES = ["", "my_package.DisplacementService", "routeguide.RouteGuide", "waywiser.v1.PathService"]


def test_reflection_lists_the_services_and_resolves_every_method(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    names = set(database.get_services())
    assert names >= {"my_package.DisplacementService", "routeguide.RouteGuide", "grpc.health.v1.Health"}
    pool = descriptor_pool.DescriptorPool(database)
    methods = {}
    for name in names:
        for method in pool.FindServiceByName(name).methods:
            assert pool.FindMethodByName(method.full_name).input_type is not None
            methods[method.full_name] = (method.client_streaming, method.input_type.full_name)
    assert methods["my_package.DisplacementService.computeDisplacement"] == (False, "my_package.Displacement")
    assert methods["my_package.DisplacementService.computePathLength"] == (True, "my_package.Point")
    assert methods["routeguide.RouteGuide.RecordRoute"] == (True, "routeguide.Point")
    assert methods["waywiser.v1.PathService.RecordPath"] == (True, "waywiser.v1.RecordPathRequest")


def test_reflection_v1_lists_what_v1alpha_lists(channel):
    # The two versions have the same messages and differ only in the name of the service.
    listing = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = []
    for version in "v1alpha", "v1":
        ask = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        (answer,) = ask(iter([listing]))
        names = {service.name for service in answer.list_services_response.service}
        # Each version lists itself, but not necessarily the other one.
        answers.append({name for name in names if not name.startswith("grpc.reflection.")})
    assert answers[0] == answers[1] >= {"my_package.DisplacementService", "routeguide.RouteGuide"}


def test_reflection_returns_the_fields_of_the_published_contract(channel):
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    for ours in displacement_pb2.DESCRIPTOR.message_types_by_name.values():
        theirs = pool.FindMessageTypeByName(ours.full_name)
        assert [(f.name, f.number, f.type) for f in theirs.fields] == [(f.name, f.number, f.type) for f in ours.fields]


@pytest.mark.parametrize("service", SERVICES)
def test_health_is_serving_for_the_server_and_each_service(channel, service):
    stub = health_pb2_grpc.HealthStub(channel)
    assert stub.Check(health_pb2.HealthCheckRequest(service=service)).status == SERVING
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=service))
    assert next(watch).status == SERVING
    watch.cancel()


def test_health_of_an_unknown_service_is_not_found(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    error = error_of(lambda: stub.Check(health_pb2.HealthCheckRequest(service="no.Service")))
    assert error.code() == grpc.StatusCode.NOT_FOUND


def test_a_stopping_server_reports_it_finishes_its_streams_and_exits_with_0():
    with own_server() as server, grpc.insecure_channel(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING

        points, sent = queue.SimpleQueue(), threading.Semaphore(0)

        def stream():
            while (point := points.get()) is not None:
                yield displacement_pb2.Point(x=point[0], y=point[1])
                sent.release()  # the transport has taken this point and requests the next one

        call = displacement_pb2_grpc.DisplacementServiceStub(channel).computePathLength.future(stream())
        points.put((0, 0))
        points.put((3, 4))
        sent.acquire()
        # The answer on the same connection shows that the server has opened the stream.
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())

        server.terminate()
        assert next(watch).status == NOT_SERVING
        points.put((3, 0))
        points.put(None)
        reply = call.result()
        assert (reply.length, reply.point_count) == (9.0, 3)
        assert server.wait() == 0
