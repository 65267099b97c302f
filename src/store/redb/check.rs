//! The check of the whole database when a store is opened, whether the store was closed properly or not.
//!
//! redb verifies the checksum of every page that is in use and rebuilds its list of free pages. A pass over the
//! records then verifies each record with its name, and compares their number with the length of the table. It also
//! counts the recordings of each namespace, because a program before namespaces may have changed the file. The
//! number of the last transaction shows whether the file is an older copy. The maximum number of recordings bounds the
//! size of the file, and so the work. Long checks log their progress.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableError,
};

use super::backend::Counters;
use super::error::{StoreOpenError, refusal};
use super::tables::{self, COUNTS, FORMAT, FORMAT_KEY, NUMBERS, RECORDINGS};
use super::writer::{OpenMode, Opener};
use crate::store::StoreCheck;
use crate::store::codec::Record;
use crate::store::key;

/// The time between two log lines of a check.
const PROGRESS: Duration = Duration::from_secs(5);
/// Maximum number of damaged records that are named in the log.
const NAMED_MAX: usize = 10;

/// The result of a check.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) content: StoreCheck,
    pub(super) database: Database,
    /// The number of the last transaction.
    pub(super) last_transaction: u64,
}

/// The content of the file.
struct Content {
    format: u64,
    last_transaction: u64,
    recordings: u64,
    damaged: Vec<String>,
    /// The number of recordings of each namespace.
    counts: BTreeMap<String, u64>,
}

/// Opens a database for the first time and checks it. Its last transaction must have at least the number `noted`.
///
/// # Errors
/// If it cannot be opened, is damaged, has a newer format, or is an older copy.
pub(super) fn open(
    path: &Path,
    opener: &Opener,
    counters: &Arc<Counters>,
    noted: Option<u64>,
) -> Result<Checked, StoreOpenError> {
    let start = Instant::now();
    let opened = with_progress(path, counters, || {
        // redb may panic on a damaged file.
        catch_unwind(AssertUnwindSafe(|| {
            let database = opener(OpenMode::Check)?;
            let content = content(&database)?;
            if content.format == FORMAT {
                complete(&database, &content.counts)?;
            }
            Ok::<_, redb::Error>((database, content))
        }))
    });
    let panicked = |_| Err(redb::Error::Corrupted("the database library panics on it".into()));
    let (database, content) =
        opened.unwrap_or_else(panicked).map_err(|error| refusal(path, error))?;
    let damaged = |reason: String| StoreOpenError::Damaged { file: path.to_owned(), reason };
    match content.format {
        FORMAT => {}
        0 => return Err(damaged("it has no format".into())),
        found => {
            let file = path.to_owned();
            return Err(StoreOpenError::Newer { file, found, known: FORMAT });
        }
    }
    if let Some(noted) = noted.filter(|&noted| noted > content.last_transaction) {
        let (file, found) = (path.to_owned(), content.last_transaction);
        return Err(StoreOpenError::Older { file, found, noted });
    }
    if !content.damaged.is_empty() {
        let names = content.damaged[..content.damaged.len().min(NAMED_MAX)].join(", ");
        tracing::error!(
            recordings = content.damaged.len(),
            names,
            "some recordings are damaged: delete them and record them again"
        );
    }
    tracing::info!(
        recordings = content.recordings,
        damaged = content.damaged.len(),
        bytes_read = counters.bytes_read.load(Relaxed),
        duration_ms = start.elapsed().as_millis() as u64,
        "the database file was checked"
    );
    counters.recordings.store(content.recordings, Relaxed);
    let Content { last_transaction, recordings, damaged, .. } = content;
    Ok(Checked { content: StoreCheck { recordings, damaged }, database, last_transaction })
}

/// Records the list of free pages that the check has rebuilt. Without it, redb would read the whole file whenever
/// the file is opened again after a failure. Also stores the numbers of recordings if they differ from those in the file.
fn complete(database: &Database, counts: &BTreeMap<String, u64>) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    transaction.open_table(NUMBERS)?.insert(FORMAT_KEY, FORMAT)?;
    {
        let mut stored = transaction.open_table(COUNTS)?;
        let mut is_same = stored.len()? == counts.len() as u64;
        for (namespace, &count) in counts {
            is_same &= stored.get(namespace.as_str())?.is_some_and(|found| found.value() == count);
        }
        if !is_same {
            stored.retain(|_, _| false)?;
            for (namespace, count) in counts {
                stored.insert(namespace.as_str(), count)?;
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Reads and verifies all records.
fn content(database: &Database) -> Result<Content, redb::Error> {
    let transaction = database.begin_read()?;
    let format = match transaction.open_table(NUMBERS) {
        Ok(numbers) => numbers.get(FORMAT_KEY)?.map_or(0, |format| format.value()),
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => 0,
    };
    let mut content = Content {
        format,
        last_transaction: 0,
        recordings: 0,
        damaged: Vec::new(),
        counts: BTreeMap::new(),
    };
    if format != FORMAT {
        return Ok(content);
    }
    content.last_transaction = tables::last_transaction(&transaction)?;
    let recordings = transaction.open_table(RECORDINGS)?;
    let mut last = None::<String>;
    for entry in recordings.iter()? {
        let (key, bytes) = entry?;
        content.recordings += 1;
        if last.as_deref().is_some_and(|last| last >= key.value()) {
            return Err(redb::Error::Corrupted("its names are not in order".into()));
        }
        last = Some(key.value().to_owned());
        let Some(name) = key::name(key.value()) else {
            content.damaged.push(format!("{:?}", key.value()));
            continue;
        };
        match content.counts.get_mut(tables::count_key(&name)) {
            Some(count) => *count += 1,
            None => drop(content.counts.insert(tables::count_key(&name).to_owned(), 1)),
        }
        if Record::read(&name, bytes.value()).is_err() {
            content.damaged.push(name.to_string());
        }
    }
    let expected = recordings.len()?;
    if content.recordings != expected {
        let found = content.recordings;
        let text = format!("it should hold {expected} recordings, and {found} are found");
        return Err(redb::Error::Corrupted(text));
    }
    Ok(content)
}

/// Logs the progress of the work every few seconds.
fn with_progress<T>(path: &Path, counters: &Counters, work: impl FnOnce() -> T) -> T {
    let file_bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let start = Instant::now();
    let (done, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while waiting.recv_timeout(PROGRESS) == Err(RecvTimeoutError::Timeout) {
                tracing::info!(
                    file = %path.display(),
                    file_bytes,
                    bytes_read = counters.bytes_read.load(Relaxed),
                    duration_ms = start.elapsed().as_millis() as u64,
                    "checking the database file; it is read about three times"
                );
            }
        });
        let outcome = work();
        drop(done);
        outcome
    })
}
