//! `WindowOptions` and `Window` of the contract to and from those of the measuring core.

use prost_types::Timestamp;

use super::summary_error::SummaryError;
use crate::measure::{
    ExactSum, Space, WindowOptions, WindowSummary, WindowUnit, WindowsSummary, Zone,
};
use crate::proto::waywiser_v1 as pb;

/// Converts options into a message.
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
    }
}

/// Reads options.
///
/// # Errors
/// The field that is not valid, and a description.
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
            let text = "it is not set; set hour, day, week, month or year";
            return Err(("windows.unit", text.to_owned()));
        }
        Err(_) => return Err(("windows.unit", format!("there is no unit {}", message.unit))),
    };
    let zone = match message.time_zone.as_str() {
        "" => Zone::UTC,
        name => Zone::parse(name).map_err(|error| ("windows.time_zone", error.to_string()))?,
    };
    let options = WindowOptions::new(unit, zone);
    Ok(match message.max_windows {
        0 => options,
        max_windows => WindowOptions { max_windows, ..options },
    })
}

/// Converts the windows of a path, and returns the undated length.
pub(super) fn to_message(windows: &WindowsSummary, space: Space) -> (Vec<pb::Window>, Option<f64>) {
    let is_planar = space == Space::Planar;
    let moment = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let window = |window: &WindowSummary| {
        let length = Some(window.length.to_f64());
        pb::Window {
            start_time: moment(window.start_unix_s),
            end_time: moment(window.end_unix_s),
            length_m: length.filter(|_| !is_planar),
            length: length.filter(|_| is_planar),
            point_count: window.point_count,
        }
    };
    let undated = (!windows.is_dropped).then(|| windows.undated_length.to_f64());
    (windows.windows.iter().map(window).collect(), undated)
}

/// Reads the windows of a path. Returns `None` if its options request none.
///
/// # Errors
/// A value is missing or out of range.
pub(super) fn from_message(
    message: &pb::PathSummary,
    space: Space,
) -> Result<Option<WindowsSummary>, SummaryError> {
    let options = message.options.as_ref().and_then(|options| options.windows.as_ref());
    let Some(options) = options else { return Ok(None) };
    let options =
        options_from_message(options).map_err(|(field, _)| SummaryError::Option(field))?;
    let is_planar = space == Space::Planar;
    let either = |metres: Option<f64>, units: Option<f64>| if is_planar { units } else { metres };
    let second = |time: &Option<Timestamp>| match time {
        Some(Timestamp { seconds, nanos: 0 }) => Ok(*seconds),
        _ => Err(SummaryError::Time("boundary of a window")),
    };
    let window = |window: &pb::Window| {
        Ok(WindowSummary {
            start_unix_s: second(&window.start_time)?,
            end_unix_s: second(&window.end_time)?,
            length: sum(either(window.length_m, window.length), "length of a window")?,
            point_count: window.point_count,
        })
    };
    let windows = message.windows.iter().map(window).collect::<Result<Vec<_>, SummaryError>>()?;
    let undated = either(message.undated_length_m, message.undated_length);
    let dated: u64 = windows.iter().fold(0, |sum, window| sum.saturating_add(window.point_count));
    let empty = WindowsSummary::empty(options);
    if message.windows_dropped {
        return Ok(Some(WindowsSummary { is_dropped: true, ..empty }));
    }
    Ok(Some(WindowsSummary {
        windows,
        undated_length: sum(undated, "undated length")?,
        undated_point_count: message.accepted_count.saturating_sub(dated),
        ..empty
    }))
}

fn sum(length: Option<f64>, name: &'static str) -> Result<ExactSum, SummaryError> {
    let mut sum = ExactSum::ZERO;
    sum.add(length.ok_or(SummaryError::Missing(name))?).map_err(|_| SummaryError::Length(name))?;
    Ok(sum)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns a summary with all fields, for a path with 8 accepted points.
    pub(in crate::contract) fn full() -> WindowsSummary {
        let sum = |length| sum(Some(length), "length").unwrap();
        let zone = Zone::parse("Pacific/Apia").unwrap();
        let window = |day: i64, length| WindowSummary {
            start_unix_s: day * 86_400,
            end_unix_s: (day + 1) * 86_400,
            length: sum(length),
            point_count: 3,
        };
        WindowsSummary {
            windows: vec![window(-100_000, 0.1), window(7, 6.25)],
            undated_length: sum(0.5),
            undated_point_count: 2,
            ..WindowsSummary::empty(WindowOptions {
                max_windows: 9,
                ..WindowOptions::new(WindowUnit::Day, zone)
            })
        }
    }

    #[test]
    fn options_survive_a_round_trip() {
        for unit in 1..=5 {
            let message =
                pb::WindowOptions { unit, time_zone: "Asia/Kathmandu".to_owned(), max_windows: 7 };
            let read = options_from_message(&message).unwrap();
            assert_eq!(options_to_message(&read), message);
        }
        let message = pb::WindowOptions { unit: 2, ..Default::default() };
        let written = options_to_message(&options_from_message(&message).unwrap());
        assert_eq!((written.time_zone.as_str(), written.max_windows), ("UTC", 100_000));
        let wrong = |unit, time_zone: &str| {
            let time_zone = time_zone.to_owned();
            let message = pb::WindowOptions { unit, time_zone, max_windows: 0 };
            let (field, text) = options_from_message(&message).unwrap_err();
            format!("{field}: {text}")
        };
        insta::assert_snapshot!(
            wrong(0, ""), @"windows.unit: it is not set; set hour, day, week, month or year"
        );
        insta::assert_snapshot!(wrong(6, ""), @"windows.unit: there is no unit 6");
        insta::assert_snapshot!(
            wrong(1, "Europe/Zurch"),
            @r#"windows.time_zone: the time zone "Europe/Zurch" is unknown; did you mean Europe/Zurich?"#
        );
    }

    #[test]
    fn invalid_windows_are_errors() {
        let options = pb::PathOptions {
            windows: Some(options_to_message(&full().options)),
            ..Default::default()
        };
        let (windows, undated_length_m) = to_message(&full(), Space::Geographic);
        let valid = pb::PathSummary {
            options: Some(options),
            accepted_count: 8,
            windows,
            undated_length_m,
            ..Default::default()
        };
        let read = |message: &pb::PathSummary| from_message(message, Space::Geographic);
        assert_eq!(read(&valid), Ok(Some(full())));
        assert_eq!(read(&pb::PathSummary::default()), Ok(None));
        let error = |change: &dyn Fn(&mut pb::PathSummary)| {
            let mut message = valid.clone();
            change(&mut message);
            read(&message).unwrap_err().to_string()
        };
        let errors = [
            error(&|message| message.windows[0].start_time = None),
            error(&|message| message.windows[0].length_m = None),
            error(&|message| message.windows[1].length_m = Some(-1.0)),
            error(&|message| message.undated_length_m = Some(f64::NAN)),
            error(&|message| {
                let options = message.options.as_mut().and_then(|options| options.windows.as_mut());
                options.unwrap().unit = 9;
            }),
        ];
        insta::assert_snapshot!(errors.join("\n"), @"
        the boundary of a window of its summary is not in the years 1678 to 2261
        its summary has no length of a window
        the length of a window of its summary is not a length
        the undated length of its summary is not a length
        its summary has no valid option windows.unit
        ");
    }
}
