//! The settings of the connection of a recorder: the URL, the token, certificates and headers.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use waywiser::client::{Client, ClientBuilder, TokenSource};

use crate::error::os_error;

/// Maximum size of a file with certificates. Those of a system have about 250 KB.
const PEM_BYTES_MAX: u64 = 16 << 20;

/// A text or a file, in PEM.
enum Pem {
    Text(Vec<u8>),
    File(PathBuf),
}

impl FromPyObject<'_, '_> for Pem {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if object.is_instance_of::<pyo3::types::PyBytes>() {
            return object.extract().map(Self::Text);
        }
        object.extract().map(Self::File).map_err(|_| {
            PyTypeError::new_err(
                "a certificate or key is the path of a PEM file, or its content as bytes",
            )
        })
    }
}

impl Pem {
    fn into_text(self, py: Python<'_>) -> PyResult<Vec<u8>> {
        match self {
            Self::Text(text) => Ok(text),
            Self::File(path) => {
                check_file(py, &path)?;
                fs::read(&path).map_err(|error| file_error(py, &error, &path))
            }
        }
    }
}

fn file_error(py: Python<'_>, error: &io::Error, path: &Path) -> PyErr {
    match path.as_os_str().into_pyobject(py) {
        Ok(file) => os_error(py, error, &path.to_string_lossy(), &file),
        Err(never) => match never {},
    }
}

/// Checks that a file is a regular one of a suitable size, which can be opened. A pipe may have no writer, and the call
/// could not be interrupted.
fn check_file(py: Python<'_>, path: &Path) -> PyResult<()> {
    let opened = fs::metadata(path).and_then(|metadata| match metadata.is_file() {
        true => File::open(path).map(|_| Some(metadata.len())),
        false => Ok(None),
    });
    match opened {
        Ok(Some(..=PEM_BYTES_MAX)) => Ok(()),
        Ok(Some(size)) => Err(PyValueError::new_err(format!(
            "{} has {size} bytes, and the limit is {PEM_BYTES_MAX}",
            path.display()
        ))),
        Ok(None) => Err(PyValueError::new_err(format!("{} is not a regular file", path.display()))),
        Err(error) => Err(file_error(py, &error, path)),
    }
}

/// The settings of the connection.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Connection {
    token: Option<String>,
    token_file: Option<PathBuf>,
    ca: Option<Pem>,
    client_cert: Option<Pem>,
    client_key: Option<Pem>,
    headers: HashMap<String, String>,
}

impl Connection {
    /// Returns the builder of a client with these settings.
    ///
    /// # Errors
    /// If the URL has no scheme, settings exclude each other, or a file cannot be read.
    pub(crate) fn client(self, py: Python<'_>, url: &str) -> PyResult<ClientBuilder> {
        // A URL with '@' may have a password; the builder refuses it with an error that does not show it.
        if !url.contains("://") && !url.contains('@') {
            return Err(PyValueError::new_err(format!(
                "url is {url:?}, which has no scheme; use a URL such as \"http://127.0.0.1:50051\""
            )));
        }
        let mut builder = Client::builder(url);
        builder = match (self.token, self.token_file) {
            (None, None) => builder,
            (Some(token), None) => builder.token(TokenSource::value(token)),
            (None, Some(path)) => {
                // It may be a pipe, which can be read only once.
                fs::metadata(&path).map_err(|error| file_error(py, &error, &path))?;
                builder.token(TokenSource::file(path))
            }
            (Some(_), Some(_)) => {
                return Err(PyValueError::new_err(
                    "both token and token_file are given; use one of them",
                ));
            }
        };
        if let Some(ca) = self.ca {
            builder = builder.ca_pem(ca.into_text(py)?);
        }
        builder = match (self.client_cert, self.client_key) {
            (None, None) => builder,
            (Some(Pem::File(certificates)), Some(Pem::File(key))) => {
                check_file(py, &certificates)?;
                check_file(py, &key)?;
                builder.client_identity_files(certificates, key)
            }
            (Some(certificates), Some(key)) => {
                builder.client_identity_pem(certificates.into_text(py)?, key.into_text(py)?)
            }
            _ => {
                return Err(PyValueError::new_err(
                    "one of client_cert and client_key is missing; pass both",
                ));
            }
        };
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        Ok(builder)
    }
}
