//! Calls at a fixed rate: runs them and measures the server meanwhile.

use std::sync::Arc;

use tokio::runtime::Runtime;

use super::args::BenchArgs;
use super::meter::Meter;
use super::report::{PacedReport, Quantiles};
use super::{call, progress};
use crate::load::drive::{self, Connections};
use crate::load::paced::{self, Pace};

/// The number of points of a call, unless the arguments have one.
const POINTS_PER_CALL: u64 = 100;

/// Runs calls at a fixed rate and returns the report.
///
/// # Errors
/// If the load is not valid, or no connection can be opened.
pub(super) fn run(args: &BenchArgs, pace: Pace, runtime: &Runtime) -> Result<PacedReport, String> {
    let call_count = pace.call_count();
    let point_count = args.load.points.unwrap_or(POINTS_PER_CALL);
    let load = args.loads(call_count, Some(point_count))?.remove(0);
    let target = args.targets()?.remove(0);
    let connections = runtime.block_on(Connections::open(&target, args.load.connections))?;
    let progress = progress(0, "{spinner} {elapsed}");
    progress.enable_steady_tick(std::time::Duration::from_secs(1));
    let meter = Meter::start(&target);
    let calls = runtime.spawn(paced::paced(connections.clone(), Arc::clone(&load), pace));
    let outcome = runtime.block_on(calls).map_err(|error| error.to_string())?;
    let used = meter.used(&target);
    let deletion = runtime.block_on(drive::delete(connections, Arc::clone(&load), 0));
    progress.finish_and_clear();

    let mut failures = outcome.failures;
    failures.extend(deletion.err());
    let seconds = outcome.elapsed.as_secs_f64();
    let points = (outcome.answered as u64 * point_count) as f64;
    let per_point = |nanos: u128| (points > 0.0).then(|| nanos as f64 / points);
    Ok(PacedReport {
        method: call::method_name(&load.call),
        call: call::describe(&load.call),
        server: target.name.clone(),
        shares_process: target.is_embedded(),
        connections: args.load.connections as u64,
        calls: call_count as u64,
        points_per_call: point_count,
        target_calls_per_s: pace.rate,
        duration_s: pace.duration.as_secs_f64(),
        answered_calls: outcome.answered as u64,
        failed_calls: outcome.failure_count as u64,
        failures,
        calls_per_s: outcome.answered as f64 / seconds,
        server_cores: used.server.map(|time| time.as_secs_f64() / seconds),
        client_cores: used.client.map(|time| time.as_secs_f64() / seconds),
        server_cpu_ns_per_point: used.server.and_then(|time| per_point(time.as_nanos())),
        latency: Quantiles::of_histogram(&outcome.latencies),
        start_lateness: Quantiles::of_histogram(&outcome.lateness),
    })
}
