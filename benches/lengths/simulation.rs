//! Runs all methods on simulated tracks.

use std::num::NonZero;

use super::arguments::Arguments;
use super::methods::{Lengths, METHODS};
use super::motion::Motion;
use super::recording::{Interval, NOISES, record};

/// The result of a track.
pub struct Track {
    pub seed: u64,
    pub fix_count: usize,
    pub true_m: f64,
    pub duration_s: f64,
    pub lengths: Lengths,
}

/// The tracks of a motion, a noise and an interval.
pub struct Cell {
    pub motion: &'static Motion,
    /// An index of [`NOISES`].
    pub noise: usize,
    pub interval: Interval,
    pub tracks: Vec<Track>,
}

impl Track {
    /// Returns the errors of the methods relative to the true length or, if the receiver stood still, in metres per
    /// minute.
    pub fn errors(&self) -> [f64; METHODS.len()] {
        let unit = if self.true_m > 0.0 { self.true_m } else { self.duration_s / 60.0 };
        self.lengths.all().map(|length_m| (length_m - self.true_m) / unit)
    }

    /// Returns whether the interval of the estimate contains the true length.
    pub fn is_covered(&self) -> bool {
        (self.lengths.estimate.low_m..=self.lengths.estimate.high_m).contains(&self.true_m)
    }

    /// Returns the width of the interval of the estimate relative to the true length.
    pub fn width(&self) -> f64 {
        (self.lengths.estimate.high_m - self.lengths.estimate.low_m) / self.true_m
    }
}

/// Simulates and measures the tracks of all cells, with all processors.
///
/// # Errors
/// Returns an error if a track has no estimate.
pub fn run(arguments: &Arguments) -> Result<Vec<Cell>, String> {
    let mut cells = Vec::new();
    for &motion in &arguments.motions {
        for &interval in &arguments.intervals {
            for &noise in &arguments.noises {
                let measure =
                    |seed| measure(motion, noise, interval, arguments.duration_s(interval), seed);
                let seeds = arguments.first_seed..arguments.first_seed + arguments.seeds;
                let tracks = in_parallel(seeds, &measure).ok_or_else(|| {
                    format!("a track of {} at {interval} has no estimate", motion.name)
                })?;
                cells.push(Cell { motion, noise, interval, tracks });
            }
        }
    }
    Ok(cells)
}

fn measure(
    motion: &Motion,
    noise: usize,
    interval: Interval,
    duration_s: usize,
    seed: u64,
) -> Option<Track> {
    let recording = record(motion, Some(&NOISES[noise]), interval, duration_s, seed);
    Some(Track {
        seed,
        fix_count: recording.fixes.len(),
        true_m: recording.true_m,
        duration_s: recording.duration_s(),
        lengths: Lengths::of(&recording.fixes)?,
    })
}

/// Returns the results in the order of the seeds.
fn in_parallel<T: Send>(
    seeds: std::ops::Range<u64>,
    measure: &(impl Fn(u64) -> Option<T> + Sync),
) -> Option<Vec<T>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let chunk = (seeds.end - seeds.start).div_ceil(threads);
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|thread| {
                let from = seeds.start + thread * chunk;
                let part = from.min(seeds.end)..(from + chunk).min(seeds.end);
                scope.spawn(move || part.map(measure).collect::<Vec<_>>())
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}
