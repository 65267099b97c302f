"""Small files of every format, for the tests."""

from __future__ import annotations

import json
import struct

GPX = b"""<?xml version="1.0"?>
<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1"><rte><name>plan</name>
<rtept lat="46.0" lon="14.0"/><rtept lat="46.5" lon="14.5"><ele>7</ele></rtept></rte>
<trk><name>walk</name><trkseg>
<trkpt lat="46.1" lon="13.7"><ele>500.5</ele><time>2024-05-18T09:00:00.25Z</time></trkpt>
<trkpt lat="46.1003" lon="13.7"><ele>503</ele><time>2024-05-18T09:00:30Z</time></trkpt>
<trkpt lat="96" lon="13.7"><time>2024-05-18T09:00:40Z</time></trkpt>
<trkpt lat="46.1004" lon="13.7009"><time>2024-05-18T09:01:00Z</time></trkpt></trkseg><trkseg>
<trkpt lat="" lon="13.7"/>
<trkpt lat="46.2" lon="13.7"><ele>510</ele><time>nonsense</time></trkpt>
<trkpt lat="46.2001" lon="13.7001"><ele>511</ele><time>2024-05-18T10:00:00Z</time></trkpt>
<trkpt lat="46.2001" lon=""/></trkseg></trk></gpx>
"""

TCX = b"""<?xml version="1.0"?>
<TrainingCenterDatabase><Activities><Activity Sport="Biking"><Id>2024-05-18T09:00:00Z</Id>
<Lap><DistanceMeters>123.5</DistanceMeters><Track>
<Trackpoint><Time>2024-05-18T09:00:00Z</Time><Position><LatitudeDegrees>46.1</LatitudeDegrees>
<LongitudeDegrees>13.7</LongitudeDegrees></Position><AltitudeMeters>500</AltitudeMeters></Trackpoint>
<Trackpoint><Time>2024-05-18T09:00:10Z</Time><Position><LatitudeDegrees>46.101</LatitudeDegrees>
<LongitudeDegrees>13.7</LongitudeDegrees></Position></Trackpoint></Track></Lap></Activity></Activities>
</TrainingCenterDatabase>
"""

KML = b"""<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>
<Placemark><name>line</name><LineString><coordinates>13.7,46.1,500 13.8,46.2,510 13.9,46.2,520</coordinates>
</LineString></Placemark></Document></kml>
"""

GEOJSON = json.dumps(
    {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"name": "two lines"},
                "geometry": {
                    "type": "MultiLineString",
                    "coordinates": [[[13, 46, 5], [13.1, 46.1, 6]], [[14, 46], [14.1, 46.1], [14.2, 46.1]]],
                },
            },
            {
                "type": "Feature",
                "properties": {"name": "times", "coordTimes": ["2024-01-01T00:00:00Z", "2024-01-01T00:10:00Z"]},
                "geometry": {"type": "LineString", "coordinates": [[179.9, 0], [-179.9, 0.1]]},
            },
        ],
    }
).encode()

GOOGLE_TIMELINE = json.dumps(
    {
        "locations": [
            {"latitudeE7": 461000000 + 1000 * i, "longitudeE7": 137000000, "accuracy": 20 + i, "timestamp": time}
            for i, time in enumerate(["2024-05-18T09:00:00Z", "2024-05-18T09:01:00Z", "2024-05-18T09:02:00.5Z"])
        ]
    }
).encode()

OWNTRACKS = b"\n".join(
    time + b"\t*                 \t" + json.dumps({"_type": "location", "tid": "ab", "lon": 13.7, **values}).encode()
    for time, values in [
        (b"2024-05-18T09:00:00Z", {"lat": 46.1, "tst": 1716022800, "acc": 12}),
        (b"2024-05-18T09:01:00Z", {"lat": 46.101, "tst": 1716022860, "acc": 15, "alt": 500}),
    ]
)

OVERLAND = json.dumps(
    {
        "locations": [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [13.7, 46.1 + i / 1000]},
                "properties": {
                    "timestamp": f"2024-05-18T09:0{i}:00Z",
                    "altitude": 500 + i,
                    "horizontal_accuracy": 5 + i,
                    "device_id": "phone",
                },
            }
            for i in range(3)
        ]
    }
).encode()


def _nmea(text: str) -> str:
    checksum = 0
    for byte in text.encode():
        checksum ^= byte
    return f"${text}*{checksum:02X}\r\n"


NMEA = "".join(
    _nmea(f"GPRMC,09000{i}.00,A,4606.{1000 + i * 50:04d},N,01342.0000,E,1.0,0.0,180524,,,A") for i in range(5)
).encode()

IGC = (
    "AXXX001\r\nHFDTE180524\r\nHFGIDGLIDERID:D-1234\r\n"
    + "".join(f"B0900{i:02d}46{6000 + i * 20:05d}N013{42000:05d}EA{500 + i:05d}{510 + i:05d}\r\n" for i in range(5))
).encode()

PLT = (
    b"OziExplorer Track Point File Version 2.1\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n"
    b"0,2,255,my track,0,0,2,8421376\r\n0\r\n"
    b"46.1,13.7,1,1640.4,45430.375,18-May-24,9:00:00\r\n46.2,13.7,0,-777,45430.3757,18-May-24,9:01:00\r\n"
    b"46.3,13.7,1,1650,45430.3764,18-May-24,9:02:00\r\n46.4,13.7,0,1650,45430.3771,18-May-24,9:03:00\r\n"
)

POLYLINE = b"_p~iF~ps|U_ulLnnqC_mqNvxq`@\n_p~iF~ps|U_ulLnnqC\n"

WKT = b"SRID=4326;LINESTRING Z (13 46 5, 13.1 46.1 6, 13.2 46.1 7)\nMULTILINESTRING ((1 2, 3 4), (5 6, 7 8))\n"

CSV = b"""lon,lat,time,ele,accuracy,part
13.7,46.1,2024-05-18T09:00:00Z,500,5,a
13.7,46.1001,2024-05-18T09:00:10Z,501,,a
,46.1001,2024-05-18T09:00:15Z,501,,a
13.7,46.1002,,,50,a
13.7,nan,2024-05-18T09:00:20Z,501,,b
13.7,46.2,2024-05-18T09:00:30Z,502,3,b
13.7003,46.2,2024-05-18T09:00:50.123456789Z,503,3,b
13.7009,95,2024-05-18T09:00:55Z,503,3,b
13.7011,46.2,2024-05-18T09:00:40Z,504,3,b
"""


def _fit_crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def _fit() -> bytes:
    def definition(local: int, message: int, fields: list[tuple[int, int, int]]) -> bytes:
        return struct.pack("<BBBHB", 0x40 | local, 0, 0, message, len(fields)) + bytes(sum(fields, ()))

    start = 1_084_957_200  # seconds since 1989-12-31
    body = definition(0, 0, [(0, 1, 0)]) + struct.pack("<BB", 0, 4)
    body += definition(1, 20, [(253, 4, 0x86), (0, 4, 0x85), (1, 4, 0x85), (2, 2, 0x84), (5, 4, 0x86)])
    for i in range(5):
        latitude, longitude = (int((46.1 + i / 1000) / 180 * 2**31), int(13.7 / 180 * 2**31))
        body += struct.pack("<BIiiHI", 1, start + 10 * i, latitude, longitude, (500 + i + 500) * 5, 11100 * i)
    header = struct.pack("<BBHI4s", 14, 0x20, 2100, len(body), b".FIT")
    header += struct.pack("<H", _fit_crc(header))
    return header + body + struct.pack("<H", _fit_crc(header + body))


FILES = {
    "gpx": GPX,
    "tcx": TCX,
    "kml": KML,
    "fit": _fit(),
    "geojson": GEOJSON,
    "google-timeline": GOOGLE_TIMELINE,
    "owntracks": OWNTRACKS,
    "overland": OVERLAND,
    "nmea": NMEA,
    "igc": IGC,
    "plt": PLT,
    "polyline": POLYLINE,
    "wkt": WKT,
    "csv": CSV,
}
