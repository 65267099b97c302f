//! A client that records a path: it reads the durable offset, continues there, repeats some points, drops calls, and
//! retries until the path is finished.

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

use crate::checker::Checker;
use crate::rng::Rng;

pub type Client = PathServiceClient<Channel>;

/// The timeout of a call, after which the client treats the connection as lost. A busy server answers sooner.
const CALL_TIMEOUT: Duration = Duration::from_secs(4);

/// Returns a client on a new connection.
pub async fn connect(address: std::net::SocketAddr) -> Result<Client, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect_timeout(CALL_TIMEOUT).connect().await;
    channel.map(PathServiceClient::new).map_err(|error| Status::unavailable(error.to_string()))
}

/// Waits for an answer for at most `CALL_TIMEOUT`.
pub async fn bounded<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let no_answer = |_| Err(Status::deadline_exceeded("no answer within the timeout"));
    timeout(CALL_TIMEOUT, call).await.unwrap_or_else(no_answer)
}

/// Reads the recording. Returns `None` if it does not exist.
pub async fn get_path(client: &mut Client, checker: &Checker) -> Result<Option<pb::Path>, Status> {
    let bound = checker.bound();
    let request = pb::GetPathRequest { name: checker.name.clone(), ..Default::default() };
    match bounded(client.get_path(request)).await {
        Ok(reply) => {
            let path = reply.into_inner().path.unwrap_or_default();
            checker.observe("GetPath", &bound, &path);
            Ok(Some(path))
        }
        Err(status) if status.code() == Code::NotFound => {
            checker.observe_missing("GetPath", &bound);
            Ok(None)
        }
        Err(status) => Err(status),
    }
}

pub struct Writer {
    pub checker: Arc<Checker>,
    pub rng: Rng,
    pub address: std::net::SocketAddr,
    /// Set when no more faults occur; then the client makes no more errors on purpose.
    pub faults_stopped: Arc<AtomicBool>,
    /// Whether this is the second writer of the path, which stops with the faults instead of finishing.
    pub is_second_writer: bool,
}

impl Writer {
    fn faults_stopped(&self) -> bool {
        self.faults_stopped.load(Ordering::Relaxed)
    }

    /// Records until the path is finished or a violation is found.
    pub async fn run(mut self) {
        loop {
            if self.checker.events.violation().is_some()
                || (self.is_second_writer && self.faults_stopped())
            {
                return;
            }
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(status) => self.check_status(&status),
            }
            let pause = self.rng.millis(0, if self.is_second_writer { 60 } else { 25 });
            sleep(pause).await;
        }
    }

    /// Checks that a client may receive this status.
    fn check_status(&self, status: &Status) {
        let details = status.get_details_error_info();
        let reason = details.as_ref().map(|info| info.reason.as_str()).unwrap_or_default();
        let text = format!("{:?} {reason} {}", status.code(), status.message());
        self.checker.record(&text);
        let committed = details.as_ref().and_then(|info| info.metadata.get("committed_points"));
        if let Some(points) = committed.and_then(|points| points.parse().ok()) {
            self.checker.observe_offset(points);
        }
        if status.code() == Code::Aborted {
            self.checker.events.count(|counts| counts.fenced += 1);
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
            self.checker.report_violation(text);
        }
    }

    /// Opens one connection and one stream. Returns whether the path is finished.
    async fn attempt(&mut self) -> Result<bool, Status> {
        let mut client = bounded(connect(self.address)).await?;
        let stored = get_path(&mut client, &self.checker).await?;
        if stored.as_ref().is_some_and(|path| path.complete) {
            return Ok(true);
        }
        let start = stored.map_or(0, |path| path.committed_points) as usize;
        self.checker.events.count(|counts| counts.streams += 1);
        let (messages, receiver) = mpsc::channel(4);
        let bound = self.checker.bound();
        let is_wrong = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let faults_stopped = self.faults_stopped();
        let sender = Sender {
            checker: Arc::clone(&self.checker),
            rng: self.rng.fork(),
            faults_stopped: Arc::clone(&self.faults_stopped),
            is_wrong: Arc::clone(&is_wrong),
            sent: Arc::clone(&sent),
        };
        // The stream ends when the sender ends.
        let sending = tokio::spawn(sender.run(start, messages));
        let reply = {
            let call = bounded(client.record_path(ReceiverStream::new(receiver)));
            // Sometimes the client drops its call and its connection.
            let lifetime = self.rng.millis(1, 400);
            let drops_call = !faults_stopped && self.rng.one_in(5);
            tokio::select! {
                reply = call => reply,
                () = sleep(lifetime), if drops_call => {
                    sending.abort();
                    self.checker.record("client: dropped the call");
                    self.checker.events.count(|counts| counts.dropped += 1);
                    return Ok(false);
                }
            }
        };
        sending.abort();
        let reply = match reply {
            Ok(reply) => reply.into_inner(),
            Err(status) if is_wrong.load(Ordering::Relaxed) && refuses_offset(&status) => {
                self.checker.record(format_args!("wrong offset refused: {}", status.message()));
                let info = status.get_details_error_info();
                let committed =
                    info.and_then(|info| info.metadata.get("committed_points")?.parse().ok());
                match committed {
                    Some(points) => self.checker.observe_offset(points),
                    None => self.checker.report_violation(
                        "an offset was refused without committed_points in the details",
                    ),
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
            self.checker.report_violation(format_args!(
                "{sent} points were sent, but only {got} are durable"
            ));
        }
        let path = pb::Path {
            name: reply.name,
            complete: reply.complete,
            committed_points: reply.committed_points,
            summary: reply.summary,
            ..Default::default()
        };
        self.checker.observe("RecordPath", &bound, &path);
        Ok(path.complete)
    }
}

/// Returns whether a status refuses the offset of a message.
fn refuses_offset(status: &Status) -> bool {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    match status.code() {
        Code::OutOfRange => reason == "OFFSET_GAP",
        Code::InvalidArgument => reason == "OFFSET_MISMATCH",
        _ => false,
    }
}

/// Sends the messages of one stream.
struct Sender {
    checker: Arc<Checker>,
    rng: Rng,
    faults_stopped: Arc<AtomicBool>,
    /// Set when a wrong offset was sent on purpose.
    is_wrong: Arc<AtomicBool>,
    /// The offset after the last point that was sent.
    sent: Arc<std::sync::atomic::AtomicUsize>,
}

impl Sender {
    fn faults_stopped(&self) -> bool {
        self.faults_stopped.load(Ordering::Relaxed)
    }

    async fn run(mut self, start: usize, messages: mpsc::Sender<pb::RecordPathRequest>) {
        let len = self.checker.track.len();
        let mut next = start;
        // Sometimes the stream is closed before the last point, which does not finish the path.
        let closes_at = match !self.faults_stopped() && self.rng.one_in(5) {
            true => self.rng.between(start as u64, len as u64) as usize,
            false => len,
        };
        let message_points_max = if self.rng.one_in(2) { 40 } else { 400 };
        let mut is_first = true;
        loop {
            let mut from = next;
            if is_first && self.rng.one_in(3) {
                // Only the first message may send durable points again.
                from -= self.rng.between(0, next.min(600) as u64) as usize;
            }
            if !self.faults_stopped() && self.rng.one_in(80) && next + 2 < len {
                from = match !is_first && next > 0 && self.rng.one_in(2) {
                    true => next - self.rng.between(1, next.min(3) as u64) as usize,
                    false => next + self.rng.between(1, 2) as usize,
                };
                self.is_wrong.store(true, Ordering::Relaxed);
            }
            let count = self.rng.magnitude(1, message_points_max) as usize;
            let to = closes_at.max(from).min(from + count);
            let as_columns = !self.rng.one_in(3);
            let mut message = self.checker.track.message(from, to, as_columns);
            if is_first || self.rng.one_in(10) {
                message.name = self.checker.name.clone();
                message.options = Some(self.checker.track.options_message());
            }
            let is_right = !self.is_wrong.load(Ordering::Relaxed);
            if !is_first && is_right && self.rng.one_in(2) {
                // Without an offset, the message continues the previous one.
                message.write_offset = None;
            }
            is_first = false;
            // Sometimes the path is finished by a message without points.
            let finishes = to == len && !self.rng.one_in(3);
            message.finish_write = finishes;
            self.checker.events.count(|counts| counts.points += to - from);
            if messages.send(message).await.is_err() {
                return;
            }
            if self.is_wrong.load(Ordering::Relaxed) {
                // The server refuses the stream, whatever follows.
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
            if !self.faults_stopped() && self.rng.one_in(2) {
                sleep(self.rng.millis(0, 25)).await;
            }
        }
    }
}
