//! Method names, ordinary messages, and the most expensive messages that the contract permits.

use std::io::Write as _;
use std::net::SocketAddr;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use waywiser::proto::{my_package, waywiser_v1 as v1};

use crate::connection::Reply;
use crate::frames::message;

pub const DISPLACEMENT: &str = "/my_package.DisplacementService/computeDisplacement";
pub const PATH_LENGTH: &str = "/my_package.DisplacementService/computePathLength";
pub const RECORD_PATH: &str = "/waywiser.v1.PathService/RecordPath";
pub const MEASURE_PATHS: &str = "/waywiser.v1.PathService/MeasurePaths";
pub const LIST_PATHS: &str = "/waywiser.v1.PathService/ListPaths";
pub const WATCH_PATH: &str = "/waywiser.v1.PathService/WatchPath";
pub const GET_PATH: &str = "/waywiser.v1.PathService/GetPath";

pub const GZIP: (&str, &str) = ("grpc-encoding", "gzip");

/// Returns a loopback address other than 127.0.0.1. Each number is another client host.
pub fn host(number: u8) -> Option<SocketAddr> {
    Some(SocketAddr::from(([127, 0, 1, number], 0)))
}

pub fn three_four() -> my_package::Displacement {
    my_package::Displacement { start: None, end: Some(my_package::Point { x: 3, y: 4 }) }
}

pub fn is_five(reply: &Reply) -> bool {
    let answer = my_package::DisplacementResponse { distance: 5.0 };
    reply.code == Some(0) && reply.data == message(false, &answer.encode_to_vec())
}

/// Returns the first message of a path without a name.
pub fn first_message() -> Vec<u8> {
    let options = v1::PathOptions {
        model: v1::Model::Wgs84Geodesic.into(),
        xy_resolution: 1.0,
        ..v1::PathOptions::default()
    };
    let first = v1::RecordPathRequest { options: Some(options), ..Default::default() };
    message(false, &first.encode_to_vec())
}

/// The kind of legs in a message. All of them need Karney's algorithm.
#[derive(Clone, Copy, Debug)]
pub enum Legs {
    /// Each spans 60 degrees of longitude and of latitude, in two bytes.
    Long,
    /// Each ends near the antipode, in three bytes.
    Antipodal,
}

/// Returns a message of legs in columns with a unit of one degree. Every `vary_each`-th leg differs slightly from the
/// others, which sets the compression ratio.
fn columns(legs: Legs, count: usize, vary_each: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut x = vec![0];
    let mut y = vec![if matches!(legs, Legs::Long) { -30 } else { 1 }];
    for index in 0..count {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let varied = if index % vary_each == 0 { i64::from(state >> 28) } else { 0 };
        let (dx, dy) = match legs {
            Legs::Long => (60 - varied, 60),
            Legs::Antipodal => (179 - varied % 2, -2),
        };
        x.push(dx);
        y.push(if index % 2 == 0 { dy } else { -dy });
    }
    let columns = v1::PointColumns { x, y, ..Default::default() };
    v1::RecordPathRequest { columns: Some(columns), ..Default::default() }.encode_to_vec()
}

/// Returns an uncompressed frame of legs, as large as the default limit permits.
pub fn plain_legs(legs: Legs) -> Vec<u8> {
    let bytes_per_leg = if matches!(legs, Legs::Long) { 2 } else { 3 };
    message(false, &columns(legs, 65_000 / bytes_per_leg, 1))
}

/// Returns a compressed frame of 6 400 legs, and its uncompressed size.
pub fn gzip_legs(legs: Legs, vary_each: usize) -> (Vec<u8>, usize) {
    let plain = columns(legs, 6_400, vary_each);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&plain).unwrap();
    (message(true, &encoder.finish().unwrap()), plain.len())
}

/// Returns a compressed frame whose inflation ratio is just below `ratio_max`, and its ratio.
pub fn gzip_legs_below_ratio(ratio_max: usize, legs: Legs) -> (Vec<u8>, usize) {
    let mut vary_each = 6_400;
    loop {
        let (frame, plain_bytes) = gzip_legs(legs, vary_each);
        let ratio = plain_bytes / frame.len();
        if ratio < ratio_max {
            return (frame, ratio);
        }
        vary_each = vary_each * 9 / 10;
    }
}

/// Returns copies of a frame, with this many bytes at most.
pub fn repeated(frame: &[u8], bytes: usize) -> Vec<u8> {
    frame.repeat((bytes / frame.len()).max(1))
}

/// Returns the first message of a recording.
pub fn recording(name: &str, points: usize, is_finished: bool) -> v1::RecordPathRequest {
    let options = v1::PathOptions { model: v1::Model::Planar.into(), ..v1::PathOptions::default() };
    let point = |index| v1::Point { x: index as f64, y: 0.0, ..Default::default() };
    v1::RecordPathRequest {
        name: name.to_owned(),
        options: Some(options),
        write_offset: Some(0),
        points: (0..points).map(point).collect(),
        finish_write: is_finished,
        ..Default::default()
    }
}
