//! Reads a file before it is recorded, to find errors and the number of its tracks before anything is sent.

use std::io;

use crate::cli::input::{self, FileEnd, FileSink, Input, Reading, Stdin};
use crate::cli::progress::Progress;
use crate::cli::report::pluralize;
use crate::formats::{ReadOptions, SinkError, TrackInfo, TrackKind, TrackSink};
use crate::measure::Fix;

/// The tracks of a file.
pub(super) struct Survey {
    /// Names and numbers of points of the first tracks.
    tracks: Vec<(Option<String>, u64)>,
    track_count: u64,
    /// The first error message of a file.
    failure: Option<String>,
}

impl Survey {
    /// Maximum number of tracks in an error message.
    const TRACKS_MAX: usize = 10;

    /// Reads a file and checks that the track `wanted` exists. Without it, the file must have at most one track.
    ///
    /// # Errors
    /// If the file cannot be read or has no such track. The message contains the name of the file.
    pub(super) fn check(
        input: &Input,
        options: &ReadOptions,
        wanted: Option<u64>,
    ) -> Result<(), String> {
        let name = input.name();
        let mut survey = Self { tracks: Vec::new(), track_count: 0, failure: None };
        let reading = Reading {
            options,
            stdin: &Stdin::new(io::empty()),
            progress: &Progress::hidden(),
            before_read: &|| Ok(()),
        };
        // Stops only after a failure.
        let _ = input::read(input, &reading, &mut survey);
        if let Some(error) = survey.failure {
            return Err(error);
        }
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
        Ok(())
    }

    fn fix(&mut self, _: Fix) -> Result<(), SinkError> {
        Ok(())
    }

    fn end_track(&mut self, track: &TrackInfo) -> Result<(), SinkError> {
        if self.tracks.len() < Self::TRACKS_MAX {
            self.tracks.push((track.name.clone(), track.point_count));
        }
        Ok(())
    }
}

impl FileSink for Survey {
    fn start_file(&mut self, _: &str) -> Result<(), SinkError> {
        Ok(())
    }

    fn end_file(&mut self, end: FileEnd) -> Result<(), SinkError> {
        match end {
            FileEnd::Failed(error) => {
                self.failure = Some(error);
                Err(SinkError::Stop)
            }
            _ => Ok(()),
        }
    }
}

/// Returns the message about a track number that does not exist.
pub(super) fn missing_track(wanted: u64, track_count: u64) -> String {
    format!("there is no track {wanted}; the file has {}", pluralize(track_count, "track"))
}
