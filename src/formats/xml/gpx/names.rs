//! The names of the elements of GPX and of its extensions, as programs write them.

use super::super::reader::Element;

/// Returns the name of an element of a path as it is in GPX. Some programs write other cases, or `<segment>`.
pub(super) fn path_name(local: &str) -> &str {
    const NAMES: [(&str, &str); 8] = [
        ("trk", "trk"),
        ("rte", "rte"),
        ("trkseg", "trkseg"),
        ("segment", "trkseg"),
        ("trkpt", "trkpt"),
        ("rtept", "rtept"),
        ("wpt", "wpt"),
        ("pt", "pt"),
    ];
    let known = NAMES.iter().find(|(other, _)| local.eq_ignore_ascii_case(other));
    known.map_or(local, |(_, name)| name)
}

/// Returns whether an element has the name of a point of a path, or the attributes of a position.
pub(super) fn is_point(element: &Element<'_>) -> bool {
    let has = |name: &str| {
        let mut keys = element.attributes().filter_map(|found| found.ok().map(|(key, _)| key));
        keys.any(|key| key.eq_ignore_ascii_case(name))
    };
    matches!(path_name(element.local_name()), "trkpt" | "rtept")
        || (!element.attributes_text().is_empty() && has("lat") && has("lon"))
}

/// Returns whether an extension of a point is its horizontal accuracy in metres: `hAcc` of Apple Health, `hacc`
/// of Trails, `accuracy_horizontal` of OpenTracks. `<hdop>` has no unit.
pub(super) fn is_accuracy(local: &str) -> bool {
    matches!(local.as_bytes(), b"hAcc" | b"hacc" | b"accuracy_horizontal")
}
