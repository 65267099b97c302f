//! Protos to Rust code and a descriptor set, through protox: no protoc to install.

use std::{env, error::Error, fs, path::PathBuf};

const PROTOS: [&str; 3] =
    ["my_package/displacement.proto", "routeguide/route_guide.proto", "waywiser/v1/path.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    // compile_fds prints no rerun-if-changed lines and writes no descriptor file: both are ours.
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=proto");

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(PROTOS)?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    // No generated servers: the streaming methods read their request bodies frame by frame
    // (service/body.rs), and the unary one shares that reader and its errors.
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
