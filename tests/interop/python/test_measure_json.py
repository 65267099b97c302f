"""`waywiser measure --json` prints what docs/measure.schema.json describes."""

import json
import os
import subprocess

import jsonschema
import pytest

from conftest import REPOSITORY

SCHEMA = json.loads((REPOSITORY / "docs" / "measure.schema.json").read_text())

TRACK = """<gpx><trk><name>walk</name><trkseg>
<trkpt lat="46" lon="13"><ele>100</ele><time>2024-05-18T09:00:00Z</time></trkpt>
<trkpt lat="" lon=""/>
<trkpt lat="46.001" lon="13"><ele>n/a</ele><time>2024-05-18T09:01:00Z</time></trkpt>
</trkseg></trk><rte><rtept lat="0" lon="0"/><rtept lat="0" lon="1"/></rte></gpx>"""
TABLE = "# a comment\ntrip,lat,lon\na,1,1\nb,2,2\na,1,1.001\nb,2,2.001\n"


def lines(arguments, text, status=0):
    command = [os.environ["WAYWISER"], "measure", "--json", *arguments]
    run = subprocess.run(command, input=text, capture_output=True, text=True)
    assert run.returncode == status, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize(
    "arguments, text, status",
    [
        (["-"], TRACK, 0),
        (["-", "--units", "mi"], TRACK, 0),
        (["-", "--max-speed", "1", "--elevation", "3d"], TRACK, 0),
        (["-"], TABLE, 0),
        (["-"], TRACK[:200], 1),
        (["-", "--model", "planar"], "x,y\n0,0\n3,4\n", 0),
        (["-", "--model", "planar", "--min-step", "2"], "x,y,z\n0,0,1\n1,0,2\n3,4,9\n", 0),
    ],
)
def test_each_line_conforms_to_the_schema(validator, arguments, text, status):
    printed = lines(arguments, text, status)
    assert "total" in printed[-1]
    for line in printed:
        validator.validate(line)


def test_the_schema_refuses_a_member_that_it_does_not_describe(validator):
    track = lines(["-"], TRACK)[0]
    for change in [{"surprise": 1}, {"kind": "walk"}, {"points": -1}, {"length_m": "far"}]:
        assert not validator.is_valid({**track, **change})
    assert not validator.is_valid({name: track[name] for name in track if name != "notes"})


def test_notes_have_their_position(validator):
    track = lines(["-"], TRACK)[0]
    notes = {note["kind"]: note for note in track["notes"]}
    assert notes["invalid_position"]["line"] == 3
    assert notes["invalid_elevation"]["line"] == 4
    assert {rejection["reason"] for rejection in track["rejections"]} == {"invalid_position"}
