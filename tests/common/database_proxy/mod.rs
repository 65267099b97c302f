//! A TCP proxy in front of PostgreSQL. It reads the messages of the protocol, and can lose the answer to a chosen
//! statement, delay a statement, cut connections, and forward nothing.
#![allow(dead_code, reason = "each test target uses a part of it")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

mod connection;
mod messages;

/// What happens to the first statement that contains a text, and to the transaction that it is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server receives neither it nor the rest of its transaction, and the connection is closed.
    CutBefore,
    /// The server executes its transaction. The answer is lost and the connection is closed.
    CutAfter,
    /// The server executes its transaction. The client receives nothing any more, and the connection stays open.
    Silence,
    /// The server receives the rest of the transaction when the test calls [`Proxy::release`], even if the client has left by then.
    Hold,
    /// Like [`Hold`](Self::Hold), for the COMMIT that follows the statement.
    HoldNext,
}

/// What all connections of a proxy share.
#[derive(Clone, Debug)]
struct State {
    server: SocketAddr,
    armed: Option<(String, Fault)>,
    /// The number of faults that have happened: the server has answered, or the statement is held.
    happened: usize,
    /// The number of calls of `release`.
    released: usize,
    /// Nothing is forwarded, and connections are accepted.
    blocked: bool,
    /// The seed of changes of single bytes of answers.
    corruption: Option<u64>,
    /// Connections are closed at once.
    refusing: bool,
    /// Connections with a smaller number are closed.
    first_open: u64,
    /// The number of the next connection.
    next: u64,
    /// The number of connections that were accepted.
    accepted: usize,
    /// The numbers of the connections that are open.
    open: BTreeSet<u64>,
}

impl State {
    fn of(server: SocketAddr) -> Self {
        Self {
            server,
            armed: None,
            happened: 0,
            released: 0,
            blocked: false,
            corruption: None,
            refusing: false,
            first_open: 0,
            next: 0,
            accepted: 0,
            open: BTreeSet::new(),
        }
    }
}

pub struct Proxy {
    pub address: SocketAddr,
    state: watch::Sender<State>,
    /// Dropping it closes the listener and all connections.
    _connections: JoinSet<()>,
}

impl Proxy {
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, _) = watch::channel(State::of(server));
        let mut connections = JoinSet::new();
        connections.spawn(serve(listener, state.clone()));
        Self { address, state, _connections: connections }
    }

    /// Injects a fault into the first statement from now on whose text contains `statement`.
    pub fn on(&self, statement: &str, fault: Fault) {
        self.state.send_modify(|state| state.armed = Some((statement.to_owned(), fault)));
    }

    /// Removes a fault that has not happened.
    pub fn disarm(&self) {
        self.state.send_modify(|state| state.armed = None);
    }

    /// Returns the number of faults that have happened.
    pub fn happened_so_far(&self) -> usize {
        self.state.borrow().happened
    }

    /// Waits until this many faults have happened since the start.
    pub async fn happened(&self, count: usize) {
        let mut state = self.state.subscribe();
        state.wait_for(|state| state.happened >= count).await.unwrap();
    }

    /// Waits until this many connections were accepted since the start.
    pub async fn accepted(&self, count: usize) {
        let mut state = self.state.subscribe();
        state.wait_for(|state| state.accepted >= count).await.unwrap();
    }

    /// Returns the number of connections that were accepted.
    pub fn accepted_so_far(&self) -> usize {
        self.state.borrow().accepted
    }

    /// Returns the number of connections that are open.
    pub fn open_now(&self) -> usize {
        self.state.borrow().open.len()
    }

    /// Waits until no connection is open.
    pub async fn closed(&self) {
        let mut state = self.state.subscribe();
        state.wait_for(|state| state.open.is_empty()).await.unwrap();
    }

    /// Forwards the statements that are held now.
    pub fn release(&self) {
        self.state.send_modify(|state| state.released += 1);
    }

    /// Forwards to another server from now on, and closes all connections.
    pub async fn redirect(&self, server: SocketAddr) {
        self.state.send_modify(|state| state.server = server);
        self.cut(false).await;
    }

    /// Stops or resumes forwarding, like a network that loses all packets.
    pub fn block(&self, blocked: bool) {
        self.state.send_modify(|state| state.blocked = blocked);
    }

    /// Changes single bytes of the answers of the server, chosen by a seed, or forwards them as they are.
    pub fn corrupt(&self, seed: Option<u64>) {
        self.state.send_modify(|state| state.corruption = seed);
    }

    /// Closes all connections, and refuses new ones while `refusing`. Waits until they are closed: what one end sends after
    /// that never reaches the other one.
    pub async fn cut(&self, refusing: bool) {
        let mut first_open = 0;
        self.state.send_modify(|state| {
            state.refusing = refusing;
            state.first_open = state.next;
            first_open = state.next;
        });
        let are_closed = |state: &State| state.open.first().is_none_or(|&open| open >= first_open);
        self.state.subscribe().wait_for(are_closed).await.unwrap();
    }
}

/// Lists an open connection until it is dropped.
struct Open {
    number: u64,
    state: Arc<watch::Sender<State>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.state.send_modify(|state| {
            state.open.remove(&self.number);
        });
    }
}

async fn serve(listener: TcpListener, state: watch::Sender<State>) {
    let mut open = JoinSet::new();
    let state = Arc::new(state);
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        while open.try_join_next().is_some() {}
        let mut accepted = None;
        state.send_modify(|state| {
            if !state.refusing {
                accepted = Some((state.next, state.server));
                state.open.insert(state.next);
                state.next += 1;
                state.accepted += 1;
            }
        });
        let Some((number, address)) = accepted else {
            let _ = client.set_zero_linger();
            continue;
        };
        let listed = Open { number, state: Arc::clone(&state) };
        open.spawn(async move {
            let state = &listed.state;
            let mut changes = state.subscribe();
            let forward = async {
                match TcpStream::connect(address).await {
                    Ok(server) => connection::forward(client, server, state).await,
                    Err(_) => drop(client.set_zero_linger()),
                }
            };
            tokio::select! {
                () = forward => {}
                _ = changes.wait_for(|state| state.first_open > number) => {}
            }
        });
    }
}
