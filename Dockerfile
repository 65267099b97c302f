# The server as an image: the program, the C library, no shell, and a user without privileges.
#
#   docker build -t waywiser .
#   docker run -p 50051:50051 -v waywiser:/var/lib/waywiser waywiser --insecure
#   docker run -p 50051:50051 -v waywiser:/var/lib/waywiser -v ./settings:/etc/waywiser:ro waywiser
#
# For a build that can be repeated exactly, pass both base images by digest:
#   --build-arg BUILD_IMAGE=rust@sha256:... --build-arg RUN_IMAGE=gcr.io/distroless/cc-debian12@sha256:...
ARG BUILD_IMAGE=rust:1.95.0-slim-bookworm
ARG RUN_IMAGE=gcr.io/distroless/cc-debian12:nonroot

# hadolint ignore=DL3006
FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin waywiser \
    && strip target/release/waywiser \
    # The image has no shell that could create this.
    && mkdir -p /state/waywiser

# hadolint ignore=DL3006
FROM ${RUN_IMAGE}
LABEL org.opencontainers.image.title="waywiser" \
      org.opencontainers.image.description="A gRPC server that measures the length of paths" \
      org.opencontainers.image.source="https://github.com/waywiser/waywiser" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /src/target/release/waywiser /usr/bin/waywiser
# Mount another file or directory here to replace the settings.
COPY --chown=65532:65532 deploy/docker/waywiser.toml /etc/waywiser/waywiser.toml
COPY --from=build /src/LICENSE-MIT /src/LICENSE-APACHE /usr/share/doc/waywiser/
# 65532 is the user `nonroot` of the image. A new volume gets the owner of this directory.
COPY --from=build --chown=65532:65532 /state/waywiser /var/lib/waywiser
USER 65532:65532
# The only variable: any other would have precedence over a settings file that is mounted.
ENV WAYWISER_CONFIG=/etc/waywiser/waywiser.toml
VOLUME /var/lib/waywiser
EXPOSE 50051
# No HEALTHCHECK: Docker runs it as a program in the image, while orchestrators call grpc.health.v1.Health from outside
# (Kubernetes: grpc probes), or GET /readyz of --admin-listen.
HEALTHCHECK NONE
# SIGTERM starts a drain. Give it time: docker stop --time 30.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/waywiser", "serve"]
