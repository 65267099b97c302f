//! The log lines of the caller `a`.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use tracing::Dispatch;
use tracing::field::{Field, Visit};
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Collects the lines about the calls of the caller `a`.
#[derive(Clone, Default)]
pub struct CallerLog(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // The only field that differs between two runs.
        if field.name() != "duration_ms" {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl CallerLog {
    /// Collects the lines of this thread, which is that of the server, until the result is dropped.
    ///
    /// If a process has one subscriber, the first thread that reaches a line decides for all threads whether it is wanted
    /// (<https://github.com/tokio-rs/tracing/issues/3611>). The thread of another test has no subscriber and wants none. So
    /// there is a second one, which wants no lines.
    pub fn collect(&self) -> (Dispatch, DefaultGuard) {
        let other = Dispatch::new(NoSubscriber::new());
        (other, tracing_subscriber::registry().with(self.clone()).set_default())
    }

    /// Returns the lines in a fixed order: the ends of two calls may be logged in any order.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.0.lock().unwrap().clone();
        lines.sort();
        lines
    }
}

impl<S: tracing::Subscriber> Layer<S> for CallerLog {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut text = Text("log:".to_owned());
        event.record(&mut text);
        if text.0.contains(r#"principal="a""#) {
            self.0.lock().unwrap().push(text.0);
        }
    }
}
