//! The file of a picture: it collects the lines of the measured tracks, and is written at the end.

use std::io::Write as _;
use std::path::Path;

use super::plot::{Plot, PlotTrack, TRACKS_MAX};
use crate::cli::new_file::NewFile;
use crate::cli::report::{Units, headline, pluralize};
use crate::measure::{PathSummary, Space};

/// A picture that is not written yet.
pub(super) struct PlotFile {
    file: NewFile,
    tracks: Vec<PlotTrack>,
    /// The name of the current track.
    name: String,
    /// The name of the only file so far, and whether there are others.
    file_name: Option<String>,
    has_more_files: bool,
    units: Units,
}

impl PlotFile {
    /// Creates the file under a temporary name.
    ///
    /// # Errors
    /// If the folder cannot be written, or the path is not that of a file.
    pub(super) fn create(path: &Path) -> Result<Self, String> {
        if path.as_os_str() == "-" {
            return Err("name a file: the picture cannot go to standard output".to_owned());
        }
        let (tracks, name, file_name) = Default::default();
        let (has_more_files, units) = (false, Units::default());
        Ok(Self {
            file: NewFile::with_extension(path, &["svg"])?,
            tracks,
            name,
            file_name,
            has_more_files,
            units,
        })
    }

    #[must_use]
    pub(super) fn with_units(self, units: Units) -> Self {
        Self { units, ..self }
    }

    /// Sets the track to which the next line belongs.
    pub(super) fn set_track(&mut self, file: &str, number: u64, name: Option<&str>) {
        match &self.file_name {
            None => self.file_name = Some(file.to_owned()),
            Some(first) => self.has_more_files |= first != file,
        }
        self.name = match name.filter(|name| !name.trim().is_empty()) {
            Some(name) => name.to_owned(),
            None => {
                let file = file.rsplit('/').next().unwrap_or(file);
                if number > 1 { format!("{file}, track {number}") } else { file.to_owned() }
            }
        };
    }

    /// Adds the line of the current track.
    pub(super) fn add(&mut self, line: &str) {
        if self.tracks.len() < TRACKS_MAX
            && let Ok(line) = serde_json::from_str(line)
        {
            let name = std::mem::take(&mut self.name);
            self.tracks.push(PlotTrack::from_line(&line).named(name));
        }
    }

    /// Draws the tracks and writes the file. Returns a note if not all tracks are drawn.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn finish(
        self,
        total: &PathSummary,
        track_count: u64,
    ) -> Result<Option<String>, String> {
        let Self { mut file, tracks, file_name, has_more_files, units, .. } = self;
        if tracks.is_empty() {
            return Ok(Some(
                "--plot: there is no track to draw, so no picture is written".to_owned(),
            ));
        }
        let drawn = tracks.len() as u64;
        let title = match (&*tracks, file_name) {
            ([track], _) => track.name().to_owned(),
            (_, Some(name)) if !has_more_files => {
                format!("{} in {name}", pluralize(track_count, "track"))
            }
            _ => pluralize(track_count, "track"),
        };
        let plot = Plot {
            title,
            totals: headline(total, units),
            tracks,
            left_out: track_count.saturating_sub(drawn),
            is_planar: total.metric.space() == Space::Planar,
            units,
        };
        let note = (plot.left_out > 0)
            .then(|| format!("--plot: {drawn} of {} are drawn", pluralize(track_count, "track")));
        let written = file.write_all(plot.to_svg().as_bytes());
        written.map_err(|error| error.to_string())?;
        file.finish()?;
        Ok(note)
    }
}
