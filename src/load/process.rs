//! CPU time and memory of a process, read from /proc.
//!
//! Only Linux has these files. On other systems the values are unknown, and the report says so.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// The threads whose CPU time and memory are measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// Another process, by its id.
    Process(u32),
    /// Threads of this process whose names start with one of these prefixes.
    Threads(&'static [&'static str]),
}

/// CPU time used up to one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTimes {
    /// Time of each thread by its id, in steps of 1 ns.
    by_thread: BTreeMap<u64, Duration>,
    /// Time of the process, including threads that have ended, in steps of 10 ms.
    whole: Option<Duration>,
}

/// Resident memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub now_bytes: u64,
    pub peak_bytes: u64,
}

impl Watched {
    fn directory(&self) -> String {
        match self {
            Self::Process(pid) => format!("/proc/{pid}"),
            Self::Threads(_) => "/proc/self".to_owned(),
        }
    }

    /// Returns the CPU time so far, or `None` if it cannot be read.
    pub(crate) fn cpu(&self) -> Option<CpuTimes> {
        let directory = self.directory();
        let mut by_thread = BTreeMap::new();
        for thread in fs::read_dir(format!("{directory}/task")).ok()? {
            let thread = thread.ok()?.path();
            if let Self::Threads(names) = self {
                let comm = fs::read_to_string(thread.join("comm")).unwrap_or_default();
                if !names.iter().any(|name| comm.starts_with(name)) {
                    continue;
                }
            }
            // A thread may end while the directory is read.
            let Ok(schedstat) = fs::read_to_string(thread.join("schedstat")) else { continue };
            let id = thread.file_name()?.to_str()?.parse().ok()?;
            by_thread
                .insert(id, Duration::from_nanos(number(schedstat.split_whitespace().next()?)?));
        }
        let whole = match self {
            Self::Process(_) => ticks(&fs::read_to_string(format!("{directory}/stat")).ok()?),
            Self::Threads(_) => None,
        };
        Some(CpuTimes { by_thread, whole })
    }

    /// Returns the resident memory, or `None` if it cannot be read.
    pub(crate) fn memory(&self) -> Option<Memory> {
        memory(&fs::read_to_string(format!("{}/status", self.directory())).ok()?)
    }
}

impl CpuTimes {
    /// Returns the CPU time used since an earlier moment. If a thread has ended, this is the difference of the process
    /// times.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let has_ended = |thread| !self.by_thread.contains_key(thread);
        if earlier.by_thread.keys().any(has_ended)
            && let (Some(whole), Some(before)) = (self.whole, earlier.whole)
        {
            return whole.saturating_sub(before);
        }
        let used = |(thread, &time): (&u64, &Duration)| {
            time.saturating_sub(earlier.by_thread.get(thread).copied().unwrap_or_default())
        };
        self.by_thread.iter().map(used).sum()
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// Returns the sum of utime and stime in /proc/PID/stat. Linux reports them in units of 10 ms.
fn ticks(stat: &str) -> Option<Duration> {
    // The process name before these fields may contain blanks and brackets.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_whitespace().skip(11).map(number);
    Some(Duration::from_millis(10 * (times.next()?? + times.next()??)))
}

fn memory(status: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(1024 * number(line.trim_start_matches(':').trim().strip_suffix(" kB")?)?)
    };
    Some(Memory { now_bytes: bytes("VmRSS")?, peak_bytes: bytes("VmHWM")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(by_thread: &[(u64, u64)], whole: Option<u64>) -> CpuTimes {
        let by_thread =
            by_thread.iter().map(|&(id, time)| (id, Duration::from_nanos(time))).collect();
        CpuTimes { by_thread, whole: whole.map(Duration::from_nanos) }
    }

    #[test]
    fn cpu_time_is_read_after_a_name_with_brackets() {
        let stat = "17 (a) b (c)) S 1 17 17 0 -1 4194560 907 0 0 0 250 7 0 0 20 0 3 0 5 1 2";
        assert_eq!(ticks(stat), Some(Duration::from_millis(2570)));
        assert_eq!(ticks("17 (a) S 1"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmPeak:\t  9000 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let expected = Memory { now_bytes: 1 << 20, peak_bytes: 2 << 20 };
        assert_eq!(memory(status), Some(expected));
        assert_eq!(memory("VmRSS:\t1 kB\n"), None);
    }

    #[test]
    fn new_threads_count_and_ended_threads_are_in_the_process_time() {
        let before = times(&[(1, 100), (2, 50)], Some(1000));
        let after = times(&[(1, 110), (2, 55), (3, 7)], Some(1020));
        assert_eq!(after.since(&before), Duration::from_nanos(22));
        let after = times(&[(1, 110)], Some(1020));
        assert_eq!(after.since(&before), Duration::from_nanos(20));
        let after = times(&[(1, 110)], None);
        assert_eq!(after.since(&before), Duration::from_nanos(10));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_can_be_read() {
        let this = Watched::Process(std::process::id());
        assert!(this.cpu().is_some_and(|times| !times.by_thread.is_empty()));
        assert!(this.memory().is_some_and(|memory| memory.peak_bytes >= memory.now_bytes));
        assert_eq!(Watched::Threads(&["no such name"]).cpu(), Some(CpuTimes::default()));
    }
}
