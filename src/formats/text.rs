//! Decodes text to UTF-8, from the encoding of a byte order mark or an XML declaration.
//!
//! The readers receive UTF-8 without a mark. The decoder of quick-xml is not used, because it ignores an XML
//! declaration of more than 64 bytes, and because spreadsheets also write tables in UTF-16.

use std::io::{self, BufRead, Cursor, Read};

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::error::{FormatError, Position};
use super::head;
use super::options::ReadOptions;
use super::value::excerpt;

/// The output buffer of the decoder.
const DECODED_BYTES: usize = 16 << 10;

/// Decodes the text that starts with the bytes `head` and continues with `input`. Returns the first rows of the
/// text, and the whole text.
pub(super) fn decode<'a>(
    mut head: Vec<u8>,
    input: impl BufRead + 'a,
    options: &ReadOptions,
) -> Result<(Vec<u8>, Box<dyn BufRead + 'a>), FormatError> {
    let (encoding, mark_bytes) = encoding_of(&head)?;
    head.drain(..mark_bytes);
    if encoding == UTF_8 {
        return Ok((head.clone(), Box::new(Cursor::new(head).chain(input))));
    }
    let mut text = Decoded::new(Cursor::new(head).chain(input), encoding);
    let head = head::read(&mut text, options)?;
    Ok((head.clone(), Box::new(Cursor::new(head).chain(text))))
}

/// Returns the encoding and the length of the byte order mark.
fn encoding_of(head: &[u8]) -> Result<(&'static Encoding, usize), FormatError> {
    if let Some(found) = Encoding::for_bom(head) {
        return Ok(found);
    }
    if let Some(encoding) = unmarked_utf16(head) {
        return Ok((encoding, 0));
    }
    let Some(label) = declared_encoding(head) else { return Ok((UTF_8, 0)) };
    match Encoding::for_label(label) {
        // The declaration itself is not UTF-16, so it is wrong.
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => Ok((UTF_8, 0)),
        Some(encoding) => Ok((encoding, 0)),
        None => Err(FormatError::malformed(
            Position::line(1),
            format!("the encoding {} is unknown; save the file as UTF-8", excerpt(label)),
        )),
    }
}

/// Returns the encoding of a text in UTF-16 without a byte order mark that starts with ASCII characters.
fn unmarked_utf16(head: &[u8]) -> Option<&'static Encoding> {
    let is_ascii = |byte: u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let pairs = || head.chunks_exact(2).take(4).map(|pair| (pair[0], pair[1]));
    match head {
        [_, 0, ..] if pairs().all(|(low, high)| high == 0 && is_ascii(low)) => Some(UTF_16LE),
        [0, ..] if pairs().all(|(high, low)| high == 0 && is_ascii(low)) => Some(UTF_16BE),
        _ => None,
    }
}

/// Returns the value of `encoding` in an XML declaration at the start of the file.
fn declared_encoding(head: &[u8]) -> Option<&[u8]> {
    let rest = head.strip_prefix(b"<?xml")?;
    let end = rest.windows(2).position(|pair| pair == b"?>")?;
    let declaration = &rest[..end];
    let at = declaration.windows(8).position(|bytes| bytes == b"encoding")?;
    let value = declaration[at + 8..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (&quote, value) =
        value.split_first().filter(|&(&quote, _)| matches!(quote, b'"' | b'\''))?;
    value.split(|&byte| byte == quote).next()
}

/// Reads text of another encoding as UTF-8. Invalid bytes become U+FFFD, which can change a name but not a
/// number.
struct Decoded<R> {
    input: R,
    decoder: Decoder,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    done: bool,
}

impl<R: BufRead> Decoded<R> {
    fn new(input: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_without_bom_handling();
        let buffer = vec![0; DECODED_BYTES].into();
        Self { input, decoder, buffer, start: 0, end: 0, done: false }
    }
}

impl<R: BufRead> BufRead for Decoded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.start == self.end && !self.done {
            let bytes = self.input.fill_buf()?;
            let last = bytes.is_empty();
            let (result, read, written, _) =
                self.decoder.decode_to_utf8(bytes, &mut self.buffer, last);
            self.input.consume(read);
            (self.start, self.end) = (0, written);
            self.done = last && result == encoding_rs::CoderResult::InputEmpty;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, amount: usize) {
        self.start = (self.start + amount).min(self.end);
    }
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(mut bytes: &[u8]) -> Result<(Vec<u8>, Box<dyn BufRead + '_>), FormatError> {
        let options = ReadOptions::default();
        let head = head::read(&mut bytes, &options)?;
        decode(head, bytes, &options)
    }

    fn text(bytes: &[u8]) -> String {
        let (head, mut text) = decoded(bytes).unwrap();
        let mut all = String::new();
        text.read_to_string(&mut all).unwrap();
        assert!(all.as_bytes().starts_with(&head));
        all
    }

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn the_byte_order_mark_is_used_and_removed() {
        assert_eq!(text(b"lat,lon"), "lat,lon");
        assert_eq!(text(b"\xef\xbb\xbflat,lon"), "lat,lon");
        let long = "\u{feff}lat;lon;č\u{1f6b2}\n".to_owned() + &"46;13;x\n".repeat(10_000);
        assert_eq!(text(&utf16(&long, u16::to_le_bytes)), long[3..]);
        assert_eq!(text(&utf16(&long, u16::to_be_bytes)), long[3..]);
        for text_without_mark in ["<?xml?><gpx/>", "lat;lon\n46;13\n"] {
            for to_bytes in [u16::to_be_bytes, u16::to_le_bytes] {
                assert_eq!(text(&utf16(text_without_mark, to_bytes)), text_without_mark);
            }
        }
    }

    #[test]
    fn a_declared_encoding_is_used_for_any_length_of_the_declaration() {
        let pad = " ".repeat(500);
        let mut file =
            format!("<?xml version='1.0'{pad} encoding = 'iso-8859-2' ?><n>").into_bytes();
        file.push(0xe8);
        assert!(text(&file).ends_with("<n>č"));
        assert_eq!(text(b"<?xml encoding=\"utf-16\"?><gpx/>"), "<?xml encoding=\"utf-16\"?><gpx/>");
        let error = decoded(b"<?xml encoding='klingon'?>").err().unwrap();
        insta::assert_snapshot!(error, @r#"the encoding "klingon" is unknown; save the file as UTF-8"#);
    }

    #[test]
    fn the_head_of_utf16_text_ends_with_the_second_row() {
        let rows = "\u{feff}\"lat\n\n\",\"lon\"\n1,2\n";
        let bytes = utf16(&(rows.to_owned() + "3,4\n"), u16::to_be_bytes);
        let (head, _) = decoded(&bytes).unwrap();
        assert_eq!(head, &rows.as_bytes()[3..]);
    }
}
