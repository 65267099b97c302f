//! The calls by method and status: an observer that counts and times them.
//!
//! The names are those of the gRPC proposal A66, in the form that Prometheus gives them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tonic::Code;

use super::histogram::Histogram;
use super::registry::{Samples, Source};
use crate::server::methods::Methods;
use crate::server::{CallInfo, CallObserver, CallReport, status_name};

/// Upper bounds in seconds: from unary calls to streams of hours.
const BOUNDS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 1800.0, 7200.0,
];

const CODES: usize = 17;

/// Counts and times calls by method. Add it to a server as an observer, and to [`super::Metrics`] as a source.
#[derive(Debug)]
pub struct CallMetrics {
    methods: Vec<Method>,
}

#[derive(Debug, Default)]
struct Method {
    started: AtomicU64,
    /// The durations by status code. Most methods end with few codes.
    ended: [OnceLock<Histogram>; CODES],
}

impl Default for CallMetrics {
    fn default() -> Self {
        Self { methods: Methods::get().names().iter().map(|_| Method::default()).collect() }
    }
}

impl CallMetrics {
    fn method(&self, call: &CallInfo<'_>) -> Option<&Method> {
        self.methods.get(Methods::get().find(call.method))
    }
}

impl CallObserver for CallMetrics {
    fn call_started(&self, call: &CallInfo<'_>) {
        if let Some(method) = self.method(call) {
            method.started.fetch_add(1, Relaxed);
        }
    }

    fn call_ended(&self, report: &CallReport<'_>) {
        let ended =
            self.method(&report.call).and_then(|method| method.ended.get(report.code as usize));
        if let Some(ended) = ended {
            ended.get_or_init(|| Histogram::new(&BOUNDS)).observe(report.duration);
        }
    }
}

impl Source for CallMetrics {
    fn collect(&self, samples: &mut Samples<'_>) {
        let methods = || Methods::get().names().iter().zip(&self.methods);
        samples.counter("grpc_server_call_started", "Calls that have started", |family| {
            for (name, method) in methods() {
                family.add(&[("grpc_method", name)], method.started.load(Relaxed));
            }
        });
        let help = "Duration of calls that have ended, from the request to the end of the answer";
        samples.histogram("grpc_server_call_duration_seconds", help, |family| {
            for (name, method) in methods() {
                for (code, ended) in method.ended.iter().enumerate() {
                    if let Some(ended) = ended.get() {
                        let status = status_name(Code::from(code as i32));
                        let labels = [("grpc_method", &**name), ("grpc_status", status)];
                        family.add_histogram(&labels, &ended.sample());
                    }
                }
            }
        });
    }
}
