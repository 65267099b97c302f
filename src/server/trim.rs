//! Returns freed memory to the system after a peak.
//!
//! glibc keeps the memory of many small allocations; after an attack that was most of the resident memory. A trim
//! walks the free lists of the heap, which takes milliseconds, so it happens only after use has fallen.

use std::time::Duration;

use tokio::time::Instant;

use super::memory::Memory;

/// A fall of use by this much is worth a trim soon, and one by less a trim at leisure.
const LARGE_FALL_BYTES: u64 = 16 << 20;
const SMALL_FALL_BYTES: u64 = 1 << 20;
const SOON: Duration = Duration::from_secs(5);
const AT_LEISURE: Duration = Duration::from_secs(20);

/// Decides when to trim.
#[derive(Debug)]
pub(super) struct Trimmer {
    last: Instant,
    peak: u64,
}

impl Trimmer {
    pub(super) fn new() -> Self {
        Self { last: Instant::now(), peak: 0 }
    }

    /// Whether a trim is due. To be called every second or so.
    pub(super) fn is_due(&mut self, memory: &Memory) -> bool {
        self.peak = self.peak.max(memory.take_peak());
        let fall = self.peak.saturating_sub(memory.used());
        let since = self.last.elapsed();
        let is_due = (fall >= LARGE_FALL_BYTES && since >= SOON)
            || (fall >= SMALL_FALL_BYTES && since >= AT_LEISURE);
        if is_due {
            (self.last, self.peak) = (Instant::now(), memory.used());
        }
        is_due
    }
}

/// Gives free memory back to the system. Blocks for some milliseconds.
pub(super) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[allow(unsafe_code)]
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> i32;
        }
        // SAFETY: malloc_trim takes any value, locks the heap itself and changes no allocation.
        #[allow(unsafe_code)]
        unsafe {
            malloc_trim(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_trim_follows_a_fall_and_not_a_steady_use() {
        let memory = Memory::new(u64::MAX);
        let connection = memory.connection([127, 0, 0, 1].into());
        let mut trimmer = Trimmer::new();
        let charge = connection.charge(LARGE_FALL_BYTES);
        for _ in 0..100 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(!trimmer.is_due(&memory));
        }
        drop(charge);
        assert!(trimmer.is_due(&memory));
        tokio::time::advance(AT_LEISURE).await;
        assert!(!trimmer.is_due(&memory));
    }
}
