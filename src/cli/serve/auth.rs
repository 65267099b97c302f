//! The authentication of `waywiser serve`, and the rule for servers that others can reach.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::tls::TlsArgs;
use crate::auth::{
    Access, AccessCounts, AccessSettings, Algorithm, CertificateNames, JwtSettings, KeySource,
    LoadError,
};
use crate::cli::units::Time;
use crate::metrics::{Samples, Source};

#[derive(Debug, Args)]
#[command(next_help_heading = "Authentication")]
pub(super) struct AuthArgs {
    /// Accept the tokens in this TOML file; `waywiser token new` makes them
    ///
    /// With any kind of authentication, all calls except health checks need credentials: the header "authorization:
    /// Bearer TOKEN", or a client certificate (--tls-client-ca). The file is read again every 2 seconds. A change takes
    /// effect within 4 seconds, and ends the calls of principals that were removed or have other rights. A file that
    /// cannot be used changes nothing and is reported in the log. Other users of the system must not be able to read the
    /// file, and its group must not be able to write it.
    #[arg(long, value_name = "FILE", env = "WAYWISER_TOKENS")]
    tokens: Option<PathBuf>,

    /// Client certificates (--tls-client-ca) that are accepted [default: listed with --tokens, otherwise derived]
    ///
    /// The removal of an entry ends the calls of its certificates with listed. With derived, the client CAs alone
    /// decide which clients are accepted.
    #[arg(
        long,
        value_enum,
        value_name = "WHICH",
        env = "WAYWISER_CERTIFICATE_NAMES",
        requires = "tls_client_ca"
    )]
    certificate_names: Option<AcceptedNames>,

    /// Accept JSON Web Tokens that are signed with the keys in this JSON Web Key Set
    ///
    /// A URL must begin with https://, or with http:// and a loopback address such as 127.0.0.1. It is fetched every 10
    /// minutes, and if a token has an unknown key, at most once in 30 seconds. A key is withdrawn when two fetches in a
    /// row lack it. All keys are removed 24 hours after the last fetch that has succeeded; then JSON Web Tokens are
    /// UNAVAILABLE. A file is read again every 2 seconds.
    #[arg(
        long,
        value_name = "FILE-OR-URL",
        env = "WAYWISER_JWKS",
        value_parser = str::parse::<KeySource>,
        requires_all = ["jwt_issuer", "jwt_audience"]
    )]
    jwks: Option<KeySource>,

    /// Issuer of the JSON Web Tokens: the claim iss
    #[arg(long, value_name = "ISSUER", env = "WAYWISER_JWT_ISSUER", requires = "jwks")]
    jwt_issuer: Option<String>,

    /// Audience of the JSON Web Tokens: the claim aud, or an item of it
    #[arg(long, value_name = "AUDIENCE", env = "WAYWISER_JWT_AUDIENCE", requires = "jwks")]
    jwt_audience: Option<String>,

    /// Accepted signature algorithms: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA
    #[arg(
        long,
        value_name = "ALGORITHM",
        env = "WAYWISER_JWT_ALGORITHMS",
        value_delimiter = ',',
        value_parser = str::parse::<Algorithm>,
        default_values_t = Algorithm::DEFAULT
    )]
    jwt_algorithms: Vec<Algorithm>,

    /// Tolerated difference of the clocks of issuer and server, at most 5m
    #[arg(
        long,
        value_name = "TIME",
        env = "WAYWISER_JWT_CLOCK_SKEW",
        value_parser = clock_skew,
        default_value = "1m"
    )]
    jwt_clock_skew: Time,

    /// Claim with the namespace of the caller; without it, the namespace follows from the claim sub
    #[arg(
        long,
        value_name = "CLAIM",
        env = "WAYWISER_JWT_NAMESPACE_CLAIM",
        default_value = "namespace"
    )]
    jwt_namespace_claim: String,

    /// Claim with the role of the caller: reader, writer (default) or admin
    #[arg(long, value_name = "CLAIM", env = "WAYWISER_JWT_ROLE_CLAIM", default_value = "role")]
    jwt_role_claim: String,

    /// Allow an address that other machines can reach without TLS or without authentication
    ///
    /// For a trusted network, or for a proxy that terminates TLS and authenticates callers.
    #[arg(long, env = "WAYWISER_INSECURE")]
    insecure: bool,
}

/// The values of --certificate-names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AcceptedNames {
    /// Those that an entry of the token file names; others are refused
    Listed,
    /// All; one that no entry names is a writer in the namespace of its own name
    Derived,
}

fn clock_skew(text: &str) -> Result<Time, String> {
    const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5 * 60);
    match text.parse()? {
        Time(skew) if skew > CLOCK_SKEW_MAX => Err("must be at most 5m".to_owned()),
        skew => Ok(skew),
    }
}

/// Returns the metrics of the credentials.
pub(super) fn metrics(access: Arc<Access>) -> impl Source {
    move |samples: &mut Samples<'_>| {
        let AccessCounts { tokens, keys } = access.counts();
        let sources = [("tokens", tokens), ("keys", keys)];
        let help = "Times that a token file or key set was loaded after the start; each successful fetch of a URL is one";
        samples.counter("waywiser_credentials_loads", help, |family| {
            for (source, counts) in sources {
                family.add(&[("source", source)], counts.loaded);
            }
        });
        let help = "Attempts to load a token file or a key set that failed; a wrong file fails every 2 seconds";
        samples.counter("waywiser_credentials_load_failures", help, |family| {
            for (source, counts) in sources {
                family.add(&[("source", source)], counts.failed);
            }
        });
        let Some(status) = access.key_set() else { return };
        let issuer = ("issuer", &*status.issuer);
        let help = "Time since the key set was last fetched from its URL, or checked in its file, with success, or since the start if that has never succeeded";
        samples.gauge("waywiser_key_set_age_seconds", help, |family| {
            family.add(&[issuer], status.age.as_secs_f64());
        });
        let help = "Keys that are accepted: those of the last key set that was loaded (current), and those that the last answer of the key server lacks (missing)";
        samples.gauge("waywiser_key_set_keys", help, |family| {
            for (state, keys) in [("current", status.keys), ("missing", status.missing)] {
                family.add(&[issuer, ("state", state)], keys as u64);
            }
        });
    }
}

impl AuthArgs {
    /// Returns whether callers can authenticate by a token, so that they need no client certificate.
    pub(super) fn accepts_tokens(&self) -> bool {
        self.tokens.is_some() || self.jwks.is_some()
    }

    /// Loads the credentials. Returns `None` for a server without authentication.
    ///
    /// # Errors
    /// If a file is not usable.
    pub(super) fn load(&self, tls: &TlsArgs) -> Result<Option<Access>, LoadError> {
        if !self.is_enabled(tls) {
            return Ok(None);
        }
        let jwt = match (&self.jwks, &self.jwt_issuer, &self.jwt_audience) {
            (Some(keys), Some(issuer), Some(audience)) => Some(JwtSettings {
                keys: keys.clone(),
                issuer: issuer.clone(),
                audience: audience.clone(),
                algorithms: self.jwt_algorithms.clone(),
                clock_skew: self.jwt_clock_skew.0,
                namespace_claim: self.jwt_namespace_claim.clone(),
                role_claim: self.jwt_role_claim.clone(),
            }),
            // clap requires all three together.
            _ => None,
        };
        let (tokens, certificates) = (self.tokens.clone(), self.certificate_names(tls));
        let loaded = Access::load(AccessSettings { tokens, jwt, certificates });
        loaded.map(Some).map_err(|mut error| {
            let is_tokens =
                self.tokens.as_ref().is_some_and(|path| path.display().to_string() == error.place);
            if is_tokens {
                error.place = format!("token file {}", error.place);
            }
            error
        })
    }

    /// Returns which client certificates are accepted. The default depends on the settings alone, and not on the content
    /// of the token file: the removal of its last certificate name accepts no certificate.
    fn certificate_names(&self, tls: &TlsArgs) -> Option<CertificateNames> {
        tls.has_client_ca().then_some(match (self.certificate_names, &self.tokens) {
            (Some(AcceptedNames::Listed), _) | (None, Some(_)) => CertificateNames::Listed,
            (Some(AcceptedNames::Derived), _) | (None, None) => CertificateNames::Derived,
        })
    }

    /// Checks that the settings fit together.
    ///
    /// # Errors
    /// A message that says what to do.
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.certificate_names, &self.tokens) {
            (Some(AcceptedNames::Listed), None) => Err(
                "--certificate-names listed would refuse all client certificates, because there is no token file: name the certificates in a file of --tokens, or use --certificate-names derived".to_owned()
            ),
            _ => Ok(()),
        }
    }

    /// Returns the warnings about credentials that are accepted or refused against the likely intention.
    pub(super) fn warnings(&self, tls: &TlsArgs, access: Option<&Access>) -> Vec<String> {
        let mut warnings = Vec::new();
        if let (Some(CertificateNames::Derived), Some(file)) =
            (self.certificate_names(tls), &self.tokens)
        {
            warnings.push(format!(
                "a client certificate that no entry of {} names is accepted as a writer, so the removal of an entry does not revoke its certificate; use --certificate-names listed",
                file.display()
            ));
        }
        if access.is_some_and(Access::refuses_all_certificates)
            && let Some(file) = &self.tokens
        {
            warnings.push(format!(
                "no entry of {} has certificate_names, so all client certificates are refused; add the names, or use --certificate-names derived",
                file.display()
            ));
        }
        warnings
    }

    /// Returns the credentials that are accepted, for the log.
    pub(super) fn describe(&self, tls: &TlsArgs) -> String {
        let mut kinds = Vec::new();
        if let Some(file) = &self.tokens {
            kinds.push(format!("tokens of {}", file.display()));
        }
        if let (Some(_), Some(issuer)) = (&self.jwks, &self.jwt_issuer) {
            kinds.push(format!("JSON Web Tokens of {issuer}"));
        }
        if let Some(names) = self.certificate_names(tls) {
            let need = if self.accepts_tokens() { "optional" } else { "required" };
            let which = match names {
                CertificateNames::Listed => "those that the token file names",
                _ => "all of the client CAs",
            };
            kinds.push(format!("client certificates ({need}; {which})"));
        }
        match kinds.is_empty() {
            true => "none: every caller is an administrator".to_owned(),
            false => kinds.join(", "),
        }
    }

    /// Checks that the server is protected if other machines can reach it. Returns a warning if --insecure allows that
    /// it is not.
    ///
    /// # Errors
    /// A message that names what is missing.
    pub(super) fn check_exposure(
        &self,
        listen: SocketAddr,
        tls: &TlsArgs,
    ) -> Result<Option<String>, String> {
        if listen.ip().to_canonical().is_loopback() {
            return Ok(None);
        }
        let (missing, remedy) = match (tls.is_enabled(), self.is_enabled(tls)) {
            (true, true) => return Ok(None),
            (false, true) => ("no TLS", "--tls-cert and --tls-key"),
            (true, false) => ("no authentication", "--tokens, --jwks or --tls-client-ca"),
            (false, false) => (
                "neither TLS nor authentication",
                "--tls-cert and --tls-key, and --tokens, --jwks or --tls-client-ca",
            ),
        };
        match self.insecure {
            true => Ok(Some(format!(
                "other machines may be able to reach {listen}, and the server has {missing} (--insecure)"
            ))),
            false => Err(format!(
                "other machines may be able to reach {listen}, and the server has {missing}: add {remedy}; or listen on 127.0.0.1; or allow this with --insecure"
            )),
        }
    }

    fn is_enabled(&self, tls: &TlsArgs) -> bool {
        self.accepts_tokens() || tls.has_client_ca()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        auth: AuthArgs,
        #[command(flatten)]
        tls: TlsArgs,
    }

    fn parse(arguments: &str) -> Result<Line, String> {
        let words = std::iter::once("serve").chain(arguments.split_whitespace());
        Line::try_parse_from(words).map_err(|error| error.to_string())
    }

    fn exposure(listen: &str, arguments: &str) -> Result<Option<String>, String> {
        let Line { auth, tls } = parse(arguments).unwrap();
        auth.check_exposure(listen.parse().unwrap(), &tls)
    }

    const TLS: &str = "--tls-cert c --tls-key k";

    #[test]
    fn a_server_that_others_can_reach_needs_tls_and_authentication() {
        for address in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(exposure(address, ""), Ok(None), "{address}");
        }
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:10.0.0.1]:1"] {
            let missing = exposure(address, "").unwrap_err();
            assert!(
                missing.contains("has neither TLS nor authentication: add --tls-cert"),
                "{missing}"
            );
            let missing = exposure(address, TLS).unwrap_err();
            assert!(missing.contains("no authentication: add --tokens"), "{missing}");
            let missing = exposure(address, "--tokens t").unwrap_err();
            assert!(missing.contains("no TLS: add --tls-cert"), "{missing}");
            for protected in [
                format!("{TLS} --tokens t"),
                format!("{TLS} --tls-client-ca ca"),
                format!("{TLS} --jwks k --jwt-issuer i --jwt-audience a"),
            ] {
                assert_eq!(exposure(address, &protected), Ok(None), "{protected}");
                assert_eq!(exposure(address, &format!("{protected} --insecure")), Ok(None));
            }
            let warning = exposure(address, "--insecure --tokens t").unwrap().unwrap();
            assert!(warning.contains("has no TLS (--insecure)"), "{warning}");
        }
    }

    #[test]
    fn json_web_tokens_need_keys_an_issuer_and_an_audience() {
        assert!(parse("--jwks k --jwt-issuer i --jwt-audience a").is_ok());
        for wrong in [
            "--jwks k",
            "--jwks k --jwt-issuer i",
            "--jwks k --jwt-audience a",
            "--jwt-issuer i --jwt-audience a",
            "--jwks http://example.org/k --jwt-issuer i --jwt-audience a",
            "--jwks k --jwt-issuer i --jwt-audience a --jwt-algorithms RS256,HS256",
            "--jwks k --jwt-issuer i --jwt-audience a --jwt-algorithms none",
            "--jwks k --jwt-issuer i --jwt-audience a --jwt-clock-skew 6m",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let Line { auth, .. } = parse("").unwrap();
        assert_eq!(auth.jwt_algorithms, Algorithm::DEFAULT);
        assert_eq!(auth.jwt_clock_skew, Time(Duration::from_secs(60)));
        let Line { auth, .. } =
            parse("--jwks k --jwt-issuer i --jwt-audience a --jwt-algorithms ES384,EdDSA").unwrap();
        assert_eq!(auth.jwt_algorithms, [Algorithm::Es384, Algorithm::EdDsa]);
    }

    const CAS: &str = "--tls-cert c --tls-key k --tls-client-ca ca";

    fn names(arguments: &str) -> Option<CertificateNames> {
        let Line { auth, tls } = parse(arguments).unwrap();
        auth.certificate_names(&tls)
    }

    #[test]
    fn with_a_token_file_it_names_the_accepted_certificates_by_default() {
        const JWT: &str = "--jwks k --jwt-issuer i --jwt-audience a";
        let (listed, derived) = (Some(CertificateNames::Listed), Some(CertificateNames::Derived));
        assert_eq!(names("--tokens t"), None);
        for (arguments, expected) in [
            ("", derived),
            (JWT, derived),
            ("--certificate-names derived", derived),
            ("--tokens t", listed),
            ("--tokens t --certificate-names listed", listed),
            ("--tokens t --certificate-names derived", derived),
        ] {
            assert_eq!(names(&format!("{CAS} {arguments}")), expected, "{arguments}");
        }
        let check = |arguments: &str| parse(&format!("{CAS} {arguments}")).unwrap().auth.check();
        assert_eq!(check("--tokens t --certificate-names listed"), Ok(()));
        for arguments in ["", JWT] {
            let error = check(&format!("{arguments} --certificate-names listed")).unwrap_err();
            assert!(error.contains("name the certificates in a file of --tokens"), "{error}");
        }
        assert!(parse("--tokens t --certificate-names derived").is_err(), "without client CAs");
    }

    #[test]
    fn credentials_that_are_accepted_or_refused_by_mistake_cause_a_warning() {
        let warnings = |arguments: &str| {
            let Line { auth, tls } = parse(&format!("{CAS} {arguments}")).unwrap();
            auth.warnings(&tls, None)
        };
        assert!(warnings("").is_empty() && warnings("--tokens t").is_empty());
        let [warning] = &warnings("--tokens t --certificate-names derived")[..] else { panic!() };
        assert!(warning.contains("no entry of t names is accepted as a writer"), "{warning}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, "principal = []").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let Line { auth, tls } = parse(&format!("{CAS} --tokens {}", file.display())).unwrap();
        let access = auth.load(&tls).unwrap();
        let [warning] = &auth.warnings(&tls, access.as_ref())[..] else { panic!() };
        assert!(warning.contains("all client certificates are refused"), "{warning}");
    }

    #[test]
    fn the_log_names_the_accepted_credentials() {
        let text = |arguments: &str| {
            let Line { auth, tls } = parse(arguments).unwrap();
            auth.describe(&tls)
        };
        insta::assert_snapshot!(text(""), @"none: every caller is an administrator");
        insta::assert_snapshot!(text(CAS), @"client certificates (required; all of the client CAs)");
        let all = format!("{CAS} --tokens t --jwks k --jwt-issuer i --jwt-audience a");
        insta::assert_snapshot!(text(&all), @"tokens of t, JSON Web Tokens of i, client certificates (optional; those that the token file names)");
    }
}
