//! RecordPath: a stream of pieces of one path, folded as they come and answered when it is closed.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use http::Request;
use tonic::body::Body;

use super::convert::summary_message;
use super::fold::{Folder, first_error};
use super::live::Live;
use super::options_diff;
use super::request::{self, PathPiece};
use super::shared::{Shared, unix_ms};
use crate::measure::{Options, PathAccumulator};
use crate::proto::waywiser_v1 as pb;
use crate::recording::RecordingName;
use crate::recording::{Recording, RecordingError};
use crate::service::body::RequestBody;
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, Place};
use crate::service::work::{SMALL_MESSAGE_BYTES, Step, Work};
use crate::service::{Creations, StreamLimits};
use crate::wire::Messages;

/// Where the points of a stream go.
enum Target {
    /// No message has come yet.
    Unknown,
    /// No name: nothing is stored.
    Anonymous { accumulator: Box<PathAccumulator>, is_ended: bool },
    /// A recording.
    Named { name: RecordingName, options: Options, live: Box<Live> },
}

/// What a stream needs to open its recording.
#[derive(Clone, Copy)]
struct Opener<'a> {
    shared: &'a Arc<Shared>,
    /// How many recordings the peer may create; `None` is no limit.
    creations: Option<&'a Creations>,
}

/// Folds a stream.
///
/// # Errors
/// At the first message that is wrong, and when the stream ends without being closed. What was folded of
/// a recording before is committed all the same.
pub(super) async fn record_path(
    mut request: Request<Body>,
    limits: StreamLimits,
    shared: Arc<Shared>,
) -> Result<pb::RecordPathResponse, RpcError> {
    let creations = request.extensions_mut().remove::<Creations>();
    let (mut body, encoding) = RequestBody::open(request, &limits)?;
    let mut messages = limits.messages(encoding);
    let mut target = Target::Unknown;
    while let Some(chunk) = target.next_chunk(&mut body).await? {
        let mut folder = Folder::default();
        let opener = Opener { shared: &shared, creations: creations.as_ref() };
        let taken = target.take_chunk(opener, &mut body, &mut messages, &chunk, &mut folder).await;
        // What came before an error was taken in order, and counts.
        let folded = target.fold(&mut folder, body.work());
        body.progress().set_points(target.point_count());
        body.set_held(messages.held_bytes());
        if let Err(error) = folded.and(taken) {
            return Err(target.settled(error).await);
        }
    }
    if let Err(error) = messages.finish() {
        return Err(target.settled(error.into()).await);
    }
    target.reply().await
}

impl Target {
    /// What the first message says that the stream is about.
    async fn open(
        opener: Opener<'_>,
        piece: &PathPiece<'_>,
        options: Option<Options>,
    ) -> Result<Self, RpcError> {
        let shared = opener.shared;
        let begun_with = options.unwrap_or_default();
        if piece.name.is_empty() {
            let accumulator = Box::new(PathAccumulator::new(begun_with));
            return Ok(Self::Anonymous { accumulator, is_ended: false });
        }
        let name = path_name(&piece.name).map_err(|violation| violation.at(piece.place()))?;
        // A call that is refused at once creates no recording, and does not end another writer's stream.
        let refused = refused_at_first(piece, begun_with);
        if refused.is_some() || piece.write_offset.is_none() {
            match (shared.stored(&name).await?, refused) {
                (None, Some(error)) => return Err(error),
                (Some(stored), _) if piece.write_offset.is_none() => {
                    Recording::resume(stored, shared.pace).admit(None, piece.points.len())?;
                }
                _ => {}
            }
        }
        // Taken before the recording is opened, so that streams that open at the same time count as well.
        let reservation = opener.creations.and_then(Creations::reserve);
        if let (Some(creations), None) = (opener.creations, &reservation)
            && shared.stored(&name).await?.is_none()
        {
            let per_minute = creations.per_minute();
            return Err(RpcError::CreationRate { name: name.to_string(), per_minute });
        }
        let opened_unix_ms = unix_ms();
        let mut live = match Live::open(shared, name.clone(), options).await {
            Ok(live) => live,
            Err(error) => {
                return Err(options_diff::explain(error, shared, &name, options.as_ref()).await);
            }
        };
        let is_new = |recording: &mut Recording| recording.create_unix_ms() >= opened_unix_ms;
        if let Some(reservation) = reservation
            && live.recording().is_some_and(is_new)
        {
            reservation.keep();
        }
        let options = live.recording().map(|recording| *recording.accumulator().options());
        let options = options.unwrap_or_default();
        Ok(Self::Named { name, options, live: Box::new(live) })
    }

    /// The next bytes of the stream. The store makes progress meanwhile, and the stream never waits for it.
    async fn next_chunk(&mut self, body: &mut RequestBody) -> Result<Option<Bytes>, RpcError> {
        let Self::Named { live, .. } = self else { return body.chunk().await };
        loop {
            tokio::select! {
                biased;
                outcome = live.progress() => outcome?,
                chunk = body.chunk() => return chunk,
            }
        }
    }

    /// Takes the messages of a chunk. Their points may then still be in the folder. Yields between blocks of points
    /// and between steps of inflating; a caller that drops it there has folded a part of the message at most.
    async fn take_chunk(
        &mut self,
        opener: Opener<'_>,
        body: &mut RequestBody,
        messages: &mut Messages,
        mut chunk: &[u8],
        folder: &mut Folder,
    ) -> Result<(), RpcError> {
        loop {
            self.take_small(messages, &mut chunk, folder, body.work())?;
            if body.work().is_spent() {
                self.pause(body, folder).await?;
                continue;
            }
            if let Some(step) = messages.inflate_step(&mut chunk)? {
                body.work().add_inflated(step);
                continue;
            }
            let index = messages.message_count();
            let Some(message) = messages.next(&mut chunk)? else { return Ok(()) };
            let piece = match request::read_in_place::<pb::RecordPathRequest>(message, index)? {
                Some(piece) => piece,
                None => {
                    if body.work().is_spent_by_recoding(message.len()) {
                        self.pause(body, folder).await?;
                    }
                    request::recode::<pb::RecordPathRequest>(message, index)?
                }
            };
            piece.charge(message.len(), body.work());
            let options = piece.check(self.base(&piece, folder))?;
            if let Self::Unknown = self {
                // Boxed, since it is larger than all else that this future keeps.
                let open = Self::open(opener, &piece, options.as_deref().copied());
                *self = Box::pin(open).await?;
            }
            let skip = self.admit(&piece, options.as_deref(), folder)?;
            if let Some(skip) = skip
                && let Some(accumulator) = self.accumulator()
            {
                let mut adder = folder.begin(accumulator, &piece.points, skip)?;
                loop {
                    if body.work().is_spent() {
                        self.pause(body, folder).await?;
                    }
                    let Some(accumulator) = self.accumulator() else { break };
                    if folder.add(accumulator, &mut adder, body.work())? == Step::Done {
                        break;
                    }
                }
            }
            self.end_message(&piece, folder, body.work())?;
        }
    }

    /// Takes messages of a few points each until the work is spent or another message follows. Without a place to yield
    /// the compiler keeps their parts in registers, which halves what such a message costs.
    fn take_small(
        &mut self,
        messages: &mut Messages,
        chunk: &mut &[u8],
        folder: &mut Folder,
        work: &mut Work,
    ) -> Result<(), RpcError> {
        if let Self::Unknown = self {
            return Ok(());
        }
        while !work.is_spent() {
            let index = messages.message_count();
            let Some(message) = messages.next_small(chunk, SMALL_MESSAGE_BYTES) else {
                return Ok(());
            };
            let piece = request::read::<pb::RecordPathRequest>(message, index)?;
            piece.charge(message.len(), work);
            let options = piece.check(self.base(&piece, folder))?;
            let skip = self.admit(&piece, options.as_deref(), folder)?;
            if let Some(skip) = skip
                && let Some(accumulator) = self.accumulator()
            {
                folder.add_all(accumulator, &piece.points, skip, work)?;
            }
            self.end_message(&piece, folder, work)?;
        }
        Ok(())
    }

    /// Folds what was taken, so that a recording contains it if this future is dropped, lets the store make progress, and
    /// yields.
    ///
    /// # Errors
    /// When a total is out of range, and when this writer has ended.
    async fn pause(&mut self, body: &mut RequestBody, folder: &mut Folder) -> Result<(), RpcError> {
        self.fold(folder, body.work())?;
        folder.release();
        body.progress().set_points(self.point_count());
        if let Self::Named { live, .. } = self {
            live.progress().now_or_never().unwrap_or(Ok(()))?;
        }
        body.work().pause().await;
        Ok(())
    }

    /// The offset of the first point of a message.
    fn base(&mut self, piece: &PathPiece<'_>, folder: &Folder) -> u64 {
        match self {
            Self::Anonymous { accumulator, .. } => accumulator.point_count() + folder.len(),
            Self::Unknown => piece.write_offset.unwrap_or_default(),
            Self::Named { live, .. } => {
                let next = live.recording().map_or(0, |recording| recording.next_offset());
                piece.write_offset.unwrap_or(next)
            }
        }
    }

    /// Checks a message against the path. Returns how many of its points the path has, or `None` if it has all.
    fn admit(
        &mut self,
        piece: &PathPiece<'_>,
        sent: Option<&Options>,
        folder: &mut Folder,
    ) -> Result<Option<u64>, RpcError> {
        let count = piece.points.len();
        match self {
            Self::Unknown => Ok(None),
            Self::Anonymous { accumulator, is_ended } => {
                if !piece.name.is_empty() {
                    let text = "the stream began without a name; name it in the first message";
                    return Err(FieldViolation::new("name", text).at(piece.place()));
                }
                same_options(piece, sent, accumulator.options())?;
                let point_count = accumulator.point_count() + folder.len();
                if let Some(got) = piece.write_offset
                    && got != point_count
                {
                    // Without a name no point is durable.
                    let (expected, committed_points) = (point_count, 0);
                    let error = RecordingError::OffsetMismatch { expected, got, committed_points };
                    return Err(error.into());
                }
                if *is_ended && count > 0 {
                    let text = "finish_write has ended the path before: set it in the last message";
                    return Err(FieldViolation::new("points", text).at(Place::From(point_count)));
                }
                *is_ended |= piece.is_end;
                Ok(Some(0))
            }
            Self::Named { name, options, live } => {
                if !piece.name.is_empty() && piece.name != name.as_str() {
                    let text = format!("the stream is about {name}; open another for another path");
                    return Err(FieldViolation::new("name", text).at(piece.place()));
                }
                same_options(piece, sent, options)?;
                // Once it is over, `progress` says so before the next message.
                let Some(recording) = live.recording() else { return Ok(None) };
                let skip = recording.admit(piece.write_offset, count)?.skip;
                Ok((skip < count).then_some(skip))
            }
        }
    }

    /// The accumulator that points go into.
    fn accumulator(&mut self) -> Option<&mut PathAccumulator> {
        match self {
            Self::Unknown => None,
            Self::Anonymous { accumulator, .. } => Some(accumulator),
            Self::Named { live, .. } => live.recording().map(Recording::accumulator_mut),
        }
    }

    /// Notes the end of the path if the message sets it; all of its points were added.
    fn end_message(
        &mut self,
        piece: &PathPiece<'_>,
        folder: &mut Folder,
        work: &mut Work,
    ) -> Result<(), RpcError> {
        if let Self::Named { live, .. } = self
            && piece.is_end
            && let Some(recording) = live.recording()
        {
            fold(recording, folder, work)?;
            recording.end_here()?;
        }
        Ok(())
    }

    /// Folds what is in the folder.
    fn fold(&mut self, folder: &mut Folder, work: &mut Work) -> Result<(), RpcError> {
        match self {
            Self::Unknown => Ok(()),
            Self::Anonymous { accumulator, .. } => folder.flush(accumulator, work),
            Self::Named { live, .. } => {
                live.recording().map_or(Ok(()), |recording| fold(recording, folder, work))
            }
        }
    }

    fn point_count(&mut self) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Anonymous { accumulator, .. } => accumulator.point_count(),
            Self::Named { live, .. } => {
                live.recording().map_or(0, |recording| recording.accumulator().point_count())
            }
        }
    }

    /// Commits the points that came before an error of the stream, and returns the error with the number of
    /// points that are durable then: a client that asks for the offset to continue from gets the same number.
    async fn settled(&mut self, error: RpcError) -> RpcError {
        let Self::Named { live, .. } = self else { return error };
        live.settle().await;
        match live.recording() {
            Some(recording) => error.with_committed_points(recording.committed_points()),
            None => error,
        }
    }

    /// The stream was closed.
    async fn reply(self) -> Result<pb::RecordPathResponse, RpcError> {
        let (name, complete, committed_points, skipped_points, accumulator) = match self {
            Self::Unknown => {
                let accumulator = PathAccumulator::new(Options::default());
                (String::new(), true, 0, 0, accumulator)
            }
            Self::Anonymous { accumulator, .. } => {
                (String::new(), true, accumulator.point_count(), 0, *accumulator)
            }
            Self::Named { name, live, .. } => {
                let gone = || RpcError::Deleted { name: name.to_string() };
                let recording = live.close().await?.ok_or_else(gone)?;
                let accumulator = recording.accumulator().clone();
                let points = (recording.committed_points(), recording.skipped_points());
                (name.to_string(), recording.is_complete(), points.0, points.1, accumulator)
            }
        };
        let summary = summary_message(accumulator.options(), &accumulator.summary());
        let summary = Some(summary);
        Ok(pb::RecordPathResponse { name, complete, committed_points, summary, skipped_points })
    }
}

/// Folds what is in the folder, and notes that in the recording.
fn fold(recording: &mut Recording, folder: &mut Folder, work: &mut Work) -> Result<(), RpcError> {
    let outcome = folder.flush(recording.accumulator_mut(), work);
    recording.folded(unix_ms());
    outcome
}

/// Why not even the first point of a message would be taken if the recording began with it.
fn refused_at_first(piece: &PathPiece<'_>, options: Options) -> Option<RpcError> {
    if let Some(got @ 1..) = piece.write_offset {
        let (expected, committed_points) = (0, 0);
        return Some(RecordingError::Gap { expected, got, committed_points }.into());
    }
    first_error(&piece.points, &options)
}

/// The name of a recording.
pub(super) fn path_name(name: &str) -> Result<RecordingName, FieldViolation> {
    name.parse::<RecordingName>().map_err(|error| FieldViolation::new("name", error.to_string()))
}

/// Checks the options of a later message: they belong to the whole stream.
fn same_options(
    piece: &PathPiece<'_>,
    sent: Option<&Options>,
    options: &Options,
) -> Result<(), RpcError> {
    match sent {
        Some(other) if other != options => {
            let violations = options_diff::differences(other, options, "the stream");
            Err(RpcError::Fields { place: piece.place(), violations })
        }
        _ => Ok(()),
    }
}
