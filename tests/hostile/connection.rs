//! A client connection over [`Wire`] that handles windows, replies and acknowledgements. Each of them can be disabled.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::frames::{self, Frame};
use crate::hpack::{self, Headers};
use crate::wire::Wire;

/// The answer of the server on a stream.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The HTTP status.
    pub http: Option<u16>,
    /// The gRPC status code.
    pub code: Option<u32>,
    /// The gRPC status message, percent-encoded.
    pub message: String,
    pub data: Vec<u8>,
    /// The size of all its header blocks.
    pub header_bytes: usize,
    /// The error code of RST_STREAM.
    pub reset: Option<u32>,
    pub is_ended: bool,
}

impl Reply {
    /// Returns whether the server refused the call with a code that permits a retry.
    pub fn is_refused(&self) -> bool {
        const REFUSED_STREAM: u32 = 7;
        matches!(self.code, Some(8 | 14)) || self.reset == Some(REFUSED_STREAM)
    }
}

/// The behaviour of a client in the parts that attacks change.
#[derive(Clone, Copy)]
pub struct Behaviour {
    /// The window that each stream grants the server.
    pub window: u32,
    /// Whether received bytes are returned to the windows.
    pub returns_windows: bool,
    pub answers_pings: bool,
}

pub const STANDARD: Behaviour =
    Behaviour { window: 65_535, returns_windows: true, answers_pings: true };

/// Returns the behaviour of a client that reads at most `window` bytes of each reply.
pub fn unread(window: u32) -> Behaviour {
    Behaviour { window, returns_windows: false, answers_pings: true }
}

pub struct Connection {
    wire: Wire,
    behaviour: Behaviour,
    next_stream: u32,
    send_window: i64,
    /// The stream window that the server grants.
    initial_window: i64,
    send_windows: HashMap<u32, i64>,
    replies: HashMap<u32, Reply>,
    /// The incomplete header block, and whether it ends its stream.
    block: Vec<u8>,
    is_last_block: bool,
    /// The error code of GOAWAY.
    pub goaway: Option<u32>,
    pub is_closed: bool,
    /// The number of pings that the server sent, and of its answers to our pings.
    pub pings: u32,
    pub pongs: u32,
}

impl Connection {
    pub async fn connect(server: SocketAddr) -> io::Result<Self> {
        Self::with(server, None, STANDARD).await
    }

    /// Connects and sends the preface.
    pub async fn with(
        server: SocketAddr,
        source: Option<SocketAddr>,
        behaviour: Behaviour,
    ) -> io::Result<Self> {
        let mut wire = Wire::connect(server, source).await?;
        let settings =
            [(frames::HEADER_TABLE_SIZE, 0), (frames::INITIAL_WINDOW_SIZE, behaviour.window)];
        wire.send(&[frames::PREFACE, &frames::settings(&settings)].concat()).await?;
        Ok(Self {
            wire,
            behaviour,
            next_stream: 1,
            send_window: 65_535,
            initial_window: 65_535,
            send_windows: HashMap::new(),
            replies: HashMap::new(),
            block: Vec::new(),
            is_last_block: false,
            goaway: None,
            is_closed: false,
            pings: 0,
            pongs: 0,
        })
    }

    /// Sends any bytes. Returns `false` if the connection is closed.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.is_closed |= self.wire.send(bytes).await.is_err();
        !self.is_closed
    }

    /// Returns the id of a new stream, for frames that the test builds itself.
    pub fn new_stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.send_windows.insert(stream, self.initial_window);
        self.replies.insert(stream, Reply::default());
        stream
    }

    /// Opens a stream. The caller sends the body.
    pub async fn open(&mut self, path: &str, headers: &[(&str, &str)]) -> u32 {
        let stream = self.new_stream();
        self.send(&frames::request(stream, path, headers)).await;
        stream
    }

    /// Opens a stream with one message, which must fit into the windows.
    pub async fn send_request(&mut self, path: &str, message: &impl prost::Message) -> u32 {
        let stream = self.new_stream();
        let body = frames::message(false, &message.encode_to_vec());
        self.reduce_windows(stream, body.len());
        let frames =
            [frames::request(stream, path, &[]), frames::data(stream, &body, true)].concat();
        self.send(&frames).await;
        stream
    }

    /// Makes a call with one message.
    pub async fn call(&mut self, path: &str, message: &impl prost::Message) -> Reply {
        let stream = self.send_request(path, message).await;
        self.reply(stream).await
    }

    /// Waits for the end of a stream or of the connection. Removes the stream and returns its reply.
    pub async fn reply(&mut self, stream: u32) -> Reply {
        while !self.is_ended(stream) && self.step().await {}
        self.send_windows.remove(&stream);
        self.replies.remove(&stream).unwrap_or_default()
    }

    pub fn partial_reply(&self, stream: u32) -> Option<&Reply> {
        self.replies.get(&stream)
    }

    pub fn replies(&self) -> impl Iterator<Item = &Reply> {
        self.replies.values()
    }

    pub fn is_ended(&self, stream: u32) -> bool {
        self.replies.get(&stream).is_none_or(|reply| reply.is_ended)
    }

    /// Returns whether the server has ended all streams or the connection.
    pub fn is_finished(&self) -> bool {
        self.is_closed || self.replies.values().all(|reply| reply.is_ended)
    }

    fn reduce_windows(&mut self, stream: u32, bytes: usize) {
        self.send_window -= bytes as i64;
        if let Some(window) = self.send_windows.get_mut(&stream) {
            *window -= bytes as i64;
        }
    }

    /// Returns how many bytes of this stream's body the windows permit.
    fn capacity(&self, stream: u32) -> usize {
        let window = self.send_windows.get(&stream).map_or(0, |window| *window);
        self.send_window.min(window).max(0) as usize
    }

    /// Sends as much of all these bodies as the windows permit, in frames of at most `frame_bytes`. Returns the number
    /// of bytes.
    pub async fn send_what_fits(
        &mut self,
        bodies: &mut [(u32, Bytes)],
        frame_bytes: usize,
    ) -> usize {
        const BATCH_BYTES: usize = 64 << 10;
        let mut sent = 0;
        loop {
            let mut batch = Vec::new();
            for (stream, body) in bodies.iter_mut() {
                let capacity = if self.is_ended(*stream) { 0 } else { self.capacity(*stream) };
                let mut share = body.split_to(capacity.min(body.len()).min(BATCH_BYTES));
                self.reduce_windows(*stream, share.len());
                sent += share.len();
                while !share.is_empty() {
                    let piece = share.split_to(share.len().min(frame_bytes));
                    batch.extend(frames::data(*stream, &piece, false));
                }
            }
            if batch.is_empty() || !self.send(&batch).await {
                return sent;
            }
        }
    }

    /// Sends these bodies, waiting for window updates, until all bytes are sent or their streams have ended.
    pub async fn send_bodies(&mut self, mut bodies: Vec<(u32, Bytes)>) {
        const FRAME_BYTES: usize = 16 << 10;
        loop {
            self.send_what_fits(&mut bodies, FRAME_BYTES).await;
            bodies.retain(|(stream, body)| !body.is_empty() && !self.is_ended(*stream));
            if bodies.is_empty() || !self.step().await {
                return;
            }
        }
    }

    /// Receives one frame and answers it if needed. Returns `false` if the connection is closed.
    pub async fn step(&mut self) -> bool {
        let frame = if self.is_closed { None } else { self.wire.receive().await };
        let Some(frame) = frame else {
            self.is_closed = true;
            return false;
        };
        if let Some(answer) = self.handle(&frame) {
            self.send(&answer).await;
        }
        true
    }

    /// Receives frames until the connection is closed.
    pub async fn until_closed(&mut self) {
        while self.step().await {}
    }

    /// Waits until the server has read everything that was sent before. Returns `false` if it closed the connection.
    pub async fn barrier(&mut self) -> bool {
        let pongs = self.pongs;
        self.send(&frames::ping(u64::from(pongs))).await;
        while self.pongs == pongs {
            if !self.step().await {
                return false;
            }
        }
        true
    }

    /// Updates the state. Returns the bytes of an answer if the frame requires one.
    fn handle(&mut self, frame: &Frame) -> Option<Vec<u8>> {
        let number = || frame.payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let is_ack = frame.flags & frames::ACK != 0;
        match frame.kind {
            frames::SETTINGS if !is_ack => {
                self.apply_settings(&frame.payload);
                return Some(frames::frame(frames::SETTINGS, frames::ACK, 0, &[]));
            }
            frames::PING if is_ack => self.pongs += 1,
            frames::PING => {
                self.pings += 1;
                let answer = frames::frame(frames::PING, frames::ACK, 0, &frame.payload);
                return self.behaviour.answers_pings.then_some(answer);
            }
            frames::WINDOW_UPDATE if frame.stream == 0 => self.send_window += i64::from(number()),
            frames::WINDOW_UPDATE => {
                if let Some(window) = self.send_windows.get_mut(&frame.stream) {
                    *window += i64::from(number());
                }
            }
            frames::GOAWAY => {
                let code = frame.payload.get(4..8).and_then(|bytes| bytes.try_into().ok());
                self.goaway = code.map(u32::from_be_bytes);
            }
            frames::RST_STREAM => {
                if let Some(reply) = self.replies.get_mut(&frame.stream) {
                    reply.reset = Some(number());
                    reply.is_ended = true;
                }
            }
            frames::HEADERS | frames::CONTINUATION => self.handle_headers(frame),
            frames::DATA => return self.handle_data(frame),
            _ => {}
        }
        None
    }

    fn apply_settings(&mut self, payload: &[u8]) {
        for entry in payload.chunks_exact(6) {
            let id = u16::from_be_bytes([entry[0], entry[1]]);
            let value = u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]);
            if id == frames::INITIAL_WINDOW_SIZE {
                let change = i64::from(value) - self.initial_window;
                self.initial_window += change;
                self.send_windows.values_mut().for_each(|window| *window += change);
            }
        }
    }

    fn handle_headers(&mut self, frame: &Frame) {
        self.block.extend_from_slice(&frame.payload);
        if frame.kind == frames::HEADERS {
            self.is_last_block = frame.flags & frames::END_STREAM != 0;
        }
        if frame.flags & frames::END_HEADERS == 0 {
            return;
        }
        let block = std::mem::take(&mut self.block);
        let Some(reply) = self.replies.get_mut(&frame.stream) else { return };
        let Headers { status, fields } = hpack::decode(&block).unwrap();
        reply.http = status.or(reply.http);
        reply.header_bytes += block.len();
        for (name, value) in fields {
            let value = String::from_utf8_lossy(&value).into_owned();
            match &*name {
                "grpc-status" => reply.code = value.parse().ok(),
                "grpc-message" => reply.message = value,
                _ => {}
            }
        }
        reply.is_ended |= self.is_last_block;
    }

    fn handle_data(&mut self, frame: &Frame) -> Option<Vec<u8>> {
        if let Some(reply) = self.replies.get_mut(&frame.stream) {
            reply.data.extend_from_slice(&frame.payload);
        }
        if frame.flags & frames::END_STREAM != 0 {
            self.end(frame.stream);
        }
        let bytes = frame.payload.len() as u32;
        let is_returned = self.behaviour.returns_windows && bytes > 0;
        is_returned.then(|| {
            [frames::window_update(0, bytes), frames::window_update(frame.stream, bytes)].concat()
        })
    }

    fn end(&mut self, stream: u32) {
        if let Some(reply) = self.replies.get_mut(&stream) {
            reply.is_ended = true;
        }
    }
}
