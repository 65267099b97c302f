//! Isolation of principals: nothing that a caller receives, and no work that its calls cause, depends on the recordings
//! of other namespaces.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use proptest::prelude::*;
use tokio_stream::iter;
use tonic::Code;
use waywiser::auth::{Principal, Quota, Role};
use waywiser::proto::waywiser_v1 as pb;
use waywiser::recording::{CheckpointStore, OpenRequest};
use waywiser::store::{MemoryStore, RedbStore};

use crate::support::Server;
use crate::support::callers::{caller, paths, server};
use crate::support::methods;
use crate::support::traced::Traced;

use caller_log::CallerLog;
use transcript::{Transcript, piece};

mod caller_log;
mod default_namespace;
mod full_store;
mod other_methods;
pub mod transcript;

/// The quota of the caller `a`.
const QUOTA: u64 = 4;

fn callers() -> Vec<Principal> {
    let quota = Quota { max_recordings: Some(QUOTA), ..Quota::default() };
    vec![
        Principal { quota, ..caller("a", Some("alpha"), Role::Writer) },
        caller("b", Some("beta"), Role::Writer),
        caller("default", None, Role::Writer),
        caller("reader", Some("alpha"), Role::Reader),
        caller("admin", Some("root"), Role::Admin),
    ]
}

/// A recording of another caller: the caller, the ID, the number of points, and whether it is finished.
type Foreign = (&'static str, &'static str, usize, bool);

async fn record(server: &Server, (name, id, points, is_finished): Foreign) {
    let pieces = iter([piece(&format!("paths/{id}"), 0..points, is_finished)]);
    paths(server, name).await.record_path(pieces).await.unwrap();
}

/// No timer causes a commit, so that the calls of the store depend on the requests only.
fn slow_commits(config: &mut waywiser::Config) {
    config.checkpoint_interval = Duration::from_secs(3600);
}

/// Runs every method as the caller `a`, while another caller has some recordings. Returns all answers, the calls of
/// the store that they cause, and the log lines of the caller.
async fn run(store: Arc<dyn CheckpointStore>, foreign: &[Foreign]) -> Vec<String> {
    run_once(store, foreign).await.0
}

/// Returns also whether the machine was so slow that the calls of the store may differ from those of another run.
async fn run_once(store: Arc<dyn CheckpointStore>, foreign: &[Foreign]) -> (Vec<String>, bool) {
    let log = CallerLog::default();
    let _guard = log.collect();
    let (mut lines, is_late) = call_all(store, foreign).await;
    lines.extend(log.lines());
    (lines, is_late)
}

async fn call_all(store: Arc<dyn CheckpointStore>, foreign: &[Foreign]) -> (Vec<String>, bool) {
    let traced = Arc::new(Traced::new(store));
    let mut server = server(Arc::clone(&traced) as _, callers(), slow_commits).await;
    for &recording in foreign {
        record(&server, recording).await;
        other_methods::chat(&server, recording.0).await.unwrap();
    }
    traced.take();
    let mut transcript = Transcript::new(paths(&server, "a").await, traced);

    // Recordings that do not exist, and some that exist with the same ID elsewhere.
    for id in ["same", "absent", "a", "b~"] {
        let name = format!("paths/{id}");
        transcript.get(&name).await;
        transcript.delete(&name, false).await;
        transcript.delete(&name, true).await;
        transcript.watch(&name, false, 1).await;
        transcript.record([piece(&name, 3..5, false)]).await;
        transcript.append(&name, 0..0).await;
    }
    // A recording that grows by requests.
    transcript.append("paths/same", 0..3).await;
    transcript.append("paths/same", 3..5).await;
    transcript.get("paths/same").await;
    transcript.delete("paths/same", false).await;
    transcript.append("paths/same", 5..6).await;
    transcript.delete("paths/same", false).await;
    transcript.list_all("", 1).await;
    transcript.list_all("paths/", 50).await;

    // A recording that is written, continued, refused, finished and deleted.
    transcript.record([piece("paths/same", 0..3, false)]).await;
    transcript.record([piece("paths/same", 1..5, false), piece("", 9..10, false)]).await;
    let other = pb::PathOptions { model: pb::Model::Wgs84Geodesic.into(), ..Default::default() };
    let other = pb::RecordPathRequest { options: Some(other), ..piece("paths/same", 5..6, false) };
    transcript.record([other]).await;
    transcript.get("paths/same").await;
    transcript.watch("paths/same", false, 1).await;
    transcript.fence("paths/same", 5).await;
    transcript.record([piece("paths/same", 5..7, true)]).await;
    transcript.record([piece("paths/same", 7..8, true)]).await;
    transcript.append("paths/same", 7..8).await;
    transcript.watch("paths/same", true, 2).await;
    for id in ["b", "c", "d"] {
        transcript.record([piece(&format!("paths/{id}"), 0..1, false)]).await;
    }
    // The quota is used up, and this recording has other options.
    transcript.record([piece("paths/e", 0..1, false)]).await;
    transcript.append("paths/e", 0..1).await;
    transcript.append("paths/d", 0..1).await;
    for (prefix, page_size) in [("", 1), ("", 3), ("paths/", 50), ("paths/b", 1), ("paths/s", 9)] {
        transcript.list_all(prefix, page_size).await;
    }
    transcript.list_all("namespaces/alpha/paths/", 2).await;
    // Texts with characters that a store may use to separate namespaces.
    for id in ["\u{7f}beta\0", "\u{7f}", "\0", "../beta/paths/", "\u{10ffff}"] {
        transcript.list(&format!("paths/{id}"), "", 50).await;
        transcript.list(&format!("namespaces/alpha/paths/{id}"), "", 50).await;
        transcript.list("", &format!("paths/{id}"), 50).await;
        transcript.get(&format!("paths/{id}")).await;
    }
    transcript.get("namespaces/alpha/paths/same").await;
    transcript.record([piece("namespaces/alpha/paths/same", 7..7, true)]).await;
    transcript.delete("paths/b", false).await;
    transcript.record([piece("paths/e", 0..1, false)]).await;

    // Names, prefixes and tokens of other namespaces, and invalid texts.
    for name in [
        "namespaces/beta/paths/same",
        "namespaces/-/paths/same",
        "namespaces/none/paths/x",
        "namespaces/beta",
        "same",
        "",
    ] {
        transcript.get(name).await;
        transcript.delete(name, true).await;
        transcript.watch(name, true, 1).await;
        if !name.is_empty() {
            transcript.record([piece(name, 0..2, false)]).await;
            transcript.append(name, 0..2).await;
            transcript.list(name, "", 5).await;
            transcript.list("", name, 5).await;
        }
        transcript.list(&format!("{name}/paths/"), "", 5).await;
    }
    // Methods that store nothing.
    transcript.record([piece("", 0..3, true)]).await;
    transcript.measure().await;
    other_methods::call(&server, &mut transcript).await;
    let is_late = transcript.is_late;
    let mut lines = transcript.finish();
    let ended = server.all_ended_calls();
    // All calls have ended and are in the log then.
    server.stop();
    server.stopped().await;
    // Health knows no callers.
    let is_own = |principal: Option<&str>| principal.is_none_or(|principal| principal == "a");
    let methods = ended.methods().into_iter().filter(|(_, by)| is_own(by.as_deref()));
    lines.extend(methods.map(|(method, _)| format!("{CALLED}{method}")));
    (lines, is_late)
}

/// The start of the lines with the methods that the caller has called.
const CALLED: &str = "called: ";

/// A new method must be called in [`call_all`].
#[tokio::test]
async fn the_calls_are_those_of_every_method() {
    let lines = run(memory(), &[]).await;
    let called = lines.iter().filter_map(|line| line.strip_prefix(CALLED));
    let called: BTreeSet<String> = called.map(str::to_owned).collect();
    let missing: Vec<_> = methods::all().into_iter().collect();
    let missing: Vec<_> = missing.iter().filter(|method| !called.contains(*method)).collect();
    assert!(missing.is_empty(), "{missing:?}; called: {called:?}");
    assert!(called.len() >= 18, "{called:?}");
}

/// Recordings of other callers, with the IDs that the caller `a` uses and with others.
fn worlds() -> impl Strategy<Value = Vec<Foreign>> {
    let callers = prop::sample::select(vec!["b", "default", "admin"]);
    let ids = prop::sample::select(vec!["same", "a", "b", "b~", "c", "e", "zz", "-"]);
    prop::collection::btree_map((callers, ids), (0_usize..6, any::<bool>()), 0..12).prop_map(
        |world| {
            let of = |((caller, id), (points, is_finished))| (caller, id, points, is_finished);
            world.into_iter().map(of).collect()
        },
    )
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future);
}

fn memory() -> Arc<dyn CheckpointStore> {
    Arc::new(MemoryStore::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn answers_do_not_depend_on_the_recordings_of_others(world in worlds()) {
        block_on(async {
            assert_eq!(run(memory(), &world).await, run(memory(), &[]).await);
        });
    }
}

/// The calls of the tests have answers and errors of all kinds.
#[tokio::test]
async fn the_calls_have_answers_of_all_kinds() {
    let lines = run(memory(), &[]).await;
    for kind in [
        "PATH_NOT_FOUND",
        "NAMESPACE_FORBIDDEN",
        "ROLE_REQUIRED",
        "RECORDINGS_QUOTA",
        "WRITER_FENCED",
        "OPTIONS_DIFFER",
        "OFFSET_GAP",
        "PATH_COMPLETE",
        "FIELD_INVALID",
        r#"next_page_token: "paths/b""#,
        "complete: true",
        r#"principal="a" outcome=ResourceExhausted"#,
    ] {
        assert!(lines.iter().any(|line| line.contains(kind)), "{kind}: {lines:#?}");
    }
}

#[tokio::test]
async fn answers_are_the_same_from_a_store_on_disk() {
    let world = [("b", "same", 5, true), ("b", "b", 2, false), ("default", "same", 1, false)];
    for _ in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(RedbStore::open(directory.path()).unwrap());
        let (lines, is_late) = run_once(disk, &world).await;
        if !is_late {
            assert_eq!(lines, run(memory(), &[]).await);
            return;
        }
    }
    panic!("the disk is too slow");
}

/// Stores a recording that has expired, and that no sweep has removed yet.
async fn store_expired(store: &dyn CheckpointStore, name: &str) {
    let (options, max_in_namespace) = (None, None);
    let opening = OpenRequest { options, now_unix_ms: 1, expire_unix_ms: 2, max_in_namespace };
    store.open(name.parse().unwrap(), opening).await.unwrap();
}

#[tokio::test]
async fn answers_do_not_depend_on_expired_recordings_of_others() {
    let (alone, together) = (memory(), memory());
    for store in [&alone, &together] {
        // An own recording that has expired counts in the quota, and has its place in a page.
        store_expired(&**store, "namespaces/alpha/paths/bb").await;
    }
    for id in ["0", "b", "bb", "same", "zz"] {
        store_expired(&*together, &format!("namespaces/beta/paths/{id}")).await;
        store_expired(&*together, &format!("paths/{id}")).await;
    }
    assert_eq!(run(together, &[("b", "same", 2, false)]).await, run(alone, &[]).await);
}

/// The work of a call is the same for names of others that exist and names that do not: no look-up at all. And no call
/// touches a key of another namespace.
#[tokio::test]
async fn calls_touch_only_recordings_of_their_namespace() {
    let world = [("b", "same", 5, true), ("default", "same", 1, false)];
    for line in run(memory(), &world).await {
        let Some((_, work)) = line.split_once("store: ") else { continue };
        for call in work.split("; ").filter(|call| !call.is_empty()) {
            let is_own = call.contains(" namespaces/alpha/paths/");
            let is_own_list = call.starts_with("list ") && call.contains(r#"Namespace("alpha")"#);
            assert!((is_own || is_own_list) && !call.contains("beta"), "{line}");
        }
        let is_foreign = line.contains("namespaces/") && !line.contains("namespaces/alpha");
        assert!(!is_foreign || work.is_empty(), "{line}");
    }
}

#[tokio::test]
async fn a_watch_receives_no_update_of_another_namespace() {
    let server = server(memory(), callers(), |_| {}).await;
    let request = pb::WatchPathRequest {
        name: "paths/walk".to_owned(),
        allow_missing: true,
        ..Default::default()
    };
    let mut client = paths(&server, "a").await;
    let mut watch = client.watch_path(request.clone()).await.unwrap().into_inner();
    let mut other = paths(&server, "b").await.watch_path(request).await.unwrap().into_inner();
    record(&server, ("b", "walk", 3, true)).await;
    let path = other.next().await.unwrap().unwrap().path.unwrap();
    assert_eq!((path.name.as_str(), path.committed_points), ("paths/walk", 3));
    paths(&server, "b")
        .await
        .delete_path(pb::DeletePathRequest { name: "paths/walk".to_owned(), allow_missing: false })
        .await
        .unwrap();
    record(&server, ("a", "walk", 2, true)).await;
    // The first update is that of the own recording.
    let path = watch.next().await.unwrap().unwrap().path.unwrap();
    assert_eq!((path.name.as_str(), path.committed_points), ("paths/walk", 2));
}

#[tokio::test]
async fn expiry_and_limits_on_creations_are_per_caller() {
    let server =
        server(memory(), callers(), |config| config.max_new_recordings_per_minute = 2).await;
    let create = async |name: &str, id: &str| {
        let pieces = iter([piece(&format!("paths/{id}"), 0..1, false)]);
        paths(&server, name).await.record_path(pieces).await
    };
    for id in ["a", "b", "c", "d"] {
        create("b", id).await.unwrap();
    }
    let refused = create("b", "e").await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("2 a minute"), "{}", refused.message());
    // All callers of this test have the same address.
    create("a", "a").await.unwrap();
    create("default", "a").await.unwrap();
}

#[tokio::test]
async fn roles_allow_methods() {
    let server = server(memory(), callers(), |_| {}).await;
    record(&server, ("a", "walk", 2, false)).await;
    record(&server, ("b", "walk", 3, false)).await;
    let mut reader = paths(&server, "reader").await;
    let name = "paths/walk".to_owned();
    let get = |name: &str| pb::GetPathRequest { name: name.to_owned(), ..Default::default() };
    let delete = |name: &str| pb::DeletePathRequest { name: name.to_owned(), allow_missing: false };
    let path = reader.get_path(get(&name)).await.unwrap().into_inner().path.unwrap();
    assert_eq!(path.committed_points, 2);
    let unnamed = reader.record_path(iter([piece("", 0..2, true)])).await.unwrap();
    assert_eq!(unnamed.into_inner().committed_points, 2);
    let refused = [
        reader.record_path(iter([piece(&name, 2..3, false)])).await.unwrap_err(),
        reader.record_path(iter([piece("paths/new", 0..3, false)])).await.unwrap_err(),
        reader.delete_path(delete(&name)).await.unwrap_err(),
        reader.delete_path(delete("paths/none")).await.unwrap_err(),
    ];
    for status in refused {
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(
            status.message(),
            "this needs the role writer, and the caller has the role reader"
        );
    }

    let mut admin = paths(&server, "admin").await;
    let full = "namespaces/beta/paths/walk";
    let path = admin.get_path(get(full)).await.unwrap().into_inner().path.unwrap();
    assert_eq!((path.name.as_str(), path.committed_points), (full, 3));
    let reply = admin.record_path(iter([piece(full, 3..4, true)])).await.unwrap().into_inner();
    assert_eq!((reply.name.as_str(), reply.committed_points, reply.complete), (full, 4, true));
    // The names of a list start with its prefix, also if it is that of the own namespace.
    let mut owner = paths(&server, "a").await;
    let prefix = "namespaces/alpha/paths/w".to_owned();
    let page = owner.list_paths(pb::ListPathsRequest { prefix, ..Default::default() }).await;
    assert_eq!(page.unwrap().into_inner().paths[0].name, "namespaces/alpha/paths/walk");
    // By default an administrator lists its own recordings.
    let list = |prefix: &str, page_token: &str| pb::ListPathsRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
        prefix: prefix.to_owned(),
        ..Default::default()
    };
    let own = admin.list_paths(list("", "")).await.unwrap().into_inner();
    assert_eq!(own.paths, []);
    record(&server, ("b", "walk-2", 1, false)).await;
    let prefix = "namespaces/beta/paths/w";
    let first = admin.list_paths(list(prefix, "")).await.unwrap().into_inner();
    assert_eq!((first.paths[0].name.as_str(), first.next_page_token.as_str()), (full, full));
    let second = admin.list_paths(list(prefix, &first.next_page_token)).await.unwrap();
    let second = second.into_inner();
    assert_eq!(second.paths[0].name, "namespaces/beta/paths/walk-2");
    assert_eq!(second.next_page_token, "");
    let missing = admin.get_path(get("namespaces/beta/paths/none")).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    admin.delete_path(delete(full)).await.unwrap();
    assert_eq!(
        paths(&server, "b").await.get_path(get(&name)).await.unwrap_err().code(),
        Code::NotFound
    );
    // A caller in the default namespace has the recordings of a server without authentication.
    record(&server, ("default", "walk", 1, false)).await;
    let path = paths(&server, "default").await.get_path(get(&name)).await.unwrap();
    assert_eq!(path.into_inner().path.unwrap().committed_points, 1);
}

/// Without authentication, every caller is an administrator whose own recordings are in the default namespace.
#[tokio::test]
async fn a_server_without_authentication_treats_callers_as_administrators() {
    let store = Arc::new(MemoryStore::default());
    let known = server(Arc::clone(&store) as _, callers(), |_| {}).await;
    record(&known, ("b", "walk", 3, false)).await;
    record(&known, ("default", "walk", 1, false)).await;
    let open = Server::with_store(store, |_| {}).await;
    let mut client = open.paths().await;
    let list =
        |prefix: &str| pb::ListPathsRequest { prefix: prefix.to_owned(), ..Default::default() };
    for (prefix, expected) in [
        ("", "paths/walk"),
        ("paths/w", "paths/walk"),
        ("namespaces/beta/paths/", "namespaces/beta/paths/walk"),
    ] {
        let page = client.list_paths(list(prefix)).await.unwrap().into_inner();
        let names: Vec<_> = page.paths.iter().map(|path| path.name.as_str()).collect();
        assert_eq!(names, [expected], "{prefix}");
    }
    // The key of a recording in another namespace is not the beginning of an ID.
    for prefix in ["paths/\u{7f}", "paths/\u{7f}beta\0"] {
        assert!(client.list_paths(list(prefix)).await.is_err(), "{prefix}");
    }
    let status = client.list_paths(list("namespaces/beta")).await.unwrap_err();
    assert!(status.message().contains("namespaces/NAMESPACE/paths/"), "{}", status.message());
    let name = "namespaces/beta/paths/walk".to_owned();
    let request = pb::GetPathRequest { name: name.clone(), ..Default::default() };
    let path = client.get_path(request.clone()).await.unwrap().into_inner().path.unwrap();
    assert_eq!((path.name, path.committed_points), (name.clone(), 3));
    client.delete_path(pb::DeletePathRequest { name, allow_missing: false }).await.unwrap();
    assert_eq!(client.get_path(request).await.unwrap_err().code(), Code::NotFound);
    let page = client.list_paths(list("")).await.unwrap().into_inner();
    assert_eq!(page.paths.len(), 1, "the recording of the default namespace stays");
}
