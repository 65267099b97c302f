//! The reasons why a fix cannot be used.

/// The reason why a fix cannot be used. [`FixProblem::NAMES`] has a name for each kind, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FixProblem {
    /// The element is not an object.
    #[error("the point is not an object")]
    NotAnObject,
    /// A value is missing.
    #[error("the {0} is missing")]
    Missing(&'static str),
    /// A value is not a number.
    #[error("the {0} is not a number")]
    NotANumber(&'static str),
    /// The latitude is out of range.
    #[error("the latitude is outside of -90 to 90; are latitude and longitude swapped?")]
    Latitude,
    /// The longitude is out of range.
    #[error("the longitude is outside of -180 to 180")]
    Longitude,
    /// The device reports that the position is not valid.
    #[error("the device reports that the position is not valid")]
    NotValid,
    /// The time cannot be read.
    #[error(
        "the time cannot be read; send seconds or milliseconds since 1970, or a time such as 2024-05-18T09:12:40Z"
    )]
    Time,
    /// The time is before 2000.
    #[error("the time is before 2000: the clock of the device is not set")]
    TooEarly,
    /// The time is in the future.
    #[error(
        "the time is more than an hour in the future: the clock or the time zone of the device is wrong"
    )]
    TooLate,
}

impl FixProblem {
    /// The names of all kinds of problems.
    pub const NAMES: [&'static str; 9] = [
        "not_an_object",
        "missing",
        "not_a_number",
        "latitude",
        "longitude",
        "not_valid",
        "time",
        "too_early",
        "too_late",
    ];

    /// Returns the index of the kind in [`FixProblem::NAMES`].
    pub(super) fn index(self) -> usize {
        match self {
            Self::NotAnObject => 0,
            Self::Missing(_) => 1,
            Self::NotANumber(_) => 2,
            Self::Latitude => 3,
            Self::Longitude => 4,
            Self::NotValid => 5,
            Self::Time => 6,
            Self::TooEarly => 7,
            Self::TooLate => 8,
        }
    }
}
