//! The selection of a text format by the header `Accept` of a request.

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The text format of Prometheus, version 0.0.4. Every reader supports it.
    Prometheus,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl Format {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Selects the format that a client prefers. Returns the format of Prometheus if it accepts neither or has no
    /// preference, since it is the most common one.
    pub(super) fn accepted(accept: &str) -> Self {
        let (mut open_metrics, mut prometheus) = (0_u16, 0_u16);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut version) = (1000, None);
            for (key, value) in parts.filter_map(|part| part.split_once('=')) {
                let value = value.trim().trim_matches('"');
                match key.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = quality_of(value),
                    "version" => version = Some(value.to_owned()),
                    _ => {}
                }
            }
            match (&*media_type, version.as_deref()) {
                ("application/openmetrics-text", None | Some("1.0.0")) => {
                    open_metrics = open_metrics.max(quality);
                }
                ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => {
                    prometheus = prometheus.max(quality);
                }
                _ => {}
            }
        }
        if open_metrics > prometheus { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// Returns a quality in thousandths. A value that is not valid counts as 0.
fn quality_of(value: &str) -> u16 {
    let quality = value.parse::<f64>().unwrap_or(0.0);
    if (0.0..=1.0).contains(&quality) { (quality * 1000.0).round() as u16 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_with_the_higher_quality_is_selected() {
        use Format::{OpenMetrics, Prometheus};
        let cases = [
            ("", Prometheus),
            ("*/*", Prometheus),
            ("text/html, application/json;q=0.9", Prometheus),
            ("application/openmetrics-text", OpenMetrics),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8", OpenMetrics),
            ("application/openmetrics-text;version=2.0.0", Prometheus),
            ("application/openmetrics-text;q=0", Prometheus),
            ("application/openmetrics-text;q=nonsense", Prometheus),
            ("application/openmetrics-text;q=0.3,text/plain;q=0.5", Prometheus),
            // Prometheus 3 sends this header.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;\
                 escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
        ];
        for (accept, expected) in cases {
            assert_eq!(Format::accepted(accept), expected, "{accept}");
        }
    }
}
