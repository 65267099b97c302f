//! The methods that take a stream of points, as far as a client needs them: paths, what their
//! points and replies look like on the wire. The generated types end here.
//!
//! Shared with the load generator, which makes its requests and reads its replies by the same
//! rules but sends them itself.

use bytes::{Buf as _, Bytes, BytesMut};
use prost::Message;

use super::encode::{BATCH_POINTS, Chunk};
use super::{ClientError, PathLength, Route};
use crate::contract::method;
use crate::measure::{Metric, Point};
use crate::proto::{my_package, routeguide};

/// A client-streaming method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Planar points, a planar length.
    PathLength,
    /// Geographic points, a haversine length.
    RecordRoute,
}

impl Method {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::PathLength => method::COMPUTE_PATH_LENGTH,
            Self::RecordRoute => method::RECORD_ROUTE,
        }
    }

    /// How the server measures, which also says where the points must lie.
    pub(crate) fn metric(self) -> Metric {
        match self {
            Self::PathLength => Metric::Planar,
            Self::RecordRoute => Metric::Haversine,
        }
    }

    /// How far the length in a reply may lie from the true one because its unit is coarse.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "for the load generator"))]
    pub(crate) fn length_rounding(self) -> f64 {
        match self {
            Self::PathLength => 0.0,
            // Whole metres.
            Self::RecordRoute => 0.5,
        }
    }

    /// Why a point could not be sent.
    pub(super) fn misfit(self, index: u64, point: Point) -> ClientError {
        let (space, wanted) = (point.space(), self.metric().space());
        if space == wanted {
            ClientError::Whole { index, x: point.x(), y: point.y() }
        } else {
            ClientError::Space { index, space, wanted }
        }
    }

    /// Points as a request body, one a message.
    ///
    /// # Errors
    /// When the method cannot carry one of them.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "for the load generator"))]
    pub(crate) fn encode(self, points: &[Point]) -> Result<Bytes, ClientError> {
        let mut body = BytesMut::new();
        let mut chunk = Chunk::default();
        let mut index = 0;
        for points in points.chunks(BATCH_POINTS) {
            let (mut first, mut second) = ([0; BATCH_POINTS], [0; BATCH_POINTS]);
            for (at, &point) in points.iter().enumerate() {
                let numbers = match self {
                    Self::PathLength => to_int32(point),
                    Self::RecordRoute => point.to_e7(),
                };
                (first[at], second[at]) = numbers.ok_or_else(|| self.misfit(index, point))?;
                index += 1;
            }
            if chunk.append(&first[..points.len()], &second[..points.len()]) {
                body.extend_from_slice(&chunk.take());
            }
        }
        body.extend_from_slice(&chunk.take());
        Ok(body.freeze())
    }

    /// How many points a reply counts, and the length it gives.
    ///
    /// # Errors
    /// When it is not one message of the method.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "for the load generator"))]
    pub(crate) fn counted(self, reply: Bytes) -> Result<(u64, f64), ClientError> {
        let message = only_message(reply)?;
        match self {
            Self::PathLength => {
                let reply = path_length(message)?;
                Ok((reply.point_count, reply.length))
            }
            Self::RecordRoute => {
                let reply = route(message)?;
                Ok((reply.point_count.into(), reply.distance_m.into()))
            }
        }
    }
}

/// The coordinates of a planar point that are whole numbers of 32 bits.
pub(super) fn to_int32(point: Point) -> Option<(i32, i32)> {
    let whole = |value: f64| Some(value as i32).filter(|&whole| f64::from(whole) == value);
    let is_planar = point.space() == Metric::Planar.space();
    whole(point.x()).zip(whole(point.y())).filter(|_| is_planar)
}

/// Reads the reply of `RecordRoute`.
pub(super) fn route(message: Bytes) -> Result<Route, ClientError> {
    let reply: routeguide::RouteSummary = decoded(message)?;
    let whole = |value: i32| {
        u32::try_from(value).map_err(|_| ClientError::Reply(format!("{value} is negative")))
    };
    Ok(Route {
        point_count: whole(reply.point_count)?,
        distance_m: whole(reply.distance)?,
        elapsed: std::time::Duration::from_secs(whole(reply.elapsed_time)?.into()),
    })
}

/// Reads the reply of `computePathLength`.
pub(super) fn path_length(message: Bytes) -> Result<PathLength, ClientError> {
    let reply: my_package::PathLengthResponse = decoded(message)?;
    Ok(PathLength {
        point_count: reply.point_count,
        length: reply.length,
        displacement: reply.displacement,
    })
}

fn decoded<T: Message + Default>(message: Bytes) -> Result<T, ClientError> {
    T::decode(message).map_err(|error| ClientError::Reply(error.to_string()))
}

/// Takes the frame of the only message away.
pub(super) fn only_message(mut frame: Bytes) -> Result<Bytes, ClientError> {
    let reply = |what: &str| Err(ClientError::Reply(what.to_owned()));
    if frame.is_empty() {
        return reply("it has no message");
    }
    if frame.len() < 5 {
        return reply("its message is cut off");
    }
    let is_compressed = frame.get_u8() != 0;
    let len = frame.get_u32() as usize;
    match frame.len() {
        _ if is_compressed => reply("it is compressed, which was not asked for"),
        rest if rest < len => reply("its message is cut off"),
        rest if rest > len => reply("it has more than one message"),
        _ => Ok(frame),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_is_not_one_whole_message_is_no_reply() {
        assert_eq!(&only_message(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1])).unwrap()[..], [8, 1]);
        let said = |frame| only_message(Bytes::from_static(frame)).unwrap_err().to_string();
        insta::assert_snapshot!(said(&[]), @"the server's reply makes no sense: it has no message");
        insta::assert_snapshot!(said(&[0, 0]), @"the server's reply makes no sense: its message is cut off");
        insta::assert_snapshot!(said(&[0, 0, 0, 0, 2, 8]), @"the server's reply makes no sense: its message is cut off");
        insta::assert_snapshot!(said(&[0, 0, 0, 0, 1, 8, 1]), @"the server's reply makes no sense: it has more than one message");
        insta::assert_snapshot!(said(&[1, 0, 0, 0, 1, 8]), @"the server's reply makes no sense: it is compressed, which was not asked for");
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
