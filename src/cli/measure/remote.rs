//! Measuring by a server: every track is a path of one MeasurePaths call. `upload.rs` reads the files and
//! sends their points, `answers.rs` reports the answers.

use std::io::{self, Write};
use std::sync::Arc;

use futures::{TryStreamExt as _, stream};

use super::MeasureArgs;
use super::account::Account;
use super::answers;
use super::flow::Flow;
use super::upload::{self, Files};
use crate::cli::progress::Progress;
use crate::cli::{Outcome, fail, input};
use crate::client::Client;

/// Has the server at `url` measure the files of the arguments.
///
/// # Errors
/// When the report cannot be written.
pub(super) fn measure(
    args: &MeasureArgs,
    url: &str,
    out: impl Write,
    complaints: &mut dyn Write,
) -> io::Result<Outcome> {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("no threads to work with: {error}")),
    };
    let outcome = runtime.block_on(upload(args, url, out, complaints));
    // The reading thread may be waiting for standard input, which may never end.
    runtime.shutdown_background();
    outcome
}

async fn upload(
    args: &MeasureArgs,
    url: &str,
    out: impl Write,
    complaints: &mut dyn Write,
) -> io::Result<Outcome> {
    let progress = Arc::new(Progress::new(input::bytes_of(&args.files)));
    let names = args.names();
    let mut account = Account::new(args, &names, out, complaints, &progress);
    let options = match args.options() {
        Ok(options) => options,
        Err(error) => {
            account.fail(&error.to_string());
            return Ok(Outcome::Failed);
        }
    };
    let client = match Client::connect(url).await {
        Ok(client) => client,
        Err(error) => {
            account.fail(&error.to_string());
            return Ok(Outcome::Failed);
        }
    };
    let owned_names = names.iter().map(|name| name.clone().into_owned());
    let flow = Arc::<Flow>::default();
    let (parts, tickets) = upload::begin(Files {
        files: args.files.iter().cloned().zip(owned_names).collect(),
        options,
        read_options: args.read_options(),
        progress: Arc::clone(&progress),
        flow: Arc::clone(&flow),
    });
    let call = client.measure_paths(parts);
    answers::report(account, url, &names, tickets, stream::once(call).try_flatten(), &flow).await
}
