//! The address of a client whose calls arrive through trusted proxies: `x-forwarded-for` and `forwarded` (RFC 7239).
//!
//! Each proxy appends the address from which it received a request. The entries that trusted proxies appended are
//! true; those to the left of the first untrusted address were written by the client and are ignored.

mod network;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName};

pub use network::{Network, NetworkError};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// Maximum number of entries that are read, from the right. A request passes few proxies.
const HOPS_MAX: usize = 32;

/// The networks of the trusted proxies.
#[derive(Debug)]
pub(super) struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    pub(super) fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Returns whether this is the address of a trusted proxy.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Returns the address of the client of a call: the right-most address that is not that of a trusted proxy, or the
    /// left-most if all are. Returns `peer`, the address of the connection, if it is not a trusted proxy, or the headers
    /// have no such address. That is also the case if both headers exist and differ, because a proxy passes on the one
    /// that it does not know as its client wrote it.
    pub(super) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.contains(peer.ip()) {
            return peer;
        }
        let client = match (self.x_forwarded_for(headers), self.forwarded(headers)) {
            (Some(client), None) | (None, Some(client)) => client,
            (Some(Some(one)), Some(Some(other))) if one.ip() == other.ip() => Some(one.max(other)),
            _ => None,
        };
        client.unwrap_or(peer)
    }

    /// Returns the client according to `x-forwarded-for`, a list with commas. Returns `None` without such a header, and
    /// `Some(None)` if the header does not have the address.
    fn x_forwarded_for(&self, headers: &HeaderMap) -> Option<Option<SocketAddr>> {
        let values = headers.get_all(X_FORWARDED_FOR).iter().rev();
        let mut hops =
            values.flat_map(|value| value.as_bytes().rsplit(|&byte| byte == b',')).peekable();
        hops.peek()?;
        Some(self.right_most(hops.map(|hop| str::from_utf8(hop).ok().and_then(parse_node))))
    }

    /// Returns the client according to `forwarded`, as [`TrustedProxies::x_forwarded_for`] does.
    fn forwarded(&self, headers: &HeaderMap) -> Option<Option<SocketAddr>> {
        let mut values = headers.get_all(FORWARDED).iter().peekable();
        values.peek()?;
        let mut nodes = Nodes::default();
        let is_valid = values.all(|value| add_nodes(value.as_bytes(), &mut nodes).is_some());
        let hops = nodes.into_iter().rev().map(|node| parse_node(&node?));
        Some(if is_valid { self.right_most(hops) } else { None })
    }

    /// Returns the first address from the right that is not that of a trusted proxy, or the last one.
    fn right_most(&self, hops: impl Iterator<Item = Option<SocketAddr>>) -> Option<SocketAddr> {
        let mut client = None;
        for hop in hops.take(HOPS_MAX) {
            // The client may have written what is to the left of an unknown address.
            let hop = hop?;
            client = Some(hop);
            if !self.contains(hop.ip()) {
                break;
            }
        }
        client
    }
}

/// The last parameters `for` of a header, at most [`HOPS_MAX`]. Elements without one are `None`.
type Nodes<'a> = VecDeque<Option<Cow<'a, str>>>;

/// Adds the nodes of a value of `forwarded`: `for=192.0.2.60;proto=http, for="[2001:db8::17]:4711"`. Returns `None` if
/// the value does not follow the grammar.
fn add_nodes<'a>(value: &'a [u8], nodes: &mut Nodes<'a>) -> Option<()> {
    let mut rest = str::from_utf8(value).ok()?;
    loop {
        let mut node = None;
        loop {
            let (name, after) = rest.split_once('=')?;
            let (value, after) = parameter_value(after)?;
            if name.trim_start().eq_ignore_ascii_case("for") && node.replace(value).is_some() {
                return None;
            }
            rest = after.trim_start();
            match rest.strip_prefix(';') {
                Some(after) => rest = after,
                None => break,
            }
        }
        if nodes.len() == HOPS_MAX {
            nodes.pop_front();
        }
        nodes.push_back(node);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return rest.is_empty().then_some(()),
        }
    }
}

/// Returns the value at the beginning of a text, a token or a quoted string, and the rest.
fn parameter_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',', ' ', '\t', '"']).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].into(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value.into(), &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            character => value.push(character),
        }
    }
    None
}

/// Parses an address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`. A missing
/// port is 0.
fn parse_node(text: &str) -> Option<SocketAddr> {
    let text = text.trim_matches([' ', '\t']);
    let address = |ip: IpAddr| SocketAddr::new(ip.to_canonical(), 0);
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(address(ip));
    }
    if let Some(ip) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return ip.parse().ok().map(|ip: Ipv6Addr| address(ip.into()));
    }
    let socket: SocketAddr = text.parse().ok()?;
    // A scope is that of another machine.
    let is_scoped = matches!(socket, SocketAddr::V6(socket) if socket.scope_id() != 0);
    (!is_scoped).then(|| SocketAddr::new(socket.ip().to_canonical(), socket.port()))
}

#[cfg(test)]
mod tests;
