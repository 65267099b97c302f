//! The syntax of the URL of a database: percent escapes, hosts and options. It gives no meaning to the options.

use std::fmt::Write as _;

use super::{PostgresSettingsError, invalid};

/// The parts of a URL, decoded.
#[derive(Debug, Default)]
pub(super) struct Url {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) hosts: Vec<UrlHost>,
    /// The ports of the option `port`.
    pub(super) ports: Vec<String>,
    pub(super) database: Option<String>,
    /// All other options in their order.
    pub(super) options: Vec<(String, String)>,
    /// Whether no option can be a part of a password that is not encoded.
    pub(super) shows_options: bool,
}

#[derive(Debug)]
pub(super) struct UrlHost {
    pub(super) name: String,
    pub(super) port: Option<String>,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, PostgresSettingsError> {
        let rest =
            ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| {
            invalid("the URL does not start with postgres://; write it as postgres://USER@HOST/DATABASE")
        })?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        if options.contains('@') && !rest.contains('@') {
            return Err(invalid(
                "the user or the password of the URL has a question mark: write it as %3F",
            ));
        }
        let (authority, database) = match rest.rsplit_once('@') {
            // A password may contain an unescaped slash.
            Some((credentials, rest)) => {
                let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
                ((Some(credentials), hosts), database)
            }
            None => {
                let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
                ((None, hosts), database)
            }
        };
        // A password that is not encoded can have a question mark or, if it is an option, an ampersand.
        let mut url = Self { shows_options: !options.contains('@'), ..Self::default() };
        if let Some(credentials) = authority.0 {
            let (user, password) = match credentials.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (credentials, None),
            };
            url.user = non_empty(decode("user", user)?);
            url.password = password.map(|password| decode("password", password)).transpose()?;
        }
        url.hosts = hosts(authority.1)?;
        url.database = non_empty(decode("database", database)?);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            // The value may be a password.
            let (key, value) = option
                .split_once('=')
                .ok_or_else(|| invalid("an option of the URL has no value: write OPTION=VALUE"))?;
            let key = decode("name of an option", key)?;
            let value = decode(&format!("option {key}"), value)?;
            url.set(key, value)?;
        }
        Ok(url)
    }

    fn set(&mut self, key: String, value: String) -> Result<(), PostgresSettingsError> {
        match key.as_str() {
            "user" => self.user = Some(value),
            "password" => {
                self.password = Some(value);
                self.shows_options = false;
            }
            "dbname" => self.database = Some(value),
            "host" => {
                let names = value.split(',').filter(|name| !name.is_empty());
                let host = |name: &str| UrlHost { name: name.to_owned(), port: None };
                self.hosts = names.map(host).collect();
            }
            "port" => self.ports = value.split(',').map(str::to_owned).collect(),
            _ if self.options.iter().any(|(known, _)| *known == key) => {
                return Err(invalid(format!("the URL has the option {key:?} twice")));
            }
            _ => self.options.push((key, value)),
        }
        Ok(())
    }
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn hosts(text: &str) -> Result<Vec<UrlHost>, PostgresSettingsError> {
    let mut hosts = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, port) = match part.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest
                    .split_once(']')
                    .filter(|(_, port)| port.is_empty() || port.starts_with(':'))
                    .ok_or_else(|| {
                        invalid("an IPv6 address in the URL is written as [ADDRESS]:PORT")
                    })?;
                (name, port.strip_prefix(':'))
            }
            None => match part.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (part, None),
            },
        };
        hosts.push(UrlHost { name: decode("host", name)?, port: port.map(str::to_owned) });
    }
    Ok(hosts)
}

/// Replaces percent escapes. `part` names the part of the URL in errors, which do not contain its text.
fn decode(part: &str, text: &str) -> Result<String, PostgresSettingsError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = tail.split_first_chunk::<2>().and_then(|(digits, tail)| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let value = digit(digits[0])? * 16 + digit(digits[1])?;
            Some((u8::try_from(value).ok()?, tail))
        });
        let (byte, tail) = digits.ok_or_else(|| {
            invalid(format!(
                "the {part} of the URL has a % without two hexadecimal digits: write %25"
            ))
        })?;
        bytes.push(byte);
        rest = tail;
    }
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    text.ok_or_else(|| invalid(format!("the {part} of the URL is not text in UTF-8 without NUL")))
}

/// Returns the URL without a password.
pub(super) fn display(
    user: &str,
    hosts: &[(String, u16)],
    database: &str,
    options: &[(String, String)],
) -> String {
    let mut text = format!("postgres://{}@", encode(user));
    for (index, (host, port)) in hosts.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match host.contains(':') {
            true => text.extend(["[", host, "]"]),
            false => text.push_str(&encode(host)),
        }
        if *port != 5432 {
            let _ = write!(text, ":{port}");
        }
    }
    text.extend(["/", &encode(database)]);
    for (index, (option, value)) in options.iter().enumerate() {
        let separator = if index == 0 { '?' } else { '&' };
        let _ = write!(text, "{separator}{}={}", encode(option), encode(value));
    }
    text
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
