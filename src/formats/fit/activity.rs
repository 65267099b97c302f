//! Turns the records, events and sessions of a FIT file into tracks.
//!
//! Each session is a track. Sessions usually follow the records that they describe, so the records are stored
//! until the end of the file, up to [`RECORDS_MAX`]. A record belongs to the last session that started before
//! it. After that number of records the sessions up to then decide; without one the file is one track.

use super::super::error::{FormatError, Position};
use super::super::note::NoteKind;
use super::super::sink::TrackKind;
use super::super::track_writer::TrackWriter;
use super::definition::Definition;
use super::profile::{self, course, event, file_id, lap, record, session, sport};
use super::tracks::{Record, Tracks};

/// The number of records that are stored: 36 hours of one record a second.
pub(super) const RECORDS_MAX: usize = 1 << 17;
/// The number of sessions that are stored.
const SESSIONS_MAX: usize = 256;

/// A session, as its message describes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Session {
    /// The start, in the unit of the file.
    pub start_time: u32,
    pub distance_m: Option<f64>,
    pub name: Option<String>,
}

/// The content of a FIT file so far.
#[derive(Default)]
pub(super) struct Activity {
    file_type: Option<i64>,
    /// The name of the course or, without a session, of the sport.
    name: Option<String>,
    sessions: Vec<Session>,
    /// The sum of the distances of the laps.
    lap_distance_m: Option<f64>,
    /// The last record. The next message may complete it.
    last: Option<Record>,
    records: Vec<Record>,
    /// The tracks, if records have been passed on.
    tracks: Option<Tracks>,
    timer: Timer,
}

/// The state of the timer of the device.
#[derive(Default)]
enum Timer {
    #[default]
    Running,
    /// It stopped at this time.
    Stopped(Option<u32>),
    /// It started again after the last record.
    Started,
}

impl Activity {
    pub(super) fn file_type(&self) -> Option<i64> {
        self.file_type
    }

    /// Adds a data message.
    pub(super) fn message(
        &mut self,
        definition: &Definition,
        payload: &[u8],
        time: Option<u32>,
        offset: u64,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let integer = |slot| definition.integer(payload, slot);
        let text = |slot| definition.text(payload, slot);
        // FIT stores distances in centimetres.
        let metres = |slot| integer(slot).map(|distance| distance as f64 / 100.0);
        match definition.message {
            record::NUMBER => {
                let altitude =
                    integer(record::ENHANCED_ALTITUDE).or_else(|| integer(record::ALTITUDE));
                let angle = |slot| integer(slot).and_then(|value| i32::try_from(value).ok());
                return self.record(
                    Record {
                        offset,
                        semicircles: angle(record::LATITUDE).zip(angle(record::LONGITUDE)),
                        altitude: altitude.and_then(|value| u32::try_from(value).ok()),
                        accuracy_m: integer(record::GPS_ACCURACY)
                            .and_then(|value| u16::try_from(value).ok()),
                        time,
                        starts_segment: false,
                        is_damaged: false,
                    },
                    out,
                );
            }
            event::NUMBER if integer(event::EVENT) == Some(event::TIMER) => {
                self.timer_event(integer(event::TYPE), time);
            }
            session::NUMBER => {
                let sport = || integer(session::SPORT).and_then(profile::sport_name);
                let session = Session {
                    start_time: integer(session::START_TIME)
                        .and_then(|time| u32::try_from(time).ok())
                        .unwrap_or(0),
                    distance_m: metres(session::TOTAL_DISTANCE),
                    name: text(session::SPORT_PROFILE_NAME).or_else(|| sport().map(str::to_owned)),
                };
                if self.sessions.len() == SESSIONS_MAX {
                    let message = format!("sessions after the first {SESSIONS_MAX} are ignored");
                    return out.file_note(
                        NoteKind::IgnoredContent,
                        Some(Position::Byte(offset)),
                        message,
                    );
                }
                if !self.sessions.contains(&session) {
                    self.sessions.push(session);
                }
            }
            lap::NUMBER => {
                if let Some(distance_m) = metres(lap::TOTAL_DISTANCE) {
                    *self.lap_distance_m.get_or_insert(0.0) += distance_m;
                }
            }
            sport::NUMBER => {
                let name = integer(sport::SPORT).and_then(profile::sport_name);
                let name = text(sport::NAME).or_else(|| name.map(str::to_owned));
                self.name = self.name.take().or(name);
            }
            course::NUMBER => self.name = text(course::NAME).or(self.name.take()),
            file_id::NUMBER => self.file_type = self.file_type.or(integer(file_id::TYPE)),
            _ => {}
        }
        Ok(())
    }

    fn timer_event(&mut self, event_type: Option<i64>, time: Option<u32>) {
        match event_type {
            Some(event::START) => {
                // A record with the time of the start may come before the event.
                let last_time = self.last.and_then(|last| last.time);
                let is_after_start = matches!(self.timer, Timer::Running)
                    && last_time.zip(time).is_some_and(|(last, time)| last >= time);
                if !is_after_start {
                    self.timer = Timer::Started;
                }
            }
            Some(stop) if event::STOPS.contains(&stop) => self.timer = Timer::Stopped(time),
            _ => {}
        }
    }

    fn record(&mut self, mut record: Record, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        if let Some(last) = &mut self.last
            && last.completes_with(&record)
        {
            return Ok(());
        }
        record.starts_segment = match self.timer {
            Timer::Running => false,
            Timer::Started => true,
            // A record with the time of the stop may come after the event.
            Timer::Stopped(stop) => record.time.zip(stop).is_none_or(|(time, stop)| time > stop),
        };
        if record.starts_segment {
            self.timer = Timer::Running;
        }
        match self.last.replace(record) {
            Some(last) => self.store(last, out),
            None => Ok(()),
        }
    }

    fn store(&mut self, record: Record, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        if let Some(tracks) = &mut self.tracks {
            return tracks.write(&record, out);
        }
        self.records.push(record);
        if self.records.len() == RECORDS_MAX { self.write_stored(out) } else { Ok(()) }
    }

    /// Passes the stored records on, each to the track of its session.
    fn write_stored(&mut self, out: &mut TrackWriter<'_>) -> Result<(), FormatError> {
        let kind = match self.file_type {
            Some(profile::COURSE) => TrackKind::Route,
            _ => TrackKind::Track,
        };
        self.sessions.sort_by_key(|session| session.start_time);
        let starts = self.sessions.iter().map(|session| session.start_time).collect();
        let tracks = self.tracks.insert(Tracks::new(kind, starts));
        for record in std::mem::take(&mut self.records) {
            tracks.write(&record, out)?;
        }
        Ok(())
    }

    /// Marks the records from this offset on as damaged, because the bytes after them are not messages.
    pub(super) fn drop_from(&mut self, offset: u64) {
        let records = self.records.iter_mut().chain(&mut self.last).rev();
        for record in records.take_while(|record| record.offset >= offset) {
            record.is_damaged = true;
        }
    }

    /// Passes on what is stored. Ends the tracks if the file is complete.
    pub(super) fn finish(
        mut self,
        out: &mut TrackWriter<'_>,
        is_complete: bool,
        position: Position,
    ) -> Result<(), FormatError> {
        if let Some(last) = self.last.take() {
            self.store(last, out)?;
        }
        if self.tracks.is_none() && !self.records.is_empty() {
            self.write_stored(out)?;
        }
        let Some(tracks) = self.tracks.take() else { return Ok(()) };
        let known_count = tracks.session_count();
        if known_count == 0 {
            return self.finish_one(&tracks, out, is_complete, position);
        }
        let late_count = self.sessions.len() - known_count;
        if late_count > 0 {
            let message = "a session that follows many records is not a track of its own";
            out.file_note(NoteKind::UngroupedRows, Some(position), message)?;
        }
        for (index, session) in self.sessions.iter().take(known_count).enumerate() {
            if !tracks.select(index, out) {
                let message = "a session without records is ignored";
                out.file_note(NoteKind::IgnoredContent, Some(position), message)?;
                continue;
            }
            if let Some(name) = session.name.as_ref().or(self.name.as_ref()) {
                out.set_name(name);
            }
            if let Some(distance_m) = session.distance_m {
                out.set_device_length_m(distance_m);
            }
            if is_complete {
                out.end_track(position)?;
            }
        }
        Ok(())
    }

    /// Ends the only track of a file whose sessions were not known when its records were passed on.
    fn finish_one(
        &self,
        tracks: &Tracks,
        out: &mut TrackWriter<'_>,
        is_complete: bool,
        position: Position,
    ) -> Result<(), FormatError> {
        tracks.select(0, out);
        if self.sessions.len() > 1 {
            let message = format!(
                "the {} sessions are one track, because more than {RECORDS_MAX} records come before them",
                self.sessions.len()
            );
            out.track_note(NoteKind::UngroupedRows, position, message)?;
        }
        let first_name = || self.sessions.first().and_then(|session| session.name.as_ref());
        if let Some(name) = self.name.as_ref().or_else(first_name) {
            out.set_name(name);
        }
        let distances: Option<Vec<f64>> =
            self.sessions.iter().map(|session| session.distance_m).collect();
        let sum = distances.filter(|all| !all.is_empty()).map(|all| all.iter().sum());
        if let Some(distance_m) = sum.or(self.lap_distance_m) {
            out.set_device_length_m(distance_m);
        }
        if is_complete { out.end_track(position) } else { Ok(()) }
    }
}
