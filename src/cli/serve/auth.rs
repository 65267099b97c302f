//! The authentication of `waywiser serve`, and the rule for servers that others can reach.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::tls::TlsArgs;
use crate::auth::{
    Access, AccessCounts, AccessSettings, Algorithm, JwtSettings, KeySource, LoadError,
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
    /// effect within 4 seconds, and ends the calls of principals that were removed or changed. A file that cannot be used
    /// changes nothing and is reported in the log. Other users of the system must not be able to read the file.
    #[arg(long, value_name = "FILE", env = "WAYWISER_TOKENS")]
    tokens: Option<PathBuf>,

    /// Accept JSON Web Tokens that are signed with the keys in this JSON Web Key Set
    ///
    /// A URL must begin with https://, or with http:// and an address of loopback. It is fetched every 10 minutes, and if
    /// a token has an unknown key, at most once in 30 seconds. A file is read again every 2 seconds.
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
        let (tokens, certificates) = (self.tokens.clone(), tls.has_client_ca());
        Access::load(AccessSettings { tokens, jwt, certificates }).map(Some)
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
}
