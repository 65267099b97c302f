//! Measures the files that clients of the HTTP listener send, as the command does.
//!
//! The query parameters are arguments of the command, read by the same parsers. The answer has the rows that `--json`
//! prints, and the lines of `lines.rs`.

use std::cell::{Cell, RefCell};
use std::io::{self, Cursor, Write};
use std::rc::Rc;
use std::slice;
use std::sync::Arc;

use bytes::Bytes;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser};
use serde_json::json;

use self::lines::Lines;
use self::messages::Messages;
use super::measure_run::MeasureRun;
use super::track_lines::{LineCollector as _, WithLines};
use super::worker::Files;
use super::{MeasureArgs, OutputArgs, WindowBy, windows_kept};
use crate::cli::connect::ConnectArgs;
use crate::cli::input::{self, Input, Reading, Stdin};
use crate::cli::policy::{FilledOptions, Model, PolicyArgs};
use crate::cli::progress::Progress;
use crate::cli::reading::ReadingArgs;
use crate::cli::report::{Names, Units};
use crate::formats::SinkError;
use crate::http::{Measure, MeasureControl, MeasureError, MeasureJob, Measured};

/// Maximum size of the rows of an answer.
const ROWS_BYTES_MAX: usize = 8 << 20;
/// Maximum number of points of a file. Compressed files may have more than their size suggests.
const POINTS_MAX: u64 = 20_000_000;
/// Maximum number of characters of the name of a file, which is in each row.
const FILE_NAME_MAX: usize = 255;
/// The name of a file without one.
const NAME: &str = "upload";

/// The options of a measurement, as query parameters.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
struct PostedArgs {
    #[arg(long, value_enum, default_value_t = Model::Geodesic)]
    model: Model,

    #[command(flatten)]
    output: PostedOutput,

    #[command(flatten)]
    reading: ReadingArgs,

    #[command(flatten)]
    policy: PolicyArgs,
}

/// The options for the answer.
#[derive(Debug, Args)]
struct PostedOutput {
    /// The name of the file in the answer
    #[arg(long, default_value = NAME, value_parser = file_name)]
    file: String,

    #[arg(long)]
    trips: bool,

    #[arg(long, value_enum)]
    by: Option<WindowBy>,

    #[arg(long, requires = "by", value_parser = windows_kept())]
    keep_latest_windows: Option<u32>,

    #[arg(long, value_enum, default_value_t = Units::M)]
    units: Units,
}

fn file_name(text: &str) -> Result<String, String> {
    match text.chars().count() {
        1..=FILE_NAME_MAX => Ok(text.to_owned()),
        _ => Err(format!("must have 1 to {FILE_NAME_MAX} characters")),
    }
}

/// Measures files as `waywiser measure --json` does.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct PostedFiles;

impl Measure for PostedFiles {
    fn job(&self, options: Vec<(String, String)>) -> Result<Box<dyn MeasureJob>, MeasureError> {
        let command = PostedArgs::command();
        let mut words = Vec::new();
        for (name, value) in options {
            let argument = command.get_arguments().find(|arg| arg.get_long() == Some(&name));
            let Some(argument) = argument else {
                let message = "there is no such option".to_owned();
                return Err(MeasureError::Option {
                    name: name.chars().take(64).collect(),
                    message,
                });
            };
            words.extend(word(argument, &name, &value)?);
        }
        let parsed = command
            .try_get_matches_from(words)
            .and_then(|matches| PostedArgs::from_arg_matches(&matches));
        let PostedArgs { model, output, reading, policy } =
            parsed.map_err(|error| option_error(&error))?;
        let PostedOutput { file, trips, by, keep_latest_windows, units } = output;
        let args = MeasureArgs {
            files: Vec::new(),
            model,
            jobs: Some(1),
            output: OutputArgs {
                json: true,
                csv: false,
                details: false,
                trips,
                by,
                keep_latest_windows: keep_latest_windows.map(Some),
                units,
                sort: None,
                plot: None,
                report: None,
            },
            connect: ConnectArgs::default(),
            reading,
            policy,
            names: Names::default(),
        };
        let options = args.options().map_err(|error| MeasureError::Option {
            name: "options".to_owned(),
            message: error.to_string(),
        })?;
        Ok(Box::new(Job { args, options, file }))
    }
}

/// Returns a parameter as an argument. A flag is true or false.
fn word(argument: &Arg, name: &str, value: &str) -> Result<Option<String>, MeasureError> {
    let is_flag = matches!(argument.get_action(), ArgAction::SetTrue);
    match value {
        "" | "true" if is_flag => Ok(Some(format!("--{name}"))),
        "false" if is_flag => Ok(None),
        _ if is_flag => {
            let message = "it must be true or false".to_owned();
            Err(MeasureError::Option { name: name.to_owned(), message })
        }
        value => Ok(Some(format!("--{name}={value}"))),
    }
}

/// Returns the error of an argument without the words of the command line.
fn option_error(error: &clap::Error) -> MeasureError {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let name = text(ContextKind::InvalidArg).and_then(|argument| {
        let name = argument.split([' ', '=']).next()?;
        name.strip_prefix("--")
    });
    let values = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => values.join(", "),
        _ => String::new(),
    };
    let message = match (error.kind(), std::error::Error::source(error)) {
        (ErrorKind::ValueValidation, Some(source)) => source.to_string(),
        (ErrorKind::InvalidValue, _) if !values.is_empty() => format!("it must be one of {values}"),
        (ErrorKind::InvalidValue, _) => "it needs a value".to_owned(),
        (ErrorKind::MissingRequiredArgument, _) => "another option needs it".to_owned(),
        _ => "it cannot be used here".to_owned(),
    };
    MeasureError::Option { name: name.unwrap_or("options").to_owned(), message }
}

struct Job {
    args: MeasureArgs,
    options: FilledOptions,
    file: String,
}

impl MeasureJob for Job {
    fn run(
        self: Box<Self>,
        file: Bytes,
        control: Arc<MeasureControl>,
    ) -> Result<Measured, MeasureError> {
        let input = Input::of_stdin(&self.file);
        let (mut rows, mut messages) = (Bounded::new(ROWS_BYTES_MAX), Messages::default());
        let progress = Progress::hidden();
        let read_options = self.args.read_options();
        let metric = self.options.all.metric();
        let lines = RefCell::new(Lines::new(metric, Arc::clone(&control), Rc::clone(&rows.len)));
        let mut run = MeasureRun::new(
            &self.args,
            slice::from_ref(&input),
            self.options,
            &mut rows,
            &mut messages,
            &progress,
        );
        let mut written = Ok(());
        let files = Files::new(self.options.all, |result| {
            written = run.add(result);
            if written.is_ok() { Ok(()) } else { Err(SinkError::Stop) }
        });
        let files = files.with_rejected(Box::new(|track, fixes| {
            lines.borrow_mut().open().mark_rejected(track, fixes);
        }));
        let before_read = || match control.is_cancelled() {
            true => Err(io::Error::other("the client has disconnected")),
            false => Ok(()),
        };
        let reading = Reading {
            options: &read_options,
            stdin: &Stdin::new(Cursor::new(file)),
            progress: &progress,
            before_read: &before_read,
        };
        let mut sink = WithLines { files, lines: &lines };
        let _ = input::read(&input, &reading, &mut sink);
        drop(sink);
        let lines = lines.into_inner();
        if control.is_cancelled() {
            return Err(MeasureError::Cancelled);
        }
        if lines.points > POINTS_MAX {
            let message = format!(
                "the file has more than {POINTS_MAX} points; measure it with waywiser measure"
            );
            return Err(MeasureError::TooLarge(message));
        }
        let finished = written.and_then(|()| run.finish().map(drop));
        if finished.is_err() || rows.is_full {
            let message = format!(
                "the rows of the tracks have more than {} MiB; measure the file with waywiser measure",
                ROWS_BYTES_MAX >> 20
            );
            return Err(MeasureError::TooLarge(message));
        }
        let answer = answer(&rows.bytes, messages, &lines)?;
        control.set_memory_bytes(answer.json.capacity() as u64);
        Ok(answer)
    }
}

/// Joins the rows, the errors and the lines.
fn answer(rows: &[u8], messages: Messages, lines: &Lines) -> Result<Measured, MeasureError> {
    let rows = String::from_utf8_lossy(rows);
    let mut rows: Vec<&str> = rows.lines().collect();
    // The last row is an object with the only member "total".
    let total = rows.pop().and_then(|total| total.strip_prefix('{')?.strip_suffix('}'));
    let Some(total) = total.filter(|_| !rows.is_empty()) else {
        return Err(MeasureError::File(messages.failure()));
    };
    let (tracks, errors) = (rows.join(","), json!(messages.errors()).to_string());
    let finished = &lines.finished;
    // Allocated at once: it is as large as all of its parts.
    let mut json =
        String::with_capacity(tracks.len() + total.len() + errors.len() + finished.len() + 100);
    let more = lines.left_out;
    for part in [
        "{\"tracks\":[",
        &tracks,
        "],",
        total,
        ",\"errors\":",
        &errors,
        ",\"lines\":[",
        finished,
        "]",
    ] {
        json.push_str(part);
    }
    json.push_str(&format!(",\"more_lines\":{more}}}\n"));
    Ok(Measured { json, points: lines.points })
}

/// Text up to a size.
struct Bounded {
    bytes: Vec<u8>,
    /// The number of bytes.
    len: Rc<Cell<usize>>,
    max: usize,
    is_full: bool,
}

impl Bounded {
    fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), len: Rc::default(), max, is_full: false }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A shorter text after one that is missing would join parts that do not belong together.
        if self.is_full || self.bytes.len() + bytes.len() > self.max {
            self.is_full = true;
            return Err(io::Error::other("the text is too large"));
        }
        self.bytes.extend_from_slice(bytes);
        self.len.set(self.bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

mod lines;
mod messages;
#[cfg(test)]
mod tests;
