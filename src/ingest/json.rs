//! Values of JSON bodies. A value of a wrong type is a value, so that one bad member does not make the rest unreadable. What
//! no parser reads takes no memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{FIXES_MAX, Rejection};

/// Maximum length of the text of a number or a time.
const TEXT_BYTES_MAX: usize = 64;

/// A value that is not a list or an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Scalar {
    /// Absent or null.
    #[default]
    Missing,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    /// A list, an object, or an integer that is out of range.
    Other,
}

impl Scalar {
    /// Returns a number. A text with a decimal number is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            Self::Text(text) => number(text),
            Self::Missing | Self::Bool(_) | Self::Other => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        *self == Self::Missing
    }

    /// Returns whether the value is true, as a truth value or as a text.
    pub(super) fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true)) || self.text().is_some_and(|text| text == "true")
    }

    /// Returns whether the value is false, as a truth value or as a text.
    pub(super) fn is_false(&self) -> bool {
        matches!(self, Self::Bool(false)) || self.text().is_some_and(|text| text == "false")
    }

    /// Returns the name of a device: a text or an integer.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Integer(value) => Some(value.to_string()),
            _ => None,
        }
    }
}

/// Parses a decimal number. Names such as `NaN` and `inf` are not numbers.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_decimal = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let is_number = text.len() <= TEXT_BYTES_MAX && text.bytes().all(is_decimal);
    text.parse().ok().filter(|value: &f64| is_number && value.is_finite())
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar::Missing)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(i64::try_from(value).map_or(Scalar::Other, Scalar::Integer))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar::Number(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// An object, or a value of another type.
#[derive(Debug, Default)]
pub(super) enum Object<T> {
    /// Absent or null.
    #[default]
    Missing,
    Members(T),
    Other,
}

impl<T> Object<T> {
    pub(super) fn members(&self) -> Option<&T> {
        match self {
            Self::Members(members) => Some(members),
            Self::Missing | Self::Other => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Object<T>, E> {
                Ok(Object::Missing)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Object<T>, E> {
                Ok(Object::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Object<T>, E> {
                Ok(Object::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Object<T>, E> {
                Ok(Object::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Object<T>, E> {
                Ok(Object::Other)
            }

            fn visit_str<E>(self, _: &str) -> Result<Object<T>, E> {
                Ok(Object::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Object<T>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Object::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object::Members)
            }
        }

        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

/// The first `MAX` elements of a list. A value of another type is an empty list.
#[derive(Debug)]
pub(super) struct List<T, const MAX: usize> {
    pub(super) elements: Vec<T>,
    /// Whether the value is a list.
    pub(super) is_list: bool,
    /// Whether there are more elements.
    pub(super) has_more: bool,
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self { elements: Vec::new(), is_list: false, has_more: false }
    }
}

/// The features of a request.
pub(super) type Features<T> = List<T, FIXES_MAX>;

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
            type Value = List<T, MAX>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(List::default())
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(List::default())
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(List::default())
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(List::default())
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(List::default())
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(List::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(List::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut out = List { is_list: true, ..List::default() };
                while out.elements.len() < MAX {
                    match list.next_element()? {
                        Some(element) => out.elements.push(element),
                        None => return Ok(out),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    out.has_more = true;
                }
                Ok(out)
            }
        }

        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// Reads the object of a body.
///
/// # Errors
/// If the body is not UTF-8, is not JSON, has a member twice, or is not an object.
pub(super) fn read<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Rejection> {
    // Serde does not check the text of members that no parser reads.
    let text =
        std::str::from_utf8(body).map_err(|_| Rejection::Body("it is not UTF-8".to_owned()))?;
    match serde_json::from_str(text) {
        Ok(Object::Members(members)) => Ok(members),
        Ok(Object::Missing | Object::Other) => Err(Rejection::OtherProtocol("it is not an object")),
        // The message has a position, and no text of the body but names of members.
        Err(error) => Err(Rejection::Body(super::excerpt(&error.to_string()))),
    }
}
