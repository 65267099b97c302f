//! JSON objects in which no member repeats.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

/// A JSON object. Two members with the same name are an error, because other readers could use the other one.
#[derive(Debug, Default)]
pub(super) struct Object(BTreeMap<String, Value>);

impl Object {
    /// Reads an object from its text.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Returns a member.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Returns whether the object has this member.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns a member that must be a text if it is present. The outer `None` means that it is something else.
    pub(super) fn text(&self, name: &str) -> Option<Option<&str>> {
        match self.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text)),
            Some(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member repeats"));
            }
        }
        Ok(Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_each_member_once() {
        let object = Object::parse(br#"{"a": "x", "b": 1, "c": {"d": 1, "e": [1]}}"#).unwrap();
        assert_eq!(object.text("a"), Some(Some("x")));
        assert_eq!(object.text("b"), None);
        assert_eq!(object.text("z"), Some(None));
        assert!(object.has("c") && !object.has("d"));
        let deep = format!("{}{}", "{\"a\":".repeat(1000), "1");
        for bad in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, "[]", "1", "", "{}x", "{", &deep] {
            assert!(Object::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(Object::parse(b"{\"a\":\"\xff\"}").is_none());
    }
}
