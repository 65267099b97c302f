//! The metadata of GeoParquet: the geometry column, its encoding and its coordinate reference system.

use serde_json::Value;

use super::super::error::FormatError;
use super::super::note::NoteKind;
use super::super::track_writer::TrackWriter;
use super::geometry::Encoding;
use crate::measure::Space;

/// The geometry column of a file.
pub(super) struct GeometryColumn {
    pub name: String,
    pub encoding: Encoding,
}

/// The reference systems with longitudes and latitudes of WGS 84.
const WGS84: [(&str, &str); 4] =
    [("OGC", "CRS84"), ("OGC", "CRS84h"), ("EPSG", "4326"), ("EPSG", "4979")];

fn column_error(message: String) -> FormatError {
    FormatError::Column(message)
}

/// Reads the metadata with the key `geo`.
///
/// # Errors
/// If they are damaged, or the coordinates are not longitudes and latitudes of WGS 84 and the space is not
/// planar.
pub(super) fn read(
    text: &str,
    space: Space,
    out: &mut TrackWriter<'_>,
) -> Result<GeometryColumn, FormatError> {
    let damaged = |what: &str| column_error(format!("the GeoParquet metadata are damaged: {what}"));
    let geo: Value = serde_json::from_str(text).map_err(|error| damaged(&error.to_string()))?;
    let name = geo["primary_column"].as_str().ok_or_else(|| damaged("no primary_column"))?;
    let column = &geo["columns"][name];
    let encoding = column["encoding"].as_str().ok_or_else(|| damaged("no encoding"))?;
    let Some(encoding) = Encoding::named(encoding) else {
        return Err(column_error(format!(
            "the geometry column has the encoding {encoding:?}, which is not read; \
             WKB, point, linestring and multilinestring are"
        )));
    };
    if space == Space::Geographic {
        check_reference_system(column.get("crs"), out)?;
    }
    Ok(GeometryColumn { name: name.to_owned(), encoding })
}

fn check_reference_system(
    crs: Option<&Value>,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    // Without the member it is OGC:CRS84.
    let Some(crs) = crs else { return Ok(()) };
    if crs.is_null() {
        let message = "the file does not name its coordinate reference system; WGS 84 is assumed";
        return out.file_note(NoteKind::AssumedReferenceSystem, None, message);
    }
    let authority = crs["id"]["authority"].as_str();
    let code = match &crs["id"]["code"] {
        Value::String(code) => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    };
    let id = authority.zip(code.as_deref());
    if id.is_some_and(|id| WGS84.contains(&id)) {
        return Ok(());
    }
    let name = crs["name"].as_str().unwrap_or("without a name");
    if id.is_none() && name.contains("WGS 84") && crs["type"] == "GeographicCRS" {
        return Ok(());
    }
    let id = id.map_or(String::new(), |(authority, code)| format!(" ({authority}:{code})"));
    Err(column_error(format!(
        "the coordinate reference system is {name:?}{id}, not WGS 84; convert the file to WGS 84, or use \
         --model planar if its coordinates are metres"
    )))
}
