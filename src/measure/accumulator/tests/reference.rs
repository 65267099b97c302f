//! A second implementation of the rules: slow, with the whole path in memory, in the words of the contract. The
//! property tests compare it with the accumulator.

use super::*;
use crate::measure::SignedSum;

/// The fixes with a position in the order of the path.
struct Track<'a> {
    options: &'a Options,
    fixes: Vec<Fix>,
    offsets: Vec<u64>,
    /// The number of marked starts up to each fix. No leg joins two fixes with different numbers.
    runs: Vec<usize>,
    late: Vec<bool>,
}

/// A segment: its checked fixes, and whether each was accepted.
struct Segment {
    run: usize,
    checked: Vec<(usize, bool)>,
}

/// The decisions of rules 5 to 8.
#[derive(Default)]
struct Decisions {
    segments: Vec<Segment>,
    rejected: Vec<(RejectionReason, usize)>,
    /// The fixes that repeat a candidate.
    copies: Vec<(RejectionReason, usize)>,
    /// The single fixes of segments that re-anchoring rejects.
    abandoned: Vec<(RejectionReason, usize)>,
}

impl Track<'_> {
    fn distance(&self, a: usize, b: usize) -> f64 {
        let point = |i: usize| self.fixes[i].point().unwrap();
        self.options.metric.distance(point(a), point(b)).unwrap()
    }

    fn time(&self, a: usize, b: usize) -> Option<i128> {
        let (from, to) = (self.fixes[a].unix_ns()?, self.fixes[b].unix_ns()?);
        Some(i128::from(to) - i128::from(from))
    }

    /// Rules 2 to 4.
    fn screen(&self, i: usize) -> Option<RejectionReason> {
        if self.late[i] {
            return Some(RejectionReason::Late);
        }
        let fix = self.fixes[i];
        let point = fix.point().unwrap();
        if self.options.reject_zero_position && (point.x(), point.y()) == (0.0, 0.0) {
            return Some(RejectionReason::ZeroPosition);
        }
        let limit = self.options.max_accuracy_m?;
        (fix.accuracy_m()? > limit).then_some(RejectionReason::Accuracy)
    }

    fn is_too_fast(&self, a: usize, b: usize) -> bool {
        let (Some(limit), Some(ns)) = (self.options.max_speed, self.time(a, b)) else {
            return false;
        };
        let distance = self.distance(a, b);
        let speed = match ns {
            1.. => distance / (ns as f64 / 1e9),
            0 if distance == 0.0 => 0.0,
            _ => f64::INFINITY,
        };
        speed > limit
    }

    /// Rules 5 and 6.
    fn suspicion(&self, segment: &Segment, i: usize) -> Option<RejectionReason> {
        let timed = segment.checked.iter().rev().map(|&(checked, _)| checked);
        let timed = timed.into_iter().find(|&checked| self.fixes[checked].unix_ns().is_some())?;
        if self.options.reject_backward_time && self.time(timed, i)? < 0 {
            return Some(RejectionReason::BackwardTime);
        }
        self.is_too_fast(timed, i).then_some(RejectionReason::Speed)
    }

    /// Rules 7 and 8.
    fn follow(&self, decisions: &mut Decisions, i: usize) {
        let segment = decisions.segments.last_mut().unwrap();
        let checked = segment.checked.iter().rev();
        let timed = checked.clone().find(|&&(j, _)| self.fixes[j].unix_ns().is_some());
        let accepted = checked.clone().find(|&&(_, is_accepted)| is_accepted).unwrap();
        let time = timed.and_then(|&(timed, _)| self.time(timed, i));
        let is_late = match (self.options.max_gap_time_ns, time) {
            (Some(limit), Some(ns)) => ns.abs() > limit.into(),
            _ => false,
        };
        let distance = self.distance(checked.clone().next().unwrap().0, i);
        if is_late || self.options.max_gap.is_some_and(|limit| distance > limit) {
            let run = segment.run;
            decisions.segments.push(Segment { run, checked: vec![(i, true)] });
            return;
        }
        let step = self.distance(accepted.0, i);
        let is_accepted = self.options.min_step.is_none_or(|limit| step >= limit);
        segment.checked.push((i, is_accepted));
        if !is_accepted {
            decisions.rejected.push((RejectionReason::Step, i));
        }
    }

    /// Rules 5 to 8, for the fixes that passed the others.
    fn decide(&self, passed: &[usize]) -> Decisions {
        let mut decisions = Decisions::default();
        let mut chain: Vec<(RejectionReason, usize)> = vec![];
        for &i in passed {
            let run = self.runs[i];
            let Some(segment) = decisions.segments.last().filter(|segment| segment.run == run)
            else {
                decisions.rejected.append(&mut chain);
                decisions.segments.push(Segment { run, checked: vec![(i, true)] });
                continue;
            };
            let Some(reason) = self.suspicion(segment, i) else {
                decisions.rejected.append(&mut chain);
                self.follow(&mut decisions, i);
                continue;
            };
            if let Some(&(_, last)) = chain.last() {
                let position = |i: usize| self.fixes[i].point().unwrap().canonical();
                if self.time(last, i) == Some(0) && position(last) == position(i) {
                    decisions.copies.push((reason, i));
                    continue;
                }
                let is_later = self.time(last, i).is_some_and(|time| time > 0);
                if !is_later || self.is_too_fast(last, i) {
                    decisions.rejected.append(&mut chain);
                }
            }
            chain.push((reason, i));
            if chain.len() == self.options.reanchor_count as usize {
                let abandoned = decisions.segments.pop_if(|segment| segment.checked.len() == 1);
                if let Some(segment) = abandoned {
                    decisions.abandoned.push((chain[0].0, segment.checked[0].0));
                }
                let checked = vec![(chain[0].1, true)];
                decisions.segments.push(Segment { run, checked });
                chain.drain(..).skip(1).for_each(|(_, i)| self.follow(&mut decisions, i));
            }
        }
        decisions.rejected.append(&mut chain);
        decisions
    }

    /// Removes fixes one after another and returns the length that each rejection removes.
    fn remove(
        &self,
        left: &mut Vec<usize>,
        rejected: &[(RejectionReason, usize)],
        ledger: &mut Ledger,
    ) {
        for &(reason, i) in rejected {
            let at = left.iter().position(|&other| other == i).unwrap();
            let neighbour = |at: Option<usize>| {
                at.and_then(|at| left.get(at).copied()).filter(|&j| self.runs[j] == self.runs[i])
            };
            let (a, b) = (neighbour(at.checked_sub(1)), neighbour(Some(at + 1)));
            let length = &mut ledger[reason as usize].2;
            for neighbour in [a, b].into_iter().flatten() {
                length.add(self.distance(neighbour, i)).unwrap();
            }
            if let (Some(a), Some(b)) = (a, b) {
                length.subtract(self.distance(a, b)).unwrap();
            }
            let entry = &mut ledger[reason as usize];
            entry.0 += 1;
            entry.1 = entry.1.min(self.offsets[i]);
            left.remove(at);
        }
    }
}

/// Count, least offset and rejected length by reason.
type Ledger = [(u64, u64, SignedSum); RejectionReason::COUNT];

/// Returns the summary from a simple implementation of the documented rules.
pub(super) fn reference_summary(options: &Options, steps: &[Step]) -> PathSummary {
    let metric = options.metric;
    let mut track = Track { options, fixes: vec![], offsets: vec![], runs: vec![], late: vec![] };
    let mut ledger: Ledger = [(0, u64::MAX, SignedSum::ZERO); _];
    let (mut run, mut is_broken, mut offset) = (0, false, 0);
    for step in steps {
        match *step {
            Step::Break => is_broken = true,
            Step::Fix(fix) if fix.point().is_none() => {
                is_broken |= fix.starts_segment() || options.invalid_points == InvalidPoints::Split;
                let entry = &mut ledger[RejectionReason::InvalidPosition as usize];
                (entry.0, entry.1) = (entry.0 + 1, entry.1.min(offset));
                offset += 1;
            }
            Step::Fix(fix) => {
                run += usize::from(std::mem::take(&mut is_broken) || fix.starts_segment());
                track.fixes.push(fix);
                track.offsets.push(offset);
                track.runs.push(run);
                offset += 1;
            }
        }
    }
    let order::Order { measured: order, duplicates } =
        order::in_order(options, &track.fixes, &track.runs);
    for i in duplicates {
        let entry = &mut ledger[RejectionReason::Duplicate as usize];
        (entry.0, entry.1) = (entry.0 + 1, entry.1.min(track.offsets[i]));
    }
    track.late = order.iter().map(|&(_, is_late)| is_late).collect();
    track.fixes = order.iter().map(|&(i, _)| track.fixes[i]).collect();
    track.offsets = order.iter().map(|&(i, _)| track.offsets[i]).collect();
    track.runs = order.iter().map(|&(i, _)| track.runs[i]).collect();
    let fixes = &track.fixes;
    let mut left: Vec<_> = (0..fixes.len()).collect();
    let raw: Vec<_> = left
        .windows(2)
        .filter(|pair| track.runs[pair[0]] == track.runs[pair[1]])
        .map(|pair| track.distance(pair[0], pair[1]))
        .collect();
    let screened: Vec<_> =
        left.iter().filter_map(|&i| track.screen(i).map(|reason| (reason, i))).collect();
    track.remove(&mut left, &screened, &mut ledger);
    let mut decisions = track.decide(&left);
    decisions.rejected.sort_unstable_by_key(|&(_, i)| i);
    track.remove(&mut left, &decisions.copies, &mut ledger);
    track.remove(&mut left, &decisions.rejected, &mut ledger);
    track.remove(&mut left, &decisions.abandoned, &mut ledger);

    // Each accepted fix with its predecessor in the segment.
    let mut accepted: Vec<(Option<usize>, usize)> = vec![];
    let mut gaps: Vec<f64> = vec![];
    for segment in &decisions.segments {
        let mut from = None;
        for &(i, _) in segment.checked.iter().filter(|(_, is_accepted)| *is_accepted) {
            let before = accepted.last().map(|&(_, before)| before);
            if let (None, Some(before)) = (from, before)
                && track.runs[before] == segment.run
            {
                gaps.push(track.distance(before, i));
            }
            accepted.push((from, i));
            from = Some(i);
        }
    }
    // Climbs, windows and the estimate have tests of their own.
    let mut derived = Derived::new(options);
    for segment in &decisions.segments {
        let mut from = None;
        for &(i, is_accepted) in &segment.checked {
            let fix = TrackFix {
                at: fixes[i].point().unwrap().canonical(),
                attributes: attributes(&fixes[i]),
            };
            if !is_accepted {
                derived.add_checked(fix);
                continue;
            }
            let leg = from.map(|from| (attributes(&fixes[from]), track.distance(from, i)));
            derived.add_accepted(fix, leg).unwrap();
            from = Some(i);
        }
    }
    let mut results = PathAccumulator::new(*options).summary();
    derived.summarize(&mut results);
    let of_accepted: Vec<_> = accepted.iter().map(|&(_, i)| i).collect();
    assert_eq!(left, of_accepted);

    let sum = |terms: &mut dyn Iterator<Item = f64>| {
        let mut sum = ExactSum::ZERO;
        terms.for_each(|term| sum.add(term).unwrap());
        sum
    };
    let distance = |a, b| track.distance(a, b);
    let legs: Vec<_> = accepted.iter().filter_map(|&(r, i)| Some((r?, i))).collect();
    let length = sum(&mut legs.iter().map(|&(a, b)| distance(a, b)));
    let (raw_length, gap_length) = (sum(&mut raw.into_iter()), sum(&mut gaps.into_iter()));
    let mut all = SignedSum::try_from(length).unwrap();
    all.merge(&gap_length.try_into().unwrap()).unwrap();
    ledger.iter().for_each(|(_, _, length)| all.merge(length).unwrap());
    assert_eq!(all, raw_length.try_into().unwrap());

    let rise = |&(a, b): &(usize, usize)| Some(fixes[b].z()? - fixes[a].z()?);
    let has_rise = legs.iter().any(|leg| rise(leg).is_some());
    let timed: Vec<_> =
        accepted.iter().map(|&(r, i)| (fixes[i].unix_ns(), r.map(|r| distance(r, i)))).collect();
    let checked = decisions.segments.iter().flat_map(|segment| &segment.checked);
    let checked_times = checked.filter_map(|&(i, _)| fixes[i].unix_ns());
    let mut bounds = Polyline::new(metric);
    for &(reference, i) in &accepted {
        if reference.is_none() {
            bounds.start_segment();
        }
        bounds.extend(&[fixes[i].point().unwrap()]).unwrap();
    }
    let rejections = RejectionReason::ALL.into_iter().filter_map(|reason| {
        let (count, first_offset, length) = ledger[reason as usize];
        let rejected_length = length.to_f64();
        (count > 0).then_some(Rejection { reason, count, first_offset, rejected_length })
    });
    let has = |has: &dyn Fn(&Fix) -> bool| fixes.iter().any(has);
    let has_data = |data| match data {
        MissingData::Time => has(&|fix| fix.unix_ns().is_some()),
        MissingData::Z => has(&|fix| fix.z().is_some()),
        MissingData::Accuracy => has(&|fix| fix.accuracy_m().is_some()),
    };
    let default = Options::new(metric);
    let is_changed = options.stopped_speed != default.stopped_speed;
    let unused_options = [
        ("elevation", MissingData::Z, options.elevation == Elevation::ThreeDimensional),
        ("max_gap_time_ns", MissingData::Time, options.max_gap_time_ns.is_some()),
        ("max_speed", MissingData::Time, options.max_speed.is_some()),
        ("max_accuracy_m", MissingData::Accuracy, options.max_accuracy_m.is_some()),
        ("reject_backward_time", MissingData::Time, options.reject_backward_time),
        ("stopped_speed", MissingData::Time, is_changed),
        ("estimate", MissingData::Time, options.estimate.is_some()),
        ("reorder", MissingData::Time, options.reorder.is_some()),
        ("drop_duplicates", MissingData::Time, options.drop_duplicates),
        ("windows", MissingData::Time, options.windows.is_some()),
        ("climb_threshold", MissingData::Z, options.climb.threshold != default.climb.threshold),
        (
            "climb_smoothing_ns",
            MissingData::Z,
            options.climb.smoothing_ns != default.climb.smoothing_ns,
        ),
    ];
    let unused_options = unused_options
        .into_iter()
        .filter(|&(_, data, is_set)| is_set && !fixes.is_empty() && !has_data(data))
        .map(|(option, missing, _)| UnusedOption { option, missing });
    PathSummary {
        metric,
        point_count: offset,
        accepted_count: accepted.len() as u64,
        segment_count: accepted.iter().filter(|(r, _)| r.is_none()).count() as u64,
        length: length.to_f64(),
        raw_length: raw_length.to_f64(),
        length_3d: (options.elevation == Elevation::ThreeDimensional).then(|| {
            sum(&mut legs.iter().map(|leg| {
                let d = distance(leg.0, leg.1);
                rise(leg).map_or(d, |rise| (d * d + rise * rise).sqrt())
            }))
            .to_f64()
        }),
        displacement: match (accepted.first(), accepted.last()) {
            (Some(&(_, first)), Some(&(_, last))) => distance(first, last),
            _ => 0.0,
        },
        rejections: rejections.collect(),
        elapsed_ns: times::elapsed_ns(checked_times),
        moving_ns: times::moving_ns(options.stopped_speed, &timed),
        max_speed: times::max_speed(&timed),
        ascent: results.ascent,
        descent: results.descent,
        climb_threshold: results.climb_threshold,
        raw_ascent: has_rise
            .then(|| sum(&mut legs.iter().filter_map(rise).map(|rise| rise.max(0.0))).to_f64()),
        raw_descent: has_rise
            .then(|| sum(&mut legs.iter().filter_map(rise).map(|rise| (-rise).max(0.0))).to_f64()),
        bounds: bounds.summary().bounds,
        gap_length: gap_length.to_f64(),
        estimate: results.estimate,
        trips: results.trips,
        windows: results.windows,
        unused_options: unused_options.collect(),
    }
}

fn attributes(fix: &Fix) -> FixAttributes {
    FixAttributes { z: fix.z(), unix_ns: fix.unix_ns() }
}
