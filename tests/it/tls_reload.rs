//! Certificates that are replaced while the server runs.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use tonic::Code;
use waywiser::server::{Reloaded, TlsConfig, TlsSettings};

use crate::support::PATH_LENGTH;
use crate::support::pki::{Ca, Client, Pair, TLS13, start};

fn write(directory: &Path, pair: &Pair) {
    fs::write(directory.join("server.pem"), &pair.certificate).unwrap();
    fs::write(directory.join("server.key"), &pair.key).unwrap();
}

fn config(directory: &Path) -> TlsConfig {
    TlsConfig::from_files(directory.join("server.pem"), directory.join("server.key"))
}

#[tokio::test]
async fn new_connections_use_the_new_certificate_and_open_ones_continue() {
    let (old, new) = (Ca::new(), Ca::new());
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &old.server());
    let settings = TlsSettings::load(config(directory.path())).unwrap();
    let server = start(&settings).await;
    let mut open = Client::new(&old).connect(server.address).await.unwrap();
    write(directory.path(), &new.server());
    assert_eq!(settings.reload().unwrap(), Reloaded::Changed);
    assert_eq!(Client::new(&new).call(server.address).await, Ok(Code::Ok));
    Client::new(&old).call(server.address).await.unwrap_err();
    assert_eq!(open.try_call(PATH_LENGTH).await.unwrap().code, Code::Ok);
}

#[tokio::test]
async fn a_removed_client_ca_ends_its_sessions_too() {
    let (ca, first, second) = (Ca::new(), Ca::new(), Ca::new());
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &ca.server());
    let clients = directory.path().join("clients.pem");
    fs::write(&clients, format!("{}{}", first.pem, second.pem)).unwrap();
    let config = config(directory.path()).with_client_ca_file(&clients);
    let settings = TlsSettings::load(config).unwrap();
    let server = start(&settings).await;
    let client = |issuer: &Ca| {
        Client::with(&ca, Some(&issuer.client("spiffe://example.org/a")), TLS13, &["h2"])
    };
    let (removed, kept) = (client(&first), client(&second));
    for client in [&removed, &kept] {
        assert_eq!(client.call(server.address).await, Ok(Code::Ok));
    }
    fs::write(&clients, &second.pem).unwrap();
    settings.reload().unwrap();
    // This client would resume its session.
    removed.call(server.address).await.unwrap_err();
    assert_eq!(kept.call(server.address).await, Ok(Code::Ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_handshake_fails_while_certificates_change() {
    const CLIENTS: usize = 4;
    const CONNECTIONS: usize = 30;
    let ca = Ca::new();
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &ca.server());
    let settings = TlsSettings::load(config(directory.path())).unwrap();
    let server = start(&settings).await;
    let address = server.address;
    let client = Client::new(&ca);
    let connected = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (client, connected) = (client.clone(), Arc::clone(&connected));
            tokio::spawn(async move {
                for _ in 0..CONNECTIONS {
                    assert_eq!(client.call(address).await, Ok(Code::Ok));
                    connected.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    let is_done = Arc::new(AtomicBool::new(false));
    let changes = tokio::task::spawn_blocking({
        let (settings, is_done) = (settings.clone(), Arc::clone(&is_done));
        move || {
            let (mut changes, mut failures) = (0, 0);
            while !is_done.load(SeqCst) {
                let pair = ca.server();
                // In place, first half of the certificate, then all of it, then the key.
                let half = &pair.certificate[..pair.certificate.len() / 2];
                fs::write(directory.path().join("server.pem"), half).unwrap();
                failures += u32::from(settings.reload().is_err());
                fs::write(directory.path().join("server.pem"), &pair.certificate).unwrap();
                failures += u32::from(settings.reload().is_err());
                write(directory.path(), &pair);
                assert_eq!(settings.reload().unwrap(), Reloaded::Changed);
                changes += 1;
            }
            (changes, failures)
        }
    });
    for client in clients {
        client.await.unwrap();
    }
    is_done.store(true, SeqCst);
    let (changes, failures) = changes.await.unwrap();
    assert_eq!(connected.load(SeqCst), CLIENTS * CONNECTIONS);
    assert!(changes > 0);
    assert_eq!(failures, 2 * changes);
    // The server also reads the files every few seconds.
    assert!(settings.reload_failures() >= u64::from(failures));
    assert_eq!(settings.handshake_failures(), 0);
}
