//! A recorder against a server of the test's own, over pipes in memory and under a paused clock: what it does
//! when an answer is lost, when points come twice, and when nobody is there for a long time.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::io::DuplexStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tower_service::Service;

use super::*;
use crate::measure::{Metric, Point};
use crate::proto::waywiser_v1 as pb;

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plan {
    /// Nobody is there.
    Away,
    /// All goes well.
    Good,
    /// It is cut when so many points are durable.
    Cut(u64),
    /// The same, and nobody was told that they are.
    CutUntold(u64),
    /// It is cut in the place of the reply.
    LoseReply,
    /// It is cut before a point was read.
    Glimpse,
    /// GetPath tells so many points less than there are, and nobody else how many.
    Stale(u64),
    /// The same, and WatchPath tells how many there are.
    Late(u64),
    /// What is sent is read, and never becomes durable.
    Forgetful,
    /// GetPath is not answered, and the connection lives.
    MuteGet,
    /// The same of WatchPath.
    MuteWatch,
    /// The same of RecordPath, which nobody reads.
    MuteRecord,
}

/// How a RecordPath stream ended at the server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Closed,
    Reset(Reason),
    Lost,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Kept {
    points: u64,
    is_complete: bool,
}

/// How often something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    connections: u64,
    duplicates: u64,
    /// How often the path became complete.
    finishes: u64,
}

/// A server that keeps the path of the points (0, 0), (1, 0), ... and notes what it sees. All that it has is
/// durable.
struct Fake {
    kept: watch::Sender<Option<Kept>>,
    ends: watch::Sender<Vec<End>>,
    seen: Mutex<Seen>,
    plans: Mutex<VecDeque<Plan>>,
}

impl Fake {
    /// After these connections come good ones.
    fn new(plans: impl IntoIterator<Item = Plan>) -> Arc<Self> {
        Arc::new(Self {
            kept: watch::Sender::default(),
            ends: watch::Sender::default(),
            seen: Mutex::default(),
            plans: Mutex::new(plans.into_iter().collect()),
        })
    }

    fn seen(&self) -> Seen {
        *self.seen.lock().unwrap()
    }

    /// A recorder of which this is the server.
    fn recorder(self: &Arc<Self>) -> Recorder {
        let client = Client::connect_lazy("http://127.0.0.1:9").unwrap();
        let recorder = client.recorder("paths/x".parse().unwrap(), Options::new(Metric::Planar));
        let fake = Arc::clone(self);
        let connect: Connect = Box::new(move |endpoint| {
            let dial = Dial(Arc::clone(&fake));
            Box::pin(async move { endpoint.connect_with_connector(dial).await })
        });
        Recorder { connect, ..recorder }
    }

    /// A client of which this is the server.
    async fn client(self: &Arc<Self>) -> Client {
        let client = Client::connect_lazy("http://127.0.0.1:9").unwrap();
        let dial = Dial(Arc::clone(self));
        let channel = client.endpoint.connect_with_connector(dial).await.unwrap();
        Client { channel, ..client }
    }

    async fn serve(self: Arc<Self>, far: DuplexStream, plan: Plan) {
        let cut = Arc::new(Notify::new());
        let Ok(mut connection) = h2::server::handshake(far).await else { return };
        loop {
            let accepted = tokio::select! {
                accepted = connection.accept() => accepted,
                () = cut.notified() => return,
            };
            let Some(Ok((request, response))) = accepted else { return };
            tokio::spawn(Arc::clone(&self).answer(request, response, plan, Arc::clone(&cut)));
        }
    }

    /// Gives up where the connection is gone.
    async fn answer(
        self: Arc<Self>,
        request: Request<RecvStream>,
        mut response: SendResponse<Bytes>,
        plan: Plan,
        cut: Arc<Notify>,
    ) -> Option<()> {
        let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let messages = Messages { body: request.into_body(), bytes: BytesMut::new() };
        match &*method {
            "GetPath" if plan == Plan::MuteGet => std::future::pending().await,
            "WatchPath" if plan == Plan::MuteWatch => std::future::pending().await,
            "RecordPath" if plan == Plan::MuteRecord => std::future::pending().await,
            "GetPath" => {
                let kept = *self.kept.borrow();
                let mut stream = head(&mut response)?;
                let Some(mut kept) = kept else { return status(&mut stream, 5) };
                if let Plan::Stale(by) | Plan::Late(by) = plan {
                    kept.points -= by;
                }
                send(&mut stream, &pb::GetPathResponse { path: Some(path(kept)) })?;
                status(&mut stream, 0)
            }
            "WatchPath" => {
                let mut news = self.kept.subscribe();
                let mut stream = head(&mut response)?;
                loop {
                    let kept = *news.borrow_and_update();
                    let is_told = !matches!(plan, Plan::CutUntold(_) | Plan::Stale(_));
                    if let Some(kept) = kept.filter(|_| is_told) {
                        send(&mut stream, &pb::WatchPathResponse { path: Some(path(kept)) })?;
                        if kept.is_complete {
                            return status(&mut stream, 0);
                        }
                    }
                    news.changed().await.ok()?;
                }
            }
            _ => {
                let end = self.record(messages, plan, &cut).await;
                self.ends.send_modify(|ends| ends.push(end));
                if end != End::Closed || plan == Plan::LoseReply {
                    cut.notify_one();
                    return None;
                }
                let kept = (*self.kept.borrow()).unwrap_or_default();
                let mut stream = head(&mut response)?;
                let reply = pb::RecordPathResponse {
                    complete: kept.is_complete,
                    committed_points: kept.points,
                    summary: path(kept).summary,
                    ..Default::default()
                };
                send(&mut stream, &reply)?;
                status(&mut stream, 0)
            }
        }
    }

    async fn record(&self, mut messages: Messages, plan: Plan, cut: &Notify) -> End {
        if plan == Plan::Glimpse {
            return End::Lost;
        }
        loop {
            let message: pb::RecordPathRequest = match messages.next().await {
                Ok(Some(message)) => message,
                Ok(None) if plan == Plan::Forgetful => std::future::pending().await,
                Ok(None) => return End::Closed,
                Err(error) if error.is_remote() && error.is_reset() => {
                    return End::Reset(error.reason().unwrap());
                }
                Err(_) => return End::Lost,
            };
            if plan == Plan::Forgetful {
                continue;
            }
            let mut kept = (*self.kept.borrow()).unwrap_or_default();
            let mut seen = self.seen();
            let (mut x, mut offset) = (0, message.write_offset);
            for difference in message.columns.unwrap_or_default().x {
                x += difference;
                assert_eq!(x, i64::try_from(offset).unwrap(), "a point is in another place");
                assert!(offset <= kept.points, "points are missing");
                match offset < kept.points {
                    true => seen.duplicates += 1,
                    false => kept.points += 1,
                }
                offset += 1;
            }
            seen.finishes += u64::from(message.finish_write && !kept.is_complete);
            kept.is_complete |= message.finish_write;
            *self.seen.lock().unwrap() = seen;
            self.kept.send_replace(Some(kept));
            if matches!(plan, Plan::Cut(limit) | Plan::CutUntold(limit) if kept.points >= limit) {
                cut.notify_one();
                return End::Lost;
            }
        }
    }
}

fn path(kept: Kept) -> pb::Path {
    let length = Some(kept.points.saturating_sub(1) as f64);
    let summary = pb::PathSummary {
        options: Some(pb::PathOptions { model: pb::Model::Planar.into(), ..Default::default() }),
        point_count: kept.points,
        length,
        raw_length: length,
        displacement: length,
        ..Default::default()
    };
    pb::Path {
        complete: kept.is_complete,
        committed_points: kept.points,
        summary: Some(summary),
        ..Default::default()
    }
}

fn head(response: &mut SendResponse<Bytes>) -> Option<SendStream<Bytes>> {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    response.send_response(head, false).ok()
}

fn send(stream: &mut SendStream<Bytes>, message: &impl Message) -> Option<()> {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(message.encoded_len().try_into().unwrap());
    message.encode(&mut bytes).unwrap();
    stream.send_data(bytes.freeze(), false).ok()
}

fn status(stream: &mut SendStream<Bytes>, code: u16) -> Option<()> {
    let trailers = [(http::HeaderName::from_static("grpc-status"), HeaderValue::from(code))];
    stream.send_trailers(HeaderMap::from_iter(trailers)).ok()
}

/// The messages of a request.
struct Messages {
    body: RecvStream,
    bytes: BytesMut,
}

impl Messages {
    async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, h2::Error> {
        loop {
            if let Some(prefix) = self.bytes.first_chunk::<5>() {
                let len = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
                if self.bytes.len() >= 5 + len {
                    self.bytes.advance(5);
                    return Ok(Some(M::decode(self.bytes.split_to(len)).unwrap()));
                }
            }
            let Some(data) = self.body.data().await else { return Ok(None) };
            let data = data?;
            self.body.flow_control().release_capacity(data.len())?;
            self.bytes.extend_from_slice(&data);
        }
    }
}

/// Makes a pipe and has the other end served.
struct Dial(Arc<Fake>);

impl Service<Uri> for Dial {
    type Response = TokioIo<DuplexStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let fake = Arc::clone(&self.0);
        let plan = fake.plans.lock().unwrap().pop_front().unwrap_or(Plan::Good);
        fake.seen.lock().unwrap().connections += 1;
        Box::pin(async move {
            if plan == Plan::Away {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (near, far) = tokio::io::duplex(1 << 16);
            tokio::spawn(fake.serve(far, plan));
            Ok(TokioIo::new(near))
        })
    }
}

fn fixes(count: u64) -> impl Iterator<Item = Fix> {
    (0..count).map(|x| Fix::new(Point::planar(x as f64, 0.0).unwrap()))
}

fn assert_whole(recorded: Result<Recorded, RecordError>, count: u64) {
    let recorded = recorded.unwrap();
    assert_eq!((recorded.point_count, recorded.summary.length), (count, count as f64 - 1.0));
}

#[tokio::test(start_paused = true)]
async fn a_finish_whose_answer_is_lost_is_done_once_and_asked_for_again() {
    let fake = Fake::new([Plan::LoseReply, Plan::LoseReply]);
    assert_whole(fake.recorder().record(stream::iter(fixes(3_500))).await, 3_500);
    assert_eq!(fake.seen(), Seen { connections: 3, duplicates: 0, finishes: 1 });
}

#[tokio::test(start_paused = true)]
async fn points_that_come_twice_do_no_harm() {
    let fake = Fake::new([Plan::CutUntold(2_000), Plan::Stale(1_500)]);
    assert_whole(fake.recorder().record(stream::iter(fixes(6_500))).await, 6_500);
    assert_eq!(fake.seen(), Seen { connections: 2, duplicates: 1_500, finishes: 1 });
}

#[tokio::test(start_paused = true)]
async fn points_that_turn_out_to_be_there_are_not_sent() {
    // Durable once GetPath has answered, by the stream of before.
    for late in [1, 500, 999, 1_000, 2_000] {
        let fake = Fake::new([Plan::CutUntold(2_000), Plan::Late(late)]);
        assert_whole(fake.recorder().record(stream::iter(fixes(6_500))).await, 6_500);
        assert_eq!(fake.seen().finishes, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_is_dropped_resets_the_stream_and_does_not_close_it() {
    let fake = Fake::new([]);
    let (sender, receiver) = mpsc::unbounded_channel();
    fixes(1_500).for_each(|fix| sender.send(fix).unwrap());
    let record = fake.recorder().record(UnboundedReceiverStream::new(receiver));
    let record = tokio::spawn(record);
    let is_there = |kept: &Option<Kept>| kept.is_some_and(|kept| kept.points == 1_500);
    fake.kept.subscribe().wait_for(is_there).await.unwrap();
    // The source ends with it.
    record.abort();
    drop(sender);
    let mut ends = fake.ends.subscribe();
    let ends = ends.wait_for(|ends| !ends.is_empty()).await.unwrap().clone();
    assert_eq!(ends, [End::Reset(Reason::CANCEL)]);
    assert_eq!(fake.seen().finishes, 0);
}

/// Counts the retries of a recorder.
fn counted(recorder: Recorder) -> (Recorder, Arc<Mutex<Vec<Duration>>>) {
    let waits = Arc::<Mutex<Vec<Duration>>>::default();
    let noted = Arc::clone(&waits);
    let recorder = recorder.on_event(move |event| {
        if let RecordEvent::Retrying { wait, .. } = event {
            noted.lock().unwrap().push(wait);
        }
    });
    (recorder, waits)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_for_long_and_comes_back_is_gone_on_with() {
    let away = [Plan::Away; 12];
    let fake = Fake::new([Plan::Cut(2_000)].into_iter().chain(away).chain([Plan::Cut(4_000)]));
    let (recorder, waits) = counted(fake.recorder());
    assert_whole(recorder.record(stream::iter(fixes(9_500))).await, 9_500);
    assert_eq!(fake.seen(), Seen { connections: 15, duplicates: 0, finishes: 1 });
    let waits = waits.lock().unwrap();
    assert_eq!(waits.len(), 14);
    let patience = Patience::default();
    for (tries, &wait) in (0..13).zip(&*waits) {
        assert!(wait <= patience.wait_max.min(patience.wait_min * 2_u32.pow(tries)), "{waits:?}");
    }
    // Something went well in between.
    assert!(waits[13] <= patience.wait_min, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_away_is_given_up_with_what_is_durable() {
    let seen = [Plan::Cut(2_000), Plan::Glimpse];
    let fake = Fake::new(seen.into_iter().chain([Plan::Away; 10_000]));
    let started = Instant::now();
    let error = fake.recorder().record(stream::iter(fixes(9_500))).await.unwrap_err();
    insta::assert_snapshot!(
        error,
        @"paths/x: nothing became durable for 300 s behind the first 2000 points: no connection to http://127.0.0.1:9: connection refused; is a server running there?"
    );
    let Patience { budget, wait_max, .. } = Patience::default();
    assert!((budget - wait_max..=budget).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(fake.seen().finishes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_and_keeps_nothing_is_given_up_too() {
    let fake = Fake::new([Plan::Forgetful; 1_000]);
    let started = Instant::now();
    let error = fake.recorder().record(stream::iter(fixes(9_500))).await.unwrap_err();
    insta::assert_snapshot!(
        error,
        @"paths/x: nothing became durable for 300 s behind the first 0 points: the server's reply makes no sense: the server answers, but what was sent does not become durable"
    );
    assert_eq!(started.elapsed().as_secs(), Patience::default().budget.as_secs());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_counts_as_a_lost_connection() {
    let mute = [Plan::MuteGet, Plan::Cut(2_000), Plan::MuteWatch, Plan::MuteGet];
    let fake = Fake::new(mute);
    let (recorder, waits) = counted(fake.recorder());
    let started = Instant::now();
    assert_whole(recorder.record(stream::iter(fixes(9_500))).await, 9_500);
    assert_eq!(fake.seen(), Seen { connections: 5, duplicates: 0, finishes: 1 });
    let waits = waits.lock().unwrap();
    assert_eq!(waits.len(), 4);
    let silent = started.elapsed() - waits.iter().sum::<Duration>();
    // Timers have steps of a millisecond.
    let stalls = ANSWER_TIME * 3..ANSWER_TIME * 3 + Duration::from_millis(20);
    assert!(stalls.contains(&silent), "{silent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_finished_recording_that_is_not_answered_again_is_asked_for_again() {
    let fake = Fake::new([Plan::MuteRecord]);
    fake.kept.send_replace(Some(Kept { points: 700, is_complete: true }));
    assert_whole(fake.recorder().record(stream::iter(fixes(700))).await, 700);
    assert_eq!(fake.seen().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up_when_the_budget_is_spent() {
    for mute in [Plan::MuteGet, Plan::MuteWatch] {
        let fake = Fake::new([mute; 1_000]);
        let (recorder, waits) = counted(fake.recorder());
        let started = Instant::now();
        let error = recorder.record(stream::iter(fixes(9_500))).await.unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                error,
                @"paths/x: nothing became durable for 300 s behind the first 0 points: the connection is open, and the server does not answer; it may hang, or a proxy may have lost it"
            );
        }
        let Patience { budget, wait_max, .. } = Patience::default();
        let elapsed = started.elapsed();
        assert!((budget - wait_max..budget + wait_max).contains(&elapsed), "{elapsed:?}");
        // Every one of them was told.
        assert!(waits.lock().unwrap().len() > 6);
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_a_server_that_never_answers_is_told_so() {
    let name = "paths/x".parse().unwrap();
    let client = Fake::new([Plan::MuteGet]).client().await;
    let started = Instant::now();
    let error = client.path(&name).await.unwrap_err();
    assert!(matches!(error, ClientError::Silent), "{error}");
    assert_eq!(started.elapsed().as_secs(), ANSWER_TIME.as_secs());
    let client = Fake::new([Plan::MuteWatch]).client().await;
    let error = client.watch_path(&name, true).await.map(drop).unwrap_err();
    assert!(matches!(error, ClientError::Silent), "{error}");
    assert_eq!(started.elapsed().as_secs(), 2 * ANSWER_TIME.as_secs());
    // One that has begun to answer may have no news for as long as it likes.
    let fake = Fake::new([]);
    let mut told = Box::pin(fake.client().await.watch_path(&name, true).await.unwrap());
    let news = tokio::spawn(async move { futures::StreamExt::next(&mut told).await });
    tokio::time::sleep(ANSWER_TIME * 100).await;
    fake.kept.send_replace(Some(Kept { points: 7, is_complete: true }));
    assert_eq!(news.await.unwrap().unwrap().unwrap().committed_points, 7);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_silent_spends_no_budget() {
    let fake = Fake::new([Plan::Cut(1_500)]);
    let (sender, receiver) = mpsc::unbounded_channel();
    fixes(1_000).for_each(|fix| sender.send(fix).unwrap());
    let record = tokio::spawn(fake.recorder().record(UnboundedReceiverStream::new(receiver)));
    let is_there = |kept: &Option<Kept>| kept.is_some_and(|kept| kept.points == 1_000);
    fake.kept.subscribe().wait_for(is_there).await.unwrap();
    tokio::time::sleep(Patience::default().budget * 3).await;
    fixes(2_000).skip(1_000).for_each(|fix| sender.send(fix).unwrap());
    drop(sender);
    assert_whole(record.await.unwrap(), 2_000);
    assert_eq!(fake.seen().connections, 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_word_of_a_stream_of_before_is_no_rival() {
    let fake = Fake::new([]);
    let (sender, receiver) = mpsc::unbounded_channel();
    fixes(100).for_each(|fix| sender.send(fix).unwrap());
    let record = tokio::spawn(fake.recorder().record(UnboundedReceiverStream::new(receiver)));
    let is_there = |kept: &Option<Kept>| kept.is_some_and(|kept| kept.points == 100);
    fake.kept.subscribe().wait_for(is_there).await.unwrap();
    // A process before this one had sent more.
    fake.kept.send_replace(Some(Kept { points: 700, is_complete: false }));
    let mut ends = fake.ends.subscribe();
    let ends = ends.wait_for(|ends| !ends.is_empty()).await.unwrap().clone();
    // Nothing is finished by that.
    assert_eq!((ends, fake.seen().finishes), (vec![End::Closed], 0));
    fixes(1_000).skip(100).for_each(|fix| sender.send(fix).unwrap());
    drop(sender);
    assert_whole(record.await.unwrap(), 1_000);
    assert_eq!(fake.seen(), Seen { connections: 2, duplicates: 0, finishes: 1 });
}

#[tokio::test(start_paused = true)]
async fn another_source_is_told_from_the_one_that_was_begun_with() {
    for is_complete in [false, true] {
        let fake = Fake::new([]);
        fake.kept.send_replace(Some(Kept { points: 700, is_complete }));
        let longer = fixes(700).map(|fix| match fix.point().x() {
            699.0 => Fix::new(Point::planar(699.5, 0.0).unwrap()),
            _ => fix,
        });
        let error = fake.recorder().record(stream::iter(longer)).await.unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                error,
                @"paths/x has 700 points already, and the first 700 of the source are others; record another path under another name"
            );
        }
        assert_whole(fake.recorder().record(stream::iter(fixes(700))).await, 700);
    }
}
