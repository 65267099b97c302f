//! Damaged rows and pages: the recordings on them are lost, and no others are affected.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use futures::StreamExt as _;
use waywiser::recording::{
    CheckpointStore, ExportQuery, ListQuery, OpenRequest, RecordingName, Removed, StoreError,
    StoreEvent, Sweep, WatchedRecording, WatchedRecordings,
};
use waywiser::store::PostgresStore;

use crate::cluster::{Cluster, DATABASE};
use crate::fixtures::{cluster_and_store, connected};
use crate::walk::{EXPIRES, assert_folded, commit, name, opening, recorded};

fn is_damaged<T>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Damaged(_)))
}

/// Checks that exactly these recordings of 1 to `count` are damaged, in every method, while requests are concurrent.
async fn assert_only_damaged(store: &Arc<PostgresStore>, damaged: &[u64], count: u64, points: u64) {
    assert_only_failing(store, damaged, count, points, |error| {
        matches!(error, StoreError::Damaged(_))
    })
    .await;
}

/// Checks that requests about exactly these recordings fail with this class of errors.
async fn assert_only_failing(
    store: &Arc<PostgresStore>,
    damaged: &[u64],
    count: u64,
    points: u64,
    is_of_class: fn(&StoreError) -> bool,
) {
    fn is_err<T>(outcome: &Result<T, StoreError>, is_of_class: fn(&StoreError) -> bool) -> bool {
        outcome.as_ref().is_err_and(is_of_class)
    }
    let expected = |recording: u64| damaged.contains(&recording);
    // Requests at the same time may share a statement.
    let loads = (1..=count).map(|recording| store.load(name(recording)));
    for (recording, loaded) in (1..).zip(at_once(loads).await) {
        assert_eq!(
            is_err(&loaded, is_of_class),
            expected(recording),
            "load {recording}: {loaded:?}"
        );
        if let Ok(loaded) = loaded {
            assert_folded(recording, &loaded.unwrap());
        }
    }
    let opens = (1..=count).map(|recording| store.open(name(recording), opening()));
    let mut held = Vec::new();
    for (recording, opened) in (1..).zip(at_once(opens).await) {
        assert_eq!(
            is_err(&opened, is_of_class),
            expected(recording),
            "open {recording}: {opened:?}"
        );
        held.extend(opened.ok().map(|opened| (recording, opened)));
    }
    let commits = held.iter().map(|(recording, held)| commit(&**store, *recording, held, points));
    for outcome in at_once(commits).await {
        outcome.unwrap();
    }
    let mut names: Vec<_> =
        (1..=count).map(|recording| (name(recording), expected(recording))).collect();
    names.sort();
    let page = store.list(ListQuery::all(), 100).await.unwrap();
    let listed: Vec<_> =
        page.iter().map(|(name, stored)| (name.clone(), is_err(stored, is_of_class))).collect();
    assert_eq!(listed, names, "list");
    let query = ExportQuery { after: None, now_unix_ms: 2_000, bytes_max: 1 << 30 };
    let exported = store.export(query).await.unwrap();
    let records: Vec<_> = exported
        .records
        .iter()
        .map(|(name, bytes)| (name.clone(), is_err(bytes, is_of_class)))
        .collect();
    assert_eq!(records, names, "export");
    let checked = store.check().await.unwrap();
    assert_eq!(checked.recordings, count, "check");
    let mut lost: Vec<_> = damaged.iter().map(|&recording| name(recording).to_string()).collect();
    lost.sort();
    assert_eq!(checked.damaged, lost, "check");
    let swept = store.sweep(Sweep::expired(2_000), None).await.unwrap();
    assert_eq!(swept.removed, [], "sweep");
}

/// Executes requests at the same time.
async fn at_once<T: Send>(requests: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures::future::join_all(requests).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_row_affects_no_other_recording() {
    for (number, change) in [
        "state = '\\x00'",
        "state = ''",
        "state = decode(repeat('a5', 900), 'hex')",
        // One changed bit in the middle.
        "state = set_bit(state, 8 * (length(state) / 2), 1 - get_bit(state, 8 * (length(state) / 2)))",
        "state = set_byte(state, 0, 77)",
        "state = state || '\\x00'",
        "points = points + 1",
        "points = -1",
    ]
    .into_iter()
    .enumerate()
    {
        let Some((cluster, store)) = cluster_and_store().await else { return };
        for recording in 1..=5 {
            recorded(&*store, recording, 20 + recording).await;
        }
        cluster.sql(DATABASE, &format!("UPDATE waywiser_recording SET {change} WHERE id = 'walk-3'")).await;
        println!("{number}: {change}");
        assert_only_damaged(&store, &[3], 5, 2).await;
        // It can be deleted and written again.
        assert!(store.delete(name(3)).await.unwrap().is_some(), "{change}");
        assert_eq!(store.load(name(3)).await, Ok(None));
        recorded(&*store, 3, 7).await;
        assert_only_damaged(&store, &[], 5, 2).await;
    }
}

/// The state has the options, too. So only an opening that compares them finds the damage, and the check.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_options_are_found_by_an_opening_and_by_the_check() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    for recording in 1..=3 {
        recorded(&*store, recording, 20).await;
    }
    for options in ["set_byte(options, 0, 77)", "'\\xffff'", "''"] {
        let change =
            format!("UPDATE waywiser_recording SET options = {options} WHERE id = 'walk-2'");
        cluster.sql(DATABASE, &change).await;
        let opens = at_once((1..=3).map(|recording| store.open(name(recording), opening()))).await;
        assert!(opens[0].is_ok() && opens[2].is_ok(), "{options}: {opens:?}");
        assert!(is_damaged(&opens[1]), "{options}: {:?}", opens[1]);
        assert_eq!(store.check().await.unwrap().damaged, [name(2).to_string()], "{options}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_replaces_a_negative_epoch() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let held = recorded(&*store, 1, 20).await;
    cluster.sql(DATABASE, "UPDATE waywiser_recording SET epoch = -5").await;
    assert!(is_damaged(&store.load(name(1)).await));
    assert!(matches!(commit(&*store, 1, &held, 1).await, Err(StoreError::Fenced { .. })));
    let opened = store.open(name(1), opening()).await.unwrap();
    assert!(opened.epoch > held.epoch);
    assert_eq!(opened.accumulator, held.accumulator);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_row_of_another_recording_is_damage() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    for recording in 1..=3 {
        recorded(&*store, recording, 20).await;
    }
    // The state of recording 1 in the row of recording 2, with the same number of points.
    let swap = "UPDATE waywiser_recording SET state = (SELECT state FROM waywiser_recording WHERE id = 'walk-1') WHERE id = 'walk-2'";
    cluster.sql(DATABASE, swap).await;
    assert_only_damaged(&store, &[2], 3, 2).await;
}

/// Overwrites a part of a page of the table in its file.
async fn damage_page(cluster: &mut Cluster, page: u64) {
    let file = cluster.value("SELECT pg_relation_filepath('waywiser_recording')").await;
    cluster.sql(DATABASE, "CHECKPOINT").await;
    cluster.stop().await;
    let file = cluster.data().join(file);
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&[0xa5; 64], page * 8192 + 8000).unwrap();
    drop(file);
    cluster.launch().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_affects_no_recording_of_other_pages() {
    let Some((mut cluster, store)) = cluster_and_store().await else { return };
    const COUNT: u64 = 40;
    // Few rows in a page, so that the new versions of a row stay in its page, and none is placed in the damaged one.
    cluster.sql(DATABASE, "ALTER TABLE waywiser_recording SET (fillfactor = 20)").await;
    for recording in 1..=COUNT {
        recorded(&*store, recording, 30).await;
    }
    drop(store);
    let pages = "SELECT substr(id, 6), (ctid::text::point)[0]::int FROM waywiser_recording";
    let pages = cluster.sql(DATABASE, pages).await;
    let page = pages.iter().find(|row| row[0] == "20").unwrap()[1].clone();
    damage_page(&mut cluster, page.parse().unwrap()).await;
    let on_page = pages.iter().filter(|row| row[1] == page);
    let damaged: Vec<u64> = on_page.map(|row| row[0].parse().unwrap()).collect();
    assert!(!damaged.is_empty() && damaged.len() < COUNT as usize, "{pages:?}");
    let store = connected(&cluster.url()).await;
    assert_only_damaged(&store, &damaged, COUNT, 2).await;
    assert!(cluster.log().contains("invalid page"), "{}", cluster.log());
}

/// Makes PostgreSQL fail with this error whenever it reads the row of recording 3.
async fn fail_reads(cluster: &Cluster, code: &str) {
    let fail = format!(
        "CREATE OR REPLACE FUNCTION readable(id text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
           IF id = 'walk-3' THEN RAISE EXCEPTION 'could not read block 3' USING ERRCODE = '{code}'; END IF;
           RETURN true;
         END $$;
         ALTER TABLE waywiser_recording ENABLE ROW LEVEL SECURITY;
         ALTER TABLE waywiser_recording FORCE ROW LEVEL SECURITY;
         DROP POLICY IF EXISTS readable ON waywiser_recording;
         CREATE POLICY readable ON waywiser_recording USING (readable(id))"
    );
    cluster.sql(DATABASE, &fail).await;
}

/// Makes PostgreSQL fail with this error whenever one of these statements writes the row of recording 3.
async fn fail_writes(cluster: &Cluster, code: &str, statements: &str) {
    let fail = format!(
        "CREATE OR REPLACE FUNCTION writable() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF coalesce(NEW.id, OLD.id) = 'walk-3' THEN
             RAISE EXCEPTION 'could not write block 3' USING ERRCODE = '{code}';
           END IF;
           RETURN coalesce(NEW, OLD);
         END $$;
         CREATE OR REPLACE TRIGGER writable BEFORE {statements} ON waywiser_recording
           FOR EACH ROW EXECUTE FUNCTION writable()"
    );
    cluster.sql(DATABASE, &fail).await;
}

type IsOfClass = fn(&StoreError) -> bool;

/// The errors of single rows and pages, with the class of each.
const ERRORS_OF_ROWS: [(&str, IsOfClass); 5] = [
    ("58030", |error| matches!(error, StoreError::Unavailable(_))),
    ("58P01", |error| matches!(error, StoreError::Unavailable(_))),
    ("XX000", |error| matches!(error, StoreError::Unavailable(_))),
    ("XX001", |error| matches!(error, StoreError::Damaged(_))),
    ("XX002", |error| matches!(error, StoreError::Damaged(_))),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_disk_affects_the_recording_that_is_read_only() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    for recording in 1..=5 {
        recorded(&*store, recording, 20 + recording).await;
    }
    for (code, is_of_class) in ERRORS_OF_ROWS {
        println!("{code}");
        fail_reads(&cluster, code).await;
        assert_only_failing(&store, &[3], 5, 2, is_of_class).await;
        let opened = store.open(name(100), opening()).await;
        assert!(opened.is_ok(), "{code}: {opened:?}");
        store.delete(name(100)).await.unwrap();
        let watched: Vec<_> = (1..=5)
            .map(|recording| WatchedRecording { name: name(recording), known: None })
            .collect();
        let mut events = store.changes(WatchedRecordings::new(move || watched.clone()));
        let mut changed = BTreeSet::new();
        while changed.len() < 4 {
            if let StoreEvent::Stored { name, .. } = events.next().await.unwrap() {
                assert_ne!(name, crate::walk::name(3), "{code}");
                changed.insert(name);
            }
        }
    }
    // The recording that cannot be read stays, and the others expire.
    cluster.sql(DATABASE, "UPDATE waywiser_recording SET expire_ms = 5000").await;
    let swept = store.sweep(Sweep::expired(EXPIRES - 1), None).await.unwrap();
    assert_eq!(swept.removed.len(), 4, "{swept:?}");
    assert_eq!(cluster.value("SELECT string_agg(id, ' ') FROM waywiser_recording").await, "walk-3");
}

/// A namespace whose recordings cannot be counted gets no new ones if it has a maximum. All others do.
#[tokio::test(flavor = "multi_thread")]
async fn the_maximum_of_a_namespace_is_enforced_if_its_recordings_cannot_be_counted() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let within = |namespace: &str, id: &str| -> RecordingName {
        format!("namespaces/{namespace}/paths/{id}").parse().unwrap()
    };
    let limited = || OpenRequest { max_in_namespace: Some(10), ..opening() };
    for id in ["walk-1", "walk-3"] {
        store.open(within("van", id), limited()).await.unwrap();
    }
    for (code, _) in ERRORS_OF_ROWS {
        println!("{code}");
        fail_reads(&cluster, code).await;
        // Alone, and in a batch.
        let alone = store.open(within("van", "new"), limited()).await;
        assert!(matches!(alone, Err(StoreError::Unavailable(_))), "{code}: {alone:?}");
        let names = [within("van", "new"), within("bus", "new"), within("car", "new"), name(100)];
        let opens = names.iter().map(|name| store.open(name.clone(), limited()));
        let outcomes = at_once(opens).await;
        let are_open: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(are_open, [false, true, true, true], "{code}: {outcomes:?}");
        assert!(matches!(outcomes[0], Err(StoreError::Unavailable(_))), "{code}: {outcomes:?}");
        // It has no maximum for this caller.
        let unlimited = store.open(within("van", "unlimited"), opening()).await;
        assert!(unlimited.is_ok(), "{code}: {unlimited:?}");
        cluster.sql(DATABASE, "DROP POLICY readable ON waywiser_recording").await;
        cluster.sql(DATABASE, "ALTER TABLE waywiser_recording DISABLE ROW LEVEL SECURITY").await;
        for name in names.into_iter().skip(1).chain([within("van", "unlimited")]) {
            store.delete(name).await.unwrap();
        }
        assert!(store.open(within("van", "new"), limited()).await.is_ok(), "{code}");
        store.delete(within("van", "new")).await.unwrap();
    }
}

/// An error that is not of one recording ends a sweep. It returns what was removed before, so that the server reports
/// these removals, and the next sweep removes the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_fails_after_a_part_returns_this_part() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    for recording in 1..=5 {
        recorded(&*store, recording, 5).await;
    }
    cluster.sql(DATABASE, "UPDATE waywiser_recording SET expire_ms = 5000").await;
    // The damaged recording 3 splits the batch, and the disk is full for the last part.
    let fail = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF OLD.id = 'walk-3' THEN RAISE EXCEPTION 'page' USING ERRCODE = 'XX001'; END IF;
           IF OLD.id = 'walk-5' THEN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END IF;
           RETURN OLD;
         END $$;
         CREATE TRIGGER fail BEFORE DELETE ON waywiser_recording FOR EACH ROW EXECUTE FUNCTION fail()";
    cluster.sql(DATABASE, fail).await;
    let swept = store.sweep(Sweep::expired(EXPIRES - 1), None).await.unwrap();
    let names = |removed: &[Removed]| -> Vec<RecordingName> {
        removed.iter().map(|removed| removed.name.clone()).collect()
    };
    let removed = names(&swept.removed);
    let left = "SELECT string_agg(id, ' ' ORDER BY id) FROM waywiser_recording";
    assert_eq!(removed, [name(1), name(2)]);
    assert_eq!(cluster.value(left).await, "walk-3 walk-4 walk-5");
    cluster.sql(DATABASE, "DROP TRIGGER fail ON waywiser_recording").await;
    let swept = store.sweep(Sweep::expired(EXPIRES - 1), None).await.unwrap();
    assert_eq!(names(&swept.removed), [name(3), name(4), name(5)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_disk_affects_the_recording_that_is_written_only() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    for (code, is_of_class) in ERRORS_OF_ROWS {
        println!("{code}");
        let failing = |outcomes: Vec<Result<(), StoreError>>| {
            for (recording, outcome) in (1..).zip(outcomes) {
                let is_expected = match &outcome {
                    Ok(()) => recording != 3,
                    Err(error) => recording == 3 && is_of_class(error),
                };
                assert!(is_expected, "{code}, {recording}: {outcome:?}");
            }
        };
        fail_writes(&cluster, code, "INSERT").await;
        let opens = at_once((1..=5).map(|recording| store.open(name(recording), opening()))).await;
        failing(opens.into_iter().map(|opened| opened.map(drop)).collect());
        cluster.sql(DATABASE, "DROP TRIGGER writable ON waywiser_recording").await;
        let mut held = Vec::new();
        for recording in 1..=5 {
            held.push(store.open(name(recording), opening()).await.unwrap());
        }
        fail_writes(&cluster, code, "UPDATE").await;
        let commits = (1..).zip(&held).map(|(recording, held)| commit(&*store, recording, held, 5));
        failing(at_once(commits).await.into_iter().map(|outcome| outcome.map(drop)).collect());
        cluster.sql(DATABASE, "DROP TRIGGER writable ON waywiser_recording").await;
        cluster.sql(DATABASE, "UPDATE waywiser_recording SET expire_ms = 5000").await;
        // The expired one that cannot be removed stays.
        fail_writes(&cluster, code, "DELETE").await;
        let swept = store.sweep(Sweep::expired(EXPIRES - 1), None).await.unwrap();
        assert_eq!(swept.removed.len(), 4, "{code}: {swept:?}");
        let deleted = store.delete(name(3)).await;
        assert!(deleted.as_ref().is_err_and(is_of_class), "{code}: {deleted:?}");
        cluster.sql(DATABASE, "DROP TRIGGER writable ON waywiser_recording").await;
        store.delete(name(3)).await.unwrap();
    }
}

/// Rows with names that this program never stores do not count in a page.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_names_in_the_table_do_not_shorten_pages() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    for recording in 1..=4 {
        recorded(&*store, recording, 5).await;
    }
    let copy = "INSERT INTO waywiser_recording
        (namespace, id, epoch, points, complete, create_ms, update_ms, expire_ms, model, options, state)
      SELECT '', left(id, 6) || '! ' || n, epoch, points, complete, create_ms, update_ms, expire_ms, model, options, state
      FROM waywiser_recording, generate_series(1, 700) AS n";
    cluster.sql(DATABASE, copy).await;
    let mut after = None;
    for recording in 1..=4 {
        let page = store.list(ListQuery::all().after(after), 1).await.unwrap();
        assert_eq!(page.len(), 1, "{recording}");
        assert_eq!(page[0].0, name(recording));
        after = Some(name(recording));
    }
    assert_eq!(store.list(ListQuery::all().after(after), 1).await.unwrap().len(), 0);
    assert_eq!(store.list(ListQuery::all(), 100).await.unwrap().len(), 4);
    let (mut records, mut after) = (0, None);
    loop {
        let query = ExportQuery { after, now_unix_ms: 2_000, bytes_max: 1 << 30 };
        let step = store.export(query).await.unwrap();
        records += step.records.len();
        after = step.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(records, 4);
    assert_eq!(store.check().await.unwrap().damaged.len(), 4 * 700);
}

/// A page of a list reads a bounded number of rows that waywiser has not stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_would_read_too_many_rows_of_other_programs_is_refused() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    recorded(&*store, 1, 5).await;
    // 1024 queries of 64 rows. Their names precede those of the recordings.
    let other = "INSERT INTO waywiser_recording
        (namespace, id, epoch, points, complete, create_ms, update_ms, expire_ms, model, options, state)
      SELECT '', 'walk! ' || n, 1, 0, false, 0, 0, expire_ms, 'geodesic', '', ''
      FROM waywiser_recording, generate_series(1, 66000) AS n";
    cluster.sql(DATABASE, other).await;
    let refused = store.list(ListQuery::all(), 1).await.unwrap_err();
    let StoreError::Unavailable(cause) = &refused else { panic!("{refused:?}") };
    assert!(cause.to_string().contains("rows that waywiser has not stored"), "{cause}");
    // The requests about recordings do not read them.
    assert!(store.load(name(1)).await.unwrap().is_some());
    cluster.sql(DATABASE, "DELETE FROM waywiser_recording WHERE id < 'walk! 5'").await;
    let page = store.list(ListQuery::all(), 1).await.unwrap();
    assert_eq!(page.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), [name(1)]);
}
