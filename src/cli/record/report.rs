//! Lines of the output of `record` that the shared report does not have.

use std::io::{self, Write};
use std::time::Duration;

use crate::cli::report::{Keep, Names, grouped, pluralize};
use crate::measure::Space;

/// Explains why a length without filters is not the true length.
const RAW_LENGTH_NOTE: &str =
    "Raw length: GPS noise makes it longer than the true path; try --estimate.";

/// Writes the throughput, and the explanation of raw lengths if they are raw.
pub(super) fn footer(
    out: &mut impl Write,
    points: u64,
    elapsed: Duration,
    is_raw: bool,
) -> io::Result<()> {
    let seconds = elapsed.as_secs_f64();
    let per_second = grouped(&format!("{:.0}", points as f64 / seconds.max(1e-9)));
    let points = pluralize(points, "point");
    writeln!(out, "\nsent {points} in {seconds:.3} s, {per_second} points/s")?;
    if is_raw {
        writeln!(out, "{RAW_LENGTH_NOTE}")?;
    }
    Ok(())
}

const TRACK_WIDTH: usize = 32;

/// The table of replies of a published contract: one row per segment.
pub(super) struct SegmentTable<W> {
    out: W,
    space: Space,
    names: Names,
}

impl<W: Write> SegmentTable<W> {
    /// Writes the header.
    pub(super) fn new(mut out: W, space: Space, names: Names) -> io::Result<Self> {
        writeln!(out, "{:TRACK_WIDTH$}{:>10}{:>13}{:>20}", "track", "segment", "points", "length")?;
        Ok(Self { out, space, names })
    }

    /// Writes a row, of which `segment` is the number of the segment.
    pub(super) fn row(
        &mut self,
        name: &str,
        segment: u64,
        points: u64,
        length: f64,
    ) -> io::Result<()> {
        let [segment, points] = [segment, points].map(|number| grouped(&number.to_string()));
        let length = match self.space {
            Space::Geographic => grouped(&format!("{length:.0}")) + " m",
            Space::Planar => grouped(&format!("{length:.6}")),
        };
        let name = self.names.fit(name, TRACK_WIDTH, Keep::Start);
        writeln!(self.out, "{name}{segment:>10}{points:>13}{length:>20}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_footer_explains_raw_lengths() {
        let mut out = Vec::new();
        footer(&mut out, 3, Duration::from_millis(500), true).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @"

        sent 3 points in 0.500 s, 6 points/s
        Raw length: GPS noise makes it longer than the true path; try --estimate.
        ");
    }

    #[test]
    fn segments_have_lengths_in_whole_metres_or_in_the_planar_unit() {
        let mut out = Vec::new();
        let names = Names::Truncated;
        let mut table = SegmentTable::new(&mut out, Space::Geographic, names).unwrap();
        table.row("a", 1, 2, 1234.0).unwrap();
        let mut table = SegmentTable::new(&mut out, Space::Planar, names).unwrap();
        table.row("total", 1, 2, 7.5).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @"
        track                              segment       points              length
        a                                        1            2             1 234 m
        track                              segment       points              length
        total                                    1            2            7.500000
        ");
    }
}
