//! Interprets arbitrary bytes as the steps of a client that obeys HTTP/2. Its messages may have any content.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use waywiser::proto::{my_package, routeguide, waywiser_admin_v1 as admin_v1, waywiser_v1 as v1};

use crate::frames::{data, message, ping, request, reset, settings, window_update};

const PATHS: [&str; 18] = [
    "/waywiser.v1.PathService/RecordPath",
    "/waywiser.v1.PathService/MeasurePaths",
    "/waywiser.v1.PathService/ComputeDisplacement",
    "/waywiser.v1.PathService/GetPath",
    "/waywiser.v1.PathService/WatchPath",
    "/waywiser.v1.PathService/DeletePath",
    "/waywiser.v1.PathService/ListPaths",
    "/my_package.DisplacementService/computeDisplacement",
    "/my_package.DisplacementService/computePathLength",
    "/routeguide.RouteGuide/RecordRoute",
    "/routeguide.RouteGuide/GetFeature",
    "/routeguide.RouteGuide/ListFeatures",
    "/routeguide.RouteGuide/RouteChat",
    "/waywiser.admin.v1.AdminService/BackupStore",
    "/waywiser.v1.PathService/AppendPoints",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/unknown/method",
];
const NAMES: [&str; 5] = ["", "paths/a", "paths/b", "namespaces/a/paths/b", "a bad name"];
const PREFIXES: [&str; 4] = ["", "paths/a", "namespaces/a/paths/", "a bad prefix"];
/// The windows that HTTP/2 grants before the settings of the server arrive.
const WINDOW_BYTES: usize = 65_535;
const STREAMS_MAX: usize = 100;

struct Stream {
    id: u32,
    method: usize,
    is_gzip: bool,
    is_open: bool,
    window: usize,
}

pub struct Script<'a> {
    input: &'a [u8],
    streams: Vec<Stream>,
    window: usize,
}

impl<'a> Script<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, streams: Vec::new(), window: WINDOW_BYTES }
    }

    /// Returns the writes of the client.
    pub fn pieces(mut self) -> Vec<Vec<u8>> {
        let (mut pieces, mut piece) = (Vec::new(), Vec::new());
        while !self.input.is_empty() {
            match self.byte() % 10 {
                0 | 1 => piece.extend(self.open()),
                2..=4 => {
                    let payload = self.payload();
                    piece.extend(self.send(payload.as_deref(), false));
                }
                5 => {
                    let noise = self.bytes();
                    piece.extend(self.send(Some(&noise), false));
                }
                6 => piece.extend(self.send(None, true)),
                7 => piece.extend(self.reset()),
                8 => piece.extend(self.control()),
                _ => pieces.push(std::mem::take(&mut piece)),
            }
        }
        pieces.push(piece);
        pieces
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.input.split_first() else { return 0 };
        self.input = rest;
        *first
    }

    /// Returns the next bytes of the input, at most 255.
    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.input.len());
        let (bytes, rest) = self.input.split_at(length);
        self.input = rest;
        bytes.to_vec()
    }

    fn small(&mut self) -> i64 {
        i64::from(self.byte() as i8)
    }

    fn open(&mut self) -> Vec<u8> {
        if self.streams.len() >= STREAMS_MAX {
            return Vec::new();
        }
        let method = usize::from(self.byte()) % PATHS.len();
        let flags = self.byte();
        let is_gzip = flags & 1 != 0;
        let mut headers = Vec::new();
        if is_gzip {
            headers.push(("grpc-encoding", "gzip"));
        }
        match flags >> 1 & 3 {
            1 => headers.push(("grpc-timeout", "5S")),
            2 => headers.push(("grpc-timeout", "x")),
            _ => {}
        }
        let id = 2 * self.streams.len() as u32 + 1;
        self.streams.push(Stream { id, method, is_gzip, is_open: true, window: WINDOW_BYTES });
        request(id, PATHS[method], &headers)
    }

    /// Returns the stream that the next byte chooses, if it is open.
    fn stream(&mut self) -> Option<&mut Stream> {
        let index = usize::from(self.byte()).checked_rem(self.streams.len())?;
        Some(&mut self.streams[index]).filter(|stream| stream.is_open)
    }

    fn reset(&mut self) -> Vec<u8> {
        let code = u32::from(self.byte() % 16);
        let Some(stream) = self.stream() else { return Vec::new() };
        stream.is_open = false;
        reset(stream.id, code)
    }

    fn control(&mut self) -> Vec<u8> {
        match self.byte() % 4 {
            0 => ping(u64::from(self.byte())),
            // Small windows for replies, and window updates.
            1 => settings(&[(4, u32::from(self.byte()))]),
            2 => window_update(0, 1 + u32::from(self.byte())),
            _ => {
                let bytes = 1 + u32::from(self.byte());
                self.stream().map(|stream| window_update(stream.id, bytes)).unwrap_or_default()
            }
        }
    }

    /// Returns DATA frames with the payload, whose size the input chooses, and ends the stream if `is_end` is set.
    fn send(&mut self, payload: Option<&[u8]>, is_end: bool) -> Vec<u8> {
        let (cut, total) = (usize::from(self.byte()) + 1, self.window);
        let Some(stream) = self.stream() else { return Vec::new() };
        let payload = payload.unwrap_or_default();
        if payload.len() > stream.window.min(total) {
            return Vec::new();
        }
        stream.window -= payload.len();
        stream.is_open = !is_end;
        let id = stream.id;
        self.window -= payload.len();
        let mut frames: Vec<u8> =
            payload.chunks(cut).flat_map(|part| data(id, part, false)).collect();
        if is_end {
            frames.extend(data(id, &[], true));
        }
        frames
    }

    /// Returns a message for the method of the stream that was opened last.
    fn payload(&mut self) -> Option<Vec<u8>> {
        let stream = self.streams.last()?;
        let (method, is_gzip) = (stream.method, stream.is_gzip);
        let name = NAMES[usize::from(self.byte()) % NAMES.len()].to_owned();
        let encoded = match method {
            0 => v1::RecordPathRequest {
                name,
                options: self.options(),
                write_offset: self.offset(),
                points: self.rows(),
                columns: self.columns(),
                finish_write: self.byte() % 4 == 0,
            }
            .encode_to_vec(),
            1 => v1::MeasurePathsRequest {
                path_id: name,
                options: self.options(),
                points: self.rows(),
                columns: self.columns(),
                end_path: self.byte() % 2 == 0,
            }
            .encode_to_vec(),
            2 => v1::ComputeDisplacementRequest {
                start: self.rows().pop(),
                end: self.rows().pop(),
                model: i32::from(self.byte() % 5),
            }
            .encode_to_vec(),
            3 => v1::GetPathRequest { name, ..Default::default() }.encode_to_vec(),
            4 => v1::WatchPathRequest { name, allow_missing: self.byte() % 2 == 0, ..Default::default() }.encode_to_vec(),
            5 => {
                v1::DeletePathRequest { name, allow_missing: self.byte() % 2 == 0 }.encode_to_vec()
            }
            6 => v1::ListPathsRequest {
                page_size: self.small() as i32,
                page_token: name,
                prefix: PREFIXES[usize::from(self.byte()) % PREFIXES.len()].to_owned(),
                view: i32::from(self.byte() % 4),
            }
            .encode_to_vec(),
            7 => my_package::Displacement { start: None, end: Some(self.point()) }.encode_to_vec(),
            8 => self.point().encode_to_vec(),
            9 | 10 => self.position().encode_to_vec(),
            11 => routeguide::Rectangle { lo: Some(self.position()), hi: Some(self.position()) }
                .encode_to_vec(),
            12 => routeguide::RouteNote { location: Some(self.position()), message: name }
                .encode_to_vec(),
            13 => admin_v1::BackupStoreRequest {}.encode_to_vec(),
            14 => {
                let mut options = self.options().unwrap_or_default();
                (options.reorder_count, options.drop_duplicates) = (8, self.byte() % 4 > 0);
                let (points, columns) = (self.rows(), self.columns());
                v1::AppendPointsRequest { name, options: Some(options), points, columns }
                    .encode_to_vec()
            }
            _ => self.bytes(),
        };
        let is_compressed = is_gzip && self.byte() % 4 > 0;
        if !is_compressed {
            return Some(message(false, &encoded));
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&encoded).ok()?;
        Some(message(true, &encoder.finish().ok()?))
    }

    fn position(&mut self) -> routeguide::Point {
        routeguide::Point { latitude: self.small() as i32, longitude: self.small() as i32 }
    }

    fn point(&mut self) -> my_package::Point {
        my_package::Point { x: self.small() as i32, y: self.small() as i32 }
    }

    fn offset(&mut self) -> Option<u64> {
        (self.byte() % 2 == 0).then(|| u64::from(self.byte()))
    }

    fn options(&mut self) -> Option<v1::PathOptions> {
        (self.byte() % 2 == 0).then(|| v1::PathOptions {
            model: i32::from(self.byte() % 5),
            elevation_mode: i32::from(self.byte() % 4),
            xy_resolution: self.small() as f64 / 4.0,
            max_speed_mps: self.small() as f64,
            min_step_m: self.small() as f64,
            invalid_points: i32::from(self.byte() % 5),
            ..Default::default()
        })
    }

    fn rows(&mut self) -> Vec<v1::Point> {
        (0..self.byte() % 8)
            .map(|_| v1::Point {
                x: self.small() as f64,
                y: self.small() as f64,
                z: (self.byte() % 2 == 0).then_some(1.0),
                ..Default::default()
            })
            .collect()
    }

    fn columns(&mut self) -> Option<v1::PointColumns> {
        let count = usize::from(self.byte());
        (self.byte() % 2 == 0).then(|| v1::PointColumns {
            x: (0..count).map(|_| self.small()).collect(),
            y: (0..count).map(|_| self.small()).collect(),
            time_ms: (0..count * usize::from(self.byte() % 2)).map(|_| self.small()).collect(),
            ..Default::default()
        })
    }
}
