//! The connection to a server, for all client commands: its URL, TLS, the token and further headers.
//!
//! A token is never an argument, because other users of the machine can read the arguments of a process. It comes from
//! a file or from the environment.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use tonic::Code;

use super::stderr;
use crate::client::{Client, ClientBuilder, ClientError, ServerUrl, TokenSource, checked_header};

const SERVER: &str = "WAYWISER_SERVER";
const TOKEN: &str = "WAYWISER_TOKEN";
const TOKEN_FILE: &str = "WAYWISER_TOKEN_FILE";

/// The server of commands that connect to one by default.
const DEFAULT_SERVER: &str = "http://127.0.0.1:50051";

/// Maximum size of a file with certificates or a key.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// The connection to a server.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(in crate::cli) struct ConnectArgs {
    /// URL of the server, such as https://paths.example.org
    ///
    /// Without a port, the port is 443 for https and 50051 for http. Without a scheme, the scheme is http.
    #[arg(long, value_name = "URL", env = SERVER, hide_env_values = true, value_parser = server_url)]
    server: Option<String>,

    #[command(flatten)]
    credentials: CredentialArgs,
}

/// The credentials of calls, and the CAs that the client trusts.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(in crate::cli) struct CredentialArgs {
    /// CA certificates (PEM) to trust instead of those of the system
    #[arg(long, value_name = "FILE", env = "WAYWISER_CA_FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,

    /// Client certificate (PEM), for servers that require one
    ///
    /// The certificate and the key are read again for each connection.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// Private key (PEM) of the client certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// File with the bearer token; it is read again when it changes
    ///
    /// WAYWISER_TOKEN can have the token itself. A token is sent over https only, except to this machine.
    #[arg(long, value_name = "FILE", env = TOKEN_FILE, hide_env_values = true)]
    token_file: Option<PathBuf>,

    /// Header to send with each call; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = header)]
    header: Vec<Header>,
}

/// A header of all calls. Its value may be a secret, so that Debug output does not show it.
#[derive(Clone)]
struct Header {
    name: String,
    value: String,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=..", self.name)
    }
}

/// The origin of the token that calls send.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TokenOrigin {
    None,
    File(PathBuf),
    Environment,
}

impl ConnectArgs {
    /// Returns the URL of the server, if one is given.
    pub(in crate::cli) fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Returns the URL of the server, or that of the default port on this machine.
    pub(in crate::cli) fn server_or_default(&self) -> &str {
        self.server().unwrap_or(DEFAULT_SERVER)
    }

    /// Returns whether the server is given by the environment, and not by an argument.
    pub(in crate::cli) fn is_from_environment(&self) -> bool {
        self.server.is_some() && env::var(SERVER).ok() == self.server
    }

    /// Returns the credentials.
    pub(in crate::cli) fn credentials(&self) -> &CredentialArgs {
        &self.credentials
    }

    /// Returns the settings of a client of the server at `url`.
    ///
    /// # Errors
    /// Returns a message if a file cannot be read or the environment is ambiguous.
    pub(in crate::cli) fn client(&self, url: &str) -> Result<ClientBuilder, String> {
        self.credentials.apply(Client::builder(url))
    }

    /// Returns the message of an error. The message about a refused call names the source of the token.
    pub(in crate::cli) fn explain(&self, error: &ClientError) -> String {
        self.credentials.explain(error)
    }
}

impl CredentialArgs {
    /// Adds the credentials and the headers to the settings of a client. Prints a warning about a secret that other
    /// users can read.
    ///
    /// # Errors
    /// Returns a message if a file cannot be read or the environment is ambiguous.
    pub(in crate::cli) fn apply(
        &self,
        mut builder: ClientBuilder,
    ) -> Result<ClientBuilder, String> {
        if let Some(path) = &self.ca_file {
            builder = builder.ca_pem(read_pem("--ca-file", path)?);
        }
        if let (Some(certificate), Some(key)) = (&self.cert, &self.key) {
            warn_if_readable(key);
            let (certificates, private_key) =
                (read_pem("--cert", certificate)?, read_pem("--key", key)?);
            // A pipe can be read only once.
            builder = match certificate.is_file() && key.is_file() {
                true => builder.client_identity_files(certificate, key),
                false => builder.client_identity_pem(certificates, private_key),
            };
        }
        builder = match self.token_origin()? {
            TokenOrigin::None => builder,
            TokenOrigin::File(path) => {
                warn_if_readable(&path);
                builder.token(TokenSource::file(path))
            }
            TokenOrigin::Environment => {
                // A value that is not Unicode is not a valid token, which the source reports.
                let token = env::var_os(TOKEN).unwrap_or_default();
                builder.token(TokenSource::value(token.to_string_lossy().trim()))
            }
        };
        for Header { name, value } in &self.header {
            builder = builder.header(name, value);
        }
        Ok(builder)
    }

    /// Returns the origin of the token. A flag has precedence over the environment. An empty variable is not set.
    fn token_origin(&self) -> Result<TokenOrigin, String> {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        let file = self.token_file.clone();
        let is_flag = file.is_some()
            && variable(TOKEN_FILE).as_deref() != file.as_ref().map(|path| path.as_os_str());
        match (file, variable(TOKEN)) {
            (Some(_), Some(_)) if !is_flag => {
                Err(format!("both {TOKEN} and {TOKEN_FILE} are set; unset one of them"))
            }
            (Some(path), _) => Ok(TokenOrigin::File(path)),
            (None, Some(_)) => Ok(TokenOrigin::Environment),
            (None, None) => Ok(TokenOrigin::None),
        }
    }

    /// Returns the message of an error. The message about a refused call names the source of the token.
    pub(in crate::cli) fn explain(&self, error: &ClientError) -> String {
        match self.advice(error) {
            Some(advice) => format!("{error}; {advice}"),
            None => error.to_string(),
        }
    }

    /// Returns what to do about a call that the server refused because of the credentials.
    pub(in crate::cli) fn advice(&self, error: &ClientError) -> Option<String> {
        let ClientError::Status(status) = error else { return None };
        let origin = self.token_origin().unwrap_or(TokenOrigin::None);
        if let (Some(path), TokenOrigin::None) = (&self.cert, &origin) {
            return self.certificate_advice(status.code(), path);
        }
        Some(match (status.code(), origin) {
            (Code::Unauthenticated, TokenOrigin::None) => {
                format!(
                    "pass a token with --token-file FILE or {TOKEN}, or a client certificate with --cert FILE --key FILE"
                )
            }
            (Code::Unauthenticated, TokenOrigin::File(path)) => {
                format!("check the token in {} (--token-file)", path.display())
            }
            (Code::Unauthenticated, TokenOrigin::Environment) => {
                format!("check the token in {TOKEN}, or pass another one with --token-file FILE")
            }
            (Code::PermissionDenied, TokenOrigin::File(path)) => {
                format!("the token in {} (--token-file) does not permit this", path.display())
            }
            (Code::PermissionDenied, TokenOrigin::Environment) => {
                format!(
                    "the token in {TOKEN} does not permit this; pass another one with --token-file FILE"
                )
            }
            // Without credentials, the message of the server has the remedy.
            _ => return None,
        })
    }

    /// Returns what to do about a call with only a client certificate that the server refused.
    fn certificate_advice(&self, code: Code, certificate: &Path) -> Option<String> {
        let path = certificate.display();
        match code {
            Code::Unauthenticated => {
                Some(format!("check the client certificate in {path} (--cert)"))
            }
            Code::PermissionDenied => {
                Some(format!("the client certificate in {path} (--cert) does not permit this"))
            }
            _ => None,
        }
    }
}

/// Parses the URL of a server.
pub(in crate::cli) fn server_url(text: &str) -> Result<String, String> {
    match ServerUrl::parse(text) {
        // The error of the parser of arguments would show the password. The client reports it without.
        Ok(_) | Err(ClientError::UrlSecret) => Ok(text.to_owned()),
        Err(_) => Err("must be a URL such as http://127.0.0.1:50051, without a path".to_owned()),
    }
}

fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    if name.eq_ignore_ascii_case("authorization") {
        return Err(
            "must not be the authorization, which other users could read; use --token-file"
                .to_owned(),
        );
    }
    // The error does not have the name: what precedes the first = may be a part of a secret.
    checked_header(name, value).map_err(|reason| format!("the header cannot be sent: {reason}"))?;
    Ok(Header { name: name.to_owned(), value: value.to_owned() })
}

/// Reads a PEM file of limited size.
fn read_pem(flag: &str, path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let failed =
        |reason: &dyn fmt::Display| format!("{flag}: {} cannot be read: {reason}", path.display());
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    match bytes.len() as u64 > PEM_BYTES_MAX {
        true => Err(failed(&format_args!("it has more than {PEM_BYTES_MAX} bytes"))),
        false => Ok(bytes),
    }
}

/// Prints a warning if all users of the machine can read a file with a secret.
fn warn_if_readable(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path).ok().filter(|metadata| metadata.is_file());
        if mode.is_some_and(|metadata| metadata.permissions().mode() & 0o004 != 0) {
            let path = path.display().to_string();
            let path = super::report::escape_control(&path);
            stderr::print(format_args!(
                "warning: all users of this machine can read {path}; chmod 600 {path} prevents it"
            ));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        connect: ConnectArgs,
    }

    fn parse(words: &[&str]) -> Result<ConnectArgs, String> {
        let words = ["waywiser"].iter().chain(words);
        Line::try_parse_from(words).map(|line| line.connect).map_err(|error| error.to_string())
    }

    #[test]
    fn the_parts_of_a_client_certificate_belong_together() {
        assert!(parse(&["--cert", "a"]).unwrap_err().contains("--key <FILE>"));
        assert!(parse(&["--key", "a"]).unwrap_err().contains("--cert <FILE>"));
        let error = parse(&["--cert", "/nowhere/a", "--key", "/nowhere/b"]).unwrap();
        let error = error.client("https://h").unwrap_err();
        assert!(error.starts_with("--cert: /nowhere/a cannot be read"), "{error}");
    }

    #[test]
    fn a_header_is_a_pair_and_never_the_token() {
        let args = parse(&["--header", "x-key=a=b", "--header", "x-other="]).unwrap();
        let pairs = args.credentials.header.iter().map(|header| (&*header.name, &*header.value));
        assert_eq!(pairs.collect::<Vec<_>>(), [("x-key", "a=b"), ("x-other", "")]);
        assert!(!format!("{args:?}").contains("a=b"));
        assert!(parse(&["--header", "x"]).unwrap_err().contains("must be KEY=VALUE"));
        for wrong in ["a b=hunter2", "=hunter2", "te=hunter2", "x=hunter2\u{7f}"] {
            let error = parse(&["--header", wrong]).unwrap_err();
            assert!(error.contains("the header cannot be sent: "), "{error}");
        }
        for name in ["authorization", "Authorization"] {
            let error = parse(&["--header", &format!("{name}=Bearer x")]).unwrap_err();
            assert!(error.contains("use --token-file"), "{error}");
        }
    }

    #[test]
    fn a_refused_call_names_the_file_of_the_token() {
        let args = parse(&["--token-file", "/run/token"]).unwrap();
        let explained = |args: &ConnectArgs, code| {
            args.explain(&ClientError::from(Box::new(tonic::Status::new(code, "no"))))
        };
        insta::assert_snapshot!(
            explained(&args, Code::Unauthenticated),
            @"the server answered Unauthenticated: no; check the token in /run/token (--token-file)"
        );
        insta::assert_snapshot!(
            explained(&args, Code::PermissionDenied),
            @"the server answered PermissionDenied: no; the token in /run/token (--token-file) does not permit this"
        );
        insta::assert_snapshot!(explained(&args, Code::NotFound), @"the server answered NotFound: no");
        let args = parse(&["--cert", "/run/cert.pem", "--key", "/run/key.pem"]).unwrap();
        insta::assert_snapshot!(
            explained(&args, Code::Unauthenticated),
            @"the server answered Unauthenticated: no; check the client certificate in /run/cert.pem (--cert)"
        );
        insta::assert_snapshot!(
            explained(&args, Code::PermissionDenied),
            @"the server answered PermissionDenied: no; the client certificate in /run/cert.pem (--cert) does not permit this"
        );
        // A caller without credentials is refused by another rule, such as one for loopback addresses.
        let args = parse(&[]).unwrap();
        insta::assert_snapshot!(explained(&args, Code::PermissionDenied), @"the server answered PermissionDenied: no");
    }

    #[test]
    #[cfg(unix)]
    fn the_url_may_have_no_password() {
        let args = parse(&["--server", "http://user:secret@host"]).unwrap();
        let error = args.client(args.server().unwrap()).unwrap().connect_lazy().unwrap_err();
        assert!(matches!(error, ClientError::UrlSecret));
        assert!(parse(&["--server", ""]).is_err());
    }
}
