//! The settings in the environment: `WAYWISER_` and the name of the flag in capitals.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use super::key::{Key, Kind, PREFIX, nearest};

/// The variables of a process whose names are UTF-8, as the names of all settings are.
pub(super) type Variables = BTreeMap<String, OsString>;

/// A setting in the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The index of the setting.
    pub(super) key: usize,
    pub(super) variable: String,
    /// The values as the command line would have them. A switch has one value, `true` or `false`.
    pub(super) values: Vec<OsString>,
}

/// Returns the variables of this process.
pub(super) fn variables() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .collect()
}

/// The settings that protect the server, and what their variables name. A deployment that fails to fill in such a variable
/// must not run without its protection.
const PROTECTIONS: [(&str, &str); 5] = [
    ("tls-cert", "a file"),
    ("tls-key", "a file"),
    ("tls-client-ca", "a file"),
    ("tokens", "a file"),
    ("jwks", "a file or a URL"),
];

/// Returns the error about an empty variable that would disable a protection.
pub(super) fn empty(variable: &str, content: &str) -> String {
    format!(
        "{variable} is empty, which would disable a protection of the server: set it to {content}, or remove the variable"
    )
}

/// Reads the settings in the environment and checks each separately. An empty variable counts as unset, except for one of
/// a setting that protects the server.
///
/// # Errors
/// A message that names the variable.
pub(super) fn read(variables: &Variables, keys: &[Key]) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let own = key
            .variables
            .first()
            .filter(|name| variables.get(*name).is_some_and(|value| value.is_empty()));
        let protection = PROTECTIONS.iter().find(|(name, _)| *name == key.name);
        if let (Some(variable), Some((_, content))) = (own, protection) {
            return Err(empty(variable, content));
        }
        let set = |name: &&String| variables.get(*name).is_some_and(|value| !value.is_empty());
        let Some(variable) = key.variables.iter().find(set) else { continue };
        let Some(value) = variables.get(variable) else { continue };
        let values = match key.kind {
            Kind::Switch => vec![switch(value).ok_or_else(|| {
                format!(
                    "{variable} is {:?}: must be true or false (or yes, no, on, off, 1, 0)",
                    value.to_string_lossy()
                )
            })?],
            // clap splits the value itself if the flag has a delimiter.
            Kind::List if key.delimiter.is_none() => split(value),
            Kind::List | Kind::One => vec![value.clone()],
        };
        if key.kind != Kind::Switch {
            for value in &values {
                key.check(value).map_err(|error| key.refusal(variable, value, &error))?;
            }
        }
        entries.push(Entry { key: index, variable: variable.clone(), values });
    }
    Ok(entries)
}

fn switch(value: &OsString) -> Option<OsString> {
    match value.to_str()?.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some("true".into()),
        "false" | "0" | "no" | "off" => Some("false".into()),
        _ => None,
    }
}

/// Splits a list at commas.
fn split(value: &OsString) -> Vec<OsString> {
    match value.to_str() {
        Some(text) => text.split(',').map(|part| part.trim().into()).collect(),
        None => vec![value.clone()],
    }
}

/// Returns a warning for each variable that is similar to that of a setting and has no effect.
pub(super) fn warnings(variables: &Variables, known: &BTreeSet<String>) -> Vec<String> {
    let names = variables.keys().filter(|name| name.starts_with(PREFIX) && !known.contains(*name));
    // Kubernetes defines these for a service with the name of the program.
    let names = names.filter(|name| {
        !["WAYWISER_SERVICE_", "WAYWISER_PORT"].iter().any(|prefix| name.starts_with(prefix))
    });
    let suffix = |name: &'_ str| name.strip_prefix(PREFIX).unwrap_or_default().to_owned();
    let known: Vec<String> = known.iter().map(|name| suffix(name)).collect();
    names
        .filter_map(|name| {
            let near = nearest(&suffix(name), known.iter().map(String::as_str))?;
            Some(format!("the variable {name} has no effect; the nearest one is {PREFIX}{near}"))
        })
        .collect()
}
