//! From bytes to UTF-8 text: byte order marks, and the encoding that an XML declaration names.
//!
//! The readers behind it see UTF-8 without a mark, so that none of them has to know of encodings.
//! It stands here, and not in the XML reader, because spreadsheets write tables in UTF-16 too, and
//! because the decoder that comes with quick-xml takes a declaration's encoding only if the
//! declaration fits in 64 bytes.

use std::io::{self, BufRead, Cursor, Read};

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::error::{FormatError, Position};
use super::rows::RowEnds;
use super::value::excerpt;
use super::{Format, ReadOptions};

/// How much is looked at before reading begins: room for any sensible header line.
const HEAD_BYTES: usize = 16 << 10;
/// The decoder's output buffer.
const DECODED_BYTES: usize = 16 << 10;

/// The first [`HEAD_BYTES`] of the text, or less if that is two lines, and all of it, those included.
pub(super) fn open<'a>(
    mut input: impl BufRead + 'a,
    options: &ReadOptions,
) -> Result<(Vec<u8>, Box<dyn BufRead + 'a>), FormatError> {
    let mut head = peek(&mut input, options)?;
    let (encoding, mark_bytes) = encoding_of(&head)?;
    head.drain(..mark_bytes);
    if encoding == UTF_8 {
        return Ok((head.clone(), Box::new(Cursor::new(head).chain(input))));
    }
    let mut text = Decoded::new(Cursor::new(head).chain(input), encoding);
    let head = peek(&mut text, options)?;
    Ok((head.clone(), Box::new(Cursor::new(head).chain(text))))
}

/// Reads the names of columns and the line after them, which is enough to detect the format. It reads no more,
/// because a pipe may be silent for long after them.
fn peek(input: &mut impl BufRead, options: &ReadOptions) -> Result<Vec<u8>, FormatError> {
    let mut head = Vec::new();
    let mut first = None;
    let mut row_ends = RowEnds::new(options);
    let mut lines = 0;
    while head.len() < HEAD_BYTES && lines < 2 {
        let bytes = match input.fill_buf() {
            Ok([]) => break,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(FormatError::Io(error)),
        };
        let bytes = &bytes[..bytes.len().min(HEAD_BYTES - head.len())];
        let ends_it = |&byte: &u8| {
            if first.is_none() && UTF8_MARK.contains(&byte) {
                return false;
            }
            let is_row_end = row_ends.ends_with(byte);
            if !byte.is_ascii_whitespace() {
                first.get_or_insert(byte);
            }
            // A line break in quotes ends no line of a table.
            let is_end = is_row_end || !first.is_some_and(|first| may_be_table(first, options));
            lines += u32::from(is_end && byte == b'\n' && first.is_some());
            lines == 2
        };
        let count = bytes.iter().position(ends_it).map_or(bytes.len(), |at| at + 1);
        head.extend_from_slice(&bytes[..count]);
        input.consume(count);
    }
    Ok(head)
}

/// The byte order mark of UTF-8.
const UTF8_MARK: [u8; 3] = *b"\xef\xbb\xbf";

/// Whether a text whose first visible byte is `first` may be a table in UTF-8.
fn may_be_table(first: u8, options: &ReadOptions) -> bool {
    match options.format {
        // The byte order mark of UTF-16, which is decoded first.
        _ if matches!(first, 0xff | 0xfe) => false,
        Some(format) => format == Format::Csv,
        None => !matches!(first, b'<' | b'{' | b'['),
    }
}

/// The encoding, and how many bytes its mark takes.
fn encoding_of(head: &[u8]) -> Result<(&'static Encoding, usize), FormatError> {
    if let Some(found) = Encoding::for_bom(head) {
        return Ok(found);
    }
    match head {
        [b'<', 0, ..] => return Ok((UTF_16LE, 0)),
        [0, b'<', ..] => return Ok((UTF_16BE, 0)),
        _ => {}
    }
    let Some(label) = declared_encoding(head) else { return Ok((UTF_8, 0)) };
    match Encoding::for_label(label) {
        // It says UTF-16 but could be read byte by byte: whoever wrote it was wrong.
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => Ok((UTF_8, 0)),
        Some(encoding) => Ok((encoding, 0)),
        None => Err(FormatError::malformed(
            Position::line(1),
            format!("the encoding {} is not known; save the file as UTF-8", excerpt(label)),
        )),
    }
}

/// The value of `encoding` in an XML declaration at the very start.
fn declared_encoding(head: &[u8]) -> Option<&[u8]> {
    let rest = head.strip_prefix(b"<?xml")?;
    let end = rest.windows(2).position(|pair| pair == b"?>")?;
    let declaration = &rest[..end];
    let at = declaration.windows(8).position(|word| word == b"encoding")?;
    let value = declaration[at + 8..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (&quote, value) =
        value.split_first().filter(|&(&quote, _)| matches!(quote, b'"' | b'\''))?;
    value.split(|&byte| byte == quote).next()
}

/// Text of another encoding, read as UTF-8. What cannot be decoded becomes U+FFFD: that can spoil a
/// name, but no number.
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

    fn text(bytes: &[u8]) -> String {
        let (head, mut text) = open(bytes, &ReadOptions::default()).unwrap();
        let mut all = String::new();
        text.read_to_string(&mut all).unwrap();
        assert!(all.as_bytes().starts_with(&head));
        all
    }

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn marks_are_taken_off_and_obeyed() {
        assert_eq!(text(b"lat,lon"), "lat,lon");
        assert_eq!(text(b"\xef\xbb\xbflat,lon"), "lat,lon");
        let long = "\u{feff}lat;lon;č\u{1f6b2}\n".to_owned() + &"46;13;x\n".repeat(10_000);
        assert_eq!(text(&utf16(&long, u16::to_le_bytes)), long[3..]);
        assert_eq!(text(&utf16(&long, u16::to_be_bytes)), long[3..]);
        assert_eq!(text(&utf16("<?xml?><gpx/>", u16::to_be_bytes)), "<?xml?><gpx/>");
    }

    #[test]
    fn no_more_than_two_rows_are_read_before_the_format_is_known() {
        /// A pipe that is silent for ever.
        struct Silent;
        impl Read for Silent {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("it would wait"))
            }
        }
        let head = |bytes: &[u8], format| {
            let options = ReadOptions { format, ..Default::default() };
            let input = io::BufReader::with_capacity(1, bytes.chain(Silent));
            open(input, &options).map(|(head, _)| String::from_utf8(head).unwrap())
        };
        for rows in [
            "lat,lon\n1,2\n",
            "\n\r\n lat,lon\r\n1,2\r\n",
            "\"lat\n\n(deg)\";\"lon (deg)\"\n\"1\";\"2\"\n",
            "a,\"\"\"\n\n\"\"\",\"b\n\"\n\"\n\n\n\",1\n",
            // Quotes that mean nothing.
            "5\" pipe,lat\n1,2\n",
            "<gpx>\n\"<trk>\n",
            "{\n\"\n",
        ] {
            assert_eq!(head(rows.as_bytes(), None).unwrap(), rows);
            assert_eq!(head(format!("\u{feff}{rows}").as_bytes(), None).unwrap(), rows);
            assert_eq!(head(&rows.as_bytes()[..rows.len() - 1], None).ok(), None);
        }
        let rows = "{lat},\"lon\n\n\"\n1,2\n";
        assert_eq!(head(rows.as_bytes(), Some(Format::Csv)).unwrap(), rows);
        let rows = "\u{feff}\"lat\n\n\",\"lon\"\n1,2\n";
        assert_eq!(head(&utf16(rows, u16::to_be_bytes), None).unwrap(), rows[3..]);
    }

    #[test]
    fn a_declared_encoding_is_obeyed_however_long_the_declaration() {
        let pad = " ".repeat(500);
        let mut file =
            format!("<?xml version='1.0'{pad} encoding = 'iso-8859-2' ?><n>").into_bytes();
        file.push(0xe8);
        assert!(text(&file).ends_with("<n>č"));
        assert_eq!(text(b"<?xml encoding=\"utf-16\"?><gpx/>"), "<?xml encoding=\"utf-16\"?><gpx/>");
        let Err(error) = open(&b"<?xml encoding='klingon'?>"[..], &ReadOptions::default()) else {
            panic!()
        };
        insta::assert_snapshot!(error, @r#"the encoding "klingon" is not known; save the file as UTF-8"#);
    }
}
