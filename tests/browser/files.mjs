// A file of each format, with the same track of 30 points in each of them.
import { readFileSync } from "node:fs";
import path from "node:path";
import { crc32, gzipSync } from "node:zlib";
import { ROOT } from "./harness.mjs";

const START = Date.UTC(2024, 4, 1, 10);
const POINTS = Array.from({ length: 30 }, (_, index) => ({
    lat: 46 + index * 0.001, lon: 13 + index * 0.001, ele: 200 + index, date: new Date(START + index * 10000),
}));

/** The length of the track on a sphere, which is within 0.5 % of that on the ellipsoid. */
const LENGTH_M = POINTS.slice(1).reduce((sum, { lat, lon }, index) => {
    const radians = (degrees) => (degrees * Math.PI) / 180;
    const [from, half] = [POINTS[index], (value) => Math.sin(radians(value) / 2) ** 2];
    const square = half(lat - from.lat) + Math.cos(radians(lat)) * Math.cos(radians(from.lat)) * half(lon - from.lon);
    return sum + 2 * 6371008.8 * Math.asin(Math.sqrt(square));
}, 0);

const iso = ({ date }) => date.toISOString().replace(".000", "");
const seconds = ({ date }) => date.getTime() / 1000;
const digits = (value, count) => String(value).padStart(count, "0");
const clock = ({ date }) => iso({ date }).slice(11, 19).replaceAll(":", "");
const each = (line, separator = "\n") => POINTS.map(line).join(separator);

/** Returns degrees and minutes, such as 4600.0600. */
function minutes(degrees, width, decimals) {
    const whole = Math.floor(degrees);
    return digits(whole, width) + ((degrees - whole) * 60).toFixed(decimals).padStart(3 + decimals, "0");
}

function gpx() {
    const points = each((point) => `<trkpt lat="${point.lat}" lon="${point.lon}"><ele>${point.ele}</ele><time>${iso(point)}</time></trkpt>`);
    return `<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><name>Walk</name><trkseg>${points}</trkseg></trk></gpx>`;
}

function tcx() {
    const points = each(
        (point) =>
            `<Trackpoint><Time>${iso(point)}</Time><Position><LatitudeDegrees>${point.lat}</LatitudeDegrees>` +
            `<LongitudeDegrees>${point.lon}</LongitudeDegrees></Position><AltitudeMeters>${point.ele}</AltitudeMeters></Trackpoint>`,
    );
    const start = iso(POINTS[0]);
    return (
        `<?xml version="1.0"?><TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"><Activities>` +
        `<Activity Sport="Running"><Id>${start}</Id><Lap StartTime="${start}"><Track>${points}</Track></Lap></Activity></Activities></TrainingCenterDatabase>`
    );
}

function kml() {
    const coordinates = each(({ lat, lon, ele }) => `${lon},${lat},${ele}`, " ");
    return `<kml xmlns="http://www.opengis.net/kml/2.2"><Placemark><LineString><coordinates>${coordinates}</coordinates></LineString></Placemark></kml>`;
}

/** Returns an activity: a header of 14 bytes, the definition of a record, the records, and the checksum. */
function fit() {
    // The fields of a record (message 20): number, size and base type of time, latitude, longitude and altitude.
    const fields = [[253, 4, 0x86], [0, 4, 0x85], [1, 4, 0x85], [2, 2, 0x84]];
    const definition = Buffer.from([0x40, 0, 0, 20, 0, fields.length, ...fields.flat()]);
    const records = POINTS.map((point) => {
        const record = Buffer.alloc(15);
        // Seconds since 1989-12-31, semicircles, and fifths of a metre above -500 m.
        record.writeUInt32LE(seconds(point) - Date.UTC(1989, 11, 31) / 1000, 1);
        record.writeInt32LE(Math.round((point.lat * 2 ** 31) / 180), 5);
        record.writeInt32LE(Math.round((point.lon * 2 ** 31) / 180), 9);
        record.writeUInt16LE((point.ele + 500) * 5, 13);
        return record;
    });
    const data = Buffer.concat([definition, ...records]);
    const header = Buffer.alloc(14);
    header.set([14, 0x10], 0);
    header.writeUInt16LE(2132, 2);
    header.writeUInt32LE(data.length, 4);
    header.write(".FIT", 8, "latin1");
    header.writeUInt16LE(fitChecksum(header.subarray(0, 12)), 12);
    const checksum = Buffer.alloc(2);
    checksum.writeUInt16LE(fitChecksum(Buffer.concat([header, data])));
    return Buffer.concat([header, data, checksum]);
}

/** CRC-16 with the reversed polynomial 0xA001. */
function fitChecksum(bytes) {
    let crc = 0;
    for (const byte of bytes) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit += 1) {
            crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
        }
    }
    return crc;
}

function geoJson() {
    const coordinates = POINTS.map(({ lat, lon, ele }) => [lon, lat, ele]);
    return JSON.stringify({ type: "Feature", properties: { coordTimes: POINTS.map(iso) }, geometry: { type: "LineString", coordinates } });
}

function googleTimeline() {
    const location = (point) => ({
        latitudeE7: Math.round(point.lat * 1e7), longitudeE7: Math.round(point.lon * 1e7), accuracy: 5, timestamp: iso(point),
    });
    return JSON.stringify({ locations: POINTS.map(location) });
}

const ownTracks = () =>
    each((point) => JSON.stringify({ _type: "location", lat: point.lat, lon: point.lon, alt: point.ele, acc: 5, tst: seconds(point), tid: "ab" }));

function overland() {
    const location = (point) => ({
        type: "Feature",
        geometry: { type: "Point", coordinates: [point.lon, point.lat] },
        properties: { timestamp: iso(point), altitude: point.ele, horizontal_accuracy: 5, device_id: "phone" },
    });
    return JSON.stringify({ locations: POINTS.map(location) });
}

function nmea() {
    const sentence = (text) => {
        const sum = [...text].reduce((xor, letter) => xor ^ letter.charCodeAt(0), 0);
        return `$${text}*${digits(sum.toString(16).toUpperCase(), 2)}\r\n`;
    };
    return each((point) => {
        const position = `${minutes(point.lat, 2, 4)},N,${minutes(point.lon, 3, 4)},E`;
        return (
            sentence(`GPRMC,${clock(point)},A,${position},10.0,45.0,010524,,,A`) +
            sentence(`GPGGA,${clock(point)},${position},1,08,1.0,${point.ele}.0,M,47.0,M,,`)
        );
    }, "");
}

function igc() {
    const short = (degrees, width) => minutes(degrees, width, 3).replace(".", "");
    const fix = (point) =>
        `B${clock(point)}${short(point.lat, 2)}N${short(point.lon, 3)}EA${digits(point.ele, 5)}${digits(point.ele, 5)}`;
    return `AXXX001\r\nHFDTE010524\r\n${each(fix, "\r\n")}\r\n`;
}

function plt() {
    const head = "OziExplorer Track Point File Version 2.1\nWGS 84\nAltitude is in Feet\nReserved 3\n0,2,255,Walk,0,0,2,8421376\n30\n";
    const day = (point) => seconds(point) / 86400 + 25569;
    return head + each((point, index) => `${point.lat},${point.lon},${index ? 0 : 1},${(point.ele * 3.28084).toFixed(1)},${day(point).toFixed(7)}`);
}

function polyline() {
    const number = (value) => {
        let rest = value < 0 ? ~(value << 1) : value << 1;
        let text = "";
        for (; rest >= 0x20; rest >>= 5) {
            text += String.fromCharCode((0x20 | (rest & 0x1f)) + 63);
        }
        return text + String.fromCharCode(rest + 63);
    };
    let before = [0, 0];
    return each(({ lat, lon }) => {
        const now = [Math.round(lat * 1e5), Math.round(lon * 1e5)];
        const text = now.map((value, axis) => number(value - before[axis])).join("");
        before = now;
        return text;
    }, "");
}

const wkt = () => `LINESTRING Z (${each(({ lat, lon, ele }) => `${lon} ${lat} ${ele}`, ", ")})`;
const csv = () => `lon,lat,ele,time\n${each((point) => `${point.lon},${point.lat},${point.ele},${iso(point)}`)}\n`;

/** Returns an archive of files that are not compressed. */
function zip(files) {
    const [parts, directory] = [[], []];
    let offset = 0;
    for (const [name, content] of Object.entries(files)) {
        const data = Buffer.from(content);
        const common = Buffer.alloc(26);
        common.writeUInt16LE(20, 0);
        common.writeUInt32LE(crc32(data), 10);
        common.writeUInt32LE(data.length, 14);
        common.writeUInt32LE(data.length, 18);
        common.writeUInt16LE(name.length, 22);
        const place = Buffer.alloc(14);
        place.writeUInt32LE(offset, 10);
        const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), common, Buffer.from(name), data]);
        directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00", "latin1"), common, place, Buffer.from(name)]));
        parts.push(local);
        offset += local.length;
    }
    const central = Buffer.concat(directory);
    const end = Buffer.alloc(22);
    end.write("PK\x05\x06", "latin1");
    end.writeUInt16LE(directory.length, 8);
    end.writeUInt16LE(directory.length, 10);
    end.writeUInt32LE(central.length, 12);
    end.writeUInt32LE(offset, 16);
    return Buffer.concat([...parts, central, end]);
}

/** Returns a seed of the fuzz targets, which has a byte of options before the file. */
const seed = (name) => readFileSync(path.join(ROOT, "fuzz/seeds", name)).subarray(1);

/** The files, each with its format if it is one of --format, and its length. */
export const FILES = [
    { format: "gpx", name: "walk.gpx", content: gpx(), length: LENGTH_M },
    { format: "tcx", name: "walk.tcx", content: tcx(), length: LENGTH_M },
    { format: "kml", name: "walk.kml", content: kml(), length: LENGTH_M },
    { format: "fit", name: "walk.fit", content: fit(), length: LENGTH_M },
    { format: "geojson", name: "walk.geojson", content: geoJson(), length: LENGTH_M },
    { format: "google-timeline", name: "Records.json", content: googleTimeline(), length: LENGTH_M },
    { format: "owntracks", name: "walk.rec", content: ownTracks(), length: LENGTH_M },
    { format: "overland", name: "batch.json", content: overland(), length: LENGTH_M },
    { format: "nmea", name: "walk.nmea", content: nmea(), length: LENGTH_M },
    { format: "igc", name: "walk.igc", content: igc(), length: LENGTH_M },
    { format: "plt", name: "walk.plt", content: plt(), length: LENGTH_M },
    { format: "polyline", name: "walk.polyline", content: polyline(), length: LENGTH_M },
    { format: "wkt", name: "walk.wkt", content: wkt(), length: LENGTH_M },
    { format: "csv", name: "walk.csv", content: csv(), length: LENGTH_M },
    { format: "parquet", name: "walk.parquet", content: seed("parquet/geo_lines"), length: null },
    { format: null, name: "walk.kmz", content: zip({ "doc.kml": kml() }), length: LENGTH_M },
    { format: null, name: "walk.gpx.gz", content: gzipSync(gpx()), length: LENGTH_M },
    { format: null, name: "walks.zip", content: zip({ "a.gpx": gpx(), "b/c.csv": csv(), "d.fit": fit() }), length: 3 * LENGTH_M },
];
