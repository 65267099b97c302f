//! The serde visitors of the reader: a list, an object, a name. They do not depend on GeoJSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::value::truncate;

/// Handles the elements of a list.
pub(super) trait SeqThen<'de> {
    fn seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error>;
}

/// Expects a list and passes it to `then`.
pub(super) struct Seq<T> {
    pub what: &'static str,
    pub then: T,
}

impl<'de, T: SeqThen<'de>> Visitor<'de> for Seq<T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        self.then.seq(list)
    }
}

/// Handles the members of an object.
pub(super) trait MapThen<'de> {
    fn map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error>;
}

/// Expects an object, and optionally `null`, and passes it to `then`.
pub(super) struct Map<T> {
    pub or_null: bool,
    pub what: &'static str,
    pub then: T,
}

impl<'de, T: MapThen<'de>> Visitor<'de> for Map<T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if self.or_null {
            return Ok(());
        }
        Err(E::invalid_type(serde::de::Unexpected::Unit, &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        self.then.map(members)
    }
}

/// Finds the `name` of an object, or else its `title`. The case of the letters is ignored. `null` has no name.
pub(super) struct Name {
    pub bytes_max: usize,
}

impl<'de> Visitor<'de> for Name {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("properties")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut name, mut title) = (None, None);
        while let Some(key) = members.next_key::<String>()? {
            let slot = match () {
                () if key.eq_ignore_ascii_case("name") => &mut name,
                () if key.eq_ignore_ascii_case("title") => &mut title,
                () => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if let Text(Some(text)) = members.next_value()? {
                *slot = Some(truncate(&text, self.bytes_max).to_owned());
            }
        }
        Ok(name.or(title))
    }
}

/// A string or a number as text; `None` for other values and for a blank string.
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        let text = text.trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
