//! Decodes the names of members.

/// The characters 128 to 255 of code page 437, the encoding of names without a mark.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧\
                     ╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Returns the name with `/` between its parts.
///
/// Many programs write UTF-8 without the mark, so a name that is valid UTF-8 is read as such. `unicode` is the
/// name of the extra field 0x7075.
pub(super) fn decode(bytes: &[u8], is_utf8: bool, unicode: Option<&str>) -> String {
    let name = match (unicode, std::str::from_utf8(bytes)) {
        (Some(name), _) => name.to_owned(),
        (None, Ok(name)) => name.to_owned(),
        (None, Err(_)) if is_utf8 => String::from_utf8_lossy(bytes).into_owned(),
        (None, Err(_)) => bytes.iter().map(|&byte| cp437(byte)).collect(),
    };
    match name.contains('/') {
        true => name,
        // Some programs of Windows write the separator of Windows.
        false => name.replace('\\', "/"),
    }
}

fn cp437(byte: u8) -> char {
    match byte.checked_sub(0x80) {
        None => char::from(byte),
        Some(index) => CP437.chars().nth(usize::from(index)).unwrap_or('\u{fffd}'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_encoding_are_decoded() {
        assert_eq!(CP437.chars().count(), 128);
        assert_eq!(decode("Črna.gpx".as_bytes(), true, None), "Črna.gpx");
        assert_eq!(decode("Črna.gpx".as_bytes(), false, None), "Črna.gpx");
        assert_eq!(decode(b"M\x81nchen.gpx", false, None), "München.gpx");
        assert_eq!(decode(b"M\x81nchen.gpx", true, None), "M\u{fffd}nchen.gpx");
        assert_eq!(decode(b"M_nchen.gpx", false, Some("München.gpx")), "München.gpx");
        assert_eq!(decode(b"tracks\\a.gpx", false, None), "tracks/a.gpx");
        assert_eq!(decode(b"tracks/a\\b.gpx", false, None), "tracks/a\\b.gpx");
        assert_eq!(decode(b"\xff", false, None), "\u{a0}");
    }
}
