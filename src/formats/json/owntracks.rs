//! The messages of OwnTracks: as JSON, from the interface of its recorder, or in its `.rec` files.
//!
//! Each device, by topic or else by `tid`, is a track. Messages other than locations are ignored, because they
//! repeat a position or have none.

use serde::de::MapAccess;

use super::super::error::{FormatError, Position};
use super::super::format::Format;
use super::super::note::NoteKind;
use super::Walk;
use super::sample::Sample;
use super::visit::{Key, Scalar};

/// A message while its members are read.
#[derive(Default)]
pub(super) struct Message {
    kind: Option<String>,
    position: Option<Position>,
    lat: Scalar,
    lon: Scalar,
    tst: Scalar,
    acc: Scalar,
    alt: Scalar,
    topic: Scalar,
    tid: Scalar,
}

impl Message {
    /// Reads a member. Returns `false` if it is not one of a message.
    pub(super) fn member<'de, A: MapAccess<'de>>(
        &mut self,
        walk: &Walk<'_, '_>,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        let slot = match key.as_str() {
            "_type" => {
                self.kind = Some(Scalar::read(members)?.text().unwrap_or_default());
                self.position = Some(walk.position.get());
                return Ok(true);
            }
            "lat" => &mut self.lat,
            "lon" => &mut self.lon,
            "tst" => &mut self.tst,
            "acc" => &mut self.acc,
            "alt" => &mut self.alt,
            "topic" => &mut self.topic,
            "tid" => &mut self.tid,
            _ => return Ok(false),
        };
        *slot = Scalar::read(members)?;
        Ok(true)
    }

    /// Returns whether the object is a message.
    pub(super) fn is_record(&self) -> bool {
        self.kind.is_some()
            || [&self.lat, &self.lon, &self.tst].iter().all(|value| !value.is_null())
    }

    /// Adds the point of a location.
    pub(super) fn end(self, walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
        walk.claim(Format::OwnTracks);
        let position = self.position.unwrap_or(walk.position.get());
        match self.kind.as_deref() {
            None | Some("location") => {}
            Some("encrypted") => {
                let message = "encrypted messages of OwnTracks are ignored";
                return walk.out.file_note(NoteKind::IgnoredContent, Some(position), message);
            }
            Some(_) => return Ok(()),
        }
        let xy = coordinate("longitude", &self.lon)
            .and_then(|x| coordinate("latitude", &self.lat).map(|y| [x, y]));
        let mut sample = Sample::new(position, xy);
        sample.set_time(walk.times.unix_ns(&self.tst));
        sample.set_elevation(self.alt.number("elevation"));
        sample.set_accuracy(self.acc.number("accuracy"));
        sample.device = self.topic.text().or_else(|| self.tid.text());
        walk.add_sample(sample)
    }
}

/// Returns a coordinate that must not be missing.
pub(super) fn coordinate(name: &str, value: &Scalar) -> Result<f64, String> {
    value.number(name)?.ok_or_else(|| format!("the {name} is missing"))
}

/// Returns whether a text starts with a line of a `.rec` file: a time, the relative topic and a message, with
/// tabs between them.
pub(in super::super) fn matches_rec(head: &[u8]) -> bool {
    let line = head.trim_ascii_start().split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut fields = line.splitn(3, |&byte| byte == b'\t');
    let (time, _, message) = (fields.next(), fields.next(), fields.next());
    let is_time = time.is_some_and(|time| {
        time.len() <= 32
            && time.first().is_some_and(u8::is_ascii_digit)
            && super::super::value::unix_ns(time, None).is_ok_and(|time| time.is_some())
    });
    is_time && message.is_some_and(|message| message.trim_ascii_start().starts_with(b"{"))
}
