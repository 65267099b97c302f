//! A second implementation of the times and speeds, on a list of the accepted fixes.

use super::*;

/// An accepted fix: its time, and the length of the leg to it. The first fix of a segment has no leg.
pub(super) type TimedFix = (Option<i64>, Option<f64>);

/// Returns the time from the earliest to the latest of the times of the checked fixes.
pub(super) fn elapsed_ns(times: impl Iterator<Item = i64>) -> Option<u128> {
    let times: Vec<_> = times.map(i128::from).collect();
    Some((times.iter().max()? - times.iter().min()?) as u128)
}

/// Returns the moving time.
pub(super) fn moving_ns(stopped_speed: Option<f64>, fixes: &[TimedFix]) -> Option<u128> {
    let stopped_speed = stopped_speed?;
    let mut moving_ns = None;
    for (index, pair) in fixes.windows(2).enumerate() {
        let (Some(from), Some(to), Some(length)) = (pair[0].0, pair[1].0, pair[1].1) else {
            continue;
        };
        if from == to {
            continue;
        }
        let moving_ns = moving_ns.get_or_insert(0);
        if length / (from.abs_diff(to) as f64 / 1e9) < stopped_speed {
            continue;
        }
        // The part of the leg that is before all fixes before its end, and the part that is after all of them.
        let earlier = || fixes[..=index].iter().filter_map(|fix| fix.0);
        let (first, last) = (earlier().min().unwrap(), earlier().max().unwrap());
        let before = i128::from(first.min(from)) - i128::from(first.min(to));
        let after = i128::from(last.max(to)) - i128::from(last.max(from));
        *moving_ns += (before.max(0) + after.max(0)) as u128;
    }
    moving_ns
}

/// Returns the highest average speed of at least 5 s.
pub(super) fn max_speed(fixes: &[TimedFix]) -> Option<f64> {
    let mut best: Option<f64> = None;
    let mut last_start: Option<i64> = None;
    for (start, &(time, leg)) in fixes.iter().enumerate() {
        let is_broken = leg.is_none() || start == 0 || time < fixes[start - 1].0;
        if is_broken || time.is_none() {
            last_start = None;
        }
        let Some(from) = time else { continue };
        if last_start.is_some_and(|last| from.abs_diff(last) < 500_000_000) {
            continue;
        }
        last_start = Some(from);
        let mut length = ExactSum::ZERO;
        for end in start + 1..fixes.len() {
            let (Some(to), Some(leg)) = fixes[end] else { break };
            if Some(to) < fixes[end - 1].0 {
                break;
            }
            length.add(leg).unwrap();
            let ns = to.abs_diff(from);
            if ns >= 5_000_000_000 {
                let speed = length.to_f64() / (ns as f64 / 1e9);
                best = Some(best.map_or(speed, |best| best.max(speed)));
                break;
            }
        }
    }
    best
}
