//! What the kernel knows of a process: the CPU time of its threads and its memory, from /proc.
//!
//! Only Linux has that; elsewhere nothing is known, and the report says so.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// What is watched: a process, or the threads of this one that bear a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// Another process, by its id.
    Process(u32),
    /// Threads of this process whose names begin with one of these.
    Threads(&'static [&'static str]),
}

/// CPU time that was used up to one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTimes {
    /// By thread, to the nanosecond.
    by_thread: BTreeMap<u64, Duration>,
    /// Of the process with the threads that it no longer has, to 10 ms.
    whole: Option<Duration>,
}

/// Memory that is resident, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub now_bytes: u64,
    pub peak_bytes: u64,
}

impl Watched {
    fn folder(&self) -> String {
        match self {
            Self::Process(pid) => format!("/proc/{pid}"),
            Self::Threads(_) => "/proc/self".to_owned(),
        }
    }

    /// The CPU time so far; `None` if nobody can tell.
    pub(crate) fn cpu(&self) -> Option<CpuTimes> {
        let folder = self.folder();
        let mut by_thread = BTreeMap::new();
        for thread in fs::read_dir(format!("{folder}/task")).ok()? {
            let thread = thread.ok()?.path();
            if let Self::Threads(names) = self {
                let comm = fs::read_to_string(thread.join("comm")).unwrap_or_default();
                if !names.iter().any(|name| comm.starts_with(name)) {
                    continue;
                }
            }
            // A thread may end while the folder is read.
            let Ok(schedstat) = fs::read_to_string(thread.join("schedstat")) else { continue };
            let id = thread.file_name()?.to_str()?.parse().ok()?;
            by_thread
                .insert(id, Duration::from_nanos(number(schedstat.split_whitespace().next()?)?));
        }
        let whole = match self {
            Self::Process(_) => ticks(&fs::read_to_string(format!("{folder}/stat")).ok()?),
            Self::Threads(_) => None,
        };
        Some(CpuTimes { by_thread, whole })
    }

    /// Its memory; `None` if nobody can tell.
    pub(crate) fn memory(&self) -> Option<Memory> {
        memory(&fs::read_to_string(format!("{}/status", self.folder())).ok()?)
    }
}

impl CpuTimes {
    /// What was used since an earlier moment.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let is_lost = |thread| !self.by_thread.contains_key(thread);
        if earlier.by_thread.keys().any(is_lost)
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

/// utime and stime of /proc/PID/stat, which come in hundredths of a second on every Linux.
fn ticks(stat: &str) -> Option<Duration> {
    // The name before may hold anything, blanks and brackets too.
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
    fn cpu_time_is_read_from_behind_a_name_with_brackets() {
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
    fn threads_that_come_count_and_threads_that_went_are_in_the_whole() {
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
    fn this_process_is_known() {
        let this = Watched::Process(std::process::id());
        assert!(this.cpu().is_some_and(|times| !times.by_thread.is_empty()));
        assert!(this.memory().is_some_and(|memory| memory.peak_bytes >= memory.now_bytes));
        assert_eq!(Watched::Threads(&["of no such name"]).cpu(), Some(CpuTimes::default()));
    }
}
