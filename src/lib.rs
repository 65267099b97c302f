//! temp
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod formats;
pub mod measure;
pub mod proto {
    #![allow(missing_docs)]
    pub mod my_package {
        tonic::include_proto!("my_package");
    }
    pub mod routeguide {
        tonic::include_proto!("routeguide");
    }
}
