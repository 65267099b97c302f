//! The data that binds a SCRAM authentication to its TLS connection (RFC 5929, `tls-server-end-point`): a hash of the
//! certificate of the server. An attacker between the store and the server has another certificate, so the server refuses
//! the authentication.

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// `1.2.840.113549.1.1`: RSA with several hashes.
const RSA: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// `1.2.840.10045.4`: ECDSA with several hashes.
const ECDSA: [u8; 6] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];

/// Returns the hash of a certificate in DER. Returns `None` if its signature has no hash, or one that is not supported.
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (content, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(content, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    let (identifier, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    Some(digest(hash_of(identifier)?, certificate).as_ref().to_vec())
}

/// Returns the hash that RFC 5929 prescribes for a signature algorithm: that of the signature, or SHA-256 instead of MD5 and
/// SHA-1.
fn hash_of(identifier: &[u8]) -> Option<&'static Algorithm> {
    if let Some(number) = identifier.strip_prefix(&RSA) {
        return match number {
            [4 | 5 | 11] => Some(&SHA256),
            [12] => Some(&SHA384),
            [13] => Some(&SHA512),
            _ => None,
        };
    }
    match identifier.strip_prefix(&ECDSA)? {
        [1] | [3, 2] => Some(&SHA256),
        [3, 3] => Some(&SHA384),
        [3, 4] => Some(&SHA512),
        _ => None,
    }
}

/// Splits an element with this tag off. Returns its content and the rest.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = bytes.iter().try_fold(0_usize, |length, &byte| {
                length.checked_mul(256)?.checked_add(usize::from(byte))
            });
            (length?, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length).filter(|_| first == tag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        let mut der = match length {
            0..=0x7f => vec![tag, length],
            _ => vec![tag, 0x81, length],
        };
        der.extend(content);
        der
    }

    fn certificate(identifier: &[u8], padding: usize) -> Vec<u8> {
        let body = wrapped(SEQUENCE, &vec![7; padding]);
        let algorithm = wrapped(SEQUENCE, &wrapped(OBJECT_IDENTIFIER, identifier));
        wrapped(SEQUENCE, &[body, algorithm, wrapped(0x03, &[0, 1])].concat())
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        let identifier = |prefix: &[u8], last: &[u8]| [prefix, last].concat();
        for (identifier, hash) in [
            (identifier(&RSA, &[5]), Some(&SHA256)),
            (identifier(&RSA, &[11]), Some(&SHA256)),
            (identifier(&RSA, &[12]), Some(&SHA384)),
            (identifier(&RSA, &[13]), Some(&SHA512)),
            (identifier(&ECDSA, &[1]), Some(&SHA256)),
            (identifier(&ECDSA, &[3, 2]), Some(&SHA256)),
            (identifier(&ECDSA, &[3, 3]), Some(&SHA384)),
            (identifier(&ECDSA, &[3, 4]), Some(&SHA512)),
            // RSA-PSS has its hash in its parameters. Ed25519 has none.
            (identifier(&RSA, &[10]), None),
            (vec![0x2b, 0x65, 0x70], None),
        ] {
            for padding in [0, 150] {
                let certificate = certificate(&identifier, padding);
                let expected = hash.map(|hash| digest(hash, &certificate).as_ref().to_vec());
                assert_eq!(server_end_point(&certificate), expected, "{identifier:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(cut in 0_usize..200, position in 0_usize..200, value: u8) {
            let mut certificate = certificate(&[&RSA[..], &[11]].concat(), 120);
            let position = position % certificate.len();
            certificate[position] = value;
            certificate.truncate(cut);
            let _ = server_end_point(&certificate);
        }
    }
}
