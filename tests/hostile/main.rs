//! Attacks a server process with hostile clients on raw sockets, while a healthy client calls it.
//!
//! `cargo test` does not run the attacks, because they measure time and memory. Run them with:
//!
//!     cargo test --release --test hostile -- --ignored --nocapture
//!     HOSTILE_SECONDS=20 HOSTILE_ROUNDS=3 cargo test --release --test hostile -- --ignored --nocapture
//!
//! Each file has attacks of one kind. Its comment names them, or the weakness that the server must not have. An attack
//! prints its figures. Then it checks the limits on the latency of the healthy client, on the memory and the CPU time
//! of the server, and on its exit. Attacks run one at a time.
//!
//! * `HOSTILE_SECONDS`: the duration of attacks without an end of their own.
//! * `HOSTILE_ROUNDS`: the number of runs of each attack. If one of the two is set, attacks have larger sizes.
//! * `WAYWISER_BIN`: the binary to attack. It is assumed to be optimised unless its path contains `/debug/`.
//!
//! Delays in these tests choose the time and the rate of an attack. Time limits are those that the server promises,
//! with a margin for a busy machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/binary.rs"]
mod binary;
mod connection;
mod frames;
mod healthy;
mod hpack;
mod messages;
mod report;
#[path = "../common/serve.rs"]
mod serve_process;
mod server;
#[path = "../common/skip.rs"]
mod skip;
mod wire;

mod accept_errors;
mod cpu;
mod data_removed;
mod fairness;
mod floods;
mod http1;
mod idle_connections;
mod inflation_ratio;
mod malformed;
mod overload;
mod pause;
mod pending_resets;
mod reflection;
mod reset_log;
mod shutdown;
mod unread_answers;
mod unread_replies;
mod unread_requests;
mod watchers;
