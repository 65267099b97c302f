//! `waywiser bench`: runs the load generator (`crate::load`) and measures its cost and that of the server.
//!
//! `args` and `call` have the arguments. `rounds` sends at full speed, `live` point by point and `paced` at a fixed rate;
//! `meter` measures CPU time for all of them, and `report` has the output. All sending happens on threads of one name,
//! which separates its CPU time from that of a server in the same process.

mod args;
mod call;
mod live;
mod meter;
mod paced;
mod report;
mod rounds;

use std::io::{self, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::runtime::Builder;

use super::report::pluralize;
use super::{Outcome, fail, terminal, usage_error};
use crate::load::target::CLIENT_THREADS;
pub(super) use args::BenchArgs;

/// Runs the load and prints the report.
///
/// # Errors
/// If standard output cannot be written.
pub(super) fn run(args: &BenchArgs) -> io::Result<Outcome> {
    if let Some(contradiction) = args.contradiction() {
        return usage_error(format_args!("{contradiction}"));
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(args.load.threads)
        .thread_name(CLIENT_THREADS)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("cannot start threads: {error}")),
    };
    let mut out = io::stdout();
    if let Some(stream_count) = args.live.live {
        let report = match live::run(args, stream_count, &runtime) {
            Ok(report) => report,
            Err(error) => return fail(format_args!("{error}")),
        };
        match args.json {
            true => report.json(&mut out)?,
            false => report.text(&mut out)?,
        }
        out.flush()?;
        return match report.failed_streams {
            0 => Ok(Outcome::Done),
            failed => fail(format_args!("{} failed", pluralize(failed, "stream"))),
        };
    }
    if let Some(pace) = args.pace() {
        let report = match paced::run(args, pace, &runtime) {
            Ok(report) => report,
            Err(error) => return fail(format_args!("{error}")),
        };
        match args.json {
            true => report.json(&mut out)?,
            false => report.text(&mut out)?,
        }
        out.flush()?;
        return match report.failed_calls {
            0 => Ok(Outcome::Done),
            failed => fail(format_args!("{} failed", pluralize(failed, "call"))),
        };
    }
    let report = match rounds::run(args, &runtime) {
        Ok(report) => report,
        Err(error) => return fail(format_args!("{error}")),
    };
    match args.json {
        true => report.json(&mut out)?,
        false => report.text(&mut out)?,
    }
    out.flush()?;
    Ok(Outcome::Done)
}

/// Returns a progress bar on standard error, hidden if that is not a terminal.
fn progress(len: usize, template: &str) -> ProgressBar {
    let target = match terminal::can_update(&io::stderr()) {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(Some(len as u64), target);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
