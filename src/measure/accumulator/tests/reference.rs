//! A second implementation of the rules, on lists of all fixes. The property tests compare it with the
//! accumulator.

use super::*;

/// Returns the summary from a simple implementation of the documented rules.
pub(super) fn reference_summary(options: &Options, steps: &[Step]) -> PathSummary {
    let metric = options.metric;
    // The fixes with a position, and their offsets.
    let mut fixes: Vec<Fix> = vec![];
    let mut offsets: Vec<u64> = vec![];
    let mut invalid_offsets: Vec<u64> = vec![];
    let mut is_broken = false;
    let mut offset = 0;
    for step in steps {
        match *step {
            Step::Break => is_broken = true,
            Step::Fix(fix) if fix.point().is_none() => {
                is_broken |= fix.starts_segment() || options.invalid_points == InvalidPoints::Split;
                invalid_offsets.push(offset);
                offset += 1;
            }
            Step::Fix(fix) => {
                let starts = std::mem::take(&mut is_broken);
                fixes.push(if starts { fix.starting_segment() } else { fix });
                offsets.push(offset);
                offset += 1;
            }
        }
    }
    let distance = |a: usize, b: usize| {
        metric.distance(fixes[a].point().unwrap(), fixes[b].point().unwrap()).unwrap()
    };
    // In nanoseconds. An `i128` holds every difference.
    let time = |a: usize, b: usize| {
        let (from, to) = (fixes[a].unix_ns()?, fixes[b].unix_ns()?);
        Some(i128::from(to) - i128::from(from))
    };
    let raw: Vec<f64> = (0..fixes.len())
        .map(|i| if i == 0 || fixes[i].starts_segment() { 0.0 } else { distance(i - 1, i) })
        .collect();
    let is_backward =
        |a, b| options.reject_backward_time && time(a, b).is_some_and(|time| time < 0);
    let is_fast = |a, b| match (options.max_speed, time(a, b)) {
        (Some(_), Some(0)) => distance(a, b) > 0.0,
        (Some(limit), Some(ns)) => distance(a, b) > limit * (ns.abs() as f64 / 1e9),
        _ => false,
    };

    // Each accepted fix with its predecessor in the segment, and each rejected fix with its reason.
    let mut accepted: Vec<(Option<usize>, usize)> = vec![];
    let mut rejected: Vec<(RejectionReason, usize)> = vec![];
    let mut reference: Option<usize> = None;
    let mut chain: Vec<usize> = vec![];
    for (i, fix) in fixes.iter().enumerate() {
        if fix.starts_segment() {
            (reference, chain) = (None, vec![]);
        }
        let is_inaccurate = match (options.max_accuracy_m, fix.accuracy_m()) {
            (Some(limit), Some(accuracy)) => accuracy > limit,
            _ => false,
        };
        let mut suspicion = None;
        if reference.is_some_and(|r| is_backward(r, i)) {
            suspicion = Some(RejectionReason::BackwardTime);
        } else if is_inaccurate {
            rejected.push((RejectionReason::Accuracy, i));
            continue;
        } else if reference.is_some_and(|r| is_fast(r, i)) {
            suspicion = Some(RejectionReason::Speed);
        }
        if let Some(reason) = suspicion {
            let is_consistent = chain.last().is_some_and(|&c| !is_backward(c, i) && !is_fast(c, i));
            if !is_consistent {
                chain.clear();
            }
            chain.push(i);
            if chain.len() < options.reanchor_count as usize {
                rejected.push((reason, i));
                continue;
            }
            reference = None;
        }
        chain.clear();
        let Some(r) = reference else {
            accepted.push((None, i));
            reference = Some(i);
            continue;
        };
        let is_late = match (options.max_gap_time_ns, time(r, i)) {
            (Some(limit), Some(ns)) => ns.abs() > limit.into(),
            _ => false,
        };
        let is_far = options.max_gap.is_some_and(|limit| distance(r, i) > limit);
        if is_late || is_far {
            accepted.push((None, i));
        } else if options.min_step.is_some_and(|limit| distance(r, i) < limit) {
            rejected.push((RejectionReason::Step, i));
            continue;
        } else {
            accepted.push((Some(r), i));
        }
        reference = Some(i);
    }

    let sum = |terms: &mut dyn Iterator<Item = f64>| {
        let mut sum = ExactSum::ZERO;
        terms.for_each(|term| sum.add(term).unwrap());
        sum.to_f64()
    };
    let legs: Vec<_> = accepted.iter().filter_map(|&(r, i)| Some((r?, i))).collect();
    let rise = |&(a, b): &(usize, usize)| Some(fixes[b].z()? - fixes[a].z()?);
    let has_rise = legs.iter().any(|leg| rise(leg).is_some());
    let timed: Vec<_> =
        accepted.iter().map(|&(r, i)| (fixes[i].unix_ns(), r.map(|r| distance(r, i)))).collect();
    let near = rejected.iter().filter(|(reason, _)| *reason == RejectionReason::Step);
    let checked = accepted.iter().map(|&(_, i)| i).chain(near.map(|&(_, i)| i));
    let checked_times = checked.filter_map(|i| fixes[i].unix_ns());
    let mut bounds = Polyline::new(metric);
    for &(reference, i) in &accepted {
        if reference.is_none() {
            bounds.start_segment();
        }
        bounds.extend(&[fixes[i].point().unwrap()]).unwrap();
    }
    let reasons = [
        RejectionReason::BackwardTime,
        RejectionReason::Accuracy,
        RejectionReason::Speed,
        RejectionReason::Step,
    ];
    let rejections = reasons.into_iter().filter_map(|reason| {
        let fixes: Vec<_> = rejected.iter().filter(|(other, _)| *other == reason).collect();
        Some(Rejection {
            reason,
            count: fixes.len() as u64,
            first_offset: offsets[fixes.first()?.1],
            rejected_length: sum(&mut fixes.iter().map(|(_, i)| raw[*i])),
        })
    });
    let invalid = invalid_offsets.first().map(|&first_offset| Rejection {
        reason: RejectionReason::InvalidPosition,
        count: invalid_offsets.len() as u64,
        first_offset,
        rejected_length: 0.0,
    });
    PathSummary {
        metric,
        point_count: offset,
        accepted_count: accepted.len() as u64,
        segment_count: accepted.iter().filter(|(r, _)| r.is_none()).count() as u64,
        length: sum(&mut legs.iter().map(|&(a, b)| distance(a, b))),
        raw_length: sum(&mut raw.iter().copied()),
        length_3d: (options.elevation == Elevation::ThreeDimensional).then(|| {
            sum(&mut legs.iter().map(|leg| {
                let d = distance(leg.0, leg.1);
                rise(leg).map_or(d, |rise| (d * d + rise * rise).sqrt())
            }))
        }),
        displacement: match (accepted.first(), accepted.last()) {
            (Some(&(_, first)), Some(&(_, last))) => distance(first, last),
            _ => 0.0,
        },
        rejections: rejections.chain(invalid).collect(),
        elapsed_ns: times::elapsed_ns(checked_times),
        moving_ns: times::moving_ns(options.stopped_speed, &timed),
        max_speed: times::max_speed(&timed),
        ascent: has_rise.then(|| sum(&mut legs.iter().filter_map(rise).map(|rise| rise.max(0.0)))),
        descent: has_rise
            .then(|| sum(&mut legs.iter().filter_map(rise).map(|rise| (-rise).max(0.0)))),
        raw_ascent: has_rise
            .then(|| sum(&mut legs.iter().filter_map(rise).map(|rise| rise.max(0.0)))),
        raw_descent: has_rise
            .then(|| sum(&mut legs.iter().filter_map(rise).map(|rise| (-rise).max(0.0)))),
        bounds: bounds.summary().bounds,
        gap_length: 0.0,
        estimate: None,
        trips: None,
        windows: None,
        unused_options: Vec::new(),
    }
}
