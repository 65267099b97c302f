//! Semantic location history: the activities between visits of places.

use serde::de::{MapAccess, SeqAccess};

use super::super::super::error::FormatError;
use super::super::super::format::Format;
use super::super::super::note::NoteKind;
use super::super::Walk;
use super::super::sample::Sample;
use super::super::visit::{Key, Read, Receive, Scalar, Shape, read_into};
use super::records::Place;

/// Maximum number of positions of an activity.
const PLACES_MAX: usize = 1 << 16;

/// Reads a member of an element of `timelineObjects`. Returns `false` if it has no meaning.
pub(in super::super) fn member<'de, A: MapAccess<'de>>(
    walk: &mut Walk<'_, '_>,
    key: &Key,
    members: &mut A,
) -> Result<bool, A::Error> {
    match key.as_str() {
        "activitySegment" => {
            walk.claim(Format::GoogleTimeline);
            let mut segment = Segment::new(walk);
            members.next_value_seed(Read(&mut segment))?;
            let result = segment.end();
            walk.checked(result)?;
            Ok(true)
        }
        "placeVisit" => {
            walk.claim(Format::GoogleTimeline);
            walk.visit_count += 1;
            Ok(false)
        }
        _ => Ok(false),
    }
}

/// An `activitySegment` while its members are read.
struct Segment<'w, 'a, 'b> {
    walk: &'w mut Walk<'a, 'b>,
    name: Scalar,
    distance: Scalar,
    start: Option<Sample>,
    end: Option<Sample>,
    times: [Scalar; 2],
    /// Whether the times are numbers of milliseconds.
    are_epochs: bool,
    /// The recorded positions.
    raw: Vec<Sample>,
    /// The positions on roads or of stops.
    waypoints: Vec<Sample>,
    stops: Vec<Sample>,
}

impl<'w, 'a, 'b> Segment<'w, 'a, 'b> {
    fn new(walk: &'w mut Walk<'a, 'b>) -> Self {
        Self {
            walk,
            name: Scalar::Null,
            distance: Scalar::Null,
            start: None,
            end: None,
            times: [Scalar::Null, Scalar::Null],
            are_epochs: false,
            raw: Vec::new(),
            waypoints: Vec::new(),
            stops: Vec::new(),
        }
    }

    fn place<'de, A: MapAccess<'de>>(
        &mut self,
        members: &mut A,
    ) -> Result<Option<Sample>, A::Error> {
        let mut place = Place::default();
        members.next_value_seed(Read(&mut place))?;
        if !place.is_place() {
            return Ok(None);
        }
        let sample = place.sample(self.walk);
        self.walk.checked(sample).map(Some)
    }

    /// Passes the activity to the writer.
    fn end(mut self) -> Result<(), FormatError> {
        for (sample, time) in [&mut self.start, &mut self.end].into_iter().zip(&self.times) {
            if let Some(sample) = sample {
                sample.set_time(match self.are_epochs {
                    true => self.walk.times.epoch_unix_ns(time),
                    false => self.walk.times.unix_ns(time),
                });
            }
        }
        let paths = [self.raw, self.waypoints, self.stops];
        let has_path = paths.iter().any(|path| !path.is_empty());
        let path = paths.into_iter().find(|path| !path.is_empty()).unwrap_or_default();
        let samples: Vec<Sample> = self.start.into_iter().chain(path).chain(self.end).collect();
        if samples.is_empty() {
            return Ok(());
        }
        let walk = self.walk;
        walk.start_path()?;
        if !has_path {
            walk.out.track_note(NoteKind::JoinedPoints, walk.position.get(), STRAIGHT)?;
        }
        let length_m = self.distance.number("distance").ok().flatten();
        walk.write_path(self.name.text().as_deref(), length_m, &samples)
    }
}

/// The note on an activity without a path.
pub(super) const STRAIGHT: &str =
    "only the start and the end of the activity are known; a straight leg joins them";

impl Receive for Segment<'_, '_, '_> {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        match key.as_str() {
            "startLocation" => self.start = self.place(members)?,
            "endLocation" => self.end = self.place(members)?,
            "distance" => self.distance = Scalar::read(members)?,
            "activityType" => self.name = Scalar::read(members)?,
            "duration" => {
                let duration =
                    &mut Duration { times: &mut self.times, are_epochs: &mut self.are_epochs };
                return read_into(duration, members);
            }
            "simplifiedRawPath" => {
                return read_into(&mut Path { walk: self.walk, places: &mut self.raw }, members);
            }
            "waypointPath" => {
                let path = &mut Path { walk: self.walk, places: &mut self.waypoints };
                return read_into(path, members);
            }
            "transitPath" => {
                return read_into(&mut Path { walk: self.walk, places: &mut self.stops }, members);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The start and the end of an activity.
struct Duration<'t> {
    times: &'t mut [Scalar; 2],
    are_epochs: &'t mut bool,
}

impl Receive for Duration<'_> {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        let index = match key.as_str() {
            "startTimestamp" | "startTimestampMs" => 0,
            "endTimestamp" | "endTimestampMs" => 1,
            _ => return Ok(false),
        };
        self.times[index] = Scalar::read(members)?;
        *self.are_epochs = key.as_str().ends_with("Ms");
        Ok(true)
    }
}

/// A path: an object with a list of positions.
struct Path<'w, 'a, 'b> {
    walk: &'w mut Walk<'a, 'b>,
    places: &'w mut Vec<Sample>,
}

impl Receive for Path<'_, '_, '_> {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        match key.as_str() {
            "points" | "waypoints" | "transitStops" => read_into(self, members),
            _ => Ok(false),
        }
    }

    fn element<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let mut place = Place::default();
        match list.next_element_seed(Read(&mut place))? {
            None => return Ok(false),
            Some(Shape::Object | Shape::List | Shape::Scalar(_)) => {}
        }
        if self.places.len() == PLACES_MAX {
            let message = format!("an activity has more than {PLACES_MAX} positions");
            return self.walk.too_large(message).map(|()| true);
        }
        let sample = place.sample(self.walk);
        let sample = self.walk.checked(sample)?;
        self.places.push(Sample { device: None, ..sample });
        Ok(true)
    }
}
