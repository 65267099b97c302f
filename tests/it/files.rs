//! The program with folders, archives and bad inputs: each one has a clear message, the other files are measured, and
//! the exit status is 1.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use waywiser::proto::waywiser_v1 as pb;

use crate::program::{run, run_async, waywiser};
use crate::support::Server;

/// One degree of the equator: 111319.491 m, from geographiclib (Python package geographiclib 2.1).
const GOOD: &str = "lat,lon\n0,0\n0,1\n";
const GOOD_LENGTH: &str = "111 319.491 m";

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// Runs `measure` in the folder.
fn measure(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut measure = waywiser(&[&["measure"], arguments].concat());
    let output = measure.current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Measures a bad file and then a good one.
fn measure_bad(folder: &Path, bad: &str) -> String {
    fs::write(folder.join("good.csv"), GOOD).unwrap();
    let (code, out, messages) = measure(folder, &[bad, "good.csv"]);
    assert_eq!(code, Some(1), "{bad}: {messages}");
    assert!(out.contains(GOOD_LENGTH), "{bad}: {out}");
    messages
}

/// Returns a zip archive of stored members.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let size = (content.len() as u32).to_le_bytes();
        // Version, flags, method, time, date, checksum, sizes, length of the name, length of extra fields.
        let mut header = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x50];
        header.extend(crc.sum().to_le_bytes());
        header.extend([size, size].concat());
        header.extend((name.len() as u16).to_le_bytes());
        header.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&header);
        directory.extend([0; 10]);
        directory.extend((archive.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        archive.extend(b"PK\x03\x04");
        archive.extend(header);
        archive.extend(name.as_bytes());
        archive.extend(*content);
    }
    let count = (members.len() as u16).to_le_bytes();
    let (size, start) = (directory.len() as u32, archive.len() as u32);
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([count, count].concat());
    archive.extend([size.to_le_bytes(), start.to_le_bytes()].concat());
    archive.extend([0, 0]);
    archive
}

#[test]
fn a_bad_file_is_named_and_the_others_are_measured() {
    let nested = zip(&[("a.zip", &zip(&[("a.csv", GOOD.as_bytes())]))]);
    let cut = "<gpx><trk><trkseg><trkpt lat='0' lon='0'/>\n<trkpt lat='0' lon='2'/><trk";
    let files: [(&str, &[u8], &str); 7] = [
        ("empty.gpx", b"", "empty.gpx: the file is empty"),
        ("blank.csv", b" \n\n", "blank.csv: the file is empty"),
        ("cut.gpx", cut.as_bytes(), "cut.gpx:2:25: "),
        ("photo.gpx", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01", "a JPEG image"),
        ("diary.gpx", b"Dear diary,\ntoday I walked.\n", "diary.gpx"),
        ("nested.zip", &nested, "nested.zip/a.zip: this member is a zip archive itself"),
        ("cut.zip", &nested[..60], "cut.zip: "),
    ];
    for (name, content, expected) in files {
        let folder = folder(&[(name, content)]);
        let messages = measure_bad(folder.path(), name);
        assert!(messages.starts_with("error: ") && messages.contains(expected), "{messages}");
    }
}

#[test]
fn a_path_that_is_not_a_regular_file_is_named() {
    let folder = folder(&[]);
    let _listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    symlink("self", folder.path().join("self")).unwrap();
    fs::create_dir(folder.path().join("nothing")).unwrap();
    for (path, expected) in [
        ("missing.gpx", "missing.gpx: cannot be read: there is no such file"),
        ("/dev/null", "/dev/null: the file is empty"),
        ("/dev/zero", "/dev/zero: "),
        ("socket", "socket: cannot be read: it is a socket, not a file"),
        ("self", "self: cannot be read: "),
        ("nothing", "nothing: the folder has no files"),
    ] {
        let messages = measure_bad(folder.path(), path);
        assert!(messages.starts_with(&format!("error: {expected}")), "{messages}");
    }
}

#[test]
fn a_line_without_end_is_refused_with_bounded_memory() {
    let mut run = waywiser(&["measure", "-", "examples/legs.csv"]);
    let run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    let mut stdin = run.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        stdin.write_all(b"lat,lon\n1,").unwrap();
        // Ends when the program has refused the line and has exited.
        while stdin.write_all(&[b'1'; 1 << 16]).is_ok() {}
    });
    let output = run.wait_with_output().unwrap();
    writer.join().unwrap();
    let messages = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(messages.starts_with("error: -:2: "), "{messages}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("221 893.879 m"));
}

#[test]
fn a_decompression_bomb_is_refused() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bomb.write_all(b"<gpx><trk><trkseg><trkpt lat='0' lon='0'/>").unwrap();
    for _ in 0..72 {
        bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let folder = folder(&[("bomb.gpx.gz", &bomb.finish().unwrap())]);
    let messages = measure_bad(folder.path(), "bomb.gpx.gz");
    assert!(messages.starts_with("error: bomb.gpx.gz:"), "{messages}");
}

/// Starts a run on a file with many tracks, and changes the file after the first row. The run is then still reading,
/// because nothing reads its further output.
fn change_while_read(change: impl FnOnce(&Path)) -> (Option<i32>, String) {
    let track = "<trk><trkseg><trkpt lat='0' lon='0'/></trkseg></trk>\n";
    let tracks = format!("<gpx>{}</gpx>\n", track.repeat(50_000));
    let folder = folder(&[("a.gpx", tracks.as_bytes())]);
    let path = folder.path().join("a.gpx");
    let mut run = waywiser(&["measure", path.to_str().unwrap()]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(run.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    change(&path);
    let drain = std::thread::spawn(move || out.read_to_end(&mut Vec::new()).unwrap());
    let output = run.wait_with_output().unwrap();
    drain.join().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let grow = |path: &Path| {
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b" ").unwrap();
    };
    let (code, messages) = change_while_read(grow);
    assert_eq!(code, Some(1));
    assert!(messages.contains("a.gpx: the file was changed while it was read"), "{messages}");
    let shrink = |path: &Path| {
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1_000_010).unwrap();
    };
    let (code, messages) = change_while_read(shrink);
    assert_eq!(code, Some(1));
    assert!(messages.starts_with("error: "), "{messages}");
}

#[test]
fn names_in_any_encoding_are_printed_with_escapes() {
    let folder = tempfile::tempdir().unwrap();
    for name in [&b"a\xff.csv"[..], b"b\x1b[2J.csv", "\u{e4}.csv".as_bytes()] {
        fs::write(folder.path().join(OsStr::from_bytes(name)), GOOD).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let (code, out, messages) = run(&["measure", "--csv", path]);
    assert_eq!((code, &*messages), (Some(0), ""));
    assert!(out.contains(r"a\xff.csv") && out.contains("\u{e4}.csv"), "{out}");
    let (code, out, _) = run(&["measure", path]);
    assert_eq!(code, Some(0));
    assert!(!out.contains('\x1b') && out.contains("3 tracks"), "{out}");
}

#[test]
fn a_folder_is_measured_with_all_files_in_it() {
    let files: [(&str, &[u8]); 6] = [
        ("d/b/two.csv", GOOD.as_bytes()),
        ("d/a/one.csv", GOOD.as_bytes()),
        ("d/README", b"A folder of walks.\n"),
        ("d/photo.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01"),
        ("d/waypoints.gpx", b"<gpx><wpt lat='1' lon='1'/></gpx>"),
        ("d/.hidden.csv", GOOD.as_bytes()),
    ];
    let folder = folder(&files);
    symlink(folder.path().join("d"), folder.path().join("d/circle")).unwrap();
    let (code, out, messages) = measure(folder.path(), &["d"]);
    assert_eq!(code, Some(0), "{messages}");
    assert!(out.contains("222 638.982 m") && out.contains("2 tracks"), "{out}");
    let rows: Vec<_> = out.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(rows[1..3], ["d/a/one.csv", "d/b/two.csv"]);
    let lines: Vec<_> = messages.lines().collect();
    assert_eq!(
        lines[0],
        "note: d/circle: skipped: the link leads to a folder that is read already"
    );
    assert!(
        lines[1].starts_with("note: d/waypoints.gpx: skipped: this GPX has nothing"),
        "{lines:?}"
    );
    assert_eq!(
        lines[2],
        "note: 2 files of no supported format were skipped: d/README, d/photo.jpg"
    );
    assert_eq!(lines.len(), 3);

    let (code, _, messages) = measure(folder.path(), &["--strict", "d"]);
    assert_eq!(code, Some(1));
    assert!(messages.lines().all(|line| line.starts_with("error: ")), "{messages}");

    // A file that the user has named must have a supported format.
    let (code, _, messages) = measure(folder.path(), &["d/README"]);
    assert!(code == Some(1) && messages.starts_with("error: d/README: "), "{messages}");

    // The files that failed are listed at the end.
    fs::write(folder.path().join("d/cut.gpx"), "<gpx><trk>").unwrap();
    let (code, out, messages) = measure(folder.path(), &["d"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("222 638.982 m"), "{out}");
    let last = messages.lines().last().unwrap();
    assert_eq!(last, "error: 1 of 3 files could not be measured completely: d/cut.gpx");
}

#[test]
fn each_file_of_an_archive_is_measured() {
    let members: [(&str, &[u8]); 5] = [
        ("walks/one.csv", GOOD.as_bytes()),
        ("walks/cut.gpx", b"<gpx><trk>"),
        ("walks/", b""),
        ("photo.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01"),
        ("../two.csv", GOOD.as_bytes()),
    ];
    let archive = zip(&members);
    let folder = folder(&[("a.zip", &archive)]);
    let (code, out, messages) = measure(folder.path(), &["--csv", "a.zip"]);
    assert_eq!(code, Some(1));
    let rows: Vec<_> = out.lines().map(|row| row.split(',').nth(1).unwrap()).collect();
    let cut = "a.zip/walks/cut.gpx";
    assert_eq!(rows, ["file", "a.zip/walks/one.csv", cut, "a.zip/../two.csv", ""]);
    assert!(messages.starts_with("error: a.zip/walks/cut.gpx:1:"), "{messages}");
    assert!(messages.contains("note: 1 file of no supported format was skipped: a.zip/photo.jpg"));

    // An archive on standard input is copied to a temporary file.
    let mut run = waywiser(&["measure", "--csv", "-"]);
    let run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    run.stdin.take().unwrap().write_all(&archive).unwrap();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout).unwrap().replace("-/", "a.zip/"), out);
}

#[test]
fn the_output_is_the_same_for_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..150_u32 {
        let content = match number % 7 {
            0 => "<gpx><trk>".to_owned(),
            1 => String::new(),
            2 => "lat,lon\n0,0\n,\n0,x\n1,1\n".to_owned(),
            3 => format!(
                "<gpx>{}</gpx>",
                "<trk><trkseg><trkpt lat='0' lon='1'/></trkseg></trk>".repeat(200)
            ),
            _ => format!("lat,lon\n{}", "0,0\n0,0.001\n".repeat(number as usize * 20)),
        };
        fs::write(folder.path().join(format!("{number:03}")), content).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let expected = run(&["measure", "--json", "--jobs", "1", path]);
    assert_eq!(expected.0, Some(1));
    assert!(expected.1.lines().count() > 4000 && expected.2.lines().count() > 60);
    for jobs in ["2", "7"] {
        let found = run(&["measure", "--json", "--jobs", jobs, path]);
        assert!(found == expected, "--jobs {jobs}");
    }
    let sorted = run(&["measure", "--csv", "--sort", "length", path]);
    let lengths: Vec<f64> = sorted
        .1
        .lines()
        .filter(|row| row.starts_with("track"))
        .map(|row| row.split(',').nth(5).unwrap().parse().unwrap())
        .collect();
    assert!(lengths.len() > 4000 && lengths.is_sorted_by(|a, b| a >= b));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_rejects_invalid_points_is_continued_with_on_invalid_error() {
    let server = Server::start().await;
    let url = format!("http://{}", server.address);
    let folder = folder(&[("a.csv", b"lat,lon\n0,0\n0,1\n0,2\n")]);
    let path = folder.path().join("a.csv");
    // A client with the default options, which reject such points, begins the recording.
    let first = pb::RecordPathRequest {
        name: "paths/begun".to_owned(),
        points: vec![pb::Point::default()],
        ..Default::default()
    };
    server.paths().await.record_path(tokio_stream::iter([first])).await.unwrap();
    let record = |action: &'static str| {
        let path = path.to_str().unwrap();
        let arguments =
            ["record", "--server", &url, "--name", "paths/begun", "--on-invalid", action, path]
                .map(str::to_owned);
        async move { run_async(&arguments.each_ref().map(|text| &**text)).await }
    };
    for action in ["skip", "split"] {
        let (code, _, errors) = record(action).await;
        assert_eq!(code, Some(1), "{action}");
        assert!(errors.contains("options.invalid_points"), "{errors}");
        assert!(errors.contains("(the flag is --on-invalid)"), "{errors}");
    }
    let (code, out, errors) = record("error").await;
    assert_eq!((code, &*errors), (Some(0), ""));
    assert!(out.contains("222 638.982 m"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_commands_print_the_same_notes() {
    let server = Server::start().await;
    let url = format!("http://{}", server.address);
    let folder = folder(&[("a.csv", b"lat,lon\n0,0\nx,0\n0,1\n")]);
    let path = folder.path().join("a.csv");
    let path = path.to_str().unwrap();
    let options = ["--max-speed", "9", path];
    let local = run_async(&[&["measure", "--json"], &options[..]].concat()).await;
    let expected = [
        format!("note: {path}:3:1: track 1: 1 point without a valid position is skipped: "),
        format!("note: {path}: track 1: --max-speed had no effect: no point has a time"),
    ];
    assert_eq!(local.0, Some(0));
    assert_eq!(local.2.lines().count(), 2, "{}", local.2);
    for (line, expected) in local.2.lines().zip(&expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert!(local.1.contains("\"points\":3,") && local.1.contains("111319.490793"), "{}", local.1);
    let remote =
        run_async(&[&["measure", "--json", "--server", &url], &options[..]].concat()).await;
    assert_eq!(remote, local);
    let recorded =
        run_async(&[&["record", "--json", "--server", &url], &options[..]].concat()).await;
    assert_eq!(recorded, local);
    let name = ["record", "--server", &url, "--name", "paths/a"];
    let named = run_async(&[&name[..], &options[..]].concat()).await;
    assert_eq!((named.0, &named.2), (Some(0), &local.2));
    for command in [&["measure"][..], &["measure", "--server", &url], &["record", "--server", &url]]
    {
        let strict = run_async(&[command, &["--strict"], &options[..]].concat()).await;
        assert_eq!(strict.0, Some(1), "{command:?}");
        assert!(strict.2.contains("--strict makes this an error"), "{}", strict.2);
    }
}
