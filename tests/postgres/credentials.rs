//! Credentials that are wrong, expire or change. No error contains the password.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use waywiser::recording::{CheckpointStore, StoreError};
use waywiser::store::{PostgresOpenError, PostgresStore};

use crate::cluster::{Cluster, DATABASE, PASSWORD, USER};
use crate::fixtures::{cluster_and_store, settings, unavailable};
use crate::walk::{name, recorded};

/// Returns the message of an error at the start, which must not contain the password.
async fn refused(url: &str) -> (PostgresOpenError, String) {
    let error = PostgresStore::connect(settings(url)).await.map(drop).unwrap_err();
    let text = format!("{error} {error:?} {:?} {}", settings(url), settings(url));
    assert!(!text.contains(PASSWORD) && !text.contains("battery-staple"), "{text}");
    let text = error.to_string();
    (error, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_refused_with_the_reason() {
    let Some((cluster, _)) = cluster_and_store().await else { return };
    let address = cluster.address;
    cluster
        .sql(
            "postgres",
            "CREATE ROLE expired LOGIN PASSWORD 'battery-staple' VALID UNTIL '2020-01-01'",
        )
        .await;
    cluster.sql("postgres", "CREATE ROLE nologin PASSWORD 'battery-staple'").await;
    for (user, password, database, expected) in [
        (USER, "battery-staple", DATABASE, "password"),
        ("nobody", PASSWORD, DATABASE, "password"),
        ("expired", "battery-staple", DATABASE, "password"),
        ("nologin", "battery-staple", DATABASE, "log in"),
        (USER, PASSWORD, "absent", "absent"),
    ] {
        let (_, text) =
            refused(&format!("postgres://{user}:{password}@{address}/{database}")).await;
        assert!(text.contains(expected), "{user} {database}: {text}");
    }
    let (_, text) = refused(&format!("postgres://{USER}@{address}/{DATABASE}")).await;
    assert!(text.contains("password") && text.contains("--store-password-file"), "{text}");
    cluster.authenticate(&format!("host {DATABASE} {USER} 127.0.0.1/32 reject")).await;
    let (_, text) = refused(&cluster.url()).await;
    assert!(text.contains("pg_hba"), "{text}");
}

/// The password is rotated while the store runs. The file with it changes a moment later than the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_is_read_for_each_connection() {
    let Some((cluster, store)) = cluster_and_store().await else { return };
    recorded(&*store, 1, 10).await;
    drop(store);
    let password = Arc::new(Mutex::new(Ok(Some(PASSWORD.to_owned()))));
    let source = Arc::clone(&password);
    let url = format!("postgres://{USER}@{}/{DATABASE}", cluster.address);
    let settings =
        settings(&url).with_password_source(Arc::new(move || source.lock().unwrap().clone()));
    let store = PostgresStore::connect(settings).await.unwrap();
    cluster.sql("postgres", &format!("ALTER ROLE {USER} PASSWORD 'battery-staple'")).await;
    // The sessions that exist continue.
    assert!(store.load(name(1)).await.unwrap().is_some());
    let terminate =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'");
    cluster.sql("postgres", &terminate).await;
    let text = loop {
        match store.load(name(1)).await {
            Err(StoreError::Unavailable(cause)) => match store.status().error {
                Some(text) if text.contains("password") => {
                    // Clients do not receive the user and the addresses that the server reports.
                    assert!(!cause.to_string().contains(USER), "{cause}");
                    break text;
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            // The session was not terminated yet.
            Ok(_) => {}
            Err(error) => panic!("{error:?}"),
        }
    };
    assert!(!text.contains(PASSWORD), "{text}");
    *password.lock().unwrap() = Err("the file with the password cannot be read".to_owned());
    while !store.status().error.is_some_and(|text| text.contains("cannot be read")) {
        unavailable(store.load(name(1)).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    *password.lock().unwrap() = Ok(Some("battery-staple".to_owned()));
    loop {
        match store.load(name(1)).await {
            Ok(stored) => break assert_eq!(stored.unwrap().committed_points(), 10),
            Err(error) => drop(unavailable::<()>(Err(error))),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_of_the_server_for_passwords_works() {
    let Some(cluster) = Cluster::start().await else { return };
    drop(crate::fixtures::migrated(&cluster.url()).await);
    for (method, user) in
        [("scram-sha-256", "with_scram"), ("md5", "with_md5"), ("password", "with_password")]
    {
        let encryption = if method == "md5" { "md5" } else { "scram-sha-256" };
        let create = format!(
            "SET password_encryption = '{encryption}'; CREATE ROLE {user} LOGIN PASSWORD 'pass%word/?#@:é';
             GRANT {USER} TO {user}"
        );
        cluster.sql("postgres", &create).await;
        cluster.authenticate(&format!("host all {user} 127.0.0.1/32 {method}")).await;
        let escaped = "pass%25word%2F%3F%23%40%3A%C3%A9";
        let url = format!("postgres://{user}:{escaped}@{}/{DATABASE}", cluster.address);
        let store = PostgresStore::connect(settings(&url)).await.unwrap();
        assert_eq!(store.load(name(1)).await, Ok(None), "{method}");
    }
}

/// One connection may use any of the hosts, so the password must be the same for all of them.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_password_file_has_the_same_password_for_all_hosts() {
    use std::os::unix::fs::PermissionsExt as _;

    let Some((cluster, _)) = cluster_and_store().await else { return };
    let (_reserved, away) = crate::reserved::reserved_address();
    let url = format!("postgres://{USER}@{away},{}/{DATABASE}", cluster.address);
    let folder = tempfile::tempdir().unwrap();
    let pgpass = folder.path().join("pgpass");
    let line = |port: u16, password: &str| format!("127.0.0.1:{port}:*:{USER}:{password}\n");
    let check = async |lines: String| {
        std::fs::write(&pgpass, lines).unwrap();
        std::fs::set_permissions(&pgpass, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut command = crate::binary::waywiser(["store", "check", "--store", &url]);
        command.env("PGPASSFILE", &pgpass).env_remove("PGPASSWORD");
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!errors.contains(PASSWORD) && !errors.contains("battery-staple"), "{errors}");
        (output.status.code(), errors)
    };
    let [first, second] = [away.port(), cluster.address.port()];
    let (code, errors) = check(line(first, PASSWORD) + &line(second, PASSWORD)).await;
    assert_eq!(code, Some(0), "{errors}");
    let (code, errors) = check(format!("127.0.0.1:*:*:{USER}:{PASSWORD}\n")).await;
    assert_eq!(code, Some(0), "{errors}");
    // Also if the password of the host that answers is right, and if a host has none.
    for lines in [
        line(first, "battery-staple") + &line(second, PASSWORD),
        line(first, PASSWORD) + &line(second, "battery-staple"),
        line(second, PASSWORD),
    ] {
        let (code, errors) = check(lines).await;
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("different passwords for the hosts of the URL"), "{errors}");
    }
}
