//! Any bytes on any method: the call gets a status, and the server still works.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tonic::Code;

use crate::support::{DISPLACEMENT, PATH_LENGTH, RECORD_ROUTE, Raw, Server};

const PATHS: [&str; 11] = [
    PATH_LENGTH,
    DISPLACEMENT,
    RECORD_ROUTE,
    "/routeguide.RouteGuide/GetFeature",
    "/routeguide.RouteGuide/ListFeatures",
    "/routeguide.RouteGuide/RouteChat",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/my_package.DisplacementService/none",
    "/",
];

/// Request bodies: random bytes, and frames of bytes that are nearly valid.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..300);
    let framed = prop::collection::vec(
        prop::collection::vec(prop_oneof![Just(0x08_u8), Just(0x10), 0..4_u8, any::<u8>()], 0..12),
        0..20,
    )
    .prop_map(|messages| {
        let mut bytes = Vec::new();
        for message in messages {
            bytes.extend([0, 0, 0, 0, message.len() as u8]);
            bytes.extend(message);
        }
        bytes
    });
    prop_oneof![noise, framed]
}

#[test]
fn any_bytes_on_any_method_get_a_status() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let mut runner = TestRunner::new(Config { cases: 300, ..Config::default() });
    let input = (
        prop::sample::select(&PATHS[..]),
        body(),
        any::<prop::sample::Index>(),
        prop::sample::select(&["identity", "gzip", "br", ""][..]),
    );
    runner
        .run(&input, |(path, bytes, cut, encoding)| {
            runtime.block_on(async {
                let mut raw = Raw::connect(server.address).await;
                let mut call = raw.call_with(path, &[("grpc-encoding", encoding)]);
                let (head, tail) = bytes.split_at(cut.index(bytes.len() + 1));
                // After its answer, the server resets the rest of the request, so sending may fail.
                let _ = call.body.send_data(head.to_vec().into(), false);
                let _ = call.body.send_data(tail.to_vec().into(), true);
                let answer = call.answer().await.unwrap();
                let ours = path.starts_with("/my_package") || path.starts_with("/routeguide");
                if ours && answer.code != Code::Ok {
                    assert!(answer.reason.is_some(), "{answer:?}");
                    assert!(!answer.message.is_empty());
                }
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(server.assert_works());
}
