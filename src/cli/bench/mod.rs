//! `waywiser bench`: runs the load generator (`crate::load`) and measures its cost and that of the server.
//!
//! `args` and `call` have the arguments, `report` has the output. This file has the rounds and the live streams. All
//! sending happens on threads of one name, which separates its CPU time from that of a server in the same process.

mod args;
mod call;
mod report;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::runtime::{Builder, Runtime};

use super::report::pluralize;
use super::{Outcome, fail, usage_error};
use crate::load::drive::{self, Connections, Load};
use crate::load::live;
use crate::load::process::{CpuTimes, Watched};
use crate::load::stats::Spread;
use crate::load::target::{CLIENT_THREADS, Target};
pub(super) use args::BenchArgs;
use report::{LiveReport, Quantiles, Ratios, Report, Server};

/// The kernel accounts the CPU time of a thread when the thread leaves its core. An idle thread needs about a
/// hundredth of this time for that.
const ACCOUNTING_TIME: Duration = Duration::from_millis(5);

/// Runs the load and prints the report.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn run(args: &BenchArgs) -> io::Result<Outcome> {
    if let Some(contradiction) = args.contradiction() {
        return usage_error(format_args!("{contradiction}"));
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(args.load.threads)
        .thread_name(CLIENT_THREADS)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("cannot start threads: {error}")),
    };
    let mut out = io::stdout();
    if let Some(stream_count) = args.live.live {
        let report = match live(args, stream_count, &runtime) {
            Ok(report) => report,
            Err(error) => return fail(format_args!("{error}")),
        };
        match args.json {
            true => report.json(&mut out)?,
            false => report.text(&mut out)?,
        }
        out.flush()?;
        return match report.failed_streams {
            0 => Ok(Outcome::Done),
            failed => fail(format_args!("{} failed", pluralize(failed, "stream"))),
        };
    }
    let report = match rounds(args, &runtime) {
        Ok(report) => report,
        Err(error) => return fail(format_args!("{error}")),
    };
    match args.json {
        true => report.json(&mut out)?,
        false => report.text(&mut out)?,
    }
    out.flush()?;
    Ok(Outcome::Done)
}

/// The result of one round.
struct Sample {
    points_per_s: f64,
    mb_per_s: f64,
    client_cpu_ns: Option<f64>,
    server_cpu_ns: Option<f64>,
}

/// A load and the index of the server that receives it.
struct Side {
    target: usize,
    load: Arc<Load>,
}

/// Runs all rounds. Two servers, or two loads of one server, alternate.
fn rounds(args: &BenchArgs, runtime: &Runtime) -> Result<Report, String> {
    let loads = args.loads(args.load.streams, args.load.points)?;
    let targets = args.targets()?;
    let (Some(load), Some(last_load)) = (loads.first(), loads.last()) else {
        return Err("there is no load to send".to_owned());
    };
    let mut sides = vec![Side { target: 0, load: Arc::clone(load) }];
    if targets.len() > 1 || loads.len() > 1 {
        sides.push(Side { target: targets.len() - 1, load: Arc::clone(last_load) });
    }
    let mut connections = Vec::new();
    for target in &targets {
        connections.push(runtime.block_on(Connections::open(target, args.load.connections))?);
    }
    let round_count = args.load.warm_up + args.load.repeats;
    let progress = progress(round_count * sides.len(), "{bar:40} round {pos} of {len}");
    let mut samples: Vec<Vec<Sample>> = sides.iter().map(|_| Vec::new()).collect();
    let mut latencies: Vec<Vec<Duration>> = sides.iter().map(|_| Vec::new()).collect();
    for number in 0..round_count {
        // Each side is first in half of the rounds, so that a disturbance of the machine affects both.
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if number % 2 == 1 {
            order.reverse();
        }
        for side in order {
            let Side { target, load } = &sides[side];
            let (target, connections) = (&targets[*target], &connections[*target]);
            let round_id = (number * sides.len() + side) as u64;
            let (sample, mut times) = round(runtime, target, connections, load, round_id)
                .map_err(|error| format!("{}: {error}", target.name))?;
            if number >= args.load.warm_up {
                samples[side].push(sample);
                latencies[side].append(&mut times);
            }
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    // Runs after the measured rounds, so that it does not change their memory. An error leaves the ceiling unknown.
    let ceiling = match args.servers.ceiling || args.servers.no_ceiling {
        true => None,
        false => ceiling(args, runtime, load).unwrap_or_default(),
    };
    let servers = sides.iter().zip(&samples).zip(&latencies).map(|((side, samples), times)| {
        let target = &targets[side.target];
        let spread = |of: fn(&Sample) -> Option<f64>| Spread::of(samples.iter().map(of));
        Ok(Server {
            server: target.name.clone(),
            call: call::describe(&side.load.call),
            bytes_per_stream: side.load.byte_count(),
            shares_process: target.is_embedded(),
            points_per_s: spread(|sample| Some(sample.points_per_s))
                .ok_or("no round was measured")?,
            mb_per_s: spread(|sample| Some(sample.mb_per_s)).ok_or("no round was measured")?,
            client_cpu_ns_per_point: spread(|sample| sample.client_cpu_ns),
            server_cpu_ns_per_point: spread(|sample| sample.server_cpu_ns),
            reply_latency: Quantiles::of(times),
            memory_peak_bytes: target
                .watched
                .as_ref()
                .and_then(Watched::memory)
                .map(|memory| memory.peak_bytes),
        })
    });
    Ok(Report {
        method: call::method_name(&load.call),
        streams: load.stream_count as u64,
        connections: args.load.connections as u64,
        points_per_stream: load.track.point_count,
        bytes_per_stream: load.byte_count(),
        chunk_bytes: load.chunk_bytes as u64,
        client_threads: args.load.threads as u64,
        warm_up_rounds: args.load.warm_up as u64,
        rounds: args.load.repeats as u64,
        ceiling_points_per_s: ceiling,
        servers: servers.collect::<Result<_, String>>()?,
        second_to_first: ratios(&samples),
    })
}

/// Rounds to a server that only counts bytes. The first is a warm-up.
const CEILING_ROUNDS: u64 = 4;
/// Maximum number of bytes that all streams of such a round send together, which keeps it short.
const CEILING_BYTES_MAX: u64 = 64_000_000;

/// Measures how many points per second this load generator can send to a server that only counts bytes.
fn ceiling(args: &BenchArgs, runtime: &Runtime, load: &Load) -> Result<Option<Spread>, String> {
    let target = Target::counter(args.servers.server_threads)?;
    let connections = runtime.block_on(Connections::open(&target, args.load.connections))?;
    let track = load.track.shortened(CEILING_BYTES_MAX / load.stream_count as u64);
    let load = Arc::new(Load { track, run_id: load.run_id.clone(), ..*load });
    let mut rates = Vec::new();
    for number in 0..CEILING_ROUNDS {
        let (sample, _) = round(runtime, &target, &connections, &load, number)
            .map_err(|error| format!("{}: {error}", target.name))?;
        rates.push(Some(sample.points_per_s));
    }
    Ok(Spread::of(rates.into_iter().skip(1)))
}

/// Runs and measures one round, and deletes its recordings.
fn round(
    runtime: &Runtime,
    target: &Target,
    connections: &Connections,
    load: &Arc<Load>,
    number: u64,
) -> Result<(Sample, Vec<Duration>), String> {
    let meter = Meter::start(target);
    // The round runs on the threads whose CPU time is measured.
    let round = runtime.spawn(drive::round(connections.clone(), Arc::clone(load), number));
    let round = runtime.block_on(round).map_err(|error| error.to_string())?;
    let used = meter.used(target);
    let deletion = runtime.block_on(drive::delete(connections.clone(), Arc::clone(load), number));
    // An error of the round is reported before one of the deletion.
    let round = round?;
    deletion?;
    let points = (load.track.point_count * load.stream_count as u64) as f64;
    let bytes = (load.byte_count() * load.stream_count as u64) as f64;
    let seconds = round.elapsed.as_secs_f64();
    let per_point = |time: Option<Duration>| time.map(|time| time.as_nanos() as f64 / points);
    let sample = Sample {
        points_per_s: points / seconds,
        mb_per_s: bytes / 1e6 / seconds,
        client_cpu_ns: per_point(used.client),
        server_cpu_ns: per_point(used.server),
    };
    Ok((sample, round.latencies))
}

fn ratios(samples: &[Vec<Sample>]) -> Option<Ratios> {
    let [first, second] = samples else { return None };
    let spread = |of: fn(&Sample) -> Option<f64>| {
        let ratio = |(first, second)| Some(of(second)? / of(first)?);
        Spread::of(first.iter().zip(second).map(ratio))
    };
    Some(Ratios {
        points_per_s: spread(|sample| Some(sample.points_per_s)),
        server_cpu_per_point: spread(|sample| sample.server_cpu_ns),
    })
}

/// The CPU times of both sides at one moment.
struct Meter {
    client: Option<CpuTimes>,
    server: Option<CpuTimes>,
}

struct Used {
    client: Option<Duration>,
    server: Option<Duration>,
}

impl Meter {
    fn start(target: &Target) -> Self {
        thread::sleep(ACCOUNTING_TIME);
        Self {
            client: Watched::Threads(&[CLIENT_THREADS]).cpu(),
            server: target.watched.as_ref().and_then(Watched::cpu),
        }
    }

    fn used(&self, target: &Target) -> Used {
        let now = Self::start(target);
        let since = |now: Option<CpuTimes>, then: &Option<CpuTimes>| {
            now.zip(then.as_ref()).map(|(now, then)| now.since(then))
        };
        Used { client: since(now.client, &self.client), server: since(now.server, &self.server) }
    }
}

/// Runs live streams, and measures the server while all of them are open.
fn live(args: &BenchArgs, stream_count: usize, runtime: &Runtime) -> Result<LiveReport, String> {
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

    let cores = |time: Option<Duration>| {
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
        server_cores_per_10000_streams: cores(used.server),
        client_cores_per_10000_streams: cores(used.client),
        memory_bytes_per_stream: grown.map(|bytes| bytes / stream_count as f64),
        memory_bytes_before: memory_before,
        memory_bytes_live: memory_live,
        reply_latency: Quantiles::of_histogram(&outcome.latencies),
        send_lateness: Quantiles::of_histogram(&outcome.lateness),
    })
}

/// Waits and updates the progress bar.
fn wait(time: Duration, progress: &ProgressBar) {
    let end = std::time::Instant::now() + time;
    loop {
        let rest = end.saturating_duration_since(std::time::Instant::now());
        if rest.is_zero() {
            return;
        }
        thread::sleep(rest.min(Duration::from_secs(1)));
        progress.set_position(progress.elapsed().as_secs());
    }
}

/// Returns a progress bar on standard error, hidden if that is not a terminal.
fn progress(len: usize, template: &str) -> ProgressBar {
    let target = match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(Some(len as u64), target);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_compares_the_two_loads_of_a_round() {
        let sample = |points_per_s, server_cpu_ns| Sample {
            points_per_s,
            mb_per_s: 0.0,
            client_cpu_ns: None,
            server_cpu_ns,
        };
        let first = vec![sample(10.0, Some(2.0)), sample(20.0, Some(4.0))];
        let second = vec![sample(5.0, Some(20.0)), sample(10.0, None)];
        let ratios = ratios(&[first, second]).unwrap();
        let half = Spread { median: 0.5, min: 0.5, max: 0.5 };
        assert_eq!((ratios.points_per_s, ratios.server_cpu_per_point), (Some(half), None));
        assert!(super::ratios(&[Vec::new()]).is_none());
    }
}
