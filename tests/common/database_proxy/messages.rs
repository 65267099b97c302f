//! Reads the messages of the PostgreSQL protocol from a stream of bytes.

use std::collections::HashMap;

use tokio::io::{AsyncRead, AsyncReadExt as _};

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
/// Longer messages are cut into parts, which only matters for those with data.
const LENGTH_MAX: usize = 1 << 26;

/// A message with its header. The first messages of a client have no type.
pub struct Message {
    pub kind: u8,
    pub bytes: Vec<u8>,
}

impl Message {
    /// Reads a message with a type.
    pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let kind = from.read_u8().await.ok()?;
        let mut message = Self::read_untyped(from).await?;
        message.bytes.insert(0, kind);
        Some(Self { kind, ..message })
    }

    /// Reads a message of the start of a connection.
    pub async fn read_untyped(from: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let length = from.read_u32().await.ok()?;
        let size = usize::try_from(length).ok().filter(|size| (4..LENGTH_MAX).contains(size))?;
        let mut bytes = vec![0; size];
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        from.read_exact(&mut bytes[4..]).await.ok()?;
        Some(Self { kind: 0, bytes })
    }

    /// Returns whether an untyped message asks for encryption, which the server answers with one byte.
    pub fn asks_for_encryption(&self) -> bool {
        let code = self.bytes.get(4..8).and_then(|code| code.try_into().ok());
        code.map(u32::from_be_bytes).is_some_and(|code| matches!(code, SSL_REQUEST | GSS_REQUEST))
    }

    /// Returns whether the server answers this message with ReadyForQuery.
    pub fn asks_for_ready(&self) -> bool {
        matches!(self.kind, b'Q' | b'S' | b'F')
    }

    pub fn is_ready(&self) -> bool {
        self.kind == b'Z'
    }

    /// Returns whether the server is ready and no transaction is open.
    pub fn is_idle(&self) -> bool {
        self.is_ready() && self.bytes.get(5) == Some(&b'I')
    }

    /// Changes one byte of one in eight messages. The length stays, because the rest of the stream would be lost.
    pub fn corrupt(&mut self, seed: u64, number: u64) {
        // The finalizer of SplitMix64.
        let mut z = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        if !z.is_multiple_of(8) {
            return;
        }
        let index = (z >> 8) as usize % self.bytes.len();
        if !(1..5).contains(&index) {
            self.bytes[index] ^= 1 << (z >> 3 & 7);
        }
    }

    fn strings(&self) -> impl Iterator<Item = String> {
        let body = self.bytes.get(5..).unwrap_or_default();
        body.split(|&byte| byte == 0).map(|text| String::from_utf8_lossy(text).into_owned())
    }
}

/// The prepared statements of a connection, and whether the client has begun a transaction.
#[derive(Default)]
pub struct Statements {
    prepared: HashMap<String, String>,
    pub in_transaction: bool,
}

impl Statements {
    /// Returns the text of the statement that a message executes.
    pub fn executed(&mut self, message: &Message) -> Option<String> {
        let mut strings = message.strings();
        let text = match message.kind {
            b'Q' => strings.next(),
            b'P' => {
                self.prepared.insert(strings.next()?, strings.next()?);
                None
            }
            b'B' => {
                let _portal = strings.next()?;
                self.prepared.get(&strings.next()?).cloned()
            }
            _ => None,
        }?;
        match text.split(|c: char| !c.is_ascii_alphabetic()).next() {
            Some("BEGIN" | "START") => self.in_transaction = true,
            Some("COMMIT" | "ROLLBACK") => self.in_transaction = false,
            _ if text.ends_with("COMMIT") => self.in_transaction = false,
            _ => {}
        }
        Some(text)
    }
}
