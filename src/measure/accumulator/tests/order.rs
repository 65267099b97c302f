//! A second implementation of the buffer that puts fixes in order, on the list of all fixes.

use super::*;

/// The order of the fixes of a path.
#[derive(Default)]
pub(super) struct Order {
    /// The indices of the fixes in the order in which they are measured, and whether each is late.
    pub(super) measured: Vec<(usize, bool)>,
    /// The indices of the duplicates.
    pub(super) duplicates: Vec<usize>,
}

/// The time, whether there is no position, and the position as whole numbers in the same order.
type Key = (i64, bool, [i64; 2]);

/// Returns the order of the fixes. `runs` has the number of marked starts up to each fix.
pub(super) fn in_order(options: &Options, fixes: &[Fix], runs: &[usize]) -> Order {
    let mut out = Order::default();
    let Some(limits) = options.reorder else {
        out.measured.extend((0..fixes.len()).map(|i| (i, false)));
        return out;
    };
    let mut from = 0;
    for run in runs.chunk_by(|a, b| a == b) {
        let run = from..from + run.len();
        from = run.end;
        in_order_of_run(limits, options.drop_duplicates, fixes, run, &mut out);
    }
    out
}

/// Returns a number in the order of [`f64::total_cmp`].
fn rank(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    if bits < 0 { i64::MIN + (i64::MAX - (bits & i64::MAX)) } else { bits }
}

fn in_order_of_run(
    limits: Reorder,
    drops_duplicates: bool,
    fixes: &[Fix],
    run: std::ops::Range<usize>,
    Order { measured: out, duplicates }: &mut Order,
) {
    let mut waiting: Vec<(Key, usize)> = vec![];
    let (mut sent, mut left): (Option<i64>, Option<Key>) = (None, None);
    for i in run {
        let time = fixes[i].unix_ns();
        sent = time.or(sent);
        let (x, y) = fixes[i].point().unwrap().canonical();
        let key = |unix_ns| match drops_duplicates {
            true if time.is_some() => (unix_ns, false, [rank(x), rank(y)]),
            drops_duplicates => (unix_ns, drops_duplicates, [0, 0]),
        };
        let key = sent.map(key).filter(|&key| left.is_none_or(|left| left <= key));
        let Some(key) = key else {
            out.push((i, time.is_some()));
            continue;
        };
        let is_known = left == Some(key) || waiting.iter().any(|&(other, _)| other == key);
        if drops_duplicates && time.is_some() && is_known {
            duplicates.push(i);
            continue;
        }
        waiting.push((key, i));
        waiting.sort();
        loop {
            let (first, last) = (waiting[0].0, waiting[waiting.len() - 1].0);
            let waits_ns = i128::from(last.0) - i128::from(first.0);
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
