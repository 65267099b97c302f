//! QR codes: the text of a request as a picture, so that a page can show the address and the token of an app. The text is in
//! no log line and no error.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, Request, header};
use qrcodegen::{QrCode, QrCodeEcc};
use tonic::Status;

use super::Shared;
use super::blocking;
use super::body;
use super::error::ApiError;
use super::paths::gate;
use super::query::Query;
use crate::server::OpenRequest;

const ROUTE: &str = "POST /api/qr";

/// The most characters that a code with error correction level M can hold: 5596 digits. Text with other characters must be shorter.
const TEXT_BYTES_MAX: usize = 5596;
/// The width of the light border that readers need, in modules.
const QUIET_ZONE: i32 = 4;

pub(super) async fn qr(
    State(shared): State<Arc<Shared>>,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let gate = gate(request.extensions())?;
    let mut open = gate.open(request.headers(), ROUTE)?;
    let answer = code(&shared, &mut open, request).await;
    open.end(match &answer {
        Ok(_) => Status::ok(""),
        Err(error) => error.to_status(),
    });
    answer
}

async fn code(
    shared: &Shared,
    open: &mut OpenRequest,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    Query::parse(request.uri().query())?.finish()?;
    let too_large = || body::too_large("the text does not fit into a QR code".to_owned());
    let (text, _held) = body::read(open, request.into_body(), TEXT_BYTES_MAX, too_large).await?;
    let text = String::from_utf8(text.to_vec())
        .map_err(|_| ApiError::invalid("body", "it is not valid UTF-8 text"))?;
    if text.is_empty() {
        return Err(ApiError::invalid("body", "it is empty; send the text of the code"));
    }
    // The largest codes take some milliseconds.
    let work = move || QrCode::encode_text(&text, QrCodeEcc::Medium).map(|code| svg(&code));
    let drawn = open.run(blocking::run(&shared.drawing, work)).await??;
    let mut response = Response::new(Body::from(drawn.map_err(|_| too_large())?));
    let content_type = HeaderValue::from_static("image/svg+xml");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

/// Draws a code: black on white, also on a dark page, because many readers do not read inverted codes.
fn svg(code: &QrCode) -> String {
    let side = code.size() + 2 * QUIET_ZONE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" role=\"img\" aria-label=\"QR code\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path fill=\"#000\" d=\""
    );
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let length = (x..code.size()).take_while(|&x| code.get_module(x, y)).count() as i32;
            if length > 0 {
                // Writing to a string does not fail.
                let _ = write!(svg, "M{} {}h{length}v1h-{length}z", x + QUIET_ZONE, y + QUIET_ZONE);
            }
            x += length + 1;
        }
    }
    svg + "\"/></svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the dark modules of a picture.
    fn dark(svg: &str) -> Vec<(i32, i32)> {
        let path = svg.split("d=\"").nth(2).unwrap().split('"').next().unwrap();
        let mut modules = Vec::new();
        for run in path.split_terminator('z') {
            let (at, rest) = run.strip_prefix('M').unwrap().split_once('h').unwrap();
            let (x, y) = at.split_once(' ').unwrap();
            let (x, y): (i32, i32) = (x.parse().unwrap(), y.parse().unwrap());
            let length: i32 = rest.split('v').next().unwrap().parse().unwrap();
            assert_eq!(rest, format!("{length}v1h-{length}"));
            modules.extend((x..x + length).map(|x| (x, y)));
        }
        modules
    }

    #[test]
    fn a_picture_has_the_modules_of_the_code_in_a_white_border() {
        for text in ["https://paths.example.org/ingest/owntracks", "1", &"x".repeat(2331)] {
            let code = QrCode::encode_text(text, QrCodeEcc::Medium).unwrap();
            assert!(code.error_correction_level() >= QrCodeEcc::Medium);
            let mut expected = Vec::new();
            for y in 0..code.size() {
                let row = (0..code.size()).filter(|&x| code.get_module(x, y));
                expected.extend(row.map(|x| (x + QUIET_ZONE, y + QUIET_ZONE)));
            }
            assert_eq!(dark(&svg(&code)), expected);
        }
    }

    #[test]
    fn the_limit_is_that_of_the_largest_code() {
        let fits = |text: &str| QrCode::encode_text(text, QrCodeEcc::Medium).is_ok();
        assert!(fits(&"7".repeat(TEXT_BYTES_MAX)) && !fits(&"7".repeat(TEXT_BYTES_MAX + 1)));
        assert!(fits(&"x".repeat(2331)) && !fits(&"x".repeat(2332)));
    }
}
