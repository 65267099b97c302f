//! Random paths, and the expected summary of each prefix, by one fold in this process.

use prost_types::{Duration, Timestamp};
use waywiser::measure::{
    Elevation, EstimateOptions, Fix, InvalidPoints, Metric, Options, PathAccumulator, Point,
    Reorder, Space, WindowOptions, WindowUnit, Zone,
};
use waywiser::proto::waywiser_v1 as pb;

mod expected;

use crate::rng::Rng;

/// The distance in points between stored measurements, from which the summary of any prefix is computed.
const STRIDE: usize = 128;

/// One point, in the units of columns.
#[derive(Clone, Copy)]
struct Sample {
    /// A longitude is always valid.
    x: i64,
    /// A latitude of more than 90 degrees makes a point without a valid position.
    y: i64,
    z: i64,
    time_ms: i64,
    accuracy_mm: u32,
    starts_segment: bool,
}

/// A latitude of 91 degrees.
const INVALID_Y: i64 = 910_000_000;

/// A path, its options, and its measurements.
pub struct Track {
    samples: Vec<Sample>,
    options: Options,
    has_extras: bool,
    /// The accumulator of every `STRIDE`th prefix.
    prefixes: Vec<PathAccumulator>,
}

/// Returns options of an estimate with a list of trips, whose stops are short enough that a track has some.
fn estimate(rng: &mut Rng) -> EstimateOptions {
    let min_stop_ns = rng.between(1, 60) * 1_000_000_000;
    EstimateOptions { min_stop_ns, max_trips: rng.between(0, 32) as u32 }
}

/// Returns hours or days in a zone. Some tracks have more windows than the limit.
fn windows(rng: &mut Rng) -> WindowOptions {
    let zones = ["Europe/Ljubljana", "America/St_Johns", "+05:45", "UTC"];
    let zone = Zone::parse(zones[rng.between(0, 3) as usize]).unwrap();
    let unit = if rng.one_in(2) { WindowUnit::Hour } else { WindowUnit::Day };
    let max_windows = if rng.one_in(4) { 3 } else { rng.between(4, 400) as u32 };
    WindowOptions { unit, zone, max_windows, keep_latest: rng.one_in(2) }
}

impl Track {
    /// Returns a walk in the plane, on the sphere, or on the ellipsoid with all attributes and many rules. Half of
    /// the latter put the points in order. Most have an estimate with trips, and windows.
    pub fn random(rng: &mut Rng) -> Self {
        let (options, has_extras) = match rng.between(0, 3) {
            0 => (Options::new(Metric::Planar), false),
            1 => (Options::new(Metric::Haversine), true),
            kind => {
                let reorder = Reorder {
                    count: rng.between(1, 256) as u32,
                    time_ns: rng.one_in(2).then(|| rng.between(1, 90) * 1_000_000_000),
                };
                let invalid_points = match rng.between(0, 2) {
                    0 => InvalidPoints::RejectCall,
                    1 => InvalidPoints::Skip,
                    _ => InvalidPoints::Split,
                };
                let options = Options::builder(Metric::Geodesic)
                    .elevation(Elevation::ThreeDimensional)
                    .max_gap_time_ns(30_000_000_000_u64)
                    .max_gap(2_000.0)
                    .max_speed(40.0)
                    .reanchor_count(rng.between(1, 16) as u32)
                    .min_step(1.5)
                    .max_accuracy_m(20.0)
                    .reject_backward_time(rng.one_in(2))
                    .reject_zero_position(rng.one_in(2))
                    .stopped_speed(0.5)
                    .invalid_points(invalid_points)
                    .reorder((kind == 2).then_some(reorder))
                    .drop_duplicates(kind == 2 && rng.one_in(2))
                    .estimate((!rng.one_in(4)).then(|| estimate(rng)))
                    .windows((!rng.one_in(4)).then(|| windows(rng)))
                    .build()
                    .unwrap();
                (options, true)
            }
        };
        let len = rng.magnitude(1_000, 20_000) as usize;
        let mut at = Sample {
            x: 137_433_000,
            y: 464_397_000,
            z: 1_611_000,
            time_ms: 1_700_000_000_000,
            accuracy_mm: 0,
            starts_segment: false,
        };
        let mut samples = Vec::with_capacity(len);
        for _ in 0..len {
            // The walk stands for a quarter of the time.
            let pace = if samples.len() % 400 < 100 { 20 } else { 400 };
            let step = if rng.one_in(60) { 200_000 } else { pace };
            let mut step_by = || rng.between(0, 2 * step) as i64 - step as i64;
            (at.x, at.y) = (at.x + step_by(), at.y + step_by());
            at.z += rng.between(0, 2000) as i64 - 1000;
            at.time_ms += match rng.between(0, 40) {
                0 => -3_000,
                1 => 0,
                2 if rng.one_in(40) => 86_400_000,
                2 => 45_000,
                _ => 1_000,
            };
            at.accuracy_mm = rng.between(1_000, 22_000) as u32;
            at.starts_segment = has_extras && rng.one_in(150);
            let mut sample = at;
            if options.reorder().is_some() {
                // Most points are out of order, and some of them come too late.
                let late_ms = if rng.one_in(100) { 300_000 } else { 20_000 };
                sample.time_ms -= rng.between(0, late_ms) as i64;
            }
            if options.reject_zero_position() && rng.one_in(50) {
                (sample.x, sample.y) = (0, 0);
            } else if options.invalid_points() != InvalidPoints::RejectCall && rng.one_in(50) {
                sample.y = INVALID_Y;
            }
            samples.push(sample);
        }
        let mut track = Self { samples, options, has_extras, prefixes: Vec::new() };
        let mut accumulator = PathAccumulator::new(options);
        for from in (0..=len).step_by(STRIDE) {
            track.prefixes.push(accumulator.clone());
            track.fold(&mut accumulator, from, len.min(from + STRIDE));
        }
        track
    }

    pub fn len(&self) -> usize {
        self.samples.len()
    }

    fn fold(&self, accumulator: &mut PathAccumulator, from: usize, to: usize) {
        let fixes: Vec<Fix> =
            self.samples[from..to].iter().map(|sample| self.fix(sample)).collect();
        accumulator.extend(&fixes).unwrap();
    }

    fn fix(&self, sample: &Sample) -> Fix {
        let (x, y, z) = self.coordinates(sample);
        let point = Point::new(self.options.metric().space(), x, y);
        let fix = match sample.y {
            INVALID_Y => Fix::without_position(),
            _ => Fix::new(point.unwrap()),
        };
        if !self.has_extras {
            return fix;
        }
        let fix = fix.with_z(z).unwrap().at_unix_ns(sample.time_ms * 1_000_000).unwrap();
        let fix = fix.with_accuracy_m(f64::from(sample.accuracy_mm) / 1000.0).unwrap();
        if sample.starts_segment { fix.starting_segment() } else { fix }
    }

    fn coordinates(&self, sample: &Sample) -> (f64, f64, f64) {
        let (x, y, z) = (sample.x as f64, sample.y as f64, sample.z as f64);
        match self.options.metric().space() {
            Space::Geographic => (x / 1e7, y / 1e7, z / 1e3),
            Space::Planar => (x, y, z),
        }
    }

    /// Returns a message with the points `from..to`.
    pub fn message(&self, from: usize, to: usize, as_columns: bool) -> pb::RecordPathRequest {
        let samples = &self.samples[from..to];
        let mut message =
            pb::RecordPathRequest { write_offset: Some(from as u64), ..Default::default() };
        if as_columns {
            let deltas = |of: &dyn Fn(&Sample) -> i64| {
                let mut last = 0;
                let mut delta = |sample| of(sample) - std::mem::replace(&mut last, of(sample));
                samples.iter().map(&mut delta).collect::<Vec<_>>()
            };
            let mut columns = pb::PointColumns {
                x: deltas(&|sample| sample.x),
                y: deltas(&|sample| sample.y),
                ..Default::default()
            };
            if self.has_extras {
                columns.z = deltas(&|sample| sample.z);
                columns.time_ms = deltas(&|sample| sample.time_ms);
                columns.accuracy_mm = samples.iter().map(|sample| sample.accuracy_mm).collect();
                let starts = samples.iter().enumerate().filter(|(_, sample)| sample.starts_segment);
                columns.segment_starts = starts.map(|(index, _)| index as u32).collect();
            }
            message.columns = Some(columns);
        } else {
            message.points = samples.iter().map(|sample| self.row(sample)).collect();
        }
        message
    }

    fn row(&self, sample: &Sample) -> pb::Point {
        let (x, y, z) = self.coordinates(sample);
        if !self.has_extras {
            return pb::Point { x, y, ..Default::default() };
        }
        pb::Point {
            x,
            y,
            z: Some(z),
            time: Some(Timestamp {
                seconds: sample.time_ms.div_euclid(1000),
                nanos: sample.time_ms.rem_euclid(1000) as i32 * 1_000_000,
            }),
            accuracy_m: Some(f64::from(sample.accuracy_mm) / 1000.0),
            starts_segment: sample.starts_segment,
        }
    }

    pub fn options_message(&self) -> pb::PathOptions {
        let options = &self.options;
        let is_planar = options.metric() == Metric::Planar;
        let duration = |ns| Duration { seconds: (ns / 1_000_000_000) as i64, nanos: 0 };
        // Rules are set for geographic tracks only, so their limits are in metres.
        pb::PathOptions {
            model: match options.metric() {
                Metric::Planar => pb::Model::Planar,
                Metric::Haversine => pb::Model::SphereHaversine,
                _ => pb::Model::Wgs84Geodesic,
            }
            .into(),
            elevation_mode: match options.elevation() {
                Elevation::Ignored => pb::ElevationMode::Ignored,
                Elevation::ThreeDimensional => pb::ElevationMode::ThreeDimensional,
            }
            .into(),
            xy_resolution: options.xy_resolution(),
            z_resolution: options.z_resolution(),
            max_gap_time: options.max_gap_time_ns().map(duration),
            max_gap_m: options.max_gap().unwrap_or_default(),
            max_speed_mps: options.max_speed().unwrap_or_default(),
            reanchor_count: options.reanchor_count(),
            min_step_m: options.min_step().unwrap_or_default(),
            max_accuracy_m: options.max_accuracy_m().unwrap_or_default(),
            reject_backward_time: options.reject_backward_time(),
            stopped_speed_mps: options.stopped_speed().unwrap_or_default(),
            invalid_points: match options.invalid_points() {
                InvalidPoints::RejectCall => pb::InvalidPoints::RejectCall,
                InvalidPoints::Skip => pb::InvalidPoints::Skip,
                InvalidPoints::Split => pb::InvalidPoints::Split,
            }
            .into(),
            reject_zero_position: options.reject_zero_position(),
            reorder_count: options.reorder().map_or(0, |reorder| reorder.count),
            reorder_time: options.reorder().and_then(|reorder| reorder.time_ns).map(duration),
            drop_duplicates: options.drop_duplicates(),
            min_climb_m: if is_planar { 0.0 } else { options.climb().threshold },
            min_climb: if is_planar { options.climb().threshold } else { 0.0 },
            climb_smoothing_time: Some(duration(options.climb().smoothing_ns)),
            estimate: options.estimate().is_some(),
            min_stop_time: options.estimate().map(|estimate| duration(estimate.min_stop_ns)),
            max_trips: options.estimate().map_or(0, |estimate| estimate.max_trips),
            windows: options.windows().map(|windows| pb::WindowOptions {
                unit: match windows.unit {
                    WindowUnit::Hour => pb::WindowUnit::Hour,
                    WindowUnit::Day => pb::WindowUnit::Day,
                    WindowUnit::Week => pb::WindowUnit::Week,
                    WindowUnit::Month => pb::WindowUnit::Month,
                    WindowUnit::Year => pb::WindowUnit::Year,
                }
                .into(),
                time_zone: windows.zone.to_string(),
                max_windows: windows.max_windows,
                keep_latest: windows.keep_latest,
            }),
            preset: pb::Preset::Unspecified.into(),
            // The fields of planar paths.
            ..Default::default()
        }
    }

    /// Returns the expected summary of the first `len` points, as a message.
    pub fn summary(&self, len: usize) -> pb::PathSummary {
        let index = len / STRIDE;
        let mut accumulator = self.prefixes[index].clone();
        self.fold(&mut accumulator, index * STRIDE, len);
        pb::PathSummary {
            options: Some(self.options_message()),
            ..expected::summary_message(&accumulator.summary())
        }
    }
}
