//! Tests of files that clients of the HTTP listener send.

use std::collections::BTreeMap;

use serde_json::Value;

use super::lines::LINES_MAX;
use super::*;
use crate::measure::{Fix, Metric};

const TABLE: &str =
    "lon,lat,time\n13.7,46.1,2024-01-01T00:00:00Z\n13.8,46.2,2024-01-01T01:00:00Z\n";

fn measured(options: &[(&str, &str)], file: impl Into<Bytes>) -> Result<Measured, MeasureError> {
    let options = options.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    PostedFiles.job(options.collect())?.run(file.into(), Arc::default())
}

fn option_message(name: &str, value: &str) -> String {
    match measured(&[(name, value)], TABLE) {
        Err(MeasureError::Option { name: field, message }) => format!("{field}: {message}"),
        other => panic!("{name}={value}: {other:?}"),
    }
}

/// Returns the parameters of the description of the API with the values of those that have a list.
fn described() -> BTreeMap<String, Option<Vec<String>>> {
    let document: Value = serde_json::from_str(include_str!("../../../http/openapi.json")).unwrap();
    let parameters = document["paths"]["/api/measure"]["post"]["parameters"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |parameter: &Value| {
        let values = parameter["schema"]["enum"].as_array();
        (text(&parameter["name"]), values.map(|values| values.iter().map(text).collect()))
    };
    parameters.iter().map(of).collect()
}

#[test]
fn the_description_of_the_api_has_all_options_with_their_values() {
    // Options with more values than the description lists.
    let open = ["timezone", "time-format", "delimiter"];
    let command = PostedArgs::command();
    let options: BTreeMap<String, Option<Vec<String>>> = command
        .get_arguments()
        .map(|argument| {
            let values = argument.get_possible_values();
            let is_flag = matches!(argument.get_action(), ArgAction::SetTrue);
            let values: Vec<_> = values.iter().map(|value| value.get_name().to_owned()).collect();
            let values = (!values.is_empty() && !is_flag).then_some(values);
            (argument.get_long().unwrap().to_owned(), values)
        })
        .collect();
    let mut described = described();
    for name in open {
        *described.get_mut(name).unwrap() = None;
    }
    assert_eq!(described, options);
}

#[test]
fn a_wrong_option_is_reported_in_the_words_of_a_parameter() {
    insta::assert_snapshot!(option_message("min-step", "abc"), @"min-step: must be a number without a unit");
    insta::assert_snapshot!(
        option_message("preset", "horse"),
        @"preset: it must be one of walk, run, bike, car, boat, flight, phone"
    );
    insta::assert_snapshot!(option_message("estimate", "yes"), @"estimate: it must be true or false");
    insta::assert_snapshot!(option_message("model", ""), @"model: it must be one of planar, haversine, geodesic");
    for (name, value) in [
        ("server", "http://127.0.0.1:1"),
        ("json", "true"),
        ("jobs", "1000"),
        ("ca-file", "/etc/passwd"),
        ("help", "true"),
        ("", ""),
        ("--model", "planar"),
        ("model=planar --jobs", "1"),
    ] {
        assert!(option_message(name, value).ends_with(": there is no such option"), "{name}");
    }
    insta::assert_snapshot!(option_message("keep-latest-windows", "3"), @"by: another option needs it");
    insta::assert_snapshot!(
        option_message("keep-latest-windows", "0"),
        @"keep-latest-windows: 0 is not in 1..=100000"
    );
    for name in [String::new(), "x".repeat(256)] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(option_message("file", &name), @"file: must have 1 to 255 characters");
        }
    }
    // A value is never read as another argument.
    insta::assert_snapshot!(option_message("max-gap", "--estimate"), @"max-gap: must be a number without a unit");
    let planar = [("model", "planar"), ("preset", "walk")];
    let error = measured(&planar, TABLE).unwrap_err();
    insta::assert_snapshot!(error, @"options: --preset is for geographic paths; it cannot be used with --model planar");
}

#[test]
fn a_flag_may_be_false() {
    let with = measured(&[("estimate", "")], TABLE).unwrap().json;
    let without = measured(&[("estimate", "false")], TABLE).unwrap().json;
    assert!(with.contains("estimated_length_m") && !without.contains("estimated_length_m"));
}

#[test]
fn a_damaged_file_has_its_tracks_and_its_error() {
    let cut = "<gpx><trk><trkseg><trkpt lat='0' lon='1'/><trkpt lat='0' lon='2'/>\n<trk";
    let measured = measured(&[("file", "cut.gpx")], cut).unwrap();
    let answer: Value = serde_json::from_str(&measured.json).unwrap();
    assert_eq!((measured.points, &answer["tracks"][0]["points"]), (2, &json!(2)));
    let error = answer["errors"][0].as_str().unwrap();
    assert!(error.starts_with("cut.gpx:2:"), "{error}");
}

#[test]
fn a_file_without_tracks_is_an_error() {
    for file in ["", "hello", "lon,lat\n", "<gpx/>", "\u{0}\u{1}\u{2}", "PK\u{3}\u{4}", "PAR1"] {
        let error = measured(&[], file).unwrap_err();
        assert!(matches!(error, MeasureError::File(_)), "{file:?}: {error:?}");
    }
}

/// Returns a zip archive of files that are not compressed.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let offset = bytes.len() as u32;
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for number in [crc.sum(), text.len() as u32, text.len() as u32, name.len() as u32] {
            fields.extend(number.to_le_bytes());
        }
        bytes.extend([&b"PK\x03\x04"[..], &fields[..], name.as_bytes(), text.as_bytes()].concat());
        directory.extend([&b"PK\x01\x02\x14\0"[..], &fields[..], &[0; 10]].concat());
        directory.extend([&offset.to_le_bytes()[..], name.as_bytes()].concat());
    }
    let count = (files.len() as u16).to_le_bytes();
    let end = [&b"PK\x05\x06\0\0\0\0"[..], &count[..], &count[..]].concat();
    let [size, offset] = [&directory, &bytes].map(|part| (part.len() as u32).to_le_bytes());
    [&bytes[..], &directory[..], &end[..], &size[..], &offset[..], &[0; 2]].concat()
}

#[test]
fn an_archive_without_tracks_names_the_files_that_failed() {
    let error = |files: &[(&str, &str)]| {
        measured(&[("file", "a.zip")], archive(files)).unwrap_err().to_string()
    };
    insta::assert_snapshot!(error(&[("b/notes.txt", "hello")]), @"nothing was measured: no file has a track in a supported format; 1 file of no supported format was skipped: a.zip/b/notes.txt");
    insta::assert_snapshot!(error(&[("b.gpx", ""), ("c.gpx", ""), ("d.txt", "hello")]), @"a.zip/b.gpx: the file is empty; a.zip/c.gpx: the file is empty; 1 file of no supported format was skipped: a.zip/d.txt");
    let names: Vec<_> = (0..9).map(|index| format!("{index}.gpx")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert!(error(&many).ends_with("4.gpx: the file is empty; and 4 more errors"));
    let all = [&many[..], &[("d.txt", "hello")]].concat();
    assert!(
        error(&all)
            .ends_with("and 4 more errors; 1 file of no supported format was skipped: a.zip/d.txt")
    );
}

/// Notes do not use up the space of the errors.
#[test]
fn the_errors_of_a_large_archive_are_whole_and_counted() {
    let table = "lon,lat,time\n1,1,2024-01-01\n1,2,\n";
    let names: Vec<_> = (0..900).map(|index| format!("{}{index}", "folder/".repeat(12))).collect();
    let mut files: Vec<(String, &str)> =
        names.iter().map(|name| (format!("{name}.csv"), table)).collect();
    files.extend(names.iter().map(|name| (format!("{name}.gpx"), "")));
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let answer = measured(&[("file", "a.zip")], archive(&files)).unwrap();
    let answer: Value = serde_json::from_str(&answer.json).unwrap();
    assert_eq!(answer["total"]["failed_files"], json!(900));
    let errors: Vec<_> =
        answer["errors"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect();
    let [shown @ .., more, count] = &errors[..] else { panic!("{errors:?}") };
    assert!(shown.len() > 100, "{errors:?}");
    assert!(shown.iter().all(|error| error.ends_with(".gpx: the file is empty")), "{shown:?}");
    assert_eq!(*more, format!("and {} more errors", 900 - shown.len()));
    let files = crate::cli::report::pluralize(1800, "file");
    let expected = format!("900 of {files} could not be measured completely: ");
    assert!(count.starts_with(&expected), "{count}");
}

#[test]
fn the_lines_of_an_archive_name_their_files() {
    let table = "lon,lat\n1,1\n1,2\n";
    let bytes = archive(&[("a.csv", table), ("b.csv", table)]);
    let answer = measured(&[("file", "w.zip")], bytes).unwrap();
    let answer: Value = serde_json::from_str(&answer.json).unwrap();
    for (place, name) in ["w.zip/a.csv", "w.zip/b.csv"].into_iter().enumerate() {
        for list in ["tracks", "lines"] {
            let item = &answer[list][place];
            assert_eq!((&item["file"], &item["track_index"]), (&json!(name), &json!(0)));
        }
    }
}

#[test]
fn the_answer_has_a_limit() {
    let mut table = "track,lon,lat\n".to_owned();
    for track in 0..40_000 {
        table += &format!("t{track},1,1\nt{track},1,2\n");
    }
    let error = measured(&[("track-column", "track")], table).unwrap_err();
    insta::assert_snapshot!(error, @"the rows of the tracks have more than 8 MiB; measure the file with waywiser measure");
}

#[test]
fn the_lines_have_limits_and_those_left_out_are_counted() {
    let mut table = "track,lon,lat\n".to_owned();
    for track in 0..LINES_MAX + 7 {
        table += &format!("t{track},1,1\nt{track},1,2\n");
    }
    let answer = measured(&[("track-column", "track")], table).unwrap();
    let answer: Value = serde_json::from_str(&answer.json).unwrap();
    assert_eq!(answer["tracks"].as_array().unwrap().len(), LINES_MAX + 7);
    assert_eq!(answer["lines"].as_array().unwrap().len(), LINES_MAX);
    assert_eq!(answer["more_lines"], json!(7));
}

#[test]
fn a_cancelled_measurement_stops() {
    let job = PostedFiles.job(Vec::new()).unwrap();
    let control = Arc::new(MeasureControl::default());
    control.cancel();
    let result = job.run(TABLE.into(), Arc::clone(&control));
    assert_eq!(result, Err(MeasureError::Cancelled));
    // Also while it measures: the flag is read again after some points.
    let mut lines = Lines::new(Metric::Planar, control, Rc::default());
    lines.start();
    let fix = Fix::new(crate::measure::Point::planar(0.0, 0.0).unwrap());
    assert!((0..2000).any(|_| lines.add(fix).is_err()));
}

/// The last point is decided at the end of the file, and the point without a position counts.
#[test]
fn rejected_points_of_a_line_have_their_reasons() {
    let file = "lon,lat,time,accuracy\n\
        13.70,46.1,2024-01-01T00:00:00Z,5\n\
        13.71,46.1,2024-01-01T00:10:00Z,5\n\
        ,,2024-01-01T00:15:00Z,5\n\
        13.72,46.1,2024-01-01T00:20:00Z,900\n\
        13.73,46.1,2024-01-01T00:30:00Z,5\n\
        19.73,46.1,2024-01-01T00:31:00Z,5\n";
    let answer = measured(&[("preset", "walk"), ("on-invalid", "skip")], file).unwrap();
    let answer: Value = serde_json::from_str(&answer.json).unwrap();
    let expected = json!([null, null, "accuracy", null, "speed"]);
    assert_eq!(answer["lines"][0]["rejected"], expected, "{answer}");
    let listed = answer["tracks"][0]["rejections"].as_array().unwrap().iter();
    let reasons: Vec<_> = listed.map(|entry| entry["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["accuracy", "speed", "invalid_position"]);
}

#[test]
fn the_memory_of_a_measurement_is_reported() {
    let control = Arc::new(MeasureControl::default());
    let (metric, rows_len) = (Metric::Planar, Rc::new(Cell::new(5000)));
    let mut lines = Lines::new(metric, Arc::clone(&control), rows_len);
    lines.start();
    for x in 0..8192 {
        lines.add(Fix::new(crate::measure::Point::planar(f64::from(x), 0.0).unwrap())).unwrap();
    }
    assert!(control.memory_bytes() > 8192 * 2 * size_of::<f64>() as u64, "points of open lines");
    lines.end().unwrap();
    let least = lines.finished.len() + 5000;
    let most = 4 * least;
    assert!((least..=most).contains(&(control.memory_bytes() as usize)), "{control:?}");
    // The answer is charged at the end.
    let (job, control) =
        (PostedFiles.job(Vec::new()).unwrap(), Arc::new(MeasureControl::default()));
    let measured = job.run(TABLE.into(), Arc::clone(&control)).unwrap();
    assert_eq!(control.memory_bytes(), measured.json.capacity() as u64);
}
