//! The reasons why fixes are rejected.

/// The reason why a fix was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectionReason {
    /// The fix is earlier than the last checked fix with a time.
    BackwardTime,
    /// The accuracy radius is above the limit.
    Accuracy,
    /// The speed from the last checked fix with a time is above the limit.
    Speed,
    /// The distance from the last accepted fix is below the limit.
    Step,
    /// The fix has no valid position. No leg ends in it, so that the length of these rejections is 0.
    InvalidPosition,
    /// The fix is earlier than one that has left the buffer of [`Options::reorder`](super::Options::reorder).
    Late,
    /// The fix is at x = 0 and y = 0.
    ZeroPosition,
    /// The fix has the time and the position of one in the buffer, or of the last one that has left it. No leg ends in
    /// it, so that the length of these rejections is 0. See
    /// [`Options::drop_duplicates`](super::Options::drop_duplicates).
    Duplicate,
}

/// A rejected fix of a path. See [`PathAccumulator::listing_rejected`](super::PathAccumulator::listing_rejected).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedFix {
    /// The index of the fix in the path, in the order in which the fixes were added, from 0.
    pub offset: u64,
    /// The reason.
    pub reason: RejectionReason,
}

impl RejectionReason {
    /// The number of reasons.
    pub(super) const COUNT: usize = 8;
    /// All reasons, in their order.
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::BackwardTime,
        Self::Accuracy,
        Self::Speed,
        Self::Step,
        Self::InvalidPosition,
        Self::Late,
        Self::ZeroPosition,
        Self::Duplicate,
    ];
}
