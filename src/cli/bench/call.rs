//! The options of `waywiser bench` that choose the call, and the settings that `--vary` changes in a second load.

use clap::{Args, ValueEnum};

use crate::cli::policy::Model;
use crate::cli::report::pluralize;
use crate::cli::units::at_least_one;
use crate::client::method::Method;
use crate::load::call::Call;
use crate::load::encode::{Form, Layout};
use crate::measure::Options;

/// Default numbers of points per message. A message stays below the limit of 64 KiB for any coordinates.
const ROWS_PER_MESSAGE: usize = 1000;
const COLUMNS_PER_MESSAGE: usize = 4096;

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct CallArgs {
    /// The method to call
    #[arg(long, value_enum, default_value_t = MethodName::RecordRoute)]
    pub(super) method: MethodName,

    /// The model of the distance between two points [default: geodesic]
    #[arg(long, value_enum, help_heading = RECORD_PATH)]
    model: Option<Model>,

    /// The encoding of points in a message [default: columns; rows with --live]
    #[arg(long, value_enum, help_heading = RECORD_PATH)]
    layout: Option<LayoutName>,

    /// Points per message [default: 4096 in columns, 1000 in rows]
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = at_least_one::<usize>,
        help_heading = RECORD_PATH,
        conflicts_with = "live"
    )]
    points_per_message: Option<usize>,

    /// Send a time with each point, at intervals of one second
    #[arg(long, help_heading = RECORD_PATH)]
    times: bool,

    /// Create a recording per stream; recordings are deleted after each round, outside the measured time
    #[arg(long, help_heading = RECORD_PATH)]
    named: bool,
}

const RECORD_PATH: &str = "Options of --method record-path";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum MethodName {
    /// my_package.DisplacementService/computePathLength: planar; coordinates are whole numbers of 1e-7 degree
    PathLength,
    /// routeguide.RouteGuide/RecordRoute: great circles on a sphere
    RecordRoute,
    /// waywiser.v1.PathService/RecordPath: many points per message, any model
    RecordPath,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LayoutName {
    /// One nested message per point
    Rows,
    /// Delta-coded whole numbers of 1e-7 degree, or of the planar unit
    Columns,
}

/// Returns the name of a value on the command line.
fn name_of(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// A setting that differs in the second load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vary {
    Method(MethodName),
    Model(Model),
    Layout(LayoutName),
    PointsPerMessage(usize),
    Times(bool),
    Named(bool),
}

impl Vary {
    /// Parses `model=planar`, or `named` for `named=true`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').unwrap_or((text, "true"));
        fn one_of<T: ValueEnum>(value: &str) -> Result<T, String> {
            let names = || T::value_variants().iter().cloned().map(name_of).collect::<Vec<_>>();
            T::from_str(value, false).map_err(|_| format!("must be one of {}", names().join(", ")))
        }
        let flag = || value.parse::<bool>().map_err(|_| "must be true or false".to_owned());
        match key {
            "method" => one_of(value).map(Self::Method),
            "model" => one_of(value).map(Self::Model),
            "layout" => one_of(value).map(Self::Layout),
            "points-per-message" => at_least_one(value).map(Self::PointsPerMessage),
            "times" => flag().map(Self::Times),
            "named" => flag().map(Self::Named),
            _ => {
                Err("must be KEY=VALUE, such as model=planar or named=false; the keys are method, \
                      model, layout, points-per-message, times and named"
                    .to_owned())
            }
        }
    }
}

impl CallArgs {
    /// Returns these arguments with some settings changed.
    pub(super) fn with(mut self, settings: &[Vary]) -> Self {
        for &setting in settings {
            match setting {
                Vary::Method(method) => self.method = method,
                Vary::Model(model) => self.model = Some(model),
                Vary::Layout(layout) => self.layout = Some(layout),
                Vary::PointsPerMessage(count) => self.points_per_message = Some(count),
                Vary::Times(has_times) => self.times = has_times,
                Vary::Named(is_named) => self.named = is_named,
            }
        }
        self
    }

    /// Returns the first given option that only `--method record-path` takes.
    pub(super) fn record_path_option(&self) -> Option<&'static str> {
        let given = [
            (self.model.is_some(), "--model"),
            (self.layout.is_some(), "--layout"),
            (self.points_per_message.is_some(), "--points-per-message"),
            (self.times, "--times"),
            (self.named, "--named"),
        ];
        given.into_iter().find_map(|(is_given, option)| is_given.then_some(option))
    }

    /// Returns the call. Live streams send one point per message.
    pub(super) fn call(&self, is_live: bool) -> Call {
        let metric = self.model.map_or(Options::default().metric(), Model::metric);
        let layout = match self.layout {
            Some(LayoutName::Rows) => Layout::Rows,
            None if is_live => Layout::Rows,
            None | Some(LayoutName::Columns) => Layout::Columns,
        };
        let default = match layout {
            Layout::Rows => ROWS_PER_MESSAGE,
            Layout::Columns => COLUMNS_PER_MESSAGE,
        };
        let points_per_message =
            if is_live { 1 } else { self.points_per_message.unwrap_or(default) };
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

/// Returns the name of the method of a call on the command line.
pub(super) fn method_name(call: &Call) -> String {
    name_of(match call {
        Call::Points(Method::PathLength) => MethodName::PathLength,
        Call::Points(Method::RecordRoute) => MethodName::RecordRoute,
        Call::Path { .. } => MethodName::RecordPath,
    })
}

/// Describes a call for the report: its method and the form of its messages.
pub(super) fn describe(call: &Call) -> String {
    let mut text = method_name(call);
    if let Call::Path { form, has_times, is_named } = *call {
        let layout = match form.layout {
            Layout::Rows => LayoutName::Rows,
            Layout::Columns => LayoutName::Columns,
        };
        text += &format!(", {} of ", name_of(layout));
        text += &pluralize(form.points_per_message as u64, "point");
        text += &format!(", {}", form.options.metric());
        text += if has_times { ", times" } else { "" };
        text += if is_named { ", named" } else { "" };
    }
    text
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
    fn a_description_has_the_method_and_the_form_of_messages() {
        let text = |args: CallArgs, is_live| describe(&args.call(is_live));
        insta::assert_snapshot!(text(args(&[]), false), @"record-route");
        let path = args(&["--method", "record-path"]);
        insta::assert_snapshot!(text(path, false), @"record-path, columns of 4 096 points, geodesic");
        insta::assert_snapshot!(text(path, true), @"record-path, rows of 1 point, geodesic");
        let path = path.with(&[Vary::Layout(LayoutName::Rows), Vary::Model(Model::Planar)]);
        let path = path.with(&[Vary::Named(true), Vary::Times(true)]);
        insta::assert_snapshot!(text(path, false), @"record-path, rows of 1 000 points, planar, times, named");
    }

    #[test]
    fn a_varied_setting_is_an_option_and_its_value() {
        assert_eq!(Vary::parse("model=planar"), Ok(Vary::Model(Model::Planar)));
        assert_eq!(Vary::parse("method=path-length"), Ok(Vary::Method(MethodName::PathLength)));
        assert_eq!(Vary::parse("points-per-message=7"), Ok(Vary::PointsPerMessage(7)));
        assert_eq!(Vary::parse("named"), Ok(Vary::Named(true)));
        assert_eq!(Vary::parse("times=false"), Ok(Vary::Times(false)));
        let error = |text| Vary::parse(text).unwrap_err();
        insta::assert_snapshot!(error("layout=heap"), @"must be one of rows, columns");
        insta::assert_snapshot!(error("named=no"), @"must be true or false");
        insta::assert_snapshot!(error("points-per-message=0"), @"must be a whole number from 1 to 18446744073709551615");
        insta::assert_snapshot!(error("streams=2"), @"must be KEY=VALUE, such as model=planar or named=false; the keys are method, model, layout, points-per-message, times and named");
    }

    #[test]
    fn options_of_record_path_are_found() {
        assert_eq!(args(&[]).record_path_option(), None);
        assert_eq!(args(&["--times", "--layout", "rows"]).record_path_option(), Some("--layout"));
        assert_eq!(args(&["--named"]).record_path_option(), Some("--named"));
    }
}
