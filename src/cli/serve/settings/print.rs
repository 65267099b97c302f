//! The output of `--print-config`: all settings as TOML, with the source of each as a comment.

use std::fmt::Write as _;

use super::key::{Key, Kind};
use super::{Effective, Origin, Settings};
use crate::cli::report::escape_control;
use crate::cli::secret;
use crate::cli::store_url::StoreUrl;

/// The value of a setting that is not printed. A file with it is refused, so that no server runs without the setting.
pub(super) const NOT_PRINTED: &str = "(not printed)";

/// Returns the settings as a file that `--config` accepts.
pub(super) fn text(settings: &Settings) -> String {
    let mut out =
        "# The settings of waywiser serve. Precedence: flag, environment, file, default.\n"
            .to_owned();
    let mut headings: Vec<Option<&str>> = Vec::new();
    for key in &settings.keys {
        if !headings.contains(&key.heading.as_deref()) {
            headings.push(key.heading.as_deref());
        }
    }
    // Keys in front of the first table belong to no table.
    headings.sort_by_key(Option::is_some);
    for heading in headings {
        let keys = settings.keys.iter().zip(&settings.effective);
        let mut keys = keys.filter(|(key, _)| key.heading.as_deref() == heading).peekable();
        if let Some(table) = keys.peek().and_then(|(key, _)| key.table()) {
            let _ = writeln!(out, "\n[{table}]");
        }
        for (key, effective) in keys {
            let _ = writeln!(out, "{}", line(key, effective, settings));
        }
    }
    out
}

fn line(key: &Key, effective: &Effective, settings: &Settings) -> String {
    let name = &key.name;
    let Some(values) = &effective.values else {
        return match &key.default {
            Some(default) if !is_excluded(key, settings) => {
                format!("# {name} = {default} # {}", Origin::Default.describe(None))
            }
            _ => format!("# {name} is not set"),
        };
    };
    let source = effective.origin.describe(settings.file.as_deref());
    let source = escape_control(&source);
    let not_printed = |reason: &str| {
        format!(
            "{name} = \"{NOT_PRINTED}\" # {source}; it {reason}: replace it, or remove the line"
        )
    };
    let Some(texts) = values.iter().map(|value| value.to_str()).collect::<Option<Vec<_>>>() else {
        return not_printed("is not UTF-8");
    };
    if texts.iter().any(|text| secret::may_contain(text)) {
        return match &texts[..] {
            [url] if let Some(url) = without_password(url) => {
                let url = toml::Value::from(url);
                format!("{name} = {url} # {source}; without the password: use {PASSWORD_SOURCES}")
            }
            _ => not_printed("may contain a secret"),
        };
    }
    let texts: Vec<String> = texts.into_iter().map(|text| literal(key, text)).collect();
    let value = match key.kind {
        Kind::List => format!("[{}]", texts.join(", ")),
        Kind::Switch | Kind::One => texts.concat(),
    };
    format!("{name} = {value} # {source}")
}

/// The sources of the password of a database besides its URL.
const PASSWORD_SOURCES: &str = "store-password-file, PGPASSWORD or ~/.pgpass";

/// Returns the URL of a database without its password, or `None` if something else in it may be a secret.
fn without_password(url: &str) -> Option<String> {
    let Ok(StoreUrl::Database(settings)) = url.parse() else { return None };
    Some(settings.to_string()).filter(|url| !secret::may_contain(url))
}

/// Returns whether the setting has no effect, because one that it cannot be used with is set.
fn is_excluded(key: &Key, settings: &Settings) -> bool {
    let mut others = settings.keys.iter().zip(&settings.effective);
    others.any(|(other, effective)| {
        let is_off = other.kind == Kind::Switch
            && effective.values.as_deref().is_some_and(|values| values == ["false"]);
        key.conflicts_with(other) && effective.origin != Origin::Default && !is_off
    })
}

/// Returns a value in the syntax of TOML.
fn literal(key: &Key, text: &str) -> String {
    if key.kind == Kind::Switch {
        return text.to_owned();
    }
    let is_integer = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    if is_integer && !key.is_text() {
        return text.to_owned();
    }
    toml::Value::from(text).to_string()
}
