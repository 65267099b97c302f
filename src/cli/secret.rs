//! Values of options that may be secrets: errors, the log and `--print-config` do not show them.

use clap::error::{ContextKind, ContextValue};

/// Flags whose values are not shown, whatever they are.
const FLAGS: [&str; 3] = ["header", "jwks", "otlp-endpoint"];

/// Text in place of a value that is not shown.
const HIDDEN: &str = "(not shown)";

/// Returns whether the value of a flag, whose name has no hyphens at the beginning, is not shown in an error.
pub(super) fn is_hidden(flag: &str, value: &str) -> bool {
    FLAGS.contains(&flag) || may_contain(value)
}

/// Returns whether a value may contain a secret: a URL with a user name, a password or a query, or a PEM text. The user
/// name and the options in `DATABASE_OPTIONS` of a PostgreSQL database are not secrets.
pub(super) fn may_contain(value: &str) -> bool {
    if is_database_without_password(value) {
        return false;
    }
    let has_user = match value.split_once("://") {
        Some((_, rest)) => rest.contains(['@', '?']),
        // A URL without a scheme. The path of a file on Windows may have both characters too.
        None => value
            .split_once('@')
            .is_some_and(|(user, _)| user.contains(':') && !user.contains('\\')),
    };
    has_user || value.contains("-----BEGIN")
}

/// Options in the URL of a database that are shown.
const DATABASE_OPTIONS: [&str; 11] = [
    "application_name",
    "connect_timeout",
    "dbname",
    "host",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "user",
];

/// Returns whether a value is the URL of a PostgreSQL database in which nothing can be a password.
fn is_database_without_password(value: &str) -> bool {
    let rest = ["postgres://", "postgresql://"].iter().find_map(|start| value.strip_prefix(start));
    let Some(rest) = rest else { return false };
    let (address, options) = rest.split_once('?').unwrap_or((rest, ""));
    let host = match address.split_once('@') {
        Some((user, host)) if !user.contains([':', '/']) => host,
        Some(_) => return false,
        None => address,
    };
    // A password with a special character that is not encoded continues in the host.
    let is_plain = !host.contains(['@', '#']) && !options.contains(['@', '#', '?']);
    let is_shown = |option: &str| {
        let name = option.split('=').next().unwrap_or_default();
        DATABASE_OPTIONS.contains(&name)
    };
    is_plain
        && has_numeric_ports(host)
        && options.split('&').all(|option| option.is_empty() || is_shown(option))
}

/// Returns whether all ports of hosts are numbers. Otherwise the host may be missing, and the text is a user with a password.
fn has_numeric_ports(hosts: &str) -> bool {
    let hosts = hosts.split_once('/').map_or(hosts, |(hosts, _)| hosts);
    hosts.split(',').all(|host| {
        let after_address = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
        let port = after_address.split_once(':').map(|(_, port)| port);
        port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Hides the secrets in an error of the arguments.
pub(super) fn hide(mut error: clap::Error) -> clap::Error {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) => {
            arg.trim_start_matches('-').split([' ', '=', '[']).next()
        }
        _ => None,
    };
    let flag = flag.unwrap_or_default().to_owned();
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand]
    {
        let hides = match error.get(kind) {
            // An empty value is shown as a value that is missing.
            Some(ContextValue::String(value)) if kind == ContextKind::InvalidValue => {
                !value.is_empty() && is_hidden(&flag, value)
            }
            Some(ContextValue::String(value)) => may_contain(value),
            _ => false,
        };
        if hides {
            error.insert(kind, ContextValue::String(HIDDEN.to_owned()));
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_database_is_shown_if_it_has_no_password() {
        for value in [
            "postgres://way@db.example.org/paths",
            "postgresql://way@db1:5432,db2:5433/paths?sslmode=verify-full&target_session_attrs=read-write",
            "postgres://db/paths?user=way&sslrootcert=/etc/waywiser/ca.pem",
        ] {
            assert!(!may_contain(value), "{value}");
        }
        for value in [
            "postgres://way:secret@db/paths",
            "postgres://way:se@cret@db/paths",
            "postgres://way:se/cret@db/paths",
            "postgres://way:se#cret@db/paths",
            "postgres://way:se?cret@db/paths",
            "postgres://way@se@db/paths",
            "postgres://db/paths?password=secret",
            "postgres://db/paths?user=way&pass%77ord=secret",
            "postgres://db/paths?host=a:secret@b",
            "postgres:way:secret@db/paths",
        ] {
            assert!(may_contain(value), "{value}");
        }
    }

    #[test]
    fn a_url_with_a_user_or_a_query_may_contain_a_secret() {
        for value in [
            "https://user:secret@example.org/x",
            "https://secret@example.org",
            "ftp://user:se/cret@example.org",
            "https://user:se#cret@example.org",
            "user:secret@example.org",
            "https:/user:secret@example.org",
            "https://example.org/keys?key=secret",
            "-----BEGIN PRIVATE KEY-----secret",
        ] {
            assert!(may_contain(value), "{value}");
        }
        for value in ["https://example.org/x", "a@b", "127.0.0.1:1", r"C:\a@b", "keys.json", ""] {
            assert!(!may_contain(value), "{value}");
        }
    }
}
