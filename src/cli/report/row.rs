//! A row of a report for programs, as a JSON object or as fields of a CSV table.

use std::borrow::Cow;

use serde::ser::{Serialize, Serializer};

/// A row: its members in order.
pub(super) struct Row<'a>(pub(super) Vec<(Cow<'static, str>, Value<'a>)>);

pub(super) enum Value<'a> {
    /// An absent member of an object, or an empty field of a table.
    Missing,
    Null,
    Flag(bool),
    Text(Cow<'a, str>),
    Count(u64),
    Number(f64),
    Box([f64; 4]),
    Row(Row<'a>),
    Rows(Vec<Row<'a>>),
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let present = self.0.iter().filter(|(_, value)| !matches!(value, Value::Missing));
        serializer.collect_map(present.map(|(name, value)| (name, value)))
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Missing | Value::Null => serializer.serialize_none(),
            Value::Flag(flag) => serializer.serialize_bool(*flag),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Count(count) => serializer.serialize_u64(*count),
            // The sum removes the sign of a negative zero.
            Value::Number(number) => serializer.serialize_f64(*number + 0.0),
            Value::Box(sides) => sides.serialize(serializer),
            Value::Row(row) => row.serialize(serializer),
            Value::Rows(rows) => rows.serialize(serializer),
        }
    }
}

impl Value<'_> {
    pub(super) fn number(number: Option<f64>) -> Self {
        number.map_or(Value::Missing, Value::Number)
    }

    pub(super) fn seconds(ns: Option<u128>) -> Self {
        Self::number(ns.map(|ns| ns as f64 / 1e9))
    }

    /// Formats the value as a field of a table.
    pub(super) fn field(&self) -> String {
        match self {
            Value::Text(text) => text.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Count(count) => count.to_string(),
            Value::Number(number) => (number + 0.0).to_string(),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_zero_has_no_sign() {
        for (number, expected) in [(-0.0, "0.0"), (-1e-9, "-1e-9"), (2.5, "2.5")] {
            assert_eq!(serde_json::to_string(&Value::Number(number)).unwrap(), expected);
        }
        assert_eq!(Value::Number(-0.0).field(), "0");
    }
}
