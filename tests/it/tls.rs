//! The server with TLS: versions, names, resumption, HTTP/2, and clients of tonic.

use rustls::{HandshakeKind, ProtocolVersion};
use tokio::io::AsyncReadExt as _;
use tonic::Code;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use waywiser::proto::my_package::{self, displacement_service_client::DisplacementServiceClient};
use waywiser::server::TlsSettings;

use crate::support::pki::{Ca, Client, TLS12, TLS13, start};

#[tokio::test]
async fn calls_work_over_tls_1_2_and_1_3() {
    let ca = Ca::new();
    let settings = TlsSettings::load(ca.server().config()).unwrap();
    let server = start(&settings).await;
    for (versions, version) in
        [(TLS12, ProtocolVersion::TLSv1_2), (TLS13, ProtocolVersion::TLSv1_3)]
    {
        let client = Client::with(&ca, None, versions, &["http/1.1", "h2"]);
        let stream = client.handshake(server.address).await.unwrap();
        let connection = stream.get_ref().1;
        assert_eq!(connection.protocol_version(), Some(version));
        assert_eq!(connection.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(client.call(server.address).await, Ok(Code::Ok));
    }
    assert_eq!(settings.handshake_failures(), 0);
}

#[tokio::test]
async fn a_channel_of_tonic_measures_a_path_over_tls() {
    let ca = Ca::new();
    let server = start(&TlsSettings::load(ca.server().config()).unwrap()).await;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&ca.pem));
    let url = format!("https://localhost:{}", server.address.port());
    let endpoint = Endpoint::from_shared(url).unwrap().tls_config(tls).unwrap();
    let mut client = DisplacementServiceClient::new(endpoint.connect().await.unwrap());
    let points = (0..100_000).map(|index| my_package::Point { x: 3 * index, y: 4 * index });
    let points: Vec<_> = points.collect();
    let reply = client.compute_path_length(tokio_stream::iter(points)).await.unwrap().into_inner();
    assert_eq!((reply.length, reply.point_count), (5.0 * 99_999.0, 100_000));
}

#[tokio::test]
async fn a_session_is_resumed() {
    let ca = Ca::new();
    let server = start(&TlsSettings::load(ca.server().config()).unwrap()).await;
    for versions in [TLS12, TLS13] {
        let client = Client::with(&ca, None, versions, &["h2"]);
        let first = client.handshake(server.address).await.unwrap();
        assert_eq!(first.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        drop(first);
        // The tickets of TLS 1.3 arrive with the first bytes of HTTP/2.
        assert_eq!(client.call(server.address).await, Ok(Code::Ok));
        let second = client.handshake(server.address).await.unwrap();
        assert_eq!(second.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
    }
}

#[tokio::test]
async fn clients_refuse_another_name_and_another_ca() {
    let ca = Ca::new();
    let settings = TlsSettings::load(ca.issue(&["example.org"], |_| {}).config()).unwrap();
    let server = start(&settings).await;
    let error = Client::new(&ca).call(server.address).await.unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
    let error = Client::new(&Ca::new()).call(server.address).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
    let client = Client { name: "example.org", ..Client::new(&ca) };
    assert_eq!(client.call(server.address).await, Ok(Code::Ok));
}

#[tokio::test]
async fn clients_refuse_an_expired_certificate_and_the_server_still_starts() {
    let ca = Ca::new();
    let expired = ca.issue(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let server = start(&TlsSettings::load(expired.config()).unwrap()).await;
    let error = Client::new(&ca).call(server.address).await.unwrap_err();
    assert!(error.contains("expired"), "{error}");
}

#[tokio::test]
async fn a_client_without_http2_is_refused_with_an_alert() {
    let ca = Ca::new();
    let settings = TlsSettings::load(ca.server().config()).unwrap();
    let server = start(&settings).await;
    let cases: [&[&str]; 3] = [&[], &["http/1.1"], &["grpc-exp", "h2c"]];
    for (index, protocols) in cases.into_iter().enumerate() {
        for versions in [TLS12, TLS13] {
            let client = Client::with(&ca, None, versions, protocols);
            let error = client.handshake(server.address).await.unwrap_err().to_string();
            assert!(error.contains("NoApplicationProtocol"), "{protocols:?}: {error}");
        }
        assert_eq!(settings.handshake_failures(), 2 * (index as u64 + 1));
    }
    assert_eq!(Client::new(&ca).call(server.address).await, Ok(Code::Ok));
}

#[tokio::test]
async fn a_drain_closes_connections_with_tls() {
    let ca = Ca::new();
    let mut server = start(&TlsSettings::load(ca.server().config()).unwrap()).await;
    let client = Client::new(&ca);
    let mut idle = client.handshake(server.address).await.unwrap();
    let mut call = client.connect(server.address).await.unwrap();
    assert_eq!(call.try_call(crate::support::PATH_LENGTH).await.unwrap().code, Code::Ok);
    server.stop();
    server.stopped().await;
    let mut rest = Vec::new();
    // The end may be abrupt: this client has not started HTTP/2.
    let _ = idle.read_to_end(&mut rest).await;
    assert!(call.try_call(crate::support::PATH_LENGTH).await.is_err());
}
