//! The time that the estimate takes per fix, compared with that of the raw length.

use std::hint::black_box;
use std::time::Instant;

use waywiser::Fix;
use waywiser::measure::{Metric, Options, PathAccumulator};

use super::methods::estimating;
use super::motion::MOTIONS;
use super::recording::{Interval, NOISES, record};
use super::report::median;

/// Each time is the median of this many runs. The runs of both alternate, so that both see the same load.
const RUNS: usize = 15;

/// Prints the time per fix of a walk of an hour at 1 Hz.
pub fn print() {
    let fixes = record(&MOTIONS[0], Some(&NOISES[1]), Interval::Every(1), 3600, 1).fixes;
    let options = [Options::new(Metric::Geodesic), estimating()];
    let mut times_ns = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        for (options, times_ns) in options.iter().zip(&mut times_ns) {
            times_ns.push(time_ns(*options, &fixes));
        }
    }
    let [raw_ns, estimate_ns] = times_ns.map(|mut times_ns| median(&mut times_ns));
    println!(
        "time per fix: raw length {raw_ns:.0} ns, with the estimate {estimate_ns:.0} ns ({:.1} times)",
        estimate_ns / raw_ns
    );
}

fn time_ns(options: Options, fixes: &[Fix]) -> f64 {
    let start = Instant::now();
    let mut path = PathAccumulator::new(options);
    path.extend(black_box(fixes)).unwrap();
    black_box(path.summary());
    start.elapsed().as_nanos() as f64 / fixes.len() as f64
}
