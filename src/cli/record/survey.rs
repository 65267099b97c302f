//! Reads a file before it is recorded, to find errors and the number of its tracks before anything is sent.

use std::io;
use std::path::Path;

use crate::cli::input;
use crate::cli::report::pluralize;
use crate::formats::{self, ReadOptions, SinkError, TrackInfo, TrackKind, TrackSink};
use crate::measure::Fix;

/// The tracks of a file.
pub(super) struct Survey {
    /// Names and numbers of points of the first tracks.
    tracks: Vec<(Option<String>, u64)>,
    track_count: u64,
    /// The number of points of the current track.
    point_count: u64,
}

impl Survey {
    /// Maximum number of tracks in an error message.
    const TRACKS_MAX: usize = 10;

    /// Reads a file and checks that the track `wanted` exists. Without it, the file must have at most one track.
    ///
    /// # Errors
    /// If the file cannot be read or has no such track. The message contains the name of the file.
    pub(super) fn check(
        file: &Path,
        options: &ReadOptions,
        wanted: Option<u64>,
    ) -> Result<(), String> {
        let name = file.to_string_lossy();
        let mut survey = Self { tracks: Vec::new(), track_count: 0, point_count: 0 };
        input::open(file, &mut None::<io::Stdin>)
            .and_then(|input| formats::read(input::buffered(input), options, &mut survey))
            .map_err(|error| error.in_file(&name))?;
        match wanted {
            Some(wanted) if wanted > survey.track_count => {
                Err(format!("{name}: {}", missing_track(wanted, survey.track_count)))
            }
            None if survey.track_count > 1 => Err(format!("{name}: {}", survey.choices())),
            _ => Ok(()),
        }
    }

    /// Returns the message about a file with several tracks.
    fn choices(&self) -> String {
        let count = pluralize(self.track_count, "track");
        let mut text =
            format!("the file has {count}, and a recording has one; choose a track with");
        for (number, (name, point_count)) in (1..).zip(&self.tracks) {
            let name = name.as_ref().map_or_else(String::new, |name| format!("{name}, "));
            text += &format!(" --track {number} ({name}{}),", pluralize(*point_count, "point"));
        }
        match self.track_count - self.tracks.len() as u64 {
            0 => drop(text.pop()),
            more => text += &format!(" or one of {more} more"),
        }
        text
    }
}

impl TrackSink for Survey {
    fn start_track(&mut self, _: TrackKind) -> Result<(), SinkError> {
        self.track_count += 1;
        self.point_count = 0;
        Ok(())
    }

    fn fix(&mut self, _: Fix) -> Result<(), SinkError> {
        self.point_count += 1;
        Ok(())
    }

    fn end_track(&mut self, track: &TrackInfo) -> Result<(), SinkError> {
        if self.tracks.len() < Self::TRACKS_MAX {
            self.tracks.push((track.name.clone(), self.point_count));
        }
        Ok(())
    }
}

/// Returns the message about a track number that does not exist.
pub(super) fn missing_track(wanted: u64, track_count: u64) -> String {
    format!("there is no track {wanted}; the file has {}", pluralize(track_count, "track"))
}
