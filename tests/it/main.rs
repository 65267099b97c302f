//! The server as its clients meet it: real sockets, real HTTP/2. One module a behaviour.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod bench;
mod client;
mod closed_streams;
mod connections;
mod cut;
mod damage;
mod deadlines;
mod drain;
mod hostile;
mod killed;
mod limits;
mod load;
mod measure;
mod offsets;
mod paths;
mod program;
mod proxy;
mod record;
mod recorder;
mod serve;
#[path = "../common/serve.rs"]
mod serve_process;
mod stale_writers;
mod store;
mod store_faults;
mod support;
mod tidy;
mod times;
mod watchdog;
mod watchers;
mod writers;
