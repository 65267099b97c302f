//! The result of a check of all recordings of a store.

/// What a check of all recordings of a store has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCheck {
    /// The number of recordings, damaged ones included.
    pub recordings: u64,
    /// The names of damaged recordings.
    pub damaged: Vec<String>,
}
