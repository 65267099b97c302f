//! Parses geometries in well-known text and passes on their points, one at a time.
//!
//! The grammar is that of OGC Simple Features and of the extended form of PostGIS (`SRID=4326;LINESTRING...`).
//! The `wkt` crate is not used: it returns whole geometries, or an error without the points before it.

use std::io::BufRead;

use super::super::error::{FormatError, Position};
use super::super::value::excerpt;
use super::scanner::{Scanner, Token};

/// The largest number of collections inside each other.
const DEPTH_MAX: u32 = 64;
/// The largest number of coordinates of a point: x, y, z and m.
const COORDINATES_MAX: usize = 4;

/// A part of a geometry.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Event {
    /// A line starts. The points that follow belong to it.
    StartLine,
    /// A separate point starts. The next point is this one.
    StartPoint,
    /// A point.
    Point { x: f64, y: f64, z: Option<f64> },
    /// A point whose x or y cannot be read, and the reason.
    InvalidPoint(String),
    /// A z of the next point that cannot be read, and the reason.
    InvalidElevation(String),
    /// The number of the reference system of the geometry that follows.
    Srid(u32),
    /// The geometry has m values, which are ignored.
    IgnoredMeasures,
    /// A geometry that is not a path is ignored. The field is its name.
    IgnoredGeometry(&'static str),
}

/// Receives the events of a geometry, with their positions in the text.
pub(in super::super) type Each<'e> = dyn FnMut(Position, Event) -> Result<(), FormatError> + 'e;

/// The end of a geometry.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// The geometry is complete.
    Complete,
    /// The geometry violates the grammar here, for this reason.
    Damaged(Position, String),
    /// The text ends within the geometry.
    Cut(Position),
    /// The text has no further geometry.
    End,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Point,
    Line,
    MultiPoint,
    MultiLine,
    Collection,
    Ignored(&'static str),
}

/// Whether the third and the fourth coordinate are z or m.
#[derive(Clone, Copy, PartialEq)]
enum Dimensions {
    /// Not stated: the third coordinate is z.
    Unstated,
    Z,
    M,
    Zm,
}

/// The geometries that are paths or points.
const READ: [(&str, Kind); 5] = [
    ("POINT", Kind::Point),
    ("LINESTRING", Kind::Line),
    ("MULTIPOINT", Kind::MultiPoint),
    ("MULTILINESTRING", Kind::MultiLine),
    ("GEOMETRYCOLLECTION", Kind::Collection),
];
/// The other geometries.
const IGNORED: [&str; 11] = [
    "POLYGON",
    "MULTIPOLYGON",
    "CIRCULARSTRING",
    "COMPOUNDCURVE",
    "CURVEPOLYGON",
    "MULTICURVE",
    "MULTISURFACE",
    "POLYHEDRALSURFACE",
    "TIN",
    "TRIANGLE",
    "LINEARRING",
];

/// Returns the geometry of a keyword such as `LINESTRING` or `PointZM`.
fn keyword(word: &[u8]) -> Option<(Kind, Dimensions)> {
    let upper = std::str::from_utf8(word).ok()?.to_ascii_uppercase();
    let (name, dimensions) = if let Some(name) = upper.strip_suffix("ZM") {
        (name, Dimensions::Zm)
    } else if let Some(name) = upper.strip_suffix('Z') {
        (name, Dimensions::Z)
    } else if let Some(name) = upper.strip_suffix('M') {
        (name, Dimensions::M)
    } else {
        (&*upper, Dimensions::Unstated)
    };
    let read = READ.iter().find(|(read, _)| *read == name).map(|(_, kind)| *kind);
    let ignored =
        || IGNORED.iter().find(|ignored| **ignored == name).map(|name| Kind::Ignored(name));
    read.or_else(ignored).map(|kind| (kind, dimensions))
}

/// Returns whether a text starts with a geometry, for the detection of the format.
pub(super) fn starts_geometry(text: &[u8]) -> bool {
    let mut scanner = Scanner::new(text);
    let Ok(Token::Word) = scanner.next() else { return false };
    if srid(scanner.word()).is_some() {
        let is_next = matches!(scanner.next(), Ok(Token::Semicolon))
            && matches!(scanner.next(), Ok(Token::Word));
        if !is_next {
            return false;
        }
    }
    if keyword(scanner.word()).is_none() {
        return false;
    }
    let mut token = scanner.next();
    if matches!(token, Ok(Token::Word)) && dimensions(scanner.word()).is_some() {
        token = scanner.next();
    }
    match token {
        Ok(Token::Open) => true,
        Ok(Token::Word) => is_empty(scanner.word()),
        _ => false,
    }
}

fn dimensions(word: &[u8]) -> Option<Dimensions> {
    match word {
        b"Z" | b"z" => Some(Dimensions::Z),
        b"M" | b"m" => Some(Dimensions::M),
        _ if word.eq_ignore_ascii_case(b"ZM") => Some(Dimensions::Zm),
        _ => None,
    }
}

fn is_empty(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"EMPTY")
}

/// Returns the number in `SRID=4326`.
fn srid(word: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(word).ok()?;
    let (name, number) = text.split_once('=')?;
    if name.eq_ignore_ascii_case("SRID") { number.parse().ok() } else { None }
}

/// The reason that a geometry cannot be read further.
enum Stop {
    Damaged(String),
    Cut,
    Failed(FormatError),
}

impl From<FormatError> for Stop {
    fn from(error: FormatError) -> Self {
        Stop::Failed(error)
    }
}

/// Reads geometries from a text.
pub(super) struct Parser<R> {
    scanner: Scanner<R>,
}

impl<R: BufRead> Parser<R> {
    pub(super) fn new(text: R) -> Self {
        Self { scanner: Scanner::new(text) }
    }

    /// Reads one geometry with its SRID. After damage the next call resumes at the next geometry or line.
    pub(super) fn next(&mut self, each: &mut Each<'_>) -> Result<Outcome, FormatError> {
        let outcome = self.geometry(each);
        let position = self.scanner.position();
        match outcome {
            Ok(true) => Ok(Outcome::Complete),
            Ok(false) => Ok(Outcome::End),
            Err(Stop::Cut) => Ok(Outcome::Cut(position)),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Damaged(reason)) => Ok(Outcome::Damaged(position, reason)),
        }
    }

    fn geometry(&mut self, each: &mut Each<'_>) -> Result<bool, Stop> {
        loop {
            match self.scanner.next()? {
                Token::End => return Ok(false),
                Token::Comma | Token::Semicolon => continue,
                Token::Word => {}
                _ => return self.damaged("a geometry"),
            }
            if let Some(srid) = srid(self.scanner.word()) {
                each(self.scanner.position(), Event::Srid(srid))?;
                continue;
            }
            break;
        }
        let mut depth = 0_u32;
        loop {
            let Some((kind, attached)) = keyword(self.scanner.word()) else {
                return self.damaged("a geometry");
            };
            match self.body(kind, attached, each)? {
                true if depth == DEPTH_MAX => {
                    let reason = format!("more than {DEPTH_MAX} collections are inside each other");
                    return self.skipping_line(reason);
                }
                true => depth += 1,
                false => {}
            }
            // After the start of a collection, or after a member of it.
            let mut is_start = kind == Kind::Collection;
            while depth > 0 {
                match self.scanner.next()? {
                    Token::Close => depth -= 1,
                    Token::Comma if !is_start => {
                        self.expect_word()?;
                        break;
                    }
                    Token::Word if is_start => break,
                    Token::End => return Err(Stop::Cut),
                    _ => return self.damaged("`,` or `)`"),
                }
                is_start = false;
            }
            if depth == 0 {
                return Ok(true);
            }
        }
    }

    fn expect_word(&mut self) -> Result<(), Stop> {
        match self.scanner.next()? {
            Token::Word => Ok(()),
            Token::End => Err(Stop::Cut),
            _ => self.damaged("a geometry"),
        }
    }

    /// Reads what follows a keyword. Returns whether it is the start of a collection.
    fn body(
        &mut self,
        kind: Kind,
        attached: Dimensions,
        each: &mut Each<'_>,
    ) -> Result<bool, Stop> {
        let position = self.scanner.position();
        let mut token = self.scanner.next()?;
        let mut stated = attached;
        if token == Token::Word
            && let Some(separate) = dimensions(self.scanner.word())
        {
            stated = separate;
            token = self.scanner.next()?;
        }
        match (token, kind) {
            (Token::Word, _) if is_empty(self.scanner.word()) => {
                if matches!(kind, Kind::Line | Kind::MultiLine) {
                    each(position, Event::StartLine)?;
                }
            }
            (Token::Open, Kind::Collection) => return Ok(true),
            (Token::Open, Kind::Ignored(name)) => {
                each(position, Event::IgnoredGeometry(name))?;
                self.skip_to_close()?;
            }
            (Token::Open, Kind::Line) => {
                each(position, Event::StartLine)?;
                self.points(stated, false, each)?;
            }
            (Token::Open, Kind::Point) => self.points(stated, true, each)?,
            (Token::Open, _) => self.parts(stated, kind == Kind::MultiPoint, each)?,
            (Token::End, _) => return Err(Stop::Cut),
            _ => return self.damaged("`(`"),
        }
        Ok(false)
    }

    /// Reads the lists of points of a MULTILINESTRING or MULTIPOINT. The points of the latter may have no
    /// parentheses.
    fn parts(
        &mut self,
        stated: Dimensions,
        are_points: bool,
        each: &mut Each<'_>,
    ) -> Result<(), Stop> {
        loop {
            match self.scanner.next()? {
                Token::Open => {
                    if !are_points {
                        each(self.scanner.position(), Event::StartLine)?;
                    }
                    self.points(stated, are_points, each)?;
                }
                Token::Word if is_empty(self.scanner.word()) => {}
                Token::Word if are_points => {
                    self.scanner.push_back(Token::Word);
                    return self.points(stated, true, each);
                }
                Token::Comma => {}
                Token::Close => return Ok(()),
                Token::End => return Err(Stop::Cut),
                _ => return self.damaged("`(`"),
            }
        }
    }

    /// Reads points up to the closing parenthesis.
    fn points(
        &mut self,
        stated: Dimensions,
        are_separate: bool,
        each: &mut Each<'_>,
    ) -> Result<(), Stop> {
        let mut has_measures = false;
        loop {
            let mut values = [None; COORDINATES_MAX];
            let mut count = 0;
            let mut invalid = None;
            let mut position = self.scanner.position();
            let end = loop {
                let token = self.scanner.next()?;
                match token {
                    // The closing parenthesis is missing.
                    Token::Word if keyword(self.scanner.word()).is_some() => break token,
                    Token::Word => {
                        if count == 0 {
                            position = self.scanner.position();
                        }
                        let value = number(self.scanner.word());
                        if value.is_none() && count < 2 {
                            invalid.get_or_insert_with(|| excerpt(self.scanner.word()));
                        }
                        if let Some(slot) = values.get_mut(count) {
                            *slot = value;
                        }
                        count += 1;
                    }
                    Token::Comma | Token::Close => break token,
                    Token::End => return Err(Stop::Cut),
                    Token::Open | Token::Semicolon => return self.damaged("a number, `,` or `)`"),
                }
            };
            if end == Token::Word && count == 0 {
                return self.unclosed();
            }
            if are_separate {
                each(position, Event::StartPoint)?;
            }
            let m_index = match stated {
                Dimensions::M => 2,
                _ => 3,
            };
            if count > m_index && !has_measures {
                has_measures = true;
                each(position, Event::IgnoredMeasures)?;
            }
            let has_z = count > 2 && stated != Dimensions::M;
            let event = match (values, invalid) {
                (_, Some(found)) => {
                    Event::InvalidPoint(format!("the coordinate {found} is not a number"))
                }
                ([Some(x), Some(y), z, _], None) if count <= COORDINATES_MAX => {
                    if has_z && z.is_none() {
                        let message = "the third coordinate is not a number".to_owned();
                        each(position, Event::InvalidElevation(message))?;
                    }
                    Event::Point { x, y, z: z.filter(|_| has_z) }
                }
                _ => {
                    Event::InvalidPoint(format!("the number of coordinates is {count}, not 2 to 4"))
                }
            };
            each(position, event)?;
            match end {
                Token::Close => return Ok(()),
                Token::Word => return self.unclosed(),
                _ => {}
            }
        }
    }

    /// Stops before the keyword of the next geometry.
    fn unclosed(&mut self) -> Result<(), Stop> {
        self.scanner.push_back(Token::Word);
        Err(Stop::Damaged("a `)` is missing before this geometry".to_owned()))
    }

    /// Skips the content of a geometry, up to the parenthesis that closes it.
    fn skip_to_close(&mut self) -> Result<(), Stop> {
        let mut depth = 1_u64;
        while depth > 0 {
            match self.scanner.next()? {
                Token::Open => depth += 1,
                Token::Close => depth -= 1,
                Token::End => return Err(Stop::Cut),
                _ => {}
            }
        }
        Ok(())
    }

    fn damaged<T>(&mut self, expected: &str) -> Result<T, Stop> {
        self.skipping_line(format!("this is not {expected}"))
    }

    fn skipping_line<T>(&mut self, reason: String) -> Result<T, Stop> {
        self.scanner.skip_line()?;
        Err(Stop::Damaged(reason))
    }
}

fn number(word: &[u8]) -> Option<f64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}
