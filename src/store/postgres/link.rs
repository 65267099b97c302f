//! One connection to the database, with transactions that end in time.
//!
//! A transaction is sent as a whole, from `BEGIN` to `COMMIT`, without waiting for answers in between. It consists of
//! unnamed statements and sets its parameters with `SET LOCAL`. So it also works through PgBouncer in the mode
//! `transaction`, where a session keeps neither prepared statements nor parameters.
//!
//! A `WARNING` during a transaction makes its result unknown. PostgreSQL reports with a warning that it did not wait
//! for the synchronous standby. It then reports success.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{join_all, join3};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::Severity;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Connection, Row};

use super::failure::{self, Failure};

/// A statement with its parameters and their types.
pub(super) struct Statement<'a> {
    pub(super) sql: &'a str,
    pub(super) parameters: Vec<(&'a (dyn ToSql + Sync), Type)>,
}

impl<'a> Statement<'a> {
    pub(super) fn new(sql: &'a str, parameters: Vec<(&'a (dyn ToSql + Sync), Type)>) -> Self {
        Self { sql, parameters }
    }
}

/// Writes a record to the WAL. The commit waits, as for any other change, until it is on the disk and on the
/// synchronous standbys. All changes that the transaction has seen are before it in the WAL. So what a transaction with
/// this statement has read is durable.
pub(super) const BARRIER: &str = "SELECT pg_logical_emit_message(true, 'waywiser', '')";

/// The statements before a transaction. The time limits end a transaction whose caller has stopped waiting, or whose
/// server has disappeared. Its locks would delay the other servers until TCP detects that. Whether
/// it may write depends on the settings of the database, with which operators and managed services stop writers.
/// Without scans of the whole table, a damaged page affects only the recordings on it, and a plan does not depend on
/// statistics. A commit waits for the disk although the settings of the database may have changed a moment ago.
const BEGIN: &str = "\
BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '9s'; \
SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL enable_seqscan = off; \
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'";

/// The time limit of a transaction of the queues.
pub(super) const TRANSACTION: Duration = Duration::from_secs(5);

/// The reason if there is no answer before the deadline.
const LATE: &str = "the database did not answer in time";

/// A connection.
pub(super) struct Link {
    client: Client,
    driver: JoinHandle<()>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Number of warnings so far.
    warnings: AtomicU64,
    /// The connection is not used any more.
    is_broken: AtomicBool,
    /// No answer arrived in time.
    is_late: AtomicBool,
    /// The last warning.
    warning: Mutex<String>,
    /// The reason why the connection has ended.
    reason: Mutex<String>,
    /// Is notified when the connection ends.
    ended: Notify,
}

impl State {
    fn warning(&self) -> MutexGuard<'_, String> {
        // No code panics while it holds the lock.
        self.warning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reason(&self) -> MutexGuard<'_, String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// Starts a task that drives the connection.
    pub(super) fn new<S, T>(client: Client, mut connection: Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let state = Arc::new(State::default());
        let driven = Arc::clone(&state);
        let driver = tokio::spawn(async move {
            // The driver sees a warning before the caller sees the end of the transaction, because it passes the
            // messages on in their order.
            while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
                match message {
                    Ok(AsyncMessage::Notice(notice)) => {
                        let is_warning = match notice.parsed_severity() {
                            Some(severity) => severity == Severity::Warning,
                            None => notice.severity() == "WARNING",
                        };
                        if is_warning {
                            tracing::warn!(
                                code = notice.code().code(),
                                "the database warns: {}",
                                notice.message()
                            );
                            *driven.warning() = notice.message().to_owned();
                            driven.warnings.fetch_add(1, SeqCst);
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        *driven.reason() = failure::text(&error);
                        break;
                    }
                }
            }
            drop(connection);
            driven.ended.notify_one();
        });
        Self { client, driver, state }
    }

    /// Returns whether the connection can be used.
    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed() && !self.state.is_broken.load(SeqCst)
    }

    /// Waits until the connection has ended.
    pub(super) async fn closed(&self) {
        while self.is_open() {
            self.state.ended.notified().await;
        }
    }

    /// Returns whether the connection is not used any more because no answer arrived in time.
    pub(super) fn is_late(&self) -> bool {
        self.state.is_late.load(SeqCst)
    }

    /// Returns the reason why the connection has ended.
    pub(super) fn end_reason(&self) -> String {
        let reason = self.state.reason();
        if reason.is_empty() {
            return "the connection to the database was closed".to_owned();
        }
        format!("the connection to the database was closed: {reason}")
    }

    /// Marks the connection as unusable for this reason. The next request opens another one.
    pub(super) fn give_up(&self, reason: &str) {
        let mut first = self.state.reason();
        if first.is_empty() {
            reason.clone_into(&mut first);
        }
        drop(first);
        self.state.is_broken.store(true, SeqCst);
        self.state.ended.notify_one();
    }

    /// Runs statements in one transaction, and returns the rows of each.
    ///
    /// # Errors
    /// If a statement or the commit fails, if there is no answer before `deadline`, or if the server sends a warning.
    pub(super) async fn transaction(
        &self,
        statements: &[Statement<'_>],
        deadline: Instant,
    ) -> Result<Vec<Vec<Row>>, Failure> {
        self.part(BEGIN, statements, "COMMIT", deadline).await
    }

    /// Begins a transaction with statements whose rows decide about the next ones. Continue it with [`Link::finish`],
    /// or end it with [`Link::roll_back`].
    ///
    /// # Errors
    /// Like [`Link::transaction`]. The transaction is rolled back then.
    pub(super) async fn start(
        &self,
        statements: &[Statement<'_>],
        deadline: Instant,
    ) -> Result<Vec<Vec<Row>>, Failure> {
        let result = self.part(BEGIN, statements, "", deadline).await;
        match result {
            Ok(rows) => Ok(rows),
            Err(failure) => {
                self.roll_back(deadline).await;
                // Nothing was committed, whatever the failure is.
                Err(match failure {
                    Failure::Unknown(text) => Failure::NotSent(text),
                    failure => failure,
                })
            }
        }
    }

    /// Runs the last statements of a transaction, and commits it.
    ///
    /// # Errors
    /// Like [`Link::transaction`].
    pub(super) async fn finish(
        &self,
        statements: &[Statement<'_>],
        deadline: Instant,
    ) -> Result<Vec<Vec<Row>>, Failure> {
        self.part("", statements, "COMMIT", deadline).await
    }

    /// Ends a transaction without a change. If that fails, the connection is not used any more.
    pub(super) async fn roll_back(&self, deadline: Instant) {
        let result = timeout_at(deadline, self.client.batch_execute("ROLLBACK")).await;
        if !matches!(result, Ok(Ok(()))) {
            self.give_up("a transaction could not be rolled back");
        }
    }

    /// Sends statements with others before and after them, which may be empty, and waits for all answers.
    async fn part(
        &self,
        begin: &str,
        statements: &[Statement<'_>],
        end: &str,
        deadline: Instant,
    ) -> Result<Vec<Vec<Row>>, Failure> {
        if !self.is_open() {
            return Err(Failure::NotSent(self.end_reason()));
        }
        let warnings = self.state.warnings.load(SeqCst);
        // `join` polls in this order, and the first poll sends the message.
        let begun = self.client.batch_execute(begin);
        let run = join_all(
            statements
                .iter()
                .map(|statement| self.client.query_typed(statement.sql, &statement.parameters)),
        );
        let ended = self.client.batch_execute(end);
        let unanswered = Unanswered(Some(self));
        let answers = timeout_at(deadline, join3(begun, run, ended)).await;
        unanswered.end();
        let Ok((begun, rows, ended)) = answers else {
            self.state.is_late.store(true, SeqCst);
            self.give_up(LATE);
            return Err(Failure::Unknown(LATE.to_owned()));
        };
        let rows: Result<Vec<_>, _> = rows.into_iter().collect();
        let result = match (begun, rows, ended) {
            (Ok(()), Ok(rows), Ok(())) => Ok(rows),
            (Ok(()), Err(error), _) | (Ok(()), Ok(_), Err(error)) => Err(self.failure(&error)),
            (Err(error), Err(_), _) if statements.len() == 1 => Err(self.failure(&error)),
            // After a failed `BEGIN` each statement is a transaction of its own.
            (Err(error), _, _) => Err(match self.failure(&error) {
                Failure::Refused(refusal) => Failure::Unknown(refusal.to_string()),
                failure => failure,
            }),
        };
        match &result {
            Ok(_) if self.state.warnings.load(SeqCst) == warnings => {}
            Ok(_) => {
                let text = format!("the database warns: {}", self.state.warning());
                return Err(Failure::Unknown(text));
            }
            // If the connection has ended, the driver has set the reason.
            Err(Failure::Unknown(_)) if self.client.is_closed() => self.give_up(""),
            Err(Failure::Unknown(text)) => self.give_up(text),
            Err(Failure::Refused(refusal)) if refusal.needs_new_connection() => {
                self.give_up(&refusal.to_string());
            }
            Err(_) => {}
        }
        result
    }

    /// Converts an error. If the connection has ended, the driver knows why.
    fn failure(&self, error: &tokio_postgres::Error) -> Failure {
        match error.is_closed() {
            true => Failure::Unknown(self.end_reason()),
            false => Failure::of(error),
        }
    }

    /// Returns the client, for transactions with a dialogue.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }
}

/// Statements without an answer. If their caller does not wait any more, the connection is given up: its driver would
/// wait for the answer, maybe for ever.
struct Unanswered<'a>(Option<&'a Link>);

impl Unanswered<'_> {
    fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.0 {
            link.give_up("a transaction was cancelled");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Otherwise the driver sends Terminate and ends. Here it would wait for an answer that does not arrive.
        if self.state.is_broken.load(SeqCst) {
            self.driver.abort();
        }
    }
}
