//! `waywiser record` without a name: tracks through `waywiser.v1`, and segments through the published contracts.

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::program::{run, run_async};
use crate::support::{Server, reserved_address};

/// Returns the words of the row of the total.
fn total(out: &str) -> String {
    let row = out.lines().find(|line| line.starts_with("total")).unwrap();
    row.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Writes a file into a new directory.
fn file(name: &str, content: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn the_example_track_is_measured_by_a_server_in_the_process() {
    let (code, out, errors) = run(&["record", "examples/hill-walk.gpx"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{out}");
    assert_eq!(total(&out), "total 1 track 9 448 2 12 391.620 m");
    let note = "\nRaw length: GPS noise makes it longer than the true path;";
    assert!(out.contains("\nsent 9 448 points in ") && out.contains(note), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_that_of_measure() {
    let server = Server::start().await;
    let url = format!("http://{}", server.address);
    let segment =
        |x: u8| format!("<trkseg><trkpt lat='1' lon='{x}'/><trkpt lat='2' lon='{x}'/></trkseg>");
    let (one, two) = (segment(1) + &segment(2), segment(3));
    let tracks = format!("<gpx><trk><name>One</name>{one}</trk><trk>{two}</trk><trk/></gpx>");
    let (_directory, tracks) = file("tracks.gpx", &tracks);
    for (file, options) in [
        ("examples/hill-walk.gpx", &[][..]),
        ("examples/hill-walk.gpx", &["--min-step", "5", "--elevation", "3d"]),
        ("examples/legs.csv", &["--model", "planar"]),
        (&tracks, &["--model", "haversine"]),
    ] {
        let json = [&["--json", file], options].concat();
        let record = [&["record", "--server", &url], &json[..]].concat();
        let (code, recorded, errors) = run_async(&record).await;
        assert_eq!((code, &*errors), (Some(0), ""), "{record:?}");
        assert_eq!(recorded, run_async(&[&["measure"], &json[..]].concat()).await.1);

        let (_, recorded, _) = run_async(&[&["record", file], options].concat()).await;
        let (_, measured, _) = run_async(&[&["measure", file], options].concat()).await;
        assert!(recorded.contains(&measured), "{recorded}\n{measured}");
        let has_note = recorded.contains("Raw length: ");
        assert_eq!(has_note, options.is_empty() || options.contains(&"haversine"), "{recorded}");
    }
}

#[test]
fn published_contracts_have_one_stream_per_segment() {
    let record_route = ["record", "--method", "record-route", "examples/hill-walk.gpx"];
    let (code, out, errors) = run(&record_route);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{out}");
    assert_eq!(total(&out), "total 2 9 448 12 358 m");
    assert!(out.contains("\nsent 9 448 points in ") && !out.contains("raw length"), "{out}");

    let (_directory, planar) = file("planar.csv", "x,y,s\n0,0,1\n3,4,1\n10,10,2\n10,17,2\n");
    let path_length =
        ["record", "--method", "path-length", "--segment-column", "s", planar.as_str()];
    let (code, out, errors) = run(&path_length);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{out}");
    assert_eq!(total(&out), "total 2 4 12.000000");

    let (_directory, fractions) = file("fractions.csv", "x,y\n0,0\n3,4.5\n");
    let (code, _, errors) = run(&["record", "--method", "path-length", &fractions]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("(3, 4.5)") && errors.contains("whole numbers"), "{errors}");
}

#[test]
fn a_file_that_cannot_be_recorded_is_reported_in_one_line() {
    let (_directory, bad) = file("bad.csv", "lat,lon\n1,1\n91,2\n");
    let (_reserved, closed) = reserved_address();
    let closed = closed.to_string();
    for method in [&[][..], &["--method", "record-route"]] {
        for (arguments, message) in [
            (
                vec!["--on-invalid", "error", &*bad],
                "bad.csv:3:1: latitude 91 is not between -90 and 90 degrees",
            ),
            (vec!["examples"], "examples: cannot be read: it is a folder; name one file in it"),
            (vec!["nowhere.gpx"], "nowhere.gpx: cannot be read: there is no such file"),
            (vec!["--server", &closed, "examples/legs.csv"], "is a server running there?"),
        ] {
            let (code, _, errors) = run(&[&["record"], method, &arguments[..]].concat());
            assert_eq!(code, Some(1), "{arguments:?}");
            assert!(errors.contains(message), "{errors}");
            assert_eq!(errors.lines().count(), 1, "{errors}");
        }
    }
}

#[tokio::test]
async fn the_tracks_before_an_error_in_the_file_are_reported() {
    let track = "<trk><trkseg><trkpt lat='0' lon='1'/><trkpt lat='0' lon='2'/></trkseg></trk>";
    let broken = track.replace("lat='0' lon='2'", "lat='91' lon='2'");
    let (_directory, tracks) = file("tracks.gpx", &format!("<gpx>{track}{track}{broken}</gpx>"));
    let (code, out, errors) = run_async(&["record", "--on-invalid", "error", &tracks]).await;
    assert_eq!(code, Some(1));
    assert_eq!(out.matches("111 319.491 m").count(), 2, "{out}");
    assert!(!out.contains("total"), "{out}");
    assert!(errors.contains("latitude 91"), "{errors}");
}

/// Starts a server that reads all streams and never replies. Sends whether each stream was closed (not reset).
async fn reading_server() -> (String, mpsc::UnboundedReceiver<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, ended) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, respond))) = connection.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let _respond: h2::server::SendResponse<bytes::Bytes> = respond;
                let mut body = request.into_body();
                let is_closed = loop {
                    match body.data().await {
                        Some(Ok(data)) => {
                            let _ = body.flow_control().release_capacity(data.len());
                        }
                        Some(Err(_)) => break false,
                        None => break true,
                    }
                };
                let _ = sender.send(is_closed);
            });
        }
    });
    (url, ended)
}

#[tokio::test]
async fn the_stream_of_a_broken_file_is_never_closed() {
    let mut rows = String::from("lat,lon\n");
    for row in 0..20_000 {
        rows += &format!("46.{row:06},14\n");
    }
    let (_directory, broken) = file("broken.csv", &(rows + "91,0\n"));
    for method in [&[][..], &["--method", "record-route"]] {
        let (url, mut ended) = reading_server().await;
        let record = ["record", "--server", &url, "--on-invalid", "error", &broken];
        let record = [&record, method].concat();
        let (code, _, errors) = run_async(&record).await;
        assert_eq!(code, Some(1));
        assert!(errors.contains("latitude 91"), "{errors}");
        // The stream is reset, or lost with the connection if the process ends first.
        assert!(!ended.recv().await.unwrap());
    }
}

#[tokio::test]
async fn a_server_that_ends_the_call_early_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_request, mut respond))) = connection.accept().await {
            let mut response = http::Response::new(());
            let headers = response.headers_mut();
            headers.insert("content-type", "application/grpc".parse().unwrap());
            headers.insert("grpc-status", "0".parse().unwrap());
            respond.send_response(response, true).unwrap();
        }
    });
    let (code, out, errors) =
        run_async(&["record", "--server", &url, "examples/hill-walk.gpx"]).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(errors.starts_with("error: examples/hill-walk.gpx: "), "{errors}");
    assert!(!out.contains("total"), "{out}");
}
