//! The format of a token file: TOML with one `[[principal]]` table for each principal.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::auth::derived::configured_namespace;
use crate::auth::principal::{Principal, PrincipalSource, Quota, Role};
use crate::auth::token::TokenHash;

/// Maximum number of principals.
const PRINCIPALS_MAX: usize = 10_000;
/// Maximum number of tokens, and of certificate names, of one principal.
const CREDENTIALS_MAX: usize = 32;
/// Maximum length of a certificate name.
const CERTIFICATE_NAME_BYTES_MAX: usize = 2048;

/// A principal and its credentials.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) principal: Principal,
    pub(super) tokens: Vec<TokenHash>,
    pub(super) certificate_names: Vec<CertificateName>,
}

/// A name in client certificates. A URI and a DNS name with the same text are different names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum CertificateName {
    Uri(Box<str>),
    Dns(Box<str>),
}

impl CertificateName {
    /// Returns the name with this text. A URI begins with a scheme and a colon (RFC 5280, section 4.2.1.6), and a DNS name
    /// has no colon.
    fn new(text: &str) -> Self {
        match text.contains(':') {
            true => Self::Uri(text.into()),
            false => Self::Dns(text.into()),
        }
    }
}

/// The content of a token file is not valid. The message contains no value that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFileError {
    /// The line, from 1.
    pub line: Option<usize>,
    /// The reason and the remedy.
    pub reason: String,
}

impl fmt::Display for TokenFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for TokenFileError {}

/// Checks the content of a token file, and returns the number of its principals.
///
/// # Errors
/// If it is not valid.
pub fn check_tokens(text: &str) -> Result<usize, TokenFileError> {
    parse(text).map(|entries| entries.len())
}

/// Reads the content of a token file.
///
/// # Errors
/// If it is not valid.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, TokenFileError> {
    let root = DeTable::parse(text).map_err(|error| TokenFileError {
        line: error.span().map(|span| line_of(text, span.start)),
        // Without the text of the line, which may contain a secret.
        reason: format!("is not valid TOML: {}", error.message()),
    })?;
    let reader = Reader { text };
    reader.only_keys(root.get_ref(), &["principal"])?;
    let Some((_, principals)) = root.get_ref().iter().next() else {
        return Err(TokenFileError {
            line: None,
            reason: "has no [[principal]] table; make one with: waywiser token new".to_owned(),
        });
    };
    let DeValue::Array(tables) = principals.get_ref() else {
        return reader.fail(&principals.span(), "principal is not a list; write [[principal]]");
    };
    if tables.len() > PRINCIPALS_MAX {
        let reason = format!("there are more principals than the limit of {PRINCIPALS_MAX}");
        return reader.fail(&principals.span(), reason);
    }
    let mut names = Unique { what: "the name", places: HashMap::new() };
    let mut tokens = Unique { what: "the token", places: HashMap::new() };
    let mut certificates = Unique { what: "the certificate name", places: HashMap::new() };
    let mut entries = Vec::with_capacity(tables.len());
    for table in tables.iter() {
        let (entry, spans) = reader.entry(table)?;
        names.add(&reader, entry.principal.name.clone(), &spans.name)?;
        for (token, span) in entry.tokens.iter().zip(&spans.tokens) {
            tokens.add(&reader, *token, span)?;
        }
        for (name, span) in entry.certificate_names.iter().zip(&spans.certificate_names) {
            certificates.add(&reader, name.clone(), span)?;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The values that must not repeat, with the places of their first uses.
struct Unique<T> {
    what: &'static str,
    places: HashMap<T, usize>,
}

impl<T: std::hash::Hash + Eq> Unique<T> {
    fn add(
        &mut self,
        reader: &Reader<'_>,
        value: T,
        span: &Range<usize>,
    ) -> Result<(), TokenFileError> {
        match self.places.insert(value, span.start) {
            None => Ok(()),
            Some(first) => {
                let line = line_of(reader.text, first);
                reader
                    .fail(span, format!("{} is already used in line {line}; remove one", self.what))
            }
        }
    }
}

/// The places of the values of an entry.
#[derive(Default)]
struct Spans {
    name: Range<usize>,
    tokens: Vec<Range<usize>>,
    certificate_names: Vec<Range<usize>>,
}

struct Reader<'a> {
    text: &'a str,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn fail<T>(&self, span: &Range<usize>, reason: impl Into<String>) -> Result<T, TokenFileError> {
        Err(TokenFileError { line: Some(line_of(self.text, span.start)), reason: reason.into() })
    }

    /// Checks that a table has no other keys.
    fn only_keys(&self, table: &DeTable<'_>, known: &[&str]) -> Result<(), TokenFileError> {
        let unknown = table.keys().find(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(key) = unknown else { return Ok(()) };
        let name = key.get_ref();
        let advice = match nearest(name, known) {
            Some(known) => format!("did you mean {known}?"),
            None => format!("the keys are: {}", known.join(", ")),
        };
        let name: String = name.chars().take(40).collect();
        self.fail(&key.span(), format!("unknown key {name:?}; {advice}"))
    }

    fn entry(&self, value: &Value<'_>) -> Result<(Entry, Spans), TokenFileError> {
        const KEYS: [&str; 6] =
            ["name", "namespace", "role", "token_sha256", "certificate_names", "quota"];
        let DeValue::Table(table) = value.get_ref() else {
            return self.fail(&value.span(), "principal is not a table; write [[principal]]");
        };
        self.only_keys(table, &KEYS)?;
        let get = |key: &str| table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, v)| v);
        let mut spans = Spans::default();
        let Some(name) = get("name") else {
            return self.fail(&value.span(), "the principal has no name; add name = \"...\"");
        };
        spans.name = name.span();
        let name = self.string(name, "name")?;
        if !Principal::is_name(name) {
            let reason = "a name has 1 to 256 bytes and no control characters";
            return self.fail(&spans.name, reason);
        }
        let source = PrincipalSource::Configuration;
        let namespace = match get("namespace") {
            None => None,
            Some(value) => {
                let parsed = configured_namespace(self.string(value, "namespace")?);
                Some(parsed.or_else(|reason| self.fail(&value.span(), reason))?)
            }
        };
        let role = match get("role") {
            None => Role::Writer,
            Some(value) => {
                let parsed = self.string(value, "role")?.parse();
                parsed.or_else(|error| self.fail(&value.span(), format!("{error}")))?
            }
        };
        let mut tokens = Vec::new();
        for item in self.list(get("token_sha256"), "token_sha256")? {
            let parsed = self.string(item, "an item of token_sha256")?.parse();
            tokens.push(parsed.or_else(|error| self.fail(&item.span(), format!("{error}")))?);
            spans.tokens.push(item.span());
        }
        let mut certificate_names = Vec::new();
        for item in self.list(get("certificate_names"), "certificate_names")? {
            let name = self.string(item, "an item of certificate_names")?;
            if !(1..=CERTIFICATE_NAME_BYTES_MAX).contains(&name.len()) {
                let reason =
                    format!("a certificate name has 1 to {CERTIFICATE_NAME_BYTES_MAX} bytes");
                return self.fail(&item.span(), reason);
            }
            certificate_names.push(CertificateName::new(name));
            spans.certificate_names.push(item.span());
        }
        if get("token_sha256").is_none() && get("certificate_names").is_none() {
            return self.fail(
                &value.span(),
                "the principal has no token_sha256 and no certificate_names, so it cannot be used; add one",
            );
        }
        let quota = self.quota(get("quota"))?;
        let principal = Principal { name: name.into(), source, namespace, role, quota };
        Ok((Entry { principal, tokens, certificate_names }, spans))
    }

    fn quota(&self, value: Option<&Value<'_>>) -> Result<Quota, TokenFileError> {
        const KEYS: [&str; 4] =
            ["max_streams", "max_points_per_second", "max_bytes_per_second", "max_recordings"];
        let Some(value) = value else { return Ok(Quota::default()) };
        let DeValue::Table(table) = value.get_ref() else {
            return self.fail(&value.span(), "quota is not a table; write [principal.quota]");
        };
        self.only_keys(table, &KEYS)?;
        let number = |key: &str, min: u64, max: u64| {
            // A principal that stores nothing is a reader.
            let remedy = if key == "max_recordings" { "; use role = \"reader\"" } else { "" };
            let found = table.iter().find(|(name, _)| name.get_ref() == key);
            let Some((_, value)) = found else { return Ok(None) };
            let integer = value.get_ref().as_integer();
            let number =
                integer.and_then(|text| u64::from_str_radix(text.as_str(), text.radix()).ok());
            match number {
                Some(0) if min > 0 => self
                    .fail(&value.span(), format!("{key} is 0, and must be at least {min}{remedy}")),
                Some(number) if number <= max => Ok(Some(number)),
                _ => self.fail(&value.span(), format!("{key} is not a number from {min} to {max}")),
            }
        };
        const NUMBER_MAX: u64 = i64::MAX as u64;
        let max_streams = number("max_streams", 1, u32::MAX.into())?;
        Ok(Quota {
            max_streams: max_streams.and_then(|number| u32::try_from(number).ok()),
            max_points_per_second: number("max_points_per_second", 1, NUMBER_MAX)?,
            max_bytes_per_second: number("max_bytes_per_second", 1, NUMBER_MAX)?,
            max_recordings: number("max_recordings", 1, NUMBER_MAX)?,
        })
    }

    fn string<'v>(&self, value: &'v Value<'_>, what: &str) -> Result<&'v str, TokenFileError> {
        match value.get_ref().as_str() {
            Some(text) => Ok(text),
            None => self.fail(&value.span(), format!("{what} is not a string; write it in quotes")),
        }
    }

    fn list<'v, 'a>(
        &self,
        value: Option<&'v Value<'a>>,
        what: &str,
    ) -> Result<&'v [Value<'a>], TokenFileError> {
        let Some(value) = value else { return Ok(&[]) };
        let DeValue::Array(items) = value.get_ref() else {
            let reason = format!("{what} is not a list; write {what} = [\"...\"]");
            return self.fail(&value.span(), reason);
        };
        if items.len() > CREDENTIALS_MAX {
            let reason = format!("{what} has more items than the limit of {CREDENTIALS_MAX}");
            return self.fail(&value.span(), reason);
        }
        Ok(&items[..])
    }
}

/// Returns the known key that is most similar to this one, if one is similar.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // Longer names are not similar, and comparing them takes long.
    const LENGTH_MAX: usize = 64;
    if name.len() > LENGTH_MAX {
        return None;
    }
    let name = name.to_lowercase();
    const PREFIX_MIN: usize = 3;
    let begins = |known: &&&str| name.len() >= PREFIX_MIN && known.starts_with(&name);
    if let Some(known) = known.iter().find(begins) {
        return Some(known);
    }
    let distances = known.iter().map(|known| (strsim::damerau_levenshtein(&name, known), *known));
    let (distance, nearest) = distances.min()?;
    (distance <= nearest.len().div_ceil(3)).then_some(nearest)
}

/// Returns the line of a byte of the text, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}
