//! The settings of `waywiser serve`: from flags, the environment and a file, in this precedence, and defaults.
//!
//! The clap command is the only list of settings. A setting of the environment or the file becomes an argument, if
//! no source of higher precedence has the same setting, or one that cannot be used together with it. Before that,
//! each value is checked separately, so that an error names its variable, or its file and line.

mod environment;
mod file;
mod key;
mod print;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use self::environment::Variables;
use self::key::{Key, Kind};
use crate::cli::secret;

/// The advice for a store that is set twice.
const STORE_ADVICE: &str = "note: --store redb:DIR is the same as --data-dir DIR, and --store memory: is the same as \
                            --ephemeral: use one of them";

/// The commands that have the flags of `serve`.
const COMMANDS: [&[&str]; 2] = [&["serve"], &["config", "check"]];

/// The variable that names the file with settings.
const CONFIG_VARIABLE: &str = "WAYWISER_CONFIG";

/// The command line of the program, after the settings were added.
#[derive(Debug)]
pub(in crate::cli) struct Parsed {
    pub(in crate::cli) matches: ArgMatches,
    /// The settings, if the command has the flags of `serve`.
    pub(in crate::cli) settings: Option<Settings>,
}

/// The reason why the arguments or the settings are not valid.
#[derive(Debug)]
pub(in crate::cli) enum Rejection {
    /// The message of clap (or the help that it prints), and notes about the sources of settings.
    Arguments(clap::Error, Vec<String>),
    /// A setting of the environment or the file.
    Setting(String),
}

/// Where the value of a setting is from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Flag,
    Environment(String),
    File { line: usize },
    Default,
}

impl Origin {
    fn precedence(&self) -> u8 {
        match self {
            Self::Flag => 3,
            Self::Environment(_) => 2,
            Self::File { .. } => 1,
            Self::Default => 0,
        }
    }

    fn describe(&self, file: Option<&Path>) -> String {
        match (self, file) {
            (Self::Flag, _) => "flag".to_owned(),
            (Self::Environment(variable), _) => format!("environment, {variable}"),
            (Self::File { line }, Some(file)) => format!("{}, line {line}", file.display()),
            (Self::File { line }, None) => format!("file, line {line}"),
            (Self::Default, _) => "default".to_owned(),
        }
    }
}

/// The value of a setting that the server uses. It is `None` if the setting is not set and has no fixed default.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Effective {
    values: Option<Vec<OsString>>,
    origin: Origin,
}

/// The settings of a server and their sources.
///
/// The default is that of a command without the flags of `serve`.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Settings {
    command: Command,
    arguments: Vec<OsString>,
    keys: Vec<Key>,
    /// One for each key.
    effective: Vec<Effective>,
    file: Option<PathBuf>,
    warnings: Vec<String>,
}

/// Adds the variables of the environment to the help of the settings.
pub(in crate::cli) fn with_variables(command: Command) -> Command {
    map_settings(command, |arg| match arg.get_long() {
        // A variable that the flag defines itself is read too, as the second choice.
        Some(flag) if arg.get_env().is_none() && flag != "print-config" => {
            // clap takes names of variables for the life of the process.
            let variable: &'static str = key::variable(flag).leak();
            arg.env(variable).hide_env_values(true)
        }
        _ => arg.hide_env_values(true),
    })
}

/// Maps the flags of `serve` in all commands that have them.
fn map_settings(command: Command, map: impl Fn(Arg) -> Arg + Copy) -> Command {
    let command = command.mut_subcommand("serve", |serve| serve.mut_args(map));
    command.mut_subcommand("config", |config| {
        config.mut_subcommand("check", |check| check.mut_args(map))
    })
}

/// Removes the variables that are empty from the flags of all commands: an empty variable counts as unset. Those that
/// protect a server are refused elsewhere.
fn without_empty_variables(command: Command, variables: &Variables) -> Command {
    let is_empty = |arg: &Arg| {
        let value = arg.get_env().and_then(OsStr::to_str).and_then(|name| variables.get(name));
        value.is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(None::<&'static str>) } else { arg })
        .mut_subcommands(|command| without_empty_variables(command, variables))
}

/// Parses the arguments of the program, including its name, and adds the settings of other sources.
///
/// # Errors
/// The message to print, or the help.
pub(in crate::cli) fn parse(
    command: Command,
    arguments: Vec<OsString>,
) -> Result<Parsed, Rejection> {
    parse_with(command, arguments, &environment::variables())
}

fn parse_with(
    command: Command,
    arguments: Vec<OsString>,
    variables: &Variables,
) -> Result<Parsed, Rejection> {
    // clap would not say which variable has a wrong value.
    let plain = map_settings(command.clone(), |arg| arg.env(None::<&'static str>));
    let plain = without_empty_variables(plain, variables);
    let rejected = |error| Rejection::Arguments(secret::hide(error), Vec::new());
    let matches = match plain.clone().try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => match error.kind() {
            // The help shows the variables.
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let help = with_variables(command).try_get_matches_from(&arguments);
                return Err(rejected(help.err().unwrap_or(error)));
            }
            // The settings of another source may solve these.
            ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict => {
                let lenient = plain.clone().ignore_errors(true);
                let Ok(matches) = lenient.try_get_matches_from(&arguments) else {
                    return Err(rejected(error));
                };
                if of_serve(&matches).is_none() {
                    return Err(rejected(error));
                }
                matches
            }
            _ => return Err(rejected(error)),
        },
    };
    let Some((names, flags)) = of_serve(&matches) else {
        return Ok(Parsed { matches, settings: None });
    };
    let Some(serve) = names.iter().try_fold(&command, |parent, name| parent.find_subcommand(name))
    else {
        return Ok(Parsed { matches, settings: None });
    };
    let keys = Key::all(serve);
    let known = known_variables(&command, &keys);
    let warnings = environment::warnings(variables, &known);

    let file = match (flags.get_one::<PathBuf>("config"), variables.get(CONFIG_VARIABLE)) {
        (Some(file), _) => Some(file.clone()),
        // The file may have the settings that protect the server.
        (None, Some(named)) if named.is_empty() => {
            return Err(Rejection::Setting(environment::empty(CONFIG_VARIABLE, "a file")));
        }
        (None, named) => named.map(PathBuf::from),
    };
    let mut sources: Vec<Source> = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        if flags.value_source(key.id.as_str()) == Some(ValueSource::CommandLine) {
            sources.push(Source { key: index, origin: Origin::Flag, values: Vec::new() });
        }
    }
    for entry in environment::read(variables, &keys).map_err(Rejection::Setting)? {
        let origin = Origin::Environment(entry.variable);
        sources.push(Source { key: entry.key, origin, values: entry.values });
    }
    if let Some(file) = &file {
        for entry in file::read(file, &keys).map_err(Rejection::Setting)? {
            let origin = Origin::File { line: entry.line };
            sources.push(Source { key: entry.key, origin, values: entry.values });
        }
    }
    let used = by_precedence(sources, &keys);
    if let Some(source) = used.iter().find(|source| source.is_not_printed()) {
        let Key { name, variables, .. } = &keys[source.key];
        let variable = variables.first().map_or("", String::as_str);
        return Err(Rejection::Setting(format!(
            "{}: --print-config did not print the value of {name}: write it here, set {variable}, or remove the line",
            source.origin.describe(file.as_deref())
        )));
    }

    let added = used.iter().flat_map(|source| source.arguments(&keys));
    // The name of the program comes first, and may be any text.
    let is_command = |argument: &OsString| names.last().is_some_and(|name| argument == name);
    let position = arguments.iter().skip(1).position(is_command);
    let at = position.map_or(arguments.len(), |position| position + 2);
    let (start, end) = arguments.split_at(at);
    let all = start.iter().cloned().chain(added).chain(end.iter().cloned());
    let matches = plain.try_get_matches_from(all).map_err(|error| {
        let other = used.iter().filter(|source| source.origin != Origin::Flag);
        let note = |source: &Source| {
            let name = &keys[source.key].name;
            format!("note: --{name} is set by {}", source.origin.describe(file.as_deref()))
        };
        let message = error.to_string();
        let concerned =
            other.filter(|source| message.contains(&format!("--{}", keys[source.key].name)));
        let mut notes: Vec<String> = concerned.map(note).collect();
        if error.kind() == ErrorKind::ArgumentConflict && message.contains("'--store <") {
            notes.push(STORE_ADVICE.to_owned());
        }
        Rejection::Arguments(secret::hide(error), notes)
    })?;
    let Some((_, flags)) = of_serve(&matches) else {
        return Ok(Parsed { matches, settings: None });
    };
    let effective = keys.iter().enumerate().map(|(index, key)| {
        let source = used.iter().find(|source| source.key == index);
        effective(key, flags, source)
    });
    let effective = effective.collect();
    let settings = Settings { command, arguments, keys, effective, file, warnings };
    Ok(Parsed { matches, settings: Some(settings) })
}

/// A setting that a source has.
struct Source {
    /// The index of the setting.
    key: usize,
    origin: Origin,
    /// The values, which the arguments have already in the case of a flag.
    values: Vec<OsString>,
}

impl Source {
    /// Returns the arguments that set it.
    fn arguments(&self, keys: &[Key]) -> Vec<OsString> {
        let Key { name, kind, .. } = &keys[self.key];
        let argument = |value: &OsString| {
            if *kind == Kind::Switch {
                return (value == "true").then(|| format!("--{name}").into());
            }
            let mut argument = OsString::from(format!("--{name}="));
            argument.push(value);
            Some(argument)
        };
        self.values.iter().filter_map(argument).collect()
    }

    /// Returns whether a file has the text that `--print-config` prints in place of the value.
    fn is_not_printed(&self) -> bool {
        matches!(self.origin, Origin::File { .. })
            && self.values.iter().any(|value| value == print::NOT_PRINTED)
    }

    /// Returns whether the setting has an effect. A switch that is off has none.
    fn is_on(&self, keys: &[Key]) -> bool {
        keys[self.key].kind != Kind::Switch || self.values.iter().all(|value| value == "true")
    }
}

/// Removes each setting that a source of higher precedence has too, and each that cannot be used together with a
/// setting of such a source.
fn by_precedence(sources: Vec<Source>, keys: &[Key]) -> Vec<Source> {
    let mut used: Vec<Source> = Vec::new();
    // `sources` begins with the highest precedence.
    for source in sources {
        let key = &keys[source.key];
        let is_overridden = used.iter().any(|higher| {
            let is_higher = higher.origin.precedence() > source.origin.precedence();
            let conflicts = key.conflicts_with(&keys[higher.key]) && higher.is_on(keys);
            is_higher && (higher.key == source.key || conflicts)
        });
        if !is_overridden {
            used.push(source);
        }
    }
    used
}

fn effective(key: &Key, flags: &ArgMatches, source: Option<&Source>) -> Effective {
    let id = key.id.as_str();
    let values: Option<Vec<OsString>> = match key.kind {
        Kind::Switch => Some(vec![flags.get_flag(id).to_string().into()]),
        Kind::One | Kind::List => {
            flags.get_raw(id).map(|values| values.map(ToOwned::to_owned).collect())
        }
    };
    let origin = source.map_or(Origin::Default, |source| source.origin.clone());
    Effective { values, origin }
}

/// Returns the names and the arguments of the command, if it has the flags of `serve`.
fn of_serve(matches: &ArgMatches) -> Option<(&'static [&'static str], &ArgMatches)> {
    COMMANDS.into_iter().find_map(|names| {
        let found =
            names.iter().try_fold(matches, |matches, name| matches.subcommand_matches(name));
        found.map(|matches| (names, matches))
    })
}

/// Returns all variables that the program reads.
fn known_variables(command: &Command, keys: &[Key]) -> BTreeSet<String> {
    fn add(command: &Command, known: &mut BTreeSet<String>) {
        let variables = command.get_arguments().filter_map(Arg::get_env);
        known.extend(variables.filter_map(|name| name.to_str().map(str::to_owned)));
        command.get_subcommands().for_each(|command| add(command, known));
    }
    let mut known: BTreeSet<String> = keys.iter().flat_map(|key| key.variables.clone()).collect();
    // No flag has the token, so that it is in no argument of a process.
    known.extend([CONFIG_VARIABLE, "WAYWISER_TOKEN"].map(str::to_owned));
    add(command, &mut known);
    known
}

impl Settings {
    /// Returns the settings as TOML.
    pub(in crate::cli) fn print(&self) -> String {
        print::text(self)
    }

    /// Returns the file that the settings are read from.
    pub(in crate::cli) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns warnings about variables that have no effect.
    pub(in crate::cli) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns where a setting is from, as the end of a message. It is empty for flags and defaults.
    pub(in crate::cli) fn origin(&self, flag: &str) -> String {
        let index = self.keys.iter().position(|key| key.name == flag);
        match index.and_then(|index| self.effective.get(index)).map(|effective| &effective.origin) {
            Some(origin @ (Origin::Environment(_) | Origin::File { .. })) => {
                format!(" ({})", origin.describe(self.file.as_deref()))
            }
            _ => String::new(),
        }
    }

    /// Reads the sources again.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(in crate::cli) fn reread(&self) -> Result<Parsed, String> {
        match parse(self.command.clone(), self.arguments.clone()) {
            Ok(parsed) => Ok(parsed),
            Err(Rejection::Setting(message)) => Err(message),
            Err(Rejection::Arguments(error, notes)) => {
                let message = error.to_string();
                let first =
                    message.lines().next().unwrap_or_default().trim_start_matches("error: ");
                Err([first.to_owned()].into_iter().chain(notes).collect::<Vec<_>>().join("; "))
            }
        }
    }

    /// Returns the names of the settings whose values differ.
    pub(in crate::cli) fn changes(&self, other: &Self) -> Vec<&str> {
        let pairs = self.effective.iter().zip(&other.effective).zip(&self.keys);
        let changed = pairs.filter(|((one, other), _)| one.values != other.values);
        changed.map(|(_, key)| key.name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests;
