//! A socket that sends and receives frames.

use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::frames::{Frame, next_frame};

/// A TCP connection that carries frames.
pub struct Wire {
    stream: TcpStream,
    input: BytesMut,
}

impl Wire {
    /// Connects from this address, or from any.
    pub async fn connect(server: SocketAddr, source: Option<SocketAddr>) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(source) = source {
            socket.bind(source)?;
        }
        let stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: BytesMut::new() })
    }

    /// Sends the bytes. Receives up to 4 MiB at the same time, so that full socket buffers do not block both ends.
    pub async fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        const INPUT_BYTES_MAX: usize = 4 << 20;
        let (mut read, mut write) = self.stream.split();
        while !bytes.is_empty() {
            tokio::select! {
                biased;
                written = write.write(bytes) => bytes = &bytes[written?..],
                received = read.read_buf(&mut self.input), if self.input.len() < INPUT_BYTES_MAX => {
                    if received? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the next frame, or `None` if the connection is closed or reset.
    pub async fn receive(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = next_frame(&mut self.input) {
                return Some(frame);
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Returns all bytes until the server closes or resets the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.stream.read_buf(&mut self.input).await.is_ok_and(|count| count > 0) {}
        self.input.to_vec()
    }

    /// Closes the sending side.
    pub async fn shutdown(&mut self) {
        let _ = self.stream.shutdown().await;
    }
}
