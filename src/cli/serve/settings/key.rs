//! The settings that the command of `serve` defines: a key of the file and a variable of the environment for each flag.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command, Id};

use crate::cli::secret;

/// The prefix of all variables of the environment that the program reads.
pub(super) const PREFIX: &str = "WAYWISER_";

/// Flags that are not settings: what they do depends on the command line.
const NO_SETTINGS: [&str; 4] = ["config", "print-config", "help", "version"];

/// The values that a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// True or false.
    Switch,
    One,
    List,
}

/// A setting: a flag of the command.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) id: Id,
    /// The name of the flag without hyphens at the beginning, which is the key in a file.
    pub(super) name: String,
    /// The variables that set it; an earlier one has precedence.
    pub(super) variables: Vec<String>,
    pub(super) heading: Option<String>,
    pub(super) kind: Kind,
    pub(super) delimiter: Option<char>,
    /// What the server uses if the setting is not set and clap has no default, as the help describes it.
    pub(super) default: Option<String>,
    /// The settings that cannot be used together with this one.
    conflicts: Vec<Id>,
    parser: ValueParser,
}

impl Key {
    /// Returns the settings of a command, in the order of its help.
    pub(super) fn all(command: &Command) -> Vec<Self> {
        command.get_arguments().filter_map(|arg| Self::of(command, arg)).collect()
    }

    fn of(command: &Command, arg: &Arg) -> Option<Self> {
        let name = arg.get_long().filter(|name| !NO_SETTINGS.contains(name))?;
        let kind = match arg.get_action() {
            ArgAction::SetTrue => Kind::Switch,
            ArgAction::Set => Kind::One,
            ArgAction::Append => Kind::List,
            _ => return None,
        };
        let own = variable(name);
        let mut variables = vec![own];
        // A variable with another name, such as RUST_LOG, is the second choice.
        if let Some(other) = arg.get_env().and_then(OsStr::to_str)
            && variables[0] != other
        {
            variables.push(other.to_owned());
        }
        let conflicts = command.get_arg_conflicts_with(arg);
        Some(Self {
            id: arg.get_id().clone(),
            name: name.to_owned(),
            variables,
            heading: arg.get_help_heading().map(str::to_owned),
            kind,
            delimiter: arg.get_value_delimiter(),
            default: described_default(arg),
            conflicts: conflicts.into_iter().map(|arg| arg.get_id().clone()).collect(),
            parser: arg.get_value_parser().clone(),
        })
    }

    /// Returns whether the two settings cannot be used together.
    pub(super) fn conflicts_with(&self, other: &Self) -> bool {
        self.conflicts.contains(&other.id) || other.conflicts.contains(&self.id)
    }

    /// Returns whether the value is a text that is not parsed, such as the name of a file.
    pub(super) fn is_text(&self) -> bool {
        let texts = [TypeId::of::<String>(), TypeId::of::<PathBuf>(), TypeId::of::<OsString>()];
        texts.iter().any(|text| self.parser.type_id() == *text)
    }

    /// Returns whether the value is a number without a unit.
    pub(super) fn is_number(&self) -> bool {
        let numbers = [
            TypeId::of::<usize>(),
            TypeId::of::<u64>(),
            TypeId::of::<u32>(),
            TypeId::of::<u16>(),
            TypeId::of::<f64>(),
        ];
        numbers.iter().any(|number| self.parser.type_id() == *number)
    }

    /// Returns the name of the table of a file that may contain the setting.
    pub(super) fn table(&self) -> Option<String> {
        self.heading.as_deref().map(|heading| heading.to_lowercase().replace(' ', "-"))
    }

    /// Parses a value.
    ///
    /// # Errors
    /// What is wrong with the value, without the value itself.
    pub(super) fn check(&self, value: &OsStr) -> Result<(), String> {
        let mut arg = Arg::new("value").long("value").action(ArgAction::Append);
        arg = arg.value_parser(self.parser.clone());
        if let Some(delimiter) = self.delimiter {
            arg = arg.value_delimiter(delimiter);
        }
        let command = Command::new("value").no_binary_name(true).disable_help_flag(true).arg(arg);
        let mut argument = OsString::from("--value=");
        argument.push(value);
        let error = match command.try_get_matches_from([argument]) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if let Some(source) = std::error::Error::source(&error) {
            return Err(source.to_string());
        }
        if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue)
            && !values.is_empty()
        {
            return Err(format!("must be one of {}", values.join(", ")));
        }
        if value.is_empty() {
            return Err("must not be empty".to_owned());
        }
        Err(if value.to_str().is_none() { "is not UTF-8" } else { "is not valid" }.to_owned())
    }

    /// Returns the message about a value that [`Self::check`] refuses, with the value unless it may be a secret.
    /// `name` is that of the setting in its source.
    pub(super) fn refusal(&self, name: &str, value: &OsStr, error: &str) -> String {
        let value = value.to_string_lossy();
        match secret::is_hidden(&self.name, &value) {
            true => format!("the value of {name} is refused and not shown: {error}"),
            false => format!("{name} is {value:?}: {error}"),
        }
    }
}

/// Returns the default in the text of a help: "[default: no limit]".
fn described_default(arg: &Arg) -> Option<String> {
    let help = arg.get_long_help().or(arg.get_help())?.to_string();
    let (_, rest) = help.split_once("[default: ")?;
    let (default, _) = rest.split_once(']')?;
    Some(default.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Returns the variable of a flag.
pub(super) fn variable(flag: &str) -> String {
    format!("{PREFIX}{}", flag.to_uppercase().replace('-', "_"))
}

/// Returns the known name that is most similar to `name`, if one is similar.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Names above this similarity usually are the same with an error of typing.
    const SIMILARITY_MIN: f64 = 0.6;
    let lower = name.to_lowercase();
    let similarity = |known: &str| {
        let typed = strsim::normalized_damerau_levenshtein(&lower, &known.to_lowercase());
        // A part of a name, such as DATA for DATA_DIR. The shortest name is the nearest.
        let is_part = known
            .to_lowercase()
            .strip_prefix(&lower)
            .is_some_and(|rest| rest.starts_with(['-', '_']));
        let part = SIMILARITY_MIN + 0.1 * lower.len() as f64 / known.len() as f64;
        if is_part { typed.max(part) } else { typed }
    };
    let scored = known.map(|known| (similarity(known), known));
    let best = scored.max_by(|(first, _), (second, _)| first.total_cmp(second));
    best.filter(|(similarity, _)| *similarity >= SIMILARITY_MIN).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_for_a_typing_error_and_for_a_part() {
        let known = [
            "data-frame-budget",
            "listen",
            "data-dir",
            "max-connections",
            "max-connections-per-peer",
        ];
        let near = |name| nearest(name, known.into_iter());
        assert_eq!(near("lisen"), Some("listen"));
        assert_eq!(near("LISTEN"), Some("listen"));
        assert_eq!(near("data"), Some("data-dir"));
        assert_eq!(near("max-conections"), Some("max-connections"));
        assert_eq!(near("something-else"), None);
        assert_eq!(near(""), None);
    }
}
