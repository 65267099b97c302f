//! Runs the commands of `console` blocks and compares their output with the document.
//!
//! A line with `$ ` in front is a command, and the lines after it are its output, standard error included. `...`
//! in a line stands for any text, and a line `...` for any lines. `[exit status N]` is the last line of a command
//! that fails. A command that prints `listening on` is a server: it serves the commands after it in its document.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::binary;
use super::markdown::Block;

/// The address in the documents. Tests use a free port instead.
const ADDRESS: &str = "127.0.0.1:50051";
/// The address of HTTP in the documents.
const HTTP_ADDRESS: &str = "127.0.0.1:8080";

pub struct Example {
    command: String,
    output: Vec<String>,
}

pub fn examples(block: &Block) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for line in block.text.lines() {
        match (line.strip_prefix("$ "), examples.last_mut()) {
            (Some(command), _) => {
                examples.push(Example { command: command.to_owned(), output: Vec::new() });
            }
            (None, Some(example)) => example.output.push(line.to_owned()),
            (None, None) => panic!("line {}: a console block starts with a command", block.line),
        }
    }
    examples
}

/// The commands of one document, which share a directory and a server.
pub struct Session {
    directory: tempfile::TempDir,
    server: Option<(Child, String)>,
    /// The address of HTTP, which is free.
    http_address: String,
}

impl Session {
    pub fn new(binary: &Path, examples: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(examples, directory.path().join("examples")).unwrap();
        std::fs::create_dir(directory.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(binary, directory.path().join("bin/waywiser")).unwrap();
        let http = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let http_address = http.local_addr().unwrap().to_string();
        Self { directory, server: None, http_address }
    }

    /// Runs an example.
    ///
    /// # Errors
    /// Returns an error if the output differs from that of the example.
    pub fn run(&mut self, example: &Example) -> Result<(), String> {
        let command = example.command.replace("cargo run --release -- ", "waywiser ");
        let command = command.replace(HTTP_ADDRESS, &self.http_address);
        let is_server =
            example.output.first().is_some_and(|line| line.starts_with("listening on "));
        let printed = if is_server { self.serve(&command) } else { self.shell(&command) };
        let printed: Vec<_> = printed.lines().map(str::trim_end).collect();
        let shown: Vec<_> = example.output.iter().map(|line| line.trim_end()).collect();
        if lines_match(&shown, &printed) {
            return Ok(());
        }
        let (shown, printed) = (shown.join("\n"), printed.join("\n"));
        Err(format!(
            "$ {}\nthe document shows:\n{shown}\nthe command prints:\n{printed}",
            example.command
        ))
    }

    fn command(&self, script: &str) -> Command {
        let directory = self.directory.path();
        let path = format!(
            "{}:{}",
            directory.join("bin").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let mut command = Command::new("bash");
        binary::remove_settings(&mut command);
        command
            .args(["-c", script])
            .current_dir(directory)
            .env("PATH", path)
            .env("HOME", directory)
            .env_remove("XDG_STATE_HOME")
            .stdin(Stdio::null());
        command
    }

    fn shell(&self, command: &str) -> String {
        let address = self.server.as_ref().map_or(ADDRESS, |(_, address)| address);
        let command = command.replace(ADDRESS, address);
        let script = format!(
            "exec 2>&1\n{command}\nstatus=$?\n[ $status = 0 ] || echo \"[exit status $status]\""
        );
        let output = self.command(&script).output().unwrap();
        String::from_utf8_lossy(&output.stdout).replace(address, ADDRESS)
    }

    /// Starts the server on a free port. Returns its first line.
    fn serve(&mut self, command: &str) -> String {
        let command = command.trim_end_matches('&').replace(ADDRESS, "127.0.0.1:0");
        let mut server = self.command(&format!("exec {command}"));
        let mut server = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").unwrap_or(ADDRESS).to_owned();
        self.stop();
        let line = line.replace(&address, ADDRESS);
        self.server = Some((server, address));
        line
    }

    fn stop(&mut self) {
        if let Some((mut server, _)) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lines_match(shown: &[&str], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((&"...", rest)) => (0..=printed.len()).any(|skip| lines_match(rest, &printed[skip..])),
        Some((line, rest)) => printed
            .split_first()
            .is_some_and(|(first, others)| line_matches(line, first) && lines_match(rest, others)),
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let mut parts = shown.split("...");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn dots_stand_for_any_text_and_any_lines() {
    assert!(lines_match(&["a ... c", "...", "d"], &["a b c", "x", "y", "d"]));
    assert!(lines_match(&["a", "..."], &["a"]));
    assert!(!lines_match(&["a"], &["a", "b"]));
    assert!(!lines_match(&["a", "b"], &["a"]));
    assert!(line_matches("a...b...c", "axbyc"));
    assert!(!line_matches("a...b", "axc"));
    assert!(!line_matches("a", "ab"));
}
