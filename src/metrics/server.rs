//! The metrics of a server: what [`Monitor`] shows.

use super::registry::{Samples, Source};
use crate::server::{MethodStats, Monitor, Phase, ServerStats, status_name};

/// Returns the metrics of a server. Each process has one.
pub fn server(monitor: Monitor) -> impl Source {
    move |samples: &mut Samples<'_>| {
        let stats = monitor.stats();
        life(&stats, samples);
        calls(&stats, samples);
        connections(&stats, samples);
        memory(&stats, samples);
    }
}

fn life(stats: &ServerStats, samples: &mut Samples<'_>) {
    let labels = [("version", env!("CARGO_PKG_VERSION"))];
    samples.info("waywiser_build", "The version of the program", &labels);
    let help = "1 while the server accepts calls, 0 while it starts or drains; waywiser_store_up reports the store";
    samples.gauge("waywiser_accepting_calls", help, |family| {
        family.add(&[], stats.phase == Phase::Serving);
    });
    let help = "Log lines that the rate limit has suppressed";
    samples.counter("waywiser_log_lines_suppressed", help, |family| {
        family.add(&[], stats.log_lines_suppressed);
    });
}

fn calls(stats: &ServerStats, samples: &mut Samples<'_>) {
    type Get = fn(&MethodStats) -> u64;
    let by_method = |get: Get| {
        let methods = &stats.methods;
        move |family: &mut super::Family<'_>| {
            for method in methods {
                family.add(&[("grpc_method", method.method)], get(method));
            }
        }
    };
    let help = "Calls that are open";
    samples.gauge("waywiser_calls_open", help, by_method(|method| method.open));
    let help = "Calls with work left that wait for a thread of the server";
    samples.gauge("waywiser_calls_competing", help, |family| {
        family.add(&[], stats.calls_competing);
    });
    let help = "Points that were added to paths, also by calls that are open";
    samples.counter("waywiser_points", help, by_method(|method| method.points));
    let help = "Request messages, also of calls that are open";
    samples.counter("waywiser_received_messages", help, by_method(|method| method.messages));
    let help = "Bytes of request bodies with their framing, also of calls that are open";
    samples.counter("waywiser_received_bytes", help, by_method(|method| method.bytes));
    let help = "Time for which quotas have stopped streams, the sum of all streams";
    samples.counter("waywiser_throttled_seconds", help, |family| {
        for method in &stats.methods {
            family.add(&[("grpc_method", method.method)], method.throttled.as_secs_f64());
        }
    });
    let help = "Calls that ended with an error, by the reason of the ErrorInfo";
    samples.counter("waywiser_call_errors", help, |family| {
        for (code, reason, count) in &stats.call_errors {
            family.add(&[("grpc_status", status_name(*code)), ("reason", reason)], *count);
        }
    });
    let help = "Recordings that calls write to";
    samples.gauge("waywiser_recordings_open", help, |family| {
        family.add(&[], stats.recordings_open);
    });
    let help = "Recordings that are open, or whose last commit has not ended";
    samples.gauge("waywiser_recordings_uncommitted", help, |family| {
        family.add(&[], stats.recordings_uncommitted);
    });
    samples.gauge("waywiser_watchers", "Calls that wait for updates of a recording", |family| {
        family.add(&[], stats.watchers);
    });
}

fn connections(stats: &ServerStats, samples: &mut Samples<'_>) {
    samples.gauge("waywiser_connections_open", "Connections that are open", |family| {
        family.add(&[], stats.connections_open);
    });
    let help = "Maximum number of open connections";
    samples.gauge("waywiser_connections_max", help, |family| {
        family.add(&[], stats.connections_max);
    });
    let help =
        "Connections with the maximum number of streams, whose further calls wait in the client";
    samples.gauge("waywiser_connections_at_stream_limit", help, |family| {
        family.add(&[], stats.connections_full);
    });
    let help = "Connections that were accepted";
    samples.counter("waywiser_connections_accepted", help, |family| {
        family.add(&[], stats.connections_accepted);
    });
    let help = "Connections that were refused because a limit was reached";
    samples.counter("waywiser_connections_refused", help, |family| {
        for (limit, count) in &stats.connections_refused {
            family.add(&[("limit", limit)], *count);
        }
    });
    let help = "Accepted connections that have ended, by the reason";
    samples.counter("waywiser_connections_ended", help, |family| {
        for (reason, count) in &stats.connections_ended {
            family.add(&[("reason", reason)], *count);
        }
    });
    let help = "Failures of the system to accept a connection, such as a lack of file descriptors";
    samples.counter("waywiser_accept_errors", help, |family| {
        family.add(&[], stats.accept_errors);
    });
}

fn memory(stats: &ServerStats, samples: &mut Samples<'_>) {
    let help = "Memory budget for unread input, unsent replies and open recordings";
    samples.gauge("waywiser_memory_budget_bytes", help, |family| {
        family.add(&[], stats.memory_limit_bytes);
    });
    let help = "Bytes of the memory budget that are in use";
    samples.gauge("waywiser_memory_used_bytes", help, |family| {
        family.add(&[], stats.memory_used_bytes);
    });
    let help = "Bytes of input that no call has read, measured at intervals";
    samples.gauge("waywiser_unread_input_bytes", help, |family| {
        family.add(&[], stats.unread_input_bytes);
    });
}
