//! The report of a run: aligned text with units, or one JSON object.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use crate::cli::report::{grouped, pluralize};
use crate::load::stats::{Spread, Times};

/// Rounds at full speed.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The method of the first load.
    pub method: String,
    pub streams: u64,
    pub connections: u64,
    pub points_per_stream: u64,
    pub bytes_per_stream: u64,
    pub chunk_bytes: u64,
    pub client_threads: u64,
    pub warm_up_rounds: u64,
    pub rounds: u64,
    /// The throughput to a server that only counts bytes; absent if it was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceiling_points_per_s: Option<Spread>,
    pub servers: Vec<Server>,
    /// The figures of the second load divided by those of the first, per round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_to_first: Option<Ratios>,
}

#[derive(Debug, Serialize)]
pub(super) struct Server {
    pub server: String,
    /// The method and the form of its messages.
    pub call: String,
    pub bytes_per_stream: u64,
    /// The server runs in the process of the load generator, on its own threads.
    pub shares_process: bool,
    pub points_per_s: Spread,
    pub mb_per_s: Spread,
    pub client_cpu_ns_per_point: Option<Spread>,
    pub server_cpu_ns_per_point: Option<Spread>,
    pub reply_latency: Quantiles,
    /// The peak of the process, which includes the load generator if both share it.
    pub memory_peak_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Ratios {
    pub points_per_s: Option<Spread>,
    pub server_cpu_per_point: Option<Spread>,
}

/// Live streams.
#[derive(Debug, Serialize)]
pub(super) struct LiveReport {
    pub method: String,
    /// The method and the form of its messages.
    pub call: String,
    pub server: String,
    pub shares_process: bool,
    pub streams: u64,
    pub connections: u64,
    pub interval_s: f64,
    pub duration_s: f64,
    pub points: u64,
    pub answered_streams: u64,
    pub failed_streams: u64,
    pub failures: Vec<String>,
    /// The number of cores that the streams use while all are open.
    pub server_cores: Option<f64>,
    pub client_cores: Option<f64>,
    /// The same, scaled to 10 000 streams.
    pub server_cores_per_10000_streams: Option<f64>,
    pub client_cores_per_10000_streams: Option<f64>,
    /// The growth of memory per stream, including its part of the connection.
    pub memory_bytes_per_stream: Option<f64>,
    pub memory_bytes_before: Option<u64>,
    pub memory_bytes_live: Option<u64>,
    pub reply_latency: Option<Quantiles>,
    /// The delays of points that the load generator caused.
    pub send_lateness: Option<Quantiles>,
}

/// Calls at a fixed rate.
#[derive(Debug, Serialize)]
pub(super) struct PacedReport {
    pub method: String,
    /// The method and the form of its messages.
    pub call: String,
    pub server: String,
    pub shares_process: bool,
    pub connections: u64,
    pub calls: u64,
    pub points_per_call: u64,
    pub target_calls_per_s: f64,
    pub duration_s: f64,
    pub answered_calls: u64,
    pub failed_calls: u64,
    pub failures: Vec<String>,
    /// Answered calls per second, until the last reply.
    pub calls_per_s: f64,
    /// The mean number of cores in use.
    pub server_cores: Option<f64>,
    pub client_cores: Option<f64>,
    pub server_cpu_ns_per_point: Option<f64>,
    /// From the scheduled start of a call to the end of its reply.
    pub latency: Option<Quantiles>,
    /// The delays of starts that the load generator caused, or its limit on open calls.
    pub start_lateness: Option<Quantiles>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Quantiles {
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

impl Quantiles {
    /// Returns the quantiles, or `None` if there are no times.
    pub(super) fn of_histogram(times: &Times) -> Option<Self> {
        let us = |quantile| Some(times.at_quantile(quantile)?.as_nanos() as f64 / 1e3);
        Some(Self {
            p50_us: us(0.5)?,
            p90_us: us(0.9)?,
            p99_us: us(0.99)?,
            p999_us: us(0.999)?,
            max_us: us(1.0)?,
        })
    }

    /// Returns the quantiles, which are zero if there are no times.
    pub(super) fn of(times: &[Duration]) -> Self {
        Self::of_histogram(&times.iter().copied().collect()).unwrap_or_default()
    }
}

const LABEL_WIDTH: usize = 30;
const VALUE_WIDTH: usize = 16;

impl Report {
    pub(super) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }

    pub(super) fn text(&self, out: &mut impl Write) -> io::Result<()> {
        let calls: Vec<_> = self.servers.iter().map(|server| &*server.call).collect();
        // A call that is the same for all servers is printed once.
        let (common, is_one_call) = match &calls[..] {
            [call, rest @ ..] if rest.iter().all(|other| other == call) => {
                (format!("{call}: "), true)
            }
            _ => (String::new(), false),
        };
        let bytes = format!(" ({})", size(self.bytes_per_stream));
        writeln!(
            out,
            "{common}{} of {}{} on {}, chunks of {} bytes",
            pluralize(self.streams, "stream"),
            pluralize(self.points_per_stream, "point"),
            if is_one_call { &bytes } else { "" },
            pluralize(self.connections, "connection"),
            grouped(&self.chunk_bytes.to_string()),
        )?;
        writeln!(
            out,
            "{} after {} of warm-up, {}",
            pluralize(self.rounds, "round"),
            self.warm_up_rounds,
            pluralize(self.client_threads, "client thread"),
        )?;
        if let Some(ceiling) = self.ceiling_points_per_s {
            let [median, min, max] = [ceiling.median, ceiling.min, ceiling.max]
                .map(|rate| grouped(&format!("{rate:.0}")));
            writeln!(out, "ceiling of the load generator: {median} points/s ({min} to {max})")?;
        }
        for server in &self.servers {
            writeln!(out, "\n{}", server.server)?;
            if !is_one_call {
                writeln!(out, "{} ({})", server.call, size(server.bytes_per_stream))?;
            }
            server.text(out)?;
        }
        if let (Some(ratios), [first, second]) = (&self.second_to_first, &self.servers[..]) {
            let name = |server: &Server| match (is_one_call, first.server == second.server) {
                (true, _) => server.server.clone(),
                (false, true) => server.call.clone(),
                (false, false) => format!("{} ({})", server.call, server.server),
            };
            writeln!(out, "\n{} / {}", name(second), name(first))?;
            head(out)?;
            ratio_spread(out, "points/s", ratios.points_per_s)?;
            ratio_spread(out, "server CPU per point", ratios.server_cpu_per_point)?;
        }
        Ok(())
    }
}

impl Server {
    fn text(&self, out: &mut impl Write) -> io::Result<()> {
        head(out)?;
        spread(out, "server CPU, ns per point", self.server_cpu_ns_per_point, 1)?;
        spread(out, "client CPU, ns per point", self.client_cpu_ns_per_point, 1)?;
        spread(out, "points/s", Some(self.points_per_s), 0)?;
        spread(out, "MB/s", Some(self.mb_per_s), 1)?;
        memory(out, "peak memory, MiB", self.memory_peak_bytes)?;
        quantiles(out, "last point to reply, µs", Some(self.reply_latency))?;
        sharing(out, self.shares_process)
    }
}

impl LiveReport {
    pub(super) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }

    pub(super) fn text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{}: {} on {}, one point every {} s for {} s",
            self.call,
            pluralize(self.streams, "live stream"),
            pluralize(self.connections, "connection"),
            self.interval_s,
            self.duration_s,
        )?;
        writeln!(out, "\n{}", self.server)?;
        let count = |count: u64| grouped(&count.to_string());
        line(out, "points sent", &count(self.points))?;
        line(out, "streams answered", &count(self.answered_streams))?;
        line(out, "streams failed", &count(self.failed_streams))?;
        line(out, "server CPU, % of a core", &percent(self.server_cores))?;
        let label = "  scaled to 10 000 streams";
        line(out, label, &percent(self.server_cores_per_10000_streams))?;
        line(out, "client CPU, % of a core", &percent(self.client_cores))?;
        let bytes = self.memory_bytes_per_stream.map(|bytes| grouped(&format!("{bytes:.0}")));
        line(out, "memory, bytes per stream", &known(bytes))?;
        memory(out, "memory before, MiB", self.memory_bytes_before)?;
        memory(out, "memory live, MiB", self.memory_bytes_live)?;
        quantiles(out, "end to reply, µs", self.reply_latency)?;
        quantiles(out, "sent late by, µs", self.send_lateness)?;
        sharing(out, self.shares_process)?;
        for failure in &self.failures {
            writeln!(out, "  {failure}")?;
        }
        Ok(())
    }
}

impl PacedReport {
    pub(super) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }

    pub(super) fn text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{}\n{} of {} on {}, {} calls/s for {} s",
            self.call,
            pluralize(self.calls, "call"),
            pluralize(self.points_per_call, "point"),
            pluralize(self.connections, "connection"),
            self.target_calls_per_s,
            self.duration_s,
        )?;
        writeln!(out, "\n{}", self.server)?;
        let count = |count: u64| grouped(&count.to_string());
        line(out, "server CPU, % of a core", &percent(self.server_cores))?;
        line(out, "client CPU, % of a core", &percent(self.client_cores))?;
        let cpu = self.server_cpu_ns_per_point.map(|cpu| grouped(&format!("{cpu:.1}")));
        line(out, "server CPU, ns per point", &known(cpu))?;
        line(out, "calls answered", &count(self.answered_calls))?;
        line(out, "calls failed", &count(self.failed_calls))?;
        line(out, "answered, calls/s", &grouped(&significant(self.calls_per_s)))?;
        let us = |us: f64| grouped(&format!("{us:.0}"));
        writeln!(out, "\n{:LABEL_WIDTH$}{:>16}{:>16}", "", "time, µs", "late start, µs")?;
        type Quantile = fn(&Quantiles) -> f64;
        let quantiles: [(&str, Quantile); 5] = [
            ("p50", |times| times.p50_us),
            ("p90", |times| times.p90_us),
            ("p99", |times| times.p99_us),
            ("p99.9", |times| times.p999_us),
            ("max", |times| times.max_us),
        ];
        let width = LABEL_WIDTH - 2;
        for (name, of) in quantiles {
            let [time, late] = [&self.latency, &self.start_lateness]
                .map(|times| known(times.as_ref().map(of).map(us)));
            writeln!(out, "  {name:width$}{time:>16}{late:>16}")?;
        }
        sharing(out, self.shares_process)?;
        for failure in &self.failures {
            writeln!(out, "  {failure}")?;
        }
        Ok(())
    }
}

fn percent(cores: Option<f64>) -> String {
    known(cores.map(|cores| format!("{:.2}", 100.0 * cores)))
}

/// Formats a number with three significant digits.
fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = (2 - value.abs().log10().floor() as i32).clamp(0, 12);
    format!("{value:.*}", digits as usize)
}

fn ratio_spread(out: &mut impl Write, label: &str, value: Option<Spread>) -> io::Result<()> {
    let Some(Spread { median, min, max }) = value else { return line(out, label, &known(None)) };
    let [median, min, max] = [median, min, max].map(|value| grouped(&significant(value)));
    let width = LABEL_WIDTH - 2;
    writeln!(out, "  {label:width$}{median:>VALUE_WIDTH$}{min:>VALUE_WIDTH$}{max:>VALUE_WIDTH$}")
}

fn sharing(out: &mut impl Write, shares_process: bool) -> io::Result<()> {
    if shares_process {
        writeln!(
            out,
            "  Client and server share this process: CPU is separate per side, memory is the sum."
        )?;
    }
    Ok(())
}

fn head(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:LABEL_WIDTH$}{:>VALUE_WIDTH$}{:>VALUE_WIDTH$}{:>VALUE_WIDTH$}",
        "", "median", "least", "greatest"
    )
}

fn line(out: &mut impl Write, label: &str, value: &str) -> io::Result<()> {
    writeln!(out, "  {label:width$}{value:>VALUE_WIDTH$}", width = LABEL_WIDTH - 2)
}

fn spread(
    out: &mut impl Write,
    label: &str,
    value: Option<Spread>,
    decimals: usize,
) -> io::Result<()> {
    let Some(Spread { median, min, max }) = value else { return line(out, label, &known(None)) };
    let [median, min, max] =
        [median, min, max].map(|value| grouped(&format!("{value:.decimals$}")));
    let width = LABEL_WIDTH - 2;
    writeln!(out, "  {label:width$}{median:>VALUE_WIDTH$}{min:>VALUE_WIDTH$}{max:>VALUE_WIDTH$}")
}

fn memory(out: &mut impl Write, label: &str, bytes: Option<u64>) -> io::Result<()> {
    let mib = |bytes: u64| grouped(&format!("{:.1}", bytes as f64 / f64::from(1 << 20)));
    line(out, label, &known(bytes.map(mib)))
}

fn quantiles(out: &mut impl Write, label: &str, quantiles: Option<Quantiles>) -> io::Result<()> {
    let Some(Quantiles { p50_us, p99_us, max_us, .. }) = quantiles else {
        return line(out, label, &known(None));
    };
    let [p50, p99, max] = [p50_us, p99_us, max_us].map(|us| grouped(&format!("{us:.0}")));
    let width = LABEL_WIDTH - 2;
    let (p50, p99, max) = (format!("p50 {p50}"), format!("p99 {p99}"), format!("max {max}"));
    writeln!(out, "  {label:width$}{p50:>VALUE_WIDTH$}{p99:>VALUE_WIDTH$}{max:>VALUE_WIDTH$}")
}

/// Formats a number of bytes in a suitable unit.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => pluralize(bytes, "byte"),
        10_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{} MB", grouped(&format!("{:.1}", bytes as f64 / 1e6))),
    }
}

fn known(value: Option<String>) -> String {
    value.unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests;
