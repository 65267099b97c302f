//! Random changes of the tables by others, and random bytes from the server: the store returns errors and recovers.

use std::sync::Arc;

use waywiser::recording::{CheckpointStore, ExportQuery, ListQuery, Sweep};
use waywiser::store::PostgresStore;
use waywiser::store::contract::check_store;

use crate::cluster::DATABASE;
use crate::fixtures::{
    assert_no_panics, cluster_and_store, proxied, ready, record_panics, settings,
};
use crate::rng::Rng;
use crate::walk::{commit, name, opening};

fn pick<'a>(random: &mut Rng, texts: &[&'a str]) -> &'a str {
    texts[random.between(0, texts.len() as u64 - 1) as usize]
}

/// Returns a statement that changes the table of the store in an arbitrary way.
fn statement(random: &mut Rng) -> String {
    let columns = [
        "namespace",
        "id",
        "epoch",
        "points",
        "complete",
        "create_ms",
        "update_ms",
        "expire_ms",
        "length_m",
        "options",
        "state",
    ];
    let values = [
        "NULL",
        "0",
        "-1",
        "1",
        "9223372036854775807",
        "-9223372036854775808",
        "'NaN'",
        "'Infinity'",
        "''",
        "'x'",
        "'\\x'",
        "'\\x00ff'",
        "repeat('\u{e9}/', 300)",
        "decode(repeat('7f', 4000), 'hex')",
        "true",
        "state || state",
        "substr(state, 1, length(state) / 2)",
        "points - 1",
        "epoch + 1",
        "chr(127) || id",
        "'a/b c'",
        "E'a\\nb'",
    ];
    let column = pick(random, &columns);
    let other = pick(random, &columns);
    let value = pick(random, &values);
    let id = random.between(0, 5);
    match random.between(0, 19) {
        0 => format!("ALTER TABLE waywiser_recording DROP COLUMN {column} CASCADE"),
        1 => format!("ALTER TABLE waywiser_recording ADD COLUMN {column} text"),
        2 => format!("ALTER TABLE waywiser_recording RENAME COLUMN {column} TO {other}"),
        3 => format!(
            "ALTER TABLE waywiser_recording ALTER COLUMN {column} TYPE text USING {column}::text"
        ),
        4 => format!("ALTER TABLE waywiser_recording ALTER COLUMN {column} DROP NOT NULL"),
        5 => "TRUNCATE waywiser_recording".to_owned(),
        6 => format!("DELETE FROM waywiser_recording WHERE id = 'walk-{id}'"),
        7 => "SELECT setval('waywiser_epoch', 1)".to_owned(),
        8 => "SELECT setval('waywiser_epoch', 9223372036854775807)".to_owned(),
        9 => "DROP FUNCTION IF EXISTS waywiser_next_epoch CASCADE".to_owned(),
        10 => format!(
            "INSERT INTO waywiser_recording SELECT r.* FROM (SELECT (jsonb_populate_record(w, '{{\"id\": \"copy\"}}')).* FROM waywiser_recording w LIMIT {id}) r"
        ),
        11 => "ALTER TABLE waywiser_recording DROP CONSTRAINT waywiser_recording_pkey CASCADE"
            .to_owned(),
        _ => format!("UPDATE waywiser_recording SET {column} = {value} WHERE id = 'walk-{id}'"),
    }
}

/// Calls every method, and accepts every outcome.
async fn call_all(store: &PostgresStore) {
    for recording in 0..6 {
        if let Ok(opened) = store.open(name(recording), opening()).await {
            let _ = commit(store, recording, &opened, 3).await;
        }
        let _ = store.load(name(recording)).await;
    }
    let _ = store.list(ListQuery::all(), 10).await;
    let _ = store.export(ExportQuery { after: None, now_unix_ms: 0, bytes_max: 1 << 20 }).await;
    let _ = store.sweep(Sweep::expired(5_000), None).await;
    let _ = store.check().await;
    let _ = store.delete(name(5)).await;
}

fn seed() -> u64 {
    let seed = std::env::var("WAYWISER_POSTGRES_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::process::id().into());
    println!("repeat the choices with WAYWISER_POSTGRES_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread")]
async fn random_changes_of_the_tables_never_panic() {
    record_panics();
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let mut random = Rng::new(seed());
    for round in 0..8 {
        let administrator = cluster.session(DATABASE).await;
        for _ in 0..4 {
            for _ in 0..6 {
                let statement = statement(&mut random);
                let outcome = administrator.batch_execute(&statement).await;
                println!("{round}: {statement}: {outcome:?}");
            }
            call_all(&store).await;
        }
        assert_no_panics();
        let again = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO waywiser";
        administrator.batch_execute(again).await.unwrap();
        PostgresStore::migrate(&settings(&cluster.url())).await.unwrap();
    }
    // The same store works with correct tables.
    ready(&store).await;
    check_store(&*store).await;
    assert_no_panics();
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_from_the_server_never_panic() {
    record_panics();
    let Some((cluster, direct)) = cluster_and_store().await else { return };
    let (proxy, store) = proxied(&cluster).await;
    let mut random = Rng::new(seed());
    for _ in 0..12 {
        proxy.corrupt(Some(random.next_u64()));
        call_all(&store).await;
    }
    assert_no_panics();
    proxy.corrupt(None);
    proxy.cut(false).await;
    ready(&store).await;
    cluster.sql(DATABASE, "TRUNCATE waywiser_recording").await;
    check_store(&*Arc::clone(&store)).await;
    drop(direct);
    assert_no_panics();
}
