//! The track that every stream sends, encoded once, and the length that every reply must have.

use std::io::BufRead;

use bytes::Bytes;

use super::call::Call;
use crate::formats::{self, Format, FormatError, ReadOptions, SinkError, TrackSink};
use crate::measure::{Fix, Point, Polyline, Space};

/// The walk repeats after this many points, so that its encoded bytes take at most 16 MB.
const WALK_POINTS_MAX: u64 = 1_000_000;

/// Minimum number of points of an encoded period; a shorter track is repeated in it. A chunk ends at the end of the
/// period, and the cost of many short chunks would distort the result.
const PERIOD_POINTS_MIN: usize = 100_000;

/// Maximum size of an encoded recording. Its messages contain offsets, so it cannot repeat a period.
const RECORDING_BYTES_MAX: usize = 512 << 20;

/// The time of the first point of a track with times, in seconds since 1970-01-01T00:00:00Z.
const START_UNIX_S: i64 = 1_700_000_000;

/// A request body without its first message: an encoded period that is repeated, and a tail.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    period: Bytes,
    /// The total bytes of all periods.
    periods_end: u64,
    tail: Bytes,
    byte_count: u64,
    pub point_count: u64,
    /// The length that the server must reply.
    pub length: f64,
}

impl Track {
    /// Encodes `points` for a call, repeated until there are `point_count` of them.
    ///
    /// # Errors
    /// If there are no points or too many, or if the length is out of range.
    pub(crate) fn new(call: &Call, points: &[Point], point_count: u64) -> Result<Self, String> {
        let points: Vec<_> = match call.metric().space() {
            Space::Geographic if call.needs_rounded_points() => {
                points.iter().filter_map(|&point| rounded(point)).collect()
            }
            Space::Geographic => points.to_vec(),
            // Planar coordinates are the same whole numbers of 1e-7 degree.
            Space::Planar => points.iter().filter_map(|&point| planar(point)).collect(),
        };
        if points.is_empty() {
            return Err("there are no points to send".to_owned());
        }
        let points = match usize::try_from(point_count).unwrap_or(usize::MAX) {
            wanted if wanted > points.len() => {
                points.repeat(wanted.min(PERIOD_POINTS_MIN).div_ceil(points.len()))
            }
            _ => points,
        };
        let (times, rest) =
            (point_count / points.len() as u64, (point_count % points.len() as u64) as usize);
        // Encodes only what is sent.
        let period = if times == 0 { &[][..] } else { &points };
        let (period, tail) = match call {
            Call::Points(method) => {
                let encode = |points| method.encode(points).map_err(|error| error.to_string());
                (encode(period)?, encode(&points[..rest])?)
            }
            Call::Path { form, has_times, is_named: false } => {
                let encode = |points: &[Point]| {
                    form.anonymous(&fixes(points.iter().copied(), *has_times).collect::<Vec<_>>())
                };
                (encode(period), encode(&points[..rest]))
            }
            Call::Path { form, has_times, is_named: true } => {
                let count = usize::try_from(point_count).unwrap_or(usize::MAX);
                let points = points.iter().copied().cycle().take(count);
                let body = form.recording(fixes(points, *has_times), RECORDING_BYTES_MAX);
                let too_large = || {
                    let max = RECORDING_BYTES_MAX >> 20;
                    format!(
                        "{point_count} points of a recording take more than {max} MiB; send fewer points"
                    )
                };
                (Bytes::new(), body.ok_or_else(too_large)?)
            }
        };

        let mut once = Polyline::new(call.metric());
        once.extend(&points).map_err(|error| error.to_string())?;
        let mut path = Polyline::new(call.metric());
        for _ in 0..times {
            path.merge(&once).map_err(|error| error.to_string())?;
        }
        path.extend(&points[..rest]).map_err(|error| error.to_string())?;
        let periods_end = times * period.len() as u64;
        let byte_count = periods_end + tail.len() as u64;
        let length = path.summary().length;
        Ok(Self { period, periods_end, tail, byte_count, point_count, length })
    }

    /// Returns the first `bytes_max` bytes of this track, for a server that only counts bytes. It has at least one
    /// byte and one point.
    pub(crate) fn shortened(&self, bytes_max: u64) -> Self {
        let byte_count = self.byte_count.min(bytes_max.max(1));
        let share = byte_count as f64 / self.byte_count as f64;
        let point_count = (self.point_count as f64 * share).ceil() as u64;
        Self { byte_count, point_count, length: 0.0, ..self.clone() }
    }

    /// Returns the size of the body.
    pub(crate) fn byte_count(&self) -> u64 {
        self.byte_count
    }

    /// Returns up to `byte_count` bytes from the position `at`, without copying. Fewer are returned at the end of a
    /// period, and none at the end of the track.
    pub(crate) fn slice(&self, at: u64, byte_count: usize) -> Bytes {
        let rest = usize::try_from(self.byte_count - at).unwrap_or(usize::MAX);
        let (bytes, start) = match at.checked_sub(self.periods_end) {
            Some(start) => (&self.tail, start as usize),
            None => (&self.period, (at % self.period.len() as u64) as usize),
        };
        bytes.slice(start..start + byte_count.min(rest).min(bytes.len() - start))
    }
}

fn fixes(points: impl Iterator<Item = Point>, has_times: bool) -> impl Iterator<Item = Fix> {
    (START_UNIX_S..).zip(points).map(move |(unix_s, point)| {
        let fix = Fix::new(point);
        if !has_times {
            return fix;
        }
        // In range: 10^9 points are about 30 years.
        fix.at_unix_ns(unix_s * 1_000_000_000).unwrap_or(fix)
    })
}

/// Returns the point rounded to 1e-7 degree.
fn rounded(point: Point) -> Option<Point> {
    let (latitude_e7, longitude_e7) = point.to_e7()?;
    Point::from_e7(latitude_e7, longitude_e7).ok()
}

/// Returns the planar point whose coordinates are the degrees in units of 1e-7.
fn planar(point: Point) -> Option<Point> {
    let (latitude_e7, longitude_e7) = point.to_e7()?;
    Point::planar(longitude_e7.into(), latitude_e7.into()).ok()
}

/// Returns a walk of points about 15 m apart. It is the same in each run. It heads north-east and wraps around at
/// the borders of a box of one degree, far from poles and antimeridian.
pub(crate) fn walk(point_count: u64) -> Vec<Point> {
    // Knuth's MMIX generator; its high bits are random enough for a walk.
    let mut state = 1_u64;
    let mut step = move |spread: i32| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as i32 % spread
    };
    let (mut latitude, mut longitude) = (4_000_000, 7_000_000);
    let points = (0..point_count.min(WALK_POINTS_MAX)).filter_map(|_| {
        latitude = (latitude + 600 + step(700)) % 10_000_000;
        longitude = (longitude + 900 + step(1000)) % 10_000_000;
        Point::from_e7(460_000_000 + latitude, 130_000_000 + longitude).ok()
    });
    points.collect()
}

/// Reads all points of a track file and joins its segments.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn read(input: impl BufRead, format: Option<Format>) -> Result<Vec<Point>, FormatError> {
    let mut points = Points(Vec::new());
    let options = ReadOptions { format, space: Space::Geographic, ..ReadOptions::default() };
    formats::read(input, &options, &mut points)?;
    Ok(points.0)
}

struct Points(Vec<Point>);

impl TrackSink for Points {
    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        self.0.extend(fix.point());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::method::Method;
    use crate::load::encode::{Form, Layout};
    use crate::measure::{Metric, Options};

    const ROUTE: Call = Call::Points(Method::RecordRoute);

    fn body(track: &Track, chunk_bytes: usize) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let chunk = track.slice(body.len() as u64, chunk_bytes);
            if chunk.is_empty() {
                return body;
            }
            assert!(chunk.len() <= chunk_bytes);
            body.extend(chunk);
        }
    }

    #[test]
    fn a_short_track_fills_its_chunks() {
        let track = Track::new(&ROUTE, &walk(50), 1_000_000).unwrap();
        for at in [0, 1_000_000] {
            assert_eq!(track.slice(at, 65_536).len(), 65_536);
        }
        let mut path = Polyline::new(ROUTE.metric());
        path.extend(&walk(50).repeat(20_000)).unwrap();
        assert_eq!((track.point_count, track.length), (1_000_000, path.summary().length));
    }

    #[test]
    fn a_repeated_track_has_exactly_the_wanted_points() {
        let points = walk(10);
        for call in [Call::Points(Method::RecordRoute), Call::Points(Method::PathLength)] {
            for point_count in [1, 9, 10, 11, 37, 250_003] {
                let track = Track::new(&call, &points, point_count).unwrap();
                let repeated: Vec<_> =
                    points.iter().copied().cycle().take(point_count as usize).collect();
                let plain = Track::new(&call, &repeated, point_count).unwrap();
                assert_eq!(track.length.to_bits(), plain.length.to_bits());
                assert_eq!(track.byte_count(), plain.period.len() as u64);
                for chunk_bytes in [1, 7, 1000] {
                    assert!(body(&track, chunk_bytes) == plain.period);
                }
            }
        }
    }

    #[test]
    fn the_expected_length_is_that_of_the_path() {
        let points = walk(1000);
        let mut path = Polyline::new(Metric::Haversine);
        path.extend(&points).unwrap();
        let track = Track::new(&ROUTE, &points, 1000).unwrap();
        assert_eq!(track.length, path.summary().length);
        // About 15 m per step, as of a bicycle at one point per second.
        assert!((10_000.0..20_000.0).contains(&track.length), "{}", track.length);
    }

    #[test]
    fn a_shortened_track_has_at_least_one_byte() {
        let track = Track::new(&ROUTE, &walk(10), 1000).unwrap();
        let short = track.shortened(1600);
        assert_eq!((short.byte_count(), short.point_count), (1600, 100));
        assert_eq!(body(&short, 1000), body(&track, 1000)[..1600]);
        assert_eq!((track.shortened(0).byte_count(), track.shortened(0).point_count), (1, 1));
        assert_eq!(track.shortened(u64::MAX).byte_count(), track.byte_count());
    }

    #[test]
    fn a_track_without_points_is_refused() {
        let error = Track::new(&ROUTE, &[], 5).unwrap_err();
        insta::assert_snapshot!(error, @"there are no points to send");
    }

    #[test]
    fn a_path_repeats_whole_messages_and_a_recording_is_encoded_completely() {
        let points = walk(6);
        for (layout, metric) in
            [(Layout::Rows, Metric::Planar), (Layout::Columns, Metric::Geodesic)]
        {
            let form = Form { options: Options::new(metric), layout, points_per_message: 4 };
            for (point_count, is_named) in
                [(37, false), (37, true), (3, false), (20, true), (200_041, false)]
            {
                let call = Call::Path { form, has_times: true, is_named };
                let track = Track::new(&call, &points, point_count).unwrap();
                let (mut body, mut messages) = (&body(&track, 7)[..], 0);
                assert_eq!(body.len() as u64, track.byte_count());
                while let Some((&len, rest)) = body.get(1..).and_then(<[u8]>::split_first_chunk) {
                    body = &rest[u32::from_be_bytes(len) as usize..];
                    messages += 1;
                }
                let expected = match is_named {
                    true => point_count.div_ceil(4),
                    // Messages of each period, and of the tail.
                    false => point_count / 100_002 * 25_001 + (point_count % 100_002).div_ceil(4),
                };
                assert_eq!((messages, body.len()), (expected, 0));
            }
        }
    }
}
