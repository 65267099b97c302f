//! Tests of `--plot` and `--report`: what a picture and a page have, and when their files are written.

use super::*;

/// Runs `measure --plot`. Returns the run and the picture, if there is one.
fn plotted(files: &[(&str, &str)], arguments: &str) -> (Run, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("picture.svg");
    let arguments = format!("--plot {} {arguments}", picture.display());
    let run = run_with(files, &arguments, "");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.len() <= 1, "{left:?}");
    (run, std::fs::read_to_string(picture).ok())
}

/// Returns the texts of a picture.
fn texts(picture: &str) -> Vec<String> {
    let of_element = |part: &str| part.split_once('>').map(|(_, rest)| rest.to_owned());
    let parts = picture.split("</text>").filter_map(|part| part.rsplit("<text ").next());
    parts.filter_map(of_element).collect()
}

#[test]
fn a_picture_has_the_tracks_of_all_files_and_changes_no_output() {
    let other = "lon,lat\n13,46\n13.01,46.02\n";
    let files = [("walk.gpx", GPX), ("<&>.csv", other)];
    let plain = run_with(&files, "walk.gpx <&>.csv", "");
    let (run, picture) = plotted(&files, "--jobs 2 walk.gpx <&>.csv");
    assert_eq!((run.outcome, &run.out), (Outcome::Done, &plain.out));
    let picture = picture.unwrap();
    let texts = texts(&picture);
    assert_eq!(texts[0], "3 tracks");
    assert!(texts[1].starts_with("Length "), "{texts:?}");
    for name in ["There", "walk.gpx, track 2", "&lt;&amp;&gt;.csv"] {
        assert!(texts.iter().any(|text| text == name), "{name} {texts:?}");
    }
    assert_eq!(
        picture.matches("class=\"track\" stroke").count(),
        6,
        "three lines and their legend"
    );
    // It does not depend on the threads.
    assert_eq!(plotted(&files, "--jobs 1 walk.gpx <&>.csv").1.unwrap(), picture);
}

#[test]
fn a_picture_of_one_track_has_its_name_and_the_units() {
    let (_, picture) = plotted(&[("a.csv", "lon,lat\n13,46\n13.1,46\n")], "--units mi a.csv");
    let texts = texts(&picture.unwrap());
    assert_eq!(texts[0], "a.csv");
    assert!(texts[1].ends_with(" mi") && !texts.iter().any(|text| text == "There"), "{texts:?}");
}

#[test]
fn nothing_is_written_if_there_is_no_track() {
    let (run, picture) = plotted(&[("a.csv", "lon,lat\n")], "a.csv");
    assert_eq!(picture, None);
    assert!(run.messages.contains("--plot: there is no track to draw"), "{}", run.messages);
}

#[test]
fn more_tracks_than_can_be_drawn_are_reported() {
    let mut table = String::from("track,lon,lat\n");
    for track in 0..300 {
        table += &format!("{track},{},46\n{track},{},46.5\n", track % 90, track % 90 + 1);
    }
    let (run, picture) = plotted(&[("a.csv", &table)], "--track-column track a.csv");
    assert!(run.messages.contains("--plot: 256 of 300 tracks are drawn"), "{}", run.messages);
    let texts = texts(&picture.unwrap());
    assert!(texts.iter().any(|text| text == "and 244 more, 44 more tracks not drawn"), "{texts:?}");
}

#[test]
fn a_picture_needs_a_file_and_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("pictures.svg");
    std::fs::create_dir(&directory).unwrap();
    assert!(PlotFile::create(&directory).is_err_and(|error| error.contains("is a directory")));
    // The shell makes the names of all tracks of a pattern, of which the first would be the picture.
    let track = folder.path().join("a.gpx");
    assert!(PlotFile::create(&track).is_err_and(|error| error.contains("must end with .svg")));
    let capital = folder.path().join("A.SVG");
    assert!(PlotFile::create(&capital).is_ok());
    assert!(PlotFile::create(std::path::Path::new("-")).is_err());
    let missing = folder.path().join("none/picture.svg");
    assert!(PlotFile::create(&missing).is_err());
}

/// Runs `measure --json --report`. Returns the printed objects, the page, and the data in it.
fn reported(
    files: &[(&str, &str)],
    arguments: &str,
) -> (Vec<serde_json::Value>, String, serde_json::Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let run = run_with(files, &format!("--json --report {} {arguments}", file.display()), "");
    let rows = run.out.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let page = std::fs::read_to_string(file).unwrap();
    let data = page.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    let data = serde_json::from_str(data).unwrap();
    (rows, page, data)
}

#[test]
fn a_report_is_named_after_its_file_also_without_tracks() {
    let files = [("walk.gpx", GPX), ("empty.gpx", "")];
    for (arguments, title) in
        [("walk.gpx", "walk.gpx"), ("empty.gpx", "empty.gpx"), ("walk.gpx empty.gpx", "2 files")]
    {
        let (_, _, data) = reported(&files, arguments);
        let shown = data["report"]["title"].as_str().unwrap();
        assert!(shown == title || shown.ends_with(&format!("/{title}")), "{shown}");
    }
}

#[test]
fn a_report_has_the_numbers_of_the_rows_and_loads_nothing() {
    let name = "<script>alert(1).csv";
    let files = [("walk.gpx", GPX), (name, "lon,lat\n13,46\n13.01,46.02\n"), ("bad.gpx", "<gpx>")];
    let (mut rows, page, data) = reported(&files, "walk.gpx <script>alert(1).csv bad.gpx");
    let report = &data["report"];
    let total = rows.pop().unwrap();
    assert_eq!(report["total"], total["total"]);
    let tracks = report["tracks"].as_array().unwrap();
    assert_eq!(tracks.len(), rows.len());
    for (place, (track, row)) in tracks.iter().zip(&rows).enumerate() {
        assert_eq!((&track["length_m"], &track["track"]), (&row["length_m"], &row["track"]));
        assert_eq!(
            (&track["track_index"], &report["lines"][place]["track_index"]),
            (&place.into(), &place.into())
        );
    }
    assert!(!report["errors"].as_array().unwrap().is_empty());
    for forbidden in ["src=\"", "href=\"page/", "import ", "<script>alert"] {
        let head = page.split_once("<body>").unwrap().0;
        let is_code = forbidden == "import ";
        assert!(is_code || !head.contains(forbidden), "{forbidden}");
        assert!(
            !head.lines().any(|line| line.starts_with("import ") || line.starts_with("export "))
        );
    }
    // The policy has the hashes of the two elements, in Base64.
    let between = |start: &str, end: &str| {
        let text = page.split_once(start).unwrap().1.split_once(end).unwrap().0;
        let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        crate::auth::base64(hash.as_ref())
    };
    let code = between("<script type=\"module\">", "</script>");
    let style = between("<style>", "</style>");
    let policy = page.split_once("Content-Security-Policy\" content=\"").unwrap().1;
    assert!(policy.starts_with(&format!(
        "default-src 'none'; script-src 'sha256-{code}'; style-src 'sha256-{style}';"
    )));
}
