//! The files of the page, which are part of the program. docs/page.md describes the page.
//!
//! A file has an entity tag, so that a browser with a cached copy receives only a short answer. The policy of the page allows nothing
//! but its own files, pictures that it makes, the API, and the tiles of the map if the operator names a server for them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use serde_json::{Value, json};
use tonic::Code;

use super::Shared;
use super::error::ApiError;
use crate::measure::{ExplicitOptions, Metric, Options, Preset};

const INDEX: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const ICON: &str = include_str!("page/icon.svg");
/// The element of the page that has its settings, up to its content.
const DATA_START: &str = "<script type=\"application/json\" id=\"data\">";

/// The modules of the page, each after those that it imports.
const MODULES: [(&str, &str); 13] = [
    ("dom.js", include_str!("page/dom.js")),
    ("format.js", include_str!("page/format.js")),
    ("geometry.js", include_str!("page/geometry.js")),
    ("land.js", include_str!("page/land.js")),
    ("map.js", include_str!("page/map.js")),
    ("chart.js", include_str!("page/chart.js")),
    ("api.js", include_str!("page/api.js")),
    ("options.js", include_str!("page/options.js")),
    ("apps.js", include_str!("page/apps.js")),
    ("measure.js", include_str!("page/measure.js")),
    ("live.js", include_str!("page/live.js")),
    ("phone.js", include_str!("page/phone.js")),
    ("main.js", include_str!("page/main.js")),
];

/// A server of raster tiles for the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiles {
    template: String,
    /// The scheme, the host and the port.
    origin: String,
    attribution: String,
}

/// The reason why a template of tiles cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must be an http or https URL with {{z}}, {{x}} and {{y}}, such as https://tiles.example.org/{{z}}/{{x}}/{{y}}.png"
)]
pub struct TilesError;

impl Tiles {
    /// Returns the tiles of a template.
    ///
    /// # Errors
    /// If the template is not an http or https URL with `{z}`, `{x}` and `{y}` in its path or query.
    pub fn new(template: &str) -> Result<Self, TilesError> {
        let (scheme, rest) = template.split_once("://").ok_or(TilesError)?;
        let (authority, path) = rest.split_once('/').ok_or(TilesError)?;
        let has_all = ["{z}", "{x}", "{y}"].iter().all(|part| path.contains(part));
        // The origin is a part of a header.
        let is_host = !authority.is_empty()
            && authority
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte));
        let is_text = template.bytes().all(|byte| byte.is_ascii_graphic());
        if !has_all || !is_host || !is_text || !["http", "https"].contains(&scheme) {
            return Err(TilesError);
        }
        let origin = format!("{scheme}://{authority}");
        Ok(Self { template: template.to_owned(), origin, attribution: String::new() })
    }

    /// Returns a template that can be used.
    ///
    /// # Errors
    /// See [`Tiles::new`].
    pub fn check(template: &str) -> Result<String, TilesError> {
        Self::new(template).map(|tiles| tiles.template)
    }

    /// Sets the text about the origin of the tiles.
    #[must_use]
    pub fn with_attribution(mut self, attribution: String) -> Self {
        self.attribution = attribution;
        self
    }
}

/// The files of the page.
pub(super) struct Page {
    index: Asset,
    files: Vec<(&'static str, Asset)>,
    policy: HeaderValue,
}

/// A file with its headers.
struct Asset {
    content_type: HeaderValue,
    tag: HeaderValue,
    body: Bytes,
}

impl Asset {
    fn new(content_type: &'static str, body: Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        // The tag has only hexadecimal digits.
        let tag = HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { content_type: HeaderValue::from_static(content_type), tag, body }
    }
}

impl Page {
    pub(super) fn new(tiles: Option<&Tiles>, max_upload_bytes: usize) -> Self {
        let mut settings = json!({ "presets": presets(), "max_upload_bytes": max_upload_bytes });
        if let Some(tiles) = tiles {
            settings["tiles"] = json!(tiles.template);
            settings["tiles_attribution"] = json!(tiles.attribution);
        }
        let index = with_data(INDEX, &settings);
        let text = |content_type, text: &'static str| {
            Asset::new(content_type, Bytes::from_static(text.as_bytes()))
        };
        let modules = MODULES
            .iter()
            .map(|&(name, code)| (name, text("text/javascript; charset=utf-8", code)));
        let others = [
            ("style.css", text("text/css; charset=utf-8", STYLE)),
            ("icon.svg", text("image/svg+xml", ICON)),
        ];
        Self {
            index: Asset::new("text/html; charset=utf-8", index.into()),
            files: modules.chain(others).collect(),
            policy: policy(tiles),
        }
    }

    /// Returns a file, or 304 if the cached copy of the browser is current.
    fn answer(&self, asset: &Asset, headers: &HeaderMap) -> Response {
        let tags = headers.get_all(header::IF_NONE_MATCH).iter();
        let is_known = tags
            .filter_map(|tags| tags.to_str().ok())
            .flat_map(|tags| tags.split(','))
            .any(|tag| {
                let tag = tag.trim();
                tag == "*"
                    || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == asset.tag.as_bytes()
            });
        let mut response = match is_known {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => Response::new(Body::from(asset.body.clone())),
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, asset.content_type.clone());
        headers.insert(header::ETAG, asset.tag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        );
        response
    }
}

/// Returns the options that the presets set and the page has sliders for, with the names of the command line.
fn presets() -> Value {
    let preset = |preset: Preset| {
        let options = preset.fill(Options::new(Metric::Geodesic), ExplicitOptions::default());
        json!({
            "name": preset.name(),
            "options": {
                "max-speed": options.max_speed(),
                "max-accuracy": options.max_accuracy_m(),
                "min-step": options.min_step(),
                "max-gap-time": options.max_gap_time_ns().map(|time| time as f64 / 1e9),
                "max-gap": options.max_gap(),
                "stopped-speed": options.stopped_speed(),
            },
        })
    };
    Preset::ALL.into_iter().map(preset).collect()
}

/// Returns the page with data in it.
fn with_data(page: &str, data: &Value) -> String {
    // A text in the data cannot end the element.
    let data = data.to_string().replace('<', "\\u003c");
    page.replacen(&format!("{DATA_START}{{}}"), &format!("{DATA_START}{data}"), 1)
}

/// Returns the page as one file that shows an answer of `POST /api/measure` and loads nothing. `hash` returns the SHA-256 of
/// a text in Base64.
#[cfg(feature = "cli")]
pub(crate) fn report_page(answer: &Value, hash: impl Fn(&str) -> String) -> String {
    const CHARSET_ELEMENT: &str = "<meta charset=\"utf-8\" />";
    const ICON_ELEMENT: &str =
        "<link rel=\"icon\" href=\"page/icon.svg\" type=\"image/svg+xml\" />";
    const STYLE_ELEMENT: &str = "<link rel=\"stylesheet\" href=\"page/style.css\" />";
    const SCRIPT_ELEMENT: &str = "<script type=\"module\" src=\"page/main.js\"></script>";
    // A test checks that each module is after those that it imports, and that they share no names.
    let lines = MODULES.iter().flat_map(|(_, code)| code.lines());
    let lines = lines.filter(|line| !line.starts_with("import "));
    let mut code = String::new();
    for line in lines {
        code.push_str(line.strip_prefix("export ").unwrap_or(line));
        code.push('\n');
    }
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src blob: data:; base-uri 'none'; \
         form-action 'none'; require-trusted-types-for 'script'",
        hash(&code),
        hash(STYLE)
    );
    let mut page = with_data(INDEX, &json!({ "report": answer }));
    for (element, replacement) in [
        (ICON_ELEMENT, String::new()),
        (STYLE_ELEMENT, format!("<style>{STYLE}</style>")),
        (SCRIPT_ELEMENT, format!("<script type=\"module\">{code}</script>")),
        (
            CHARSET_ELEMENT,
            format!(
                "{CHARSET_ELEMENT}<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\" />"
            ),
        ),
    ] {
        page = page.replacen(element, &replacement, 1);
    }
    page
}

fn policy(tiles: Option<&Tiles>) -> HeaderValue {
    let pictures = tiles.map(|tiles| format!(" {}", tiles.origin)).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:{pictures}; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    );
    // The characters of the origin were checked. Without a policy that can be sent, nothing is allowed.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

pub(super) async fn index(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    shared.page.answer(&shared.page.index, &headers)
}

pub(super) async fn file(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let name = uri.path().strip_prefix("/page/");
    let mut files = shared.page.files.iter();
    match files.find(|(known, _)| Some(*known) == name) {
        Some((_, asset)) => Ok(shared.page.answer(asset, &headers)),
        None => {
            let message = "the page has no such file";
            Err(ApiError::new(StatusCode::NOT_FOUND, Code::NotFound, "ROUTE_UNKNOWN", message))
        }
    }
}

#[cfg(test)]
mod tests;
