//! The services of waywiser in plain tonic and prost: generated server traits, a loop over the messages of the stream,
//! libm, and default settings.
//!
//! The server is a reference for benchmarks and is not tuned. It sums legs in `f64` and rounds once, so that its
//! answers can be compared.
//!
//! usage: peer-tonic [--listen ADDRESS] [--threads N]

use std::error::Error;
use std::time::Instant;

use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

mod my_package {
    tonic::include_proto!("my_package");
}
mod routeguide {
    tonic::include_proto!("routeguide");
}

use my_package::displacement_service_server::{DisplacementService, DisplacementServiceServer};
use my_package::{Displacement, DisplacementResponse, PathLengthResponse};
use routeguide::RouteSummary;
use routeguide::route_guide_server::{RouteGuide, RouteGuideServer};

/// The mean radius (2a + b) / 3 of WGS84, in metres.
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Returns the haversine distance in metres, with atan2 as in the RouteGuide examples.
fn haversine_m(from: &routeguide::Point, to: &routeguide::Point) -> f64 {
    let radians = |e7: i32| (f64::from(e7) / 1e7).to_radians();
    let (from_latitude, to_latitude) = (radians(from.latitude), radians(to.latitude));
    let half_latitude = (to_latitude - from_latitude) / 2.0;
    let half_longitude = (radians(to.longitude) - radians(from.longitude)) / 2.0;
    let a = half_latitude.sin().powi(2)
        + from_latitude.cos() * to_latitude.cos() * half_longitude.sin().powi(2);
    2.0 * EARTH_RADIUS_M * a.sqrt().atan2((1.0 - a).sqrt())
}

/// Returns the straight distance, in the unit of the points.
fn planar(from: &my_package::Point, to: &my_package::Point) -> f64 {
    let x = f64::from(to.x) - f64::from(from.x);
    let y = f64::from(to.y) - f64::from(from.y);
    (x * x + y * y).sqrt()
}

struct Routes;

#[tonic::async_trait]
impl RouteGuide for Routes {
    async fn record_route(
        &self,
        request: Request<Streaming<routeguide::Point>>,
    ) -> Result<Response<RouteSummary>, Status> {
        let started = Instant::now();
        let mut stream = request.into_inner();
        let mut point_count = 0;
        let mut distance = 0.0;
        let mut last = None;
        while let Some(point) = stream.message().await? {
            point_count += 1;
            if let Some(last) = &last {
                distance += haversine_m(last, &point);
            }
            last = Some(point);
        }
        Ok(Response::new(RouteSummary {
            point_count,
            feature_count: 0,
            distance: distance.round() as i32,
            elapsed_time: started.elapsed().as_secs() as i32,
        }))
    }
}

struct Displacements;

#[tonic::async_trait]
impl DisplacementService for Displacements {
    async fn compute_displacement(
        &self,
        request: Request<Displacement>,
    ) -> Result<Response<DisplacementResponse>, Status> {
        let Displacement { start, end } = request.into_inner();
        let distance = planar(&start.unwrap_or_default(), &end.unwrap_or_default()) as f32;
        Ok(Response::new(DisplacementResponse { distance }))
    }

    async fn compute_path_length(
        &self,
        request: Request<Streaming<my_package::Point>>,
    ) -> Result<Response<PathLengthResponse>, Status> {
        let mut stream = request.into_inner();
        let mut reply = PathLengthResponse::default();
        let mut ends: Option<(my_package::Point, my_package::Point)> = None;
        while let Some(point) = stream.message().await? {
            reply.point_count += 1;
            if let Some((_, last)) = &ends {
                reply.length += planar(last, &point);
            }
            ends = Some((ends.map_or(point, |(first, _)| first), point));
        }
        if let Some((first, last)) = ends {
            reply.displacement = planar(&first, &last);
        }
        Ok(Response::new(reply))
    }
}

async fn serve(listen: &str) -> Result<(), Box<dyn Error>> {
    // The same as `Server::serve`, in two steps to get the port. It also sets TCP_NODELAY.
    let incoming = TcpIncoming::bind(listen.parse()?)?.with_nodelay(Some(true));
    println!("listening on {}", incoming.local_addr()?);
    Server::builder()
        .add_service(DisplacementServiceServer::new(Displacements))
        .add_service(RouteGuideServer::new(Routes))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut listen = "127.0.0.1:50051".to_owned();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next()) {
            ("--listen", Some(address)) => listen = address,
            ("--threads", Some(threads)) => {
                runtime.worker_threads(threads.parse()?);
            }
            _ => return Err("usage: peer-tonic [--listen ADDRESS] [--threads N]".into()),
        }
    }
    runtime.enable_all().build()?.block_on(serve(&listen))
}
