//! Returns freed memory to the system after a peak.
//!
//! glibc keeps the memory of many small allocations. After an attack, that was most of the resident memory. A trim walks
//! the free lists of the heap, which takes milliseconds, so it runs only after use has fallen.

use std::time::Duration;

use tokio::time::Instant;

use super::memory::Memory;

/// A large fall of use causes a trim after [`SOON`], a small one after [`LATER`].
const LARGE_FALL_BYTES: u64 = 16 << 20;
const SMALL_FALL_BYTES: u64 = 1 << 20;
const SOON: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_secs(20);

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

    /// Returns whether a trim is due. Call it about once per second.
    pub(super) fn is_due(&mut self, memory: &Memory) -> bool {
        self.peak = self.peak.max(memory.take_peak());
        let fall = self.peak.saturating_sub(memory.used());
        let since = self.last.elapsed();
        let is_due = (fall >= LARGE_FALL_BYTES && since >= SOON)
            || (fall >= SMALL_FALL_BYTES && since >= LATER);
        if is_due {
            (self.last, self.peak) = (Instant::now(), memory.used());
        }
        is_due
    }
}

/// Returns free memory to the system. Blocks for some milliseconds.
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
    async fn a_trim_is_due_after_a_fall_and_not_during_steady_use() {
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
        tokio::time::advance(LATER).await;
        assert!(!trimmer.is_due(&memory));
    }
}
