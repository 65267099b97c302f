//! Weakness: a transient error of accept(2) ends the server. strace injects such errors into the running process.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::report::{HANG_TIMEOUT, attack};
use crate::server::Server;
use crate::skip::skipped;

/// A process of strace that is attached to the server. Dropping it ends strace.
struct Injector(std::process::Child);

impl Drop for Injector {
    fn drop(&mut self) {
        // The kernel detaches strace from the server, which continues to run.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn a_transient_accept_error_does_not_end_the_server() {
    attack("accept errors", async |report| {
        for error in ["EPROTO", "ENETDOWN", "EHOSTUNREACH", "EMFILE", "ENOBUFS", "ECONNABORTED"] {
            let mut server = Server::start(&[]);
            let folder = tempfile::tempdir().unwrap();
            let trace = folder.path().join("trace");
            let pid = server.pid().to_string();
            let inject = format!("inject=accept4:error={error}:when=1..3");
            let strace = Command::new("strace")
                .args(["-f", "-e", "trace=accept4", "-e", &inject, "-p", &pid, "-o"])
                .arg(&trace)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let Ok(process) = strace else {
                skipped("hostile: accept errors, because strace is not installed");
                return;
            };
            let mut injector = Injector(process);
            // Waits until strace traces all threads of the server.
            let began = Instant::now();
            let is_traced = || {
                let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
                tasks.flatten().all(|task| {
                    let status = std::fs::read_to_string(task.path().join("status"));
                    status.is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
                })
            };
            while !is_traced() {
                if injector.0.try_wait().unwrap().is_some() || began.elapsed() > HANG_TIMEOUT {
                    skipped("hostile: accept errors, because strace cannot attach to a process");
                    return;
                }
                sleep(Duration::from_millis(5)).await;
            }
            let call = server.ordinary_call(None).await.map(drop);
            let injected = std::fs::read_to_string(&trace).unwrap_or_default();
            let injected = injected.matches("(INJECTED)").count();
            let is_alive = server.is_alive();
            report.figure(error, format!("{injected} injected, alive {is_alive}, call {call:?}"));
            report.check(injected > 0, format!("{error} is injected"));
            report.check(is_alive && call.is_ok(), format!("the server survives {error}"));
        }
    });
}
