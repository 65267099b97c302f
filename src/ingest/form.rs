//! Parameters in query strings and forms.

use super::Rejection;

/// Maximum number of parameters.
const PARAMETERS_MAX: usize = 100;

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Adds those of a text such as `a=1&b=2`.
    ///
    /// # Errors
    /// If an escape is not valid, text is not UTF-8, or there are too many parameters.
    pub(super) fn add(&mut self, text: &str) -> Result<(), Rejection> {
        for pair in pairs(text) {
            let invalid = Rejection::Parameters("an escape is not valid UTF-8");
            let (name, value) = pair.ok_or(invalid)?;
            if self.0.len() == PARAMETERS_MAX {
                return Err(Rejection::Parameters("there are more than 100"));
            }
            self.0.push((name, value));
        }
        Ok(())
    }

    /// Returns the value of a parameter. An empty value is a missing one.
    ///
    /// # Errors
    /// If it has two different values.
    pub(super) fn get(&self, name: &'static str) -> Result<Option<&str>, Rejection> {
        let mut values = self.0.iter().filter(|(other, value)| other == name && !value.is_empty());
        let Some((_, first)) = values.next() else { return Ok(None) };
        if values.any(|(_, value)| value != first) {
            return Err(Rejection::Repeated(name));
        }
        Ok(Some(first))
    }
}

/// Returns the names and values of a text such as `a=1&b=2`. `None` stands for a pair whose escapes are not valid UTF-8.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = Option<(String, String)>> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((unescape(name, b' ')?, unescape(value, b' ')?))
    })
}

/// Decodes the escapes of a text. A plus stands for the byte `plus`: a space in names and values, and itself in paths. Returns
/// `None` if an escape is not valid, or the result is not UTF-8.
pub(crate) fn unescape(text: &str, plus: u8) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |digit: u8| char::from(digit).to_digit(16);
        bytes.push(match byte {
            b'+' => plus,
            b'%' => u8::try_from(hex(rest.next()?)? << 4 | hex(rest.next()?)?).ok()?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}
