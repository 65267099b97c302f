//! The settings of the server: each limit, its default, and the cost of a higher value.

use std::time::Duration;

use super::forwarded::Network;
use super::log_sample::LogSample;
use super::quota::{LowRate, PEER_SETTINGS, PRINCIPAL_SETTINGS, low_rates, values};
use crate::auth::Quota;
use crate::recording::CheckpointPolicy;
use crate::service::StreamLimits;

/// The limits of a server. The defaults suit a service of a few hundred trackers; the comments state the cost of a
/// higher value.
///
/// ```
/// use waywiser::server::Config;
///
/// let config = Config { max_connections: 100, ..Config::default() };
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Maximum number of connections at the same time. Another one replaces the connection that has been idle for the
    /// longest time, or that has only watched. If no connection qualifies, the new one is closed at once. Each costs a
    /// file descriptor and about 20 KiB. Default 1024.
    pub max_connections: usize,
    /// The same limit for one peer: an IPv4 address, or an IPv6 /64 network. A proxy is one peer, so raise the limit
    /// for a server behind a proxy. Default 512.
    pub max_connections_per_peer: usize,
    /// A connection without streams is closed with GOAWAY after this time. Default 5 minutes.
    pub connection_idle_timeout: Duration,
    /// Maximum number of streams of a connection at the same time. The client delays further streams. A live stream
    /// costs about 12 KiB (`waywiser bench --live 10000 --connections 100`). Default 256.
    pub max_streams_per_connection: u32,
    /// Memory limit in bytes for the unread input and the unsent replies of all connections, including a fixed cost
    /// per stream and connection. Above 80 % of it, connections that hold more than 1/256 of it get no new streams
    /// (RESOURCE_EXHAUSTED). Above 95 %, the connection that holds most is closed, of the peer that holds most.
    /// `None`, the default, is a quarter of the memory that the process may use: that of the machine, or the limit of
    /// a control group or a resource limit. [`run`](super::run) logs the value.
    pub max_memory_bytes: Option<u64>,
    /// Maximum size of a message in bytes. A stream holds at most one incomplete message, which counts against
    /// [`Config::max_memory_bytes`]. Default 64 KiB; a point needs at most 64 bytes.
    pub max_message_bytes: usize,
    /// Maximum ratio of inflated to compressed size of the messages of a stream, once they have inflated to 1 MiB; see
    /// [`StreamLimits::max_inflation_ratio`]. A stream above it is refused. Default 100.
    pub max_inflation_ratio: u32,
    /// A stream ends with DEADLINE_EXCEEDED if its client sends nothing, or leaves an answer unread, for this time.
    /// Default 5 minutes.
    pub stream_idle_timeout: Duration,
    /// Time limit for the start of a connection, up to the HTTP/2 preface and settings. Default 10 s.
    pub handshake_timeout: Duration,
    /// Maximum size of the header list of a request in bytes. Default 16 KiB.
    pub max_header_bytes: u32,
    /// Maximum number of streams reset because of client errors before the connection is closed. Without such a limit
    /// a client can keep the server busy with resets (RUSTSEC-2024-0003). Default 1024.
    pub max_error_resets: usize,
    /// Maximum number of streams that a client may reset before the server has accepted them. Above it, the connection
    /// is closed (CVE-2023-44487, "rapid reset"). A proxy cancels the calls of many clients on one connection, and a
    /// busy server reads them at once. A lower limit makes all clients of the proxy lose their calls. Default 512.
    pub max_pending_resets: usize,
    /// The server sends a ping after this time without input. Default 30 s.
    pub keepalive_interval: Duration,
    /// The connection is closed if nothing arrives within this time after a ping. Default 20 s.
    pub keepalive_timeout: Duration,
    /// Maximum number of unread bytes of a stream. A stream sends at most this number per round trip: 5.2 MB/s with
    /// the default and 100 ms. Default 512 KiB.
    pub stream_window_bytes: u32,
    /// The same limit for all streams of a connection together. Default 1 MiB.
    pub connection_window_bytes: u32,
    /// Maximum cost of the small DATA frames that wait to be read, before h2 closes the connection. A frame costs the
    /// difference between its payload and 256 bytes, which is about what h2 allocates for it. A client that sends one
    /// point per frame at full speed can have 65 000 frames in a connection window of 1 MiB, which cost 15 MiB. Raise
    /// both limits together. Default 32 MiB.
    pub data_frame_budget_bytes: usize,
    /// Maximum number of new recordings per minute and peer. Twice as many may be created at once. Further ones get
    /// RESOURCE_EXHAUSTED. Default 6000.
    pub max_new_recordings_per_minute: u32,
    /// The limits of each principal that has none of its own. Default: none.
    pub principal_quota: Quota,
    /// The limits of each peer: an IPv4 address, or an IPv6 /64 network. The number of recordings is not limited per
    /// peer. Default: none.
    pub peer_quota: Quota,
    /// The networks of proxies that are believed. For a call that arrives from one of them, the client is the right-most
    /// address in `x-forwarded-for` or `forwarded` that is not in these networks. Such proxies may open any number of
    /// connections up to [`Config::max_connections`]. Default: none.
    pub trusted_proxies: Vec<Network>,
    /// Connections from [`Config::trusted_proxies`] start with a header of the PROXY protocol, version 1 or 2, which has
    /// the address of the client. Default `false`.
    pub proxy_protocol: bool,
    /// Maximum number of log lines per second of each kind that clients cause: calls by status, refused connections,
    /// and others. Bursts of five times as many pass, and suppressed lines are counted. Default 200.
    pub max_log_rate: u32,
    /// The share of successful calls that are logged. Other calls are always logged, within [`Config::max_log_rate`].
    /// Default 1.
    pub log_sample: LogSample,
    /// A recording is committed this long after its first point that is not durable. With a shorter time, clients of a
    /// killed server send fewer points again, and the server writes to the disk more often. All recordings that are
    /// due share a write. Default 1 s.
    pub checkpoint_interval: Duration,
    /// A recording is committed at once when this many points are not durable. Default 100 000.
    pub checkpoint_points: u64,
    /// A recording is deleted this long after it last grew or was finished. Each takes about 1 KiB of disk. Default
    /// 7 days.
    pub retention: Duration,
    /// Time limit of a shutdown. Open streams may continue until shortly before it has passed. At least 100 ms.
    /// Default 10 s.
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
            stream_idle_timeout: stream.idle_timeout,
            handshake_timeout: Duration::from_secs(10),
            max_header_bytes: 16 * 1024,
            max_error_resets: 1024,
            max_pending_resets: 512,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            stream_window_bytes: 512 << 10,
            connection_window_bytes: 1 << 20,
            data_frame_budget_bytes: 32 << 20,
            max_new_recordings_per_minute: 6000,
            principal_quota: Quota::default(),
            peer_quota: Quota::default(),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            max_log_rate: 200,
            log_sample: LogSample::default(),
            checkpoint_interval: CheckpointPolicy::default().interval,
            checkpoint_points: CheckpointPolicy::default().points,
            retention: CheckpointPolicy::default().retention,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// A setting that is out of its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}, and must be {bounds}")]
pub struct ConfigError {
    /// The name of the field.
    pub setting: &'static str,
    /// The value of the setting.
    pub value: String,
    /// The valid values.
    pub bounds: &'static str,
}

/// A smaller budget cannot hold more than a few streams.
const MEMORY_MIN: u64 = 1 << 20;
/// The budget must hold at least this many messages, so that one stream does not fill it.
const MEMORY_MESSAGES_MIN: u64 = 16;
/// The largest frame that a client may send. A busy client needs few of this size; larger ones only cost memory.
pub(super) const FRAME_BYTES_MAX: u32 = 64 * 1024;
/// The maximum window of HTTP/2.
const WINDOW_MAX: u32 = (1 << 31) - 1;
/// The largest message limit. Streams of points need far smaller messages.
const MESSAGE_MAX: usize = 64 << 20;
/// A tenth of the drain timeout must be enough for the last status to reach the clients.
const DRAIN_TIME_MIN: Duration = Duration::from_millis(100);
/// A year. Longer times could overflow.
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// 100 years.
const RETENTION_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Formats a time in the largest unit of which it is a whole number.
fn format_time(time: Duration) -> String {
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
    /// Checks that all settings are within their bounds.
    ///
    /// # Errors
    /// The first setting that is out of its bounds.
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
        for (quota, settings) in
            [(&self.principal_quota, PRINCIPAL_SETTINGS), (&self.peer_quota, PEER_SETTINGS)]
        {
            for (setting, value) in settings.into_iter().zip(values(quota)) {
                number(setting, value.unwrap_or(1), 1, u64::MAX, positive)?;
            }
        }
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            return Err(ConfigError {
                setting: "proxy_protocol",
                value: "true".to_owned(),
                bounds: "false without trusted_proxies",
            });
        }
        if let Some(network) =
            self.trusted_proxies.iter().find(|network| network.is_larger_than_private())
        {
            return Err(ConfigError {
                setting: "trusted_proxies",
                value: network.to_string(),
                bounds: "the networks of the proxies, of at most /8 (IPv6: /7): with a larger one, clients could state any address as theirs",
            });
        }
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
        ] {
            if value.is_zero() || value > TIME_MAX {
                let value = format_time(value);
                return Err(ConfigError {
                    setting,
                    value,
                    bounds: "more than 0 s, at most a year",
                });
            }
        }
        if self.retention.is_zero() || self.retention > RETENTION_MAX {
            let value = format_time(self.retention);
            let bounds = "more than 0 s, at most 100 years";
            return Err(ConfigError { setting: "retention", value, bounds });
        }
        if !(DRAIN_TIME_MIN..=TIME_MAX).contains(&self.drain_timeout) {
            let value = format_time(self.drain_timeout);
            let bounds = "100 ms to a year, so that open streams can receive their status";
            return Err(ConfigError { setting: "drain_timeout", value, bounds });
        }
        Ok(())
    }

    /// Returns the rates of points and bytes that are valid, but too low for one message: its stream ends with POINT_RATE
    /// or BYTE_RATE.
    pub fn low_rates(&self) -> Vec<LowRate> {
        // A message is charged in parts of at most one frame.
        let message_bytes = self.max_message_bytes.min(FRAME_BYTES_MAX as usize) as u64;
        let principal = low_rates(&self.principal_quota, PRINCIPAL_SETTINGS, message_bytes);
        principal.chain(low_rates(&self.peer_quota, PEER_SETTINGS, message_bytes)).collect()
    }

    pub(super) fn checkpoint_policy(&self) -> CheckpointPolicy {
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
            idle_timeout: self.stream_idle_timeout,
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
    fn a_setting_out_of_bounds_is_reported_by_name() {
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
        insta::assert_snapshot!(error, @"drain_timeout is 0 s, and must be 100 ms to a year, so that open streams can receive their status");
    }

    #[test]
    fn a_time_is_formatted_in_its_largest_whole_unit() {
        let day = 86_400;
        let times = [(0, 0), (400 * day, 0), (day + 3600, 0), (90, 0), (60, 0), (0, 50_000_000)];
        let texts = times.map(|(s, ns)| format_time(Duration::new(s, ns)));
        assert_eq!(texts, ["0 s", "400 d", "25 h", "90 s", "1 min", "50 ms"]);
        assert_eq!(format_time(Duration::from_nanos(1_001)), "1001 ns");
    }
}
