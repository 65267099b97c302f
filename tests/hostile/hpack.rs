//! A part of HPACK (RFC 7541): literal encoding, and decoding without a dynamic table.

use std::sync::LazyLock;

/// Code length in bits of each symbol (RFC 7541, appendix B). The code is canonical, so the lengths define it.
#[rustfmt::skip]
const CODE_BITS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// All symbols in the order of their codes.
static SYMBOLS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut symbols: Vec<u8> = (0..=255).collect();
    symbols.sort_by_key(|&symbol| CODE_BITS[usize::from(symbol)]);
    symbols
});

/// The values of `:status` in the static table, from index 8.
const STATUSES: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];

/// Appends an integer with a prefix of this many bits.
fn integer(out: &mut Vec<u8>, prefix_bits: u32, first: u8, mut value: usize) {
    let max = (1 << prefix_bits) - 1;
    if value < max {
        out.push(first | value as u8);
        return;
    }
    out.push(first | max as u8);
    value -= max;
    while value >= 128 {
        out.push(value as u8 | 128);
        value /= 128;
    }
    out.push(value as u8);
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    integer(out, 7, 0, text.len());
    out.extend_from_slice(text);
}

/// Appends a header as a literal without indexing.
pub fn literal(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(0);
    text(out, name.as_bytes());
    text(out, value);
}

/// Appends a header as a literal that is added to the dynamic table.
pub fn indexed_literal(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(0x40);
    text(out, name.as_bytes());
    text(out, value);
}

/// Returns the header block of a gRPC request.
pub fn request(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let fixed = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    for (name, value) in fixed.iter().chain(more) {
        literal(&mut out, name, value.as_bytes());
    }
    out
}

/// Decoded headers: the HTTP status if there is one, and the fields whose names are literals.
#[derive(Debug, Default)]
pub struct Headers {
    pub status: Option<u16>,
    pub fields: Vec<(String, Vec<u8>)>,
}

/// Decodes a block of a peer whose dynamic table is disabled. Returns `None` if the block is malformed.
pub fn decode(block: &[u8]) -> Option<Headers> {
    let mut rest = block;
    let mut headers = Headers::default();
    while let Some(&first) = rest.first() {
        if first & 0x80 != 0 {
            let index = read_integer(&mut rest, 7)?;
            if let Some(status) = index.checked_sub(8).and_then(|index| STATUSES.get(index)) {
                headers.status = Some(*status);
            }
        } else if first & 0xe0 == 0x20 {
            read_integer(&mut rest, 5)?; // a table size
        } else {
            let prefix_bits = if first & 0x40 != 0 { 6 } else { 4 };
            let index = read_integer(&mut rest, prefix_bits)?;
            let name = if index == 0 { read_text(&mut rest)? } else { Vec::new() };
            let value = read_text(&mut rest)?;
            if (8..15).contains(&index) {
                headers.status = std::str::from_utf8(&value).ok()?.parse().ok();
            }
            headers.fields.push((String::from_utf8(name).ok()?, value));
        }
    }
    Some(headers)
}

fn read_integer(rest: &mut &[u8], prefix_bits: u32) -> Option<usize> {
    let max = (1 << prefix_bits) - 1;
    let (&first, tail) = rest.split_first()?;
    *rest = tail;
    let mut value = usize::from(first) & max;
    if value == max {
        for shift in (0..28).step_by(7) {
            let (&byte, tail) = rest.split_first()?;
            *rest = tail;
            value += usize::from(byte & 127) << shift;
            if byte < 128 {
                break;
            }
        }
    }
    Some(value)
}

fn read_text(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let is_huffman = rest.first()? & 0x80 != 0;
    let length = read_integer(rest, 7)?;
    let (text, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    if is_huffman { huffman(text) } else { Some(text.to_vec()) }
}

fn huffman(bytes: &[u8]) -> Option<Vec<u8>> {
    let symbols = &*SYMBOLS;
    let mut out = Vec::new();
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    'symbols: loop {
        // `first` is the smallest code of the current length, `index` the position of its symbol.
        let (mut code, mut first, mut index) = (0_u32, 0_u32, 0);
        for length in 1..=30 {
            let Some(bit) = bits.next() else { return Some(out) }; // padding
            code = code << 1 | u32::from(bit);
            first <<= 1;
            let count = symbols[index..]
                .iter()
                .take_while(|&&symbol| CODE_BITS[usize::from(symbol)] == length)
                .count();
            if code - first < count as u32 {
                out.push(symbols[index + (code - first) as usize]);
                continue 'symbols;
            }
            first += count as u32;
            index += count;
        }
        return None;
    }
}

#[test]
fn the_decoder_reads_the_examples_of_the_rfc() {
    // RFC 7541, appendix C.6.1, without the dynamic table.
    let block = [
        0x48, 0x82, 0x64, 0x02, 0x58, 0x85, 0xae, 0xc3, 0x77, 0x1a, 0x4b, 0x61, 0x96, 0xd0, 0x7a,
        0xbe, 0x94, 0x10, 0x54, 0xd4, 0x44, 0xa8, 0x20, 0x05, 0x95, 0x04, 0x0b, 0x81, 0x66, 0xe0,
        0x82, 0xa6, 0x2d, 0x1b, 0xff,
    ];
    let headers = decode(&block).unwrap();
    assert_eq!(headers.status, Some(302));
    assert_eq!(headers.fields[1].1, b"private");
    assert_eq!(headers.fields[2].1, b"Mon, 21 Oct 2013 20:13:21 GMT");
    let mut block = Vec::new();
    literal(&mut block, "grpc-status", b"8");
    literal(&mut block, "long", &[b'x'; 5000]);
    let headers = decode(&block).unwrap();
    assert_eq!(headers.fields[0], ("grpc-status".to_owned(), b"8".to_vec()));
    assert_eq!(headers.fields[1].1.len(), 5000);
}
