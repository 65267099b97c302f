//! A second implementation of the buffer that puts fixes in order, on the list of all fixes.

use super::*;

/// Returns the indices of the fixes in the order in which they are measured, and whether each is late. `runs` has the
/// number of marked starts up to each fix.
pub(super) fn in_order(
    limits: Option<Reorder>,
    fixes: &[Fix],
    runs: &[usize],
) -> Vec<(usize, bool)> {
    let Some(limits) = limits else { return (0..fixes.len()).map(|i| (i, false)).collect() };
    let mut out = vec![];
    let mut from = 0;
    for run in runs.chunk_by(|a, b| a == b) {
        in_order_of_run(limits, fixes, from..from + run.len(), &mut out);
        from += run.len();
    }
    out
}

fn in_order_of_run(
    limits: Reorder,
    fixes: &[Fix],
    run: std::ops::Range<usize>,
    out: &mut Vec<(usize, bool)>,
) {
    let mut waiting: Vec<(i64, usize)> = vec![];
    let (mut sent, mut left): (Option<i64>, Option<i64>) = (None, None);
    for i in run {
        let time = fixes[i].unix_ns();
        sent = time.or(sent);
        let Some(key) = sent.filter(|&sent| left.is_none_or(|left| left <= sent)) else {
            out.push((i, time.is_some()));
            continue;
        };
        waiting.push((key, i));
        waiting.sort();
        loop {
            let (first, last) = (waiting[0].0, waiting[waiting.len() - 1].0);
            let waits_ns = i128::from(last) - i128::from(first);
            let is_due = limits.time_ns.is_some_and(|limit| waits_ns > limit.into());
            if !is_due && waiting.len() <= limits.count as usize {
                break;
            }
            out.push((waiting.remove(0).1, false));
            left = Some(first);
        }
    }
    out.extend(waiting.iter().map(|&(_, i)| (i, false)));
}
