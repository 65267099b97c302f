//! Tests of the sources of settings, with the command of the program.

use std::fs;
use std::path::PathBuf;

use clap::FromArgMatches as _;
use tempfile::TempDir;

use super::*;
use crate::cli::serve::ServeArgs;

mod wrong_values;

/// A file of settings, variables and arguments.
struct Sources {
    folder: TempDir,
    variables: Variables,
    arguments: Vec<OsString>,
}

impl Sources {
    fn new(arguments: &[&str]) -> Self {
        let arguments = ["waywiser", "serve"].iter().chain(arguments).map(OsString::from);
        let folder = tempfile::tempdir().unwrap();
        Self { folder, variables: Variables::new(), arguments: arguments.collect() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("w.toml")
    }

    fn file(mut self, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(), content).unwrap();
        self.variables.insert("WAYWISER_CONFIG".to_owned(), self.path().into());
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    fn parse(&self) -> Result<Parsed, Rejection> {
        parse_with(crate::cli::command(), self.arguments.clone(), &self.variables)
    }

    fn settings(&self) -> Settings {
        self.parse().unwrap().settings.unwrap()
    }

    /// Returns the printed line of a setting, with `FILE` for the name of the file.
    fn line(&self, name: &str) -> String {
        let printed = self.settings().print().replace(&self.path().display().to_string(), "FILE");
        let found = |line: &&str| {
            let rest = line.trim_start_matches("# ").strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(' '))
        };
        printed.lines().find(found).unwrap_or_else(|| panic!("{printed}")).to_owned()
    }

    /// Returns the message, with `FILE` for the name of the file.
    fn error(&self) -> String {
        let message = match self.parse().unwrap_err() {
            Rejection::Setting(message) => message,
            Rejection::Arguments(error, notes) => format!("{error}{}", notes.join("\n")),
        };
        message.replace(&self.path().display().to_string(), "FILE")
    }
}

/// Returns the error of a file.
fn file_error(content: impl AsRef<[u8]>) -> String {
    Sources::new(&[]).file(content).error()
}

#[test]
fn a_source_of_higher_precedence_wins() {
    let file = "# Settings\nmax-connections = 3\n";
    let name = "max-connections";
    let sources = Sources::new(&[]);
    assert_eq!(sources.line(name), "max-connections = 1024 # default");
    let sources = sources.file(file);
    assert_eq!(sources.line(name), "max-connections = 3 # FILE, line 2");
    let sources = sources.variable("WAYWISER_MAX_CONNECTIONS", "4");
    assert_eq!(sources.line(name), "max-connections = 4 # environment, WAYWISER_MAX_CONNECTIONS");
    let flag = Sources::new(&["--max-connections", "5"]).file(file);
    let flag = flag.variable("WAYWISER_MAX_CONNECTIONS", "4");
    assert_eq!(flag.line(name), "max-connections = 5 # flag");
    // An empty variable is unset.
    let empty = Sources::new(&[]).file(file).variable("WAYWISER_MAX_CONNECTIONS", "");
    assert_eq!(empty.line(name), "max-connections = 3 # FILE, line 2");
}

#[test]
fn an_empty_variable_does_not_disable_a_protection() {
    for (name, content) in [
        ("TLS_CERT", "a file"),
        ("TLS_KEY", "a file"),
        ("TLS_CLIENT_CA", "a file"),
        ("TOKENS", "a file"),
        ("JWKS", "a file or a URL"),
        ("CONFIG", "a file"),
    ] {
        let sources = Sources::new(&[]).variable(&format!("WAYWISER_{name}"), "");
        assert_eq!(
            sources.error(),
            format!(
                "WAYWISER_{name} is empty, which would disable a protection of the server: set it to {content}, or remove the variable"
            )
        );
    }
    // Another file is named.
    let mut sources = Sources::new(&[]).file("threads = 3");
    sources.arguments.extend(["--config".into(), sources.path().into()]);
    let sources = sources.variable("WAYWISER_CONFIG", "");
    assert!(sources.line("threads").starts_with("threads = 3"));
}

#[test]
fn a_variable_with_another_name_is_the_second_choice() {
    let sources = Sources::new(&[]).variable("RUST_LOG", "debug");
    assert_eq!(sources.line("log-filter"), "log-filter = \"debug\" # environment, RUST_LOG");
    let sources = sources.variable("WAYWISER_LOG_FILTER", "trace");
    assert_eq!(
        sources.line("log-filter"),
        "log-filter = \"trace\" # environment, WAYWISER_LOG_FILTER"
    );
}

#[test]
fn a_setting_removes_those_of_lower_precedence_that_it_cannot_be_used_with() {
    let data_dir = "data-dir = \"d\"";
    let sources = Sources::new(&["--ephemeral"]).file(data_dir).variable("WAYWISER_DATA_DIR", "e");
    assert_eq!(sources.line("data-dir"), "# data-dir is not set");
    assert_eq!(sources.line("ephemeral"), "ephemeral = true # flag");
    let unset = Sources::new(&[]).variable("WAYWISER_EPHEMERAL", "false");
    let default = "# data-dir = waywiser in XDG_STATE_HOME or ~/.local/state # default";
    assert_eq!(unset.line("data-dir"), default);
    let sources = Sources::new(&["--data-dir", "d"]).file("ephemeral = true");
    assert_eq!(sources.line("data-dir"), "data-dir = \"d\" # flag");
    assert_eq!(sources.line("ephemeral"), "ephemeral = false # default");
    // A switch that is off excludes nothing.
    let sources = Sources::new(&[]).file(data_dir).variable("WAYWISER_EPHEMERAL", "false");
    assert_eq!(sources.line("data-dir"), "data-dir = \"d\" # FILE, line 1");
}

#[test]
fn settings_of_one_source_that_conflict_are_refused_with_their_source() {
    let error = Sources::new(&[]).file("data-dir = \"d\"\nephemeral = true").error();
    assert!(error.contains("cannot be used with"), "{error}");
    assert!(error.contains("note: --data-dir is set by FILE, line 1"), "{error}");
    assert!(error.contains("note: --ephemeral is set by FILE, line 2"), "{error}");
    let error = Sources::new(&["--data-dir", "d", "--ephemeral"]).error();
    assert!(error.contains("cannot be used with") && !error.contains("note:"), "{error}");
}

#[test]
fn keys_may_have_underscores_and_be_in_the_table_of_their_heading() {
    let file =
        "max_memory = '1GiB'\n[limits]\nretention = '1h'\n[recordings]\nmax_recordings = 0x10\n";
    let sources = Sources::new(&[]).file(file);
    assert_eq!(sources.line("max-memory"), "max-memory = \"1GiB\" # FILE, line 1");
    assert_eq!(sources.line("retention"), "retention = \"1h\" # FILE, line 3");
    assert_eq!(sources.line("max-recordings"), "max-recordings = 16 # FILE, line 5");
}

#[test]
fn an_error_names_file_line_and_key() {
    for (content, message) in [
        ("\nlisten = \"a\"", "FILE, line 2: listen is \"a\": invalid socket address"),
        ("log-format = \"xml\"", "FILE, line 1: log-format is \"xml\": must be one of text, json"),
        ("max-connections = 1.5", "FILE, line 1: max-connections is 1.5: "),
        (
            "max-connections = '20'",
            "FILE, line 1: max-connections must be a number without quotation marks, and not a text",
        ),
        ("max-connections = -1", "FILE, line 1: max-connections is -1: "),
        ("retention = 7", "FILE, line 1: retention is 7: "),
        (
            "max-header-bytes = \"5GiB\"",
            "FILE, line 1: max-header-bytes is \"5GiB\": must be less than 4GiB",
        ),
        (
            "data-dir = 5",
            "FILE, line 1: data-dir must be a text in quotation marks, and not an integer",
        ),
        (
            "data-dir = true",
            "FILE, line 1: data-dir must be a text or a number, and not true or false",
        ),
        (
            "data-dir = 2020-01-01",
            "FILE, line 1: data-dir must be a text or a number, and not a date or time",
        ),
        (
            "data-dir = [\"a\"]",
            "FILE, line 1: data-dir must be a text or a number, and not an array",
        ),
        ("data-dir = \"\"", "FILE, line 1: data-dir is \"\": must not be empty"),
        ("[data-dir]", "FILE, line 1: data-dir must be a value, and not a table"),
        ("data-dir = \"a\\u0000\"", "FILE, line 1: data-dir must not contain control characters"),
        ("ephemeral = 1", "FILE, line 1: ephemeral must be true or false, and not an integer"),
        ("ephemeral = \"true\"", "FILE, line 1: ephemeral must be true or false, and not a text"),
        ("lisen = 1", "FILE, line 1: lisen is not a setting; the nearest one is listen"),
        ("data = 1", "FILE, line 1: data is not a setting; the nearest one is data-dir"),
        ("xyzzy = 1", "FILE, line 1: xyzzy is not a setting"),
        ("config = \"b\"", "FILE, line 1: config can only be set on the command line"),
        ("help = true", "FILE, line 1: help is not a setting"),
        (
            "[limit]",
            "FILE, line 1: [limit] is not a table of settings; the nearest one is [limits]",
        ),
        (
            "[limits]\nlisten = 'a'",
            "FILE, line 2: listen does not belong to [limits]; move it in front",
        ),
        (
            "[limits]\nephemeral = true",
            "FILE, line 2: ephemeral does not belong to [limits]; move it to [recordings]",
        ),
        ("\nthreads = 1\nthreads = 2", "FILE, line 3: the file is not valid TOML: duplicate key"),
        (
            "threads = 1\nretention = '1h'\n[limits]\nretention = '2h'",
            "FILE, line 4: retention is set in line 2 already",
        ),
        ("max-memory = 1\nmax_memory = 2", "FILE, line 2: max-memory is set in line 1 already"),
        ("listen =", "FILE, line 1: the file is not valid TOML: "),
        (
            "[[principal]]\nname = 'a'",
            "FILE, line 1: principal is not a setting; principals and secrets are in files",
        ),
    ] {
        let error = file_error(content);
        assert!(error.starts_with(message), "{content:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn the_error_of_a_value_that_may_be_a_secret_does_not_quote_it() {
    let urls =
        ["https://user:hunter2@example.org/x", "http://hunter2.org/x", "user:hunter2@example.org"];
    for url in urls {
        let jwt = ["--jwt-issuer", "a", "--jwt-audience", "b"];
        let flag = Sources::new(&[&["--jwks", url], &jwt[..]].concat());
        let mut check = Sources::new(&[]);
        check.arguments = ["waywiser", "config", "check", "--jwks", url].map(OsString::from).into();
        let variable = Sources::new(&jwt).variable("WAYWISER_JWKS", url);
        let file = Sources::new(&jwt).file(format!("jwks = {url:?}"));
        for sources in [flag, check, variable, file] {
            let error = sources.error();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.to_lowercase().contains("jwks") && error.contains(": must "), "{error}");
        }
    }
    let secret = "https://user:hunter2@example.org";
    for arguments in [
        &["serve", "--otlp-endpoint", secret][..],
        &["serve", "--listen", secret],
        &["serve", secret],
        &[secret],
        &["bench", "--server", secret, "--duration", secret],
        &["measure", "--header", "authorization=hunter2", "a.gpx"],
        &["measure", "--header", "hunter2", "a.gpx"],
    ] {
        let mut sources = Sources::new(&[]);
        sources.arguments = ["waywiser"].iter().chain(arguments).map(OsString::from).collect();
        let error = sources.error();
        assert!(error.starts_with("error: ") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    assert_eq!(file_error(b"listen = 'a\xff'"), "FILE, line 1: the text is not UTF-8");
    let large = vec![b'#'; (1 << 20) + 1];
    assert_eq!(file_error(large), "FILE is larger than 1 MiB, so it is not a file of settings");
    let nested = format!("a = {}", "[".repeat(100_000));
    assert!(file_error(nested).starts_with("FILE, line 1: the file is not valid TOML"));
    let sources = Sources::new(&[]);
    let missing = sources.path().display().to_string();
    let sources = sources.variable("WAYWISER_CONFIG", &missing);
    assert!(
        sources.error().starts_with("cannot read the settings in FILE: "),
        "{}",
        sources.error()
    );
    let folder = sources.folder.path().display().to_string();
    let sources = sources.variable("WAYWISER_CONFIG", &folder);
    assert!(sources.error().contains("cannot read the settings in"), "{}", sources.error());
}

#[test]
fn an_error_names_the_variable() {
    for (variable, value, message) in [
        (
            "WAYWISER_THREADS",
            "many",
            "WAYWISER_THREADS is \"many\": must be a whole number from 0 to 1024",
        ),
        (
            "WAYWISER_EPHEMERAL",
            "maybe",
            "WAYWISER_EPHEMERAL is \"maybe\": must be true or false (or yes, no, on, off, 1, 0)",
        ),
        ("WAYWISER_LOG_FORMAT", "xml", "WAYWISER_LOG_FORMAT is \"xml\": must be one of text, json"),
    ] {
        assert_eq!(Sources::new(&[]).variable(variable, value).error(), message);
    }
}

#[test]
fn a_variable_that_is_similar_to_one_of_a_setting_gives_a_warning() {
    let sources = Sources::new(&[]).variable("WAYWISER_DATA", "d").variable("WAYWISER_LISTN", "a");
    let sources = sources.variable("WAYWISER_BIN", "b").file("");
    let sources = sources.variable("WAYWISER_TOKEN", "secret");
    let sources =
        sources.variable("WAYWISER_SERVICE_HOST", "10.0.0.1").variable("WAYWISER_PORT", "1");
    assert_eq!(
        sources.settings().warnings(),
        [
            "the variable WAYWISER_DATA has no effect; the nearest one is WAYWISER_DATA_DIR",
            "the variable WAYWISER_LISTN has no effect; the nearest one is WAYWISER_LISTEN",
        ]
    );
}

#[test]
fn the_name_of_the_program_may_be_that_of_the_command() {
    let mut sources = Sources::new(&["--threads", "2"]).file("max-connections = 3");
    sources.arguments[0] = "serve".into();
    assert_eq!(sources.line("max-connections"), "max-connections = 3 # FILE, line 1");
}

/// The printed settings of a file are those that the same file gives, with every setting that the command has.
#[test]
fn printed_settings_are_a_file_with_the_same_settings() {
    let arguments =
        ["--max-memory=1GiB", "--retention=90s", "--data-dir=a \"b\" \\ č", "--threads=2"];
    let first = Sources::new(&arguments).settings();
    let second = Sources::new(&[]).file(first.print()).settings();
    assert!(first.changes(&second).is_empty(), "{:?}", first.changes(&second));
    assert!(first.keys.len() > 25, "{:?}", first.keys);
    for (key, effective) in first.keys.iter().zip(&first.effective) {
        let prefix = if effective.values.is_some() { "" } else { "# " };
        let line = format!("\n{prefix}{} ", key.name);
        assert!(first.print().contains(&line), "{}", key.name);
    }
    // The values reach the server.
    let parsed = Sources::new(&[]).file(first.print()).parse().unwrap();
    let flags = parsed.matches.subcommand_matches("serve").unwrap();
    let args = ServeArgs::from_arg_matches(flags).unwrap();
    assert_eq!(args.limits.config().max_memory_bytes, Some(1 << 30));
    assert_eq!(args.threads, 2);
}

#[test]
fn every_setting_has_a_variable_that_the_help_shows() {
    let command = with_variables(crate::cli::command());
    for names in COMMANDS {
        let command =
            names.iter().fold(&command, |parent, name| parent.find_subcommand(name).unwrap());
        for key in Key::all(command) {
            let arg = command.get_arguments().find(|arg| arg.get_id() == &key.id).unwrap();
            assert!(arg.get_env().is_some() && arg.is_hide_env_values_set(), "{}", key.name);
        }
    }
}

/// A command with flags of every kind, as the groups of flags of `serve` define them.
#[test]
fn lists_and_required_settings_come_from_all_sources() {
    use clap::{ArgAction, value_parser};
    let config = || Arg::new("config").long("config").value_parser(value_parser!(PathBuf));
    let serve = Command::new("serve").arg(config()).args([
        Arg::new("cert").long("tls-cert").requires("key"),
        Arg::new("key").long("tls-key").requires("cert"),
        Arg::new("names").long("names").action(ArgAction::Append),
        Arg::new("numbers")
            .long("numbers")
            .action(ArgAction::Append)
            .value_delimiter(',')
            .value_parser(value_parser!(u8)),
        Arg::new("url").long("jwks"),
        Arg::new("insecure").long("insecure").action(ArgAction::SetTrue),
    ]);
    let check = serve.clone().name("check");
    let command = Command::new("waywiser")
        .subcommand(serve)
        .subcommand(Command::new("config").subcommand(check));
    let parse = |sources: &Sources| {
        parse_with(command.clone(), sources.arguments.clone(), &sources.variables)
    };
    let print = |sources: &Sources| parse(sources).unwrap().settings.unwrap().print();

    let sources = Sources::new(&["--tls-cert", "c"])
        .file("tls-key = \"k\"\nnames = ['a', 'b']\nnumbers = [1, 2]");
    let printed = print(&sources);
    assert!(printed.contains("tls-cert = \"c\" # flag\ntls-key = \"k\" # "), "{printed}");
    assert!(
        printed.contains("names = [\"a\", \"b\"]") && printed.contains("numbers = [1, 2]"),
        "{printed}"
    );
    let again = print(&Sources::new(&[]).file(&printed));
    assert!(
        again.contains("names = [\"a\", \"b\"]") && again.contains("numbers = [1, 2]"),
        "{again}"
    );

    // A list of higher precedence replaces the whole list.
    let sources = sources.variable("WAYWISER_NAMES", "c, d").variable("WAYWISER_NUMBERS", "3,4");
    let printed = print(&sources);
    assert!(
        printed.contains("names = [\"c\", \"d\"]") && printed.contains("numbers = [3, 4]"),
        "{printed}"
    );

    let missing = parse(&Sources::new(&[]).file("tls-cert = 'c'")).unwrap_err();
    let Rejection::Arguments(error, notes) = missing else { panic!("{missing:?}") };
    assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
    assert_eq!(notes.len(), 1, "{notes:?}");

    let printed = print(&Sources::new(&["--jwks", "https://user:hunter2@example.org/k"]));
    assert!(
        printed.contains("jwks = \"(not printed)\" # flag; ") && !printed.contains("hunter2"),
        "{printed}"
    );
    let printed = print(&Sources::new(&["--jwks", "https://example.org/k?key=hunter2"]));
    assert!(
        printed.contains("jwks = \"(not printed)\" # flag; ") && !printed.contains("hunter2"),
        "{printed}"
    );
    let sources = Sources::new(&[]).file("numbers = [1, 300]");
    let Rejection::Setting(message) = parse(&sources).unwrap_err() else { panic!() };
    assert!(message.contains("line 1: numbers is \"300\": "), "{message}");
}
