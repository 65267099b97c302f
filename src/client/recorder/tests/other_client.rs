//! Another client writes the recording while this one has no connection.

use std::sync::atomic::Ordering;

use super::*;

/// Records 3500 points over a connection that follows a plan. When it is lost, the server has `kept`, which are the
/// points of another client if `is_other`.
async fn record(
    first: Plan,
    window_points: usize,
    kept: Kept,
    is_other: bool,
) -> Result<Recorded, RecordError> {
    let fake = Fake::new([first]);
    let recorder = Arc::clone(&fake).recorder().window_points(window_points);
    let recorder = recorder.on_event(move |event| {
        if let RecordEvent::Retrying { .. } = event {
            fake.kept.send_replace(Some(kept));
            fake.is_other.store(is_other, Ordering::Relaxed);
        }
    });
    recorder.record(stream::iter(fixes(3_500))).await
}

#[tokio::test(start_paused = true)]
async fn the_first_durable_points_are_compared_with_the_source_after_each_connection() {
    for (first, points) in [
        // No point was durable.
        (Plan::CutAtOnce, &[1, 700, 3_500][..]),
        // Durable points were not reported.
        (Plan::CutUnreported(1_000), &[1, 1_000, 3_500]),
    ] {
        // Some points are in the buffer, or the source has not yielded them yet.
        for window_points in [1_200, 10_000] {
            for kept in points
                .iter()
                .flat_map(|&points| [false, true].map(|is_complete| Kept { points, is_complete }))
            {
                let context = format!("{first:?}, {window_points}, {kept:?}");
                let recorded = record(first, window_points, kept, true).await;
                let error = recorded.expect_err(&context);
                let is_reported = match error {
                    RecordError::SourceDiffers { stored, .. } => stored == kept.points,
                    _ => false,
                };
                assert!(is_reported, "{context}: {error}");
                // The same points, of a late stream or another process with the same source.
                let recorded = record(first, window_points, kept, false).await;
                match recorded {
                    Err(RecordError::SourceLength { .. }) if kept.is_complete => {
                        assert!(kept.points < 3_500, "{context}");
                    }
                    recorded => assert_complete(recorded, 3_500),
                }
            }
        }
    }
}
