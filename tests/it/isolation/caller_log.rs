//! The log lines of the caller `a`.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer};

/// Collects the lines about the calls of the caller `a`. Install it for the thread of the server.
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
