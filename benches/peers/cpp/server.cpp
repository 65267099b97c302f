// The services of waywiser in plain gRPC C++: the synchronous API, a loop over ServerReader::Read, libm, and default
// settings.
//
// The server is a reference for benchmarks and is not tuned. It sums legs as doubles and rounds once, so that its
// answers can be compared.
//
// usage: server [--listen ADDRESS]

#include <chrono>
#include <cmath>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

#include "my_package/displacement.grpc.pb.h"
#include "routeguide/route_guide.grpc.pb.h"

namespace {

using grpc::ServerContext;
using grpc::ServerReader;
using grpc::Status;

// The mean radius (2a + b) / 3 of WGS84, in metres.
constexpr double kEarthRadiusM = 6371008.8;

double Radians(int e7) {
    return e7 / 1e7 * (M_PI / 180);
}

// Returns the haversine distance in metres, with atan2 as in the RouteGuide examples.
double HaversineM(const routeguide::Point& from, const routeguide::Point& to) {
    const double from_latitude = Radians(from.latitude());
    const double to_latitude = Radians(to.latitude());
    const double sin_latitude = std::sin((to_latitude - from_latitude) / 2);
    const double sin_longitude = std::sin((Radians(to.longitude()) - Radians(from.longitude())) / 2);
    const double a = sin_latitude * sin_latitude +
                     std::cos(from_latitude) * std::cos(to_latitude) * sin_longitude * sin_longitude;
    return 2 * kEarthRadiusM * std::atan2(std::sqrt(a), std::sqrt(1 - a));
}

// Returns the straight distance, in the unit of the points.
double Planar(const my_package::Point& from, const my_package::Point& to) {
    const double x = static_cast<double>(to.x()) - from.x();
    const double y = static_cast<double>(to.y()) - from.y();
    return std::sqrt(x * x + y * y);
}

class RouteGuide final : public routeguide::RouteGuide::Service {
    Status RecordRoute(ServerContext*, ServerReader<routeguide::Point>* reader, routeguide::RouteSummary* reply) override {
        const auto started = std::chrono::steady_clock::now();
        routeguide::Point point;
        routeguide::Point last;
        int point_count = 0;
        double distance = 0;
        while (reader->Read(&point)) {
            if (point_count > 0) {
                distance += HaversineM(last, point);
            }
            ++point_count;
            last = point;
        }
        const auto elapsed = std::chrono::steady_clock::now() - started;
        reply->set_point_count(point_count);
        reply->set_distance(static_cast<int>(std::lround(distance)));
        reply->set_elapsed_time(static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(elapsed).count()));
        return Status::OK;
    }
};

class DisplacementService final : public my_package::DisplacementService::Service {
    Status computeDisplacement(
        ServerContext*, const my_package::Displacement* request, my_package::DisplacementResponse* reply
    ) override {
        reply->set_distance(static_cast<float>(Planar(request->start(), request->end())));
        return Status::OK;
    }

    Status computePathLength(
        ServerContext*, ServerReader<my_package::Point>* reader, my_package::PathLengthResponse* reply
    ) override {
        my_package::Point point;
        my_package::Point first;
        my_package::Point last;
        std::uint64_t point_count = 0;
        double length = 0;
        while (reader->Read(&point)) {
            if (point_count == 0) {
                first = point;
            } else {
                length += Planar(last, point);
            }
            ++point_count;
            last = point;
        }
        reply->set_length(length);
        reply->set_point_count(point_count);
        reply->set_displacement(Planar(first, last));
        return Status::OK;
    }
};

}  // namespace

int main(int argc, char** argv) {
    std::string listen = "127.0.0.1:50051";
    if (argc == 3 && std::strcmp(argv[1], "--listen") == 0) {
        listen = argv[2];
    } else if (argc != 1) {
        std::cerr << "usage: " << argv[0] << " [--listen ADDRESS]\n";
        return 2;
    }

    RouteGuide route_guide;
    DisplacementService displacement_service;
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&route_guide);
    builder.RegisterService(&displacement_service);
    const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (server == nullptr) {
        std::cerr << "cannot listen on " << listen << '\n';
        return 1;
    }
    std::cout << "listening on " << listen.substr(0, listen.rfind(':')) << ':' << port << std::endl;
    server->Wait();
}
