//! Streaming standbys, and their promotion.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Cluster, DATABASE};

impl Cluster {
    /// Makes a standby that receives WAL from `upstream`: the address of this cluster or of a proxy to it.
    pub async fn standby(&self, upstream: SocketAddr) -> Self {
        self.standby_in(upstream, |_| {}).await
    }

    /// Makes a standby in a folder that `prepare` has changed.
    pub async fn standby_in(&self, upstream: SocketAddr, prepare: impl FnOnce(&Self)) -> Self {
        let mut standby = Self::empty(self.binaries.clone());
        prepare(&standby);
        let port = self.address.port().to_string();
        let backup =
            ["--checkpoint=fast", "--wal-method=stream", "--no-sync", "--username=postgres"];
        let backup = self
            .binaries
            .command("pg_basebackup")
            .args(backup)
            .arg(format!("--host={}", self.folder().display()))
            .arg(format!("--port={port}"))
            .arg(format!("--pgdata={}", standby.data().display()))
            .output();
        let backup = backup.unwrap();
        assert!(
            backup.status.success(),
            "pg_basebackup: {}",
            String::from_utf8_lossy(&backup.stderr)
        );
        let upstream = format!(
            "primary_conninfo = 'host={} port={} user=postgres application_name=standby'",
            upstream.ip(),
            upstream.port()
        );
        // A promoted standby does not wait for a standby of its own.
        standby.configure(&format!(
            "{upstream}\nsynchronous_standby_names = ''\nwal_retrieve_retry_interval = 100ms"
        ));
        standby.write("standby.signal", "");
        standby.launch().await;
        standby
    }

    /// Makes commits wait for the standby, and waits until it is connected.
    pub async fn require_standby(&self) {
        self.configure("synchronous_standby_names = 'standby'");
        self.reload().await;
        wait_for_sync(self).await;
    }

    /// Makes commits wait for no standby.
    pub async fn release_standby(&self) {
        self.configure("synchronous_standby_names = ''");
        self.reload().await;
    }

    /// Makes a standby the primary, and waits until it accepts writes.
    pub async fn promote(&self) {
        assert_eq!(self.value("SELECT pg_promote(true, 60)").await, "t");
        assert_eq!(self.value("SELECT pg_is_in_recovery()").await, "f");
    }

    /// Returns the number of sessions of the store that wait for the standby.
    pub async fn waiting_for_standby(&self) -> usize {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        self.value(waiting).await.parse().unwrap()
    }

    /// Waits until a query of the superuser returns `expected`.
    pub async fn wait_until(&self, statement: &str, expected: &str) {
        let session = self.session(DATABASE).await;
        while super::query(&session, statement).await[0][0] != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Waits until a synchronous standby is connected.
pub async fn wait_for_sync(primary: &Cluster) {
    let connected = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    primary.wait_until(connected, "1").await;
}
