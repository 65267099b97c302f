//! What is called and how its points are sent: the options that say so, what a second load changes of
//! them, and what `drive.rs` and `track.rs` need to know of a call.

use bytes::Bytes;
use clap::{Args, ValueEnum};

use super::encode::{self, Form, Layout};
use crate::cli::bench::args::at_least_one;
use crate::cli::report::pluralize;
use crate::client::method::Method;
use crate::contract::method::v1::RECORD_PATH as RECORD_PATH_METHOD;
use crate::measure::{Metric, Options};
use crate::recording::RecordingName;

/// How many points a message has unless told: what is below the 64 KiB that a server takes, however far
/// the points are apart.
const ROWS_PER_MESSAGE: usize = 1000;
const COLUMNS_PER_MESSAGE: usize = 4096;

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CallArgs {
    /// What to call
    #[arg(long, value_enum, default_value_t = MethodName::RecordRoute)]
    pub(crate) method: MethodName,

    /// How a leg is measured [default: geodesic]
    #[arg(long, value_enum, help_heading = RECORD_PATH)]
    model: Option<ModelName>,

    /// How points lie in a message [default: columns, or rows of live streams]
    #[arg(long, value_enum, help_heading = RECORD_PATH)]
    layout: Option<LayoutName>,

    /// Points a message has [default: 4096 in columns, 1000 in rows]
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = RECORD_PATH, conflicts_with = "live")]
    points_per_message: Option<usize>,

    /// Give each point a time, a second after the one before
    #[arg(long, help_heading = RECORD_PATH)]
    times: bool,

    /// Make each stream a recording of its own, which the server keeps; it is deleted after the round,
    /// outside of what is measured
    #[arg(long, help_heading = RECORD_PATH)]
    named: bool,
}

const RECORD_PATH: &str = "Paths (record-path)";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodName {
    /// my_package.DisplacementService/computePathLength: in the plane, of which the numbers of the
    /// track are taken for units
    PathLength,
    /// routeguide.RouteGuide/RecordRoute: on a sphere
    RecordRoute,
    /// waywiser.v1.PathService/RecordPath: many points a message, by any model
    RecordPath,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelName {
    /// The shortest line on the WGS84 ellipsoid
    Geodesic,
    /// The great circle on a sphere
    Haversine,
    /// In the plane, of which the numbers of the track, in 1e-7 degree, are taken for units
    Planar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutName {
    /// A message of its own for each point
    Rows,
    /// Delta-coded whole numbers, of 1e-7 degree or of the plane's unit
    Columns,
}

/// The name of a value as the command line has it.
fn name_of(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// What a second load has otherwise than the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Method(MethodName),
    Model(ModelName),
    Layout(LayoutName),
    PointsPerMessage(usize),
    Times(bool),
    Named(bool),
}

/// Reads `model=planar`, or `named` for `named=true`.
pub(crate) fn change(text: &str) -> Result<Change, String> {
    let (key, value) = text.split_once('=').unwrap_or((text, "true"));
    fn one_of<T: ValueEnum>(value: &str) -> Result<T, String> {
        let names = || T::value_variants().iter().cloned().map(name_of).collect::<Vec<_>>();
        T::from_str(value, false).map_err(|_| format!("it is one of {}", names().join(", ")))
    }
    let flag = || value.parse::<bool>().map_err(|_| "it is true or false".to_owned());
    match key {
        "method" => one_of(value).map(Change::Method),
        "model" => one_of(value).map(Change::Model),
        "layout" => one_of(value).map(Change::Layout),
        "points-per-message" => at_least_one(value).map(Change::PointsPerMessage),
        "times" => flag().map(Change::Times),
        "named" => flag().map(Change::Named),
        _ => Err("a change looks like model=planar or named=false; there are method, model, \
                  layout, points-per-message, times and named"
            .to_owned()),
    }
}

impl CallArgs {
    /// The same but for some changes.
    pub(crate) fn with(mut self, changes: &[Change]) -> Self {
        for &change in changes {
            match change {
                Change::Method(method) => self.method = method,
                Change::Model(model) => self.model = Some(model),
                Change::Layout(layout) => self.layout = Some(layout),
                Change::PointsPerMessage(count) => self.points_per_message = Some(count),
                Change::Times(has_times) => self.times = has_times,
                Change::Named(is_named) => self.named = is_named,
            }
        }
        self
    }

    /// The option that means something to `record-path` alone, if one was given.
    pub(crate) fn of_paths(&self) -> Option<&'static str> {
        let given = [
            (self.model.is_some(), "--model"),
            (self.layout.is_some(), "--layout"),
            (self.points_per_message.is_some(), "--points-per-message"),
            (self.times, "--times"),
            (self.named, "--named"),
        ];
        given.into_iter().find_map(|(is_given, option)| is_given.then_some(option))
    }

    /// The call. Live streams send a point a message.
    pub(crate) fn call(&self, is_live: bool) -> Call {
        let metric = match self.model {
            None | Some(ModelName::Geodesic) => Metric::Geodesic,
            Some(ModelName::Haversine) => Metric::Haversine,
            Some(ModelName::Planar) => Metric::Planar,
        };
        let layout = match self.layout {
            Some(LayoutName::Rows) => Layout::Rows,
            None if is_live => Layout::Rows,
            None | Some(LayoutName::Columns) => Layout::Columns,
        };
        let usual = match layout {
            Layout::Rows => ROWS_PER_MESSAGE,
            Layout::Columns => COLUMNS_PER_MESSAGE,
        };
        let points_per_message = if is_live { 1 } else { self.points_per_message.unwrap_or(usual) };
        let form = Form { options: Options::new(metric), layout, points_per_message };
        match self.method {
            MethodName::PathLength => Call::Points(Method::PathLength),
            MethodName::RecordRoute => Call::Points(Method::RecordRoute),
            MethodName::RecordPath => {
                Call::Path { form, has_times: self.times, is_named: self.named }
            }
        }
    }
}

/// A call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Call {
    /// A point a message.
    Points(Method),
    /// RecordPath.
    Path { form: Form, has_times: bool, is_named: bool },
}

impl Call {
    pub(crate) fn path(&self) -> &'static str {
        match self {
            Self::Points(method) => method.path(),
            Self::Path { .. } => RECORD_PATH_METHOD,
        }
    }

    pub(crate) fn metric(&self) -> Metric {
        match self {
            Self::Points(method) => method.metric(),
            Self::Path { form, .. } => form.options.metric,
        }
    }

    pub(crate) fn is_named(&self) -> bool {
        matches!(self, Self::Path { is_named: true, .. })
    }

    /// Whether points are sent in whole numbers of 1e-7 degree.
    pub(crate) fn has_whole_numbers(&self) -> bool {
        match self {
            // By rounding on the way, as a client of theirs has it.
            Self::Points(_) => false,
            Self::Path { form, .. } => form.layout == Layout::Columns,
        }
    }

    /// What a stream begins with, before its track.
    pub(crate) fn opening(&self, name: Option<&RecordingName>) -> Bytes {
        match self {
            Self::Points(_) => Bytes::new(),
            Self::Path { form, .. } => form.opening(name),
        }
    }

    /// How far the length in a reply may lie from the true one because its unit is coarse.
    pub(crate) fn length_rounding(&self) -> f64 {
        match self {
            Self::Points(method) => method.length_rounding(),
            Self::Path { .. } => 0.0,
        }
    }

    /// How many points a reply counts, and the length it gives.
    ///
    /// # Errors
    /// When it makes no sense, or the path is not complete and durable.
    pub(crate) fn counted(&self, reply: Bytes) -> Result<(u64, f64), String> {
        let words = |error: crate::client::ClientError| error.to_string();
        if let Self::Points(method) = self {
            return method.counted(reply).map_err(words);
        }
        let answer = encode::answer(reply).map_err(words)?;
        match (answer.is_complete, answer.committed_points) {
            (false, _) => Err("the server says that the path is not complete".to_owned()),
            (true, count) if count != answer.point_count => {
                let of = pluralize(answer.point_count, "point");
                Err(format!("{of} were counted and {count} are durable"))
            }
            // Every recording is new.
            _ if answer.skipped_points > 0 => {
                let skipped = pluralize(answer.skipped_points, "point");
                Err(format!("{skipped} skipped because a recording of this name had them"))
            }
            _ => Ok((answer.point_count, answer.length)),
        }
    }

    /// The method as the command line has it.
    pub(crate) fn method(&self) -> MethodName {
        match self {
            Self::Points(Method::PathLength) => MethodName::PathLength,
            Self::Points(Method::RecordRoute) => MethodName::RecordRoute,
            Self::Path { .. } => MethodName::RecordPath,
        }
    }

    pub(crate) fn method_name(&self) -> String {
        name_of(self.method())
    }

    /// The method and what else there is to say.
    pub(crate) fn words(&self) -> String {
        let mut words = self.method_name();
        if let Self::Path { form, has_times, is_named } = *self {
            let layout = match form.layout {
                Layout::Rows => LayoutName::Rows,
                Layout::Columns => LayoutName::Columns,
            };
            words += &format!(", {} of ", name_of(layout));
            words += &pluralize(form.points_per_message as u64, "point");
            words += &format!(", {}", form.options.metric);
            words += if has_times { ", times" } else { "" };
            words += if is_named { ", named" } else { "" };
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        call: CallArgs,
        #[arg(long)]
        live: bool,
    }

    fn args(line: &[&str]) -> CallArgs {
        Line::parse_from([&["bench"], line].concat()).call
    }

    #[test]
    fn a_call_is_told_in_words() {
        insta::assert_snapshot!(args(&[]).call(false).words(), @"record-route");
        let path = args(&["--method", "record-path"]);
        insta::assert_snapshot!(path.call(false).words(), @"record-path, columns of 4 096 points, geodesic");
        insta::assert_snapshot!(path.call(true).words(), @"record-path, rows of 1 point, geodesic");
        let path = path.with(&[Change::Layout(LayoutName::Rows), Change::Model(ModelName::Planar)]);
        let path = path.with(&[Change::Named(true), Change::Times(true)]);
        insta::assert_snapshot!(path.call(false).words(), @"record-path, rows of 1 000 points, planar, times, named");
    }

    #[test]
    fn a_change_is_an_option_and_its_value() {
        assert_eq!(change("model=planar"), Ok(Change::Model(ModelName::Planar)));
        assert_eq!(change("method=path-length"), Ok(Change::Method(MethodName::PathLength)));
        assert_eq!(change("points-per-message=7"), Ok(Change::PointsPerMessage(7)));
        assert_eq!(change("named"), Ok(Change::Named(true)));
        assert_eq!(change("times=false"), Ok(Change::Times(false)));
        let said = |text| change(text).unwrap_err();
        insta::assert_snapshot!(said("layout=heap"), @"it is one of rows, columns");
        insta::assert_snapshot!(said("named=no"), @"it is true or false");
        insta::assert_snapshot!(said("points-per-message=0"), @"it is a number from 1");
        insta::assert_snapshot!(said("streams=2"), @"a change looks like model=planar or named=false; there are method, model, layout, points-per-message, times and named");
    }

    #[test]
    fn options_of_paths_are_known() {
        assert_eq!(args(&[]).of_paths(), None);
        assert_eq!(args(&["--times", "--layout", "rows"]).of_paths(), Some("--layout"));
        assert_eq!(args(&["--named"]).of_paths(), Some("--named"));
    }
}
