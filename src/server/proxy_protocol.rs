//! The PROXY protocol, versions 1 and 2: a header in which a proxy sends the address of its client before the connection
//! starts. See "The PROXY protocol", <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The first bytes of a header of version 2. They are not valid in HTTP, TLS or version 1.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The first bytes of a header of version 1.
const PREFIX: &[u8] = b"PROXY ";
/// Maximum length of a header of version 1, including its line end.
const LINE_BYTES_MAX: usize = 107;

/// The reason why a connection of a trusted proxy has no valid header.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    #[error(
        "the proxy sent no PROXY protocol header; enable it there, or leave out --proxy-protocol"
    )]
    Missing,
    #[error("the proxy sent a PROXY protocol header that is not valid")]
    Invalid,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// Reads the header at the start of a connection, and no byte after it. Returns the address of the client, or `None` if
/// the proxy connects on its own behalf or the header has no Internet address. The caller limits the time.
///
/// # Errors
/// If the connection starts in another way, or ends.
pub(super) async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> Result<Option<SocketAddr>, ProxyError> {
    // Every header of version 1 is longer than the signature of version 2.
    let mut start = [0; SIGNATURE.len()];
    let mut length = 0;
    while length < start.len() {
        let received = stream.read(&mut start[length..]).await?;
        length += received;
        let bytes = &start[..length];
        if !SIGNATURE.starts_with(bytes) && !PREFIX.starts_with(&bytes[..length.min(PREFIX.len())])
        {
            return Err(ProxyError::Missing);
        }
        if received == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    if start == SIGNATURE { read_binary(stream).await } else { read_line(stream, &start).await }
}

/// Reads the rest of a header of version 1 that starts with these bytes.
async fn read_line<S: AsyncRead + Unpin>(
    stream: &mut S,
    start: &[u8],
) -> Result<Option<SocketAddr>, ProxyError> {
    let mut line = start.to_vec();
    // Single bytes, because the next protocol reads from the byte after the line end.
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES_MAX {
            return Err(ProxyError::Invalid);
        }
        line.push(stream.read_u8().await?);
    }
    parse_line(&line[..line.len() - 2]).ok_or(ProxyError::Invalid)
}

/// Parses a header of version 1 without its line end. Returns `None` if it is not valid.
fn parse_line(line: &[u8]) -> Option<Option<SocketAddr>> {
    let mut words = str::from_utf8(line).ok()?.strip_prefix("PROXY ")?.split(' ');
    let is_ipv4 = match words.next()? {
        "TCP4" => true,
        "TCP6" => false,
        // The rest of the line must be ignored.
        "UNKNOWN" => return Some(None),
        _ => return None,
    };
    let mut address = || {
        let address: IpAddr = words.next()?.parse().ok()?;
        (address.is_ipv4() == is_ipv4).then_some(address)
    };
    let (source, _destination) = (address()?, address()?);
    let mut port = || {
        let text = words.next()?;
        // The parser of numbers accepts a sign.
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_number)
    };
    let (source_port, _destination_port) = (port()?, port()?);
    words.next().is_none().then_some(Some(SocketAddr::new(source, source_port)))
}

/// Reads the rest of a header of version 2, after its signature.
async fn read_binary<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> Result<Option<SocketAddr>, ProxyError> {
    const ADDRESSES_MAX: usize = 36;
    let [version_and_command, family_and_protocol, high, low] = {
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        head
    };
    let is_local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyError::Invalid),
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let address_bytes = match family_and_protocol {
        0x11 => 12,
        0x21 => ADDRESSES_MAX,
        // Unspecified, datagrams, and Unix sockets: there is no address of a client of this server.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => 0,
        _ => return Err(ProxyError::Invalid),
    };
    if length < address_bytes && !is_local {
        return Err(ProxyError::Invalid);
    }
    let mut addresses = [0; ADDRESSES_MAX];
    let read = length.min(address_bytes);
    stream.read_exact(&mut addresses[..read]).await?;
    // The values after the addresses describe the connection further. They are skipped.
    let rest = (length - read) as u64;
    let skipped = tokio::io::copy(&mut (&mut *stream).take(rest), &mut tokio::io::sink()).await?;
    if skipped < rest {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let is_valid = !is_local && address_bytes > 0;
    Ok(is_valid.then(|| source(&addresses, address_bytes == ADDRESSES_MAX)))
}

/// Returns the source of the addresses in a header of version 2: source, destination, source port, destination port.
fn source(addresses: &[u8; 36], is_ipv6: bool) -> SocketAddr {
    if is_ipv6 {
        let mut octets = [0; 16];
        octets.copy_from_slice(&addresses[..16]);
        let port = u16::from_be_bytes([addresses[32], addresses[33]]);
        return SocketAddr::new(Ipv6Addr::from(octets).into(), port);
    }
    let [a, b, c, d, _, _, _, _, high, low, ..] = *addresses;
    SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    const NEXT: &[u8] = b"PRI * HTTP/2.0";

    /// Reads a header that arrives in pieces of this length. Returns the result, and what is left to read.
    async fn read_pieces(
        header: &[u8],
        piece: usize,
    ) -> (Result<Option<SocketAddr>, ProxyError>, Vec<u8>) {
        let (mut client, mut server) = tokio::io::duplex(piece);
        let bytes = [header, NEXT].concat();
        let write = async move {
            for piece in bytes.chunks(piece) {
                if client.write_all(piece).await.is_err() {
                    break;
                }
            }
        };
        let read = async move {
            let result = read(&mut server).await;
            let mut rest = Vec::new();
            server.read_to_end(&mut rest).await.unwrap();
            (result, rest)
        };
        futures::future::join(write, read).await.1
    }

    /// Returns the address of a valid header, however it arrives.
    async fn address(header: &[u8]) -> Option<SocketAddr> {
        let (result, rest) = read_pieces(header, 1).await;
        assert_eq!(rest, NEXT, "the next protocol starts after the header");
        let address = result.unwrap();
        for piece in [5, 13, 1000] {
            let (result, rest) = read_pieces(header, piece).await;
            assert_eq!((result.unwrap(), &*rest), (address, NEXT));
        }
        address
    }

    fn binary(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, payload].concat()
    }

    const IPV4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0x13, 0x88, 0xc3, 0x83];

    #[tokio::test]
    async fn headers_of_version_1_have_the_source_first() {
        let line = async |text: &str| address(format!("{text}\r\n").as_bytes()).await;
        let some = |text: &str| Some(text.parse().unwrap());
        assert_eq!(
            line("PROXY TCP4 203.0.113.7 10.0.0.1 5000 50051").await,
            some("203.0.113.7:5000")
        );
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let text = format!("PROXY TCP6 {longest} {longest} 65535 65535");
        assert_eq!(line(&text).await, some(&format!("[{longest}]:65535")));
        assert_eq!(line("PROXY UNKNOWN").await, None);
        assert_eq!(line(&format!("PROXY UNKNOWN {longest} {longest} 65535 65535")).await, None);
    }

    #[tokio::test]
    async fn headers_of_version_2_have_the_source_first() {
        let tlv = [0x04, 0, 3, 1, 2, 3];
        let some = |text: &str| Some(text.parse().unwrap());
        assert_eq!(address(&binary(0x21, 0x11, &IPV4)).await, some("203.0.113.7:5000"));
        assert_eq!(
            address(&binary(0x21, 0x11, &[&IPV4[..], &tlv].concat())).await,
            some("203.0.113.7:5000")
        );
        let mut ipv6 = [0; 36];
        ipv6[..2].copy_from_slice(&[0x20, 0x01]);
        (ipv6[15], ipv6[33]) = (7, 80);
        assert_eq!(address(&binary(0x21, 0x21, &ipv6)).await, some("[2001::7]:80"));
        // A health check of the proxy, and a proxy that does not know the address.
        assert_eq!(address(&binary(0x20, 0x11, &IPV4)).await, None);
        assert_eq!(address(&binary(0x20, 0x00, &[])).await, None);
        assert_eq!(address(&binary(0x21, 0x00, &tlv)).await, None);
        assert_eq!(address(&binary(0x21, 0x31, &[b'/'; 216])).await, None);
        assert_eq!(
            address(&binary(0x21, 0x11, &[&IPV4[..], &[0; 65_000]].concat())).await,
            some("203.0.113.7:5000")
        );
    }

    #[tokio::test]
    async fn other_headers_are_refused() {
        let text = |text: &str| text.as_bytes().to_vec();
        for header in [
            text("PROXY TCP4 203.0.113.7 10.0.0.1 5000\r\n"),
            text("PROXY TCP4 203.0.113.7 10.0.0.1 5000 50051 1\r\n"),
            text("PROXY TCP4 203.0.113.7 10.0.0.1 +500 50051\r\n"),
            text("PROXY TCP4 203.0.113.7 10.0.0.1 65536 50051\r\n"),
            text("PROXY TCP4 ::1 ::1 1 2\r\n"),
            text("PROXY TCP6 203.0.113.7 10.0.0.1 1 2\r\n"),
            text("PROXY TCP5 203.0.113.7 10.0.0.1 1 2\r\n"),
            text("PROXY  TCP4 203.0.113.7 10.0.0.1 1 2\r\n"),
            text(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(100))),
            text("PROXY \r\n and more text\r\n"),
            binary(0x11, 0x11, &IPV4),
            binary(0x22, 0x11, &IPV4),
            binary(0x21, 0x41, &IPV4),
            binary(0x21, 0x13, &IPV4),
            binary(0x21, 0x11, &IPV4[..11]),
            binary(0x21, 0x21, &IPV4),
        ] {
            let (result, _) = read_pieces(&header, 7).await;
            assert!(matches!(result, Err(ProxyError::Invalid)), "{header:?}: {result:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_without_a_header_is_recognized_at_its_first_bytes() {
        for start in
            [&b"PRI * HTTP/2.0"[..], b"\x16\x03\x01", b"PROXZ", b"\r\n\r\n\0\r\nQUIX", b"G"]
        {
            let (mut client, mut server) = tokio::io::duplex(64);
            client.write_all(start).await.unwrap();
            let error = read(&mut server).await.unwrap_err();
            assert!(matches!(error, ProxyError::Missing), "{start:?}: {error:?}");
        }
        for cut in [
            &b""[..],
            b"PROX",
            b"PROXY TCP4 203",
            b"\r\n\r\n\0\r\nQUIT\n\x21",
            &binary(0x21, 0x11, &IPV4)[..20],
        ] {
            let mut rest = cut;
            let error = read(&mut rest).await.unwrap_err();
            assert!(matches!(error, ProxyError::Io(_)), "{cut:?}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, is_binary: bool) {
            let start: &[u8] = if is_binary { &SIGNATURE } else { PREFIX };
            let bytes = [start, &bytes].concat();
            let mut rest = &bytes[..];
            // A slice is always ready.
            let _ = read(&mut rest).now_or_never().unwrap();
        }
    }
}
