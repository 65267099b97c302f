//! Live streams: measures the server while all of them are open.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use tokio::runtime::Runtime;

use super::args::BenchArgs;
use super::meter::Meter;
use super::report::{LiveReport, Quantiles};
use super::{call, progress};
use crate::load::drive::{self, Connections};
use crate::load::live;

/// Runs live streams and returns the report.
pub(super) fn run(
    args: &BenchArgs,
    stream_count: usize,
    runtime: &Runtime,
) -> Result<LiveReport, String> {
    let schedule = args.schedule();
    let load = args.loads(stream_count, Some(schedule.points_per_stream()))?.remove(0);
    let target = args.targets()?.remove(0);
    let memory = || Some(target.watched.as_ref()?.memory()?.now_bytes);
    let memory_before = memory();
    let connections = runtime.block_on(Connections::open(&target, args.load.connections))?;
    let progress = progress(schedule.duration.as_secs() as usize, "{bar:40} {pos} s of {len} s");
    progress.enable_steady_tick(Duration::from_secs(1));

    let streams = runtime.spawn(live::live(connections.clone(), Arc::clone(&load), schedule));
    // All streams are open after the first interval, and the first of them ends in the last interval.
    thread::sleep(schedule.interval);
    let meter = Meter::start(&target);
    let watched_time = schedule.duration - 2 * schedule.interval;
    wait(watched_time, &progress);
    let used = meter.used(&target);
    let memory_live = memory();
    let outcome = runtime.block_on(streams).map_err(|error| error.to_string())?;
    let deletion = runtime.block_on(drive::delete(connections, Arc::clone(&load), 0));
    progress.finish_and_clear();

    let mut failures = outcome.failures;
    failures.extend(deletion.err());

    let cores = |time: Option<Duration>| Some(time?.as_secs_f64() / watched_time.as_secs_f64());
    let scaled_cores = |time: Option<Duration>| {
        let time = time?.as_secs_f64();
        Some(time / watched_time.as_secs_f64() * 1e4 / stream_count as f64)
    };
    let grown = memory_live.zip(memory_before).map(|(live, before)| live as f64 - before as f64);
    Ok(LiveReport {
        method: call::method_name(&load.call),
        call: call::describe(&load.call),
        server: target.name.clone(),
        shares_process: target.is_embedded(),
        streams: stream_count as u64,
        connections: args.load.connections as u64,
        interval_s: schedule.interval.as_secs_f64(),
        duration_s: schedule.duration.as_secs_f64(),
        points: outcome.point_count,
        answered_streams: outcome.answered as u64,
        failed_streams: outcome.failure_count as u64,
        failures,
        server_cores: cores(used.server),
        client_cores: cores(used.client),
        server_cores_per_10000_streams: scaled_cores(used.server),
        client_cores_per_10000_streams: scaled_cores(used.client),
        memory_bytes_per_stream: grown.map(|bytes| bytes / stream_count as f64),
        memory_bytes_before: memory_before,
        memory_bytes_live: memory_live,
        reply_latency: Quantiles::of_histogram(&outcome.latencies),
        send_lateness: Quantiles::of_histogram(&outcome.lateness),
    })
}

/// Waits and updates the progress bar.
fn wait(time: Duration, progress: &ProgressBar) {
    let end = Instant::now() + time;
    loop {
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return;
        }
        thread::sleep(rest.min(Duration::from_secs(1)));
        progress.set_position(progress.elapsed().as_secs());
    }
}
