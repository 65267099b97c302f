//! The types that prost and tonic generate from the files in `proto/`: the messages, and the plain tonic clients of all
//! contracts.
//!
//! Inside the crate `contract`, [`crate::service`], [`crate::client`] and the load generator use them.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

pub mod my_package {
    tonic::include_proto!("my_package");
}

pub mod routeguide {
    tonic::include_proto!("routeguide");
}

pub mod waywiser_v1 {
    tonic::include_proto!("waywiser.v1");
}

pub mod waywiser_admin_v1 {
    tonic::include_proto!("waywiser.admin.v1");
}

/// All proto files with their comments, as an encoded `FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
