//! Reads the features of `routeguide.RouteGuide` from a file, in the JSON form of the RouteGuide tutorial of gRPC.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use crate::server::{Feature, Features};

/// Maximum size of the file. The features that are permitted need less.
const FILE_BYTES_MAX: u64 = 256 << 20;

#[derive(Debug, Args)]
#[command(next_help_heading = "RouteGuide")]
pub(super) struct FeatureArgs {
    /// JSON file with the features of routeguide.RouteGuide, read at start [default: no features]
    ///
    /// The form is that of the RouteGuide tutorial of gRPC, with positions in units of 1e-7 degree:
    /// [{"location": {"latitude": 464397000, "longitude": 137433000}, "name": "Hill"}]. A feature without a name is
    /// ignored. At most 100000 features, with names of at most 1024 bytes.
    #[arg(long, value_name = "FILE", env = "WAYWISER_FEATURES")]
    features: Option<PathBuf>,
}

impl FeatureArgs {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// If it cannot be read, or has a feature that is not valid. The message names the file and the place in it.
    pub(super) fn read(&self) -> Result<Features, String> {
        let Some(path) = &self.features else { return Ok(Features::default()) };
        let error = |error: &dyn std::fmt::Display| {
            format!("cannot read the features (--features) from {}: {error}", path.display())
        };
        let bytes = bytes_of(path, FILE_BYTES_MAX).map_err(|cause| error(&cause))?;
        let features = parse(&bytes).map_err(|cause| error(&cause))?;
        tracing::info!(file = %path.display(), features = features.len(), "read the features");
        Ok(features)
    }
}

/// Returns the content of a file of at most `bytes_max`.
fn bytes_of(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    match read as u64 > bytes_max {
        true => Err(io::Error::other(format!("it has more than {bytes_max} bytes"))),
        false => Ok(bytes),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonFeature {
    location: JsonLocation,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLocation {
    latitude: i32,
    longitude: i32,
}

fn parse(bytes: &[u8]) -> Result<Features, String> {
    const ADVICE: &str = "the file must be a list of features in JSON, such as \
         [{\"location\": {\"latitude\": 464397000, \"longitude\": 137433000}, \"name\": \"Hill\"}]";
    // Editors on Windows begin a text with this mark.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let features: Vec<JsonFeature> =
        serde_json::from_slice(bytes).map_err(|error| format!("{error}; {ADVICE}"))?;
    let features = features.into_iter().map(|JsonFeature { location, name }| Feature {
        latitude_e7: location.latitude,
        longitude_e7: location.longitude,
        name,
    });
    Features::new(features).map_err(|error| format!("{error}; features are counted from 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_the_quick_start_is_read() {
        let text = br#"[
            {"location": {"latitude": 464397000, "longitude": 137433000}, "name": "Hill"},
            {"location": {"latitude": 1, "longitude": -1}, "name": ""},
            {"name": "Lake", "location": {"longitude": 3, "latitude": 2}}
        ]"#;
        assert_eq!(parse(text).unwrap().len(), 2);
        assert_eq!(parse(&[b"\xEF\xBB\xBF", &text[..]].concat()).unwrap().len(), 2);
        assert!(parse(b"[]").unwrap().is_empty());
    }

    #[test]
    fn an_error_names_the_place_and_the_form() {
        let error = |text: &str| parse(text.as_bytes()).unwrap_err();
        for (text, message) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{}", "invalid type: map, expected a sequence at line 1 column 0"),
            ("[{\"name\": \"a\"}]", "missing field `location` at line 1 column 14"),
            (
                "[{\"location\": {\"latitude\": 1}, \"name\": \"a\"}]",
                "missing field `longitude` at line 1 column 29",
            ),
            (
                "[\n{\"location\": {\"latitude\": 1, \"longitude\": 46.4}}]",
                "invalid type: floating point `46.4`, expected i32 at line 2 column 46",
            ),
            (
                "[{\"location\": {\"latitude\": 1, \"longitude\": 2147483648}}]",
                "invalid value: integer `2147483648`, expected i32 at line 1 column 53",
            ),
            (
                "[{\"location\": {\"latitude\": 1, \"longitude\": 1}, \"nam\": \"\"}]",
                "unknown field `nam`, expected `location` or `name` at line 1 column 52",
            ),
            ("[] []", "trailing characters at line 1 column 4"),
        ] {
            let error = error(text);
            assert!(error.starts_with(message), "{text}: {error}");
            assert!(error.contains("; the file must be a list of features in JSON"), "{error}");
        }
        insta::assert_snapshot!(
            error(r#"[{"location": {"latitude": 910000000, "longitude": 0}, "name": "a"}]"#),
            @"feature 0: latitude 91 is not between -90 and 90 degrees; features are counted from 0"
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("features.json");
        let arguments = FeatureArgs { features: Some(missing.clone()) };
        let error = arguments.read().unwrap_err();
        assert!(error.contains("--features") && error.contains("features.json"), "{error}");
        std::fs::write(&missing, "[{}]").unwrap();
        let error = arguments.read().unwrap_err();
        assert!(error.contains("features.json: missing field `location`"), "{error}");
        assert_eq!(bytes_of(&missing, 4).unwrap(), b"[{}]");
        let error = bytes_of(&missing, 3).unwrap_err();
        assert_eq!(error.to_string(), "it has more than 3 bytes");
        assert!(FeatureArgs { features: None }.read().unwrap().is_empty());
    }
}
