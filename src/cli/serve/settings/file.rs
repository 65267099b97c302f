//! The settings in a file: TOML, with the names of the flags as keys.
//!
//! Messages never quote the file, because a secret may be in the wrong place. They name file, line and key.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::key::{Key, Kind, nearest};
use super::print::NOT_PRINTED;

/// Maximum size of the file. One with all settings and comments has a few KiB.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// A setting in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The index of the setting.
    pub(super) key: usize,
    pub(super) line: usize,
    /// The values as the command line would have them. A switch has one value, `true` or `false`.
    pub(super) values: Vec<OsString>,
}

/// Reads the file and checks each setting separately.
///
/// # Errors
/// A message that names the file and, where possible, the line and the key.
pub(super) fn read(path: &Path, keys: &[Key]) -> Result<Vec<Entry>, String> {
    let name = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read the settings in {name}: {error}"))?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(format!("{name} is larger than 1 MiB, so it is not a file of settings"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = line_at(&bytes, error.valid_up_to());
        format!("{name}, line {line}: the text is not UTF-8")
    })?;
    parse(text, keys).map_err(|Problem { at, message }| {
        format!("{name}, line {}: {message}", line_at(&bytes, at))
    })
}

/// An error at an offset in bytes.
struct Problem {
    at: usize,
    message: String,
}

impl Problem {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// Returns the number of the line that contains the byte at this offset.
fn line_at(bytes: &[u8], offset: usize) -> usize {
    let before = &bytes[..offset.min(bytes.len())];
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

/// Where a value is in the document.
struct Place<'a> {
    at: usize,
    table: Option<&'a str>,
    name: &'a str,
    value: &'a DeValue<'a>,
}

fn parse(text: &str, keys: &[Key]) -> Result<Vec<Entry>, Problem> {
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        Problem::new(at, format!("the file is not valid TOML: {}", first_line(error.message())))
    })?;
    let mut places = Vec::new();
    for (name, value) in document.get_ref() {
        let at = name.span().start;
        match value.get_ref() {
            DeValue::Table(table) => {
                let tables = || keys.iter().filter_map(Key::table);
                let name = name.get_ref().as_ref();
                if !tables().any(|known| known == name) {
                    return Err(unknown_table(at, name, keys));
                }
                places.extend(table.iter().map(|(key, value)| Place {
                    at: key.span().start,
                    table: Some(name),
                    name: key.get_ref(),
                    value: value.get_ref(),
                }));
            }
            value => places.push(Place { at, table: None, name: name.get_ref(), value }),
        }
    }
    // The parser sorts keys by name. The first error of the file is reported.
    places.sort_by_key(|place| place.at);
    let mut entries: Vec<Entry> = Vec::new();
    for place in places {
        let entry = entry(&place, text, keys)?;
        if let Some(first) = entries.iter().find(|first| first.key == entry.key) {
            let Entry { key, line, .. } = first;
            let message = format!("{} is set in line {line} already", keys[*key].name);
            return Err(Problem::new(place.at, message));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn entry(place: &Place<'_>, text: &str, keys: &[Key]) -> Result<Entry, Problem> {
    let Place { at, table, name, value } = *place;
    let canonical = name.replace('_', "-");
    let Some(index) = keys.iter().position(|key| key.name == canonical) else {
        return Err(unknown_key(at, name, &canonical, keys));
    };
    let key = &keys[index];
    if let Some(table) = table
        && key.table().as_deref() != Some(table)
    {
        let advice = match key.table() {
            Some(own) => format!("move it to [{own}]"),
            None => "move it in front of the first table".to_owned(),
        };
        return Err(Problem::new(at, format!("{name} does not belong to [{table}]; {advice}")));
    }
    let line = line_at(text.as_bytes(), at);
    if matches!(value, DeValue::String(text) if text == NOT_PRINTED) {
        // It is an error unless a source of higher precedence has the setting.
        return Ok(Entry { key: index, line, values: vec![NOT_PRINTED.into()] });
    }
    let values =
        values(key, value).map_err(|message| Problem::new(at, format!("{name} {message}")))?;
    if key.kind != Kind::Switch {
        for value in &values {
            let refusal = |error: String| match place.value {
                // A number is shown as it is written, without quotation marks.
                DeValue::Integer(_) | DeValue::Float(_) => {
                    format!("{name} is {}: {error}", value.to_string_lossy())
                }
                _ => key.refusal(name, value, &error),
            };
            key.check(value).map_err(|error| Problem::new(at, refusal(error)))?;
        }
    }
    Ok(Entry { key: index, line, values })
}

fn unknown_table(at: usize, name: &str, keys: &[Key]) -> Problem {
    if keys.iter().any(|key| key.name == name.replace('_', "-")) {
        return Problem::new(at, format!("{name} must be a value, and not a table"));
    }
    let tables: Vec<String> = keys.iter().filter_map(Key::table).collect();
    let near = nearest(name, tables.iter().map(String::as_str));
    let advice = near.map(|near| format!("; the nearest one is [{near}]"));
    Problem::new(at, format!("[{name}] is not a table of settings{}", advice.unwrap_or_default()))
}

fn unknown_key(at: usize, name: &str, canonical: &str, keys: &[Key]) -> Problem {
    if canonical == "config" || canonical == "print-config" {
        return Problem::new(at, format!("{name} can only be set on the command line"));
    }
    let is_secret = ["password", "secret", "token-sha256", "principal", "private-key"]
        .iter()
        .any(|word| canonical.contains(word));
    let advice = if is_secret || canonical == "token" {
        "; principals and secrets are in files of their own, and this file has the names of those files"
            .to_owned()
    } else {
        let near = nearest(canonical, keys.iter().map(|key| key.name.as_str()));
        near.map_or_else(String::new, |near| format!("; the nearest one is {near}"))
    };
    Problem::new(at, format!("{name} is not a setting{advice}"))
}

/// Returns the values of a setting as texts. An error completes a sentence that begins with the key.
fn values(key: &Key, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    match (key.kind, value) {
        (Kind::Switch, DeValue::Boolean(value)) => Ok(vec![value.to_string().into()]),
        (Kind::Switch, _) => Err(format!("must be true or false, and not {}", type_name(value))),
        (Kind::List, DeValue::Array(values)) => {
            values.iter().map(|value| scalar(key, Spanned::get_ref(value))).collect()
        }
        (_, value) => Ok(vec![scalar(key, value)?]),
    }
}

fn scalar(key: &Key, value: &DeValue<'_>) -> Result<OsString, String> {
    match value {
        DeValue::String(text) => {
            if text.contains("-----BEGIN") {
                return Err(
                    "must be the name of a file, and not the content of the file".to_owned()
                );
            }
            if text.contains(char::is_control) {
                return Err("must not contain control characters".to_owned());
            }
            if key.is_number() && text.parse::<f64>().is_ok() {
                return Err("must be a number without quotation marks, and not a text".to_owned());
            }
            Ok(text.as_ref().into())
        }
        DeValue::Integer(_) | DeValue::Float(_) if key.is_text() => {
            Err(format!("must be a text in quotation marks, and not {}", type_name(value)))
        }
        DeValue::Integer(number) => integer(number).map(Into::into),
        DeValue::Float(number) => Ok(number.as_str().into()),
        DeValue::Boolean(value)
            if !key.is_text() && key.check(value.to_string().as_ref()).is_ok() =>
        {
            Ok(value.to_string().into())
        }
        value => Err(format!("must be a text or a number, and not {}", type_name(value))),
    }
}

fn integer(number: &DeInteger<'_>) -> Result<String, String> {
    let value = i128::from_str_radix(number.as_str(), number.radix());
    value.map(|value| value.to_string()).map_err(|_| "is too large".to_owned())
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
