//! Compares [`XmlReader`] with quick-xml, which reads the same document without shortcuts.

use std::io::BufReader;

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

use super::super::error::FormatError;
use super::messages::explain;
use super::reader::Kind;
use super::*;

/// The events of a document and its error. Parts of a text are one event.
#[derive(Debug, Default, PartialEq)]
struct Events {
    events: Vec<String>,
    error: Option<String>,
}

impl Events {
    fn add_text(&mut self, text: &str) {
        match self.events.last_mut().filter(|last| last.starts_with("text ")) {
            Some(last) => *last += text,
            None => self.events.push(format!("text {text}")),
        }
    }

    fn add_start(&mut self, name: &str, attributes: &str, position: Position) {
        self.events.push(format!("start {name:?} {attributes:?} at {position}"));
    }

    fn add_end(&mut self, position: Position) {
        self.events.push(format!("end at {position}"));
    }

    fn set_error(&mut self, error: &FormatError) {
        self.error = Some(error.in_file(""));
    }
}

/// Reads with [`XmlReader::next`], and a number of bytes at once.
fn read_events(file: &[u8], bytes_at_once: usize) -> (Events, String) {
    let mut xml = XmlReader::new(BufReader::with_capacity(bytes_at_once, file));
    let mut events = Events::default();
    loop {
        match xml.next() {
            Ok((XmlEvent::Start(element), position)) => {
                events.add_start(element.name(), element.attributes_text(), position);
            }
            Ok((XmlEvent::Text(text), _)) => events.add_text(&text),
            Ok((XmlEvent::End, position)) => events.add_end(position),
            Ok((XmlEvent::Other, _)) => {}
            Ok((XmlEvent::Eof, _)) => break,
            Err(error) => {
                events.set_error(&error);
                break;
            }
        }
    }
    (events, format!("{:?}", xml.repairs()))
}

/// Reads as `read_document` does.
fn find_events(file: &[u8]) -> Events {
    let mut xml = XmlReader::new(file);
    let mut events = Events::default();
    loop {
        let found = xml.find();
        let position = xml.position();
        match found.kind {
            Kind::Start | Kind::Empty => match xml.start(found, position) {
                Ok(element) => {
                    events.add_start(element.name(), element.attributes_text(), position);
                }
                Err(error) => {
                    events.set_error(&error);
                    return events;
                }
            },
            Kind::Text => events.add_text(xml.text(found)),
            Kind::End => {
                xml.end(found);
                events.add_end(position);
            }
            _ => match xml.other(found, position) {
                Ok(XmlEvent::Start(element)) => {
                    events.add_start(element.name(), element.attributes_text(), position);
                }
                Ok(XmlEvent::Text(text)) => events.add_text(&text),
                Ok(XmlEvent::End) => events.add_end(position),
                Ok(XmlEvent::Other) => {}
                Ok(XmlEvent::Eof) => return events,
                Err(error) => {
                    events.set_error(&error);
                    return events;
                }
            },
        }
    }
}

/// Returns the position of the byte at an index.
fn position_at(text: &str, index: usize) -> Position {
    let before = &text[..index];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Position::column(1 + before.matches('\n').count() as u64, (1 + index - line_start) as u64)
}

/// Reads with one quick-xml reader, which compares the end tags with the open elements itself.
fn quick_xml_events(text: &str) -> Events {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    reader.config_mut().allow_dangling_amp = true;
    let mut events = Events::default();
    let (mut depth, mut has_root) = (0, false);
    let fail = |mut events: Events, position, message: &str| {
        events.set_error(&FormatError::malformed(position, message));
        events
    };
    loop {
        let position = position_at(text, reader.buffer_position() as usize);
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                events.set_error(&explain(error, position));
                return events;
            }
        };
        match event {
            Event::Start(start) => {
                if depth == 0 && has_root {
                    let message = "a second root element";
                    return fail(events, position, message);
                }
                has_root = true;
                depth += 1;
                events.add_start(start.name().into_inner(), start.attributes_raw(), position);
            }
            Event::End(_) => {
                depth -= 1;
                events.add_end(position);
            }
            Event::Eof if !has_root => return fail(events, position, "this XML has no element"),
            Event::Eof if depth > 0 => return fail(events, position, "the file ends"),
            Event::Eof => return events,
            _ if depth == 0 => {}
            Event::Text(text) => events.add_text(&text),
            Event::CData(text) => events.add_text(&text),
            Event::GeneralRef(entity) => match entity.resolve_char_ref() {
                Ok(Some(char)) => events.add_text(&char.to_string()),
                _ => events.add_text(resolve_xml_entity(&entity).unwrap_or("\u{fffd}")),
            },
            _ => {}
        }
    }
}

fn has_lone_less_than(text: &str) -> bool {
    let is_lone = |pair: &[u8]| pair[0] == b'<' && b"<>&;]\"' \n\r\0".contains(&pair[1]);
    text.as_bytes().windows(2).any(is_lone)
}

/// Generates documents with everything that XML has, well-formed or not.
fn document() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<a>",
        "</a>",
        "<a/>",
        "<b:c d=\"1\" e='2'>",
        "</b:c>",
        "<b:c d=\">\" e='/>'/>",
        "</a >",
        "</a\n>",
        "</ a>",
        "<a b=\"'\">",
        "<a b='\"'>",
        "<a\"b\">",
        "</a\"b\">",
        "<",
        ">",
        "</",
        "/>",
        "<>",
        "</>",
        "&",
        "&amp;",
        "&lt",
        "&#65;",
        "&#x10D;",
        "&#0;",
        "&nbsp;",
        ";",
        "\"",
        "'",
        " ",
        "\n",
        "\r\n",
        "\0",
        "text",
        "č",
        "\u{1f6b2}",
        "<!-- x > -->",
        "<!--",
        "-->",
        "<![CDATA[<a>]]>",
        "<![CDATA[",
        "]]>",
        "<?xml version='1.0'?>",
        "<?pi > ?>",
        "<?",
        "?>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]>",
        "<!DOCTYPE",
        "<!x>",
        "<trkpt lat=\"46.5\" lon=\"13.5\">\n  <ele>1</ele>\n  <time>2024-05-18T09:12:40Z</time>\n</trkpt>\n",
    ]);
    prop::collection::vec(pieces, 0..30).prop_map(|pieces| format!("<r>{}</r>", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_events_are_those_of_quick_xml(text in document(), cut in 0..400_usize) {
        let end = (0..=cut.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap();
        // quick-xml reads every `<` as the start of a tag.
        for text in [&text, &text[..end]].into_iter().filter(|text| !has_lone_less_than(text)) {
            let mut expected = quick_xml_events(text);
            let (mut events, _) = read_events(text.as_bytes(), 1 << 16);
            let found = find_events(text.as_bytes());
            prop_assert_eq!(&found, &events);
            // The messages about the root have more details.
            if let (Some(expected), Some(error)) = (&expected.error, &mut events.error)
                && error.starts_with(expected.as_str())
            {
                error.truncate(expected.len());
            }
            if expected.error.as_deref().is_some_and(|error| error.ends_with("the file ends")) {
                // The message names the root element.
                expected.error = events.error.clone().filter(|error| error.contains("the file ends"));
            }
            prop_assert_eq!(&events, &expected, "{:?}", text);
        }
    }

    #[test]
    fn the_events_do_not_depend_on_the_size_of_reads(
        text in document(),
        invalid in prop::collection::vec((any::<prop::sample::Index>(), 0x80_u8..), 0..3),
        bytes_at_once in 1..9_usize,
    ) {
        let mut file = text.into_bytes();
        for (index, byte) in invalid {
            let at = index.index(file.len());
            file.insert(at, byte);
        }
        prop_assert_eq!(read_events(&file, bytes_at_once), read_events(&file, 1 << 16));
    }
}

#[test]
fn a_less_than_sign_that_starts_no_tag_is_text() {
    for bytes_at_once in [1, 2, 1 << 16] {
        let file = b"<r>5 < 6<<a>< </a>&<\n<![CDATA[< ]]><!-- < --></r>";
        let (events, repairs) = read_events(file, bytes_at_once);
        assert_eq!(events, find_events(file));
        let expected = [
            "start \"r\" \"\" at line 1, column 1",
            "text 5 < 6<",
            "start \"a\" \"\" at line 1, column 10",
            "text < ",
            "end at line 1, column 15",
            "text &<\n< ",
            "end at line 2, column 25",
        ];
        assert_eq!(events, Events { events: expected.map(str::to_owned).into(), error: None });
        assert!(repairs.contains("(LessThan, Text { line: 1, column: Some(6) }, 4)"), "{repairs}");
    }
}

#[test]
fn a_document_larger_than_the_window_is_read() {
    let mut text = "<r>".to_owned();
    let long = "č".repeat(100);
    for index in 0..1_000 {
        text += &format!("<a b=\"{index}\">{long}{index}</a>\n<!-- {index} -->");
    }
    // A tag that does not fit in the window.
    text += &format!("<a b='{}'/>{}</r>", "y".repeat(200_000), "z".repeat(200_000));
    let (events, _) = read_events(text.as_bytes(), 1 << 18);
    assert_eq!(events, quick_xml_events(&text));
    assert_eq!(events.events.len(), 2 + 1_000 * 4 + 3);
}
