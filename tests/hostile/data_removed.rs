//! Weakness: the server confirms commits after its data directory was deleted.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use waywiser::proto::waywiser_v1 as v1;

use crate::connection::{Connection, Reply};
use crate::messages::{GET_PATH, RECORD_PATH, recording};
use crate::report::{HANG_TIMEOUT, attack, ms};
use crate::server::{Server, describe};

#[test]
#[ignore = "run by: cargo test --test hostile -- --ignored"]
fn a_deleted_data_directory_is_reported_as_unavailable() {
    attack("deleted data directory", async |report| {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::with_data(folder.path().join("data"));
        let mut client = Connection::connect(server.address).await.unwrap();
        let reply = client.call(RECORD_PATH, &recording("paths/before", 10, true)).await;
        assert_eq!(reply.code, Some(0), "{}", describe(&reply));

        std::fs::remove_dir_all(server.data().unwrap()).unwrap();
        let deleted = Instant::now();
        let get = v1::GetPathRequest { name: "paths/before".to_owned(), ..Default::default() };
        let (mut read, mut written) = (Reply::default(), Reply::default());
        let (mut confirmed, mut number) = (0, 0);
        while deleted.elapsed() < HANG_TIMEOUT / 4 {
            number += 1;
            let name = format!("paths/after-{number}");
            let calls = async {
                read = client.call(GET_PATH, &get).await;
                written = client.call(RECORD_PATH, &recording(&name, 10, true)).await;
            };
            if timeout(HANG_TIMEOUT / 4, calls).await.is_err() || client.is_closed {
                break;
            }
            confirmed += usize::from(written.code == Some(0));
            if (read.code, written.code) == (Some(14), Some(14)) {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        report.figure("time", ms(deleted.elapsed()));
        report.figure("recordings confirmed after the deletion", confirmed);
        report.figure("GetPath", describe(&read));
        report.figure("RecordPath", describe(&written));
        report.check(read.code == Some(14), "GetPath answers UNAVAILABLE");
        report.check(written.code == Some(14), "RecordPath answers UNAVAILABLE");
        report.check(server.is_alive(), "the process survives");
    });
}
