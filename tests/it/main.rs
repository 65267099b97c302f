//! The server as its clients meet it: real sockets, real HTTP/2. One module a behaviour.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod bench;
mod client;
mod closed_streams;
mod cut;
mod deadlines;
mod drain;
mod hostile;
mod killed;
mod limits;
mod load;
mod measure;
mod paths;
mod program;
mod proxy;
mod recorder;
mod serve;
mod store;
mod store_faults;
mod support;
mod tidy;
mod times;
mod watchdog;
mod writers;
