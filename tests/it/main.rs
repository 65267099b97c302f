//! Tests of the server over real sockets and real HTTP/2, of the program, and of the architecture.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod answers;
mod append;
mod architecture;
mod auth;
mod backup;
mod bench;
#[path = "../common/binary.rs"]
mod binary;
mod client;
mod closed_streams;
mod connections;
mod cut;
mod damage;
#[cfg(unix)]
mod database;
mod deadlines;
mod drain;
#[cfg(unix)]
mod files;
mod forwarded;
mod health;
mod hostile;
#[cfg(unix)]
mod http;
mod invalid_points;
mod isolation;
mod killed;
mod lengths;
mod limits;
mod load;
mod measure;
mod memory;
#[cfg(unix)]
mod metrics;
mod offsets;
mod other_servers;
mod paths;
mod program;
mod proxy;
mod quotas;
mod recent_points;
mod record;
mod recorder;
mod recorder_comparison;
#[path = "../common/reserved.rs"]
mod reserved;
mod resets;
mod route_guide;
mod secure_client;
mod serve;
#[path = "../common/serve.rs"]
mod serve_process;
mod settings;
#[path = "../common/skip.rs"]
mod skip;
mod stale_writers;
mod store;
mod store_faults;
mod support;
mod times;
mod tls;
mod tls_certificate_end;
mod tls_clients;
mod tls_program;
mod tls_refusals;
mod tls_reload;
#[cfg(unix)]
mod traces;
mod watch;
mod watchdog;
mod watchers;
mod writers;
