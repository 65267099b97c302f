//! The metrics of a database that stores recordings.

use crate::metrics::Samples;
use crate::store::{PostgresStats, PostgresStatus};

/// Adds the metrics of a database.
pub(super) fn add(stats: &PostgresStats, status: &PostgresStatus, samples: &mut Samples<'_>) {
    let help = "1 while the database is connected and usable, otherwise 0";
    samples.gauge("waywiser_database_connected", help, |family| {
        family.add(&[], status.connected);
    });
    let help = "Connections to the database that were opened";
    samples.counter("waywiser_database_connections", help, |family| {
        family.add(&[], stats.connections);
    });
    let help = "Attempts to connect to the database that failed";
    samples.counter("waywiser_database_connection_failures", help, |family| {
        family.add(&[], stats.failures);
    });
    let help = "Statements that carried out the requests of several recordings together";
    samples.counter("waywiser_database_batches", help, |family| {
        family.add(&[], stats.batches);
    });
    let help = "Requests in these statements";
    samples.counter("waywiser_database_batch_requests", help, |family| {
        family.add(&[], stats.batched_requests);
    });
    let help =
        "Write requests whose result was not known, because the connection or a standby was lost";
    samples.counter("waywiser_database_unknown_outcomes", help, |family| {
        family.add(&[], stats.unknown_outcomes);
    });
    let help = "Reads that found out the result of such a request";
    samples.counter("waywiser_database_proofs", help, |family| {
        family.add(&[], stats.proofs);
    });
    let help = "Clock of the database minus clock of the server at the last connection, in seconds";
    samples.gauge("waywiser_database_clock_skew_seconds", help, |family| {
        // 0 before the first connection.
        family.add(&[], status.clock_skew_ms as f64 / 1e3);
    });
}
