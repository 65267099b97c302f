//! The positions in the text of `coordinates` and `gx:coord`.
//!
//! [`Tuples`] takes the text of `coordinates` character by character and returns each position when it is
//! complete, so that a line of any length needs little memory.

use super::super::super::error::Position;
use super::super::super::value::{coordinate, number};

/// Maximum length of a position in bytes.
const TUPLE_BYTES_MAX: usize = 256;

/// A position of a line or point.
pub(super) struct Tuple {
    pub position: Position,
    /// The longitude and latitude, or the reason why they are missing.
    pub coordinates: Result<(f64, f64), String>,
    pub altitude: Result<Option<f64>, String>,
    /// Whether it ends with a comma and white space. Some writers separate positions so.
    pub ends_at_comma: bool,
}

impl Tuple {
    /// Parses the text of a `gx:coord`: values that white space separates.
    pub(super) fn from_coord(text: &str, position: Position) -> Self {
        Self::from_values(text.split_whitespace(), position)
    }

    fn from_values<'t>(mut values: impl Iterator<Item = &'t str>, position: Position) -> Self {
        let (x, y, altitude) = (values.next(), values.next(), values.next());
        let coordinates = match (x, y) {
            _ if values.next().is_some_and(|value| !value.is_empty()) => {
                let message =
                    "a position has more than 3 values; white space must separate positions";
                Err(message.to_owned())
            }
            (Some(x), Some(y)) => coordinate("longitude", x.as_bytes())
                .and_then(|x| Ok((x, coordinate("latitude", y.as_bytes())?))),
            (Some(_), None) => Err("a position has a longitude but no latitude".to_owned()),
            (None, _) => Err("a position is blank".to_owned()),
        };
        let altitude = altitude.map_or(Ok(None), |z| number("altitude", z.as_bytes()));
        Self { position, coordinates, altitude, ends_at_comma: false }
    }
}

/// Divides the text of `coordinates` into positions.
///
/// White space separates positions, and commas separate their values. White space next to a comma is part of
/// the position. But if only the comma after the latitude has white space, this comma ends the position.
pub(super) struct Tuples {
    /// The position that is not complete, without its white space.
    text: String,
    start: Position,
    comma_count: u32,
    /// Whether the characters after the last comma are white space so far.
    is_after_comma: bool,
    is_after_space: bool,
    /// Whether white space follows the comma after the longitude.
    has_space_after_longitude: bool,
    is_too_long: bool,
    line: u64,
    column: u64,
}

impl Default for Tuples {
    fn default() -> Self {
        Self {
            text: String::new(),
            start: Position::line(1),
            comma_count: 0,
            is_after_comma: false,
            is_after_space: false,
            has_space_after_longitude: false,
            is_too_long: false,
            line: 1,
            column: 1,
        }
    }
}

impl Tuples {
    /// Starts a part of the text.
    pub(super) fn start_part(&mut self, position: Position) {
        if let Position::Text { line, column } = position {
            (self.line, self.column) = (line, column.unwrap_or(1));
        }
    }

    /// Adds a character. Returns the position that ends before it.
    pub(super) fn push(&mut self, char: char) -> Option<Tuple> {
        let at = Position::column(self.line, self.column);
        match char {
            '\n' => (self.line, self.column) = (self.line + 1, 1),
            _ => self.column += char.len_utf8() as u64,
        }
        if char.is_whitespace() {
            self.is_after_space = true;
            return None;
        }
        let is_separated = std::mem::take(&mut self.is_after_space);
        let complete = match char {
            ',' => None,
            _ if is_separated && !self.is_after_comma => self.finish(),
            _ if is_separated && self.comma_count == 1 => {
                self.has_space_after_longitude = true;
                None
            }
            _ if is_separated && !self.has_space_after_longitude && self.comma_count > 1 => {
                self.finish().map(|tuple| Tuple { ends_at_comma: true, ..tuple })
            }
            _ => None,
        };
        if self.is_blank() {
            self.start = at;
        }
        self.is_after_comma = char == ',';
        self.comma_count = self.comma_count.saturating_add(u32::from(self.is_after_comma));
        match self.text.len() < TUPLE_BYTES_MAX {
            true => self.text.push(char),
            false => self.is_too_long = true,
        }
        complete
    }

    /// Returns the last position.
    pub(super) fn finish(&mut self) -> Option<Tuple> {
        if self.is_blank() {
            return None;
        }
        let mut tuple = Tuple::from_values(self.text.split(','), self.start);
        if self.is_too_long {
            let message = format!("a position is longer than {TUPLE_BYTES_MAX} bytes");
            tuple.coordinates = Err(message);
        }
        self.text.clear();
        self.comma_count = 0;
        self.is_after_comma = false;
        self.has_space_after_longitude = false;
        self.is_too_long = false;
        Some(tuple)
    }

    fn is_blank(&self) -> bool {
        self.text.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tuples(text: &str) -> Vec<Tuple> {
        let mut tuples = Tuples::default();
        tuples.start_part(Position::column(7, 3));
        let mut complete: Vec<Tuple> = text.chars().filter_map(|char| tuples.push(char)).collect();
        complete.extend(tuples.finish());
        complete
    }

    fn texts(text: &str) -> String {
        let tuples = tuples(text);
        let text = |tuple: &Tuple| match (&tuple.coordinates, &tuple.altitude) {
            (Ok((x, y)), Ok(None)) => format!("{x} {y}"),
            (Ok((x, y)), Ok(Some(z))) => format!("{x} {y} {z}"),
            (Ok(_), Err(message)) | (Err(message), _) => message.clone(),
        };
        let end = |tuple: &Tuple| if tuple.ends_at_comma { " (comma)" } else { "" };
        tuples.iter().map(|tuple| text(tuple) + end(tuple) + "\n").collect()
    }

    #[test]
    fn any_white_space_separates_positions() {
        for text in ["1,2,3 4,5,6", "\n\t1,2,3\r\n4,5,6\n", "1,2,3\u{a0}\u{3000}4,5,6"] {
            assert_eq!(texts(text), "1 2 3\n4 5 6\n", "{text:?}");
        }
        assert_eq!(texts(""), "");
        assert_eq!(texts("1,2 3,4"), "1 2\n3 4\n");
    }

    #[test]
    fn white_space_next_to_commas_is_part_of_a_position() {
        for text in ["1, 2, 3 4, 5, 6", "1 ,2 ,3\n4 ,5 ,6", "1 , 2 , 3 4 , 5 , 6"] {
            assert_eq!(texts(text), "1 2 3\n4 5 6\n", "{text:?}");
        }
        assert_eq!(texts("1,2,3, 4,5,6,"), "1 2 3 (comma)\n4 5 6\n");
        assert_eq!(texts("1,2,\n3,4,\n"), "1 2 (comma)\n3 4\n");
    }

    #[test]
    fn invalid_positions_are_explained() {
        insta::assert_snapshot!(texts("1,x 1 ,5 1,2,3,4 1,2,high"), @r#"
        the latitude "x" is not a number
        1 5
        a position has more than 3 values; white space must separate positions
        the altitude "high" is not a number
        "#);
        insta::assert_snapshot!(texts(&format!("{} 1,2", "9".repeat(1 << 10))), @"
        a position is longer than 256 bytes
        1 2
        ");
    }

    #[test]
    fn positions_have_lines_and_columns() {
        let positions: Vec<String> =
            tuples(" 1,2\u{a0}3,4\n5,6").iter().map(|tuple| tuple.position.to_string()).collect();
        assert_eq!(positions, ["line 7, column 4", "line 7, column 9", "line 8, column 1"]);
    }

    proptest! {
        #[test]
        fn every_list_is_read_for_any_style(
            list in prop::collection::vec((-180.0..180.0_f64, -90.0..90.0_f64, any::<bool>()), 0..20),
            comma in "[ \n]{0,2},[ \n]{0,2}",
            space in "[ \t\r\n]{1,3}",
        ) {
            let mut text = String::new();
            let mut expected = String::new();
            for (x, y, has_z) in list {
                text += &format!("{x}{comma}{y}");
                expected += &format!("{x} {y}");
                if has_z {
                    text += &format!("{comma}0.5");
                    expected += " 0.5";
                }
                text += &space;
                expected += "\n";
            }
            prop_assert_eq!(texts(&text), expected);
        }
    }
}
