//! Hostile clients on raw sockets against a real server process, with a healthy client in parallel.
//!
//! Each attack is a file whose comment names the weakness. An attack prints its figures and then checks the limits on
//! the latency of the healthy client, on the memory and the CPU time of the server, and on its end. Attacks run one at
//! a time. `cargo test` runs a short version; the long one repeats each attack, with larger sizes:
//!
//!     HOSTILE_SECONDS=20 HOSTILE_ROUNDS=3 cargo test --release --test hostile -- --nocapture
//!
//! WAYWISER_BIN names another program to attack, which is taken to be optimised. Delays in these tests choose the
//! moment and the pace of an attack; time limits are those that the server promises, with a margin for a busy machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod connection;
mod frames;
mod healthy;
mod hpack;
mod messages;
mod report;
#[path = "../common/serve.rs"]
mod serve_process;
mod server;
mod wire;

mod accept_errors;
mod cpu;
mod data_removed;
mod floods;
mod http1;
mod idle_connections;
mod inflation_ratio;
mod malformed;
mod pause;
mod reflection;
mod reset_log;
mod shutdown;
mod unread_replies;
mod unread_requests;
mod watchers;
