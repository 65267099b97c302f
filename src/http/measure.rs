//! Measures an uploaded file. What reads and measures it is behind the port [`Measure`].

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use tonic::{Code, Status};

use super::Shared;
use super::answer;
use super::blocking;
use super::body;
use super::error::ApiError;
use super::paths::gate;
use super::query::Query;
use crate::server::{HeldBytes, OpenRequest};

const ROUTE: &str = "POST /api/measure";

/// Measures files.
pub trait Measure: Send + Sync + 'static {
    /// Reads the options of a measurement from query parameters, which have the names of the command line.
    ///
    /// # Errors
    /// If an option is unknown, or its value is not valid.
    fn job(&self, options: Vec<(String, String)>) -> Result<Box<dyn MeasureJob>, MeasureError>;
}

/// The measurement of a file.
pub trait MeasureJob: Send {
    /// Measures a file. Blocks the thread, reports the memory that it uses to `control`, and stops soon after
    /// [`MeasureControl::is_cancelled`] returns true.
    ///
    /// # Errors
    /// If nothing can be measured.
    fn run(
        self: Box<Self>,
        file: Bytes,
        control: Arc<MeasureControl>,
    ) -> Result<Measured, MeasureError>;
}

/// State that a measurement and its request share: cancellation and memory use. The default belongs to no request, and
/// charges no memory.
#[derive(Default)]
pub struct MeasureControl {
    is_cancelled: AtomicBool,
    memory_bytes: AtomicU64,
    held: Mutex<Option<HeldBytes>>,
}

impl MeasureControl {
    fn new(held: HeldBytes) -> Self {
        Self { held: Mutex::new(Some(held)), ..Self::default() }
    }

    /// Stops the measurement.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Relaxed);
    }

    /// Returns whether the measurement is to stop.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Relaxed)
    }

    /// Sets the number of bytes that the measurement uses in addition to its file. They are charged to the memory budget
    /// of the server, which ends the connection of the request if the budget is used up.
    pub fn set_memory_bytes(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Relaxed);
        if let Some(held) = &mut *self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            held.set(bytes);
        }
    }

    /// Returns the number of bytes that the measurement uses in addition to its file.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Relaxed)
    }
}

impl fmt::Debug for MeasureControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeasureControl")
            .field("is_cancelled", &self.is_cancelled())
            .field("memory_bytes", &self.memory_bytes())
            .finish_non_exhaustive()
    }
}

/// The result of a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The answer, a JSON object.
    pub json: String,
    /// The points that were measured.
    pub points: u64,
}

/// The reason why a file is not measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// An option is not valid.
    #[error("{name}: {message}")]
    Option {
        /// The name of the option.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// The file has nothing that can be measured.
    #[error("{0}")]
    File(String),
    /// The answer would be too large.
    #[error("{0}")]
    TooLarge(String),
    /// The client has disconnected.
    #[error("the measurement was cancelled")]
    Cancelled,
}

impl From<MeasureError> for ApiError {
    fn from(error: MeasureError) -> Self {
        let message = error.to_string();
        let invalid = Code::InvalidArgument;
        match error {
            MeasureError::Option { name, message } => Self::invalid(&name, message),
            MeasureError::File(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, invalid, "FILE_INVALID", message)
            }
            MeasureError::TooLarge(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, invalid, "ANSWER_TOO_LARGE", message)
            }
            MeasureError::Cancelled => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Cancelled, "CANCELLED", message)
            }
        }
    }
}

pub(super) async fn measure(
    State(shared): State<Arc<Shared>>,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let gate = gate(request.extensions())?;
    let mut open = gate.open(request.headers(), ROUTE)?;
    let answer = measure_upload(&shared, &mut open, request).await;
    open.end(match &answer {
        Ok(_) => Status::ok(""),
        Err(error) => error.to_status(),
    });
    answer
}

async fn measure_upload(
    shared: &Shared,
    open: &mut OpenRequest,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let Some(measure) = &shared.measure else {
        let message = "this server measures no files";
        let (status, code) = (StatusCode::NOT_FOUND, Code::Unimplemented);
        return Err(ApiError::new(status, code, "ROUTE_UNKNOWN", message));
    };
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(b"multipart/")) {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::InvalidArgument,
            "MEDIA_TYPE_UNSUPPORTED",
            "send the file itself as the body, and not a form: curl --data-binary @FILE",
        ));
    }
    let job = measure.job(Query::parse(request.uri().query())?.rest())?;
    let max_bytes = shared.config.max_upload_bytes;
    let too_large = || {
        let message = format!(
            "the file is larger than {} (--max-upload-bytes); compress it, or measure it with waywiser measure",
            body::size_text(max_bytes)
        );
        body::too_large(message)
    };
    let (file, held_file) = body::read(open, request.into_body(), max_bytes, too_large).await?;
    if file.is_empty() {
        return Err(MeasureError::File(
            "the file is empty: the body of the request has no bytes".to_owned(),
        )
        .into());
    }
    let control = Arc::new(MeasureControl::new(open.hold(0)?));
    let _cancel = CancelOnDrop(Arc::clone(&control));
    let work = move || {
        let measured = job.run(file, control);
        // The file is charged until the thread ends.
        drop(held_file);
        measured
    };
    let measured = open.run(blocking::run(&shared.measuring, work)).await???;
    open.measured(measured.points).await?;
    Ok(answer::json(measured.json))
}

/// Stops a measurement whose request has ended.
struct CancelOnDrop(Arc<MeasureControl>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
