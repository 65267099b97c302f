//! The URL of a store: a PostgreSQL database, a directory, or memory.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::store::PostgresSettings;

/// Where recordings are stored. Debug and Display show no password.
#[derive(Clone, Debug)]
pub(super) enum StoreUrl {
    /// `postgres://` or `postgresql://`
    Database(Box<PostgresSettings>),
    /// `redb:DIRECTORY`
    Directory(PathBuf),
    /// `memory:`
    Memory,
}

/// The variables that `serve` reads for its store.
const STORE_VARIABLE: &str = "WAYWISER_STORE";
const DIRECTORY_VARIABLE: &str = "WAYWISER_DATA_DIR";

impl StoreUrl {
    /// Returns the store that the environment sets for `serve`, for a command whose arguments set none. An empty variable
    /// is not set.
    ///
    /// # Errors
    /// If the URL is not valid, or two variables set a store. The message contains no URL.
    pub(super) fn of_environment() -> Result<Option<Self>, String> {
        Self::of_variables(|name| std::env::var_os(name))
    }

    fn of_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, String> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        match (set(STORE_VARIABLE), set(DIRECTORY_VARIABLE)) {
            (Some(_), Some(_)) => Err(format!(
                "{STORE_VARIABLE} and {DIRECTORY_VARIABLE} are both set: remove one of them, or use a flag"
            )),
            (Some(url), None) => {
                let url = url.to_str().ok_or_else(|| format!("{STORE_VARIABLE} is not UTF-8"))?;
                let url = url.parse().map_err(|error| format!("{STORE_VARIABLE}: {error}"))?;
                Ok(Some(url))
            }
            (None, directory) => Ok(directory.map(|directory| Self::Directory(directory.into()))),
        }
    }
}

const FORMS: &str = "use postgres://USER@HOST/DATABASE, redb:DIRECTORY or memory:";

impl FromStr for StoreUrl {
    type Err = String;

    /// Parses a URL. The error does not contain it, because it may have a password.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(match text.contains(['/', '\\']) {
                true => "it has no scheme; for a directory, write redb: in front of it".to_owned(),
                false => format!("it has no scheme; {FORMS}"),
            });
        };
        match scheme {
            "postgres" | "postgresql" => {
                let settings = PostgresSettings::parse(text).map_err(|error| error.to_string())?;
                Ok(Self::Database(Box::new(settings)))
            }
            "redb" if rest.is_empty() => {
                Err("the directory is missing; use a URL such as redb:/var/lib/waywiser".to_owned())
            }
            "redb" if rest.starts_with("//") => {
                Err("a directory has no host; write redb:/DIRECTORY, without //".to_owned())
            }
            "redb" => Ok(Self::Directory(PathBuf::from(rest))),
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err("a store in memory has no name; use memory:".to_owned()),
            _ => Err(format!("it has an unknown scheme; {FORMS}")),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(settings) => settings.fmt(f),
            Self::Directory(directory) => write!(f, "redb:{}", directory.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_store_has_a_scheme() {
        for (text, shown) in [
            ("postgres://way@db.example.org/paths", "postgres://way@db.example.org/paths"),
            ("redb:/var/lib/waywiser", "redb:/var/lib/waywiser"),
            ("redb:data", "redb:data"),
            ("memory:", "memory:"),
        ] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().to_string(), shown);
        }
        let url: StoreUrl = "postgresql://way:hunter2@db.example.org/paths".parse().unwrap();
        assert!(matches!(url, StoreUrl::Database(_)));
        for text in [url.to_string(), format!("{url:?}")] {
            assert!(!text.contains("hunter2") && text.contains("db.example.org"), "{text}");
        }
    }

    #[test]
    fn the_variables_of_the_server_set_the_store() {
        let of = |store: &str, directory: &str| {
            let (store, directory) = (OsString::from(store), OsString::from(directory));
            let url = StoreUrl::of_variables(|name| match name {
                "WAYWISER_STORE" => Some(store.clone()),
                "WAYWISER_DATA_DIR" => Some(directory.clone()),
                _ => None,
            });
            url.map(|url| url.map(|url| url.to_string()))
        };
        assert_eq!(of("", ""), Ok(None));
        assert_eq!(of("redb:a", ""), Ok(Some("redb:a".to_owned())));
        assert_eq!(of("", "b"), Ok(Some("redb:b".to_owned())));
        let error = of("postgres://way:hunter2@db/paths", "b").unwrap_err();
        assert!(error.contains("both set") && !error.contains("hunter2"), "{error}");
        let error = of("mysql://way:hunter2@db/paths", "").unwrap_err();
        assert!(error.contains(FORMS) && !error.contains("hunter2"), "{error}");
        assert_eq!(StoreUrl::of_variables(|_| None).unwrap().map(|url| url.to_string()), None);
    }

    #[test]
    fn an_error_has_advice_and_no_password() {
        for (text, advice) in [
            ("", FORMS),
            ("data", FORMS),
            ("/var/lib/waywiser", "write redb: in front of it"),
            ("redb:", "such as redb:/var/lib/waywiser"),
            ("redb:///var/lib/waywiser", "without //"),
            ("memory:hunter2", "use memory:"),
            ("mysql://way:hunter2@db/paths", FORMS),
            ("postgres:way:hunter2@db/paths", ""),
            (
                "postgres://way:hunter2@db/paths?no_such_option=1",
                "unknown option \"no_such_option\": use sslmode",
            ),
            ("postgres://way:hunter2@db:port/paths", "port"),
            ("postgres://:hunter2@db/paths", "USER"),
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err();
            assert!(error.contains(advice) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
