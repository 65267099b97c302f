//! TLS on the port of the server, with optional client certificates.
//!
//! `config` says where certificates come from, `pem` and `material` read them, and `settings` holds those that are
//! active and replaces them. `acceptor` performs the handshake of a connection: `plaintext` answers clients without TLS,
//! `gate` limits the computations, `read_ahead` reads the socket, and `client` returns the names in the certificate of
//! the client. `open_certificates` has the client certificates of open connections.

mod acceptor;
mod client;
mod config;
mod error;
mod gate;
mod handshake_error;
mod material;
mod open_certificates;
mod pem;
mod plaintext;
mod read_ahead;
mod settings;
mod validity;

pub(super) use acceptor::TlsAcceptor;
pub use config::TlsConfig;
pub use error::TlsError;
pub(super) use handshake_error::HandshakeError;
pub use settings::{Reloaded, TlsSettings};
