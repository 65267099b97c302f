//! Measures in this process: threads measure the inputs, and this thread reports the results in the order of the
//! inputs.
//!
//! The threads take the inputs in their order, and each input has a bounded channel for its results. So the input that
//! is reported next is always being measured, its results are reported while it is read, and the others wait when
//! their channels are full.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::MeasureArgs;
use super::file_result::FileResult;
use super::measure_run::MeasureRun;
use super::plot_file::PlotFile;
use super::report_file::ReportFile;
use super::worker;
use crate::cli::Outcome;
use crate::cli::input::{FileEnd, Input, Reading, Stdin};
use crate::cli::policy::FilledOptions;
use crate::cli::progress::Progress;
use crate::formats::ReadOptions;
use crate::measure::Options;

/// Maximum number of results of one input that wait.
const RESULTS_MAX: usize = 64;
/// Maximum number of inputs per thread that are started or wait to be started.
const INPUTS_AHEAD: usize = 32;

/// The outputs of a run: the report, the messages, the picture and the page.
pub(super) type Outputs<'a, W> = (W, &'a mut dyn Write, Option<PlotFile>, Option<ReportFile>);

/// An input to measure, and the receiver of its results.
struct Job {
    input: Input,
    results: SyncSender<FileResult>,
}

/// What every thread needs.
struct Shared {
    read_options: ReadOptions,
    options: Options,
    has_lines: bool,
    stdin: Stdin,
    progress: Arc<Progress>,
    jobs: Mutex<Receiver<Job>>,
}

/// Measures the inputs.
///
/// # Errors
/// If the report cannot be written.
pub(super) fn measure(
    args: &MeasureArgs,
    options: FilledOptions,
    inputs: &[Input],
    stdin: Stdin,
    (out, messages, plot, page): Outputs<'_, impl Write>,
    progress: Arc<Progress>,
) -> io::Result<Outcome> {
    let shown = Arc::clone(&progress);
    let mut run = MeasureRun::new(args, inputs, options, out, messages, &shown);
    let has_lines = plot.is_some() || page.is_some();
    run.set_files(plot, page);
    // Lines take more memory than other results.
    let inputs_ahead = if has_lines { 1 } else { INPUTS_AHEAD };
    let options = options.all;
    let (sender, jobs) = mpsc::channel();
    let read_options = args.read_options();
    let jobs = Mutex::new(jobs);
    let shared = Shared { read_options, options, has_lines, stdin, progress, jobs };
    let thread_count = match start_threads(thread_count(args, inputs), shared) {
        Ok(thread_count) => thread_count,
        Err(error) => {
            run.error(&format!("the threads cannot be started: {error}"));
            return Ok(Outcome::Failed);
        }
    };
    let mut waiting = inputs.iter();
    let mut started = VecDeque::new();
    loop {
        while started.len() < thread_count.saturating_mul(inputs_ahead)
            && let Some(input) = waiting.next()
        {
            let (results, received) = mpsc::sync_channel(RESULTS_MAX);
            // Without a receiver, the result of the input is missing, which is reported below.
            let _ = sender.send(Job { input: input.clone(), results });
            started.push_back((input, received));
        }
        let Some((input, results)) = started.pop_front() else { break };
        // A return drops the receivers, which stops the threads. It does not wait for a thread that reads standard
        // input.
        if let Err(error) = report(&mut run, input, results) {
            return run.abort(error);
        }
    }
    run.finish()
}

/// Returns the number of threads: at most one for each input.
fn thread_count(args: &MeasureArgs, inputs: &[Input]) -> usize {
    let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    args.jobs.unwrap_or_else(cores).clamp(1, inputs.len().max(1))
}

/// Starts threads that measure inputs until the sender of the jobs is dropped. Returns the number of threads that could
/// be started.
///
/// # Errors
/// If no thread could be started.
fn start_threads(count: usize, shared: Shared) -> io::Result<usize> {
    let shared = Arc::new(shared);
    for started in 0..count {
        let shared = Arc::clone(&shared);
        match thread::Builder::new().name("measure".to_owned()).spawn(move || work(&shared)) {
            Ok(_) => {}
            Err(error) if started == 0 => return Err(error),
            Err(_) => return Ok(started),
        }
    }
    Ok(count)
}

fn work(shared: &Shared) {
    let reading = Reading {
        options: &shared.read_options,
        stdin: &shared.stdin,
        progress: &shared.progress,
        before_read: &|| Ok(()),
    };
    loop {
        let job = shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { input, results }) = job else { return };
        worker::measure(&input, &reading, shared.options, shared.has_lines, results);
        shared.progress.file_done();
    }
}

/// Reports the results of an input.
fn report<W: Write>(
    run: &mut MeasureRun<'_, W>,
    input: &Input,
    results: Receiver<FileResult>,
) -> io::Result<()> {
    let mut is_open = true;
    for result in results {
        match &result {
            FileResult::Start(_) => is_open = true,
            FileResult::End(_) => is_open = false,
            FileResult::Track(_) | FileResult::Line(_) | FileResult::Note(_) => {}
        }
        run.add(result)?;
    }
    if is_open {
        let name = input.name();
        run.start_file(name);
        run.end_file(FileEnd::Failed(format!("{name}: reading stopped unexpectedly")));
    }
    Ok(())
}
