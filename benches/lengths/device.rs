//! Files of devices that contain the device's own distance.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use waywiser::Fix;
use waywiser::formats::{self, ReadOptions, SinkError, TrackInfo, TrackSink};

use super::methods::{Lengths, METHODS};

/// The tracks of a file that have a distance of the device.
#[derive(Default)]
struct Tracks {
    fixes: Vec<Fix>,
    is_segment_start: bool,
    found: Vec<(Vec<Fix>, f64)>,
}

impl TrackSink for Tracks {
    fn start_segment(&mut self) -> Result<(), SinkError> {
        self.is_segment_start = true;
        Ok(())
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        let starts = std::mem::take(&mut self.is_segment_start) && !self.fixes.is_empty();
        self.fixes.push(if starts { fix.starting_segment() } else { fix });
        Ok(())
    }

    fn end_track(&mut self, track: &TrackInfo) -> Result<(), SinkError> {
        let fixes = std::mem::take(&mut self.fixes);
        if let Some(length_m) = track.device_length_m.filter(|&length_m| length_m > 0.0) {
            self.found.push((fixes, length_m));
        }
        Ok(())
    }
}

/// Prints the heading of the table of files.
pub fn print_heading() {
    println!("Difference to the distance of the device, in %.\n");
    println!("| file | fixes | device m | {} | low | high |", METHODS.join(" | "));
    println!("|---|{}", "--:|".repeat(METHODS.len() + 4));
}

/// Prints a line for each track of a file that has a distance of the device.
///
/// # Errors
/// Returns an error if the file cannot be read or has no such track.
pub fn print(file: &Path) -> Result<(), String> {
    let mut tracks = Tracks::default();
    let input = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    formats::read(BufReader::new(input), &ReadOptions::default(), &mut tracks)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    if tracks.found.is_empty() {
        return Err(format!("{}: no track has the distance of a device", file.display()));
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    for (fixes, device_m) in &tracks.found {
        let Some(lengths) = Lengths::of(fixes) else {
            println!("| {name} | {} | {device_m:.1} | no estimate |", fixes.len());
            continue;
        };
        let difference = |length_m: f64| format!("{:+.2}", 100.0 * (length_m / device_m - 1.0));
        let differences = lengths.all().map(difference).join(" | ");
        let [low, high] = [lengths.estimate.low_m, lengths.estimate.high_m].map(difference);
        println!("| {name} | {} | {device_m:.1} | {differences} | {low} | {high} |", fixes.len());
    }
    Ok(())
}
