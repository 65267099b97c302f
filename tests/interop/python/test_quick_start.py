"""The four calls of the RouteGuide tutorial of gRPC, in the order and with the requests of its client programs."""

import json
import queue
import random

import grpc
import pytest
from conftest import error_info, error_of, own_server
from routeguide.route_guide_pb2 import Feature, Point, Rectangle, RouteNote
from routeguide.route_guide_pb2_grpc import RouteGuideStub

# A hundred places in the area of the quick start. Every third one has no name.
DRAW = random.Random(14)
PLACES = [
    Feature(
        name="" if number % 3 == 2 else f"place {number}",
        location=Point(
            latitude=DRAW.randint(400_000_000, 420_000_000),
            longitude=DRAW.randint(-750_000_000, -730_000_000),
        ),
    )
    for number in range(100)
]
NAMED = [place for place in PLACES if place.name]


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    features = tmp_path_factory.mktemp("features") / "features.json"
    form = [
        {
            "location": {"latitude": place.location.latitude, "longitude": place.location.longitude},
            "name": place.name,
        }
        for place in PLACES
    ]
    features.write_text(json.dumps(form, indent=2))
    with own_server("127.0.0.1:0", "--features", str(features)) as server:
        with grpc.insecure_channel(server.address) as channel:
            yield RouteGuideStub(channel)


def test_get_feature_of_a_named_place_and_of_a_missing_one(stub):
    assert stub.GetFeature(NAMED[7].location) == NAMED[7]
    for missing in Point(latitude=0, longitude=0), PLACES[2].location:
        feature = stub.GetFeature(missing)
        # A client that checks HasField expects the location also without a name.
        assert feature.HasField("location")
        assert feature == Feature(name="", location=missing)


def test_list_features_of_a_rectangle(stub):
    corners = Point(latitude=400_000_000, longitude=-750_000_000), Point(latitude=420_000_000, longitude=-730_000_000)
    for lo, hi in [corners, corners[::-1]]:
        assert list(stub.ListFeatures(Rectangle(lo=lo, hi=hi))) == NAMED
    at = NAMED[3].location
    assert list(stub.ListFeatures(Rectangle(lo=at, hi=at))) == [NAMED[3]]
    assert list(stub.ListFeatures(Rectangle())) == []


def test_record_route_through_ten_random_points(stub):
    draw = random.Random(5)
    visited = [draw.choice(PLACES) for _ in range(10)]
    summary = stub.RecordRoute(place.location for place in visited)
    assert summary.point_count == 10
    assert summary.feature_count == sum(bool(place.name) for place in visited) > 0
    assert summary.distance > 0


def test_route_chat_of_five_notes(stub):
    notes = [("First", 0, 1), ("Second", 0, 2), ("Third", 0, 3), ("Fourth", 0, 1), ("Fifth", 0, 2)]
    notes = [
        RouteNote(message=f"{text} message", location=Point(latitude=latitude, longitude=longitude))
        for text, latitude, longitude in notes
    ]
    assert list(stub.RouteChat(iter(notes))) == [notes[0], notes[1]]
    # Another client receives what the first one has left.
    assert list(stub.RouteChat(iter(notes[:1]))) == [notes[0], notes[3]]


def test_answers_arrive_while_the_chat_is_open(stub):
    notes = queue.SimpleQueue()
    answers = stub.RouteChat(iter(notes.get, None))
    for text in "a", "b":
        notes.put(RouteNote(message=text, location=Point(latitude=5, longitude=5)))
    assert next(answers).message == "a"
    notes.put(None)
    assert list(answers) == []


def test_a_note_that_is_too_long_is_refused(stub):
    error = error_of(lambda: list(stub.RouteChat(iter([RouteNote(message="x" * 1025)]))))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(error).metadata["field"] == "message"
