//! Openings of recordings that another transaction holds: the others of their batch do not wait.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use waywiser::recording::{CheckpointStore, OpenRequest, StoreError};

use crate::cluster::DATABASE;
use crate::fixtures::{cluster_and_store, retried};
use crate::walk::{name, opening, recorded};

/// The number of a recording that another session holds.
const HELD: u64 = 1_000;

/// How the other session holds the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Locked,
    Created,
    Changed,
    Deleted,
}

impl Hold {
    fn statement(self) -> String {
        let row = format!("id = 'walk-{HELD}'");
        match self {
            Self::Locked => format!("SELECT FROM waywiser_recording WHERE {row} FOR UPDATE"),
            Self::Changed => format!("UPDATE waywiser_recording SET length_m = 1 WHERE {row}"),
            Self::Deleted => format!("DELETE FROM waywiser_recording WHERE {row}"),
            Self::Created => format!(
                "INSERT INTO waywiser_recording
                   (namespace, id, epoch, points, complete, create_ms, update_ms, expire_ms, model, options, state)
                 SELECT namespace, 'walk-{HELD}', epoch, points, complete, create_ms, update_ms, expire_ms, model,
                   options, state
                 FROM waywiser_recording WHERE id = 'walk-1'"
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_held_delays_no_opening_of_others() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    recorded(&*store, 1, 10).await;
    let mut next = 2;
    for hold in [Hold::Created, Hold::Locked, Hold::Changed, Hold::Deleted] {
        // With a maximum in the namespace, the recordings are counted before they are created.
        for max_in_namespace in [None, Some(500)] {
            println!("{hold:?}, at most {max_in_namespace:?}");
            let request = OpenRequest { max_in_namespace, ..opening() };
            store.delete(name(HELD)).await.unwrap();
            if hold != Hold::Created {
                recorded(&*store, HELD, 10).await;
            }
            let session = cluster.session(DATABASE).await;
            session.batch_execute("BEGIN").await.unwrap();
            session.batch_execute(&hold.statement()).await.unwrap();
            let mut held = None;
            let mut openings = FuturesUnordered::new();
            // The second round has the held recording among its repeated requests.
            for _ in 0..2 {
                let others: Vec<u64> = (next..next + 20).collect();
                next += 20;
                for (position, &recording) in others.iter().enumerate() {
                    if position == 10 && held.is_none() {
                        openings.push(open(&*store, HELD, request.clone()));
                        held = Some(Err(StoreError::NotFound));
                    }
                    openings.push(open(&*store, recording, request.clone()));
                }
                let mut opened = Vec::new();
                while opened.len() < others.len() {
                    let (recording, outcome) = openings.next().await.unwrap();
                    match recording {
                        HELD => held = Some(outcome),
                        _ => opened.push((recording, outcome.map(drop))),
                    }
                }
                opened.sort_by_key(|&(recording, _)| recording);
                let expected: Vec<_> =
                    others.iter().map(|&recording| (recording, Ok(()))).collect();
                assert_eq!(opened, expected, "{hold:?}");
            }
            assert!(
                held.is_some_and(|held| held.is_err()),
                "{hold:?}: it was opened while it was held"
            );
            session.batch_execute("ROLLBACK").await.unwrap();
            drop(openings);
            let opened = retried(async || store.open(name(HELD), opening()).await).await;
            let points = if hold == Hold::Created { 0 } else { 10 };
            assert_eq!(opened.committed_points(), points, "{hold:?}");
        }
    }
}

async fn open(
    store: &dyn CheckpointStore,
    recording: u64,
    request: OpenRequest,
) -> (u64, Result<waywiser::recording::Checkpoint, StoreError>) {
    (recording, store.open(name(recording), request).await)
}

/// More recordings than a batch waits for. Each opening of another one succeeds in the end, because the store continues
/// where it stopped.
#[tokio::test(flavor = "multi_thread")]
async fn many_recordings_that_are_held_prevent_no_opening_of_others() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    recorded(&*store, 1, 10).await;
    let session = cluster.session(DATABASE).await;
    session.batch_execute("BEGIN").await.unwrap();
    for recording in 0..24 {
        let create = Hold::Created.statement();
        let create = create.replace(&format!("walk-{HELD}"), &format!("walk-{}", HELD + recording));
        session.batch_execute(&create).await.unwrap();
    }
    let mut openings = FuturesUnordered::new();
    for recording in 0..24 {
        openings.push(open(&*store, HELD + recording, opening()));
        openings.push(open(&*store, 2 + recording, opening()));
    }
    // The clients repeat what is refused, so the store never has fewer of the held recordings.
    let mut opened = 0;
    while opened < 24 {
        let (recording, outcome) = openings.next().await.unwrap();
        match outcome {
            Ok(checkpoint) => {
                assert!(recording < HELD && checkpoint.committed_points() == 0, "{recording}");
                opened += 1;
            }
            // On a slow machine, the answer may be late. The recording may have been created then.
            Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => {
                openings.push(open(&*store, recording, opening()));
            }
            Err(error) => panic!("{recording}: {error:?}"),
        }
    }
}
