//! An observer that collects the calls of one server that have ended.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::sync::watch;
use tonic::Code;
use waywiser::server::{CallObserver, CallReport};

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedCall {
    peer: SocketAddr,
    pub code: Code,
    pub message: String,
    pub points: u64,
}

/// The calls of one server that have ended and were not taken yet, oldest first.
pub struct EndedCalls {
    calls: watch::Sender<Vec<EndedCall>>,
    /// The methods of all calls, and the principals that have called them.
    methods: Mutex<BTreeSet<(String, Option<String>)>>,
}

impl Default for EndedCalls {
    fn default() -> Self {
        Self { calls: watch::channel(Vec::new()).0, methods: Mutex::default() }
    }
}

impl EndedCalls {
    /// Waits until `count` calls of this client have ended, and removes them. A later client may have the same
    /// address, so it must not find them.
    pub async fn take(&self, peer: SocketAddr, count: usize) -> Vec<EndedCall> {
        let mut calls = self.calls.subscribe();
        let is_of_peer = |call: &&EndedCall| call.peer == peer;
        calls.wait_for(|calls| calls.iter().filter(is_of_peer).count() >= count).await.unwrap();
        let mut taken = Vec::new();
        self.calls.send_modify(|calls| {
            taken = calls.extract_if(.., |call| call.peer == peer).collect();
        });
        taken
    }

    /// Returns the methods of the calls that have ended, such as `/waywiser.v1.PathService/GetPath`, and the principals
    /// that have called them.
    pub fn methods(&self) -> BTreeSet<(String, Option<String>)> {
        self.methods.lock().unwrap().clone()
    }
}

impl CallObserver for EndedCalls {
    fn call_ended(&self, report: &CallReport<'_>) {
        let call = EndedCall {
            peer: report.call.peer,
            code: report.code,
            message: report.message.to_owned(),
            points: report.points,
        };
        self.calls.send_modify(|calls| calls.push(call));
        let principal = report.call.principal.map(str::to_owned);
        self.methods.lock().unwrap().insert((report.call.method.to_owned(), principal));
    }
}
