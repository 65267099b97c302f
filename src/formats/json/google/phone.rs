//! The timeline that a phone exports: `semanticSegments` of Android, or the list of segments of iOS.

use serde::de::{MapAccess, SeqAccess};

use super::super::super::error::{FormatError, Position};
use super::super::super::format::Format;
use super::super::super::note::NoteKind;
use super::super::super::value::excerpt;
use super::super::deferred::{self, Content};
use super::super::sample::Sample;
use super::super::times::JsonTimes;
use super::super::visit::{Key, Read, Receive, Scalar, read_into};
use super::super::{Role, Walk};
use super::semantic::STRAIGHT;

/// Maximum number of positions of a path.
const POSITIONS_MAX: usize = 1 << 16;
/// Maximum number of activities that are stored until the first path.
const ACTIVITIES_MAX: usize = 1 << 16;
const NS_PER_MINUTE: f64 = 60e9;

/// An element of `semanticSegments` or `rawSignals` while its members are read.
#[derive(Default)]
pub(in super::super) struct Segment {
    start_time: Scalar,
    end_time: Scalar,
    path: Option<Vec<PathPoint>>,
    activity: Option<Activity>,
    has_visit: bool,
    has_signal: bool,
}

impl Segment {
    /// Reads a member. Returns `false` if it has no meaning.
    pub(in super::super) fn member<'de, A: MapAccess<'de>>(
        &mut self,
        walk: &mut Walk<'_, '_>,
        role: Role,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        match key.as_str() {
            "startTime" => self.start_time = Scalar::read(members)?,
            "endTime" => self.end_time = Scalar::read(members)?,
            "timelinePath" => {
                let points = self.path.get_or_insert_default();
                return read_into(&mut PathReader { walk, points }, members);
            }
            "activity" => {
                let mut activity = Activity::new(walk.position.get());
                members.next_value_seed(Read(&mut activity))?;
                self.activity = Some(activity).filter(|activity| !activity.start.is_null());
            }
            "visit" | "timelineMemory" => {
                self.has_visit = true;
                return Ok(false);
            }
            "position" if role == Role::Timeline => {
                self.has_signal = true;
                let mut signal = Signal::default();
                members.next_value_seed(Read(&mut signal))?;
                let sample = signal.sample(walk.position.get(), &mut walk.times);
                let result = deferred::add(walk, sample, Content::RawSignals);
                walk.checked(result)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Returns whether the object is a segment of a timeline.
    pub(in super::super) fn is_segment(&self) -> bool {
        self.path.is_some() || self.activity.is_some() || self.has_visit || self.has_signal
    }

    /// Passes the path to the writer, or stores the activity.
    pub(in super::super) fn end(self, walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
        walk.claim(Format::GoogleTimeline);
        let start = walk.times.unix_ns(&self.start_time);
        if let Some(path) = self.path.filter(|path| !path.is_empty()) {
            let samples: Vec<Sample> =
                path.iter().map(|point| point.sample(&start, &mut walk.times)).collect();
            walk.start_path()?;
            walk.write_path(None, None, &samples)?;
        }
        if let Some(mut activity) = self.activity {
            activity.times = [start, walk.times.unix_ns(&self.end_time)];
            walk.activities.add(activity);
            if walk.activities.stored.len() > ACTIVITIES_MAX && walk.path_count == 0 {
                walk.activities.is_streaming = true;
            }
            if walk.activities.is_streaming || walk.path_count > 0 {
                return write_activities(walk);
            }
        }
        Ok(())
    }
}

/// A position of a `timelinePath`.
pub(super) struct PathPoint {
    position: Position,
    point: Scalar,
    time: Scalar,
    offset_minutes: Scalar,
}

impl PathPoint {
    fn sample(&self, start: &Result<Option<i64>, String>, times: &mut JsonTimes) -> Sample {
        let mut sample = Sample::new(self.position, lat_lng(&self.point));
        sample.set_time(match (self.time.is_null(), self.offset_minutes.number("offset")) {
            (false, _) => times.unix_ns(&self.time),
            (true, Ok(Some(minutes))) => match start {
                Ok(Some(start)) => Ok(Some(start.saturating_add((minutes * NS_PER_MINUTE) as i64))),
                other => other.clone(),
            },
            (true, Ok(None)) => Ok(None),
            (true, Err(message)) => Err(message),
        });
        sample
    }
}

impl Receive for PathPoint {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        let slot = match key.as_str() {
            "point" | "latLng" => &mut self.point,
            "time" => &mut self.time,
            "durationMinutesOffsetFromStartTime" => &mut self.offset_minutes,
            _ => return Ok(false),
        };
        *slot = Scalar::read(members)?.shortened();
        Ok(true)
    }
}

/// Reads the positions of a `timelinePath`.
struct PathReader<'w, 'a, 'b> {
    walk: &'w mut Walk<'a, 'b>,
    points: &'w mut Vec<PathPoint>,
}

impl Receive for PathReader<'_, '_, '_> {
    fn element<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let mut point = PathPoint {
            position: self.walk.position.get(),
            point: Scalar::Null,
            time: Scalar::Null,
            offset_minutes: Scalar::Null,
        };
        if list.next_element_seed(Read(&mut point))?.is_none() {
            return Ok(false);
        }
        point.position = self.walk.position.get();
        if self.points.len() == POSITIONS_MAX {
            let message = format!("a path has more than {POSITIONS_MAX} positions");
            return self.walk.too_large(message).map(|()| true);
        }
        self.points.push(point);
        Ok(true)
    }
}

/// An activity of a segment: its start and end.
pub(in super::super) struct Activity {
    position: Position,
    start: Scalar,
    end: Scalar,
    times: [Result<Option<i64>, String>; 2],
    distance: Scalar,
    name: Scalar,
}

impl Activity {
    fn new(position: Position) -> Self {
        Self {
            position,
            start: Scalar::Null,
            end: Scalar::Null,
            times: [Ok(None), Ok(None)],
            distance: Scalar::Null,
            name: Scalar::Null,
        }
    }

    fn write(self, walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
        let [start_time, end_time] = self.times;
        let mut samples =
            [&self.start, &self.end].map(|point| Sample::new(self.position, lat_lng(point)));
        samples[0].set_time(start_time);
        samples[1].set_time(end_time);
        walk.start_path()?;
        walk.out.track_note(NoteKind::JoinedPoints, self.position, STRAIGHT)?;
        let length_m = self.distance.number("distance").ok().flatten();
        walk.write_path(self.name.text().as_deref(), length_m, &samples)
    }
}

impl Receive for Activity {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        match key.as_str() {
            "start" => self.start = point(members)?.shortened(),
            "end" => self.end = point(members)?.shortened(),
            "distanceMeters" => self.distance = Scalar::read(members)?.shortened(),
            "topCandidate" => {
                let mut candidate = Member("type", Scalar::Null);
                read_into(&mut candidate, members)?;
                self.name = candidate.1.shortened();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Reads a position: a text, or an object with the member `latLng`.
fn point<'de, A: MapAccess<'de>>(members: &mut A) -> Result<Scalar, A::Error> {
    let mut member = Member("latLng", Scalar::Null);
    match members.next_value_seed(Read(&mut member))? {
        super::super::visit::Shape::Scalar(scalar) => Ok(scalar),
        _ => Ok(member.1),
    }
}

/// A member with this name.
struct Member(&'static str, Scalar);

impl Receive for Member {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        if key.as_str() != self.0 {
            return Ok(false);
        }
        self.1 = Scalar::read(members)?;
        Ok(true)
    }
}

/// The activities, which are tracks only if the file has no paths.
#[derive(Default)]
pub(in super::super) struct Activities {
    stored: Vec<Activity>,
    ignored_count: u64,
    first_ignored: Option<Position>,
    /// Whether there were too many activities before the first path.
    is_streaming: bool,
}

impl Activities {
    fn add(&mut self, activity: Activity) {
        self.stored.push(activity);
    }
}

/// Handles the stored activities when it is known whether the file has paths.
fn write_activities(walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
    let is_ignored = !walk.activities.is_streaming && walk.path_count > 0;
    for activity in std::mem::take(&mut walk.activities.stored) {
        if is_ignored {
            walk.activities.ignored_count += 1;
            walk.activities.first_ignored.get_or_insert(activity.position);
        } else {
            activity.write(walk)?;
        }
    }
    Ok(())
}

/// Handles the end of the file.
pub(in super::super) fn end(walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
    write_activities(walk)?;
    let count = walk.activities.ignored_count;
    if count == 0 {
        return Ok(());
    }
    let message = format!(
        "activities are ignored ({count}), because they have only a start and an end, and the file has \
         paths"
    );
    walk.out.file_note(NoteKind::IgnoredContent, walk.activities.first_ignored, message)
}

/// The `position` of a raw signal.
#[derive(Default)]
struct Signal {
    point: Scalar,
    accuracy: Scalar,
    altitude: Scalar,
    timestamp: Scalar,
}

impl Signal {
    fn sample(&self, position: Position, times: &mut JsonTimes) -> Sample {
        let mut sample = Sample::new(position, lat_lng(&self.point));
        sample.set_time(times.unix_ns(&self.timestamp));
        sample.set_elevation(self.altitude.number("elevation"));
        sample.set_accuracy(self.accuracy.number("accuracy"));
        sample
    }
}

impl Receive for Signal {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        let slot = match key.as_str() {
            "LatLng" | "latLng" => &mut self.point,
            "accuracyMeters" => &mut self.accuracy,
            "altitudeMeters" => &mut self.altitude,
            "timestamp" => &mut self.timestamp,
            _ => return Ok(false),
        };
        *slot = Scalar::read(members)?;
        Ok(true)
    }
}

/// Parses a position such as `48.1°, 11.5°` or `geo:48.1,11.5`. Returns the longitude and the latitude.
fn lat_lng(value: &Scalar) -> Result<[f64; 2], String> {
    let Scalar::Text(text) = value else { return Err("the position is missing".to_owned()) };
    let trimmed = text.trim();
    let plain = trimmed.strip_prefix("geo:").unwrap_or(trimmed);
    // A geo URI may have an altitude and parameters.
    let plain = plain.split(';').next().unwrap_or_default();
    let mut parts = plain.split(',').map(|part| part.trim().trim_end_matches('°').parse::<f64>());
    match (parts.next(), parts.next()) {
        (Some(Ok(latitude)), Some(Ok(longitude))) => Ok([longitude, latitude]),
        _ => Err(format!(
            "the position {} is not like \"48.1°, 11.5°\" or \"geo:48.1,11.5\"",
            excerpt(text.as_bytes())
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_both_phones_are_read() {
        let read = |text: &str| lat_lng(&Scalar::Text(text.into()));
        assert_eq!(read("48.1°, -11.5°"), Ok([-11.5, 48.1]));
        assert_eq!(read("geo:48.1,11.5"), Ok([11.5, 48.1]));
        assert_eq!(read(" geo:48.1,11.5,300;u=10 "), Ok([11.5, 48.1]));
        for text in ["", "48.1", "geo:", "48.1°; 11.5°", "x, y"] {
            assert!(read(text).is_err(), "{text}");
        }
        insta::assert_snapshot!(lat_lng(&Scalar::Null).unwrap_err(), @"the position is missing");
    }
}
