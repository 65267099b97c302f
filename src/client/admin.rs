//! The methods of `waywiser.admin.v1`: the backup of a server.

use futures::stream::{self, StreamExt as _};
use tokio_stream::Stream;

use super::call::with_timeout;
use super::{Client, ClientError, REPLY_TIMEOUT};
use crate::proto::waywiser_admin_v1 as pb;
use crate::recording::RecordingName;

/// Maximum size of a message of a backup. The server sends less, unless one record is larger.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Some of the recordings of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupPage {
    /// The full names of recordings with their stored state, in the order of their names.
    pub records: Vec<(RecordingName, Vec<u8>)>,
    /// The full names of damaged recordings, which cannot be backed up.
    pub damaged: Vec<String>,
}

impl Client {
    /// Returns a stream of all recordings of a server, of all namespaces, for a backup. The backup is complete if the
    /// stream ends without an error.
    ///
    /// # Errors
    /// The call fails, here or in an item of the stream. The caller needs the role admin, or is on the machine of a
    /// server without authentication.
    pub async fn backup_store(
        &self,
    ) -> Result<impl Stream<Item = Result<BackupPage, ClientError>> + Send + use<>, ClientError>
    {
        let mut stub = pb::admin_service_client::AdminServiceClient::new(self.transport.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX);
        let call = async {
            Ok(stub.backup_store(pb::BackupStoreRequest {}).await.map_err(Box::new)?.into_inner())
        };
        let replies = with_timeout(REPLY_TIMEOUT, call).await?;
        Ok(stream::unfold(Some(replies), |replies| async {
            let mut replies = replies?;
            let next = async { Ok(replies.next().await) };
            match with_timeout(REPLY_TIMEOUT, next).await {
                Ok(None) => None,
                Ok(Some(Ok(reply))) => Some((page(reply), Some(replies))),
                Ok(Some(Err(status))) => Some((Err(Box::new(status).into()), None)),
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}

fn page(reply: pb::BackupStoreResponse) -> Result<BackupPage, ClientError> {
    let record = |record: pb::BackupRecord| {
        let name = record.name.parse().map_err(|_| ClientError::reply("a name is not valid"))?;
        Ok::<_, ClientError>((name, record.record))
    };
    let records = reply.records.into_iter().map(record).collect::<Result<_, _>>()?;
    Ok(BackupPage { records, damaged: reply.damaged })
}
