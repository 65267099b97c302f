//! Rounds at full speed: one server, two servers in turn, or one server with two loads in turn.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::args::BenchArgs;
use super::meter::Meter;
use super::report::{Quantiles, Ratios, Report, Server};
use super::{call, progress};
use crate::load::drive::{self, Connections, Load};
use crate::load::process::Watched;
use crate::load::stats::Spread;
use crate::load::target::Target;

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

/// Runs all rounds and returns the report. Two servers, or two loads of one server, alternate.
pub(super) fn run(args: &BenchArgs, runtime: &Runtime) -> Result<Report, String> {
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
