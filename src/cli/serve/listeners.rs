//! Opens the listeners of `waywiser serve`.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use tokio::net::TcpListener;

use super::service_manager;

/// Parses a host and a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let advice = "use HOST:PORT, such as 127.0.0.1:50051, [::1]:50051 or localhost:50051";
    let mut found = text.to_socket_addrs().map_err(|error| format!("{error}; {advice}"))?;
    found.next().ok_or_else(|| format!("the host has no address; {advice}"))
}

/// Returns the listener of the service manager if there is one, and opens it otherwise.
pub(super) async fn main_listener(address: SocketAddr) -> Result<TcpListener, String> {
    if let Some(listener) = service_manager::listener()? {
        tracing::info!("using the listener of the service manager; --listen has no effect");
        return Ok(listener);
    }
    bind(address, "--listen").await
}

/// Opens a listener. The error message says what to do.
pub(super) async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("; is another server running there? stop it, or choose a port with {flag}")
            }
            io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges".to_owned(),
            io::ErrorKind::AddrNotAvailable => {
                "; this machine does not have that address".to_owned()
            }
            _ => String::new(),
        };
        format!("cannot listen on {address}: {error}{advice}")
    })
}
