//! The errors of TLS as text, for the client and the server. The messages of rustls contain Debug output.

use std::fmt::Debug;

use rustls::{AlertDescription, CertificateError, Error};

/// Returns the message of an error of TLS. It calls the other side "the peer".
pub(crate) fn error_text(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => {
            format!("the peer's certificate is not valid: {}", certificate_text(error))
        }
        Error::AlertReceived(alert) => format!("the peer reports: {}", words(alert)),
        Error::InvalidMessage(why) => format!("the peer sent an invalid message: {}", words(why)),
        Error::PeerIncompatible(why) => format!("the peer is not compatible: {}", words(why)),
        Error::PeerMisbehaved(why) => format!("the peer violates the protocol: {}", words(why)),
        Error::InconsistentKeys(why) => format!("key and certificate differ: {}", words(why)),
        Error::InappropriateMessage { got_type, .. } => {
            format!("the peer sent a message that is not expected: {}", words(got_type))
        }
        Error::InappropriateHandshakeMessage { got_type, .. } => {
            format!("the peer sent a handshake message that is not expected: {}", words(got_type))
        }
        error => error.to_string(),
    }
}

/// Returns the message of an error about a certificate or a key of this side.
pub(crate) fn own_error_text(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate_text(error),
        Error::General(text) => text.clone(),
        error => error_text(error),
    }
}

/// Returns the reason why a certificate is not valid.
pub(crate) fn certificate_text(error: &CertificateError) -> String {
    match error {
        CertificateError::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::UnsupportedCertVersion) => {
                "it has X.509 version 1; issue one of version 3 (openssl x509 -req needs -extfile)"
                    .to_owned()
            }
            Some(webpki::Error::CaUsedAsEndEntity) => {
                "it is that of a CA; use one that the CA has signed".to_owned()
            }
            Some(error) => words(error),
            None => other.0.to_string(),
        },
        CertificateError::UnknownIssuer => "it is signed by an unknown CA".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired; renew it".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; check the clocks of both machines".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its extended key usage does not permit this; issue one for serverAuth or clientAuth"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { .. } => error.to_string(),
        error => words(error),
    }
}

/// Returns the reason why the peer refuses the certificate of this side.
pub(crate) fn refusal_text(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateExpired => "it has expired".to_owned(),
        AlertDescription::CertificateRevoked => "it is revoked".to_owned(),
        AlertDescription::UnknownCA => "its CA is unknown to the server".to_owned(),
        AlertDescription::CertificateUnknown | AlertDescription::BadCertificate => {
            "it is not usable; it must have X.509 version 3 (openssl x509 -req needs -extfile) and permit client \
             authentication; the log of the server has the reason"
                .to_owned()
        }
        alert => words(alert),
    }
}

/// Returns the name of a variant as words, without its fields.
fn words(variant: impl Debug) -> String {
    let debug = format!("{variant:?}");
    let name = debug.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let mut text = String::new();
    let mut previous = ' ';
    for c in name.chars() {
        if c.is_ascii_uppercase() && previous.is_ascii_lowercase() {
            text.push(' ');
        }
        text.push(c.to_ascii_lowercase());
        previous = c;
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{InvalidMessage, OtherError, PeerIncompatible};

    use super::*;

    fn other(error: webpki::Error) -> String {
        let error = CertificateError::Other(OtherError(Arc::new(error)));
        error_text(&Error::InvalidCertificate(error))
    }

    #[test]
    fn errors_are_plain_text() {
        insta::assert_snapshot!(other(webpki::Error::UnsupportedCertVersion), @"the peer's certificate is not valid: it has X.509 version 1; issue one of version 3 (openssl x509 -req needs -extfile)");
        insta::assert_snapshot!(other(webpki::Error::ExtensionValueInvalid), @"the peer's certificate is not valid: extension value invalid");
        let certificate = |error| error_text(&Error::InvalidCertificate(error));
        insta::assert_snapshot!(certificate(CertificateError::UnknownIssuer), @"the peer's certificate is not valid: it is signed by an unknown CA");
        insta::assert_snapshot!(certificate(CertificateError::BadEncoding), @"the peer's certificate is not valid: bad encoding");
        let text = error_text(&Error::AlertReceived(AlertDescription::UnknownCA));
        insta::assert_snapshot!(text, @"the peer reports: unknown ca");
        let text = error_text(&PeerIncompatible::NoCipherSuitesInCommon.into());
        insta::assert_snapshot!(text, @"the peer is not compatible: no cipher suites in common");
        let text = error_text(&InvalidMessage::InvalidContentType.into());
        insta::assert_snapshot!(text, @"the peer sent an invalid message: invalid content type");
        let text = refusal_text(AlertDescription::UnsupportedCertificate);
        insta::assert_snapshot!(text, @"unsupported certificate");
    }
}
