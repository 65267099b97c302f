//! `waywiser.admin.v1.AdminService`: a backup of the store while the server works.

use std::net::IpAddr;
use std::sync::Arc;

use futures::stream::{self, Stream};
use http::{Extensions, Request};
use tonic::body::Body;

use super::limits::StreamLimits;
use super::method::{self, ResponseFuture};
use super::path::unix_ms;
use super::permission::PermissionError;
use super::status::RpcError;
use super::store_timeout::StoreTimeout;
use crate::auth::{Principal, Role};
use crate::contract::method::admin_v1;
use crate::proto::waywiser_admin_v1 as pb;
use crate::recording::{CheckpointStore, ExportQuery, RecordingName};

/// The size of the records of a reply, unless one record is larger.
const REPLY_BYTES: usize = 64 * 1024;

/// The address of a client. The server puts it into the extensions of a request.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// Makes backups.
#[derive(Clone)]
pub struct AdminService {
    limits: StreamLimits,
    store: Arc<dyn CheckpointStore>,
}

impl AdminService {
    /// Returns the service for this store.
    pub fn new(limits: StreamLimits, store: Arc<dyn CheckpointStore>) -> Self {
        Self { limits, store }
    }
}

method::implement_service!(AdminService, "waywiser.admin.v1.AdminService");

impl AdminService {
    fn answer(&self, request: Request<Body>) -> ResponseFuture {
        let limits = self.limits;
        let store = Arc::clone(&self.store);
        match request.uri().path() {
            admin_v1::BACKUP_STORE => method::respond_stream(async move {
                check_administrator(request.extensions())?;
                let pb::BackupStoreRequest {} = method::request(request, &limits).await?;
                Ok(backup(store))
            }),
            path => method::unknown(path),
        }
    }
}

/// Checks that the caller may read all recordings.
///
/// # Errors
/// If it is not an administrator. Without authentication, if it is on another machine.
fn check_administrator(extensions: &Extensions) -> Result<(), RpcError> {
    let checked = match extensions.get::<Arc<Principal>>() {
        Some(principal) => PermissionError::check_role(principal.role, Role::Admin),
        None => {
            let address = extensions.get::<ClientAddress>();
            match address.is_some_and(|ClientAddress(ip)| ip.to_canonical().is_loopback()) {
                true => Ok(()),
                false => Err(PermissionError::Remote),
            }
        }
    };
    checked.map_err(RpcError::PermissionDenied)
}

/// A backup that is being read.
struct Backup {
    store: Arc<dyn CheckpointStore>,
    now_unix_ms: i64,
    /// The name after which the next step starts. `None` after the last step.
    position: Option<Option<RecordingName>>,
}

/// Returns all recordings, in replies of limited size. Reads the next ones when the previous ones were sent.
fn backup(
    store: Arc<dyn CheckpointStore>,
) -> impl Stream<Item = Result<pb::BackupStoreResponse, RpcError>> + Send {
    let start = Backup { store, now_unix_ms: unix_ms(), position: Some(None) };
    stream::unfold(start, |mut backup| async {
        let reply = backup.next().await?;
        Some((reply, backup))
    })
}

impl Backup {
    async fn next(&mut self) -> Option<Result<pb::BackupStoreResponse, RpcError>> {
        loop {
            let after = self.position.take()?;
            let query =
                ExportQuery { after, now_unix_ms: self.now_unix_ms, bytes_max: REPLY_BYTES };
            let exported = StoreTimeout::default().call(self.store.export(query)).await;
            let exported = match exported {
                Ok(exported) => exported,
                Err(error) => {
                    let name = "the backup".to_owned();
                    return Some(Err(RpcError::Store { name, error, committed_points: None }));
                }
            };
            self.position = exported.next.map(Some);
            let mut reply = pb::BackupStoreResponse::default();
            for (name, record) in exported.records {
                match record {
                    Ok(record) => {
                        reply.records.push(pb::BackupRecord { name: name.to_string(), record });
                    }
                    Err(error) => {
                        tracing::warn!(%name, %error, "a recording is not part of a backup");
                        reply.damaged.push(name.to_string());
                    }
                }
            }
            if reply != pb::BackupStoreResponse::default() {
                return Some(Ok(reply));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{PrincipalSource, Quota};

    #[test]
    fn only_administrators_and_clients_of_the_same_machine_are_accepted() {
        let with_role = |role| {
            let mut extensions = Extensions::new();
            let name = "van-7".into();
            let source = PrincipalSource::Configuration;
            let principal =
                Principal { name, source, namespace: None, role, quota: Quota::default() };
            extensions.insert(Arc::new(principal));
            // With authentication the address does not matter.
            extensions.insert(ClientAddress([127, 0, 0, 1].into()));
            check_administrator(&extensions)
        };
        assert_eq!(with_role(Role::Admin), Ok(()));
        for role in [Role::Reader, Role::Writer] {
            insta::allow_duplicates! {
                let error = with_role(role).unwrap_err().to_string();
                insta::assert_snapshot!(
                    error.replace(role.as_str(), "ROLE"),
                    @"this needs the role admin, and the caller has the role ROLE"
                );
            }
        }
        let from = |address: &str| {
            let mut extensions = Extensions::new();
            extensions.insert(ClientAddress(address.parse().unwrap()));
            check_administrator(&extensions)
        };
        for local in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(from(local), Ok(()), "{local}");
        }
        let remote = Err(RpcError::PermissionDenied(PermissionError::Remote));
        for other in ["192.0.2.1", "::", "::ffff:192.0.2.1", "2001:db8::1", "0.0.0.0"] {
            assert_eq!(from(other), remote, "{other}");
        }
        assert_eq!(check_administrator(&Extensions::new()), remote);
    }
}
