//! The main process of a server, and the processes that it has started.

use std::fs::File;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

pub struct Postmaster {
    process: Child,
}

impl Postmaster {
    pub fn spawn(mut command: Command, log: File) -> Self {
        let output = log.try_clone().unwrap();
        Self { process: command.stdout(output).stderr(log).spawn().unwrap() }
    }

    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Returns the process and its children, which exist until they are reaped here.
    fn processes(&self) -> Vec<Pid> {
        let own = self.process.id() as i32;
        let mut all: Vec<_> = Pid::from_raw(own).into_iter().collect();
        all.extend(children(own));
        all
    }

    fn signal(&self, signal: Signal) {
        for process in self.processes() {
            let _ = kill_process(process, signal);
        }
    }

    /// Pauses the main process first, so that it starts no others.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends a signal to the main process and waits until all processes have ended.
    pub async fn end(mut self, signal: Signal) {
        let processes = self.processes();
        self.resume();
        if let Some(main) = Pid::from_raw(self.process.id() as i32).filter(|_| !self.has_ended()) {
            let _ = kill_process(main, signal);
        }
        while !self.has_ended() || processes.iter().any(|&process| is_running(process)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        // Immediate shutdown. The children are killed, too, because a paused or waiting one would remain.
        let processes = self.processes();
        let _ = self.process.kill();
        for process in processes {
            let _ = kill_process(process, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

/// Returns the state and the parent of a process.
fn state(process: i32) -> Option<(String, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

fn children(parent: i32) -> Vec<Pid> {
    let all = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let all = all.filter(|&process| state(process).is_some_and(|(_, of)| of == parent));
    all.filter_map(Pid::from_raw).collect()
}

fn is_running(process: Pid) -> bool {
    state(process.as_raw_nonzero().get()).is_some_and(|(state, _)| state != "Z")
}
