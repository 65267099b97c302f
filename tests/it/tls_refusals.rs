//! Clients that do not complete a TLS handshake: other protocols, garbage, and slow or endless handshakes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Endpoint;
use waywiser::proto::my_package::{self, displacement_service_client::DisplacementServiceClient};
use waywiser::server::TlsSettings;

use crate::support::Server;
use crate::support::pki::{Ca, Client, start, start_with};

/// The type and the description of a record with a fatal alert.
const ALERT: u8 = 21;
const UNEXPECTED_MESSAGE: u8 = 10;

/// Sends bytes and returns everything that the server answers until it closes the connection.
async fn answer_to(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close the connection before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

/// The start of a ClientHello: a handshake record with a message of `length` bytes.
fn client_hello(length: usize) -> Vec<u8> {
    let record = (length + 4).min(16_384) as u16;
    let length = (length as u32).to_be_bytes();
    let [high, low] = record.to_be_bytes();
    vec![22, 3, 1, high, low, 1, length[1], length[2], length[3], 3, 3]
}

async fn works(ca: &Ca, server: &Server) {
    assert_eq!(Client::new(ca).call(server.address).await, Ok(Code::Ok));
}

#[tokio::test]
async fn clients_without_tls_get_a_reason_in_their_protocol() {
    let ca = Ca::new();
    let settings = TlsSettings::load(ca.server().config()).unwrap();
    let server = start(&settings).await;
    let answer = answer_to(server.address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("with TLS"), "{answer}");

    let answer = answer_to(server.address, b"SSH-2.0-OpenSSH_9.6\r\n").await;
    assert_eq!(answer, [ALERT, 3, 3, 0, 2, 2, UNEXPECTED_MESSAGE]);

    let url = format!("http://{}", server.address);
    let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
    let mut client = DisplacementServiceClient::new(channel);
    let points = [my_package::Point { x: 0, y: 0 }];
    let status = client.compute_path_length(tokio_stream::iter(points)).await.unwrap_err();
    assert!(format!("{status:?}").contains("requires TLS"), "{status:?}");
    assert!(settings.handshake_failures() >= 3);
    works(&ca, &server).await;
}

#[tokio::test]
async fn tls_to_a_port_without_tls_gets_an_answer_that_is_not_tls() {
    let server = Server::start().await;
    let ca = Ca::new();
    for _ in 0..50 {
        let error = Client::new(&ca).call(server.address).await.unwrap_err();
        assert!(error.contains("InvalidContentType"), "{error}");
    }
    server.assert_works().await;
}

#[tokio::test]
async fn garbage_and_oversized_handshakes_are_refused_with_an_alert() {
    let ca = Ca::new();
    let settings = TlsSettings::load(ca.server().config()).unwrap();
    let server = start(&settings).await;
    let junk = [0xa5; 70_000];
    let openings = [
        // A record that is longer than TLS permits.
        [&[22, 3, 1, 0xff, 0xff], &junk[..65_535]].concat(),
        // A ClientHello whose content is not one.
        [client_hello(200), junk[..400].to_vec()].concat(),
        // A version that does not exist.
        [&[22, 9, 9, 0, 100], &junk[..100]].concat(),
    ];
    for opening in openings {
        let answer = answer_to(server.address, &opening).await;
        assert_eq!(
            answer.first(),
            Some(&ALERT),
            "{:?}: {answer:?}",
            &opening[..11.min(opening.len())]
        );
    }
    // A message other than a ClientHello: rustls sends no alert.
    let finished = [22, 3, 1, 0, 4, 20, 0, 0, 0];
    assert_eq!(answer_to(server.address, &finished).await.len(), 0);
    works(&ca, &server).await;
}

#[tokio::test]
async fn an_endless_client_hello_is_refused() {
    let ca = Ca::new();
    let settings = TlsSettings::load(ca.server().config()).unwrap();
    let server = start(&settings).await;
    // 65 000 bytes in full records, of which the server reads the first part.
    let mut opening = client_hello(65_000);
    opening.resize(5 + 16_384, 0);
    for _ in 0..3 {
        opening.extend([22, 3, 1, 0x40, 0]);
        opening.resize(opening.len() + 16_384, 0);
    }
    answer_to(server.address, &opening).await;
    assert_eq!(settings.handshake_failures(), 1);
    works(&ca, &server).await;
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_closed_and_delays_no_other_client() {
    let ca = Ca::new();
    let settings = TlsSettings::load(ca.server().config()).unwrap();
    let limit = Duration::from_millis(300);
    // On a slow machine the handshake of another client can exceed the limit, too.
    let works = async |server: &Server| {
        for _ in 0..20 {
            let start = std::time::Instant::now();
            match Client::new(&ca).call(server.address).await {
                Err(_) if start.elapsed() >= limit => {}
                answer => return assert_eq!(answer, Ok(Code::Ok)),
            }
        }
        panic!("each handshake takes more than {limit:?}");
    };
    let server = start_with(&settings, |config| config.handshake_timeout = limit).await;
    let openings = [vec![], vec![22], vec![22, 3, 1, 2, 0], client_hello(500)];
    let mut slow = Vec::new();
    for opening in openings.iter().cycle().take(100) {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(opening).await.unwrap();
        slow.push(stream);
    }
    // One byte at a time.
    let trickle = tokio::spawn({
        let stream = slow.pop().unwrap();
        async move {
            let (mut read, mut write) = stream.into_split();
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            let send = async {
                loop {
                    ticks.tick().await;
                    if write.write_all(&[0]).await.is_err() {
                        break;
                    }
                }
            };
            let mut rest = Vec::new();
            tokio::select! {
                _ = read.read_to_end(&mut rest) => {}
                () = send => {}
            }
        }
    });
    works(&server).await;
    for mut stream in slow {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "{rest:?}");
    }
    trickle.await.unwrap();
    works(&server).await;
}

#[tokio::test]
async fn a_client_that_leaves_in_its_handshake_costs_nothing() {
    let ca = Ca::new();
    let settings = TlsSettings::load(ca.server().config()).unwrap();
    let server = start_with(&settings, |config| config.max_connections = 10).await;
    for _ in 0..50 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&client_hello(500)).await.unwrap();
        drop(stream);
    }
    works(&ca, &server).await;
}
