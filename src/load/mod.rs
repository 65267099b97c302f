//! A load generator for the streaming methods. It knows no command line: `cli/bench` has the arguments and the
//! report.
//!
//! [`track`] encodes a track once for the method that [`call`] describes. [`target`] is the server: an address, or
//! a server in this process. [`drive`] opens connections and sends the track over many streams, round after round;
//! [`live`] sends it point by point over streams that stay open; [`paced`] makes calls at a fixed rate. All check every
//! reply. [`process`] and [`stats`] measure the cost. [`encode`] and [`method`] encode requests and read replies.

pub(crate) mod call;
pub(crate) mod drive;
pub(crate) mod encode;
pub(crate) mod live;
mod method;
pub(crate) mod paced;
pub(crate) mod process;
pub(crate) mod stats;
pub(crate) mod target;
pub(crate) mod track;
