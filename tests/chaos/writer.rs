//! A client that records: it asks what is durable, goes on from there, sends some things twice, leaves
//! in the middle, and comes back until the path is finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use waywiser::proto::waywiser_v1 as pb;
use waywiser::proto::waywiser_v1::path_service_client::PathServiceClient;

use crate::chance::Chance;
use crate::ledger::Ledger;

pub type Client = PathServiceClient<Channel>;

/// How long a call may take before the client takes the connection for lost. It has to be longer than a
/// server that is busy takes.
const CALL_TIME: Duration = Duration::from_secs(4);

/// A client with a connection of its own.
pub async fn connect(address: std::net::SocketAddr) -> Result<Client, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect_timeout(CALL_TIME).connect().await;
    channel.map(PathServiceClient::new).map_err(|error| Status::unavailable(error.to_string()))
}

/// Waits for an answer, but not for ever.
pub async fn bounded<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late = |_| Err(Status::deadline_exceeded("no answer: the connection is taken for lost"));
    timeout(CALL_TIME, call).await.unwrap_or_else(late)
}

/// Asks for the recording; `None` if there is none.
pub async fn ask(client: &mut Client, ledger: &Ledger) -> Result<Option<pb::Path>, Status> {
    let floor = ledger.floor();
    let request = pb::GetPathRequest { name: ledger.name.clone() };
    match bounded(client.get_path(request)).await {
        Ok(reply) => {
            let path = reply.into_inner().path.unwrap_or_default();
            ledger.observe("GetPath", &floor, &path);
            Ok(Some(path))
        }
        Err(status) if status.code() == Code::NotFound => {
            ledger.missing("GetPath", &floor);
            Ok(None)
        }
        Err(status) => Err(status),
    }
}

pub struct Writer {
    pub ledger: Arc<Ledger>,
    pub chance: Chance,
    pub address: std::net::SocketAddr,
    /// No more mischief.
    pub is_calm: Arc<AtomicBool>,
    /// Leaves when there is calm, instead of finishing.
    pub is_rival: bool,
}

impl Writer {
    fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    /// Until the path is finished, or something is told that cannot be true.
    pub async fn run(mut self) {
        loop {
            if self.ledger.journal.violation().is_some() || (self.is_rival && self.is_calm()) {
                return;
            }
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(status) => self.judge(&status),
            }
            let pause = self.chance.millis(0, if self.is_rival { 60 } else { 25 });
            sleep(pause).await;
        }
    }

    /// Whether a client may be told so.
    fn judge(&self, status: &Status) {
        let details = status.get_details_error_info();
        let reason = details.as_ref().map(|info| info.reason.as_str()).unwrap_or_default();
        let text = format!("{:?} {reason} {}", status.code(), status.message());
        self.ledger.note(&text);
        let told = details.as_ref().and_then(|info| info.metadata.get("committed_points"));
        if let Some(points) = told.and_then(|points| points.parse().ok()) {
            self.ledger.heard(points);
        }
        if status.code() == Code::Aborted {
            self.ledger.journal.count(|counts| counts.fenced += 1);
        }
        let is_expected = match status.code() {
            Code::Unavailable
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::DeadlineExceeded => true,
            Code::Aborted => reason == "WRITER_FENCED",
            _ => false,
        };
        if !is_expected {
            self.ledger.violated(text);
        }
    }

    /// One connection and one stream; whether the path is finished.
    async fn attempt(&mut self) -> Result<bool, Status> {
        let mut client = bounded(connect(self.address)).await?;
        let stored = ask(&mut client, &self.ledger).await?;
        if stored.as_ref().is_some_and(|path| path.complete) {
            return Ok(true);
        }
        let start = stored.map_or(0, |path| path.committed_points) as usize;
        self.ledger.journal.count(|counts| counts.streams += 1);
        let (messages, receiver) = mpsc::channel(4);
        let floor = self.ledger.floor();
        let is_wrong = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let is_calm = self.is_calm();
        let plan = Sending {
            ledger: Arc::clone(&self.ledger),
            chance: self.chance.fork(),
            is_calm: Arc::clone(&self.is_calm),
            is_wrong: Arc::clone(&is_wrong),
            sent: Arc::clone(&sent),
        };
        // The stream ends when the sender does, whichever way.
        let sending = tokio::spawn(plan.run(start, messages));
        let reply = {
            let call = bounded(client.record_path(ReceiverStream::new(receiver)));
            // The client may be killed: its call is dropped, and its connection with it.
            let life = self.chance.millis(1, 400);
            let leaves = !is_calm && self.chance.one_in(5);
            tokio::select! {
                reply = call => reply,
                () = sleep(life), if leaves => {
                    sending.abort();
                    self.ledger.note("client: dropped the call");
                    self.ledger.journal.count(|counts| counts.dropped += 1);
                    return Ok(false);
                }
            }
        };
        sending.abort();
        let reply = match reply {
            Ok(reply) => reply.into_inner(),
            Err(status) if is_wrong.load(Ordering::Relaxed) && refuses_offset(&status) => {
                self.ledger.note(format_args!("wrong offset refused: {}", status.message()));
                let info = status.get_details_error_info();
                let told =
                    info.and_then(|info| info.metadata.get("committed_points")?.parse().ok());
                match told {
                    Some(points) => self.ledger.heard(points),
                    None => self.ledger.violated("an offset was refused without committed_points"),
                }
                return Ok(false);
            }
            Err(status) => return Err(status),
        };
        // A gap in the first message may be accepted: an earlier stream may have committed more points than it
        // reported. The summary shows whether that is so.
        let sent = sent.load(Ordering::Relaxed) as u64;
        if reply.committed_points < sent {
            let got = reply.committed_points;
            self.ledger.violated(format_args!("{sent} points were sent, and {got} are durable"));
        }
        let path = pb::Path {
            name: reply.name,
            complete: reply.complete,
            committed_points: reply.committed_points,
            summary: reply.summary,
            ..Default::default()
        };
        self.ledger.observe("RecordPath", &floor, &path);
        Ok(path.complete)
    }
}

/// Whether a status refuses the offset of a message.
fn refuses_offset(status: &Status) -> bool {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    match status.code() {
        Code::OutOfRange => reason == "OFFSET_GAP",
        Code::InvalidArgument => reason == "OFFSET_MISMATCH",
        _ => false,
    }
}

/// What goes down one stream.
struct Sending {
    ledger: Arc<Ledger>,
    chance: Chance,
    is_calm: Arc<AtomicBool>,
    /// An offset was wrong on purpose.
    is_wrong: Arc<AtomicBool>,
    /// All points before this one were sent.
    sent: Arc<std::sync::atomic::AtomicUsize>,
}

impl Sending {
    fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    async fn run(mut self, start: usize, messages: mpsc::Sender<pb::RecordPathRequest>) {
        let len = self.ledger.track.len();
        let mut next = start;
        // It may close the stream before the end, which finishes nothing.
        let closes_at = match !self.is_calm() && self.chance.one_in(5) {
            true => self.chance.distance(start as u64, len as u64) as usize,
            false => len,
        };
        let pieces_max = if self.chance.one_in(2) { 40 } else { 400 };
        let mut is_first = true;
        loop {
            let mut from = next;
            if is_first && self.chance.one_in(3) {
                // Only the first message may send durable points again.
                from -= self.chance.distance(0, next.min(600) as u64) as usize;
            }
            if !self.is_calm() && self.chance.one_in(80) && next + 2 < len {
                from = match !is_first && next > 0 && self.chance.one_in(2) {
                    true => next - self.chance.distance(1, next.min(3) as u64) as usize,
                    false => next + self.chance.distance(1, 2) as usize,
                };
                self.is_wrong.store(true, Ordering::Relaxed);
            }
            let count = self.chance.magnitude(1, pieces_max) as usize;
            let to = closes_at.max(from).min(from + count);
            let as_columns = !self.chance.one_in(3);
            let mut message = self.ledger.track.piece(from, to, as_columns);
            if is_first || self.chance.one_in(10) {
                message.name = self.ledger.name.clone();
                message.options = Some(self.ledger.track.options_message());
            }
            let is_right = !self.is_wrong.load(Ordering::Relaxed);
            if !is_first && is_right && self.chance.one_in(2) {
                // It continues where the message before it ended.
                message.write_offset = None;
            }
            is_first = false;
            // Sometimes the end comes in a message without points.
            let finishes = to == len && !self.chance.one_in(3);
            message.finish_write = finishes;
            self.ledger.journal.count(|counts| counts.points += to - from);
            if messages.send(message).await.is_err() {
                return;
            }
            if self.is_wrong.load(Ordering::Relaxed) {
                // It is refused whatever follows.
                return;
            }
            next = to;
            self.sent.store(next, Ordering::Relaxed);
            if finishes || (next == closes_at && closes_at < len) {
                return;
            }
            if next == len {
                let end = pb::RecordPathRequest {
                    write_offset: Some(len as u64),
                    finish_write: true,
                    ..Default::default()
                };
                let _ = messages.send(end).await;
                return;
            }
            if !self.is_calm() && self.chance.one_in(2) {
                sleep(self.chance.millis(0, 25)).await;
            }
        }
    }
}
