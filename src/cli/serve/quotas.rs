//! The quotas of `waywiser serve`, the proxies that it trusts, and the sample of its log, as options.

use clap::Args;

use crate::auth::{Access, Quota};
use crate::cli::units::{at_least_one, size};
use crate::server::{Config, LogSample, LowRate, Network, RateUnit};

#[derive(Debug, Args)]
#[command(next_help_heading = "Quotas")]
pub(super) struct QuotaArgs {
    /// Maximum number of concurrent streams of a principal without a quota of its own [default: no limit]
    ///
    /// A watch is a stream too. `waywiser record` has two: the points, and a watch of what is durable.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<u32>, env = "WAYWISER_MAX_STREAMS_PER_PRINCIPAL")]
    max_streams_per_principal: Option<u32>,

    /// Maximum number of points per second of a principal without a quota of its own; its streams are slowed down
    /// [default: no limit]
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<u64>, env = "WAYWISER_MAX_POINTS_PER_SECOND")]
    max_points_per_second: Option<u64>,

    /// Maximum number of request bytes per second of a principal without a quota of its own; its streams are slowed
    /// down [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "WAYWISER_MAX_BYTES_PER_SECOND")]
    max_bytes_per_second: Option<u64>,

    /// Maximum number of recordings of a principal without a quota of its own [default: no limit]
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<u64>, env = "WAYWISER_MAX_RECORDINGS_PER_PRINCIPAL")]
    max_recordings_per_principal: Option<u64>,

    /// Maximum number of concurrent streams per client address (IPv6: /64 network) [default: no limit]
    ///
    /// They count as those of a principal do.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<u32>, env = "WAYWISER_MAX_STREAMS_PER_PEER")]
    max_streams_per_peer: Option<u32>,

    /// Maximum number of points per second and client address; streams are slowed down [default: no limit]
    #[arg(long, value_name = "COUNT", value_parser = at_least_one::<u64>, env = "WAYWISER_MAX_POINTS_PER_SECOND_PER_PEER")]
    max_points_per_second_per_peer: Option<u64>,

    /// Maximum number of request bytes per second and client address; streams are slowed down [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size, env = "WAYWISER_MAX_BYTES_PER_SECOND_PER_PEER")]
    max_bytes_per_second_per_peer: Option<u64>,

    /// Trust proxies in this network, such as 10.0.0.0/8: the client of their calls is the right-most address in
    /// x-forwarded-for or forwarded that is not in such a network (repeatable). Their connections do not count against
    /// --max-connections-per-peer
    ///
    /// A network of more than /8 (IPv6: /7) is refused: every client could state any address as its own.
    #[arg(
        long,
        value_name = "CIDR",
        value_delimiter = ',',
        env = "WAYWISER_TRUST_FORWARDED_FOR",
        help_heading = "Proxies"
    )]
    trust_forwarded_for: Vec<Network>,

    /// Require a PROXY protocol header (version 1 or 2) at the start of connections from the networks of
    /// --trust-forwarded-for; it has the address of the client
    #[arg(
        long,
        help_heading = "Proxies",
        requires = "trust_forwarded_for",
        env = "WAYWISER_PROXY_PROTOCOL"
    )]
    proxy_protocol: bool,

    /// Share of successful calls that are logged, from 0 to 1; calls with an error are always logged
    #[arg(
        long,
        help_heading = "Limits",
        value_name = "RATIO",
        env = "WAYWISER_LOG_SAMPLE",
        default_value_t
    )]
    log_sample: LogSample,
}

impl QuotaArgs {
    /// Sets the quotas, the trusted proxies and the sample of the log of a configuration.
    pub(super) fn apply(&self, config: &mut Config) {
        config.principal_quota = Quota {
            max_streams: self.max_streams_per_principal,
            max_points_per_second: self.max_points_per_second,
            max_bytes_per_second: self.max_bytes_per_second,
            max_recordings: self.max_recordings_per_principal,
        };
        config.peer_quota = Quota {
            max_streams: self.max_streams_per_peer,
            max_points_per_second: self.max_points_per_second_per_peer,
            max_bytes_per_second: self.max_bytes_per_second_per_peer,
            max_recordings: None,
        };
        config.trusted_proxies.clone_from(&self.trust_forwarded_for);
        config.proxy_protocol = self.proxy_protocol;
        config.log_sample = self.log_sample;
    }
}

/// Maximum number of warnings about principals of the token file.
const PRINCIPAL_WARNINGS_MAX: usize = 5;

/// Returns the warnings about rates at which no message of the usual size can be sent: those of the settings, and the
/// first ones of the token file.
pub(super) fn warnings(config: &Config, access: Option<&Access>) -> Vec<String> {
    let of_settings =
        |rate: LowRate| low_rate(&format!("--{}", rate.setting.replace('_', "-")), &rate);
    let mut warnings: Vec<_> = config.low_rates().into_iter().map(of_settings).collect();
    let principals = access.map(Access::listed_principals).unwrap_or_default();
    let of_principals = principals.iter().flat_map(|principal| {
        let (principal_quota, peer_quota) = (principal.quota, Quota::default());
        let own = Config { principal_quota, peer_quota, ..config.clone() };
        let of = |rate: LowRate| {
            low_rate(&format!("{} of the principal {:?}", rate.setting, &*principal.name), &rate)
        };
        own.low_rates().into_iter().map(of).collect::<Vec<_>>()
    });
    warnings.extend(of_principals.take(PRINCIPAL_WARNINGS_MAX));
    warnings
}

/// Returns the warning about a rate.
fn low_rate(name: &str, rate: &LowRate) -> String {
    let LowRate { per_second, unit, message, .. } = rate;
    let (of_message, reason) = match unit {
        RateUnit::Bytes => (format!("{message} bytes of a message"), "BYTE_RATE"),
        RateUnit::Points => {
            (format!("{message} points of a message of the recorder"), "POINT_RATE")
        }
    };
    format!(
        "{name} is {per_second}, and at this rate a stream that sends the {of_message} would have to wait for more than 30 s, so it ends with {reason}; use a higher rate"
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::limits::error_message;
    use super::*;
    use crate::auth::AccessSettings;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        quotas: QuotaArgs,
    }

    fn config(options: &[&str]) -> Config {
        let mut config = Config::default();
        Line::parse_from(["serve"].iter().chain(options)).quotas.apply(&mut config);
        config
    }

    #[test]
    fn without_options_nothing_is_limited_and_no_proxy_is_trusted() {
        assert_eq!(config(&[]), Config::default());
    }

    #[test]
    fn options_set_quotas_and_proxies() {
        let config = config(&[
            "--max-streams-per-principal=5",
            "--max-bytes-per-second=2MiB",
            "--max-points-per-second-per-peer=1000",
            "--trust-forwarded-for=10.0.0.0/8,192.0.2.0/24",
            "--trust-forwarded-for=::1",
            "--proxy-protocol",
            "--log-sample=0.05",
        ]);
        let Quota { max_streams, max_bytes_per_second, .. } = config.principal_quota;
        assert_eq!((max_streams, max_bytes_per_second), (Some(5), Some(2 << 20)));
        assert_eq!(config.peer_quota.max_points_per_second, Some(1000));
        assert_eq!(config.trusted_proxies.len(), 3);
        assert!(config.proxy_protocol);
        assert_eq!(config.log_sample.ratio(), 0.05);
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn a_quota_of_zero_is_refused_by_the_name_of_its_option() {
        for option in [
            "--max-streams-per-principal",
            "--max-points-per-second",
            "--max-recordings-per-principal",
            "--max-streams-per-peer",
            "--max-points-per-second-per-peer",
        ] {
            let error = Line::try_parse_from(["serve", option, "0"]).err().unwrap().to_string();
            let expected = format!("'{option} <COUNT>': must be a whole number from 1 to ");
            assert!(error.contains(&expected), "{error}");
        }
        for option in ["--max-bytes-per-second", "--max-bytes-per-second-per-peer"] {
            let error = config(&[option, "0"]).check().unwrap_err();
            assert_eq!(error_message(&error), format!("{option} is 0, and must be at least 1"));
        }
    }

    #[test]
    fn a_rate_that_is_too_low_for_one_message_causes_a_warning() {
        let warnings = |options: &[&str]| warnings(&config(options), None);
        insta::assert_snapshot!(
            warnings(&["--max-points-per-second=32", "--max-bytes-per-second-per-peer=2KiB"]).join("\n"),
            @r"
        --max-points-per-second is 32, and at this rate a stream that sends the 1000 points of a message of the recorder would have to wait for more than 30 s, so it ends with POINT_RATE; use a higher rate
        --max-bytes-per-second-per-peer is 2048, and at this rate a stream that sends the 65536 bytes of a message would have to wait for more than 30 s, so it ends with BYTE_RATE; use a higher rate
        "
        );
        assert!(
            warnings(&["--max-points-per-second=33", "--max-bytes-per-second=2115"]).is_empty()
        );
        // Messages are smaller than a frame.
        let mut small = config(&["--max-bytes-per-second=100"]);
        small.max_message_bytes = 1024;
        assert!(super::warnings(&small, None).is_empty());
    }

    #[test]
    #[cfg(unix)]
    fn a_low_rate_of_a_principal_causes_a_warning() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens");
        let entry = |name: usize, rate: u64| {
            format!(
                "[[principal]]\nname = 'van-{name}'\ncertificate_names = ['van-{name}.example']\n[principal.quota]\nmax_points_per_second = {rate}\n"
            )
        };
        let entries: String =
            (0..9).map(|name| entry(name, if name < 2 { 33 } else { 3 })).collect();
        std::fs::write(&tokens, entries).unwrap();
        std::fs::set_permissions(&tokens, std::fs::Permissions::from_mode(0o600)).unwrap();
        let settings = AccessSettings { tokens: Some(tokens), ..AccessSettings::default() };
        let access = Access::load(settings).unwrap();
        let found = warnings(&Config::default(), Some(&access));
        assert_eq!(found.len(), PRINCIPAL_WARNINGS_MAX);
        let start = "max_points_per_second of the principal \"van-2\" is 3, and at this rate ";
        assert!(found[0].starts_with(start), "{found:?}");
    }

    #[test]
    fn all_addresses_are_no_network_of_proxies() {
        let error = |network: &str| {
            let config =
                config(&["--trust-forwarded-for=10.0.0.0/8", "--trust-forwarded-for", network]);
            error_message(&config.check().unwrap_err())
        };
        insta::assert_snapshot!(
            error("0.0.0.0/0"),
            @"--trust-forwarded-for is 0.0.0.0/0, and must be the networks of the proxies, of at most /8 (IPv6: /7): with a larger one, clients could state any address as theirs"
        );
        for network in ["::/0", "0.0.0.0/1", "2000::/3"] {
            assert!(error(network).starts_with(&format!("--trust-forwarded-for is {network}")));
        }
    }

    #[test]
    fn the_proxy_protocol_needs_the_addresses_of_the_proxies() {
        assert!(Line::try_parse_from(["serve", "--proxy-protocol"]).is_err());
        let config = Config { proxy_protocol: true, ..Config::default() };
        insta::assert_snapshot!(
            error_message(&config.check().unwrap_err()),
            @"--proxy-protocol is true, and must be false without --trust-forwarded-for"
        );
    }
}
