//! Generates Rust code and a descriptor set from the proto files. protox parses them, so that no protoc has to be
//! installed. Without the features `client` and `server` there is nothing to generate.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "_grpc")]
    generate()?;
    Ok(())
}

#[cfg(feature = "_grpc")]
const PROTOS: [&str; 4] = [
    "my_package/displacement.proto",
    "routeguide/route_guide.proto",
    "waywiser/admin/v1/admin.proto",
    "waywiser/v1/path.proto",
];

#[cfg(feature = "_grpc")]
fn generate() -> Result<(), Box<dyn Error>> {
    use std::{env, fs, path::PathBuf};

    // compile_fds prints no rerun-if-changed line and writes no descriptor file.
    println!("cargo::rerun-if-changed=proto");

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(PROTOS)?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    // No generated servers: all methods read their request bodies frame by frame (service/body.rs), and share
    // that reader and its errors.
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
