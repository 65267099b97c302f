//! Tests of the PostgreSQL store against real servers. Each test makes its own database cluster in a temporary folder.
//!
//!     cargo test --test postgres
//!     tests/postgres/run
//!
//! The first command uses the newest PostgreSQL in `/usr/lib/postgresql`, or the one whose programs are in the folder
//! that `WAYWISER_POSTGRES_BIN` names. Without a server the tests print that they were skipped. The second command
//! installs what is missing, runs the tests on PostgreSQL 15 and 18, and fails without a server. Tests that need PgBouncer,
//! libfaketime or a file system of their own print that they were skipped when it is missing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, reason = "printed when a test fails")]

#[path = "../common/binary.rs"]
mod binary;
mod clocks;
#[path = "../common/cluster/mod.rs"]
mod cluster;
mod contract;
mod credentials;
mod damage;
mod disk;
mod failures;
mod fixtures;
mod garbage;
mod harness;
mod limits;
mod lost_answers;
mod openings;
#[path = "../common/database_proxy/mod.rs"]
mod proxy;
mod readiness;
#[path = "../common/reserved.rs"]
mod reserved;
mod restore;
#[path = "../common/rng.rs"]
mod rng;
mod schema;
#[path = "../common/serve.rs"]
mod serve_process;
mod sharing;
#[path = "../common/skip.rs"]
mod skip;
#[path = "../common/small_disk.rs"]
mod small_disk;
mod splitting;
mod standbys;
mod tls;
mod walk;
mod watching;
