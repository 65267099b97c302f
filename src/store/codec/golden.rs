//! Records of earlier format versions, as the programs of their time wrote them, and the checkpoints in them.

use crate::measure::{Elevation, Fix, Metric, Options, PathAccumulator, Point};
use crate::recording::{Checkpoint, RecordingName};

/// The name of all golden recordings.
pub(super) fn name() -> RecordingName {
    RecordingName::from_id("golden").unwrap()
}

fn checkpoint(complete: bool, accumulator: PathAccumulator) -> Checkpoint {
    Checkpoint {
        epoch: 0x0102_0304_0506_0708,
        complete,
        accumulator,
        create_unix_ms: 1_700_000_000_000,
        update_unix_ms: 1_700_000_001_234,
        expire_unix_ms: -1,
    }
}

/// A path without points.
fn empty() -> Checkpoint {
    checkpoint(true, PathAccumulator::new(Options::new(Metric::Planar)))
}

/// Two segments across the antimeridian, and a segment break at the end.
fn plain() -> Checkpoint {
    let mut accumulator = PathAccumulator::new(Options::new(Metric::Haversine));
    accumulator.start_segment();
    for (latitude, longitude) in [(46.5, 179.9999), (46.51, -179.99), (-12.25, 0.0)] {
        let point = Point::geographic(latitude, longitude).unwrap();
        accumulator.extend(&[Fix::new(point)]).unwrap();
    }
    accumulator.start_segment();
    checkpoint(false, accumulator)
}

/// No rule rejects points. Times and elevations are known in part.
fn timed() -> Checkpoint {
    let options = Options::builder(Metric::Geodesic).stopped_speed(0.25).build().unwrap();
    let mut accumulator = PathAccumulator::new(options);
    for (step, z) in [(0, Some(310.5)), (1, None), (2, Some(-3.25)), (3, Some(12.0))] {
        let offset = f64::from(step) * 1e-4;
        let fix = Fix::new(Point::geographic(-33.9 + offset, 18.4 - offset).unwrap());
        let fix = fix.at_unix_ns(-5_000_000_000 + i64::from(step) * 2_500_000_000).unwrap();
        let fix = z.map_or(fix, |z| fix.with_z(z).unwrap());
        accumulator.extend(&[fix]).unwrap();
    }
    checkpoint(false, accumulator)
}

/// All rules are set, each of them has rejected a point, and a rejected point waits for others that agree with it.
fn filtered() -> Checkpoint {
    let options = Options::builder(Metric::Planar)
        .elevation(Elevation::ThreeDimensional)
        .max_gap_time_ns(60_000_000_000_u64)
        .max_gap(1000.0)
        .max_speed(2.0)
        .min_step(1.0)
        .max_accuracy_m(30.0)
        .reject_backward_time(true)
        .stopped_speed(0.5)
        .build()
        .unwrap();
    let mut accumulator = PathAccumulator::new(options);
    // Accepted, accepted, too short a step, earlier, inaccurate, accepted, too fast.
    for (second, x, accuracy_m) in [
        (0, 0.0, 1.0),
        (2, 3.0, 1.0),
        (3, 3.5, 1.0),
        (1, 4.0, 1.0),
        (4, 4.5, 31.0),
        (5, 5.25, 1.0),
        (6, -1e3, 1.0),
    ] {
        let fix = Fix::new(Point::planar(x, 4.0).unwrap());
        let fix = fix.at_unix_ns(second * 1_000_000_000).unwrap();
        let fix = fix.with_z(x / 2.0).unwrap().with_accuracy_m(accuracy_m).unwrap();
        accumulator.extend(&[fix]).unwrap();
    }
    checkpoint(false, accumulator)
}

/// A golden record: its checkpoint, and its bytes in hexadecimal digits, in versions 1 and 2.
pub(super) struct Golden {
    pub(super) checkpoint: Checkpoint,
    pub(super) versions: [&'static str; 2],
}

pub(super) fn records() -> [Golden; 4] {
    [
        Golden { checkpoint: empty(), versions: EMPTY },
        Golden { checkpoint: plain(), versions: PLAIN },
        Golden { checkpoint: timed(), versions: TIMED },
        Golden { checkpoint: filtered(), versions: FILTERED },
    ]
}

/// The bytes of a record.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let text = String::from_utf8(digits).unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

const EMPTY: [&str; 2] = [
    "7761797701010000080706050403020100000000000000000068e5cf8b010000d26ce5cf8b010000ffffffffffffffff
     0000000000000000f03f000000000000f03f000000030000000000000000000000000000f07f000000000000f0ff0000
     00000000f07f000000000000f0ff000000000000f07f000000000000f0ff000000000000000000000078fcf338",
    "7761797702010000080706050403020100000000000000000068e5cf8b010000d26ce5cf8b010000ffffffffffffffff
     0000000000000000f03f000000000000f03f000000030000000000000000000000000000f07f000000000000f0ff0000
     00000000f07f000000000000f0ff000000000000f07f000000000000f0ff000000000000000000000089efc1e9",
];
const PLAIN: [&str; 2] = [
    "7761797701000000080706050403020103000000000000000068e5cf8b010000d26ce5cf8b010000ffffffffffffffff
     010048afbc9af2d77a3efca9f1d24d62503f000000030000000001808080a6c7d9afdd9d9ab1ba0f0301000000d812d2
     dac10000008673d2da4100000080ce349dc1000000e0dcb8bb410000000000000000000000d812d2dac1010000008673
     d2da410000004056b7bb41000000000000000000000080ce349dc10101000000000000000068c31b47",
    "7761797702000000080706050403020103000000000000000068e5cf8b010000d26ce5cf8b010000ffffffffffffffff
     010048afbc9af2d77a3efca9f1d24d62503f000000030000000001808080a6c7d9afdd9d9ab1ba0f0301000000d812d2
     dac10000008673d2da4100000080ce349dc1000000e0dcb8bb410000000000000000000000d812d2dac1010000008673
     d2da410000004056b7bb41000000000000000000000080ce349dc10101000000000000000078a2886d",
];
const TIMED: [&str; 2] = [
    "7761797701000000080706050403020104000000000000000068e5cf8b010000d26ce5cf8b010000ffffffffffffffff
     020048afbc9af2d77a3efca9f1d24d62503f0000000300000001000000000000d03f028080aacad5e3b1e3d356040100
     00009024efa541000000003cefa541000000c0ba34b4c1ffffff07af34b4c10000009024efa541000000000000f0ff01
     000000003cefa541000000c0ba34b4c10000009024efa541ffffff07af34b4c100000001ffc7afa02580e497d0120180
     d6a3f81b01f392e8ec9d1b1740018080808080808080c01e00000100000000000028400180e497d012be412789",
    "7761797702000000080706050403020104000000000000000068e5cf8b010000d26ce5cf8b010000ffffffffffffffff
     020048afbc9af2d77a3efca9f1d24d62503f0000000300000001000000000000d03f028080aacad5e3b1e3d356040100
     00009024efa541000000003cefa541000000c0ba34b4c1ffffff07af34b4c10000009024efa541000000000000f0ff01
     000000003cefa541000000c0ba34b4c10000009024efa541ffffff07af34b4c100000001ffc7afa02580e497d0120180
     d6a3f81b01f392e8ec9d1b1740018080808080808080c01e00000100000000000028400180e497d01219b6a7a0",
];
const FILTERED: [&str; 2] = [
    "7761797701000000080706050403020107000000000000000068e5cf8b010000d26ce5cf8b010000ffffffffffffffff
     0001000000000000f03f000000000000f03f0180b09dc2df01010000000000408f400100000000000000400301000000
     000000f03f010000000000003e400101000000000000e03f00808080808080808080e50f07010000000000408fc00000
     0000000015400000000000001040000000000000104000000000000000000000000000408fc001000000000000000000
     000000000010400000000000408fc00000000000001040000001008080808080808080c00a0301000000000000000000
     00000000001540000000000000104000000000000010400000000000000000000000000000f0ff010000000000000000
     000000000000104000000000000015400000000000001040000001000000000000154000000000000010400100000000
     000005400180c8afa025010000000000408fc00000000000001040010000000000407fc00180f085da2c010103808080
     8080808080800101048080808080808080800101068080808080808080c0da0f010280808080808080808001010080c8
     afa0250180e497d01201000000000000f83f018080808080808080a0050080c09ce2dde1cfd1de0b000081b9824b",
    "7761797702000000080706050403020107000000000000000068e5cf8b010000d26ce5cf8b010000ffffffffffffffff
     0001000000000000f03f000000000000f03f0180b09dc2df01010000000000408f400100000000000000400301000000
     000000f03f010000000000003e400101000000000000e03f00808080808080808080e50f07010000000000408fc00000
     0000000015400000000000001040000000000000104000000000000000000000000000408fc001000000000000000000
     000000000010400000000000408fc00000000000001040000001008080808080808080c00a0301000000000000000000
     00000000001540000000000000104000000000000010400000000000000000000000000000f0ff010000000000000000
     000000000000104000000000000015400000000000001040000001000000000000154000000000000010400100000000
     000005400180c8afa025010000000000408fc00000000000001040010000000000407fc00180f085da2c010103808080
     8080808080800101048080808080808080800101068080808080808080c0da0f010280808080808080808001010080c8
     afa0250180e497d01201000000000000f83f018080808080808080a0050080c09ce2dde1cfd1de0b0000fcb01e49",
];
