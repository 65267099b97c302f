//! Folds a stream of points with two integer coordinates into a path, for the published contracts.

use tonic::body::Body;

use super::body::RequestBody;
use super::limits::StreamLimits;
use super::status::RpcError;
use super::work::{Step, Work};
use crate::measure::{Metric, PointBlock, Polyline};
use crate::wire::{Encoding, Messages, decode_point};

/// The order of the two coordinates of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AxisOrder {
    /// Field 1 is x, field 2 is y.
    XY,
    /// Field 1 is the latitude, field 2 the longitude.
    LatitudeLongitude,
}

/// Receives the points of a stream in addition to the fold.
pub(super) trait PointObserver {
    /// Receives the fields 1 and 2 of points that are valid, and adds the cost to the work.
    fn observe(&mut self, first: &[i32], second: &[i32], work: &mut Work);
}

/// Observes nothing, at no cost.
impl PointObserver for () {
    #[inline]
    fn observe(&mut self, _: &[i32], _: &[i32], _: &mut Work) {}
}

/// Folds the points of a request, one per message, until the client closes the stream.
///
/// # Errors
/// At the first message or point that is not valid, and if the stream ends without being closed.
pub(super) async fn fold_points(
    request: http::Request<Body>,
    limits: &StreamLimits,
    metric: Metric,
    axes: AxisOrder,
) -> Result<Polyline, RpcError> {
    let (path, ()) = fold_observed_points(request, limits, metric, axes, ()).await?;
    Ok(path)
}

/// Folds the points of a request, as [`fold_points`] does, and passes them to an observer. Returns both.
///
/// # Errors
/// At the first message or point that is not valid, and if the stream ends without being closed.
pub(super) async fn fold_observed_points<O: PointObserver>(
    request: http::Request<Body>,
    limits: &StreamLimits,
    metric: Metric,
    axes: AxisOrder,
    observer: O,
) -> Result<(Polyline, O), RpcError> {
    let (mut body, encoding) = RequestBody::open(request, limits)?;
    let mut fold = PointFold::new(encoding, limits, metric, axes, observer);
    while let Some(chunk) = body.chunk().await? {
        let mut rest = &chunk[..];
        loop {
            let result = fold.fold(&mut rest, body.work());
            body.progress().set_points(fold.path.point_count());
            match result? {
                Step::Done => break,
                Step::Spent => body.work().pause().await,
            }
        }
        body.progress().set_messages(fold.messages.message_count());
        body.set_held(fold.messages.held_bytes());
    }
    fold.finish()
}

/// The state of the fold between two chunks. It is small, since thousands of idle streams have one each.
struct PointFold<O> {
    messages: Messages,
    path: Polyline,
    axes: AxisOrder,
    observer: O,
}

impl<O: PointObserver> PointFold<O> {
    fn new(
        encoding: Encoding,
        limits: &StreamLimits,
        metric: Metric,
        axes: AxisOrder,
        observer: O,
    ) -> Self {
        Self { messages: limits.messages(encoding), path: Polyline::new(metric), axes, observer }
    }

    /// Folds the points that end in this chunk, until it is empty or the work budget is spent. Points before an error
    /// are folded, too.
    fn fold(&mut self, chunk: &mut &[u8], work: &mut Work) -> Result<Step, RpcError> {
        let mut block = PointBlock::new(self.path.metric().space());
        let result = self.fill(chunk, &mut block, work);
        self.flush(&mut block, work)?;
        result
    }

    fn fill(
        &mut self,
        chunk: &mut &[u8],
        block: &mut PointBlock,
        work: &mut Work,
    ) -> Result<Step, RpcError> {
        let mut columns = ([0; PointBlock::CAPACITY], [0; PointBlock::CAPACITY]);
        loop {
            // Most points have the same encoding and are decoded in runs. Any other point ends the run and is decoded
            // below.
            let index = self.messages.message_count();
            let capacity = block.remaining_capacity();
            let (first, second) = (&mut columns.0[..capacity], &mut columns.1[..capacity]);
            let run = self.messages.next_points(chunk, first, second);
            work.count_points(run as u64);
            let (x, y) = match self.axes {
                AxisOrder::XY => (&first[..run], &second[..run]),
                AxisOrder::LatitudeLongitude => (&second[..run], &first[..run]),
            };
            block.extend_i32(x, y).map_err(|(at, error)| {
                let index = index + at as u64;
                RpcError::Point { index, error }
            })?;
            self.observer.observe(&first[..run], &second[..run], work);
            if block.is_full() {
                self.flush(block, work)?;
                if work.is_spent() {
                    return Ok(Step::Spent);
                }
                continue;
            }

            while let Some(step) = self.messages.inflate_step(chunk).map_err(RpcError::Stream)? {
                work.add_inflated(step);
                if work.is_spent() {
                    return Ok(Step::Spent);
                }
            }
            let index = self.messages.message_count();
            let message = self.messages.next(chunk).map_err(RpcError::Stream)?;
            let Some(message) = message else { return Ok(Step::Done) };
            work.add_decoded(message.len());
            work.count_points(1);
            let (first, second) =
                decode_point(message).map_err(|error| RpcError::Decode { index, error })?;
            let (x, y) = match self.axes {
                AxisOrder::XY => (first, second),
                AxisOrder::LatitudeLongitude => (second, first),
            };
            block.push_i32(x, y).map_err(|error| RpcError::Point { index, error })?;
            self.observer.observe(&[first], &[second], work);
            if block.is_full() {
                self.flush(block, work)?;
            }
            if work.is_spent() {
                return Ok(Step::Spent);
            }
        }
    }

    fn flush(&mut self, block: &mut PointBlock, work: &mut Work) -> Result<(), RpcError> {
        let index = self.path.point_count();
        work.add_points(block.len());
        let cost = self.path.fold_with_cost(block);
        work.add_fold(cost.map_err(|error| RpcError::Path { index, error })?);
        Ok(())
    }

    fn finish(self) -> Result<(Polyline, O), RpcError> {
        self.messages.finish().map_err(RpcError::Stream)?;
        Ok((self.path, self.observer))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::measure::Point;
    use crate::proto::my_package;

    fn framed(points: &[(i32, i32)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &(x, y) in points {
            let message = my_package::Point { x, y }.encode_to_vec();
            bytes.push(0);
            bytes.extend((message.len() as u32).to_be_bytes());
            bytes.extend(message);
        }
        bytes
    }

    /// Collects the points.
    #[derive(Default)]
    struct Seen(Vec<(i32, i32)>);

    impl PointObserver for Seen {
        fn observe(&mut self, first: &[i32], second: &[i32], _: &mut Work) {
            self.0.extend(first.iter().copied().zip(second.iter().copied()));
        }
    }

    fn fold() -> PointFold<Seen> {
        let limits = StreamLimits::default();
        let axes = AxisOrder::XY;
        PointFold::new(Encoding::Identity, &limits, Metric::Planar, axes, Seen::default())
    }

    proptest! {
        #[test]
        fn sum_and_observed_points_are_identical_for_any_split_of_the_stream(
            points in prop::collection::vec(any::<(i32, i32)>(), 0..600),
            piece in 1_usize..5000,
        ) {
            let mut expected = Polyline::new(Metric::Planar);
            let checked: Vec<_> = points
                .iter()
                .map(|&(x, y)| Point::planar(x.into(), y.into()).unwrap())
                .collect();
            expected.extend(&checked).unwrap();

            let mut fold = fold();
            let mut work = Work::default();
            for mut chunk in framed(&points).chunks(piece) {
                while fold.fold(&mut chunk, &mut work).unwrap() == Step::Spent {
                    work.wait_for_input();
                }
            }
            let (path, seen) = fold.finish().unwrap();
            prop_assert_eq!(path, expected);
            prop_assert_eq!(seen.0, points);
        }
    }

    #[test]
    fn points_before_an_error_are_folded_and_the_error_names_its_point() {
        let mut bytes = framed(&[(0, 0), (3, 4)]);
        bytes.extend([0, 0, 0, 0, 1, 0x08]);
        let mut fold = fold();
        let error = fold.fold(&mut &bytes[..], &mut Work::default()).unwrap_err();
        insta::assert_snapshot!(
            error,
            @"point 2, at byte 1 of the message: a varint is cut short or longer than 64 bits; send two int32 in the fields 1 and 2"
        );
        assert_eq!(fold.path.summary().length, 5.0);
    }

    #[test]
    fn a_stream_that_ends_inside_a_message_is_refused() {
        let bytes = framed(&[(0, 0), (3, 4)]);
        let mut fold = fold();
        fold.fold(&mut &bytes[..bytes.len() - 1], &mut Work::default()).unwrap();
        insta::assert_snapshot!(
            fold.finish().map(|(path, _)| path).unwrap_err(),
            @"point 1, message 1, at byte 5 of the stream: the stream ended after 8 of its 9 bytes"
        );
    }
}
