//! Replies to ordinary calls of all services.

use tokio_stream::iter;
use tonic::Code;
use waywiser::client::Client;
use waywiser::internals::Polyline;
use waywiser::proto::{my_package as planar, routeguide};
use waywiser::{Metric, Point};

use crate::support::{
    DISPLACEMENT, PATH_LENGTH, RECORD_ROUTE, Raw, Server, frame, frames, gzip_frame,
};

fn zigzag(n: i32) -> impl Iterator<Item = planar::Point> {
    (0..n).map(|i| planar::Point { x: 3 * i, y: 4 * (i % 2) })
}

#[tokio::test]
async fn the_length_of_100_000_points_is_the_sum_of_their_legs() {
    let server = Server::start().await;
    let reply = server.planar().await.compute_path_length(iter(zigzag(100_000))).await.unwrap();
    let reply = reply.into_inner();
    assert_eq!(reply.length, 5.0 * 99_999.0);
    assert_eq!(reply.point_count, 100_000);
    assert_eq!(reply.displacement, (3.0 * 99_999.0_f64).hypot(4.0));
}

#[tokio::test]
async fn paths_of_no_point_and_of_one_point_have_length_0() {
    let server = Server::start().await;
    for n in [0, 1] {
        let reply = server.planar().await.compute_path_length(iter(zigzag(n))).await.unwrap();
        let reply = reply.into_inner();
        assert_eq!((reply.length, reply.point_count, reply.displacement), (0.0, n as u64, 0.0));
        let points = vec![routeguide::Point { latitude: 1, longitude: 1 }; n as usize];
        let reply = server.routes().await.record_route(iter(points)).await.unwrap().into_inner();
        assert_eq!((reply.distance, reply.point_count, reply.feature_count), (0, n, 0));
    }
}

#[tokio::test]
async fn the_published_unary_method_returns_the_distance() {
    let server = Server::start().await;
    let mut client = server.planar().await;
    let point = |x, y| Some(planar::Point { x, y });
    let cases = [
        (point(1, 2), point(4, 6), 5.0),
        (None, point(3, 4), 5.0),
        (point(3, 4), None, 5.0),
        (None, None, 0.0),
        (point(i32::MIN, i32::MIN), point(i32::MAX, i32::MAX), 6_074_001_000.0_f32),
    ];
    for (start, end, expected) in cases {
        let reply = client.compute_displacement(planar::Displacement { start, end }).await;
        assert_eq!(reply.unwrap().into_inner().distance, expected);
    }
}

#[tokio::test]
async fn the_haversine_length_of_a_route_is_rounded_once() {
    let server = Server::start().await;
    // A walk of one hour at 0.9 m/s, with a point per second. Truncating each leg would measure 0 m.
    let e7_per_m = 1.8e9 / (std::f64::consts::PI * waywiser::measure::MEAN_EARTH_RADIUS_M);
    let position = |second| 464_000_000 + (0.9 * e7_per_m * f64::from(second)).round() as i32;
    let walk: Vec<_> =
        (0..=3600).map(|second| Point::from_e7(position(second), 0).unwrap()).collect();
    let mut path = Polyline::new(Metric::Haversine);
    path.extend(&walk).unwrap();
    let client = Client::connect(&server.address.to_string()).await.unwrap();
    let route = client.record_route(iter(walk)).await.unwrap();
    assert_eq!(route.point_count, 3601);
    assert_eq!(f64::from(route.distance_m), path.summary().length.round());
    assert_eq!(route.distance_m, 3240);
}

#[tokio::test]
async fn a_planar_point_in_a_route_is_refused() {
    let server = Server::start().await;
    let client = Client::connect(&server.address.to_string()).await.unwrap();
    let points = [Point::geographic(1.0, 1.0).unwrap(), Point::planar(1.0, 1.0).unwrap()];
    let error = client.record_route(iter(points)).await.unwrap_err();
    assert_eq!(error.to_string(), "point 1 is planar, and this call takes geographic points");
}

#[tokio::test]
async fn a_route_longer_than_an_int32_is_refused() {
    let server = Server::start().await;
    // A leg from pole to pole is 20 015 km long. 108 of them are longer than 2^31 m.
    let poles = (0..110).map(|i| routeguide::Point {
        latitude: if i % 2 == 0 { 900_000_000 } else { -900_000_000 },
        longitude: 0,
    });
    let status = server.routes().await.record_route(iter(poles)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.message().contains("does not fit the int32"), "{}", status.message());
}

#[tokio::test]
async fn an_invalid_latitude_is_reported_with_the_index_of_its_point() {
    let server = Server::start().await;
    let points = [0, 1, 900_000_001].map(|latitude| routeguide::Point { latitude, longitude: 0 });
    let status = server.routes().await.record_route(iter(points)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "point 2: latitude 90.0000001 is not between -90 and 90 degrees");
}

#[tokio::test]
async fn gzip_is_accepted_and_other_encodings_are_refused_with_a_list() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;

    let mut call = raw.call_with(PATH_LENGTH, &[("grpc-encoding", "gzip")]);
    call.send(frames(&[(0, 0)]));
    call.send(gzip_frame(&[0x08, 3, 0x10, 4]));
    call.close();
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.code, Code::Ok, "{}", answer.message);
    let reply: planar::PathLengthResponse = prost::Message::decode(&answer.body[5..]).unwrap();
    assert_eq!((reply.length, reply.point_count), (5.0, 2));

    for path in [PATH_LENGTH, DISPLACEMENT, RECORD_ROUTE] {
        let answer = raw.call_with(path, &[("grpc-encoding", "deflate")]).answer().await.unwrap();
        assert_eq!(answer.code, Code::Unimplemented);
        assert_eq!(answer.reason.as_deref(), Some("ENCODING_UNSUPPORTED"));
        assert_eq!(answer.headers["grpc-accept-encoding"], "identity,gzip");
    }

    let mut call = raw.call(PATH_LENGTH);
    call.send(gzip_frame(&[]));
    assert_eq!(call.answer().await.unwrap().code, Code::Internal);
}

#[tokio::test]
async fn a_stream_with_a_high_inflation_ratio_is_refused() {
    let server = Server::with(|config| config.max_inflation_ratio = 100).await;
    let mut raw = Raw::connect(server.address).await;
    // An unknown field of 60 000 zeros. The point is (0, 0).
    let message = gzip_frame(&[&[0x1a, 0xe0, 0xd4, 0x03][..], &[0; 60_000]].concat());
    let mut call = raw.call_with(PATH_LENGTH, &[("grpc-encoding", "gzip")]);
    call.send(message.repeat(30));
    let answer = call.answer().await.unwrap();
    assert_eq!(answer.code, Code::ResourceExhausted);
    assert_eq!(answer.reason.as_deref(), Some("INFLATION_RATIO"));
    assert!(
        answer.message.starts_with("point 17, message 17: the compressed"),
        "{}",
        answer.message
    );
    assert!(answer.message.ends_with("or with fewer points per message"), "{}", answer.message);

    let server = Server::with(|config| config.max_inflation_ratio = 1033).await;
    let mut raw = Raw::connect(server.address).await;
    let mut call = raw.call_with(PATH_LENGTH, &[("grpc-encoding", "gzip")]);
    call.send(message.repeat(30));
    call.close();
    assert_eq!(call.answer().await.unwrap().code, Code::Ok);
}

#[tokio::test]
async fn an_invalid_message_is_reported_with_its_index() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    let good = frames(&[(0, 0), (1, 1)]);
    let cases: [(&[u8], Code, &str, &str); 4] = [
        (&[0, 0, 0, 0, 1, 0x08], Code::InvalidArgument, "MESSAGE_MALFORMED", "point 2, at byte 1"),
        (
            &[2, 0, 0, 0, 0],
            Code::InvalidArgument,
            "MESSAGE_MALFORMED",
            "point 2, message 2, at byte 14",
        ),
        (&[0, 0, 1, 0, 1], Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "point 2, message 2"),
        (&[0, 0, 0, 0, 9, 0x08], Code::InvalidArgument, "MESSAGE_TRUNCATED", "point 2, message 2"),
    ];
    for (bytes, code, reason, position) in cases {
        let mut call = raw.call(PATH_LENGTH);
        call.send(good.clone());
        call.send(bytes.to_vec());
        call.close();
        let answer = call.answer().await.unwrap();
        assert_eq!((answer.code, answer.reason.as_deref()), (code, Some(reason)));
        assert!(answer.message.starts_with(position), "{}", answer.message);
    }
}

#[tokio::test]
async fn a_unary_method_requires_exactly_one_message() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    for count in [0, 2] {
        let mut call = raw.call(DISPLACEMENT);
        for _ in 0..count {
            call.send(frame(&[]));
        }
        call.close();
        let answer = call.answer().await.unwrap();
        assert_eq!(answer.code, Code::InvalidArgument);
        assert_eq!(
            answer.message,
            format!("this method takes one request message, and {count} were sent")
        );
    }
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.address).await;
    for path in [
        "/routeguide.RouteGuide/ListRoutes",
        "/my_package.DisplacementService/",
        "/nowhere.Service/method",
        "/",
    ] {
        let answer = raw.call(path).answer().await.unwrap();
        assert_eq!(answer.code, Code::Unimplemented, "{path}");
        assert_eq!(answer.reason.as_deref(), Some("METHOD_UNKNOWN"));
        assert!(answer.message.contains(path), "{}", answer.message);
    }
}

#[tokio::test]
async fn health_and_both_reflections_answer() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_reflection::pb::{v1, v1alpha};

    let server = Server::start().await;
    let channel = server.channel().await;
    for service in ["", "my_package.DisplacementService", "routeguide.RouteGuide"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let reply = HealthClient::new(channel.clone()).check(request).await.unwrap();
        assert_eq!(reply.into_inner().status, 1, "{service}");
    }

    let services = {
        use v1::server_reflection_request::MessageRequest;
        use v1::server_reflection_response::MessageResponse;
        let request = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
        let reply = client.server_reflection_info(iter([request])).await.unwrap();
        let reply = reply.into_inner().message().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = reply.message_response else {
            panic!("{reply:?}")
        };
        list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
    };
    for name in ["my_package.DisplacementService", "routeguide.RouteGuide", "grpc.health.v1.Health"]
    {
        assert!(services.iter().any(|service| service == name), "{name} in {services:?}");
    }

    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let symbol = "my_package.DisplacementService.computePathLength".to_owned();
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(symbol)),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let reply = client.server_reflection_info(iter([request])).await.unwrap();
    let reply = reply.into_inner().message().await.unwrap().unwrap();
    assert!(matches!(
        reply.message_response,
        Some(MessageResponse::FileDescriptorResponse(files)) if !files.file_descriptor_proto.is_empty()
    ));
}
