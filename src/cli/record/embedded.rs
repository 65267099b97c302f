//! A server in this process, for a `record` without `--server`.

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::server::{self, Config};
use crate::store::MemoryStore;

/// A server on a free loopback port. It keeps recordings in memory.
pub(super) struct EmbeddedServer {
    pub url: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<io::Result<()>>,
}

impl EmbeddedServer {
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel();
        let store = Arc::new(MemoryStore::default());
        let served = tokio::spawn(server::run(listener, Config::default(), store, async {
            let _ = stopped.await;
        }));
        Ok(Self { url, stop, served })
    }

    /// Drains the server. Errors are ignored, because all replies have arrived.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.served.await;
    }
}
