//! temp
pub mod measure;
pub mod server;
pub mod service;
pub mod wire;

pub mod proto;
