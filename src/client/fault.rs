//! The reasons for which a connection cannot carry calls although the port is open: TLS, certificates, and servers of
//! other protocols.

/// The error of a connection that was opened and cannot be used. A retry fails in the same way until the server or the
/// settings of the client change, except for [`ConnectionFault::Silent`] and [`ConnectionFault::Closed`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionFault {
    /// The certificate of the server is not signed by a known CA.
    #[error(
        "the server's certificate is signed by an unknown CA; if you trust its CA, pass the CA's certificate (--ca-file FILE)"
    )]
    UnknownIssuer,
    /// The certificate of the server is for other names.
    #[error("the server's certificate is not valid for {host}{}; use a name of the certificate in the URL", presented(.names))]
    NameMismatch {
        /// The host of the URL.
        host: String,
        /// The names of the certificate, as far as they are known.
        names: Vec<String>,
    },
    /// The certificate of the server has expired.
    #[error("the server's certificate has expired; renew it, or check the clock of this machine")]
    Expired,
    /// The certificate of the server is not valid yet.
    #[error("the server's certificate is not valid yet; check the clocks of both machines")]
    NotYetValid,
    /// The certificate of the server is that of a CA.
    #[error(
        "the server's certificate is that of a CA; the server needs a certificate of its own that the CA has signed"
    )]
    CaCertificate,
    /// The server requires a certificate of the client.
    #[error("the server requires a client certificate; pass one (--cert FILE --key FILE)")]
    ClientCertificateRequired,
    /// The server does not accept the certificate of the client.
    #[error("the server refuses the client certificate: {0}")]
    ClientCertificateRefused(String),
    /// TLS failed for another reason.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The URL is https, and the server does not speak TLS.
    #[error("the server does not speak TLS; use http:// if you trust the network")]
    NotTls,
    /// The URL is http, and the server speaks TLS.
    #[error("the server speaks TLS: use https://")]
    NeedsTls,
    /// The URL is http, and the server closed the connection before it answered. A proxy with TLS does this, and a server
    /// that ends.
    #[error("the server closed the connection before it answered; it may speak TLS (https://)")]
    Closed,
    /// The server speaks TLS, but not HTTP/2 over it.
    #[error("the server does not offer HTTP/2 over TLS (ALPN h2), so it is not a gRPC server")]
    NoHttp2,
    /// The server answered with HTTP/1.
    #[error("the server is not a gRPC server: it answered with HTTP/1: {0}")]
    Http1(String),
    /// The server answered a call with something other than gRPC, such as a page.
    #[error("the server is not a gRPC server: it answered with HTTP status {0}")]
    NotGrpc(String),
    /// The server speaks another protocol.
    #[error("the server is not a gRPC server: it does not speak HTTP/2")]
    NotHttp2,
    /// The server accepts connections and sends nothing.
    #[error("the port accepts connections, but no server answers there")]
    Silent,
}

impl ConnectionFault {
    /// Returns whether a retry may succeed without a change of the settings.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Silent | Self::Closed)
    }
}

fn presented(names: &[String]) -> String {
    /// A certificate may have thousands of names.
    const NAMES_MAX: usize = 5;
    let listed = names[..names.len().min(NAMES_MAX)].join(", ");
    match names.len() {
        0 => String::new(),
        1..=NAMES_MAX => format!(", only for {listed}"),
        _ => format!(", only for {listed} and others"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_mismatch_lists_the_first_names() {
        let text = |count: usize| {
            let names = (0..count).map(|i| format!("h{i}")).collect();
            ConnectionFault::NameMismatch { host: "a".to_owned(), names }.to_string()
        };
        insta::assert_snapshot!(text(0), @"the server's certificate is not valid for a; use a name of the certificate in the URL");
        insta::assert_snapshot!(text(1), @"the server's certificate is not valid for a, only for h0; use a name of the certificate in the URL");
        insta::assert_snapshot!(text(9), @"the server's certificate is not valid for a, only for h0, h1, h2, h3, h4 and others; use a name of the certificate in the URL");
    }
}
