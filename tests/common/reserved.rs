//! Reserves addresses for servers that are stopped and started again.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// Reserves an address: the port is not assigned to another socket while this one exists, and connections to it fail
/// until a server listens there.
pub fn reserved_address() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}
