//! The methods that the server has, from the descriptors of its services.
//!
//! Statistics are kept for each of them, and for all other paths together, so that a client cannot create entries.

use std::collections::HashMap;
use std::sync::OnceLock;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::service_names::{AUXILIARY, MEASURING};

/// The index of a method in [`Methods::names`].
pub(crate) type MethodId = usize;

/// The entry of all paths that are not a method of this server.
pub(super) const OTHER: MethodId = 0;

/// The requests of the HTTP listener that are calls, and the methods that they stand for in the metrics of calls.
pub(crate) const HTTP_ROUTES: [(&str, &str); 11] = [
    ("GET /api/paths", "waywiser.v1.PathService/ListPaths"),
    ("GET /api/paths/{name}", "waywiser.v1.PathService/GetPath"),
    ("DELETE /api/paths/{name}", "waywiser.v1.PathService/DeletePath"),
    ("GET /api/paths/{name}/events", "waywiser.v1.PathService/WatchPath"),
    ("POST /api/measure", "waywiser.v1.PathService/MeasurePaths"),
    ("POST /ingest/owntracks", "waywiser.v1.PathService/AppendPoints"),
    ("GET /ingest/osmand", "waywiser.v1.PathService/AppendPoints"),
    ("POST /ingest/osmand", "waywiser.v1.PathService/AppendPoints"),
    ("POST /ingest/traccar", "waywiser.v1.PathService/AppendPoints"),
    ("POST /ingest/overland", "waywiser.v1.PathService/AppendPoints"),
    ("POST /ingest/forward", "waywiser.v1.PathService/AppendPoints"),
];

/// The methods of all services.
#[derive(Debug)]
pub(crate) struct Methods {
    names: Vec<String>,
    by_name: HashMap<String, MethodId>,
}

impl Methods {
    /// Returns the methods of this server.
    pub(crate) fn get() -> &'static Self {
        static METHODS: OnceLock<Methods> = OnceLock::new();
        METHODS.get_or_init(|| {
            Self::of([
                crate::proto::FILE_DESCRIPTOR_SET,
                tonic_health::pb::FILE_DESCRIPTOR_SET,
                tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
                tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
            ])
        })
    }

    fn of<'a>(descriptors: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut names = vec!["other".to_owned()];
        for descriptors in descriptors {
            // The descriptors are compiled in. A test checks that they decode.
            let files = FileDescriptorSet::decode(descriptors).unwrap_or_default().file;
            for file in files {
                for service in &file.service {
                    let service_name = format!("{}.{}", file.package(), service.name());
                    if ![&MEASURING[..], &AUXILIARY[..]].concat().contains(&&*service_name) {
                        continue;
                    }
                    let methods = service.method.iter();
                    names.extend(methods.map(|method| format!("{service_name}/{}", method.name())));
                }
            }
        }
        let by_name = names.iter().cloned().enumerate().map(|(id, name)| (name, id)).collect();
        Self { names, by_name }
    }

    /// Returns the names, such as `waywiser.v1.PathService/GetPath`. The first one is `other`.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the method that a path of a request names, or the one that a route of the HTTP listener stands for.
    pub(crate) fn find(&self, path: &str) -> MethodId {
        let name = match path.strip_prefix('/') {
            Some(name) => Some(name),
            None => HTTP_ROUTES.iter().find(|(route, _)| *route == path).map(|(_, name)| *name),
        };
        name.and_then(|name| self.by_name.get(name)).copied().unwrap_or(OTHER)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_service_has_methods_and_other_paths_share_one_entry() {
        let methods = Methods::get();
        let services: BTreeSet<_> =
            methods.names().iter().filter_map(|name| Some(name.split_once('/')?.0)).collect();
        assert_eq!(services, MEASURING.into_iter().chain(AUXILIARY).collect());
        let unique: BTreeSet<_> = methods.names().iter().collect();
        assert_eq!(unique.len(), methods.names().len());
        // Observers receive at most 64 characters of a path.
        assert!(methods.names().iter().all(|name| name.len() < 64), "{methods:?}");
        let watch = methods.find("/waywiser.v1.PathService/WatchPath");
        assert_eq!(methods.names()[watch], "waywiser.v1.PathService/WatchPath");
        for path in ["", "/", "other", "/other/", "/a/B", "waywiser.v1.PathService/WatchPath"] {
            assert_eq!(methods.find(path), OTHER, "{path}");
        }
    }
}
