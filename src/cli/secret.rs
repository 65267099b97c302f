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

/// Returns whether a value may contain a secret: a URL with a user name, a password or a query, or a PEM text.
pub(super) fn may_contain(value: &str) -> bool {
    let has_user = match value.split_once("://") {
        Some((_, rest)) => rest.contains(['@', '?']),
        // A URL without a scheme. The path of a file on Windows may have both characters too.
        None => value
            .split_once('@')
            .is_some_and(|(user, _)| user.contains(':') && !user.contains('\\')),
    };
    has_user || value.contains("-----BEGIN")
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
