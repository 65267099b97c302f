//! The log of calls: one line for each call that ended, or for a share of the successful ones.

use std::sync::Arc;

use tonic::Code;
use tracing::{Level, Span};

use super::log_limit::{LineKind, LogLimit};
use super::log_sample::{LogSample, Sampler};
use super::observer::{CallKind, CallObserver, CallReport};

/// Logs the end of each call, within a span that names its method and its peer. Texts are formatted only for a line
/// that is logged.
#[derive(Debug)]
pub(super) struct LogObserver {
    limit: Arc<LogLimit>,
    sampler: Sampler,
    /// The share of successful calls that are logged, if it is not 1.
    sample: Option<f64>,
}

impl LogObserver {
    pub(super) fn new(limit: Arc<LogLimit>, sample: LogSample) -> Self {
        let ratio = sample.ratio();
        let sampler = Sampler::new(sample);
        Self { limit, sampler, sample: (ratio < 1.0).then_some(ratio) }
    }
}

impl CallObserver for LogObserver {
    fn call_ended(&self, report: &CallReport<'_>) {
        let is_success = report.code == Code::Ok;
        if is_success && !self.sampler.select() {
            return;
        }
        let is_fault = matches!(report.code, Code::Internal | Code::Unknown | Code::DataLoss);
        // Health checks come every few seconds, so their lines are for debugging only.
        let is_limited = report.call.kind == CallKind::Measuring || is_fault;
        let suppressed = match is_limited {
            true => match self.limit.admit(LineKind::Call(report.code)) {
                Some(suppressed) => suppressed,
                None => return,
            },
            false => 0,
        };
        let call = &report.call;
        macro_rules! line {
            ($level:expr) => {{
                // At the level debug, the call has such a span already.
                let span = match Span::current().is_none() {
                    true => tracing::span!($level, "call", method = %call.method, peer = %call.peer),
                    false => Span::none(),
                };
                let _in_span = span.enter();
                tracing::event!(
                    $level,
                    principal = call.principal,
                    outcome = ?report.code,
                    error = (!is_success).then_some(report.message),
                    points = report.points,
                    bytes = report.bytes,
                    duration_ms = report.duration.as_micros() as f64 / 1e3,
                    suppressed = (suppressed > 0).then_some(suppressed),
                    sample = self.sample.filter(|_| is_success),
                    "call ended"
                )
            }};
        }
        match (is_limited, is_fault) {
            (_, true) => line!(Level::WARN),
            (true, false) => line!(Level::INFO),
            (false, false) => line!(Level::DEBUG),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::net::SocketAddr;
    use std::sync::Mutex;
    use std::time::Duration;

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id};
    use tracing::subscriber::NoSubscriber;
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

    use super::*;
    use crate::server::observer::CallInfo;

    /// Collects log lines as text.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }

    impl Lines {
        /// Collects the lines of a function.
        ///
        /// With one subscriber, the thread of another test can decide that no thread wants the lines, because it has none
        /// (<https://github.com/tokio-rs/tracing/issues/3611>).
        fn collect(&self, function: impl FnOnce()) {
            let _other = tracing::Dispatch::new(NoSubscriber::new());
            let subscriber = tracing_subscriber::registry().with(self.clone());
            tracing::subscriber::with_default(subscriber, function);
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Lines {
        fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
            let mut text = Text(span.metadata().name().to_owned());
            span.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }

        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let mut text = Text(event.metadata().level().to_string());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_has_the_result_and_its_level_depends_on_code_and_service() {
        let lines = Lines::default();
        let observer = LogObserver::new(Arc::new(LogLimit::new(1)), LogSample::default());
        let log = |kind, code, message| {
            let peer = SocketAddr::from(([192, 0, 2, 1], 7));
            let call = CallInfo { method: "/a/B", kind, peer, principal: None, traceparent: None };
            let duration = Duration::from_micros(1_500);
            let report = CallReport { call, code, message, points: 3, bytes: 60, duration };
            observer.call_ended(&report);
        };
        lines.collect(|| {
            log(CallKind::Measuring, Code::Ok, "");
            log(CallKind::Measuring, Code::DataLoss, "a bit is wrong");
            log(CallKind::Auxiliary, Code::Ok, "");
            log(CallKind::Auxiliary, Code::Internal, "a fault");
        });
        insta::assert_snapshot!(lines.0.lock().unwrap().join("\n"), @r#"
        call method=/a/B peer=192.0.2.1:7
        INFO message=call ended outcome=Ok points=3 bytes=60 duration_ms=1.5
        call method=/a/B peer=192.0.2.1:7
        WARN message=call ended outcome=DataLoss error="a bit is wrong" points=3 bytes=60 duration_ms=1.5
        call method=/a/B peer=192.0.2.1:7
        DEBUG message=call ended outcome=Ok points=3 bytes=60 duration_ms=1.5
        call method=/a/B peer=192.0.2.1:7
        WARN message=call ended outcome=Internal error="a fault" points=3 bytes=60 duration_ms=1.5
        "#);
    }

    #[tokio::test(start_paused = true)]
    async fn lines_above_the_rate_limit_are_counted_instead_of_logged() {
        let lines = Lines::default();
        let limit = Arc::new(LogLimit::new(1));
        let observer = LogObserver::new(Arc::clone(&limit), LogSample::default());
        let peer = SocketAddr::from(([192, 0, 2, 1], 7));
        let call = CallInfo {
            method: "/a/B",
            kind: CallKind::Measuring,
            peer,
            principal: None,
            traceparent: None,
        };
        let (duration, code, message) = (Duration::ZERO, Code::Ok, "");
        let report = CallReport { call, code, message, points: 0, bytes: 0, duration };
        lines.collect(|| {
            for _ in 0..100 {
                observer.call_ended(&report);
            }
            limit.flush();
        });
        let lines = lines.0.lock().unwrap();
        assert_eq!(
            lines.len(),
            11,
            "a burst of five with a span each, and one line with the count"
        );
        assert!(lines[10].contains("suppressed=95"), "{lines:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn of_successful_calls_a_share_is_logged_and_the_others_cost_no_text() {
        let lines = Lines::default();
        let sample = LogSample::new(0.25).unwrap();
        let observer = LogObserver::new(Arc::new(LogLimit::new(10_000)), sample);
        let peer = SocketAddr::from(([192, 0, 2, 1], 7));
        let call = CallInfo {
            method: "/a/B",
            kind: CallKind::Measuring,
            peer,
            principal: Some("van"),
            traceparent: None,
        };
        let (duration, message) = (Duration::ZERO, "");
        lines.collect(|| {
            for code in [Code::Ok, Code::Cancelled] {
                let report = CallReport { call, code, message, points: 0, bytes: 0, duration };
                (0..1000).for_each(|_| observer.call_ended(&report));
            }
        });
        let lines = lines.0.lock().unwrap();
        let count = |text| lines.iter().filter(|line| line.contains(text)).count();
        let logged = count("outcome=Ok");
        assert!((200..300).contains(&logged), "{logged}");
        assert_eq!((count("sample=0.25"), count("outcome=Cancelled")), (logged, 1000));
        assert_eq!(count("call method="), logged + 1000);
    }
}
