//! The part of the global profile of FIT that the reader uses: the numbers of messages and fields, and names.
//!
//! The fields of a message have the slots 0, 1, ... in the order of its `FIELDS`. The time has slot 0 always.

/// The number of the field with the time in every message.
pub(super) const TIMESTAMP: u8 = 253;
/// The slot of the time.
pub(super) const TIME: usize = 0;
/// The fields of a message that the reader does not use.
const OTHER_FIELDS: [u8; 1] = [TIMESTAMP];

pub(super) mod file_id {
    pub const NUMBER: u16 = 0;
    pub const FIELDS: [u8; 2] = [super::TIMESTAMP, 0];
    pub const TYPE: usize = 1;
}

pub(super) mod sport {
    pub const NUMBER: u16 = 12;
    pub const FIELDS: [u8; 3] = [super::TIMESTAMP, 0, 3];
    pub const SPORT: usize = 1;
    pub const NAME: usize = 2;
}

pub(super) mod session {
    pub const NUMBER: u16 = 18;
    pub const FIELDS: [u8; 5] = [super::TIMESTAMP, 2, 5, 9, 110];
    pub const START_TIME: usize = 1;
    pub const SPORT: usize = 2;
    pub const TOTAL_DISTANCE: usize = 3;
    pub const SPORT_PROFILE_NAME: usize = 4;
}

pub(super) mod lap {
    pub const NUMBER: u16 = 19;
    pub const FIELDS: [u8; 2] = [super::TIMESTAMP, 9];
    pub const TOTAL_DISTANCE: usize = 1;
}

pub(super) mod record {
    pub const NUMBER: u16 = 20;
    pub const FIELDS: [u8; 6] = [super::TIMESTAMP, 0, 1, 2, 31, 78];
    pub const LATITUDE: usize = 1;
    pub const LONGITUDE: usize = 2;
    pub const ALTITUDE: usize = 3;
    pub const GPS_ACCURACY: usize = 4;
    pub const ENHANCED_ALTITUDE: usize = 5;
}

pub(super) mod event {
    pub const NUMBER: u16 = 21;
    pub const FIELDS: [u8; 3] = [super::TIMESTAMP, 0, 1];
    pub const EVENT: usize = 1;
    pub const TYPE: usize = 2;
    /// The event of the timer.
    pub const TIMER: i64 = 0;
    /// The types of events that start the timer.
    pub const START: i64 = 0;
    /// The types of events that stop the timer: stop, stop_all, stop_disable and stop_disable_all.
    pub const STOPS: [i64; 4] = [1, 4, 8, 9];
}

pub(super) mod course {
    pub const NUMBER: u16 = 31;
    pub const FIELDS: [u8; 2] = [super::TIMESTAMP, 5];
    pub const NAME: usize = 1;
}

/// Returns the fields of a message that the reader uses.
pub(super) fn fields(message: u16) -> &'static [u8] {
    match message {
        file_id::NUMBER => &file_id::FIELDS,
        sport::NUMBER => &sport::FIELDS,
        session::NUMBER => &session::FIELDS,
        lap::NUMBER => &lap::FIELDS,
        record::NUMBER => &record::FIELDS,
        event::NUMBER => &event::FIELDS,
        course::NUMBER => &course::FIELDS,
        _ => &OTHER_FIELDS,
    }
}

/// The file type of a course.
pub(super) const COURSE: i64 = 6;

/// Returns the name of a file type.
pub(super) fn file_type(number: i64) -> Option<&'static str> {
    Some(match number {
        1 => "device",
        2 => "settings",
        3 => "sport",
        4 => "activity",
        5 => "workout",
        COURSE => "course",
        7 => "schedules",
        9 => "weight",
        10 => "totals",
        11 => "goals",
        14 => "blood pressure",
        15 | 28 | 32 => "monitoring",
        20 => "activity summary",
        34 => "segment",
        35 => "segment list",
        _ => return None,
    })
}

/// Returns the name of a sport. The generic sport has none.
pub(super) fn sport_name(number: i64) -> Option<&'static str> {
    const NAMES: [&str; 50] = [
        "",
        "running",
        "cycling",
        "transition",
        "fitness equipment",
        "swimming",
        "basketball",
        "soccer",
        "tennis",
        "american football",
        "training",
        "walking",
        "cross-country skiing",
        "alpine skiing",
        "snowboarding",
        "rowing",
        "mountaineering",
        "hiking",
        "multisport",
        "paddling",
        "flying",
        "e-biking",
        "motorcycling",
        "boating",
        "driving",
        "golf",
        "hang gliding",
        "horseback riding",
        "hunting",
        "fishing",
        "inline skating",
        "rock climbing",
        "sailing",
        "ice skating",
        "sky diving",
        "snowshoeing",
        "snowmobiling",
        "stand-up paddleboarding",
        "surfing",
        "wakeboarding",
        "water skiing",
        "kayaking",
        "rafting",
        "windsurfing",
        "kitesurfing",
        "tactical",
        "jumpmaster",
        "boxing",
        "floor climbing",
        "baseball",
    ];
    let name = usize::try_from(number).ok().and_then(|number| NAMES.get(number))?;
    (!name.is_empty()).then_some(name)
}
