//! Measures with a server: every track is a path of one MeasurePaths call. `upload.rs` reads the files and
//! sends their points, and `answers.rs` reports the answers.

use std::io::{self, Write};
use std::sync::Arc;

use futures::{TryStreamExt as _, stream};

use super::MeasureArgs;
use super::answers;
use super::measure_run::MeasureRun;
use super::upload::{self, Upload};
use crate::cli::connect::ConnectArgs;
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

async fn connect(args: &ConnectArgs, url: &str) -> Result<Client, String> {
    args.client(url)?.connect().await.map_err(|error| args.explain(&error))
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
    let client = match connect(&args.connect, url).await {
        Ok(client) => client,
        Err(error) => {
            run.error(&error);
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
    answers::report(
        run,
        url,
        args.connect.credentials(),
        inputs,
        expected,
        answers,
        &stall_detector,
    )
    .await
}
