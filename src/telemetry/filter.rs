//! The filter of the log, in the syntax of `RUST_LOG`.
//!
//! `EnvFilter` accepts any word as the name of a target with all its levels. A filter with a mistyped level, such as
//! `inof`, would then match no line, and the server would log nothing. So each directive needs a level here.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Parses a filter: levels and `target=level`, separated by commas.
///
/// # Errors
/// What is wrong with it, and what to write.
pub(super) fn parse(text: &str) -> Result<EnvFilter, String> {
    // `EnvFilter` misreads directives with spaces around them.
    let directives = text.split(',').map(str::trim).filter(|directive| !directive.is_empty());
    let directives: Vec<&str> = directives.collect();
    if directives.is_empty() {
        return Err("it is empty; use a level such as info, or off to log nothing".to_owned());
    }
    directives.iter().try_for_each(|directive| check(directive))?;
    EnvFilter::builder().parse(directives.join(",")).map_err(|error| error.to_string())
}

/// Checks that a directive has a valid level. Directives with spans or fields are left to `EnvFilter`.
fn check(directive: &str) -> Result<(), String> {
    if directive.contains('[') {
        return Ok(());
    }
    let (target, level) = match directive.split_once('=') {
        Some((target, level)) => (Some(target), level),
        None => (None, directive),
    };
    if let Some(target) = target
        && (target.is_empty() || target.contains(char::is_whitespace))
    {
        return Err(format!("{target:?} is not the name of a target; {ADVICE}"));
    }
    // An empty text is a level for `LevelFilter`.
    if !level.is_empty() && level.parse::<LevelFilter>().is_ok() {
        return Ok(());
    }
    let near = nearest(level).map(|near| format!("; the nearest one is {near}"));
    Err(format!("{level:?} is not a level{}; {ADVICE}", near.unwrap_or_default()))
}

const ADVICE: &str =
    "use one of off, error, warn, info, debug and trace, or target=level such as waywiser=debug";

/// Returns the level that is most similar to a text, if one is similar.
fn nearest(text: &str) -> Option<&'static str> {
    const SIMILARITY_MIN: f64 = 0.6;
    let text = text.to_lowercase();
    let similarity = |level: &str| match text.starts_with(level) {
        // A longer form, such as "warning".
        true => 1.0,
        false => strsim::normalized_damerau_levenshtein(&text, level),
    };
    let scored = LEVELS.into_iter().map(|level| (similarity(level), level));
    let best = scored.max_by(|(first, _), (second, _)| first.total_cmp(second));
    best.filter(|(similarity, _)| *similarity >= SIMILARITY_MIN).map(|(_, level)| level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_levels_and_targets_with_levels() {
        for (text, parsed) in [
            ("info", "info"),
            ("WARN", "warn"),
            ("off", "off"),
            ("3", "info"),
            ("debug,", "debug"),
            ("warn, waywiser=trace , h2=off", "waywiser=trace,h2=off,warn"),
            ("waywiser::server=debug", "waywiser::server=debug"),
            ("[call]=debug", "[call]=debug"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), parsed, "{text}");
        }
    }

    #[test]
    fn a_directive_without_a_level_is_refused_with_the_nearest_level() {
        for (text, near) in [
            ("inof", Some("info")),
            ("wran", Some("warn")),
            ("warning", Some("warn")),
            ("ERRO", Some("error")),
            ("information", Some("info")),
            ("warn,h2=debgu", Some("debug")),
            ("h2=inof", Some("info")),
            ("waywiser", None),
            ("info,h2", None),
            ("what even", None),
            ("h2=", None),
            ("a=b=c", None),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("is not a level; "), "{text}: {error}");
            match near {
                Some(near) => assert!(error.contains(&format!("the nearest one is {near}; use"))),
                None => assert!(!error.contains("nearest"), "{text}: {error}"),
            }
            assert!(error.contains("target=level"), "{error}");
        }
        for text in ["=info", "what even=info", "h2 =info"] {
            assert!(parse(text).unwrap_err().contains("is not the name of a target"), "{text}");
        }
        for text in ["", " ", ",,"] {
            assert!(parse(text).unwrap_err().starts_with("it is empty"), "{text:?}");
        }
        assert!(parse("[a").is_err());
    }
}
