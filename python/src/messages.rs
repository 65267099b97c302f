//! Messages of the crate, which name the flags of the command line, with the names of arguments.

/// The flags that messages name, and the arguments.
const FLAGS: [(&str, &str); 22] = [
    ("--accuracy-column", "accuracy_column"),
    ("--ca-file", "ca"),
    ("--cert", "client_cert"),
    ("--delimiter", "delimiter"),
    ("--format", "format"),
    ("--join-segments", "join_segments=True"),
    ("--key", "client_key"),
    ("--model", "metric"),
    ("--on-invalid", "on_invalid"),
    ("--only", "only"),
    ("--points", "points"),
    ("--segment-column", "segment_column"),
    ("--sort-by-time", "sort_by_time=True"),
    ("--strict", "strict=True"),
    ("--time-column", "time_column"),
    ("--time-format", "time_format"),
    ("--timezone", "timezone"),
    ("--token-file", "token_file"),
    ("--track-column", "track_column"),
    ("--x-column", "x_column"),
    ("--y-column", "y_column"),
    ("--z-column", "z_column"),
];

/// The placeholder of the name of a file after a flag.
const FILE: &str = " FILE";

/// The values that messages suggest.
const VALUES: [&str; 4] = ["ignore", "none", "planar", "skip"];

/// Returns the message with the names of arguments instead of those of flags.
pub(crate) fn with_python_names(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find("--") {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(|c: char| c != '-' && !c.is_ascii_lowercase()).unwrap_or(rest.len());
        let (flag, after) = rest.split_at(end);
        rest = after;
        match FLAGS.iter().find(|(known, _)| *known == flag) {
            None => text.push_str(flag),
            Some((_, argument)) => {
                text.push_str(argument);
                rest = rest.strip_prefix(FILE).unwrap_or(rest);
                let value = VALUES.iter().find(|value| {
                    let value =
                        after.strip_prefix(' ').and_then(|after| after.strip_prefix(**value));
                    value.is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric()))
                });
                if let Some(value) = value.filter(|_| !argument.contains('=')) {
                    text.push_str(&format!("={value:?}"));
                    rest = &after[1 + value.len()..];
                }
            }
        }
    }
    text.push_str(rest);
    text
}
