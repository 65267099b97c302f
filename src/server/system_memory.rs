//! The memory that the process may use: that of the machine, or less if a control group or resource limit applies.

use std::fs;
use std::path::{Path, PathBuf};

/// The memory that is assumed if the system does not report it.
const UNKNOWN_BYTES: u64 = 1 << 30;

/// The available memory is divided by this number for the default budget. The allocator, the cache of the store and
/// the working memory of the streams need the rest.
const BUDGET_SHARE: u64 = 4;
const BUDGET_BYTES_MIN: u64 = 32 << 20;

/// Returns the default of [`super::Config::max_memory_bytes`] on this machine.
pub(super) fn default_budget() -> u64 {
    (available() / BUDGET_SHARE).max(BUDGET_BYTES_MIN)
}

/// Returns the bytes of memory that the process may use.
fn available() -> u64 {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).as_deref().and_then(mem_total);
    let limits = read(Path::new("/proc/self/limits"));
    let limits = limits.as_deref().and_then(resource_limit);
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let group = control_group_files(&groups)
        .iter()
        .filter_map(|file| read(file))
        .filter_map(|text| text.trim().parse::<u64>().ok())
        .min();
    machine.into_iter().chain(limits).chain(group).min().unwrap_or(UNKNOWN_BYTES)
}

/// Reads the total memory from /proc/meminfo.
fn mem_total(text: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Reads the smaller of the soft limits on address space and data from /proc/self/limits.
fn resource_limit(text: &str) -> Option<u64> {
    let of = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        value.split_whitespace().next()?.parse::<u64>().ok()
    };
    of("Max address space").into_iter().chain(of("Max data size")).min()
}

/// Returns the files with the limits of the process's control groups and of all their parents, for both versions.
fn control_group_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        files.extend(path.ancestors().map(|group| Path::new(root).join(group).join(file)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_the_machine_is_read() {
        let text = "MemTotal:       24576000 kB\nMemFree:        1000 kB\n";
        assert_eq!(mem_total(text), Some(24_576_000 * 1024));
        assert_eq!(mem_total("MemTotal: many kB"), None);
        assert_eq!(mem_total(""), None);
    }

    #[test]
    fn the_smaller_resource_limit_applies() {
        let text = "\
Limit                     Soft Limit           Hard Limit           Units
Max data size             unlimited            unlimited            bytes
Max address space         1073741824           unlimited            bytes
";
        assert_eq!(resource_limit(text), Some(1 << 30));
        assert_eq!(resource_limit(&text.replace("1073741824", "unlimited ")), None);
        assert_eq!(
            resource_limit(&text.replace("unlimited            unlimited", "500 unlimited")),
            Some(500)
        );
    }

    #[test]
    fn control_groups_of_both_versions_are_found_up_to_the_root() {
        let files = control_group_files("0::/a.slice/b.scope\n5:cpu,memory:/m\n3:cpuset:/x\n");
        let files: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
        assert_eq!(
            files,
            [
                "/sys/fs/cgroup/a.slice/b.scope/memory.max",
                "/sys/fs/cgroup/a.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
                "/sys/fs/cgroup/memory/m/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ]
        );
    }

    #[test]
    fn the_default_budget_is_within_the_memory_of_this_machine() {
        assert!(default_budget() >= BUDGET_BYTES_MIN);
        assert!(default_budget() <= available().max(BUDGET_BYTES_MIN * BUDGET_SHARE));
    }
}
