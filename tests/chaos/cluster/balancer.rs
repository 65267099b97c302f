//! HAProxy in front of the servers.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};

const PROGRAM: &str = "/usr/sbin/haproxy";

/// Returns whether HAProxy is installed.
pub fn is_installed() -> bool {
    Path::new(PROGRAM).is_file()
}

/// Reserves an address until another process listens on it.
pub fn reserve() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Distributes the calls of each connection among the servers.
pub struct Balancer {
    _process: Child,
    _reserved: TcpSocket,
    pub address: SocketAddr,
}

impl Balancer {
    /// Starts HAProxy for servers with these addresses for calls and for health checks.
    pub async fn start(folder: &Path, servers: &[(SocketAddr, SocketAddr)]) -> Self {
        let (reserved, address) = reserve();
        // The settings of deploy/cluster/haproxy.cfg, with faster checks.
        let mut text = format!(
            "global
    maxconn 1000
defaults
    mode http
    timeout connect 2s
    timeout http-request 10s
    timeout client 1d
    timeout server 1d
    timeout check 300ms
frontend calls
    bind {address} proto h2
    default_backend waywiser
backend waywiser
    balance leastconn
    option httpchk GET /readyz
    option redispatch 1
    retries 2
    http-reuse always
    http-error status 502 hdr grpc-status 14 hdr grpc-message \"the server has ended\"
    http-error status 503 hdr grpc-status 14 hdr grpc-message \"no server is ready\"
    http-error status 504 hdr grpc-status 14 hdr grpc-message \"the server does not answer\"
    http-after-response set-header Content-Type application/grpc if {{ status 502 503 504 }} {{ res.hdr(grpc-status) -m found }}
    http-after-response set-status 200 if {{ status 502 503 504 }} {{ res.hdr(grpc-status) -m found }}
    default-server inter 100ms fall 2 rise 1
"
        );
        for (number, (calls, checks)) in servers.iter().enumerate() {
            let port = checks.port();
            text += &format!(
                "    server server-{number} {calls} check port {port} proto h2 check-proto h1\n"
            );
        }
        let file = folder.join("haproxy.cfg");
        fs::write(&file, text).unwrap();
        let log = fs::File::create(folder.join("haproxy.log")).unwrap();
        let process = Command::new(PROGRAM)
            .arg("-db")
            .arg("-f")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        while TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await;
        }
        Self { _process: process, _reserved: reserved, address }
    }
}
