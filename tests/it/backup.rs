//! Backup and restore by the program: online, complete, bit-identical, and nothing is left of a failure.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::spawn_blocking;
use tokio_stream::iter;
use waywiser::proto::waywiser_v1 as pb;
use waywiser::recording::{
    Checkpoint, CheckpointStore, ExportQuery, ListQuery, OpenRequest, Page, RecordingName,
};
use waywiser::store::{BackupWriter, MemoryStore, RedbStore};

use crate::binary;
use crate::support::Server;

/// Runs the program. Returns whether it succeeded, and its messages.
async fn run<const N: usize>(arguments: [&str; N]) -> (bool, String) {
    let mut command = binary::waywiser(arguments);
    let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

/// A folder with the paths of the tests.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Returns the messages without the path of this folder.
    fn without(&self, text: &str) -> String {
        text.replace(&self.0.path().display().to_string(), "DIR")
    }
}

fn piece(id: &str, range: std::ops::Range<usize>, finish_write: bool) -> pb::RecordPathRequest {
    let row = |i: usize| pb::Point { x: i as f64, y: (i as f64).sqrt(), ..Default::default() };
    let options = pb::PathOptions { model: pb::Model::Planar.into(), ..Default::default() };
    pb::RecordPathRequest {
        name: format!("paths/{id}"),
        options: Some(options),
        write_offset: Some(range.start as u64),
        points: range.map(row).collect(),
        finish_write,
        ..Default::default()
    }
}

async fn record(
    server: &Server,
    id: &str,
    range: std::ops::Range<usize>,
    finish_write: bool,
) -> pb::RecordPathResponse {
    let pieces = iter([piece(id, range, finish_write)]);
    server.paths().await.record_path(pieces).await.unwrap().into_inner()
}

async fn all(store: &dyn CheckpointStore) -> Page {
    store.list(ListQuery::all(), usize::MAX).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_during_writes_and_deletions_is_restored() {
    let folder = Folder::new();
    let store = Arc::new(RedbStore::open(folder.path("data")).unwrap());
    let server = Arc::new(Server::with_store(Arc::clone(&store) as _, |_| {}).await);
    for i in 0..40 {
        record(&server, &format!("finished-{i}"), 0..i, true).await;
        record(&server, &format!("open-{i}"), 0..i, false).await;
    }
    // A recording of another namespace, as a server with authentication stores it.
    let name: RecordingName = "namespaces/acme/paths/van".parse().unwrap();
    let opening = waywiser::recording::OpenRequest {
        options: None,
        now_unix_ms: 1,
        expire_unix_ms: i64::MAX,
        max_in_namespace: None,
    };
    store.open(name.clone(), opening.clone()).await.unwrap();
    // An expired one.
    let expired: RecordingName = "paths/expired".parse().unwrap();
    let short = waywiser::recording::OpenRequest { expire_unix_ms: 2, ..opening };
    store.open(expired.clone(), short).await.unwrap();
    let before = all(&*store).await;

    let is_over = Arc::new(AtomicBool::new(false));
    let writes = {
        let (server, is_over) = (Arc::clone(&server), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut round = 0;
            while !is_over.load(Ordering::Relaxed) {
                record(&server, "growing", round..round + 1, false).await;
                let id = format!("short-{}", round % 7);
                record(&server, &id, 0..3, false).await;
                let name = format!("paths/{id}");
                let request = pb::DeletePathRequest { name, allow_missing: false };
                server.paths().await.delete_path(request).await.unwrap();
                round += 1;
            }
        })
    };
    let (url, file) = (format!("http://{}", server.address), folder.text("all.backup"));
    let (is_ok, messages) = run(["store", "backup", "--server", &url, &file]).await;
    assert!(is_ok && messages.starts_with("backed up "), "{messages}");
    is_over.store(true, Ordering::Relaxed);
    writes.await.unwrap();

    let (is_ok, messages) = run(["store", "check", &file]).await;
    assert!(is_ok && messages.contains("all.backup is a complete backup of "), "{messages}");
    let restored = folder.text("restored");
    let (is_ok, messages) = run(["store", "restore", &file, "--data-dir", &restored]).await;
    assert!(is_ok && messages.contains("to "), "{messages}");
    let (is_ok, messages) = run(["store", "check", &restored]).await;
    assert!(is_ok && messages.contains("all of them valid"), "{messages}");

    let store = Arc::new(RedbStore::open(&restored).unwrap());
    for (name, expected) in before {
        let found = store.load(name.clone()).await;
        match name == expired {
            true => assert_eq!(found, Ok(None)),
            false => {
                let (found, expected) = (found.unwrap().unwrap(), expected.unwrap());
                // The time to the expiry continues at the restore.
                assert!(found.expire_unix_ms >= expected.expire_unix_ms, "{name}");
                let expire_unix_ms = expected.expire_unix_ms;
                assert_eq!(Checkpoint { expire_unix_ms, ..found }, expected, "{name}");
            }
        }
    }
    let resumed = Server::with_store(Arc::clone(&store) as _, |_| {}).await;
    for i in [0, 1, 39] {
        let id = format!("open-{i}");
        let reply = record(&resumed, &id, i..50, true).await;
        let expected = record(&resumed, &format!("whole-{i}"), 0..50, true).await;
        assert_eq!(reply.committed_points, 50);
        assert_eq!(reply.summary, expected.summary, "{id}");
    }
    // The counts of namespaces are restored, too.
    let limited = waywiser::recording::OpenRequest {
        options: None,
        now_unix_ms: 1,
        expire_unix_ms: i64::MAX,
        max_in_namespace: Some(1),
    };
    let other = "namespaces/acme/paths/other".parse().unwrap();
    assert!(store.open(other, limited).await.is_err());
}

/// Returns a backup of some recordings.
async fn backup(folder: &Folder) -> Vec<u8> {
    let server = Server::start().await;
    for i in 0..5 {
        record(&server, &format!("walk-{i}"), 0..i, i % 2 == 0).await;
    }
    let file = folder.text("some.backup");
    let url = format!("http://{}", server.address);
    let (is_ok, messages) = run(["store", "backup", "--server", &url, &file]).await;
    assert!(is_ok, "{messages}");
    assert_eq!(messages, "backed up 5 recordings\n");
    fs::read(file).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_a_signal_stops_leaves_nothing() {
    use rustix::process::{Pid, Signal, kill_process};
    let folder = Folder::new();
    let file = folder.text("some.backup");
    let names = || fs::read_dir(folder.0.path()).unwrap().count();
    for (signal, status) in [(Signal::HUP, 129), (Signal::INT, 130), (Signal::TERM, 143)] {
        // This server accepts a connection and never answers.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let mut command = binary::waywiser(["store", "backup", "--server", &url, &file]);
        let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let connection = silent.accept().await.unwrap();
        assert_eq!(names(), 1, "the temporary file");
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
        drop(connection);
        assert_eq!(output.status.code(), Some(status));
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "error: interrupted by a signal: no backup was written\n"
        );
        assert_eq!(names(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_follows_links_and_replaces_regular_files_only() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = Folder::new();
    let server = Server::start().await;
    let url = format!("http://{}", server.address);
    let backup = async |path: &str| {
        let (is_ok, messages) = run(["store", "backup", "--server", &url, path]).await;
        (is_ok, folder.without(&messages))
    };
    fs::create_dir(folder.path("disk")).unwrap();
    fs::write(folder.path("disk/old"), "old").unwrap();
    symlink("disk/old", folder.path("link")).unwrap();
    assert_eq!(backup(&folder.text("link")).await, (true, "backed up 0 recordings\n".to_owned()));
    assert!(fs::symlink_metadata(folder.path("link")).unwrap().is_symlink());
    let written = fs::read(folder.path("disk/old")).unwrap();
    assert!(waywiser::store::BackupReader::new(&written[..]).is_ok());
    let mode = fs::metadata(folder.path("disk/old")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    symlink("absent", folder.path("dangling")).unwrap();
    symlink("/dev/null", folder.path("null")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(folder.path("pipe")).status();
    assert!(pipe.unwrap().success());
    let before = fs::read_dir(folder.0.path()).unwrap().count();
    let other = "is not a regular file: use - to write to standard output";
    for (name, expected) in [
        ("disk", "is a directory: name a file"),
        ("null", other),
        ("pipe", other),
        (
            "dangling",
            "is a link to a file that does not exist: remove the link, or create the file",
        ),
        ("absent/file", "cannot be written: No such file or directory (os error 2)"),
    ] {
        let expected = (false, format!("error: DIR/{name} {expected}\n"));
        assert_eq!(backup(&folder.text(name)).await, expected);
    }
    let expected = (false, format!("error: /dev/null {other}\n"));
    assert_eq!(backup("/dev/null").await, expected);
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), before);
    assert_eq!(fs::read_dir(folder.path("disk")).unwrap().count(), 1);
}

/// Writes a backup of the year 1970, with recordings that expire 100 s after it, 1 day after it, and never.
async fn old_backup(file: &str) {
    let store = MemoryStore::default();
    for (id, expire_unix_ms) in [("day", 86_401_000), ("long", i64::MAX), ("short", 101_000)] {
        let request =
            OpenRequest { options: None, now_unix_ms: 500, expire_unix_ms, max_in_namespace: None };
        store.open(RecordingName::from_id(id).unwrap(), request).await.unwrap();
    }
    let query = ExportQuery { after: None, now_unix_ms: 1_000, bytes_max: usize::MAX };
    let exported = store.export(query).await.unwrap();
    let mut backup = BackupWriter::new(fs::File::create(file).unwrap(), 1_000).unwrap();
    for (name, record) in exported.records {
        backup.add(name, &record.unwrap()).unwrap();
    }
    backup.finish().unwrap();
}

fn now_unix_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_backup_is_restored_without_loss() {
    let folder = Folder::new();
    let file = folder.text("old.backup");
    old_backup(&file).await;
    let restored = "restored 3 recordings to DIR/data\n\
        2 of them had expired since the backup and got a new time of expiry\n";
    let kept = "restored 1 recording to DIR/data\n\
        left out 2 recordings that had expired since the backup\n";
    let retained = |count, time| {
        let end = "from now, and got this time (--retention)";
        format!("{restored}{count} of them would expire earlier than {time} {end}\n")
    };
    let day = ("day", 86_400_000);
    for (options, expected, times) in [
        (&[][..], restored, vec![day, ("short", 100_000)]),
        (&["--retention", "1h"], &*retained(1, "1h"), vec![day, ("short", 3_600_000)]),
        (&["--keep-expiry"], kept, vec![]),
    ] {
        let data = folder.text("data");
        let before = now_unix_ms();
        let arguments = [&["store", "restore", &file, "--data-dir", &data], options].concat();
        let output = binary::waywiser(arguments).output().unwrap();
        let after = now_unix_ms();
        let messages = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &*folder.without(&messages)), (Some(0), expected));
        let store = RedbStore::open(&data).unwrap();
        assert_eq!(all(&store).await.len(), times.len() + 1);
        for (id, left) in times {
            let found = store.load(RecordingName::from_id(id).unwrap()).await.unwrap().unwrap();
            assert!((before..=after).contains(&(found.expire_unix_ms - left)), "{found:?}");
        }
        drop(store);
        fs::remove_dir_all(&data).unwrap();
    }
    let arguments = ["store", "restore", &file, "--data-dir", "x", "--keep-expiry"];
    let output = binary::waywiser([&arguments[..], &["--retention", "1h"]].concat()).output();
    assert_eq!(output.unwrap().status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_read_from_standard_input() {
    let folder = Folder::new();
    let (file, data) = (folder.text("old.backup"), folder.text("data"));
    old_backup(&file).await;
    for (arguments, expected) in [
        (vec!["store", "check", "-"], "standard input is a complete backup of 3 recordings\n"),
        (vec!["store", "restore", "-", "--data-dir", &data], "restored 3 recordings to DIR/data\n"),
    ] {
        // A pipe, which cannot be read twice.
        let mut program = binary::waywiser(arguments);
        program.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut program = program.spawn().unwrap();
        let mut pipe = program.stdin.take().unwrap();
        std::io::Write::write_all(&mut pipe, &fs::read(&file).unwrap()).unwrap();
        drop(pipe);
        let output = program.wait_with_output().unwrap();
        let messages = folder.without(&String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success() && messages.starts_with(expected), "{messages}");
    }
    assert_eq!(all(&RedbStore::open(&data).unwrap()).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_whole_backup_is_refused() {
    let folder = Folder::new();
    let whole = backup(&folder).await;
    let (file, data) = (folder.text("bad.backup"), folder.text("data"));
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 4;
    let cases: [(&[u8], &str); 5] = [
        (&whole[..whole.len() - 1], "cut short"),
        (&whole[..whole.len() / 2], "cut short"),
        (&changed, "is damaged at byte"),
        (b"", "is not a backup"),
        (b"wayw and something else", "is not a backup"),
    ];
    for (bytes, expected) in cases {
        fs::write(&file, bytes).unwrap();
        for arguments in
            [vec!["store", "check", &file], vec!["store", "restore", &file, "--data-dir", &data]]
        {
            let output = binary::waywiser(arguments).output().unwrap();
            let messages = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{messages}");
            assert!(messages.contains(expected), "{messages}");
        }
        assert!(!Path::new(&data).exists(), "nothing is created");
        for arguments in
            [vec!["store", "check", "-"], vec!["store", "restore", "-", "--data-dir", &data]]
        {
            let input = std::process::Stdio::from(fs::File::open(&file).unwrap());
            let output = binary::waywiser(arguments).stdin(input).output().unwrap();
            let messages = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{messages}");
            assert!(messages.contains(expected), "{messages}");
            assert!(messages.contains("standard input"), "{messages}");
        }
        assert!(!RedbStore::is_in(&data), "nothing is restored");
        let _ = fs::remove_dir_all(&data);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_with_recordings_is_not_overwritten() {
    let folder = Folder::new();
    backup(&folder).await;
    let (file, data) = (folder.text("some.backup"), folder.text("data"));
    let (is_ok, messages) = run(["store", "restore", &file, "--data-dir", &data]).await;
    assert_eq!((is_ok, &*folder.without(&messages)), (true, "restored 5 recordings to DIR/data\n"));
    let (is_ok, messages) = run(["store", "restore", &file, "--data-dir", &data]).await;
    assert!(!is_ok);
    assert_eq!(
        folder.without(&messages),
        "error: DIR/some.backup was not restored: DIR/data is not empty: use an empty or a new directory\n"
    );
    let used = RedbStore::open(&data).unwrap();
    for arguments in
        [["store", "check", &data].as_slice(), &["store", "restore", &file, "--data-dir", &data]]
    {
        let output = binary::waywiser(arguments).output().unwrap();
        let messages = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && messages.contains("in use"), "{messages}");
    }
    assert_eq!(all(&used).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_fails_leaves_the_last_one() {
    let folder = Folder::new();
    let whole = backup(&folder).await;
    let file = folder.text("some.backup");
    let (socket, address) = crate::support::reserved_address();
    let url = format!("http://{address}");
    let (is_ok, messages) = run(["store", "backup", "--server", &url, &file]).await;
    drop(socket);
    assert!(!is_ok && messages.contains("no connection"), "{messages}");
    assert_eq!(fs::read(&file).unwrap(), whole);
    // No temporary file is left.
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 1);
    // A store in memory has a backup, too, and standard output takes one.
    let server = Server::with_store(Arc::new(MemoryStore::default()), |_| {}).await;
    let url = format!("http://{}", server.address);
    let mut command = binary::waywiser(["store", "backup", "--server", &url, "-"]);
    let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success());
    let empty = waywiser::store::BackupReader::new(&output.stdout[..]).unwrap();
    assert_eq!(empty.recordings(), 0);
    assert_eq!(empty.collect::<Vec<_>>().len(), 0);
}
