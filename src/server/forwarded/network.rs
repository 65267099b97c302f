//! Networks of addresses in CIDR notation.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network in CIDR notation, such as `10.0.0.0/8` or `2001:db8::/32`. An address without a prefix length is a network
/// of one address.
///
/// ```
/// use waywiser::server::Network;
///
/// let network: Network = "192.0.2.0/24".parse()?;
/// assert!(network.contains("192.0.2.7".parse()?));
/// assert!(!network.contains("198.51.100.7".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// The first address, not mapped to IPv6.
    address: IpAddr,
    prefix_bits: u32,
}

/// A text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The address is not valid.
    #[error("the address is not valid; use a network such as 10.0.0.0/8 or 2001:db8::/32")]
    Address,
    /// The prefix length is not valid.
    #[error("the prefix length must be a whole number from 0 to {0}")]
    Prefix(u32),
    /// The address has bits after its prefix.
    #[error("the address has bits after its prefix; the network is {0}")]
    HostBits(Network),
}

impl Network {
    /// Returns whether the network contains an address. An IPv6 address that is mapped from an IPv4 address counts as
    /// the latter.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && first(address, self.prefix_bits) == self.address
    }
}

impl Network {
    /// Returns whether the network is larger than the largest private network of its family (`10.0.0.0/8`, `fc00::/7`).
    pub(in crate::server) fn is_larger_than_private(&self) -> bool {
        self.prefix_bits < if self.address.is_ipv4() { 8 } else { 7 }
    }
}

/// Returns the first address of the network of an address.
fn first(address: IpAddr, prefix_bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix_bits).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix_bits).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let is_number = |prefix: &str| prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix_bits = match prefix {
            None => bits,
            Some(prefix) if is_number(prefix) => {
                let parsed = prefix.parse().ok().filter(|&prefix| prefix <= bits);
                parsed.ok_or(NetworkError::Prefix(bits))?
            }
            Some(_) => return Err(NetworkError::Prefix(bits)),
        };
        // A network of mapped addresses is that of the IPv4 addresses.
        let (address, prefix_bits) = match (address.to_canonical(), prefix_bits.checked_sub(96)) {
            (IpAddr::V4(mapped), Some(prefix_bits)) if address.is_ipv6() => {
                (mapped.into(), prefix_bits)
            }
            _ => (address, prefix_bits),
        };
        let network = Self { address: first(address, prefix_bits), prefix_bits };
        if network.address == address { Ok(network) } else { Err(NetworkError::HostBits(network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_contains_the_addresses_with_its_prefix() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("0.0.0.0/1", "127.0.0.1", "128.0.0.0"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::/0", "ffff::", "192.0.2.1"),
            ("::1", "::1", "::2"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
        ] {
            assert!(contains(network, inside), "{network} {inside}");
            assert!(!contains(network, outside), "{network} {outside}");
        }
    }

    #[test]
    fn a_network_can_be_larger_than_the_private_ones() {
        let is_larger_than_private =
            |text: &str| text.parse::<Network>().unwrap().is_larger_than_private();
        for network in ["0.0.0.0/0", "0.0.0.0/1", "8.0.0.0/7", "::/0", "2000::/3", "::ffff:0:0/96"]
        {
            assert!(is_larger_than_private(network), "{network}");
        }
        for network in ["10.0.0.0/8", "127.0.0.1", "fc00::/7", "::1", "::ffff:10.0.0.0/104"] {
            assert!(!is_larger_than_private(network), "{network}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_advice() {
        let error = |text: &str| text.parse::<Network>().unwrap_err().to_string();
        insta::assert_snapshot!(error("10.0.0.1/8"), @"the address has bits after its prefix; the network is 10.0.0.0/8");
        insta::assert_snapshot!(error("10.0.0.0/33"), @"the prefix length must be a whole number from 0 to 32");
        insta::assert_snapshot!(error("proxy"), @"the address is not valid; use a network such as 10.0.0.0/8 or 2001:db8::/32");
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "::1/-1",
            "10.0.0.0/8/8",
            " ::1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
