//! The metrics of the process that the conventions of Prometheus define, read from `/proc`. Only Linux
//! has them.

use std::fs;

use super::registry::{Samples, Source};

/// The unit of times in `/proc`. Linux reports them in this unit on all of its current platforms.
const TICKS_PER_SECOND: f64 = 100.0;

/// Returns the metrics of this process: processor time, memory, open files, and the time of its start.
pub fn process() -> impl Source {
    |samples: &mut Samples<'_>| collect(samples)
}

/// The numbers of `/proc/self/stat` that are reported.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    cpu_s: f64,
    threads: u64,
    /// Seconds from the start of the system to that of the process.
    started_s: f64,
    virtual_bytes: u64,
}

fn stat(text: &str) -> Option<Stat> {
    // The second field is the name of the program in parentheses, which may contain spaces.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The first of `fields` is field 3 of the manual page proc_pid_stat(5).
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_s: (field(14)? + field(15)?) as f64 / TICKS_PER_SECOND,
        threads: field(20)?,
        started_s: field(22)? as f64 / TICKS_PER_SECOND,
        virtual_bytes: field(23)?,
    })
}

/// Returns the number of a line `name: number`, such as those of `/proc/self/status`.
fn number(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// Returns the soft limit on open files in `/proc/self/limits`.
fn max_fds(limits: &str) -> Option<u64> {
    number(limits, "Max open files")
}

fn collect(samples: &mut Samples<'_>) {
    let read = |path: &str| fs::read_to_string(path).ok();
    if let Some(stat) = read("/proc/self/stat").as_deref().and_then(stat) {
        let help = "Processor time of the process";
        samples.counter("process_cpu_seconds", help, |family| family.add(&[], stat.cpu_s));
        samples.gauge("process_threads", "Threads of the process", |family| {
            family.add(&[], stat.threads);
        });
        let help = "Virtual memory of the process";
        samples.gauge("process_virtual_memory_bytes", help, |family| {
            family.add(&[], stat.virtual_bytes);
        });
        if let Some(boot_s) = read("/proc/stat").and_then(|text| number(&text, "btime ")) {
            let help = "Start of the process, in seconds since 1970-01-01T00:00:00Z";
            samples.gauge("process_start_time_seconds", help, |family| {
                family.add(&[], boot_s as f64 + stat.started_s);
            });
        }
    }
    if let Some(kib) = read("/proc/self/status").and_then(|text| number(&text, "VmRSS:")) {
        let help = "Resident memory of the process";
        samples.gauge("process_resident_memory_bytes", help, |family| {
            family.add(&[], kib * 1024);
        });
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        samples.gauge("process_open_fds", "Open file descriptors", |family| {
            // One of them reads the directory.
            family.add(&[], (files.count() as u64).saturating_sub(1));
        });
    }
    if let Some(max) = read("/proc/self/limits").as_deref().and_then(max_fds) {
        let help = "Maximum number of open file descriptors";
        samples.gauge("process_max_fds", help, |family| family.add(&[], max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_process_are_found_after_its_name() {
        let text =
            "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 9 0 4200 81920 300 184 1";
        let expected = Stat { cpu_s: 1.75, threads: 9, started_s: 42.0, virtual_bytes: 81_920 };
        assert_eq!(stat(text), Some(expected));
        assert_eq!(stat("7 (a) S 1"), None);
        let status = "Name:\ta\nVmPeak:\t  9 kB\nVmRSS:\t    1234 kB\n";
        assert_eq!(number(status, "VmRSS:"), Some(1234));
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  4096  files\n";
        assert_eq!(max_fds(limits), Some(1024));
        assert_eq!(max_fds("Max open files  unlimited  unlimited  files\n"), None);
    }
}
