//! The options of `serve` and `store` for a database, without a database: wrong URLs, secrets, and a database that cannot
//! be reached. `tests/cluster` and `tests/postgres` use real ones.

use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use waywiser::proto::{my_package, waywiser_v1};
use waywiser::recording::{CheckpointStore, ListQuery, OpenRequest, RecordingName};
use waywiser::store::RedbStore;

use crate::metrics::Observed;
use crate::program::{run, waywiser};
use crate::support::reserved_address;

const SECRET: &str = "postgres://way:hunter2@127.0.0.1:1/paths";

#[test]
fn a_wrong_store_is_a_usage_error_with_advice() {
    for (arguments, advice) in [
        (&["--store", "/var/lib/waywiser"][..], "write redb: in front of it"),
        (&["--store", "mysql://way:hunter2@db/paths"], "use postgres://USER@HOST/DATABASE"),
        (&["--store", "redb:"], "such as redb:/var/lib/waywiser"),
        (&["--store", "postgres://way:hunter2@db/paths?sslmode=on"], "verify-full"),
        (&["--store", "redb:a", "--data-dir", "b"], "is the same as --data-dir DIR"),
        (&["--store", SECRET, "--ephemeral"], "use one of them"),
        (&["--store", SECRET, "--data-dir", "b"], "use one of them"),
    ] {
        for command in [&["serve"][..], &["config", "check"]] {
            let (code, out, errors) = run(&[command, arguments].concat());
            assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {errors}");
            assert!(errors.contains(advice), "{arguments:?}: {errors}");
            assert!(!errors.contains("hunter2"), "{errors}");
        }
    }
    for (arguments, advice) in [
        (&["migrate", "--store", "memory:"][..], "use the URL of a database"),
        (&["copy", "memory:", "redb:a"], "FROM is memory:"),
        (&["copy", "redb:a", "memory:"], "TO is memory:"),
        (&["copy", "redb:a", "redb:a"], "the same directory"),
        (&["check", "--store", "memory:"], "is always valid"),
        (&["restore", "a.backup", "--store", "memory:"], "use a directory or a database"),
        (&["check", "a.backup", "--store", SECRET], "cannot be used with"),
        (&["restore", "a.backup", "--data-dir", "a", "--store", SECRET], "cannot be used with"),
        (&["restore", "a.backup"], "use --data-dir or --store, or set WAYWISER_STORE"),
        (&["check"], "use PATH or --store, or set WAYWISER_STORE"),
        (&["migrate"], "--store <URL>"),
    ] {
        let (code, out, errors) = run(&[&["store"], arguments].concat());
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {errors}");
        assert!(errors.contains(advice) && !errors.contains("hunter2"), "{arguments:?}: {errors}");
    }
}

#[test]
fn the_store_of_the_environment_has_less_precedence_than_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    drop(RedbStore::open(path("of-variable")).unwrap());
    drop(RedbStore::open(path("of-argument")).unwrap());
    let output = |arguments: &[&str], variables: &[(&str, String)]| {
        let mut command = waywiser(&[&["store"], arguments].concat());
        let output = command.envs(variables.iter().cloned()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let store = ("WAYWISER_STORE", format!("redb:{}", path("of-variable")));
    let directory = ("WAYWISER_DATA_DIR", path("of-variable"));
    for variable in [&store, &directory] {
        let (code, errors) = output(&["check"], std::slice::from_ref(variable));
        assert_eq!(code, Some(0), "{errors}");
        assert!(errors.contains("of-variable"), "{errors}");
        let argument = path("of-argument");
        for arguments in [&[&*argument][..], &["--store", &format!("redb:{argument}")]] {
            let arguments = [&["check"], arguments].concat();
            let (code, errors) = output(&arguments, std::slice::from_ref(variable));
            assert_eq!(code, Some(0), "{errors}");
            assert!(errors.contains("of-argument"), "{errors}");
        }
    }
    let (code, errors) = output(&["check"], &[store, directory]);
    assert_eq!(code, Some(2), "{errors}");
    // An empty backup, which ends in its checksum.
    let mut backup = Vec::new();
    waywiser::store::BackupWriter::new(&mut backup, 0).unwrap().finish().unwrap();
    std::fs::write(path("a.backup"), backup).unwrap();
    let target = ("WAYWISER_STORE", format!("redb:{}", path("restored")));
    let (code, errors) = output(&["restore", &path("a.backup")], std::slice::from_ref(&target));
    assert_eq!(code, Some(0), "{errors}");
    assert!(RedbStore::is_in(path("restored")));
    let restore = ["restore", &path("a.backup"), "--data-dir", &path("chosen")];
    let (code, errors) = output(&restore, &[target]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(RedbStore::is_in(path("chosen")));
}

#[test]
fn the_settings_show_no_password() {
    let line = |url: &str| {
        let (code, out, errors) = run(&["serve", "--store", url, "--print-config"]);
        assert_eq!(code, Some(0), "{errors}");
        assert!(!out.contains("hunter2") && !errors.contains("hunter2"), "{out}{errors}");
        out.lines().find(|line| line.contains("store ")).unwrap().to_owned()
    };
    let shown = "postgres://way@db.example.org/paths?sslmode=verify-full&sslrootcert=/etc/ca.pem";
    assert_eq!(line(shown), format!("store = \"{shown}\" # flag"));
    let note = "# flag; without the password: use store-password-file, PGPASSWORD or ~/.pgpass";
    for (url, shown) in [
        ("postgres://way:hunter2@db/paths", "postgres://way@db/paths"),
        ("postgres://way@db/paths?password=hunter2", "postgres://way@db/paths"),
        (
            "postgresql://way:hunter2@db1,db2/paths?sslmode=require",
            "postgres://way@db1,db2/paths?sslmode=require",
        ),
    ] {
        assert_eq!(line(url), format!("store = \"{shown}\" {note}"));
    }
    // A source of higher precedence replaces a store of another kind.
    let mut command = waywiser(&["serve", "--ephemeral", "--print-config"]);
    let output = command.env("WAYWISER_STORE", SECRET).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("\n# store is not set\n") && out.contains("\nephemeral = true"), "{out}");
}

#[test]
fn a_check_of_the_settings_reads_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let url = "postgres://way@127.0.0.1:1/paths";
    let check = || {
        let file = file.to_str().unwrap();
        run(&["config", "check", "--store", url, "--store-password-file", file])
    };
    let (code, _, errors) = check();
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("(--store-password-file)"), "{errors}");
    std::fs::write(&file, "hunter2\n").unwrap();
    let (code, out, errors) = check();
    assert_eq!((code, out.as_str()), (Some(0), "the settings are valid\n"), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
    let (code, _, errors) = run(&["config", "check", "--ephemeral", "--migrate", "--fail-fast"]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(errors.matches("has no effect without a database").count(), 2, "{errors}");
}

#[test]
fn a_server_ends_with_fail_fast_if_its_database_cannot_be_reached() {
    let (_reserved, address) = reserved_address();
    let url = format!("postgres://way:hunter2@{address}/paths");
    for migrate in [&["--migrate"][..], &[]] {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--fail-fast", "--store", &url];
        let (code, out, errors) = run(&[&serve, migrate].concat());
        assert_eq!((code, out.as_str()), (Some(1), ""), "{errors}");
        assert!(errors.contains(&format!("error: postgres://way@{address}/paths: ")), "{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
    for command in [&["store", "migrate", "--store"][..], &["store", "check", "--store"]] {
        let (code, _, errors) = run(&[command, &[&url]].concat());
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains(&address.to_string()) && !errors.contains("hunter2"), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_its_database_is_not_ready_and_measures_paths_without_a_name() {
    let (_reserved, address) = reserved_address();
    let server = Observed::without_database(address);
    let mut reply = server.ask("GET", "/readyz", "");
    while ["does not accept connections yet", "has not answered yet"]
        .iter()
        .any(|text| reply.body.contains(text))
    {
        reply = server.ask("GET", "/readyz", "");
    }
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.body.contains("refused") && !reply.body.contains("hunter2"), "{reply:?}");
    assert_eq!(server.ask("GET", "/healthz", "").status, 200);
    let metrics = server.metrics();
    for line in
        ["waywiser_database_connected 0", "waywiser_store_up 0", "waywiser_accepting_calls 1"]
    {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing in {metrics}");
    }

    let url = format!("http://{}", server.serve.address);
    let endpoint = tonic::transport::Endpoint::from_shared(url).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let mut health = HealthClient::new(channel.clone());
    for (service, expected) in
        [("", 2), ("waywiser.v1.PathService", 2), ("my_package.DisplacementService", 1)]
    {
        let request = HealthCheckRequest { service: service.to_owned() };
        let status = health.check(request).await.unwrap().into_inner().status;
        assert_eq!(status, expected, "{service}");
    }
    let mut paths = waywiser_v1::path_service_client::PathServiceClient::new(channel.clone());
    let request = waywiser_v1::GetPathRequest { name: "paths/walk".into(), ..Default::default() };
    let status = paths.get_path(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(!status.message().contains("hunter2"), "{status:?}");
    let rows =
        vec![waywiser_v1::Point::default(), waywiser_v1::Point { x: 1.0, ..Default::default() }];
    let request = waywiser_v1::RecordPathRequest { points: rows, ..Default::default() };
    let reply = paths.record_path(tokio_stream::iter([request])).await.unwrap().into_inner();
    assert_eq!(reply.summary.unwrap().point_count, 2);
    let mut planar =
        my_package::displacement_service_client::DisplacementServiceClient::new(channel);
    let points = [(0, 0), (3, 4)].map(|(x, y)| my_package::Point { x, y });
    let reply = planar.compute_path_length(tokio_stream::iter(points)).await.unwrap();
    assert_eq!(reply.into_inner().length, 5.0);
}

#[tokio::test]
async fn a_data_directory_is_copied_completely_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    let store = RedbStore::open(&from).unwrap();
    let names = ["paths/a", "paths/b", "namespaces/acme/paths/a"];
    for (epochs, name) in names.into_iter().enumerate() {
        let name: RecordingName = name.parse().unwrap();
        for now_unix_ms in 1..=epochs as i64 + 1 {
            let opening = OpenRequest {
                options: None,
                now_unix_ms,
                // Some have expired, and are copied too.
                expire_unix_ms: now_unix_ms + 1_000,
                max_in_namespace: None,
            };
            store.open(name.clone(), opening).await.unwrap();
        }
    }
    let all = async |store: &RedbStore| store.list(ListQuery::all(), usize::MAX).await.unwrap();
    let expected = all(&store).await;
    drop(store);
    let [source, target] = [&from, &to].map(|path| format!("redb:{}", path.display()));
    let copy = || run(&["store", "copy", &source, &target]);

    let (code, out, errors) = copy();
    assert_eq!((code, out.as_str()), (Some(0), ""), "{errors}");
    assert_eq!(errors, format!("copied 3 recordings from {source} to {target}\n"));
    let copied = RedbStore::open(&to).unwrap();
    assert_eq!(all(&copied).await, expected);
    // A new epoch is larger than all that were copied.
    let last = expected.iter().map(|(_, path)| path.as_ref().unwrap().epoch).max().unwrap();
    let opening =
        OpenRequest { options: None, now_unix_ms: 9, expire_unix_ms: 99, max_in_namespace: None };
    let opened = copied.open("paths/new".parse().unwrap(), opening).await.unwrap();
    assert!(opened.epoch > last, "{} after {last}", opened.epoch);
    let (code, _, errors) = copy();
    assert_eq!(code, Some(1), "the target is in use: {errors}");
    drop(copied);

    let (code, _, errors) = copy();
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("nothing was copied: ") && errors.contains("is not empty"), "{errors}");
    let missing = folder.path().join("missing");
    let (code, _, errors) =
        run(&["store", "copy", &format!("redb:{}", missing.display()), &target]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("missing is not a data directory") && !missing.exists(), "{errors}");
    let (code, _, errors) = run(&["store", "check", "--store", &source]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains("from has 3 recordings, all of them valid"), "{errors}");
}
