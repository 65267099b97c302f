//! The columns of a coordinate, and the coordinate in a row.

use super::super::decimal::parse_f64;
use super::super::value::excerpt;
use super::angle::{self, Angle, Packed};
use super::splitter::Row;

/// The columns of a coordinate.
#[derive(Clone)]
pub(super) struct Axis {
    pub what: &'static str,
    pub at: usize,
    /// The number by which integers are divided; 1 for degrees.
    pub divisor: f64,
    /// The column with the hemisphere.
    pub hemisphere: Option<HemisphereColumn>,
    /// The letters of the hemispheres; `None` for planar coordinates.
    pub letters: Option<[char; 2]>,
}

/// A column with the hemisphere of a coordinate.
#[derive(Clone, Copy)]
pub(super) struct HemisphereColumn {
    pub at: usize,
    /// Whether the column may have plus and minus signs.
    pub is_sign: bool,
    /// Whether a blank value stands for the sign of the number.
    pub may_be_blank: bool,
}

impl Axis {
    /// Returns whether a row has a blank hemisphere that is read with the sign of the number.
    pub(super) fn hemisphere_is_blank(&self, row: Row<'_>) -> bool {
        self.hemisphere
            .filter(|column| column.may_be_blank)
            .is_some_and(|column| row.get(column.at).unwrap_or_default().trim_ascii().is_empty())
    }
}

impl HemisphereColumn {
    /// Returns the sign that a value of the column stands for.
    pub(super) fn sign(self, value: &[u8], letters: [char; 2]) -> Option<f64> {
        let sign = match value {
            b"+" | b"+1" | b"1" if self.is_sign => Some(1.0),
            b"-" | b"-1" if self.is_sign => Some(-1.0),
            _ => None,
        };
        sign.or_else(|| angle::hemisphere(value, letters))
    }
}

/// Reads a coordinate and its hemisphere.
pub(super) fn coordinate(axis: &Axis, row: Row<'_>) -> Result<Angle, String> {
    let Some(field) = row.get(axis.at) else {
        return Err(format!("the row is too short and has no {}", axis.what));
    };
    let field = field.trim_ascii();
    if axis.divisor == 1.0 && axis.hemisphere.is_none() {
        return angle::parse(axis.what, field, axis.letters);
    }
    let angle = match axis.divisor {
        1.0 => angle::parse(axis.what, field, axis.letters)?,
        divisor => {
            let value = parse_f64(field).filter(|value| value.fract() == 0.0);
            let not_whole =
                || format!("the {} {} is not a whole number", axis.what, excerpt(field));
            Angle::number(value.ok_or_else(not_whole)? / divisor, false)
        }
    };
    let (Some(column), Some(letters)) = (axis.hemisphere, axis.letters) else { return Ok(angle) };
    let text = row.get(column.at).unwrap_or_default().trim_ascii();
    let found = || excerpt(text);
    let Some(sign) = column.sign(text, letters) else {
        return match text.is_empty() && column.may_be_blank {
            true => Ok(angle),
            false => Err(format!("the hemisphere {} of the {} is not valid", found(), axis.what)),
        };
    };
    if angle.hemisphere.is_some_and(|own| own != sign) {
        let value = excerpt(field);
        return Err(format!("the {} {value} contradicts its hemisphere {}", axis.what, found()));
    }
    let unsigned = field.strip_prefix(b"-").unwrap_or(field);
    let packed = match angle.hemisphere.is_none() && axis.divisor == 1.0 {
        true => angle::packed(unsigned, letters),
        false => Packed::Degrees,
    };
    let (value, is_packed) = match packed {
        Packed::Degrees => (angle.value.abs(), angle.is_packed),
        Packed::Minutes(value) => (value, true),
        Packed::Unknown => {
            return Err(format!("the {} {} is not like DDMM.mmm", axis.what, excerpt(field)));
        }
    };
    if sign > 0.0 && angle.value < 0.0 {
        return Err(format!(
            "the {} {} is negative but its hemisphere is {}",
            axis.what,
            angle.value,
            found()
        ));
    }
    Ok(Angle { value: value.copysign(sign), is_packed, ..angle })
}
