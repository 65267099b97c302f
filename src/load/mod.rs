//! A load generator for the streaming methods.
//!
//! [`track`] encodes a track once for the method that [`call`] describes. [`target`] opens connections to a
//! server, or starts one. [`drive`] sends the track over many streams, round after round; [`live`] sends it point
//! by point over streams that stay open. Both check every reply. [`encode`] and [`method`] encode requests and
//! read replies. [`process`] and [`stats`] measure the cost.

pub(crate) mod call;
pub(crate) mod drive;
pub(crate) mod encode;
pub(crate) mod live;
mod method;
pub(crate) mod process;
pub(crate) mod stats;
pub(crate) mod target;
pub(crate) mod track;
