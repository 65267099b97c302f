//! Writes elements and texts of SVG.

use std::fmt::Write as _;

/// A rectangle in the coordinates of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Area {
    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    pub(super) fn contains(&self, [x, y]: [f64; 2]) -> bool {
        (self.left..=self.right()).contains(&x) && (self.top..=self.bottom()).contains(&y)
    }
}

/// Where a text is in relation to its position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Stands for the ID of the picture while it is written. No text contains it, see [`escape`].
pub(super) const ID: char = '\u{1}';

/// A picture while it is written.
#[derive(Debug, Default)]
pub(super) struct Svg(String);

impl Svg {
    /// Adds text that is SVG already.
    pub(super) fn raw(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// Adds a text of the class `class`.
    pub(super) fn text(&mut self, [x, y]: [f64; 2], class: &str, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (number(x), number(y), escape(text));
        self.raw(&format!(
            "<text x=\"{x}\" y=\"{y}\" class=\"{class}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// Adds a straight line.
    pub(super) fn line(&mut self, from: [f64; 2], to: [f64; 2], class: &str) {
        let [x1, y1, x2, y2] = [from[0], from[1], to[0], to[1]].map(number);
        self.raw(&format!(
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" class=\"{class}\"/>"
        ));
    }

    /// Adds a rectangle.
    pub(super) fn rectangle(&mut self, area: Area, class: &str) {
        let [x, y, width, height] = [area.left, area.top, area.width, area.height].map(number);
        self.raw(&format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" class=\"{class}\"/>"
        ));
    }

    /// Adds lines through points. `attributes` are those of the element.
    pub(super) fn path(&mut self, lines: &[Vec<[f64; 2]>], attributes: &str) {
        let mut data = String::new();
        for line in lines {
            for (index, &[x, y]) in line.iter().enumerate() {
                let command = if index == 0 { 'M' } else { 'L' };
                // Writing to a string does not fail.
                let _ = write!(data, "{command}{} {}", number(x), number(y));
            }
        }
        if !data.is_empty() {
            self.raw(&format!("<path d=\"{data}\" {attributes}/>"));
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Replaces [`ID`] by an ID that follows from the picture, so that pictures in one document do not share it.
pub(super) fn with_id(picture: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, picture.as_bytes());
    let mut id = "plot-".to_owned();
    for byte in hash.as_ref().iter().take(8) {
        // Writing to a string does not fail.
        let _ = write!(id, "{byte:02x}");
    }
    picture.replace(ID, &id)
}

/// Formats a coordinate with at most one decimal place.
pub(super) fn number(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0 + 0.0;
    format!("{rounded}")
}

/// Escapes a text, and replaces characters that XML does not permit.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ if char.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(char),
        }
    }
    escaped
}

/// Returns the beginning of a text, with an ellipsis if there is more.
pub(super) fn shorten(text: &str, chars_max: usize) -> String {
    match text.chars().count() > chars_max {
        true => text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}
