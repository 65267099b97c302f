//! The published methods that take a stream of points: their paths, points and replies.
//!
//! The load generator adds what it needs in `load/method.rs`.

use bytes::{Buf as _, Bytes};
use prost::Message;

use super::{ClientError, PathLength, Route};
use crate::contract::{frame, method};
use crate::measure::{Metric, Point};
use crate::proto::{my_package, routeguide};

/// A client-streaming method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Takes planar points and returns a planar length.
    PathLength,
    /// Takes geographic points and returns a haversine length.
    RecordRoute,
}

impl Method {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::PathLength => method::COMPUTE_PATH_LENGTH,
            Self::RecordRoute => method::route_guide::RECORD_ROUTE,
        }
    }

    /// Returns the metric of the server. It also determines the space of the points.
    pub(crate) fn metric(self) -> Metric {
        match self {
            Self::PathLength => Metric::Planar,
            Self::RecordRoute => Metric::Haversine,
        }
    }

    /// Returns why a point cannot be sent.
    pub(crate) fn unsupported_point(self, index: u64, point: Point) -> ClientError {
        let (space, wanted) = (point.space(), self.metric().space());
        if space == wanted {
            ClientError::NotInt32 { index, x: point.x(), y: point.y() }
        } else {
            ClientError::Space { index, space, wanted }
        }
    }
}

/// Returns the coordinates of a planar point if they are whole numbers of 32 bits.
pub(crate) fn to_int32(point: Point) -> Option<(i32, i32)> {
    let whole = |value: f64| Some(value as i32).filter(|&whole| f64::from(whole) == value);
    let is_planar = point.space() == Metric::Planar.space();
    whole(point.x()).zip(whole(point.y())).filter(|_| is_planar)
}

/// Reads the reply of `RecordRoute`.
pub(crate) fn route(message: Bytes) -> Result<Route, ClientError> {
    let reply = routeguide::RouteSummary::decode(message)?;
    let unsigned = |value: i32| {
        u32::try_from(value).map_err(|_| ClientError::reply(format!("{value} is negative")))
    };
    Ok(Route {
        point_count: unsigned(reply.point_count)?,
        distance_m: unsigned(reply.distance)?,
        elapsed: std::time::Duration::from_secs(unsigned(reply.elapsed_time)?.into()),
    })
}

/// Reads the reply of `computePathLength`.
pub(crate) fn path_length(message: Bytes) -> Result<PathLength, ClientError> {
    let reply = my_package::PathLengthResponse::decode(message)?;
    Ok(PathLength {
        point_count: reply.point_count,
        length: reply.length,
        displacement: reply.displacement,
    })
}

/// Returns the message of a reply that must have exactly one.
pub(crate) fn only_message(mut body: Bytes) -> Result<Bytes, ClientError> {
    if body.is_empty() {
        return Err(ClientError::reply("it has no message"));
    }
    if body.len() < frame::HEADER_BYTES {
        return Err(ClientError::reply("its message is cut off"));
    }
    let is_compressed = body.get_u8() != 0;
    let len = body.get_u32() as usize;
    match body.len() {
        _ if is_compressed => {
            Err(ClientError::reply("it is compressed, although the client does not accept that"))
        }
        rest if rest < len => Err(ClientError::reply("its message is cut off")),
        rest if rest > len => Err(ClientError::reply("it has more than one message")),
        _ => Ok(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_exactly_one_message() {
        assert_eq!(&only_message(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1])).unwrap()[..], [8, 1]);
        let error = |body| only_message(Bytes::from_static(body)).unwrap_err().to_string();
        insta::assert_snapshot!(error(&[]), @"the server's reply is invalid: it has no message");
        insta::assert_snapshot!(error(&[0, 0]), @"the server's reply is invalid: its message is cut off");
        insta::assert_snapshot!(error(&[0, 0, 0, 0, 2, 8]), @"the server's reply is invalid: its message is cut off");
        insta::assert_snapshot!(error(&[0, 0, 0, 0, 1, 8, 1]), @"the server's reply is invalid: it has more than one message");
        insta::assert_snapshot!(error(&[1, 0, 0, 0, 1, 8]), @"the server's reply is invalid: it is compressed, although the client does not accept that");
    }

    #[test]
    fn only_whole_planar_coordinates_fit_into_int32() {
        let planar = |x, y| to_int32(Point::planar(x, y).unwrap());
        assert_eq!(planar(-2_147_483_648.0, 2_147_483_647.0), Some((i32::MIN, i32::MAX)));
        assert_eq!(planar(-1.0, 0.0), Some((-1, 0)));
        assert_eq!(planar(2_147_483_648.0, 0.0), None);
        assert_eq!(planar(-2_147_483_649.0, 0.0), None);
        assert_eq!(planar(4_294_967_296.0, 0.0), None);
        assert_eq!(planar(crate::measure::PLANAR_MAX, 0.0), None);
        assert_eq!(planar(0.0, 1e-300), None);
        assert_eq!(planar(0.0, 0.5), None);
        assert_eq!(to_int32(Point::from_e7(0, 0).unwrap()), None);
    }
}
