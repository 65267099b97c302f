//! The published methods for the load generator: request bodies that are encoded in advance, and the results in
//! replies.

use bytes::{Bytes, BytesMut};

use crate::client::ClientError;
use crate::client::method::{self, Method};
use crate::client::point_encoder::{BATCH_POINTS, Chunk};
use crate::measure::Point;

impl Method {
    /// Returns by how much the length in a reply may differ from the true one because its unit is coarse.
    pub(crate) fn length_rounding(self) -> f64 {
        match self {
            Self::PathLength => 0.0,
            // Whole metres.
            Self::RecordRoute => 0.5,
        }
    }

    /// Encodes points as a request body with one message per point.
    ///
    /// # Errors
    /// The method does not support one of the points.
    pub(crate) fn encode(self, points: &[Point]) -> Result<Bytes, ClientError> {
        let mut body = BytesMut::new();
        let mut chunk = Chunk::default();
        let mut index = 0;
        for points in points.chunks(BATCH_POINTS) {
            let (mut first, mut second) = ([0; BATCH_POINTS], [0; BATCH_POINTS]);
            for (at, &point) in points.iter().enumerate() {
                let numbers = match self {
                    Self::PathLength => method::to_int32(point),
                    Self::RecordRoute => point.to_e7(),
                };
                (first[at], second[at]) =
                    numbers.ok_or_else(|| self.unsupported_point(index, point))?;
                index += 1;
            }
            if chunk.append(&first[..points.len()], &second[..points.len()]) {
                body.extend_from_slice(&chunk.take());
            }
        }
        body.extend_from_slice(&chunk.take());
        Ok(body.freeze())
    }

    /// Reads the point count and the length in a reply.
    ///
    /// # Errors
    /// The reply is not one message of the method.
    pub(crate) fn read_reply(self, reply: Bytes) -> Result<(u64, f64), ClientError> {
        let message = method::only_message(reply)?;
        match self {
            Self::PathLength => {
                let reply = method::path_length(message)?;
                Ok((reply.point_count, reply.length))
            }
            Self::RecordRoute => {
                let reply = method::route(message)?;
                Ok((reply.point_count.into(), reply.distance_m.into()))
            }
        }
    }
}
