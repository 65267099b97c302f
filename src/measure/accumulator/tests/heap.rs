//! The bytes that a path holds, for memory limits.

use super::*;

const HOUR_NS: i64 = 3_600_000_000_000;

#[test]
fn a_path_reports_what_its_options_make_it_hold() {
    let builder = || Options::builder(Metric::Geodesic);
    let reorder = Reorder { count: 256, time_ns: None };
    let estimate = EstimateOptions::default();
    let windows = WindowOptions::new(WindowUnit::Day, Zone::UTC);
    let bytes = |options: Options| {
        let mut path = PathAccumulator::new(options);
        let fixes: Vec<_> = (0..500_i64)
            .map(|hour| {
                let at = Point::geographic(46.0 + hour as f64 / 1e4, 13.0).unwrap();
                Fix::new(at).at_unix_ns(hour * 25 * HOUR_NS).unwrap()
            })
            .collect();
        path.extend(&fixes).unwrap();
        path.heap_bytes()
    };
    assert_eq!(bytes(builder().build().unwrap()), 0);
    let of_reorder = bytes(builder().reorder(reorder).build().unwrap());
    assert!(of_reorder >= 256 * 48, "{of_reorder}");
    let of_windows = bytes(builder().windows(windows).build().unwrap());
    assert!(of_windows >= 100 * 32, "{of_windows}");
    let of_estimate = bytes(builder().estimate(estimate).build().unwrap());
    assert!(of_estimate > 1000, "{of_estimate}");
    let both = builder().windows(windows).estimate(estimate).build().unwrap();
    assert_eq!(bytes(both), of_windows + of_estimate);
}
