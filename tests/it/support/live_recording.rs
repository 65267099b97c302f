//! A recording whose points come one after the other, and the events of its recorder.

use std::ops::Range;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use waywiser::client::{Client, RecordError, RecordEvent, Recorded};
use waywiser::measure::{Fix, Metric, Options, Point};

/// A recording in progress. Each leg has the length 5.
pub struct LiveRecording {
    fixes: mpsc::UnboundedSender<Fix>,
    events: mpsc::UnboundedReceiver<RecordEvent>,
    recorded: JoinHandle<Result<Recorded, RecordError>>,
}

/// Returns the point with this index.
pub fn fix(index: i32) -> Fix {
    Fix::new(Point::planar(f64::from(index) * 3.0, f64::from(index) * 4.0).unwrap())
}

impl LiveRecording {
    /// Starts to record `paths/van`.
    pub fn start(client: &Client) -> Self {
        let (events, seen) = mpsc::unbounded_channel();
        let (fixes, source) = mpsc::unbounded_channel();
        let recorder = client
            .recorder("paths/van".parse().unwrap(), Options::new(Metric::Planar))
            .on_event(move |event| drop(events.send(event)));
        let recorded = tokio::spawn(recorder.record(UnboundedReceiverStream::new(source)));
        Self { fixes, events: seen, recorded }
    }

    /// Sends points.
    pub fn send(&self, indices: Range<i32>) {
        indices.for_each(|index| self.fixes.send(fix(index)).unwrap());
    }

    /// Waits for an event.
    pub async fn event(&mut self, is_expected: impl Fn(&RecordEvent) -> bool) {
        while !is_expected(&self.events.recv().await.unwrap()) {}
    }

    /// Waits until this number of points is durable.
    pub async fn committed(&mut self, points: u64) {
        let expected = RecordEvent::Committed { committed_points: points };
        self.event(|event| *event == expected).await;
    }

    /// Waits until a stream continues after this number of points.
    pub async fn connected(&mut self, points: u64) {
        let expected = RecordEvent::Connected { committed_points: points };
        self.event(|event| *event == expected).await;
    }

    /// Ends the path. Returns the result.
    pub async fn finish(self) -> Result<Recorded, RecordError> {
        drop(self.fixes);
        self.recorded.await.unwrap()
    }

    /// Waits until the recording fails, without ending the path.
    pub async fn failure(self) -> RecordError {
        self.recorded.await.unwrap().unwrap_err()
    }
}
