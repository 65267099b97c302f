//! The methods of a server.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic_reflection::pb::{v1, v1alpha};

/// Returns the paths of all methods that the server has, from the descriptors of its services.
pub fn all() -> BTreeSet<String> {
    let sets = [
        waywiser::proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        v1::FILE_DESCRIPTOR_SET,
        v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let files = sets.into_iter().flat_map(|set| FileDescriptorSet::decode(set).unwrap().file);
    let mut methods = BTreeSet::new();
    for file in files {
        for service in &file.service {
            let service_name = format!("{}.{}", file.package(), service.name());
            let names = service.method.iter().map(|method| method.name());
            methods.extend(names.map(|name| format!("/{service_name}/{name}")));
        }
    }
    methods
}
