//! `WindowOptions` and `Window` of the contract to and from [`WindowOptions`] and [`WindowsSummary`].

use prost_types::Timestamp;

use super::summary_error::SummaryError;
use crate::measure::{
    ExactSum, Space, WindowOptions, WindowSummary, WindowUnit, WindowsSummary, Zone,
};
use crate::proto::waywiser_v1 as pb;

/// Converts the options of windows into a message.
pub(super) fn options_to_message(options: &WindowOptions) -> pb::WindowOptions {
    let unit = match options.unit {
        WindowUnit::Hour => pb::WindowUnit::Hour,
        WindowUnit::Day => pb::WindowUnit::Day,
        WindowUnit::Week => pb::WindowUnit::Week,
        WindowUnit::Month => pb::WindowUnit::Month,
        WindowUnit::Year => pb::WindowUnit::Year,
    };
    pb::WindowOptions {
        unit: unit.into(),
        time_zone: options.zone.to_string(),
        max_windows: options.max_windows,
        keep_latest: options.keep_latest,
    }
}

/// Reads the options of windows and fills in the defaults.
///
/// # Errors
/// Returns the field that is not valid, and a description.
pub(super) fn options_from_message(
    message: &pb::WindowOptions,
) -> Result<WindowOptions, (&'static str, String)> {
    let unit = match pb::WindowUnit::try_from(message.unit) {
        Ok(pb::WindowUnit::Hour) => WindowUnit::Hour,
        Ok(pb::WindowUnit::Day) => WindowUnit::Day,
        Ok(pb::WindowUnit::Week) => WindowUnit::Week,
        Ok(pb::WindowUnit::Month) => WindowUnit::Month,
        Ok(pb::WindowUnit::Year) => WindowUnit::Year,
        Ok(pb::WindowUnit::Unspecified) => {
            return Err(("windows.unit", "it is not set".to_owned()));
        }
        Err(_) => return Err(("windows.unit", format!("there is no unit {}", message.unit))),
    };
    let zone = match message.time_zone.as_str() {
        "" => Zone::UTC,
        name => Zone::parse(name).map_err(|error| ("windows.time_zone", error.to_string()))?,
    };
    let max_windows = match message.max_windows {
        0 => WindowOptions::RECORDING_WINDOWS_MAX,
        max_windows => max_windows,
    };
    Ok(WindowOptions { unit, zone, max_windows, keep_latest: message.keep_latest })
}

/// Returns a window as a message.
pub(super) fn to_message(window: &WindowSummary, space: Space) -> pb::Window {
    let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let length = window.length.to_f64();
    pb::Window {
        start_time: time(window.start_unix_s),
        end_time: time(window.end_unix_s),
        length_m: (space == Space::Geographic).then_some(length),
        length: (space == Space::Planar).then_some(length),
        point_count: window.point_count,
    }
}

/// Reads the windows of a summary, whose options have windows.
///
/// # Errors
/// A value is missing or not valid.
pub(super) fn from_message(
    message: &pb::PathSummary,
    options: WindowOptions,
) -> Result<WindowsSummary, SummaryError> {
    let time = |time: Option<Timestamp>, name| {
        time.map(|time| time.seconds).ok_or(SummaryError::Missing(name))
    };
    let length = |metres: Option<f64>, units: Option<f64>, name| {
        let length = metres.or(units).ok_or(SummaryError::Missing(name))?;
        let mut sum = ExactSum::ZERO;
        sum.add(length).map_err(|_| SummaryError::Length(name))?;
        Ok(sum)
    };
    let window = |window: &pb::Window| {
        Ok(WindowSummary {
            start_unix_s: time(window.start_time, "start time of a window")?,
            end_unix_s: time(window.end_time, "end time of a window")?,
            length: length(window.length_m, window.length, "length of a window")?,
            point_count: window.point_count,
        })
    };
    let undated_length = match message.windows_dropped {
        true => ExactSum::ZERO,
        false => length(message.undated_length_m, message.undated_length, "undated length")?,
    };
    Ok(WindowsSummary {
        options,
        windows: message.windows.iter().map(window).collect::<Result<_, SummaryError>>()?,
        earlier: message.earlier_windows.as_ref().map(window).transpose()?,
        undated_length,
        undated_point_count: message.undated_point_count,
        is_dropped: message.windows_dropped,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::contract) fn full() -> WindowsSummary {
        let zone = Zone::parse("Europe/Ljubljana").unwrap();
        let options =
            WindowOptions { unit: WindowUnit::Month, zone, max_windows: 1, keep_latest: true };
        let sum = |length: f64| {
            let mut sum = ExactSum::ZERO;
            sum.add(length).unwrap();
            sum
        };
        let window = WindowSummary {
            start_unix_s: -3600,
            end_unix_s: 2_674_800,
            length: sum(0.1),
            point_count: 5,
        };
        let earlier = WindowSummary {
            start_unix_s: -9_000_000,
            end_unix_s: -3600,
            length: sum(0.7),
            point_count: 8,
        };
        WindowsSummary {
            options,
            windows: vec![window],
            earlier: Some(earlier),
            undated_length: sum(1.0 / 3.0),
            undated_point_count: 6,
            is_dropped: false,
        }
    }

    #[test]
    fn invalid_options_are_refused_with_their_field() {
        let error = |unit, zone: &str| {
            let message =
                pb::WindowOptions { unit, time_zone: zone.to_owned(), ..Default::default() };
            options_from_message(&message).unwrap_err()
        };
        assert_eq!(error(0, "").0, "windows.unit");
        assert_eq!(error(6, "").0, "windows.unit");
        let (field, text) = error(2, "Europe/Lubljana");
        assert_eq!(field, "windows.time_zone");
        assert!(text.contains("Europe/Ljubljana"), "{text}");
        let message = pb::WindowOptions { unit: 2, ..Default::default() };
        let defaults =
            WindowOptions { max_windows: 400, ..WindowOptions::new(WindowUnit::Day, Zone::UTC) };
        assert_eq!(options_from_message(&message), Ok(defaults));
    }
}
