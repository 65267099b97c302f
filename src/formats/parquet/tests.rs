//! Tests of the reader of Parquet files. They write their files with the same library.

use std::io::Cursor;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use arrow_array::types::Float64Type;
use arrow_array::{
    ArrayRef, BinaryArray, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field};
use proptest::prelude::*;

use super::super::tests::{Recorded, error_with};
use super::super::{ReadOptions, TrackColumn, read_seekable};
use super::wkb::{self, Geometry};
use crate::measure::Space;

/// Writes a file with these columns, and with this metadata of GeoParquet.
fn file_with(columns: &[(&str, ArrayRef)], geo: Option<&str>, compression: Compression) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.iter().map(|(name, array)| (*name, Arc::clone(array), true)),
    )
    .unwrap();
    let geo = geo.map(|geo| vec![KeyValue::new("geo".to_owned(), geo.to_owned())]);
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(3))
        .set_key_value_metadata(geo)
        .build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

fn file(columns: &[(&str, ArrayRef)]) -> Vec<u8> {
    file_with(columns, None, Compression::SNAPPY)
}

fn texts_with(file: &[u8], options: &ReadOptions) -> String {
    let mut found = Recorded::default();
    let result = read_seekable(Cursor::new(file.to_vec()), options, &mut found);
    let error = result.err().map(|error| error.in_file("f.parquet") + "\n");
    found.ended.concat() + &found.notes.concat() + &error.unwrap_or_default()
}

fn texts(file: &[u8]) -> String {
    texts_with(file, &ReadOptions::default())
}

fn f64s(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn strings(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// The metadata of GeoParquet for the column `geometry`.
fn geo(encoding: &str, crs: &str) -> String {
    format!(
        r#"{{"version":"1.1.0","primary_column":"geometry","columns":{{"geometry":{{"encoding":"{encoding}","geometry_types":[]{crs}}}}}}}"#
    )
}

/// A point in WKB.
fn wkb_point(x: f64, y: f64) -> Vec<u8> {
    [&[1, 1, 0, 0, 0][..], &x.to_le_bytes(), &y.to_le_bytes()].concat()
}

/// A LineString in WKB of big-endian numbers, with a type code.
fn wkb_line(code: u32, points: &[&[f64]]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(code.to_be_bytes());
    bytes.extend((points.len() as u32).to_be_bytes());
    for value in points.iter().copied().flatten() {
        bytes.extend(value.to_be_bytes());
    }
    bytes
}

fn wkb_column(values: &[Option<Vec<u8>>]) -> ArrayRef {
    Arc::new(BinaryArray::from_iter(values.iter().map(Option::as_deref)))
}

#[test]
fn columns_are_found_by_their_names() {
    let columns: [(&str, ArrayRef); 6] = [
        ("Speed", f64s(&[1.0, 2.0, 3.0, 4.0])),
        ("GPS Latitude", f64s(&[46.0, 46.5, f64::NAN, 46.25])),
        ("lng", Arc::new(Float32Array::from(vec![Some(13.5), None, Some(13.5), Some(13.75)]))),
        ("altitude", Arc::new(Int32Array::from(vec![Some(100), None, Some(1), Some(300)]))),
        ("timestamp", strings(&["2024-02-01T10:00:00Z", "", "x", "noon"])),
        ("h_acc", f64s(&[5.0, 5.0, 5.0, f64::NAN])),
    ];
    // 2024-02-01T10:00:00Z is 1706781600 (date -u -d 2024-02-01T10:00:00Z +%s).
    let expected = texts(&file(&columns));
    insta::assert_snapshot!(expected, @r#"
    track / (13.5 46 z100 t1706781600 a5) (invalid) (invalid) (13.75 46.25 z300) = none
    invalid_position, record 2: 2 points without a valid position are skipped; the first one: the longitude is null
    invalid_time, record 3: 2 invalid times are ignored; the first one: the time "x" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970
    "#);
    for compression in
        [Compression::UNCOMPRESSED, Compression::GZIP(Default::default()), Compression::LZ4_RAW]
    {
        assert_eq!(texts(&file_with(&columns, None, compression)), expected);
    }
    let options = ReadOptions {
        y_column: Some("2".to_owned()),
        x_column: Some("LNG".to_owned()),
        z_column: Some("speed".to_owned()),
        ..Default::default()
    };
    assert!(texts_with(&file(&columns), &options).contains("(13.75 46.25 z4"));
}

#[test]
fn times_are_read_in_every_unit() {
    let (lat, lon) = (f64s(&[46.0, 46.5]), f64s(&[13.0, 13.0]));
    let s = 1_706_781_600;
    let columns: [ArrayRef; 6] = [
        Arc::new(
            TimestampMillisecondArray::from(vec![s * 1000, s * 1000 + 500]).with_timezone("UTC"),
        ),
        Arc::new(
            TimestampMicrosecondArray::from(vec![s * 1_000_000, s * 1_000_000 + 500_000])
                .with_timezone("+01:00"),
        ),
        Arc::new(
            TimestampNanosecondArray::from(vec![
                s * 1_000_000_000,
                s * 1_000_000_000 + 500_000_000,
            ])
            .with_timezone("Europe/Ljubljana"),
        ),
        Arc::new(Int64Array::from(vec![s * 1000, s * 1000 + 500])),
        Arc::new(Float64Array::from(vec![s as f64, s as f64 + 0.5])),
        strings(&["2024-02-01T10:00:00Z", "2024-02-01T10:00:00.500Z"]),
    ];
    for time in columns {
        let found = texts(&file(&[("lat", lat.clone()), ("lon", lon.clone()), ("time", time)]));
        assert_eq!(found, "track / (13 46 t1706781600) (13 46.5 t1706781600.5) = none\n");
    }
    let local: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![s * 1000, i64::MAX]));
    insta::assert_snapshot!(texts(&file(&[("lat", lat), ("lon", lon), ("time", local)])), @r#"
    track / (13 46 t1706781600) (13 46.5) = none
    invalid_time, record 2: 1 invalid time is ignored: the time 9223372036854775807 is out of range
    assumed_zone, -: the times in the column "time" have no zone and are read as UTC
    "#);
}

#[test]
fn rows_are_divided_by_the_column_of_movers() {
    let columns = [
        ("id", strings(&["1", "2", "3", "4"])),
        ("vehicle_id", strings(&["a", "b", "a", "b"])),
        ("lat", f64s(&[46.0, 47.0, 46.5, 47.5])),
        ("lon", f64s(&[13.0; 4])),
        ("leg", Arc::new(Int64Array::from(vec![1, 1, 2, 1])) as ArrayRef),
    ];
    let file = file(&columns);
    insta::assert_snapshot!(texts(&file), @r#"
    track / (13 46) (13 46.5) = "a"
    track / (13 47) (13 47.5) = "b"
    grouped_rows, -: the rows are divided into 2 tracks by the column "vehicle_id"; use --track-column none to join them
    "#);
    let joined = ReadOptions { track_column: TrackColumn::None, ..Default::default() };
    assert_eq!(texts_with(&file, &joined), "track / (13 46) (13 47) (13 46.5) (13 47.5) = none\n");
    let chosen = ReadOptions {
        track_column: TrackColumn::Named("Vehicle_ID".to_owned()),
        segment_column: Some("leg".to_owned()),
        ..Default::default()
    };
    insta::assert_snapshot!(texts_with(&file, &chosen), @r#"
    track / (13 46) / (13 46.5) = "a"
    track / (13 47) (13 47.5) = "b"
    single_point_segments, record 4: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    "#);
}

#[test]
fn geometries_in_wkb_are_points_and_lines() {
    let points = wkb_column(&[
        Some(wkb_point(13.0, 46.0)),
        None,
        Some(wkb_point(13.5, 46.0)),
        Some(vec![1, 1]),
    ]);
    let times: ArrayRef = Arc::new(Int64Array::from(vec![1_706_781_600; 4]));
    let columns = [("geometry", points), ("time", times)];
    let text = geo("WKB", "");
    insta::assert_snapshot!(texts(&file_with(&columns, Some(&text), Compression::SNAPPY)), @r#"
    track / (13 46 t1706781600) (invalid) (13.5 46 t1706781600) (invalid) = none
    invalid_position, record 2: 2 points without a valid position are skipped; the first one: the geometry is null
    "#);
    // Without the metadata the name decides.
    assert_eq!(
        texts(&file(&columns)),
        texts(&file_with(&columns, Some(&text), Compression::SNAPPY))
    );
    let mut multi = [&[0][..], &5_u32.to_be_bytes(), &2_u32.to_be_bytes()].concat();
    multi.extend(wkb_line(2, &[&[1.0, 2.0], &[3.0, 4.0]]));
    multi.extend(wkb_line(2, &[&[5.0, 6.0], &[7.0, 8.0]]));
    let polygon = [&[1][..], &3_u32.to_le_bytes(), &0_u32.to_le_bytes()].concat();
    let lines = wkb_column(&[
        Some(wkb_line(1002, &[&[13.0, 46.0, 100.0], &[13.5, 46.0, 200.0]])),
        None,
        Some(multi),
        Some(polygon),
    ]);
    let columns = [("geometry", lines), ("name", strings(&["one", "two", "three", "four"]))];
    insta::assert_snapshot!(texts(&file_with(&columns, Some(&text), Compression::SNAPPY)), @r#"
    track / (13 46 z100) (13.5 46 z200) = "one"
    track / (1 2) (3 4) / (5 6) (7 8) = "three"
    ignored_content, record 2: a row without a geometry is ignored
    ignored_content, record 4: a geometry of the type Polygon is ignored
    "#);
}

#[test]
fn iso_and_ewkb_have_z_and_m() {
    let expected = |z| Ok(Geometry::Lines(vec![vec![[1.0, 2.0, z]]]));
    for (code, values, z) in [
        (1002, &[1.0, 2.0, 3.0][..], 3.0),
        (3002, &[1.0, 2.0, 3.0, 4.0], 3.0),
        (0x8000_0002, &[1.0, 2.0, 3.0], 3.0),
        (0xc000_0002, &[1.0, 2.0, 3.0, 4.0], 3.0),
    ] {
        assert_eq!(wkb::parse(&wkb_line(code, &[values])), expected(z), "{code:x}");
    }
    for code in [2002, 0x4000_0002] {
        let found = wkb::parse(&wkb_line(code, &[&[1.0, 2.0, 9.0]]));
        assert!(matches!(found, Ok(Geometry::Lines(lines)) if lines[0][0][2].is_nan()), "{code:x}");
    }
    let with_srid = |srid: u32| {
        let point = wkb_point(1.0, 2.0);
        [&[1, 1, 0, 0, 0x20][..], &srid.to_le_bytes(), &point[5..]].concat()
    };
    assert!(matches!(wkb::parse(&with_srid(4326)), Ok(Geometry::Point([1.0, 2.0, _]))));
    insta::assert_snapshot!(wkb::parse(&with_srid(25833)).unwrap_err(), @"the SRID 25833 of the geometry is not that of WGS 84");
    // A count that is larger than the bytes.
    let mut line = wkb_line(2, &[&[1.0, 2.0]]);
    line[5] = 0xff;
    insta::assert_snapshot!(wkb::parse(&line).unwrap_err(), @"the geometry is damaged: it ends early");
    assert_eq!(wkb::parse(&wkb_point(f64::NAN, f64::NAN)), Ok(Geometry::Empty));
}

#[test]
fn separate_coordinates_are_points_and_lines() {
    let xs = [13.0, 13.5, 14.0, 14.5];
    let point = |name: &str, values: &[f64]| {
        (Arc::new(Field::new(name, DataType::Float64, false)), f64s(values))
    };
    let points: ArrayRef =
        Arc::new(StructArray::from(vec![point("x", &xs), point("y", &[46.0; 4])]));
    let found =
        texts(&file_with(&[("geometry", points)], Some(&geo("point", "")), Compression::SNAPPY));
    assert_eq!(found, "track / (13 46) (13.5 46) (14 46) (14.5 46) = none\n");
    let pairs = |values: &[[f64; 2]]| {
        let values = values.iter().map(|pair| Some(pair.map(Some).to_vec()));
        FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(values, 2)
    };
    let pairs: ArrayRef = Arc::new(pairs(&[[13.0, 46.0], [13.5, 46.0]]));
    let found =
        texts(&file_with(&[("geometry", pairs)], Some(&geo("point", "")), Compression::SNAPPY));
    assert_eq!(found, "track / (13 46) (13.5 46) = none\n");
    let points = StructArray::from(vec![point("x", &xs), point("y", &[46.0; 4])]);
    let item =
        Arc::new(Field::new("vertices", arrow_array::Array::data_type(&points).clone(), false));
    let pair = || Some(vec![Some(0.0); 2]);
    let offsets =
        ListArray::from_iter_primitive::<Float64Type, _, _>([pair(), pair()]).offsets().clone();
    let lines: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::new(points), None));
    let found = texts(&file_with(
        &[("geometry", lines)],
        Some(&geo("linestring", "")),
        Compression::SNAPPY,
    ));
    assert_eq!(found, "track / (13 46) (13.5 46) = none\ntrack / (14 46) (14.5 46) = none\n");
}

#[test]
fn coordinates_of_another_reference_system_are_an_error() {
    let columns = [("geometry", wkb_column(&[Some(wkb_point(500_000.0, 5_000_000.0))]))];
    let with_crs = |crs: &str| file_with(&columns, Some(&geo("WKB", crs)), Compression::SNAPPY);
    let utm = with_crs(
        r#","crs":{"type":"ProjectedCRS","name":"ETRS89 / UTM zone 33N","id":{"authority":"EPSG","code":25833}}"#,
    );
    insta::assert_snapshot!(texts(&utm), @r#"f.parquet: the coordinate reference system is "ETRS89 / UTM zone 33N" (EPSG:25833), not WGS 84; convert the file to WGS 84, or use --model planar if its coordinates are metres"#);
    let planar = ReadOptions { space: Space::Planar, ..Default::default() };
    assert_eq!(texts_with(&utm, &planar), "track / (500000 5000000) = none\n");
    let columns = [("geometry", wkb_column(&[Some(wkb_point(13.0, 46.0))]))];
    let with_crs =
        |crs: &str| texts(&file_with(&columns, Some(&geo("WKB", crs)), Compression::SNAPPY));
    for crs in [
        r#","crs":{"id":{"authority":"OGC","code":"CRS84"}}"#,
        r#","crs":{"id":{"authority":"EPSG","code":4326}}"#,
        r#","crs":{"type":"GeographicCRS","name":"WGS 84 (CRS84)"}"#,
    ] {
        assert_eq!(with_crs(crs), "track / (13 46) = none\n", "{crs}");
    }
    insta::assert_snapshot!(with_crs(r#","crs":null"#), @r#"
    track / (13 46) = none
    assumed_reference_system, -: the file does not name its coordinate reference system; WGS 84 is assumed
    "#);
    let damaged = file_with(&columns, Some("{"), Compression::SNAPPY);
    insta::assert_snapshot!(texts(&damaged), @"f.parquet: the GeoParquet metadata are damaged: EOF while parsing an object at line 1 column 1");
    let polygons = file_with(&columns, Some(&geo("polygon", "")), Compression::SNAPPY);
    insta::assert_snapshot!(texts(&polygons), @r#"f.parquet: the geometry column has the encoding "polygon", which is not read; WKB, point, linestring and multilinestring are"#);
}

#[test]
fn what_is_missing_is_named() {
    let columns = [("lat", f64s(&[46.0])), ("name", strings(&["a"]))];
    insta::assert_snapshot!(texts(&file(&columns)), @r#"f.parquet: no usable column for the longitude; the columns are "lat", "name"; choose one with --x-column"#);
    let options = ReadOptions { x_column: Some("east".to_owned()), ..Default::default() };
    insta::assert_snapshot!(texts_with(&file(&columns), &options), @r#"f.parquet: no usable column named "east"; the columns are "lat", "name"; use one of these with --x-column"#);
    let empty = file(&[("lat", f64s(&[])), ("lon", f64s(&[]))]);
    insta::assert_snapshot!(texts(&empty), @"f.parquet: this Parquet has nothing to measure: it has no rows");
    insta::assert_snapshot!(error_with(&empty, &ReadOptions::default()), @"a Parquet file cannot be read from a stream; store it in a file first");
    let text = Cursor::new(b"lat,lon\n46,13\n".to_vec());
    let mut found = Recorded::default();
    read_seekable(text, &ReadOptions::default(), &mut found).unwrap();
    assert_eq!(found.ended.concat(), "track / (13 46) = none\n");
}

#[test]
fn a_file_that_ends_early_is_an_error_with_a_position() {
    // Row groups of 3, 3 and 2 rows.
    let whole = file(&[("lat", f64s(&[46.0; 8])), ("lon", f64s(&[13.0; 8]))]);
    insta::assert_snapshot!(texts(&whole[..whole.len() - 1]), @"f.parquet: byte 1555: the file ends early: the metadata at the end of the file are missing, and nothing can be read without them");
    insta::assert_snapshot!(texts(b"PAR1"), @"f.parquet: byte 4: the file ends early");
    let mut large = whole.clone();
    let at = large.len() - 8;
    large[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    insta::assert_snapshot!(texts(&large).replace(&at.to_string(), "N"), @"f.parquet: byte N: the metadata of the file are larger than 64 MiB");
    // Damaged pages in the second row group: the others are read.
    let mut damaged = whole.clone();
    let reader = SerializedFileReader::new(bytes::Bytes::from(whole)).unwrap();
    let (start, length) = reader.metadata().row_group(1).column(0).byte_range();
    damaged[start as usize..(start + length) as usize].fill(0xff);
    let found = texts(&damaged);
    let (track, error) = found.split_once('\n').unwrap();
    assert_eq!(track, "track / (13 46) (13 46) (13 46) (13 46) (13 46) = none (incomplete)");
    assert!(error.starts_with("f.parquet: record 4: not valid Parquet: "), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut file = file(&[
            ("lat", f64s(&[46.0; 8])),
            ("lon", f64s(&[13.0; 8])),
            ("name", strings(&["a"; 8])),
        ]);
        let count = file.len() - 8;
        for (at, byte) in changes {
            file[at.index(count)] = byte;
        }
        let _ = texts(&file);
    }

    #[test]
    fn no_geometry_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), kind in 0..8_u8) {
        let _ = wkb::parse(&bytes);
        let _ = wkb::parse(&[&[1, kind, 0, 0, 0][..], &bytes].concat());
    }
}
