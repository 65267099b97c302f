//! Writes FIT files for tests.

/// A field of a definition: its number, and the type of its value.
pub type FieldSpec = (u8, Kind);

/// The types of values that the tests use.
#[derive(Clone, Copy)]
pub enum Kind {
    Enum,
    U8,
    U16,
    U32,
    S32,
    /// A text with this number of bytes.
    Text(u8),
}

impl Kind {
    fn size(self) -> u8 {
        match self {
            Kind::Enum | Kind::U8 => 1,
            Kind::U16 => 2,
            Kind::U32 | Kind::S32 => 4,
            Kind::Text(size) => size,
        }
    }

    fn base_type(self) -> u8 {
        match self {
            Kind::Enum => 0,
            Kind::U8 => 2,
            Kind::U16 => 0x84,
            Kind::U32 => 0x86,
            Kind::S32 => 0x85,
            Kind::Text(_) => 7,
        }
    }
}

/// A value of a data message.
pub enum Value<'a> {
    N(i64),
    T(&'a str),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::N(value)
    }
}

/// The messages of a file, without header and checksum.
#[derive(Clone, Default)]
pub struct Writer {
    pub bytes: Vec<u8>,
    pub is_big_endian: bool,
    pub kinds: [Vec<Kind>; 16],
    pub developer_bytes: [usize; 16],
}

pub const RECORD: [FieldSpec; 3] = [(253, Kind::U32), (0, Kind::S32), (1, Kind::S32)];

impl Writer {
    pub fn define(&mut self, local: u8, message: u16, fields: &[FieldSpec], developer: &[u8]) {
        let header = 0x40 | local | if developer.is_empty() { 0 } else { 0x20 };
        self.bytes.extend([header, 0, u8::from(self.is_big_endian)]);
        let number = if self.is_big_endian { message.to_be_bytes() } else { message.to_le_bytes() };
        self.bytes.extend(number);
        self.bytes.push(fields.len() as u8);
        for (number, kind) in fields {
            self.bytes.extend([*number, kind.size(), kind.base_type()]);
        }
        if !developer.is_empty() {
            self.bytes.push(developer.len() as u8);
            for (number, size) in developer.iter().enumerate() {
                self.bytes.extend([number as u8, *size, 0]);
            }
        }
        let local = usize::from(local);
        self.kinds[local] = fields.iter().map(|(_, kind)| *kind).collect();
        self.developer_bytes[local] = developer.iter().map(|size| usize::from(*size)).sum();
    }

    /// Adds a data message of a local type.
    pub fn data(&mut self, local: u8, values: &[Value<'_>]) {
        self.data_with_header(local, local, values);
    }

    /// Adds a data message with a compressed time.
    pub fn compressed(&mut self, local: u8, seconds: u8, values: &[Value<'_>]) {
        self.data_with_header(0x80 | local << 5 | seconds, local, values);
    }

    fn data_with_header(&mut self, header: u8, local: u8, values: &[Value<'_>]) {
        let local = usize::from(local);
        self.bytes.push(header);
        assert_eq!(values.len(), self.kinds[local].len());
        for (value, kind) in values.iter().zip(self.kinds[local].clone()) {
            let mut bytes = match value {
                Value::N(value) => value.to_le_bytes()[..usize::from(kind.size())].to_vec(),
                Value::T(text) => text.as_bytes().to_vec(),
            };
            bytes.resize(kind.size().into(), 0);
            if self.is_big_endian && matches!(value, Value::N(_)) {
                bytes.reverse();
            }
            self.bytes.extend(bytes);
        }
        self.bytes.extend(std::iter::repeat_n(0xaa, self.developer_bytes[local]));
    }

    /// Adds a record with a time and a position in semicircles, as the local type 0.
    pub fn point(&mut self, time: i64, latitude: i64, longitude: i64) {
        self.data(0, &[time.into(), latitude.into(), longitude.into()]);
    }

    /// Adds an event of the timer, as the local type 1.
    pub fn timer(&mut self, time: i64, event_type: i64) {
        self.define(1, 21, &[(253, Kind::U32), (0, Kind::Enum), (1, Kind::Enum)], &[]);
        self.data(1, &[time.into(), 0.into(), event_type.into()]);
    }

    /// Adds a session, as the local type 2.
    pub fn session(&mut self, start: i64, distance_cm: i64, sport: i64, name: &str) {
        let fields = [
            (253, Kind::U32),
            (2, Kind::U32),
            (5, Kind::Enum),
            (9, Kind::U32),
            (110, Kind::Text(16)),
        ];
        self.define(2, 18, &fields, &[]);
        let values = [
            Value::N(start + 1000),
            start.into(),
            sport.into(),
            distance_cm.into(),
            Value::T(name),
        ];
        self.data(2, &values);
    }

    /// Adds the type of the file, as the local type 3.
    pub fn file_type(&mut self, file_type: i64) {
        self.define(3, 0, &[(0, Kind::Enum)], &[]);
        self.data(3, &[file_type.into()]);
    }

    /// Returns the file with this data size in its header.
    pub fn file_with_size(&self, data_size: u32) -> Vec<u8> {
        let mut file = vec![14, 0x20, 0x54, 0x08];
        file.extend(data_size.to_le_bytes());
        file.extend(b".FIT");
        file.extend(crc(&file).to_le_bytes());
        file.extend(&self.bytes);
        file.extend(crc(&file).to_le_bytes());
        file
    }

    pub fn file(&self) -> Vec<u8> {
        self.file_with_size(self.bytes.len() as u32)
    }
}

/// Returns the checksum as the description of the protocol computes it: four bits at a time.
pub fn crc(bytes: &[u8]) -> u16 {
    const TABLE: [u16; 16] = [
        0x0000, 0xcc01, 0xd801, 0x1400, 0xf001, 0x3c00, 0x2800, 0xe401, 0xa001, 0x6c00, 0x7800,
        0xb401, 0x5000, 0x9c01, 0x8801, 0x4400,
    ];
    bytes.iter().fold(0, |mut crc: u16, &byte| {
        for nibble in [byte & 0xf, byte >> 4] {
            let low = TABLE[usize::from(crc & 0xf)];
            crc = (crc >> 4) ^ low ^ TABLE[usize::from(nibble)];
        }
        crc
    })
}
