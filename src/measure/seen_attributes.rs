//! Which attributes the fixes of a path have.

/// Whether at least one fix with a position has a time, an elevation or an accuracy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenAttributes {
    /// Whether a fix has a time.
    pub time: bool,
    /// Whether a fix has an elevation.
    pub z: bool,
    /// Whether a fix has an accuracy radius.
    pub accuracy: bool,
}

impl SeenAttributes {
    pub(super) fn merge(&mut self, other: Self) {
        self.time |= other.time;
        self.z |= other.z;
        self.accuracy |= other.accuracy;
    }
}
