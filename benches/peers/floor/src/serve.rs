//! The server: one thread with blocking reads into one buffer.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::mode::{Mode, Stream};
use crate::{Outcome, cpu};

/// The default size of the read buffer in KiB.
pub const READ_KIB: usize = 256;

/// Serves one connection after another, until the process ends.
pub fn run(listener: &TcpListener, mode: Mode, read_bytes: usize) -> Outcome<()> {
    let mut buffer = vec![0; read_bytes];
    loop {
        let (mut socket, _) = listener.accept()?;
        let reply =
            read(&mut socket, mode, &mut buffer).unwrap_or_else(|error| format!("error={error}"));
        // A client that has disconnected must not end the server.
        let _ = writeln!(socket, "{reply}");
    }
}

fn read(socket: &mut TcpStream, mode: Mode, buffer: &mut [u8]) -> Outcome<String> {
    let started_ns = cpu::thread_ns()?;
    let mut stream = Stream::new(mode);
    let mut bytes = 0;
    loop {
        let length = socket.read(buffer)?;
        if length == 0 {
            break;
        }
        bytes += length;
        stream.chunk(&buffer[..length])?;
    }
    let reply = stream.finish()?;
    Ok(format!("{reply} bytes={bytes} cpu_ns={}", cpu::thread_ns()? - started_ns))
}
