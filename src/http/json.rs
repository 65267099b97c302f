//! Messages as JSON, with the field names of the proto files.
//!
//! The descriptors of the messages decide the members, so that a new field needs no code here. The values are those of the
//! JSON form of Protocol Buffers, except that 64-bit integers are numbers: counts of points stay far below 2^53.

use std::collections::HashMap;
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use serde_json::{Map, Number, Value};

/// Maximum depth of messages in messages.
const DEPTH_MAX: usize = 16;

/// The descriptors by full name, such as `.waywiser.v1.Path`.
#[derive(Default)]
struct Descriptors {
    messages: HashMap<String, DescriptorProto>,
    /// The names of the values of each enumeration.
    enums: HashMap<String, HashMap<i32, String>>,
}

fn descriptors() -> &'static Descriptors {
    static DESCRIPTORS: OnceLock<Descriptors> = OnceLock::new();
    DESCRIPTORS.get_or_init(|| {
        let mut found = Descriptors::default();
        // The descriptors are compiled in. A test checks that they decode.
        let set = FileDescriptorSet::decode(crate::proto::FILE_DESCRIPTOR_SET).unwrap_or_default();
        for file in set.file {
            let package = format!(".{}", file.package());
            for message in file.message_type {
                found.messages.insert(format!("{package}.{}", message.name()), message);
            }
            for kind in file.enum_type {
                let values = kind.value.iter();
                let values =
                    values.map(|value| (value.number(), value.name().to_owned())).collect();
                found.enums.insert(format!("{package}.{}", kind.name()), values);
            }
        }
        found
    })
}

/// Converts the bytes of a message, such as those of `.waywiser.v1.GetPathResponse`. Returns `None` if they are not such
/// a message.
pub(super) fn message(name: &str, bytes: &[u8]) -> Option<Value> {
    object(name, bytes, DEPTH_MAX)
}

fn object(name: &str, bytes: &[u8], depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    match name {
        ".google.protobuf.Timestamp" => return timestamp(bytes),
        ".google.protobuf.Duration" => return duration(bytes),
        _ => {}
    }
    let descriptor = descriptors().messages.get(name)?;
    let mut members = Map::new();
    for field in &descriptor.field {
        if let Some(value) = default(field) {
            members.insert(field.name().to_owned(), value);
        }
    }
    let mut rest = Reader(bytes);
    while !rest.0.is_empty() {
        let (number, raw) = rest.field()?;
        let Some(field) = descriptor.field.iter().find(|field| field.number() == number) else {
            continue;
        };
        if field.label() != Label::Repeated {
            members.insert(field.name().to_owned(), value(field, &raw, depth)?);
            continue;
        }
        let Some(Value::Array(values)) = members.get_mut(field.name()) else { return None };
        match raw {
            // Numbers in one block.
            Raw::Bytes(block) if is_number(field) => {
                let mut block = Reader(block);
                while !block.0.is_empty() {
                    let raw = block.packed(field)?;
                    values.push(value(field, &raw, depth)?);
                }
            }
            raw => values.push(value(field, &raw, depth)?),
        }
    }
    Some(Value::Object(members))
}

/// Returns the value of a field that is not in a message. Fields with explicit presence have none.
fn default(field: &FieldDescriptorProto) -> Option<Value> {
    if field.label() == Label::Repeated {
        return Some(Value::Array(Vec::new()));
    }
    if field.oneof_index.is_some() || field.r#type() == Type::Message {
        return None;
    }
    let number = Raw::Number(0);
    let raw = if is_number(field) { number } else { Raw::Bytes(&[]) };
    value(field, &raw, DEPTH_MAX)
}

fn is_number(field: &FieldDescriptorProto) -> bool {
    !matches!(field.r#type(), Type::String | Type::Bytes | Type::Message | Type::Group)
}

/// A value before its type is known.
enum Raw<'a> {
    /// A varint, or the bits of a number of fixed size.
    Number(u64),
    Bytes(&'a [u8]),
}

/// Converts a value of a field that is not repeated.
fn value(field: &FieldDescriptorProto, raw: &Raw<'_>, depth: usize) -> Option<Value> {
    let number = match raw {
        Raw::Number(number) => *number,
        Raw::Bytes(bytes) => {
            return match field.r#type() {
                Type::String => String::from_utf8(bytes.to_vec()).ok().map(Value::String),
                Type::Message => object(field.type_name(), bytes, depth),
                _ => None,
            };
        }
    };
    let float = |value: f64| Number::from_f64(value + 0.0).map_or(Value::Null, Value::Number);
    Some(match field.r#type() {
        Type::Double => float(f64::from_bits(number)),
        Type::Float => float(f32::from_bits(u32::try_from(number).ok()?).into()),
        Type::Bool => Value::Bool(number != 0),
        Type::Uint32 | Type::Uint64 | Type::Fixed32 | Type::Fixed64 => number.into(),
        Type::Int32 | Type::Int64 | Type::Sfixed64 => number.cast_signed().into(),
        Type::Sint32 | Type::Sint64 => {
            ((number >> 1).cast_signed() ^ -(number & 1).cast_signed()).into()
        }
        Type::Enum => {
            let number = i32::try_from(number.cast_signed()).ok()?;
            let values = descriptors().enums.get(field.type_name())?;
            values.get(&number).map_or_else(|| number.into(), |name| name.as_str().into())
        }
        _ => return None,
    })
}

fn seconds_and_nanos(bytes: &[u8]) -> Option<(i64, i32)> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut rest = Reader(bytes);
    while !rest.0.is_empty() {
        match rest.field()? {
            (1, Raw::Number(number)) => seconds = number.cast_signed(),
            (2, Raw::Number(number)) => nanos = i32::try_from(number.cast_signed()).ok()?,
            _ => {}
        }
    }
    Some((seconds, nanos))
}

fn timestamp(bytes: &[u8]) -> Option<Value> {
    let (seconds, nanos) = seconds_and_nanos(bytes)?;
    Some(Value::String(Timestamp::new(seconds, nanos).ok()?.to_string()))
}

fn duration(bytes: &[u8]) -> Option<Value> {
    let (seconds, nanos) = seconds_and_nanos(bytes)?;
    if nanos.unsigned_abs() >= 1_000_000_000 {
        return None;
    }
    let time = SignedDuration::new(seconds, nanos);
    let sign = if time.is_negative() { "-" } else { "" };
    let (seconds, nanos) = (time.as_secs().unsigned_abs(), time.subsec_nanos().unsigned_abs());
    let fraction = format!(".{nanos:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    Some(Value::String(format!("{sign}{seconds}{fraction}s")))
}

/// Reads the fields of a message.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn field(&mut self) -> Option<(i32, Raw<'a>)> {
        let key = self.varint()?;
        let raw = match key & 7 {
            0 => Raw::Number(self.varint()?),
            1 => Raw::Number(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Raw::Bytes(bytes)
            }
            5 => Raw::Number(u32::from_le_bytes(self.fixed()?).into()),
            _ => return None,
        };
        Some((i32::try_from(key >> 3).ok()?, raw))
    }

    fn packed(&mut self, field: &FieldDescriptorProto) -> Option<Raw<'a>> {
        Some(Raw::Number(match field.r#type() {
            Type::Double | Type::Fixed64 | Type::Sfixed64 => u64::from_le_bytes(self.fixed()?),
            Type::Float | Type::Fixed32 | Type::Sfixed32 => {
                u32::from_le_bytes(self.fixed()?).into()
            }
            _ => self.varint()?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{Duration, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::proto::waywiser_v1 as pb;

    fn converted(path: &pb::Path) -> Value {
        message(".waywiser.v1.Path", &path.encode_to_vec()).unwrap()
    }

    #[test]
    fn members_have_the_names_of_the_fields() {
        let path = pb::Path {
            name: "paths/a".to_owned(),
            committed_points: 1 << 40,
            create_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 500_000_000 }),
            summary: Some(pb::PathSummary {
                length_m: Some(-0.0),
                raw_length_m: Some(2.5),
                elapsed_time: Some(Duration { seconds: 90, nanos: 250_000_000 }),
                options: Some(pb::PathOptions {
                    model: pb::Model::SphereHaversine.into(),
                    ..Default::default()
                }),
                rejections: vec![pb::Rejection { reason: 99, ..Default::default() }],
                ..Default::default()
            }),
            ..Default::default()
        };
        let value = converted(&path);
        assert_eq!(value["committed_points"], json!(1_099_511_627_776_u64));
        assert_eq!((&value["complete"], &value["name"]), (&json!(false), &json!("paths/a")));
        assert_eq!(value["create_time"], json!("2023-11-14T22:13:20.5Z"));
        assert_eq!(value.get("expire_time"), None);
        let summary = &value["summary"];
        assert_eq!(summary["length_m"].to_string(), "0.0");
        assert_eq!((&summary["raw_length_m"], summary.get("length_3d_m")), (&json!(2.5), None));
        assert_eq!(summary["elapsed_time"], json!("90.25s"));
        assert_eq!(summary["options"]["model"], json!("MODEL_SPHERE_HAVERSINE"));
        // Values that this version does not know stay numbers.
        assert_eq!(summary["rejections"][0]["reason"], json!(99));
        assert_eq!(summary["windows"], json!([]));
    }

    #[test]
    fn numbers_of_every_encoding_are_read() {
        let columns = pb::PointColumns {
            x: vec![1, -2, i64::MIN],
            accuracy_mm: vec![300, 0],
            ..Default::default()
        };
        let value = message(".waywiser.v1.PointColumns", &columns.encode_to_vec()).unwrap();
        assert_eq!(value["x"], json!([1, -2, i64::MIN]));
        assert_eq!(value["accuracy_mm"], json!([300, 0]));
        let request = pb::ListPathsRequest { page_size: -7, ..Default::default() };
        let value = message(".waywiser.v1.ListPathsRequest", &request.encode_to_vec()).unwrap();
        assert_eq!(value["page_size"], json!(-7));
        let failure = |seconds, nanos| {
            let bytes = Duration { seconds, nanos }.encode_to_vec();
            message(".google.protobuf.Duration", &bytes)
        };
        assert_eq!(failure(-1, -5), Some(json!("-1.000000005s")));
        assert_eq!(failure(3, 0), Some(json!("3s")));
    }

    #[test]
    fn damaged_bytes_are_no_message_and_no_fault() {
        let path = pb::Path { name: "paths/a".to_owned(), complete: true, ..Default::default() };
        let bytes = path.encode_to_vec();
        for end in 1..bytes.len() {
            let _ = message(".waywiser.v1.Path", &bytes[..end]);
        }
        assert_eq!(message(".waywiser.v1.Path", &[0x0a, 0xff]), None);
        assert_eq!(message(".waywiser.v1.Path", &[0xff; 11]), None);
        assert_eq!(message(".waywiser.v1.Path", &[0x0a, 1, 0xff]), None, "not UTF-8");
        assert_eq!(message(".waywiser.v1.Nothing", &[]), None);
    }
}
