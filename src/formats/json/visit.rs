//! The serde visitors that all JSON readers share. They accept any value, because a value of another type than
//! expected does not cost the rest of the file.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::super::value::truncate;

/// The bytes of a string that are stored.
const TEXT_BYTES_MAX: usize = 1 << 10;

/// The name of a member. Long names, which no format uses, are cut.
#[derive(Clone, Copy)]
pub(super) struct Key {
    bytes: [u8; 40],
    length: usize,
}

impl Key {
    fn new(name: &str) -> Self {
        let mut key = Key { bytes: [0; 40], length: 0 };
        let name = truncate(name, key.bytes.len());
        key.length = name.len();
        key.bytes[..name.len()].copy_from_slice(name.as_bytes());
        key
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    /// Returns the name in lower case without `_`, `-` and blanks.
    pub(super) fn normalized(&self) -> Key {
        let mut key = Key { bytes: [0; 40], length: 0 };
        for byte in self.as_str().bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b' ')) {
            key.bytes[key.length] = byte.to_ascii_lowercase();
            key.length += 1;
        }
        key
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_identifier(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        Ok(Key::new(name))
    }
}

/// Receives the members of an object and the elements of a list. By default it ignores them.
pub(super) trait Receive {
    /// Reads the value of the member. Returns `false`, without reading it, if the member has no meaning.
    fn member<'de, A: MapAccess<'de>>(&mut self, _: &Key, _: &mut A) -> Result<bool, A::Error> {
        Ok(false)
    }

    /// Reads an element. Returns `false` at the end of the list.
    fn element<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        Ok(list.next_element::<IgnoredAny>()?.is_some())
    }
}

/// Ignores everything.
pub(super) struct Nothing;

impl Receive for Nothing {}

/// Reads any value into the receiver.
pub(super) struct Read<'t, T>(pub &'t mut T);

/// Reads the value of a member into the receiver. Returns `true`, as [`Receive::member`] does.
pub(super) fn read_into<'de, T: Receive, A: MapAccess<'de>>(
    receiver: &mut T,
    members: &mut A,
) -> Result<bool, A::Error> {
    members.next_value_seed(Read(receiver))?;
    Ok(true)
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Object,
    List,
    Scalar(Scalar),
}

impl<'de, T: Receive> DeserializeSeed<'de> for Read<'_, T> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Shape, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de, T: Receive> Visitor<'de> for Read<'_, T> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Shape, A::Error> {
        while let Some(key) = members.next_key::<Key>()? {
            if !self.0.member(&key, &mut members)? {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Shape::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        while self.0.element(&mut list)? {}
        Ok(Shape::List)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Shape, E> {
        Ok(Shape::Scalar(Scalar::Float(number)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar(Scalar::Integer(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Shape, E> {
        let scalar = i64::try_from(number).map_or(Scalar::Float(number as f64), Scalar::Integer);
        Ok(Shape::Scalar(scalar))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar(Scalar::Bool(value)))
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Scalar(Scalar::Null))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar(Scalar::Text(truncate(text, TEXT_BYTES_MAX).into())))
    }
}

/// A value that is not an object or list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Scalar {
    /// Also an object or a list, which is ignored.
    #[default]
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Box<str>),
}

impl Scalar {
    /// Reads the value of a member.
    pub(super) fn read<'de, A: MapAccess<'de>>(members: &mut A) -> Result<Self, A::Error> {
        match members.next_value_seed(Read(&mut Nothing))? {
            Shape::Scalar(scalar) => Ok(scalar),
            Shape::Object | Shape::List => Ok(Scalar::Null),
        }
    }

    /// Returns the value with at most 64 bytes of text, for values of which many are stored.
    pub(super) fn shortened(self) -> Self {
        match self {
            Scalar::Text(text) => Scalar::Text(truncate(&text, 64).into()),
            other => other,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        *self == Scalar::Null
    }

    /// Returns the text of a string that is not blank, or of a number.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Scalar::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Scalar::Integer(number) => Some(number.to_string()),
            Scalar::Float(number) => Some(number.to_string()),
            Scalar::Null | Scalar::Bool(_) => None,
        }
    }

    /// Returns the number, also of a string that contains a number.
    ///
    /// # Errors
    /// A message, if the value is not a number.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, String> {
        match self {
            Scalar::Null => Ok(None),
            Scalar::Bool(value) => Err(format!("the {name} is {value}")),
            Scalar::Integer(number) => Ok(Some(*number as f64)),
            Scalar::Float(number) => Ok(Some(*number)),
            Scalar::Text(text) => super::super::value::number(name, text.as_bytes()),
        }
    }
}
