//! The address of a client from the headers of proxies.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const PROXY: &str = "10.0.0.1:4000";

fn trusted() -> TrustedProxies {
    let networks = ["10.0.0.0/8", "2001:db8:aaaa::/48"].map(|text| text.parse().unwrap());
    TrustedProxies::new(networks.to_vec())
}

fn client_at(peer: &str, headers: &[(&'static str, &str)]) -> String {
    let mut map = HeaderMap::new();
    for &(name, value) in headers {
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    trusted().client(peer.parse().unwrap(), &map).to_string()
}

fn client(headers: &[(&'static str, &str)]) -> String {
    client_at(PROXY, headers)
}

#[test]
fn the_client_is_the_right_most_address_that_is_not_a_trusted_proxy() {
    for (value, expected) in [
        ("203.0.113.7", "203.0.113.7:0"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7:0"),
        ("203.0.113.7,10.1.2.3 ,\t10.9.9.9", "203.0.113.7:0"),
        ("203.0.113.7:5123", "203.0.113.7:5123"),
        ("nonsense, 203.0.113.7, 10.0.0.2", "203.0.113.7:0"),
        ("2001:db8::7", "[2001:db8::7]:0"),
        ("[2001:db8::7]", "[2001:db8::7]:0"),
        ("[2001:db8::7]:99, 2001:db8:aaaa::1", "[2001:db8::7]:99"),
        ("::ffff:203.0.113.7", "203.0.113.7:0"),
        ("10.3.3.3, 10.0.0.2", "10.3.3.3:0"),
    ] {
        assert_eq!(client(&[("x-forwarded-for", value)]), expected, "{value}");
    }
    let many = format!("{}, 203.0.113.7, 10.0.0.2", "192.0.2.9, ".repeat(1000));
    assert_eq!(client(&[("x-forwarded-for", &many)]), "203.0.113.7:0");
    let lines = [("x-forwarded-for", "192.0.2.9"), ("x-forwarded-for", "203.0.113.7, 10.0.0.2")];
    assert_eq!(client(&lines), "203.0.113.7:0");
}

#[test]
fn the_header_forwarded_is_read_as_rfc_7239_specifies() {
    for (value, expected) in [
        ("for=203.0.113.7", "203.0.113.7:0"),
        ("For=\"203.0.113.7:47011\"", "203.0.113.7:47011"),
        ("for=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711"),
        ("for=192.0.2.43, for=203.0.113.7;proto=http;by=10.0.0.1", "203.0.113.7:0"),
        ("proto=https;FOR=203.0.113.7 , for=10.0.0.4;host=\"a,b;\\\"c\"", "203.0.113.7:0"),
        ("for=unknown, for=203.0.113.7", "203.0.113.7:0"),
    ] {
        assert_eq!(client(&[("forwarded", value)]), expected, "{value}");
    }
}

#[test]
fn without_a_valid_address_the_client_is_the_proxy() {
    for value in [
        "",
        ",",
        "unknown",
        "203.0.113.7,",
        "203.0.113.7, unknown",
        "203.0.113.7 192.0.2.1",
        "[::1",
        "1.2.3",
    ] {
        assert_eq!(client(&[("x-forwarded-for", value)]), PROXY, "{value}");
    }
    for value in [
        "",
        "for",
        "for=",
        "for=unknown",
        "for=203.0.113.7, for=_hidden",
        "for=203.0.113.7, by=10.0.0.1",
        "for=203.0.113.7;",
        "for=203.0.113.7 for=192.0.2.1",
        "for=203.0.113.7;for=192.0.2.1",
        // A client that opens a string makes only its own header invalid.
        "for=\"192.0.2.9, for=203.0.113.7",
        "for=\"192.0.2.9\"x, for=203.0.113.7",
    ] {
        assert_eq!(client(&[("forwarded", value)]), PROXY, "{value}");
    }
}

#[test]
fn other_peers_are_not_believed() {
    let headers = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")];
    assert_eq!(client_at("192.0.2.1:9", &headers), "192.0.2.1:9");
    assert_eq!(client_at("[::ffff:10.0.0.1]:9", &headers), "203.0.113.7:0");
    assert_eq!(client_at("[2001:db8:aaab::1]:9", &headers), "[2001:db8:aaab::1]:9");
}

#[test]
fn two_headers_are_believed_only_if_they_agree() {
    let xff = ("x-forwarded-for", "203.0.113.7");
    assert_eq!(
        client(&[xff, ("forwarded", "for=\"203.0.113.7:80\";proto=http")]),
        "203.0.113.7:80"
    );
    // The proxy passes on the header that it does not know.
    assert_eq!(client(&[xff, ("forwarded", "for=192.0.2.1")]), PROXY);
    assert_eq!(client(&[xff, ("forwarded", "garbage")]), PROXY);
}

proptest! {
    /// The text that a client writes to the left of an entry of a trusted proxy has no effect.
    #[test]
    fn a_client_cannot_choose_its_address(spoofed in "[ -~]{0,200}") {
        let value = format!("{spoofed}, 203.0.113.7");
        prop_assert_eq!(client(&[("x-forwarded-for", &value)]), "203.0.113.7:0");
    }

    #[test]
    fn the_header_forwarded_never_gives_another_address(spoofed in "[ -~]{0,200}") {
        let value = format!("{spoofed}, for=203.0.113.7");
        let client = client(&[("forwarded", &value)]);
        prop_assert!(client == "203.0.113.7:0" || client == PROXY, "{} {}", value, client);
    }
}
