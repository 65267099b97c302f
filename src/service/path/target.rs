//! The path that a RecordPath stream adds points to: a recording, or a path without a name that is not stored.

use std::sync::Arc;

use super::convert::{self, summary_message};
use super::options_diff;
use super::point_buffer::{PointBuffer, first_error};
use super::recording_writer::RecordingWriter;
use super::request::PathMessage;
use super::scope::{PathName, Scope};
use super::shared::{Shared, unix_ms};
use crate::measure::{Options, PathAccumulator};
use crate::proto::waywiser_v1 as pb;
use crate::recording::{Recording, RecordingError};
use crate::service::Creations;
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, MessageRef};
use crate::service::work::Work;

/// The path of a stream.
pub(super) enum Target {
    /// A path without a name. Nothing is stored.
    Anonymous { accumulator: Box<PathAccumulator>, is_ended: bool },
    /// A recording.
    Named { name: PathName, options: Box<Options>, writer: Box<RecordingWriter> },
}

/// Opens the path of a stream.
pub(super) struct Opener {
    pub shared: Arc<Shared>,
    /// The recordings that the caller can use.
    pub scope: Scope,
    /// The limit on new recordings of the caller. Without it there is no limit.
    pub creations: Option<Creations>,
}

impl Opener {
    /// Opens the path that the first message of a stream names.
    ///
    /// # Errors
    /// If the message is not valid or the recording cannot be opened. A call that is refused at once creates no
    /// recording and does not end the stream of another writer.
    pub(super) async fn open(&self, message: &PathMessage<'_>) -> Result<Target, RpcError> {
        let (shared, view) = (&self.shared, &message.view);
        let options = message.check(view.write_offset.unwrap_or_default())?;
        let first_options = options.unwrap_or_default();
        if view.name.is_empty() {
            let accumulator = Box::new(PathAccumulator::new(first_options));
            return Ok(Target::Anonymous { accumulator, is_ended: false });
        }
        self.scope.check_writer()?;
        let name = self.scope.name(view.name, message.place())?;
        convert::check_recorded(&first_options)
            .map_err(|violations| RpcError::Fields { place: message.place(), violations })?;
        let refused = refused_at_first(message, first_options);
        if refused.is_some() || view.write_offset.is_none() {
            match (shared.stored(&name).await?, refused) {
                (None, Some(error)) => return Err(error),
                (Some(stored), _) if view.write_offset.is_none() => {
                    Recording::resume(stored, shared.policy).admit(None, message.point_count())?;
                }
                _ => {}
            }
        }
        // Reserved before the recording is opened, so that streams that open at the same time count as well.
        let reservation = self.creations.as_ref().and_then(Creations::reserve);
        if let (Some(creations), None) = (&self.creations, &reservation)
            && shared.stored(&name).await?.is_none()
        {
            let per_minute = creations.per_minute();
            return Err(RpcError::CreationRate { name: name.to_string(), per_minute });
        }
        let opened_unix_ms = unix_ms();
        let max_recordings = self.scope.max_recordings(&name);
        let mut writer =
            match RecordingWriter::open(shared, name.clone(), options, max_recordings).await {
                Ok(writer) => writer,
                Err(error) => {
                    return Err(options_diff::explain(error, shared, &name, options.as_ref()).await);
                }
            };
        let is_new = |recording: &mut Recording| recording.create_unix_ms() >= opened_unix_ms;
        if let Some(reservation) = reservation
            && writer.recording().is_some_and(is_new)
        {
            reservation.keep();
        }
        let options = writer.recording().map(|recording| *recording.accumulator().options());
        let options = Box::new(options.unwrap_or_default());
        Ok(Target::Named { name, options, writer: Box::new(writer) })
    }
}

impl Target {
    /// Returns the writer of a recording.
    pub(super) fn writer(&mut self) -> Option<&mut RecordingWriter> {
        match self {
            Self::Anonymous { .. } => None,
            Self::Named { writer, .. } => Some(writer),
        }
    }

    /// Returns the accumulator that points are added to, until the writer has ended.
    #[inline]
    pub(super) fn accumulator(&mut self) -> Option<&mut PathAccumulator> {
        match self {
            Self::Anonymous { accumulator, .. } => Some(accumulator),
            Self::Named { writer, .. } => writer.recording().map(Recording::accumulator_mut),
        }
    }

    /// Checks a message against the path. Returns the number of points at its start that the path already has, or
    /// `None` if the path has all of them.
    ///
    /// # Errors
    /// If the message is not valid or does not continue the path.
    #[inline]
    pub(super) fn admit(
        &mut self,
        message: &PathMessage<'_>,
        buffer: &PointBuffer,
    ) -> Result<Option<u64>, RpcError> {
        let view = &message.view;
        match self {
            Self::Anonymous { accumulator, is_ended } => {
                let point_count = accumulator.point_count() + buffer.len();
                let sent = message.check(point_count)?;
                if !view.name.is_empty() {
                    let text = "the stream began without a name; name it in the first message";
                    return Err(FieldViolation::new("name", text).at(message.place()));
                }
                same_options(message, sent, accumulator.options())?;
                if let Some(got) = view.write_offset
                    && got != point_count
                {
                    // Points of a path without a name are never durable.
                    let (expected, committed_points) = (point_count, 0);
                    let error = RecordingError::OffsetMismatch { expected, got, committed_points };
                    return Err(error.into());
                }
                if *is_ended && message.point_count() > 0 {
                    let text = "finish_write in an earlier message has ended the path; set it in the last message only";
                    return Err(
                        FieldViolation::new("points", text).at(MessageRef::From(point_count))
                    );
                }
                *is_ended |= view.is_end;
                Ok(Some(0))
            }
            Self::Named { name, options, writer } => {
                let next_offset = writer.recording().map_or(0, |recording| recording.next_offset());
                let sent = message.check(view.write_offset.unwrap_or(next_offset))?;
                if !view.name.is_empty() && !name.is(view.name) {
                    let text = format!(
                        "this stream writes {name}; open another stream for another recording"
                    );
                    return Err(FieldViolation::new("name", text).at(message.place()));
                }
                same_options(message, sent, options)?;
                // Once the writer has ended, `progress` returns the error before the next message.
                let Some(recording) = writer.recording() else { return Ok(None) };
                let count = message.point_count();
                let skip = recording.admit(view.write_offset, count)?.skip;
                Ok((skip < count).then_some(skip))
            }
        }
    }

    /// Ends the recording if the message ends the path. All points of the message were added.
    #[inline]
    pub(super) fn end_message(
        &mut self,
        message: &PathMessage<'_>,
        buffer: &mut PointBuffer,
        work: &mut Work,
    ) -> Result<(), RpcError> {
        if message.view.is_end
            && let Self::Named { writer, .. } = self
        {
            writer.fold(buffer, work)?;
            if let Some(recording) = writer.recording() {
                recording.end_here()?;
            }
        }
        Ok(())
    }

    /// Folds the points in the buffer.
    ///
    /// # Errors
    /// If a total is out of range.
    pub(super) fn fold(
        &mut self,
        buffer: &mut PointBuffer,
        work: &mut Work,
    ) -> Result<(), RpcError> {
        match self {
            Self::Anonymous { accumulator, .. } => buffer.flush(accumulator, work),
            Self::Named { writer, .. } => writer.fold(buffer, work),
        }
    }

    /// Returns the number of bytes that the path holds in addition to its own size.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Anonymous { accumulator, .. } => accumulator.heap_bytes(),
            Self::Named { writer, .. } => writer.heap_bytes(),
        }
    }

    /// Returns the number of folded points.
    pub(super) fn point_count(&mut self) -> u64 {
        self.accumulator().map_or(0, |accumulator| accumulator.point_count())
    }

    /// Commits the points before an error of the stream. Returns the error with the number of points that are durable
    /// then: a client that asks for the offset to continue from gets the same number.
    pub(super) async fn flush_after(&mut self, error: RpcError) -> RpcError {
        let Self::Named { name, writer, .. } = self else { return error };
        writer.flush().await;
        let error = error.named(name);
        match writer.recording() {
            Some(recording) => error.with_committed_points(recording.committed_points()),
            None => error,
        }
    }

    /// Returns the reply of a stream that was closed.
    ///
    /// # Errors
    /// If the points of a recording cannot be committed.
    pub(super) async fn reply(self) -> Result<pb::RecordPathResponse, RpcError> {
        let (name, complete, committed_points, skipped_points, accumulator) = match self {
            Self::Anonymous { accumulator, .. } => {
                (String::new(), true, accumulator.point_count(), 0, *accumulator)
            }
            Self::Named { name, writer, .. } => {
                let deleted = || RpcError::Deleted { name: name.to_string() };
                let recording = writer.close().await?.ok_or_else(deleted)?;
                let accumulator = recording.accumulator().clone();
                let points = (recording.committed_points(), recording.skipped_points());
                (name.to_string(), recording.is_complete(), points.0, points.1, accumulator)
            }
        };
        let summary = Some(summary_message(accumulator.options(), &accumulator.summary()));
        Ok(pb::RecordPathResponse { name, complete, committed_points, summary, skipped_points })
    }
}

/// Returns the reply to a stream without messages.
pub(super) fn empty_reply() -> pb::RecordPathResponse {
    let accumulator = PathAccumulator::new(Options::default());
    let summary = Some(summary_message(accumulator.options(), &accumulator.summary()));
    pb::RecordPathResponse { complete: true, summary, ..Default::default() }
}

/// Returns the error with which a new recording would refuse the first point of a message.
fn refused_at_first(message: &PathMessage<'_>, options: Options) -> Option<RpcError> {
    if let Some(got @ 1..) = message.view.write_offset {
        let (expected, committed_points) = (0, 0);
        return Some(RecordingError::Gap { expected, got, committed_points }.into());
    }
    first_error(&message.view, &options)
}

/// Checks that the options of a later message are those of the stream.
fn same_options(
    message: &PathMessage<'_>,
    sent: Option<Options>,
    options: &Options,
) -> Result<(), RpcError> {
    match sent {
        Some(other) if other != *options => {
            let violations = options_diff::differences(&other, options, "the stream");
            Err(RpcError::Fields { place: message.place(), violations })
        }
        _ => Ok(()),
    }
}
