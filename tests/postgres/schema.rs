//! The schema: migrations, other versions, and objects or privileges that are missing.

use tokio::task::JoinSet;
use waywiser::recording::{CheckpointStore, ListQuery, StoreError};
use waywiser::store::{PostgresOpenError, PostgresStore};

use crate::cluster::{Cluster, DATABASE, PASSWORD, USER};
use crate::fixtures::{cluster_and_store, connected, migrated, settings, unavailable};
use crate::walk::{commit, name, opening, recorded};

async fn refused(url: &str) -> String {
    PostgresStore::connect(settings(url)).await.map(drop).unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_tables_is_refused_with_advice() {
    let Some(cluster) = Cluster::start().await else { return };
    let error = PostgresStore::connect(settings(&cluster.url())).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("store migrate"), "{error}");
    assert!(matches!(error, PostgresOpenError::NotMigrated { .. }), "{error:?}");
    // A server that runs already reports the same, and works after the migration.
    let store = PostgresStore::start(settings(&cluster.url()));
    let text = unavailable(store.load(name(1)).await);
    assert!(text.contains("store migrate"), "{text}");
    PostgresStore::migrate(&settings(&cluster.url())).await.unwrap();
    loop {
        match store.load(name(1)).await {
            Ok(stored) => break assert_eq!(stored, None),
            Err(error) => drop(unavailable::<()>(Err(error))),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_is_done_once_also_by_many_at_once() {
    let Some(cluster) = Cluster::start().await else { return };
    let mut migrations = JoinSet::new();
    for _ in 0..6 {
        let settings = settings(&cluster.url());
        migrations.spawn(async move { PostgresStore::migrate(&settings).await.unwrap() });
    }
    let done = migrations.join_all().await;
    assert_eq!(done.iter().filter(|migration| migration.from.is_none()).count(), 1, "{done:?}");
    let store = connected(&cluster.url()).await;
    let held = recorded(&*store, 1, 10).await;
    let again = PostgresStore::migrate(&settings(&cluster.url())).await.unwrap();
    assert_eq!(again.from, Some(again.to));
    assert_eq!(store.load(name(1)).await, Ok(Some(held)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    drop(store);
    let tables = "SELECT table_name, column_name FROM information_schema.columns WHERE column_name = 'version' AND table_schema = 'public'";
    let version = cluster.sql(DATABASE, tables).await;
    assert_eq!(version.len(), 1, "the table with the version of the schema: {version:?}");
    let (table, column) = (&version[0][0], &version[0][1]);
    cluster.sql(DATABASE, &format!("UPDATE {table} SET {column} = {column} + 1")).await;
    let text = refused(&cluster.url()).await;
    assert!(text.contains("newer"), "{text}");
    let text = PostgresStore::migrate(&settings(&cluster.url())).await.unwrap_err().to_string();
    assert!(text.contains("newer"), "{text}");
}

/// 42P01: the table is dropped while the store runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_table_is_reported() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let held = recorded(&*store, 1, 10).await;
    cluster.sql(DATABASE, "ALTER TABLE waywiser_recording RENAME TO aside").await;
    for text in [
        unavailable(store.load(name(1)).await),
        unavailable(commit(&*store, 1, &held, 5).await),
        unavailable(store.open(name(1), opening()).await),
        unavailable(store.list(ListQuery::all(), 5).await),
        unavailable(store.delete(name(1)).await),
    ] {
        assert!(text.contains("waywiser_recording") || text.contains("migrate"), "{text}");
    }
    let error = store.check().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    cluster.sql(DATABASE, "ALTER TABLE aside RENAME TO waywiser_recording").await;
    loop {
        match commit(&*store, 1, &held, 5).await {
            Ok(_) => break,
            Err(error) => drop(unavailable::<()>(Err(error))),
        }
    }
}

/// 0A000 and 26000: plans of prepared statements become invalid, or the statements are gone.
#[tokio::test(flavor = "multi_thread")]
async fn statements_are_prepared_again_after_a_change_of_the_table() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    let mut held = recorded(&*store, 1, 10).await;
    for change in [
        "ALTER TABLE waywiser_recording ADD COLUMN note text",
        "ALTER TABLE waywiser_recording ALTER COLUMN note TYPE varchar(9)",
        "ALTER TABLE waywiser_recording DROP COLUMN note",
        "CREATE INDEX ON waywiser_recording (points)",
        "VACUUM FULL waywiser_recording",
        "ANALYZE waywiser_recording",
    ] {
        cluster.sql(DATABASE, change).await;
        held = commit(&*store, 1, &held, 5)
            .await
            .unwrap_or_else(|error| panic!("{change}: {error:?}"));
        assert_eq!(store.load(name(1)).await, Ok(Some(held.clone())), "{change}");
        store.open(name(2), opening()).await.unwrap();
        store.delete(name(2)).await.unwrap();
        assert_eq!(store.list(ListQuery::all(), 5).await.unwrap().len(), 1);
    }
}

/// 42501: a role that may not do what the store needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_privilege_is_reported_with_advice() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    recorded(&*store, 1, 10).await;
    cluster.sql("postgres", &format!("CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")).await;
    let url = format!("postgres://guest:{PASSWORD}@{}/{DATABASE}", cluster.address);
    let text = refused(&url).await;
    assert!(
        text.contains("privilege") || text.contains("permission") || text.contains("GRANT"),
        "{text}"
    );
    // May a role that does not own the tables use them?
    cluster.sql(DATABASE, &format!("GRANT {USER} TO guest")).await;
    let guest = connected(&url).await;
    assert!(guest.load(name(1)).await.unwrap().is_some());
    cluster.sql(DATABASE, &format!("REVOKE {USER} FROM guest")).await;
    let text = unavailable(guest.load(name(1)).await);
    assert!(text.contains("permission") || text.contains("privilege"), "{text}");
    // A migration needs more.
    let empty = "CREATE DATABASE empty; REVOKE CREATE ON SCHEMA public FROM PUBLIC";
    for statement in empty.split("; ") {
        cluster.sql("postgres", statement).await;
    }
    let url = format!("postgres://guest:{PASSWORD}@{}/empty", cluster.address);
    let text = PostgresStore::migrate(&settings(&url)).await.unwrap_err().to_string();
    assert!(text.contains("permission") || text.contains("privilege"), "{text}");
}

/// People read the view with SQL.
#[tokio::test(flavor = "multi_thread")]
async fn the_view_has_the_values_of_the_recordings() {
    let Some(cluster) = Cluster::start().await else { return };
    let store = migrated(&cluster.url()).await;
    let held = recorded(&*store, 1, 50).await;
    let row = cluster
        .sql(DATABASE, "SELECT name, complete, points, length_m, model FROM waywiser_paths")
        .await;
    let length = held.accumulator.summary().length;
    assert_eq!(row[0][..3], ["paths/walk-1", "f", "50"]);
    assert_eq!(row[0][3].parse::<f64>().unwrap().to_bits(), length.to_bits());
    assert!(!row[0][4].is_empty());
    let times = "SELECT create_time = to_timestamp(1), expire_time > now() FROM waywiser_paths";
    assert_eq!(cluster.sql(DATABASE, times).await[0], ["t", "t"]);
}
