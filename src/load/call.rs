//! The call that every stream of a load makes, and how it sends the points of its track.

use bytes::Bytes;

use super::encode::{self, Form, Layout};
use crate::client::ClientError;
use crate::client::method::Method;
use crate::contract::method::v1::RECORD_PATH;
use crate::measure::Metric;
use crate::recording::RecordingName;

/// A streaming method and the form of its messages.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one value for all streams of a load")]
pub(crate) enum Call {
    /// A method of a published contract, with one point per message.
    Points(Method),
    /// `waywiser.v1.PathService/RecordPath`, with many points per message.
    Path { form: Form, has_times: bool, is_named: bool },
}

impl Call {
    /// Returns the path of the method in the request.
    pub(crate) fn path(&self) -> &'static str {
        match self {
            Self::Points(method) => method.path(),
            Self::Path { .. } => RECORD_PATH,
        }
    }

    pub(crate) fn metric(&self) -> Metric {
        match self {
            Self::Points(method) => method.metric(),
            Self::Path { form, .. } => form.options.metric(),
        }
    }

    /// Returns whether each stream creates a recording on the server.
    pub(crate) fn is_named(&self) -> bool {
        matches!(self, Self::Path { is_named: true, .. })
    }

    /// Returns whether the track must be rounded to 1e-7 degree before it is encoded. The encoders of the published
    /// contracts round on their own.
    pub(crate) fn needs_rounded_points(&self) -> bool {
        match self {
            Self::Points(_) => false,
            Self::Path { form, .. } => form.layout == Layout::Columns,
        }
    }

    /// Returns the first message of a stream, before its track. It is empty for the published contracts.
    pub(crate) fn first_message(&self, name: Option<&RecordingName>) -> Bytes {
        match self {
            Self::Points(_) => Bytes::new(),
            Self::Path { form, .. } => form.opening(name),
        }
    }

    /// Returns the rounding error of the length in a reply, in the unit of the metric.
    pub(crate) fn length_rounding(&self) -> f64 {
        match self {
            Self::Points(method) => method.length_rounding(),
            Self::Path { .. } => 0.0,
        }
    }

    /// Reads the number of points and the length from a reply.
    ///
    /// # Errors
    /// If the reply is malformed, or the path in it is not complete and durable.
    pub(crate) fn decode_reply(&self, reply: Bytes) -> Result<(u64, f64), String> {
        let message = |error: ClientError| error.to_string();
        if let Self::Points(method) = self {
            return method.read_reply(reply).map_err(message);
        }
        let answer = encode::answer(reply).map_err(message)?;
        let (committed, counted) = (answer.committed_points, answer.point_count);
        if !answer.is_complete {
            return Err("the server reports that the path is not complete".to_owned());
        }
        if committed != counted {
            return Err(format!(
                "the server counted {counted} points and reports {committed} of them as durable"
            ));
        }
        // Each round creates recordings under new names.
        if answer.skipped_points > 0 {
            let skipped = answer.skipped_points;
            return Err(format!(
                "the server skipped {skipped} points because a recording of this name has them already"
            ));
        }
        Ok((counted, answer.length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Options;

    fn path(layout: Layout) -> Call {
        let form = Form { options: Options::new(Metric::Geodesic), layout, points_per_message: 7 };
        Call::Path { form, has_times: false, is_named: false }
    }

    #[test]
    fn only_columns_need_rounded_points() {
        assert!(path(Layout::Columns).needs_rounded_points());
        assert!(!path(Layout::Rows).needs_rounded_points());
        assert!(!Call::Points(Method::RecordRoute).needs_rounded_points());
    }

    #[test]
    fn a_reply_of_another_method_is_an_error() {
        let message = path(Layout::Rows).decode_reply(Bytes::new()).unwrap_err();
        assert!(message.contains("no message"), "{message}");
    }
}
