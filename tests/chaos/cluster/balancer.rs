//! HAProxy in front of the servers.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};

use crate::reserved::reserved_address;

const PROGRAM: &str = "/usr/sbin/haproxy";
/// The settings that users install.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/cluster/haproxy.cfg");

/// Returns whether HAProxy is installed.
pub fn is_installed() -> bool {
    Path::new(PROGRAM).is_file()
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
        let (reserved, address) = reserved_address();
        let text = settings(address, servers);
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

/// Returns the settings that users install, with these addresses and faster health checks.
fn settings(address: SocketAddr, servers: &[(SocketAddr, SocketAddr)]) -> String {
    let mut text = fs::read_to_string(FILE).unwrap();
    let mut replace = |old: &str, new: &str| {
        assert_eq!(text.matches(old).count(), 1, "haproxy.cfg does not have {old:?} once");
        text = text.replace(old, new);
    };
    replace("bind :50051 ", &format!("bind {address} "));
    replace("    timeout connect 2s\n", "    timeout connect 2s\n    timeout check 300ms\n");
    replace(" inter 1s ", " inter 100ms ");
    let template = "    server one server-1:50051 check proto h2 check-proto h1 # h2c\n";
    let lines = servers.iter().enumerate().map(|(number, (calls, checks))| {
        let check = format!("{calls} check port {} ", checks.port());
        let line = template.replace("server-1:50051 check ", &check);
        line.replace("server one ", &format!("server server-{number} "))
    });
    replace(template, &lines.collect::<String>());
    replace("    server two server-2:50051 check proto h2 check-proto h1 # h2c\n", "");
    text
}
