//! What `waywiser measure` prints: aligned text for people, JSON lines and CSV for machines. One
//! row a track as soon as it is known, and the total at the end; nothing is held back.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::measure::{Metric, Space, Summary};

/// Columns of a terminal that a file or track name may take in text.
const NAME_WIDTH_MAX: usize = 32;
const POINTS_WIDTH: usize = 13;
const SEGMENTS_WIDTH: usize = 9;
const LENGTH_WIDTH: usize = 18;

/// How the report looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Text,
    Json,
    Csv,
}

/// One measured track.
pub(super) struct Track<'a> {
    pub file: &'a str,
    /// Its count in the file, from 1.
    pub number: u64,
    pub name: Option<&'a str>,
    pub summary: Summary,
}

/// All tracks together.
pub(super) struct Total {
    pub file_count: u64,
    pub failed_file_count: u64,
    pub track_count: u64,
    pub summary: Summary,
}

/// Writes rows in a [`Style`].
pub(super) struct Report<W> {
    out: W,
    style: Style,
    metric: Metric,
    file_width: usize,
    begun: bool,
}

impl<W: Write> Report<W> {
    /// A report on these files; their names decide how wide the first column is.
    pub(super) fn new<'a>(
        out: W,
        style: Style,
        metric: Metric,
        files: impl Iterator<Item = &'a str>,
    ) -> Self {
        let widest = files.map(|file| harmless(file).width()).max().unwrap_or_default();
        let file_width = widest.clamp("total".len(), NAME_WIDTH_MAX);
        Self { out, style, metric, file_width, begun: false }
    }

    pub(super) fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes a track.
    pub(super) fn track(&mut self, track: &Track<'_>) -> io::Result<()> {
        self.begin()?;
        match self.style {
            Style::Text => {
                let number;
                let name = match track.name {
                    Some(name) => name,
                    None => {
                        number = track.number.to_string();
                        &number
                    }
                };
                self.text_row(track.file, name, &track.summary)
            }
            Style::Json => self.json(&json_track(track)),
            Style::Csv => self.csv_track(track),
        }
    }

    /// Writes the last line.
    pub(super) fn total(&mut self, total: &Total) -> io::Result<()> {
        self.begin()?;
        match self.style {
            Style::Text => {
                let tracks = counted(total.track_count, "track");
                let name = match total.failed_file_count {
                    0 => tracks,
                    failed => format!("{tracks}; {} failed", counted(failed, "file")),
                };
                self.text_row("total", &name, &total.summary)
            }
            Style::Json => {
                let lengths = Lengths::of(&total.summary);
                let total = JsonTotal {
                    files: total.file_count,
                    failed_files: total.failed_file_count,
                    tracks: total.track_count,
                    points: total.summary.point_count,
                    segments: total.summary.segment_count,
                    length_m: lengths.length_m,
                    length: lengths.length,
                    model: self.metric.to_string(),
                };
                self.json(&JsonLast { total })
            }
            Style::Csv => {
                let Summary { point_count, segment_count, length, .. } = total.summary;
                self.csv(&[
                    "total",
                    "",
                    "",
                    &point_count.to_string(),
                    &segment_count.to_string(),
                    &length.to_string(),
                    "",
                    &self.metric.to_string(),
                    "",
                    "",
                    "",
                    "",
                ])
            }
        }
    }

    /// Writes the header, once.
    fn begin(&mut self) -> io::Result<()> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        let is_planar = self.metric.space() == Space::Planar;
        match self.style {
            Style::Text => self.text_line(["file", "track", "points", "segments", "length"]),
            Style::Json => Ok(()),
            Style::Csv => {
                let (length, displacement) = match is_planar {
                    true => ("length", "displacement"),
                    false => ("length_m", "displacement_m"),
                };
                let [min_x, min_y, max_x, max_y] = match is_planar {
                    true => ["min_x", "min_y", "max_x", "max_y"],
                    false => ["west_deg", "south_deg", "east_deg", "north_deg"],
                };
                self.csv(&[
                    "kind",
                    "file",
                    "track",
                    "points",
                    "segments",
                    length,
                    displacement,
                    "model",
                    min_x,
                    min_y,
                    max_x,
                    max_y,
                ])
            }
        }
    }

    fn text_row(&mut self, file: &str, name: &str, summary: &Summary) -> io::Result<()> {
        let points = grouped(&summary.point_count.to_string());
        let segments = grouped(&summary.segment_count.to_string());
        let length = match self.metric.space() {
            Space::Planar => grouped(&format!("{:.6}", summary.length)),
            Space::Geographic => grouped(&format!("{:.3}", summary.length)) + " m",
        };
        self.text_line([file, name, &points, &segments, &length])
    }

    fn text_line(&mut self, [file, name, points, segments, length]: [&str; 5]) -> io::Result<()> {
        writeln!(
            self.out,
            "{}  {}{points:>POINTS_WIDTH$} {segments:>SEGMENTS_WIDTH$}  {length:>LENGTH_WIDTH$}",
            fitted(file, self.file_width, Keep::End),
            fitted(name, NAME_WIDTH_MAX, Keep::Start),
        )
    }

    fn json(&mut self, row: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, row)?;
        self.out.write_all(b"\n")
    }

    fn csv_track(&mut self, track: &Track<'_>) -> io::Result<()> {
        let Summary { length, displacement, point_count, segment_count, bounds, .. } =
            track.summary;
        let name = track.name.map_or_else(|| track.number.to_string(), str::to_owned);
        let side = |side: fn(&crate::measure::Bounds) -> f64| {
            bounds.as_ref().map(side).map_or(String::new(), |side| side.to_string())
        };
        self.csv(&[
            "track",
            track.file,
            &name,
            &point_count.to_string(),
            &segment_count.to_string(),
            &length.to_string(),
            &displacement.to_string(),
            &self.metric.to_string(),
            &side(|bounds| bounds.min_x),
            &side(|bounds| bounds.min_y),
            &side(|bounds| bounds.max_x),
            &side(|bounds| bounds.max_y),
        ])
    }

    fn csv(&mut self, row: &[&str]) -> io::Result<()> {
        let mut csv = csv::WriterBuilder::new().buffer_capacity(1 << 10).from_writer(&mut self.out);
        csv.write_record(row)?;
        csv.flush()
    }
}

/// A track as a JSON object; the members stand in this order.
#[derive(Serialize)]
struct JsonTrack<'a> {
    file: &'a str,
    track: NameOrNumber<'a>,
    points: u64,
    segments: u64,
    #[serde(flatten)]
    lengths: Lengths,
    model: String,
    /// West, south, east, north, as in RFC 7946, section 5; or the least and largest x and y.
    bbox: Option<[f64; 4]>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum NameOrNumber<'a> {
    Name(&'a str),
    Number(u64),
}

/// Metres under names that say so, or the caller's unit under names that do not.
#[derive(Serialize)]
struct Lengths {
    #[serde(skip_serializing_if = "Option::is_none")]
    length_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    displacement_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    displacement: Option<f64>,
}

impl Lengths {
    fn of(summary: &Summary) -> Self {
        let is_planar = summary.metric.space() == Space::Planar;
        let metres = |value| (!is_planar).then_some(value);
        let plain = |value| is_planar.then_some(value);
        Self {
            length_m: metres(summary.length),
            length: plain(summary.length),
            displacement_m: metres(summary.displacement),
            displacement: plain(summary.displacement),
        }
    }
}

/// The last object.
#[derive(Serialize)]
struct JsonLast {
    total: JsonTotal,
}

#[derive(Serialize)]
struct JsonTotal {
    files: u64,
    failed_files: u64,
    tracks: u64,
    points: u64,
    segments: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    length_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<f64>,
    model: String,
}

fn json_track<'a>(track: &Track<'a>) -> JsonTrack<'a> {
    let summary = &track.summary;
    JsonTrack {
        file: track.file,
        track: track.name.map_or(NameOrNumber::Number(track.number), NameOrNumber::Name),
        points: summary.point_count,
        segments: summary.segment_count,
        lengths: Lengths::of(summary),
        model: summary.metric.to_string(),
        bbox: summary.bounds.map(|b| [b.min_x, b.min_y, b.max_x, b.max_y]),
    }
}

/// `1 track`, `2 tracks`.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(&count.to_string()), if count == 1 { "" } else { "s" })
}

/// A decimal number with a space between groups of three digits before the point.
pub(super) fn grouped(number: &str) -> String {
    let whole = number.find('.').unwrap_or(number.len());
    let mut text = String::with_capacity(number.len() + number.len() / 3);
    for (at, char) in number.char_indices() {
        if at > 0 && at < whole && (whole - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(char);
    }
    text
}

/// A name without characters that could move the cursor or hide text: these are shown as escapes.
pub(super) fn harmless(name: &str) -> Cow<'_, str> {
    let is_harmful = |char: char| {
        char.is_control()
            // Marks and overrides of the direction of writing, line and paragraph separators.
            || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !name.contains(is_harmful) {
        return Cow::Borrowed(name);
    }
    let mut text = String::new();
    for char in name.chars() {
        match is_harmful(char) {
            true => text.extend(char.escape_default()),
            false => text.push(char),
        }
    }
    Cow::Owned(text)
}

/// Which end of a name is cut off when it is too long.
#[derive(Clone, Copy)]
pub(super) enum Keep {
    /// Of a track's name, the beginning says most.
    Start,
    /// Of a path, the end does.
    End,
}

/// A name made harmless, cut or filled up to `width` columns of a terminal.
pub(super) fn fitted(name: &str, width: usize, keep: Keep) -> String {
    let name = harmless(name);
    if name.width() <= width {
        let missing = width - name.width();
        return format!("{name}{:missing$}", "");
    }
    let mut taken = 1; // the dots
    let fits = |char: &char| {
        taken += char.width().unwrap_or_default();
        taken <= width
    };
    let text = match keep {
        Keep::Start => name.chars().take_while(fits).chain(['…']).collect::<String>(),
        Keep::End => {
            let mut chars: Vec<char> = name.chars().rev().take_while(fits).chain(['…']).collect();
            chars.reverse();
            chars.into_iter().collect()
        }
    };
    let missing = width.saturating_sub(text.width());
    text + &" ".repeat(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped("0"), "0");
        assert_eq!(grouped("999.123456"), "999.123456");
        assert_eq!(grouped("2700.918"), "2 700.918");
        assert_eq!(grouped("1234567"), "1 234 567");
    }

    #[test]
    fn names_are_fitted_by_their_width_on_a_terminal() {
        assert_eq!(fitted("abc", 5, Keep::Start), "abc  ");
        assert_eq!(fitted("abcdef", 5, Keep::Start), "abcd…");
        assert_eq!(fitted("abcdef", 5, Keep::End), "…cdef");
        assert_eq!(fitted("山山山", 5, Keep::Start), "山山…");
        assert_eq!(fitted("山山山", 4, Keep::Start), "山… ");
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(harmless("Črna gora"), "Črna gora");
        assert_eq!(harmless("\x1b[2J\u{9b}\n\u{202e}"), r"\u{1b}[2J\u{9b}\n\u{202e}");
    }
}
