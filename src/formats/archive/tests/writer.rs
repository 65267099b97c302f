//! Writes zip archives, also invalid ones.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// A member. Values that are `None` are the right ones.
#[derive(Clone, Copy, Default)]
pub(super) struct Part<'a> {
    pub name: &'a [u8],
    pub content: &'a [u8],
    pub is_stored: bool,
    pub flags: u16,
    pub method: Option<u16>,
    pub crc: Option<u32>,
    pub size: Option<u32>,
    pub compressed_size: Option<u32>,
    pub offset: Option<u32>,
    /// The mode of a Unix file.
    pub mode: u32,
    pub extra: &'a [u8],
}

/// An archive.
#[derive(Default)]
pub(super) struct Zip {
    pub bytes: Vec<u8>,
    pub directory: Vec<u8>,
    pub count: u64,
}

impl Zip {
    pub(super) fn add(&mut self, part: Part<'_>) {
        let offset = self.bytes.len() as u32;
        let data = match part.is_stored {
            true => part.content.to_vec(),
            false => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(part.content).unwrap();
                encoder.finish().unwrap()
            }
        };
        let mut crc = flate2::Crc::new();
        crc.update(part.content);
        let method = part.method.unwrap_or(if part.is_stored { 0 } else { 8 });
        let fields = Fields {
            flags: part.flags,
            method,
            crc: part.crc.unwrap_or(crc.sum()),
            compressed_size: part.compressed_size.unwrap_or(data.len() as u32),
            size: part.size.unwrap_or(part.content.len() as u32),
            name: part.name,
            extra: part.extra,
        };
        self.bytes.extend(b"PK\x03\x04");
        fields.write(&mut self.bytes);
        self.bytes.extend(data);
        self.directory.extend(b"PK\x01\x02\x14\x03");
        fields.write(&mut self.directory);
        // The comment, the disk and the attributes are before the name.
        let variable = self.directory.len() - part.name.len() - part.extra.len();
        let mut middle = vec![0; 6];
        middle.extend((part.mode << 16).to_le_bytes());
        middle.extend(part.offset.unwrap_or(offset).to_le_bytes());
        self.directory.splice(variable..variable, middle);
        self.count += 1;
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let Zip { mut bytes, directory, count } = self;
        let start = bytes.len() as u32;
        bytes.extend(&directory);
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        (0..2).for_each(|_| bytes.extend((count as u16).to_le_bytes()));
        bytes.extend((directory.len() as u32).to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend(b"\0\0");
        bytes
    }
}

/// The fields that the header of a member and its entry share.
struct Fields<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    compressed_size: u32,
    size: u32,
    name: &'a [u8],
    extra: &'a [u8],
}

impl Fields<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        for value in [20, self.flags, self.method, 0, 0] {
            out.extend(value.to_le_bytes());
        }
        for value in [self.crc, self.compressed_size, self.size] {
            out.extend(value.to_le_bytes());
        }
        for length in [self.name.len(), self.extra.len()] {
            out.extend((length as u16).to_le_bytes());
        }
        out.extend(self.name);
        out.extend(self.extra);
    }
}
