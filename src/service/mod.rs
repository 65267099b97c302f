//! The gRPC services: they read requests, fold points, and reply.
//!
//! On the server side, only this module uses the generated types. A handler converts messages and calls `measure`; it does
//! no arithmetic and knows no sockets. Each service is a `tower` service that can be mounted on [`crate::server`] or on
//! any tonic server.
//!
//! All methods read their request through `body`, which distinguishes a stream that was closed from one that was cut.
//! They count their work in `work`, so that they yield in time. `status` and `error_info` convert errors to a status.

mod admin;
mod body;
mod creations;
mod displacement;
mod error_info;
mod fold;
mod limits;
mod load;
mod memory_budget;
mod method;
mod pace;
mod path;
mod permission;
mod progress;
mod quota_error;
mod route_guide;
mod status;
mod store_timeout;
mod violation;
mod work;

pub use admin::{AdminService, ClientAddress};
pub use creations::{CreationLimit, Creations};
pub use displacement::DisplacementService;
pub use error_info::DOMAIN;
pub use limits::StreamLimits;
pub(crate) use load::{CallLoad, Load, LoadShare, Owner};
pub(crate) use memory_budget::MemoryBudget;
pub(crate) use method::refuse_non_grpc;
#[cfg(feature = "http")]
pub(crate) use pace::Pace;
pub(crate) use pace::{Account, Rate, Rates, ends_stream};
pub(crate) use path::PathActivity;
pub use path::PathService;
pub(crate) use path::WATCH_PATH;
pub use permission::PermissionError;
pub use progress::Progress;
pub use quota_error::{QuotaError, QuotaKind, QuotaScope, RateUnit};
pub use route_guide::{Feature, FeatureError, Features, RouteGuide};
pub(crate) use status::excerpt;
pub use status::{RpcError, StreamCut};
pub use violation::{FieldViolation, MessageRef};
