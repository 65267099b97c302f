//! Reads certificates and private keys from PEM text, with reasons that an operator can act on.

use rustls::pki_types::pem::{self, PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::Problem;

/// Returns the certificates of a PEM text in their order. There is at least one.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let sections = sections(text)?;
    let certificates: Vec<_> = sections
        .into_iter()
        .filter(|(kind, _)| *kind == SectionKind::Certificate)
        .map(|(_, der)| CertificateDer::from(der))
        .collect();
    if certificates.is_empty() { Err(Problem::NoCertificate) } else { Ok(certificates) }
}

/// Returns the only private key of a PEM text.
pub(super) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    let mut keys = sections(text)?.into_iter().filter_map(|(kind, der)| match kind {
        SectionKind::PrivateKey => Some(PrivateKeyDer::Pkcs8(der.into())),
        SectionKind::RsaPrivateKey => Some(PrivateKeyDer::Pkcs1(der.into())),
        SectionKind::EcPrivateKey => Some(PrivateKeyDer::Sec1(der.into())),
        _ => None,
    });
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(key),
        (Some(_), Some(_)) => Err(Problem::SeveralKeys),
        (None, _) if is_encrypted(text) => Err(Problem::EncryptedKey),
        (None, _) => Err(Problem::NoKey),
    }
}

/// Returns whether the text has a key that needs a password: in PKCS#8, or in the older form of OpenSSL.
fn is_encrypted(text: &[u8]) -> bool {
    let contains = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    contains(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || contains(b"Proc-Type: 4,ENCRYPTED")
}

fn sections(text: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>, Problem> {
    // The tag of a DER sequence. PEM is text.
    const SEQUENCE: u8 = 0x30;
    match text.trim_ascii() {
        [] => return Err(Problem::Empty),
        [SEQUENCE, 0x80..=0xff, ..] => return Err(Problem::Der),
        _ => {}
    }
    let sections: Result<Vec<_>, _> = <(SectionKind, Vec<u8>)>::pem_slice_iter(text).collect();
    sections.map_err(|error| match error {
        // The headers of an old encrypted key are not base64.
        pem::Error::Base64Decode(_) if is_encrypted(text) => Problem::EncryptedKey,
        pem::Error::MissingSectionEnd { .. } => Problem::CutOff,
        // The details could quote a key.
        _ => Problem::Pem,
    })
}
