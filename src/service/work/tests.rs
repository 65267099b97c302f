//! The work per poll of a call: bounded for any input, and without an effect on the answer.

use std::future::{Future, poll_fn};
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use prost::Message as _;
use tonic::body::Body;
use tower_service::Service as _;

use super::*;
use crate::measure::{Fix, Metric, Options, PathAccumulator, Point};
use crate::proto::{my_package, waywiser_v1 as pb};
use crate::recording::CheckpointPolicy;
use crate::recording::{CheckpointStore as _, RecordingName};
use crate::service::{DisplacementService, PathService, Progress, StreamLimits};
use crate::store::MemoryStore;

/// The largest work without a yield: two blocks of points with three long legs each, one that became full and the one
/// that is folded before the stream yields, and the columns that are added again after each point without a position.
const PIECE_MAX_NS: u64 = 3_000_000;

/// A request body whose frames are all available. Without an end, it repeats its last frame.
struct Frames {
    frames: Vec<Bytes>,
    next: usize,
    is_endless: bool,
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let at = if self.is_endless { self.next.min(self.frames.len() - 1) } else { self.next };
        self.next += 1;
        Poll::Ready(self.frames.get(at).map(|bytes| Ok(Frame::data(bytes.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        !self.is_endless && self.next >= self.frames.len()
    }
}

const RECORD: &str = "/waywiser.v1.PathService/RecordPath";
const MEASURE: &str = "/waywiser.v1.PathService/MeasurePaths";
const LENGTH: &str = "/my_package.DisplacementService/computePathLength";
const DISPLACEMENT: &str = "/my_package.DisplacementService/computeDisplacement";

struct Calls {
    path: &'static str,
    is_gzip: bool,
    max_ns: u64,
    most_ns: Arc<AtomicU64>,
    progress: Arc<Progress>,
    store: Arc<MemoryStore>,
    policy: CheckpointPolicy,
}

impl Calls {
    fn new(path: &'static str, is_gzip: bool, max_ns: u64) -> Self {
        Self {
            path,
            is_gzip,
            max_ns,
            most_ns: Arc::default(),
            progress: Arc::default(),
            store: Arc::new(MemoryStore::default()),
            policy: CheckpointPolicy::default(),
        }
    }

    fn paths(&self) -> PathService {
        let limits = StreamLimits { max_inflation_ratio: 2000, ..StreamLimits::default() };
        PathService::new(limits, self.store.clone(), self.policy)
    }

    fn call(&self, frames: Frames) -> crate::service::method::ResponseFuture {
        let work = TestBudget { max_ns: self.max_ns, most_ns: self.most_ns.clone() };
        let mut request = Request::new(Body::new(frames));
        *request.uri_mut() = self.path.parse().unwrap();
        request.extensions_mut().insert(work);
        request.extensions_mut().insert(self.progress.clone());
        if self.is_gzip {
            request.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
        }
        if self.path.starts_with("/my_package") {
            let limits = StreamLimits { max_inflation_ratio: 2000, ..StreamLimits::default() };
            return DisplacementService::new(limits).call(request);
        }
        self.paths().call(request)
    }

    /// Returns the whole answer, and the most work between two yields.
    async fn answer(&self, bytes: &[u8], chunk: usize) -> ((Bytes, HeaderMap, HeaderMap), u64) {
        let frames = bytes.chunks(chunk).map(Bytes::copy_from_slice).collect();
        let response = self.call(Frames { frames, next: 0, is_endless: false }).await.unwrap();
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        ((collected.to_bytes(), parts.headers, trailers), self.most_ns.load(Relaxed))
    }
}

fn framed(message: &[u8], is_gzip: bool) -> Vec<u8> {
    let payload = if is_gzip {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(message).unwrap();
        encoder.finish().unwrap()
    } else {
        message.to_vec()
    };
    let mut frame = vec![u8::from(is_gzip)];
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend(payload);
    frame
}

/// The encoding of the points of a message.
#[derive(Clone, Copy, Debug)]
enum Form {
    Rows,
    Columns,
    /// Rows with an unknown field after them, which are decoded by prost.
    Odd,
}

/// The legs of a path, in whole degrees or in units of 1e-4 degree.
fn position(i: usize, is_far: bool) -> (i64, i64) {
    let i = i as i64;
    if is_far { (i % 2 * 179 - i % 7, i % 3 - 1) } else { (i * 3 % 1000, i * 7 % 500) }
}

/// Every point whose index is a multiple of `invalid_every` has no valid position.
fn pieces(
    options: &pb::PathOptions,
    (count, message_points): (usize, usize),
    form: Form,
    (is_far, invalid_every): (bool, usize),
) -> Vec<pb::RecordPathRequest> {
    let position = |i: usize| match i.is_multiple_of(invalid_every) {
        // Out of range in each unit of the tests.
        true => (0, 1 << 60),
        false => position(i, is_far),
    };
    let all: Vec<usize> = (0..count).collect();
    let mut last = (0, 0);
    all.chunks(message_points)
        .map(|indices| {
            let mut piece = pb::RecordPathRequest::default();
            if indices[0] == 0 {
                piece.options = Some(options.clone());
            }
            if let Form::Columns = form {
                let mut columns = pb::PointColumns::default();
                last = (0, 0);
                for &i in indices {
                    let (x, y) = position(i);
                    columns.x.push(x - last.0);
                    columns.y.push(y - last.1);
                    columns.time_ms.push(if i == indices[0] { i as i64 } else { 1 });
                    last = (x, y);
                }
                piece.columns = Some(columns);
                return piece;
            }
            piece.points = indices
                .iter()
                .map(|&i| {
                    let (x, y) = position(i);
                    let scale = options.xy_resolution;
                    pb::Point { x: x as f64 * scale, y: y as f64 * scale, ..Default::default() }
                })
                .collect();
            piece
        })
        .collect()
}

/// Encodes messages of one path as a request body of RecordPath or MeasurePaths.
fn body(path: &str, pieces: &[pb::RecordPathRequest], form: Form, is_gzip: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let is_last = index + 1 == pieces.len();
        let mut message = if path == RECORD {
            piece.encode_to_vec()
        } else {
            let piece = piece.clone();
            pb::MeasurePathsRequest {
                path_id: "a".to_owned(),
                options: piece.options,
                points: piece.points,
                columns: piece.columns,
                end_path: is_last,
            }
            .encode_to_vec()
        };
        if let Form::Odd = form {
            message.extend([0x78, 1]);
        }
        bytes.extend(framed(&message, is_gzip));
    }
    bytes
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_call_works_for_a_limited_time_per_poll_and_answers_the_same_with_any_limit(
        (record, is_gzip, is_far, has_filter) in any::<(bool, bool, bool, bool)>(),
        invalid_every in prop::sample::select(vec![1, 2, 50, usize::MAX]), invalid_points in 2..=3_i32,
        form in prop::sample::select(vec![Form::Rows, Form::Columns, Form::Odd]),
        model in 1..=3_i32, elevation_mode in 0..3_i32,
        points in (1..700_usize, prop::sample::select(vec![1, 2, 30, 255, 300, 700])),
        chunk in prop::sample::select(vec![1, 100, 16_384]),
        max_ns in prop::sample::select(vec![1, 1_000, 50_000, WORK_MAX_NS]),
    ) {
        let mut options = pb::PathOptions { model, elevation_mode, invalid_points, ..Default::default() };
        options.xy_resolution = if is_far { 1.0 } else { 1e-4 };
        if has_filter {
            let max_speed = 1e-3;
            match model {
                3 => options.max_speed = max_speed,
                _ => options.max_speed_mps = max_speed,
            }
            options.reanchor_count = 16;
        }
        let path = if record { RECORD } else { MEASURE };
        let bytes = body(path, &pieces(&options, points, form, (is_far, invalid_every)), form, is_gzip);
        let (expected, _) = block_on(Calls::new(path, is_gzip, u64::MAX).answer(&bytes, 1 << 20));
        let (answer, most_ns) = block_on(Calls::new(path, is_gzip, max_ns).answer(&bytes, chunk));
        prop_assert_eq!(answer, expected);
        prop_assert!(most_ns <= max_ns + PIECE_MAX_NS, "{} ns", most_ns);
    }

    #[test]
    fn points_of_the_published_contract_are_folded_the_same_with_any_limit(
        points in prop::collection::vec(any::<(i32, i32)>(), 0..700), is_gzip: bool,
        unknown in 0..50_usize, chunk in prop::sample::select(vec![1, 100, 16_384]),
        max_ns in prop::sample::select(vec![1, 1_000, WORK_MAX_NS]),
    ) {
        let mut bytes = Vec::new();
        for (index, &(x, y)) in points.iter().enumerate() {
            let mut message = my_package::Point { x, y }.encode_to_vec();
            if index % 50 < unknown {
                message.extend([0x78, 1].repeat(unknown));
            }
            bytes.extend(framed(&message, is_gzip && index % 3 == 0));
        }
        let (expected, _) = block_on(Calls::new(LENGTH, is_gzip, u64::MAX).answer(&bytes, 1 << 20));
        let (answer, most_ns) = block_on(Calls::new(LENGTH, is_gzip, max_ns).answer(&bytes, chunk));
        prop_assert_eq!(answer, expected);
        prop_assert!(most_ns <= max_ns + PIECE_MAX_NS, "{} ns", most_ns);
    }
}

#[test]
fn a_stream_of_points_without_a_position_yields() {
    let options = pb::PathOptions { model: 1, xy_resolution: 1e-4, ..Default::default() };
    let options = pb::PathOptions { invalid_points: 2, ..options };
    for form in [Form::Rows, Form::Columns, Form::Odd] {
        for path in [RECORD, MEASURE] {
            let bytes = body(path, &pieces(&options, (9_000, 900), form, (false, 1)), form, false);
            let calls = Calls::new(path, false, WORK_MAX_NS);
            let (_, most_ns) = block_on(calls.answer(&bytes, 1 << 20));
            assert_eq!(calls.progress.point_count(), 9_000);
            // 9 000 points would be about 1.3 ms of work.
            assert!((WORK_MAX_NS..2 * WORK_MAX_NS).contains(&most_ns), "{form:?}: {most_ns}");
        }
    }
}

/// Returns a gzip message of 200 bytes with 6 400 legs across the Earth.
fn worst_message(path: &str) -> Vec<u8> {
    let options = pb::PathOptions { model: 1, xy_resolution: 1.0, ..Default::default() };
    let x = (0..6_400).map(|i| if i % 2 == 0 { 63 } else { -63 }).collect();
    let columns = Some(pb::PointColumns { x, y: vec![0; 6_400], ..Default::default() });
    let message = match path {
        RECORD => {
            let options = Some(options);
            pb::RecordPathRequest { options, columns, ..Default::default() }.encode_to_vec()
        }
        MEASURE => {
            let options = Some(options);
            pb::MeasurePathsRequest { options, columns, ..Default::default() }.encode_to_vec()
        }
        _ => Vec::new(),
    };
    framed(&message, true)
}

#[tokio::test]
async fn a_poll_folds_a_limited_number_of_the_longest_legs_from_one_frame() {
    let message = worst_message(RECORD);
    assert!(message.len() < 256, "{} bytes", message.len());
    let calls = Calls::new(RECORD, true, WORK_MAX_NS);
    let frame = Bytes::from(message.repeat(3));
    let mut call = calls.call(Frames { frames: vec![frame], next: 0, is_endless: false });
    let (mut folded, mut polls) = (0, 0);
    loop {
        let poll = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        polls += 1;
        let newly = calls.progress.point_count() - folded;
        folded += newly;
        assert!(newly <= WORK_MAX_NS / 1_000 + 2 * 256, "{newly} legs in poll {polls}");
        if poll.is_ready() {
            break;
        }
    }
    assert_eq!(folded, 3 * 6_400);
    assert!(polls > 20, "{polls} polls");
}

#[tokio::test]
async fn timers_and_other_tasks_run_while_a_stream_always_has_work() {
    for path in [RECORD, MEASURE, LENGTH] {
        let calls = Calls::new(path, true, WORK_MAX_NS);
        let frame = Bytes::from(worst_message(path).repeat(20));
        let call = calls.call(Frames { frames: vec![frame], next: 0, is_endless: true });
        let stream = tokio::spawn(async move {
            let response = call.await.unwrap();
            response.into_body().collect().await.unwrap();
        });
        let other = tokio::spawn(async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        other.await.unwrap();
        stream.abort();
        assert!(stream.await.unwrap_err().is_cancelled());
        assert!(calls.progress.point_count() > 0);
    }
}

/// Returns a recording whose commits are due at once, and its body of one chunk.
fn recording() -> (Calls, Frames) {
    let mut calls = Calls::new(RECORD, true, WORK_MAX_NS);
    calls.policy.interval = Duration::ZERO;
    let opening = pb::RecordPathRequest { name: "paths/a".to_owned(), ..Default::default() };
    let opening = pb::RecordPathRequest {
        options: Some(pb::PathOptions { model: 1, xy_resolution: 1.0, ..Default::default() }),
        ..opening
    };
    let chunk = [framed(&opening.encode_to_vec(), true), worst_message(RECORD)].concat();
    (calls, Frames { frames: vec![chunk.into()], next: 0, is_endless: false })
}

async fn committed(calls: &Calls) -> PathAccumulator {
    let name: RecordingName = "paths/a".parse().unwrap();
    calls.store.load(name).await.unwrap().unwrap().accumulator
}

#[tokio::test]
async fn a_recording_that_is_dropped_inside_a_message_keeps_the_folded_points() {
    let (mut calls, frames) = recording();
    calls.policy.interval = Duration::from_secs(1000);
    let service = calls.paths();
    let mut call = {
        let mut service = service.clone();
        let mut request = Request::new(Body::new(frames));
        *request.uri_mut() = RECORD.parse().unwrap();
        request.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
        request.extensions_mut().insert(calls.progress.clone());
        service.call(request)
    };
    while calls.progress.point_count() == 0 {
        assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await);
    }
    let folded = calls.progress.point_count();
    assert!(folded < 6_400, "{folded}");
    drop(call);
    service.flushed().await;
    assert_eq!(calls.progress.point_count(), folded);

    let options = Options::builder(Metric::Geodesic).xy_resolution(1.0).build().unwrap();
    let mut expected = PathAccumulator::new(options);
    let points = (0..folded).map(|i| Point::geographic(0.0, if i % 2 == 0 { 63.0 } else { 0.0 }));
    let fixes: Vec<_> = points.map(|point| Fix::new(point.unwrap())).collect();
    expected.extend(&fixes).unwrap();
    assert_eq!(committed(&calls).await, expected);
}

#[tokio::test]
async fn a_recording_is_committed_inside_a_message() {
    let (calls, frames) = recording();
    let mut call = calls.call(frames);
    // All points are in one chunk, so points that are durable before the end were committed inside it.
    loop {
        assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await);
        assert!(calls.progress.point_count() < 6_400);
        if calls.progress.point_count() > 0 && committed(&calls).await.point_count() > 0 {
            break;
        }
    }
}

#[tokio::test]
async fn a_unary_request_is_inflated_in_pieces() {
    let member = crate::wire::empty_dynamic_blocks(4_000);
    let mut frame = vec![1];
    frame.extend((member.len() as u32).to_be_bytes());
    frame.extend(member);
    for path in [DISPLACEMENT, LENGTH, RECORD, MEASURE] {
        let calls = Calls::new(path, true, WORK_MAX_NS);
        let (_, most_ns) = calls.answer(&frame, 1 << 20).await;
        assert!((WORK_MAX_NS..WORK_MAX_NS + PIECE_MAX_NS).contains(&most_ns), "{path}: {most_ns}");
    }
}
