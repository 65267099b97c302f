//! Measures with a server: every track is a path of one MeasurePaths call. `upload.rs` reads the files and
//! sends their points, and `answers.rs` reports the answers.

use std::io::{self, Write};
use std::sync::Arc;

use futures::{TryStreamExt as _, stream};

use super::MeasureArgs;
use super::answers;
use super::measure_run::MeasureRun;
use super::upload::{self, Upload};
use crate::cli::input::{Input, Stdin};
use crate::cli::policy::FilledOptions;
use crate::cli::progress::Progress;
use crate::cli::stall_detector::StallDetector;
use crate::cli::{Outcome, fail};
use crate::client::Client;

/// Measures the inputs with the server at `url`.
///
/// # Errors
/// If the report cannot be written.
pub(super) fn measure(
    args: &MeasureArgs,
    options: FilledOptions,
    inputs: &[Input],
    url: &str,
    out: impl Write,
    messages: &mut dyn Write,
    progress: Arc<Progress>,
) -> io::Result<Outcome> {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("the threads cannot be started: {error}")),
    };
    let outcome = runtime.block_on(call(args, options, inputs, url, out, messages, progress));
    // Does not wait for the reading thread, which may be waiting for standard input.
    runtime.shutdown_background();
    outcome
}

async fn call(
    args: &MeasureArgs,
    options: FilledOptions,
    inputs: &[Input],
    url: &str,
    out: impl Write,
    messages: &mut dyn Write,
    progress: Arc<Progress>,
) -> io::Result<Outcome> {
    let shown = Arc::clone(&progress);
    let mut run = MeasureRun::new(args, inputs, options, out, messages, &shown);
    let client = match Client::connect(url).await {
        Ok(client) => client,
        Err(error) => {
            run.error(&error.to_string());
            return Ok(Outcome::Failed);
        }
    };
    let stall_detector = Arc::<StallDetector>::default();
    let (parts, expected) = upload::start(Upload {
        inputs: inputs.to_vec(),
        stdin: Stdin::of_process(),
        options: options.all,
        read_options: args.read_options(),
        progress,
        stall_detector: Arc::clone(&stall_detector),
    });
    let answers = stream::once(client.measure_paths(parts)).try_flatten();
    answers::report(run, url, inputs, expected, answers, &stall_detector).await
}
