//! ListPaths: a page of recordings, limited in number and in bytes.

use std::sync::Arc;

use prost::Message as _;

use super::convert::path_message;
use super::scope::{PathName, Scope};
use super::shared::{Shared, has_expired};
use crate::proto::waywiser_v1 as pb;
use crate::recording::{Checkpoint, ListQuery, RecordingName, StoreError};
use crate::service::status::RpcError;
use crate::service::violation::{FieldViolation, MessageRef};

/// The beginning of full names.
const FULL_NAMES: &str = "namespaces/";
const PAGE_SIZE: usize = 50;
const PAGE_SIZE_MAX: usize = 1000;
/// Maximum size of an encoded reply. A client that does not read its replies makes the server hold them.
const PAGE_BYTES_MAX: usize = 64 * 1024;
/// Maximum number of recordings that are loaded at once.
const STEP: usize = 100;

pub(super) async fn list_paths(
    shared: Arc<Shared>,
    scope: &Scope,
    request: pb::ListPathsRequest,
) -> Result<pb::ListPathsResponse, RpcError> {
    let page_size = match usize::try_from(request.page_size) {
        Ok(0) => PAGE_SIZE,
        Ok(size) => size.min(PAGE_SIZE_MAX),
        Err(_) => {
            let text =
                format!("{} is negative; send a size, or 0 for {PAGE_SIZE}", request.page_size);
            return Err(FieldViolation::new("page_size", text).into());
        }
    };
    let is_basic = match pb::PathView::try_from(request.view) {
        Ok(pb::PathView::Unspecified | pb::PathView::Full) => false,
        Ok(pb::PathView::Basic) => true,
        Err(_) => {
            let text = format!("there is no view {}", request.view);
            return Err(FieldViolation::new("view", text).into());
        }
    };
    let mut query = scope.query(&request.prefix)?;
    // The token is the last name of the previous page, so it stays valid when recordings are added or deleted.
    if !request.page_token.is_empty() {
        let name = scope.name(&request.page_token, MessageRef::Request).ok();
        let name = name.map(|name| name.stored).filter(|name| query.scope.contains(name));
        query.after = Some(name.ok_or_else(|| {
            let text = "it is not a token of this list; send next_page_token of the previous page, with the same prefix";
            FieldViolation::new("page_token", text)
        })?);
    }
    let mut page = Page {
        size: page_size,
        is_basic,
        scope,
        // The names of a list start with its prefix.
        has_full_names: request.prefix.starts_with(FULL_NAMES),
        query,
        taken: 0,
        unreadable: 0,
        response: Default::default(),
    };
    let result = shared.store_timeout.call(page.fill(&shared)).await;
    // One line per call: a page may have 1000 such recordings, and a client may request it repeatedly.
    if page.unreadable > 0 {
        let recordings = page.unreadable;
        tracing::warn!(
            recordings,
            "recordings of a page cannot be read; their names are logged at debug"
        );
    }
    result.map_err(|error| RpcError::Store {
        name: "paths".to_owned(),
        error,
        committed_points: None,
    })?;
    Ok(page.response)
}

/// A page while it is filled.
struct Page<'a> {
    /// Maximum number of recordings, expired ones included.
    size: usize,
    /// Whether the recordings have no lists.
    is_basic: bool,
    scope: &'a Scope,
    has_full_names: bool,
    /// Selects the recordings after the last one that was added.
    query: ListQuery,
    taken: usize,
    /// Recordings of the page that the store cannot read.
    unreadable: usize,
    response: pb::ListPathsResponse,
}

impl Page<'_> {
    /// Adds recordings until the page is full or there are no more.
    async fn fill(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let mut bytes = 0;
        loop {
            // Loads one more than fits, to determine whether another page follows.
            let limit = STEP.min(self.size - self.taken + 1);
            let entries = shared.store.list(self.query.clone(), limit).await?;
            let is_end = entries.len() < limit;
            for (name, stored) in entries {
                let error = stored.as_ref().err().map(ToString::to_string);
                let path = self.listed(&name, stored);
                bytes += path.as_ref().map_or(0, field_len);
                if self.taken == self.size || bytes + TOKEN_BYTES_MAX > PAGE_BYTES_MAX {
                    let last = self.query.after.clone().map(|last| self.named(last));
                    self.response.next_page_token =
                        last.as_ref().map(ToString::to_string).unwrap_or_default();
                    return Ok(());
                }
                self.response.paths.extend(path);
                if let Some(error) = error {
                    tracing::debug!(%name, error, "a recording cannot be read");
                    self.unreadable += 1;
                }
                self.query.after = Some(name);
                self.taken += 1;
            }
            if is_end {
                return Ok(());
            }
        }
    }

    fn named(&self, name: RecordingName) -> PathName {
        if self.has_full_names { PathName::full(name) } else { self.scope.shown(name) }
    }

    /// Returns the list entry of a recording, or `None` if it has expired.
    fn listed(
        &self,
        name: &RecordingName,
        stored: Result<Checkpoint, StoreError>,
    ) -> Option<pb::Path> {
        let name = self.named(name.clone());
        match stored {
            Ok(checkpoint) if has_expired(&checkpoint) => None,
            Ok(checkpoint) => {
                let mut path = path_message(&name, &checkpoint);
                if self.is_basic {
                    remove_lists(&mut path);
                }
                Some(path)
            }
            // A damaged recording does not hide the others. GetPath returns its error.
            Err(_) => Some(pb::Path { name: name.to_string(), ..Default::default() }),
        }
    }
}

/// Removes the lists of a recording that grow with its time.
fn remove_lists(path: &mut pb::Path) {
    let Some(summary) = &mut path.summary else { return };
    summary.windows.clear();
    if let Some(trips) = &mut summary.trips {
        trips.stops.clear();
        trips.trips.clear();
    }
}

/// The size of next_page_token: its tag, its length in two bytes, and a name: `namespaces/` with 64 characters, `/paths/`
/// with 128 characters.
const TOKEN_BYTES_MAX: usize = 1 + 2 + 11 + 64 + 7 + 128;

/// The size of a path as an element of the reply.
fn field_len(path: &pb::Path) -> usize {
    let len = path.encoded_len();
    1 + prost::length_delimiter_len(len) + len
}

#[cfg(test)]
mod tests;
