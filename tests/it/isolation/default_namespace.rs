//! The default namespace by its full name, as an administrator with a namespace uses it.

use futures::StreamExt as _;
use tokio_stream::iter;
use tonic::Code;
use waywiser::proto::waywiser_v1 as pb;

use super::transcript::piece;
use super::{callers, memory, record};
use crate::support::callers::{paths, server};

#[tokio::test]
async fn an_administrator_with_a_namespace_uses_the_default_namespace_by_full_names() {
    let server = server(memory(), callers(), |_| {}).await;
    for recording in [("default", "walk", 1, false), ("default", "walk-2", 2, false)] {
        record(&server, recording).await;
    }
    record(&server, ("admin", "walk", 5, false)).await;
    let full = "namespaces/-/paths/walk";
    let get = |name: &str| pb::GetPathRequest { name: name.to_owned(), ..Default::default() };
    let watch = |name: &str| pb::WatchPathRequest {
        name: name.to_owned(),
        allow_missing: false,
        ..Default::default()
    };
    let delete = |name: &str| pb::DeletePathRequest { name: name.to_owned(), allow_missing: false };
    let mut admin = paths(&server, "admin").await;
    let path = admin.get_path(get(full)).await.unwrap().into_inner().path.unwrap();
    assert_eq!((path.name.as_str(), path.committed_points), (full, 1));
    let mut updates = admin.watch_path(watch(full)).await.unwrap().into_inner();
    let path = updates.next().await.unwrap().unwrap().path.unwrap();
    assert_eq!((path.name.as_str(), path.committed_points), (full, 1));
    let reply = admin.record_path(iter([piece(full, 1..4, true)])).await.unwrap().into_inner();
    assert_eq!((reply.name.as_str(), reply.committed_points), (full, 4));
    // In later messages of a stream, a short name is the own recording.
    let pieces =
        [piece("namespaces/-/paths/walk-2", 2..3, false), piece("paths/walk-2", 3..4, false)];
    let mixed = admin.record_path(iter(pieces)).await.unwrap_err();
    assert_eq!(mixed.code(), Code::InvalidArgument, "{mixed:?}");

    let list = |page_token: &str| pb::ListPathsRequest {
        page_size: 1,
        page_token: page_token.to_owned(),
        prefix: "namespaces/-/paths/w".to_owned(),
        ..Default::default()
    };
    let first = admin.list_paths(list("")).await.unwrap().into_inner();
    assert_eq!((first.paths[0].name.as_str(), first.next_page_token.as_str()), (full, full));
    let second = admin.list_paths(list(full)).await.unwrap().into_inner();
    assert_eq!(second.paths[0].name, "namespaces/-/paths/walk-2");
    admin.delete_path(delete(full)).await.unwrap();
    let own = admin.get_path(get("paths/walk")).await.unwrap().into_inner().path.unwrap();
    assert_eq!(own.committed_points, 5);
    let mut default = paths(&server, "default").await;
    assert_eq!(default.get_path(get("paths/walk")).await.unwrap_err().code(), Code::NotFound);
    // It is the own namespace of this caller, and a foreign one of others.
    assert!(default.get_path(get("namespaces/-/paths/walk-2")).await.is_ok());
    for name in ["namespaces/-/paths/walk-2", "namespaces/-/paths/none"] {
        let refused = paths(&server, "a").await.get_path(get(name)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{name}");
    }
}
