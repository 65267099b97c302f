//! Reads the options of all commands from their help.

use std::collections::BTreeSet;

use super::{binary, markdown};

/// Returns the long options of a command and of all commands below it.
pub fn flags(command: &[&str]) -> BTreeSet<String> {
    let output = binary::waywiser(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "{command:?} --help failed");
    let help = String::from_utf8(output.stdout).unwrap();
    let mut flags = options(&help);
    for name in subcommands(&help) {
        flags.extend(self::flags(&[command, &[name]].concat()));
    }
    flags
}

/// Returns the options of a list. Those in sentences are not among them.
fn options(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    lines.filter_map(|line| markdown::flags(line).into_iter().next()).collect()
}

fn subcommands(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    // A description that needs several lines is indented further than a name.
    let lines =
        lines.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    lines.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help").collect()
}

#[test]
fn options_and_commands_are_those_of_the_lists() {
    let help = "Does it with --this\n\nCommands:\n  new   Makes one,\n          or two\n  help  Prints help\n\n\
                Options:\n      --output <FILE>  Not --that\n  -h, --help\n\nExamples:\n  waywiser new --append x";
    assert_eq!(subcommands(help), ["new"]);
    assert_eq!(options(help).into_iter().collect::<Vec<_>>(), ["--help", "--output"]);
}
