//! The settings of the server: every bound, its default, and what it costs.

use std::time::Duration;

use crate::recording::CheckpointPolicy;
use crate::service::StreamLimits;

/// What a server grants its clients. Every bound has a default that suits a service of a few
/// hundred trackers; the comments say what raising it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Connections at one time. A further one takes the place of the connection that has been without streams
    /// for the longest time; if none is without streams, it is closed at once. Each costs a file descriptor and
    /// about 20 KiB. Default 1024.
    pub max_connections: usize,
    /// Connections of one peer at one time (an IPv4 address, or an IPv6 /64 network), with the same rule. A proxy
    /// is one peer: raise it behind one. Default 512.
    pub max_connections_per_peer: usize,
    /// How long a connection without streams stays open; then it is closed with GOAWAY. Default 5 minutes.
    pub connection_idle_timeout: Duration,
    /// Streams at one time on a connection; a client waits with further ones. A live stream costs about 12 KiB
    /// (`waywiser bench --live 10000 --connections 100`). Default 256.
    pub max_streams_per_connection: u32,
    /// The memory in bytes that unread input and unsent replies of all connections may take, each stream and
    /// connection with its fixed cost included. Above 80 % of it, connections that hold more than 1/256 of it
    /// get no new streams (RESOURCE_EXHAUSTED); above 95 %, the connection that holds most is closed, of the
    /// peer that holds most. `None`, the default, is a quarter of the memory that the process may use: the
    /// machine's, or what a control group or resource limit allows. [`run`](super::run) logs the value.
    pub max_memory_bytes: Option<u64>,
    /// The largest message in bytes. A stream holds one incomplete message at most, and as much of it as has
    /// arrived, which [`Config::max_memory_bytes`] covers. Default 64 KiB; points need no more than 64 bytes.
    pub max_message_bytes: usize,
    /// How many times their size the compressed messages of a stream may inflate to, once they have inflated to
    /// 1 MiB; see [`StreamLimits::max_inflation_ratio`]. A stream above it is refused. Default 100.
    pub max_inflation_ratio: u32,
    /// How long a stream may send nothing, or leave an answer unread, before it is ended with DEADLINE_EXCEEDED.
    /// Default 5 minutes.
    pub stream_idle_timeout: Duration,
    /// How long a connection may take to begin speaking HTTP/2. Default 10 s.
    pub handshake_timeout: Duration,
    /// The largest header list of a request in bytes. Default 16 KiB.
    pub max_header_bytes: u32,
    /// How many streams a connection may lose to its own protocol errors before it is closed.
    /// Without such a bound a client can keep the server busy with resets (RUSTSEC-2024-0003).
    /// Default 1024.
    pub max_error_resets: usize,
    /// How many streams a client may reset before the server got to them, before its connection is
    /// closed (CVE-2023-44487, "rapid reset"). Default 64.
    pub max_pending_resets: usize,
    /// How often a connection is asked whether its client is still there. Default 30 s.
    pub keepalive_interval: Duration,
    /// How long the client may take to answer that. Default 20 s.
    pub keepalive_timeout: Duration,
    /// Bytes of a stream that the client may send before they are read. A stream sends at most this much per round
    /// trip: 5.2 MB/s with the default and 100 ms. Default 512 KiB.
    pub stream_window_bytes: u32,
    /// The same for all streams of a connection together. Default 1 MiB.
    pub connection_window_bytes: u32,
    /// What small DATA frames may cost that wait to be read, before h2 closes the connection: each costs what its
    /// payload lacks to 256 bytes, which is about what h2 allocates for it. A client that sends one point per
    /// frame at full speed can have 65 000 of them under way in a connection window of 1 MiB, which cost 15 MiB:
    /// raise both together. Default 32 MiB.
    pub data_frame_budget_bytes: usize,
    /// New recordings per minute and peer; twice as many may be created at once. Further ones get
    /// RESOURCE_EXHAUSTED. Default 6000.
    pub max_new_recordings_per_minute: u32,
    /// Log lines per second of each kind that clients cause (calls by their status, refused connections and so
    /// on); bursts of five seconds' worth pass, and suppressed lines are counted. Default 200.
    pub max_log_rate: u32,
    /// How long after the first point that is not durable a recording is committed. The shorter, the less a
    /// killed server makes its clients send again, and the more often the disk is written to; all
    /// recordings that are due share a write. Default 1 s.
    pub checkpoint_interval: Duration,
    /// After how many points that are not durable a recording is committed at once. Default 100 000.
    pub checkpoint_points: u64,
    /// How long a recording is kept after it last grew or was finished. Each takes about 1 KiB of disk.
    /// Default 7 days.
    pub retention: Duration,
    /// How long open streams may go on after the signal to stop; the server is gone within it. At
    /// least 100 ms. Default 10 s.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let stream = StreamLimits::default();
        Self {
            max_connections: 1024,
            max_connections_per_peer: 512,
            connection_idle_timeout: Duration::from_secs(300),
            max_memory_bytes: None,
            max_streams_per_connection: 256,
            max_message_bytes: stream.max_message_bytes,
            max_inflation_ratio: stream.max_inflation_ratio,
            stream_idle_timeout: stream.idle_time,
            handshake_timeout: Duration::from_secs(10),
            max_header_bytes: 16 * 1024,
            max_error_resets: 1024,
            max_pending_resets: 64,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            stream_window_bytes: 512 << 10,
            connection_window_bytes: 1 << 20,
            data_frame_budget_bytes: 32 << 20,
            max_new_recordings_per_minute: 6000,
            max_log_rate: 200,
            checkpoint_interval: CheckpointPolicy::default().interval,
            checkpoint_points: CheckpointPolicy::default().points,
            retention: CheckpointPolicy::default().retention,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// A setting that no server can work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}, and must be {bounds}")]
pub struct ConfigError {
    /// The name of the field.
    pub setting: &'static str,
    /// What it is.
    pub value: String,
    /// What it may be.
    pub bounds: &'static str,
}

/// Less cannot hold even a handful of streams.
const MEMORY_MIN: u64 = 1 << 20;
/// A message in the budget leaves space for those of others.
const MEMORY_MESSAGES_MIN: u64 = 16;
/// HTTP/2's largest window.
const WINDOW_MAX: u32 = (1 << 31) - 1;
/// The largest message that may be allowed: what the framing can carry, and more than any stream
/// of points has use for.
const MESSAGE_MAX: usize = 64 << 20;
/// A tenth of it is left for the farewell to reach the clients.
const DRAIN_TIME_MIN: Duration = Duration::from_millis(100);
/// A year; longer times overflow somewhere.
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// As good as for ever.
const RETENTION_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A time as a person writes it: in the greatest unit of which it is a whole number.
fn readable(time: Duration) -> String {
    const UNITS_NS: [(u128, &str); 6] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "min"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let ns = time.as_nanos();
    match UNITS_NS.iter().find(|(unit_ns, _)| ns.is_multiple_of(*unit_ns)) {
        _ if ns == 0 => "0 s".to_owned(),
        Some((unit_ns, name)) => format!("{} {name}", ns / unit_ns),
        None => format!("{ns} ns"),
    }
}

impl Config {
    /// Whether a server can work with these settings.
    ///
    /// # Errors
    /// The first setting that is out of bounds.
    pub fn check(&self) -> Result<(), ConfigError> {
        let number = |setting, value: u64, min: u64, max: u64, bounds| {
            let error = ConfigError { setting, value: value.to_string(), bounds };
            if (min..=max).contains(&value) { Ok(()) } else { Err(error) }
        };
        let positive = "at least 1";
        number("max_connections", self.max_connections as u64, 1, u64::MAX, positive)?;
        let per_peer = self.max_connections_per_peer as u64;
        number("max_connections_per_peer", per_peer, 1, u64::MAX, positive)?;
        if let Some(memory) = self.max_memory_bytes {
            let min = MEMORY_MIN.max(MEMORY_MESSAGES_MIN * self.max_message_bytes as u64);
            let bounds = "at least 1 MiB, and 16 times max_message_bytes";
            number("max_memory_bytes", memory, min, u64::MAX, bounds)?;
        }
        let budget = self.data_frame_budget_bytes as u64;
        number(
            "data_frame_budget_bytes",
            budget,
            25_600,
            u64::from(u32::MAX),
            "25600 to 4 GiB - 1",
        )?;
        number(
            "max_new_recordings_per_minute",
            self.max_new_recordings_per_minute.into(),
            1,
            u64::MAX,
            positive,
        )?;
        number("max_log_rate", self.max_log_rate.into(), 1, u64::MAX, positive)?;
        let streams = u64::from(self.max_streams_per_connection);
        number("max_streams_per_connection", streams, 1, u64::MAX, positive)?;
        let message = self.max_message_bytes as u64;
        number("max_message_bytes", message, 64, MESSAGE_MAX as u64, "64 bytes to 64 MiB")?;
        number("max_inflation_ratio", self.max_inflation_ratio.into(), 1, u64::MAX, positive)?;
        let header = u64::from(self.max_header_bytes);
        number("max_header_bytes", header, 1024, 1 << 20, "1 KiB to 1 MiB")?;
        for (setting, value) in [
            ("stream_window_bytes", self.stream_window_bytes),
            ("connection_window_bytes", self.connection_window_bytes),
        ] {
            let bounds = "64 KiB to 2 GiB - 1";
            number(setting, value.into(), 65_535, WINDOW_MAX.into(), bounds)?;
        }
        number("checkpoint_points", self.checkpoint_points, 1, u64::MAX, positive)?;
        for (setting, value) in [
            ("checkpoint_interval", self.checkpoint_interval),
            ("connection_idle_timeout", self.connection_idle_timeout),
            ("stream_idle_timeout", self.stream_idle_timeout),
            ("handshake_timeout", self.handshake_timeout),
            ("keepalive_interval", self.keepalive_interval),
            ("keepalive_timeout", self.keepalive_timeout),
            ("drain_timeout", self.drain_timeout),
        ] {
            if value.is_zero() || value > TIME_MAX {
                let value = readable(value);
                return Err(ConfigError {
                    setting,
                    value,
                    bounds: "more than 0 s, at most a year",
                });
            }
        }
        if self.retention.is_zero() || self.retention > RETENTION_MAX {
            let value = readable(self.retention);
            let bounds = "more than 0 s, at most 100 years";
            return Err(ConfigError { setting: "retention", value, bounds });
        }
        if self.drain_timeout < DRAIN_TIME_MIN {
            let value = readable(self.drain_timeout);
            let bounds = "at least 100 ms, so that open streams can receive their status";
            return Err(ConfigError { setting: "drain_timeout", value, bounds });
        }
        Ok(())
    }

    pub(super) fn pace(&self) -> CheckpointPolicy {
        CheckpointPolicy {
            interval: self.checkpoint_interval,
            points: self.checkpoint_points,
            retention: self.retention,
        }
    }

    pub(super) fn stream_limits(&self) -> StreamLimits {
        StreamLimits {
            max_message_bytes: self.max_message_bytes,
            max_inflation_ratio: self.max_inflation_ratio,
            idle_time: self.stream_idle_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn a_setting_out_of_bounds_is_named() {
        let config = Config { max_connections: 0, ..Config::default() };
        let error = config.check().unwrap_err().to_string();
        insta::assert_snapshot!(error, @"max_connections is 0, and must be at least 1");
        let max_memory_bytes = Some(8 << 20);
        let config = Config { max_message_bytes: 1 << 20, max_memory_bytes, ..Config::default() };
        let error = config.check().unwrap_err().to_string();
        insta::assert_snapshot!(
            error,
            @"max_memory_bytes is 8388608, and must be at least 1 MiB, and 16 times max_message_bytes"
        );
        let config = Config { drain_timeout: Duration::ZERO, ..Config::default() };
        let error = config.check().unwrap_err().to_string();
        insta::assert_snapshot!(error, @"drain_timeout is 0 s, and must be more than 0 s, at most a year");
    }

    #[test]
    fn a_time_is_told_as_a_person_writes_it() {
        let day = 86_400;
        let times = [(0, 0), (400 * day, 0), (day + 3600, 0), (90, 0), (60, 0), (0, 50_000_000)];
        let texts = times.map(|(s, ns)| readable(Duration::new(s, ns)));
        assert_eq!(texts, ["0 s", "400 d", "25 h", "90 s", "1 min", "50 ms"]);
        assert_eq!(readable(Duration::from_nanos(1_001)), "1001 ns");
    }
}
