//! Runs a server as a child process. Dropping it kills the process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A `waywiser serve` process that accepts connections.
pub struct Serve {
    pub process: Child,
    pub address: SocketAddr,
}

impl Serve {
    /// Runs the command and waits until it prints its address.
    ///
    /// # Errors
    /// Returns what the process printed if it ends before it accepts connections.
    pub fn spawn(command: &mut Command) -> Result<Self, String> {
        let mut process = command.stdout(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
        let mut line = String::new();
        let read = process.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
        let address = line.trim().strip_prefix("listening on ").and_then(|text| text.parse().ok());
        // Built on the error path too: dropping it ends the process of a failed start.
        let unset = SocketAddr::from(([127, 0, 0, 1], 0));
        let serve = Self { process, address: address.unwrap_or(unset) };
        match address {
            Some(_) => Ok(serve),
            None => Err(format!("the server did not start: {read:?}, it printed {line:?}")),
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
