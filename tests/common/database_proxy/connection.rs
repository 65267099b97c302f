//! One connection through the proxy.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use super::messages::{Message, Statements};
use super::{Fault, State};

/// What both directions of a connection share.
#[derive(Default)]
struct Shared {
    /// The number of ReadyForQuery messages that the client has asked for, including that of the start.
    asked: u64,
    /// The fault, and the number of the ReadyForQuery message that answers the statement. Those of its transaction
    /// follow.
    lost: Option<(Fault, u64)>,
}

/// Forwards messages until one side closes the connection or a fault closes it.
pub async fn forward(mut client: TcpStream, mut server: TcpStream, state: &watch::Sender<State>) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let Some(is_encrypted) = start(&mut client, &mut server, state).await else { return };
    if is_encrypted {
        let _ = copy_bidirectional(&mut client, &mut server).await;
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let shared = Mutex::new(Shared { asked: 1, lost: None });
    let up = up(from_client, to_server, &shared, state);
    let down = down(from_server, to_client, &shared, state);
    tokio::pin!(up, down);
    tokio::select! {
        is_held = &mut up => if is_held { down.await },
        () = &mut down => {}
    }
}

async fn unblocked(state: &watch::Sender<State>) {
    let mut changes = state.subscribe();
    let _ = changes.wait_for(|state| !state.blocked).await;
}

/// Forwards the messages without a type. Returns whether the connection is encrypted from then on.
async fn start(
    client: &mut TcpStream,
    server: &mut TcpStream,
    state: &watch::Sender<State>,
) -> Option<bool> {
    loop {
        let message = Message::read_untyped(client).await?;
        unblocked(state).await;
        server.write_all(&message.bytes).await.ok()?;
        if !message.asks_for_encryption() {
            return Some(false);
        }
        let answer = server.read_u8().await.ok()?;
        client.write_u8(answer).await.ok()?;
        if answer == b'S' {
            return Some(true);
        }
    }
}

/// Forwards messages to the server. Returns whether the rest of the connection is the answer to a held statement.
async fn up(
    client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    shared: &Mutex<Shared>,
    state: &watch::Sender<State>,
) -> bool {
    let mut client = BufReader::new(client);
    let mut statements = Statements::default();
    let mut holds_commit = false;
    while let Some(message) = Message::read(&mut client).await {
        unblocked(state).await;
        let fault = statements.executed(&message).and_then(|text| match text.as_str() {
            "COMMIT" if holds_commit => Some(Fault::Hold),
            text => take(text, state),
        });
        match fault {
            None => {}
            Some(Fault::HoldNext) => holds_commit = true,
            Some(Fault::CutBefore) => {
                state.send_modify(|state| state.happened += 1);
                return false;
            }
            Some(Fault::CutAfter | Fault::Silence) => {
                let mut shared = shared.lock().unwrap();
                shared.lost = fault.map(|fault| (fault, shared.asked + 1));
            }
            Some(Fault::Hold) => {
                return hold(message, &mut statements, &mut client, &mut server, state).await;
            }
        }
        if message.asks_for_ready() {
            shared.lock().unwrap().asked += 1;
        }
        if server.write_all(&message.bytes).await.is_err() {
            return false;
        }
    }
    false
}

/// Takes the armed fault if the statement contains its text.
fn take(statement: &str, state: &watch::Sender<State>) -> Option<Fault> {
    let mut taken = None;
    state.send_if_modified(|state| {
        if state.armed.as_ref().is_some_and(|(text, _)| statement.contains(text)) {
            taken = state.armed.take().map(|(_, fault)| fault);
        }
        false
    });
    taken
}

/// Collects a statement and the rest of its transaction, and sends it when the test releases it.
async fn hold(
    first: Message,
    statements: &mut Statements,
    client: &mut BufReader<OwnedReadHalf>,
    server: &mut OwnedWriteHalf,
    state: &watch::Sender<State>,
) -> bool {
    let mut held = first.bytes;
    let mut is_whole = first.kind == b'Q' && !statements.in_transaction;
    while !is_whole {
        let Some(message) = Message::read(client).await else { return false };
        statements.executed(&message);
        is_whole = message.asks_for_ready() && !statements.in_transaction;
        held.extend(message.bytes);
    }
    let mut changes = state.subscribe();
    let before = state.borrow().released;
    state.send_modify(|state| state.happened += 1);
    let _ = changes.wait_for(|state| state.released > before).await;
    server.write_all(&held).await.is_ok()
}

/// Forwards messages to the client until the answer to the faulty statement is complete.
async fn down(
    server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    shared: &Mutex<Shared>,
    state: &watch::Sender<State>,
) {
    let mut server = BufReader::new(server);
    let (mut ready, mut has_happened) = (0, false);
    let mut number = 0;
    while let Some(mut message) = Message::read(&mut server).await {
        unblocked(state).await;
        ready += u64::from(message.is_ready());
        number += 1;
        let corruption = state.borrow().corruption;
        if let Some(seed) = corruption {
            message.corrupt(seed, number);
        }
        let lost = shared.lock().unwrap().lost;
        let Some((fault, last)) = lost else {
            // The answer to a held statement has no receiver if the client has left.
            let _ = client.write_all(&message.bytes).await;
            continue;
        };
        // The answer is complete at the end of the transaction.
        if message.is_idle() && ready >= last && !has_happened {
            has_happened = true;
            state.send_modify(|state| state.happened += 1);
            if fault == Fault::CutAfter {
                return;
            }
        }
    }
}
