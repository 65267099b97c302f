//! The limits of `waywiser serve` as options. Every default is that of [`Config`].

use clap::Args;

use crate::cli::units::{Size, Time, at_least_one, size, whole};
use crate::server::{Config, ConfigError};

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// Maximum number of connections; when it is reached, a new connection closes the one that has been idle longest
    ///
    /// Each costs a file descriptor and about 20 KiB.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<usize>, default_value_t = Config::default().max_connections)]
    max_connections: usize,

    /// Maximum number of connections per client address (IPv6: /64 network); raise it behind a proxy
    ///
    /// A proxy is one address.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<usize>, default_value_t = Config::default().max_connections_per_peer)]
    max_connections_per_peer: usize,

    /// Close a connection after this time without streams
    ///
    /// A longer time keeps more file descriptors and memory.
    #[arg(long, value_name = "TIME", default_value_t = Time(Config::default().connection_idle_timeout))]
    connection_idle_timeout: Time,

    /// Memory for unread input, unsent replies and open recordings of all clients, such as 64MiB or 2GiB [default: a
    /// quarter of the memory available to the process]
    ///
    /// Above 80 % of it, connections with a large share get no new streams. Above 95 %, the largest is closed. The
    /// server takes the memory only while clients use it.
    #[arg(long = "max-memory", value_name = "SIZE", value_parser = size)]
    max_memory_bytes: Option<u64>,

    /// Maximum number of new recordings per minute and client; bursts of twice this number are allowed
    ///
    /// A client is a principal, or without authentication an address. Each recording takes about 1 KiB on the disk.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<u32>, default_value_t = Config::default().max_new_recordings_per_minute)]
    max_new_recordings_per_minute: u32,

    /// Maximum number of log lines per second of each kind that clients cause; the log counts suppressed lines
    ///
    /// A line has about 300 bytes.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<u32>, default_value_t = Config::default().max_log_rate)]
    max_log_rate: u32,

    /// Maximum number of concurrent streams per connection
    ///
    /// A live stream costs about 12 KiB.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<u32>, default_value_t = Config::default().max_streams_per_connection)]
    max_streams_per_connection: u32,

    /// Maximum size of a message
    ///
    /// A stream holds at most one incomplete message. A point needs at most 64 bytes.
    #[arg(long, value_name = "SIZE", default_value_t = Size(Config::default().max_message_bytes))]
    max_message_bytes: Size<usize>,

    /// Maximum ratio of decompressed to compressed bytes of a stream, after its first MiB; 1033 disables the limit
    ///
    /// A higher value lets a client make the server inflate more bytes per byte that it sends.
    #[arg(
        long,
        value_name = "RATIO",
        default_value_t = Config::default().max_inflation_ratio,
        value_parser = at_least_one::<u32>
    )]
    max_inflation_ratio: u32,

    /// Maximum size of the header list of a request
    ///
    /// Each stream may take this memory while its headers arrive.
    #[arg(long, value_name = "SIZE", default_value_t = Size(Config::default().max_header_bytes))]
    max_header_bytes: Size<u32>,

    /// Maximum number of streams reset because of client errors before the connection is closed
    ///
    /// A higher value lets a client cause more work by errors.
    #[arg(long, value_name = "COUNT", value_parser = whole::<usize>, default_value_t = Config::default().max_error_resets)]
    max_error_resets: usize,

    /// Maximum number of streams reset by the client that the server has not processed yet
    ///
    /// A higher value lets a client cause more work by streams that it cancels at once.
    #[arg(long, value_name = "COUNT", value_parser = whole::<usize>, default_value_t = Config::default().max_pending_resets)]
    max_pending_resets: usize,

    /// HTTP/2 flow-control window of a stream: the bytes that a client may send before the server reads them
    ///
    /// A stream sends at most this number of bytes per round trip: 5.2 MB/s with 512KiB and 100 ms. Each stream may
    /// take this memory.
    #[arg(long, value_name = "SIZE", default_value_t = Size(Config::default().stream_window_bytes))]
    stream_window_bytes: Size<u32>,

    /// HTTP/2 flow-control window of a connection, for all its streams together
    ///
    /// Each connection may take this memory.
    #[arg(long, value_name = "SIZE", default_value_t = Size(Config::default().connection_window_bytes))]
    connection_window_bytes: Size<u32>,

    /// Maximum overhead of unread small DATA frames per connection; a frame below 256 bytes counts as the difference
    ///
    /// Each connection may take this memory in addition to its window. Raise both together.
    #[arg(long, value_name = "SIZE", default_value_t = Size(Config::default().data_frame_budget_bytes))]
    data_frame_budget_bytes: Size<usize>,

    /// End a stream after this time without input, or with a reply that the client does not read
    ///
    /// A longer time keeps the memory of silent streams.
    #[arg(long, value_name = "TIME", default_value_t = Time(Config::default().stream_idle_timeout))]
    stream_idle_timeout: Time,

    /// Close a new connection that does not start HTTP/2 within this time
    ///
    /// A longer time lets silent clients keep connections.
    #[arg(long, value_name = "TIME", default_value_t = Time(Config::default().handshake_timeout))]
    handshake_timeout: Time,

    /// Send a PING after this time without data from the client
    ///
    /// A shorter time finds broken connections earlier, and costs 17 bytes per PING in each direction.
    #[arg(long, value_name = "TIME", default_value_t = Time(Config::default().keepalive_interval))]
    keepalive_interval: Time,

    /// Close a connection that does not answer a PING within this time
    ///
    /// A longer time keeps broken connections.
    #[arg(long, value_name = "TIME", default_value_t = Time(Config::default().keepalive_timeout))]
    keepalive_timeout: Time,

    /// Commit a recording at the latest this time after its first uncommitted point
    ///
    /// A shorter time means fewer points to send again after the server was killed, and more writes. All recordings
    /// that are due share a write.
    #[arg(long, value_name = "TIME", default_value_t = Time(Config::default().checkpoint_interval))]
    checkpoint_interval: Time,

    /// Commit a recording at once after this many uncommitted points
    ///
    /// A lower number means more writes for fast clients.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<u64>, default_value_t = Config::default().checkpoint_points)]
    checkpoint_points: u64,

    /// Delete a recording this time after its last change
    ///
    /// Each recording takes about 1 KiB on the disk.
    #[arg(long, value_name = "TIME", default_value_t = Time(Config::default().retention))]
    retention: Time,

    /// Time that open streams may continue after a signal to stop
    ///
    /// A service manager must wait longer before it kills the process.
    #[arg(long, value_name = "TIME", default_value_t = Time(Config::default().drain_timeout))]
    drain_timeout: Time,
}

impl LimitArgs {
    /// Returns the configuration of the server. It is not checked yet.
    pub(super) fn config(&self) -> Config {
        Config {
            max_connections: self.max_connections,
            max_streams_per_connection: self.max_streams_per_connection,
            max_message_bytes: self.max_message_bytes.0,
            max_inflation_ratio: self.max_inflation_ratio,
            max_header_bytes: self.max_header_bytes.0,
            max_error_resets: self.max_error_resets,
            stream_idle_timeout: self.stream_idle_timeout.0,
            handshake_timeout: self.handshake_timeout.0,
            keepalive_interval: self.keepalive_interval.0,
            keepalive_timeout: self.keepalive_timeout.0,
            max_pending_resets: self.max_pending_resets,
            stream_window_bytes: self.stream_window_bytes.0,
            connection_window_bytes: self.connection_window_bytes.0,
            data_frame_budget_bytes: self.data_frame_budget_bytes.0,
            max_connections_per_peer: self.max_connections_per_peer,
            connection_idle_timeout: self.connection_idle_timeout.0,
            max_memory_bytes: self.max_memory_bytes,
            max_new_recordings_per_minute: self.max_new_recordings_per_minute,
            max_log_rate: self.max_log_rate,
            checkpoint_interval: self.checkpoint_interval.0,
            checkpoint_points: self.checkpoint_points,
            retention: self.retention.0,
            drain_timeout: self.drain_timeout.0,
            ..Config::default()
        }
    }
}

/// Returns the name of the option that an error is about.
pub(super) fn option(error: &ConfigError) -> String {
    match error.setting {
        "max_memory_bytes" => "max-memory".to_owned(),
        "trusted_proxies" => "trust-forwarded-for".to_owned(),
        setting => setting.replace('_', "-"),
    }
}

/// Returns the message of an invalid setting, with the names of the options instead of those of the fields.
pub(super) fn error_message(error: &ConfigError) -> String {
    let ConfigError { value, bounds, .. } = error;
    let option = option(error);
    // Some bounds depend on another setting.
    let bounds = bounds
        .replace("max_message_bytes", "--max-message-bytes")
        .replace("trusted_proxies", "--trust-forwarded-for");
    // Sizes are shown as options take them.
    let size = value.parse::<u64>().ok().filter(|_| error.setting.ends_with("_bytes"));
    let value = size.map_or_else(|| value.clone(), |bytes| Size(bytes).to_string());
    format!("--{option} is {value}, and must be {bounds}")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        limits: LimitArgs,
    }

    #[test]
    fn without_options_the_configuration_is_the_default() {
        assert_eq!(Line::parse_from(["serve"]).limits.config(), Config::default());
    }

    #[test]
    fn an_invalid_value_is_reported_with_the_name_of_its_option() {
        let command = Line::command();
        let options = command.get_arguments().filter_map(clap::Arg::get_long);
        let options: Vec<_> = options.filter(|&option| option != "help").collect();
        assert!(options.len() > 20, "{options:?}");
        for option in options {
            let is_time = !option.contains("bytes")
                && ["timeout", "interval", "retention"].iter().any(|word| option.contains(word));
            let zero = if is_time { "0s" } else { "0" };
            let line = ["serve".to_owned(), format!("--{option}={zero}")];
            // The parser refuses some of the values, and a limit of no resets is valid.
            let Ok(line) = Line::try_parse_from(line) else { continue };
            match line.limits.config().check() {
                Ok(()) => assert!(option.ends_with("resets"), "{option}"),
                Err(error) => {
                    let message = error_message(&error);
                    assert!(message.starts_with(&format!("--{option} is 0")), "{message}");
                }
            }
        }
    }

    #[test]
    fn the_bounds_name_options_too() {
        let line = ["serve", "--max-memory=8MiB", "--max-message-bytes=1048576"];
        let error = Line::parse_from(line).limits.config().check().unwrap_err();
        insta::assert_snapshot!(error_message(&error), @"--max-memory is 8MiB, and must be at least 1 MiB, and 16 times --max-message-bytes");
    }
}
