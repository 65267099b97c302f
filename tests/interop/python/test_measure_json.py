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
DRIVE = "lat,lon,ele,time\n" + "".join(
    f"46,{13 + 0.0002 * min(i, 300):.4f},{100 + i % 7},2024-05-18T{9 + i // 3600:02}:{i // 60 % 60:02}:{i % 60:02}Z\n"
    for i in range(0, 900, 2)
)
ZERO = "lat,lon\n46,13\n0,0\n46.001,13\n"
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
        (["-", "--estimate"], DRIVE, 0),
        (["-", "--trips", "--preset", "car"], DRIVE, 0),
        (["-", "--trips"], ZERO, 0),
        (["-", "--preset", "phone", "--reorder", "3"], ZERO, 0),
        (["-", "--by", "hour", "--timezone", "Europe/Ljubljana", "--units", "km"], DRIVE, 0),
        (["-", "--by", "week", "--model", "planar"], "x,y,time\n0,0,1716022800\n3,4,1716627600\n", 0),
        (["-", "--min-climb", "5", "--climb-smoothing", "0s", "--max-gap-time", "1s"], DRIVE, 0),
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


def test_the_lengths_of_the_ledger_add_up(validator):
    for arguments, text in [(["--max-gap", "3"], DRIVE), (["--reject-zero-position"], ZERO), (["--min-step", "40"], DRIVE)]:
        for row in lines(["-", *arguments], text):
            row = row.get("total", row)
            parts = [rejection["rejected_length_m"] for rejection in row["rejections"]]
            assert row["length_m"] + row["gap_length_m"] + sum(parts) == pytest.approx(row["raw_length_m"])
            assert row["accepted"] + sum(one["count"] for one in row["rejections"]) == row["points"]
            assert row["raw_length_m"] > row["length_m"] + 1 or arguments[0] == "--min-step"


def test_an_estimate_has_an_interval_and_trips(validator):
    track, total = lines(["-", "--trips"], DRIVE)
    for row in [track, total["total"]]:
        low, high = row["estimated_length_low_m"], row["estimated_length_high_m"]
        assert 0 < low <= row["estimated_length_m"] <= high
    # It moves for 300 s and then stands still.
    assert (track["stop_count"], track["trip_count"]) == (len(track["stops"]), len(track["trips"])) == (1, 1)
    assert track["trips"][0]["start_time"] == "2024-05-18T09:00:00Z"
    assert track["stops"][0]["departure_time"] == "2024-05-18T09:14:58Z"
    assert "stops" not in total["total"] and total["total"]["stop_count"] == 1
    # Noise raises the threshold to at most 15 m.
    assert track["ascent_method"]["smoothing_s"] == 45 and 3 <= track["ascent_method"]["threshold_m"] <= 15


def test_the_windows_sum_to_the_length(validator):
    for row in lines(["-", "--by", "hour"], DRIVE.replace("T09:0", "T08:5")):
        row = row.get("total", row)
        assert len(row["windows"]) == 2 and row["window_unit"] == "hour"
        lengths = [window["length_m"] for window in row["windows"]]
        assert sum(lengths) + row["undated_length_m"] == pytest.approx(row["length_m"])


def test_notes_have_their_position(validator):
    track = lines(["-"], TRACK)[0]
    notes = {note["kind"]: note for note in track["notes"]}
    assert notes["invalid_position"]["line"] == 3
    assert notes["invalid_elevation"]["line"] == 4
    assert {rejection["reason"] for rejection in track["rejections"]} == {"invalid_position"}
