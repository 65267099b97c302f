//! Measures the minimum cost of a server of these contracts: the same framed messages over raw TCP, without HTTP/2 and
//! without a runtime, on one blocking thread, with the decoder and the arithmetic of waywiser.
//!
//! ```text
//! floor serve --mode discard|decode|planar|haversine [--listen ADDRESS] [--read-kib N]
//! floor send --to ADDRESS --points N
//! floor cpu PID
//! ```
//!
//! `serve` reads one connection after another up to its half-close. It replies with one line: the counts, the result,
//! and the CPU time of its thread. `send` is its client, which checks the reply and prints the line. `cpu` prints the
//! CPU time of a process in nanoseconds, including ended threads. `run` measures the peers with it.

use std::error::Error;
use std::io;
use std::net::TcpListener;

mod cpu;
mod mode;
mod send;
mod serve;

#[path = "../../../inputs/mod.rs"]
mod inputs;

type Outcome<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "\
usage: floor serve --mode discard|decode|planar|haversine [--listen ADDRESS] [--read-kib N]
       floor send --to ADDRESS --points N
       floor cpu PID";

/// Returns the argument after `name`.
fn option<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let at = args.iter().position(|arg| arg == name)?;
    args.get(at + 1).map(String::as_str)
}

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("serve") => {
            let mode = option(&args, "--mode").ok_or(USAGE)?.parse()?;
            let listener =
                TcpListener::bind(option(&args, "--listen").unwrap_or("127.0.0.1:50052"))?;
            let read_kib = option(&args, "--read-kib").map_or(Ok(serve::READ_KIB), str::parse)?;
            println!("listening on {}", listener.local_addr()?);
            serve::run(&listener, mode, read_kib * 1024)
        }
        Some("send") => {
            let to = option(&args, "--to").ok_or(USAGE)?;
            let points = option(&args, "--points").ok_or(USAGE)?.parse()?;
            println!("{}", send::run(to, points)?);
            Ok(())
        }
        Some("cpu") => {
            println!("{}", cpu::process_ns(args.get(1).ok_or(USAGE)?.parse()?)?);
            Ok(())
        }
        _ => Err(io::Error::other(USAGE).into()),
    }
}
