//! Generates Rust code from the proto files with protox, which needs no protoc.

use std::error::Error;

const PROTO: &str = "../../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={PROTO}");

    let protos = ["my_package/displacement.proto", "routeguide/route_guide.proto"];
    let descriptors = protox::compile(protos, [PROTO])?;
    tonic_prost_build::configure().build_client(false).compile_fds(descriptors)?;
    Ok(())
}
