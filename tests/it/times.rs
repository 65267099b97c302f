//! The range of times, 1678 to 2261: in files with and without a server, and in the rows and columns of requests.

use prost_types::Timestamp;
use waywiser::measure::{Fix, Point};
use waywiser::proto::waywiser_v1 as pb;

use crate::program::run_async;
use crate::support::Server;

/// The first seconds out of range, and the last second that fits 64 bits of nanoseconds, also in ISO 8601.
const OUT_OF_RANGE: [(i64, &str); 3] = [
    (-9_214_560_001, "1677-12-31T23:59:59.0001Z"),
    (9_214_646_400, "2262-01-01T00:00:00Z"),
    (9_223_372_036, "2262-04-11T23:47:16Z"),
];

fn message(unix_s: i64) -> String {
    let point = Point::planar(0.0, 0.0).unwrap();
    let error = Fix::new(point).at_unix_ns(unix_s * 1_000_000_000).unwrap_err().to_string();
    assert_eq!(error, format!("time {unix_s} s since 1970 is not in the years 1678 to 2261"));
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_of_range_is_the_same_note_in_all_formats() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let url = format!("http://{}", server.address);
    let gpx = |time: &str| {
        format!(
            "<gpx><trk><trkseg>\n<trkpt lat='1' lon='0'><time>{time}</time></trkpt></trkseg></trk></gpx>"
        )
    };
    let table = |time: &str| format!("lat,lon,at\n1,1,1700000000\n1,2,{time}\n");
    for (unix_s, iso) in OUT_OF_RANGE {
        for (name, content, place) in [
            ("walk.gpx", gpx(iso), ":2:24"),
            ("walk.csv", table(iso), ":3:3"),
            ("number.csv", table(&unix_s.to_string()), ":3:3"),
        ] {
            let file = folder.path().join(name);
            std::fs::write(&file, content).unwrap();
            let file = file.to_str().unwrap();
            let arguments = ["--time-column", "at", file, "examples/legs.csv"];
            let arguments = if name == "walk.gpx" { &arguments[2..] } else { &arguments[..3] };
            let local = run_async(&[&["measure"], arguments].concat()).await;
            let remote = run_async(&[&["measure", "--server", &url], arguments].concat()).await;
            assert_eq!(local, remote);
            assert_eq!(local.0, Some(0));
            let why = message(unix_s);
            let expected =
                format!("note: {file}{place}: track 1: 1 invalid time is ignored: {why}");
            assert!(local.2.starts_with(&expected), "{expected}\n{}", local.2);
        }
    }
}

#[tokio::test]
async fn a_time_out_of_range_is_the_same_error_in_rows_and_columns() {
    let server = Server::start().await;
    let error_of = async |request: pb::RecordPathRequest| {
        let call = server.paths().await.record_path(tokio_stream::iter([request])).await;
        call.unwrap_err().message().to_owned()
    };
    let rows = |seconds, nanos| {
        let time = Some(Timestamp { seconds, nanos });
        let points = vec![pb::Point { time, ..Default::default() }];
        pb::RecordPathRequest { points, ..Default::default() }
    };
    for (unix_s, _) in OUT_OF_RANGE {
        let text = message(unix_s);
        assert_eq!(error_of(rows(unix_s, 0)).await, format!("point 0: points[0].time: {text}"));
        let (x, y, time_ms) = (vec![0], vec![0], vec![unix_s * 1000]);
        let columns = Some(pb::PointColumns { x, y, time_ms, ..Default::default() });
        let columns = pb::RecordPathRequest { columns, ..Default::default() };
        assert_eq!(error_of(columns).await, format!("point 0: columns.time_ms[0]: {text}"));
    }
    let text = error_of(rows(1, -1)).await;
    assert_eq!(text, "point 0: points[0].time: nanos -1 is not a number from 0 to 999999999");
}
