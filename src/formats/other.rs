//! Formats that are recognised and not read, and the advice for each of them.

/// A format that is not read, for an error message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Other {
    /// What the file is, with an article.
    pub found: &'static str,
    pub advice: &'static str,
}

/// The advice for a file that is in none of these formats.
pub(super) const UNKNOWN: &str = "supported are GPX, TCX, KML, FIT, GeoJSON, NMEA, IGC, PLT, WKT, CSV and others; \
                                  convert it to GPX first, for example with GPSBabel";
const CONVERT: &str = "convert it to GPX first, for example with GPSBabel";
const UNPACK: &str = "unpack it first";
const OGR: &str = "convert it to GeoJSON first, for example with ogr2ogr";
const EXPORT_CSV: &str = "save the table as CSV first";
const IMAGE: &str = "an image has no track; export the track itself";
const VIDEO: &str = "extract its track first, for example with ExifTool";
const PAGE: &str = "download the track itself; if the page asks for a password, sign in first";
const ANSWER: &str =
    "the server sent no track; check the address and the sign-in, and download it again";

/// Bytes at an offset that identify a binary format.
struct Signature {
    offset: usize,
    bytes: &'static [u8],
    other: Other,
}

const fn signature(
    offset: usize,
    bytes: &'static [u8],
    found: &'static str,
    advice: &'static str,
) -> Signature {
    Signature { offset, bytes, other: Other { found, advice } }
}

/// All within the first 16 bytes of a file.
const SIGNATURES: [Signature; 40] = [
    signature(0, b"\0\0\x27\x0a", "a Shapefile", OGR),
    signature(0, b"fgb\x03fgb", "a FlatGeobuf file", OGR),
    signature(0, b"MsRcf\0", "a Garmin GDB file", CONVERT),
    signature(0, b"MsRcd\0", "a Garmin GDB file", CONVERT),
    signature(4, b"\x0a\x09OSMHeader", "OpenStreetMap data (PBF)", "download the trace as GPX"),
    signature(0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    signature(0, b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    signature(0, b"\xfd7zXZ\0", "xz-compressed data", UNPACK),
    signature(4, b"1AY&SY", "bzip2-compressed data", UNPACK),
    signature(0, b"\x28\xb5\x2f\xfd", "zstd-compressed data", UNPACK),
    signature(0, b"\x04\x22\x4d\x18", "lz4-compressed data", UNPACK),
    signature(0, b"%PDF-", "a PDF document", "export the track itself"),
    signature(0, b"\xff\xd8\xff", "a JPEG image", IMAGE),
    signature(0, b"\x89PNG\r\n\x1a\n", "a PNG image", IMAGE),
    signature(0, b"GIF87a", "a GIF image", IMAGE),
    signature(0, b"GIF89a", "a GIF image", IMAGE),
    signature(0, b"II*\0", "a TIFF image", IMAGE),
    signature(0, b"MM\0*", "a TIFF image", IMAGE),
    signature(8, b"WEBP", "a WebP image", IMAGE),
    signature(4, b"ftypheic", "a HEIC image", IMAGE),
    signature(4, b"ftypheix", "a HEIC image", IMAGE),
    signature(4, b"ftypmif1", "a HEIC image", IMAGE),
    signature(4, b"ftypavif", "an AVIF image", IMAGE),
    signature(4, b"ftyp", "an MP4 or QuickTime video", VIDEO),
    signature(8, b"AVI ", "an AVI video", VIDEO),
    signature(0, b"\x1aE\xdf\xa3", "a Matroska video", VIDEO),
    signature(
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "a Microsoft Office document, perhaps XLS",
        EXPORT_CSV,
    ),
    signature(0, b"ARROW1", "an Arrow or Feather file", "save the table as CSV or Parquet first"),
    signature(0, b"ORC\x11", "an ORC file", EXPORT_CSV),
    signature(0, b"Obj\x01", "an Avro file", EXPORT_CSV),
    signature(0, b"\x89HDF\r\n\x1a\n", "an HDF5 or netCDF file", EXPORT_CSV),
    signature(0, b"CDF\x01", "a netCDF file", EXPORT_CSV),
    signature(0, b"CDF\x02", "a netCDF file", EXPORT_CSV),
    signature(0, b"PGDMP", "a PostgreSQL dump", "export the tracks as CSV or GeoJSON first"),
    signature(0, b"bplist00", "an Apple property list", CONVERT),
    signature(
        0,
        b"\xb5\x62\x01",
        "a u-blox UBX log",
        "convert it to NMEA first, for example with RTKLIB",
    ),
    signature(0, b"\xa0\xa2", "a SiRF binary log", CONVERT),
    signature(0, b"DSIMG", "a Garmin map", "a map has no track; export the track itself"),
    signature(0, b"\x7fELF", "a program", "choose a track file"),
    signature(0, b"MZ\x90\0", "a program", "choose a track file"),
];

/// Returns the binary format of a file that starts with `head`.
pub(super) fn binary(head: &[u8]) -> Option<Other> {
    if head.starts_with(b"SQLite format 3\0") {
        let found = match head.get(68..72) {
            Some(b"GPKG" | b"GP10" | b"GP11") => "a GeoPackage",
            Some(b"MPBX") => "an MBTiles map",
            _ => "an SQLite database, perhaps a GeoPackage",
        };
        return Some(Other { found, advice: "export the tracks as GPX or GeoJSON first" });
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(Other { found: "a tar archive", advice: UNPACK });
    }
    let matches = |signature: &&Signature| {
        let end = signature.offset + signature.bytes.len();
        head.get(signature.offset..end) == Some(signature.bytes)
    };
    SIGNATURES.iter().find(matches).map(|signature| signature.other)
}

/// The starts of texts, without regard to case.
const TEXTS: [(&str, &str, &str); 17] = [
    ("<!doctype html", "a web page", PAGE),
    ("<html", "a web page", PAGE),
    ("<head", "a web page", PAGE),
    ("<script", "a web page", PAGE),
    ("(function", "a script of a web page", PAGE),
    ("!function", "a script of a web page", PAGE),
    ("window.", "a script of a web page", PAGE),
    ("[params]", "a Polar HRM file", "it has no positions; export the exercise as GPX or TCX"),
    ("oziexplorer waypoint", "an OziExplorer waypoint file", "choose the track file (.plt)"),
    ("oziexplorer route", "an OziExplorer route file", CONVERT),
    ("h  software name & version", "a Garmin PCX5 file", CONVERT),
    ("grid\tlat/lon", "a Garmin MapSource text file", CONVERT),
    ("g  wgs 84", "a CompeGPS track", CONVERT),
    ("version https://git-lfs", "a Git LFS pointer", "fetch the file itself with git lfs pull"),
    ("begin:vcalendar", "a calendar", "export the track itself"),
    ("begin:vcard", "an address card", "export the track itself"),
    ("%!ps", "a PostScript document", "export the track itself"),
];

/// Returns the format of a text that starts with `head`.
pub(super) fn text(head: &[u8]) -> Option<Other> {
    let start = head.trim_ascii_start();
    let found = TEXTS.iter().find(|(text, _, _)| {
        start.get(..text.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(text.as_bytes()))
    });
    if let Some(&(_, found, advice)) = found {
        return Some(Other { found, advice });
    }
    let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    if first_line.ends_with(b"RINEX VERSION / TYPE") {
        let advice = "compute positions from its measurements first, for example with RTKLIB";
        return Some(Other { found: "a RINEX file", advice });
    }
    is_answer(start).then_some(Other { found: "an error message in JSON", advice: ANSWER })
}

/// Returns whether a text is a JSON object that a server sends if it has no track.
fn is_answer(text: &[u8]) -> bool {
    // A member of a track that such an answer does not have.
    const TRACK_MEMBERS: [&[u8]; 7] = [
        b"\"type\"",
        b"\"features\"",
        b"\"coordinates\"",
        b"\"locations\"",
        b"\"timelineObjects\"",
        b"\"semanticSegments\"",
        b"\"_type\"",
    ];
    const ANSWER_MEMBERS: [&[u8]; 5] =
        [b"\"error\"", b"\"errors\"", b"\"message\"", b"\"error_description\"", b"\"status_code\""];
    let has = |member: &&[u8]| text.windows(member.len()).any(|window| window == *member);
    let text = text.trim_ascii();
    text.starts_with(b"{")
        && text.ends_with(b"}")
        && text.len() <= 4096
        && ANSWER_MEMBERS.iter().any(&has)
        && !TRACK_MEMBERS.iter().any(has)
}

/// The root elements of XML formats, without regard to case.
const ROOTS: [(&str, &str, &str); 21] = [
    ("html", "a web page", PAGE),
    ("osm", "OpenStreetMap data", "download the trace as GPX"),
    ("osmChange", "OpenStreetMap data", "download the trace as GPX"),
    ("sml", "a Suunto SML file", "export the exercise as GPX or FIT"),
    ("polar-exercise-data", "a Polar XML file", "export the exercise as GPX or TCX"),
    ("loc", "a file of geocaches", "it has no tracks; choose a track file"),
    ("CityModel", "a CityGML model", "it has no tracks; choose a track file"),
    ("FeatureCollection", "a GML file", OGR),
    ("svg", "an SVG image", IMAGE),
    ("rss", "a news feed", CONVERT),
    ("feed", "a news feed", CONVERT),
    ("plist", "an Apple property list", CONVERT),
    ("Workbook", "an Excel workbook", EXPORT_CSV),
    ("workout_file", "a Zwift workout", "it has no positions; choose the FIT file of the ride"),
    ("qgis", "a QGIS project", "export the layer of the tracks as GPX or GeoJSON"),
    ("VRTDataset", "a GDAL virtual raster", "it has no tracks; choose a track file"),
    ("OGRVRTDataSource", "a GDAL virtual source", OGR),
    ("Error", "an error message in XML", ANSWER),
    ("ExceptionReport", "an error message in XML", ANSWER),
    ("ServiceExceptionReport", "an error message in XML", ANSWER),
    ("Capabilities", "the description of a map service", "download the track itself"),
];

/// Returns the format of an XML document with this root element, without its prefix.
pub(super) fn xml(root: &str) -> Option<Other> {
    let found = ROOTS.iter().find(|(name, _, _)| name.eq_ignore_ascii_case(root));
    found.map(|&(_, found, advice)| Other { found, advice })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signature_is_found_first_for_its_own_bytes() {
        for signature in &SIGNATURES {
            assert!(signature.offset + signature.bytes.len() <= 16);
            let mut head = vec![b' '; 16];
            head[signature.offset..][..signature.bytes.len()].copy_from_slice(signature.bytes);
            assert_eq!(binary(&head), Some(signature.other));
        }
    }

    #[test]
    fn databases_are_told_apart_by_their_application() {
        let mut head = b"SQLite format 3\0".to_vec();
        assert_eq!(binary(&head).unwrap().found, "an SQLite database, perhaps a GeoPackage");
        head.resize(100, 0);
        head[68..72].copy_from_slice(b"GPKG");
        assert_eq!(binary(&head).unwrap().found, "a GeoPackage");
        head[68..72].copy_from_slice(b"MPBX");
        assert_eq!(binary(&head).unwrap().found, "an MBTiles map");
    }

    #[test]
    fn an_error_message_of_a_server_is_no_track() {
        assert!(is_answer(b"{\"error\": \"not found\"}\n"));
        assert!(is_answer(b"{\n\"message\": \"Unauthorized\",\n\"status\": 401}"));
        for track in [
            "{\"type\":\"Feature\",\"properties\":{\"message\":1}}",
            "{\"error\":0,\"locations\":[]}",
            "{\"error\":",
            "error,lat,lon",
        ] {
            assert!(!is_answer(track.as_bytes()), "{track}");
        }
    }
}
