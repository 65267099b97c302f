//! The memory budget of the server, as the services see it, for what they hold between calls.
//!
//! The memory of a call is charged by the server, see [`super::Progress`].

use std::fmt;
use std::sync::Arc;

/// The memory budget of a server.
pub(crate) trait MemoryBudget: fmt::Debug + Send + Sync {
    /// Returns the budget in bytes.
    fn limit(&self) -> u64;

    /// Charges bytes.
    fn add(&self, bytes: u64);

    /// Ends the charge of bytes.
    fn subtract(&self, bytes: u64);

    /// Charges bytes, and returns true, unless the budget would be used up.
    fn try_add(&self, bytes: u64) -> bool;
}

/// The budget of a service without a server, which has no limit.
#[derive(Debug)]
pub(super) struct Unlimited;

impl MemoryBudget for Unlimited {
    fn limit(&self) -> u64 {
        u64::MAX
    }

    fn add(&self, _: u64) {}

    fn subtract(&self, _: u64) {}

    fn try_add(&self, _: u64) -> bool {
        true
    }
}

/// Bytes that are charged to a budget until this is dropped.
#[derive(Debug)]
pub(super) struct MemoryCharge {
    budget: Arc<dyn MemoryBudget>,
    bytes: u64,
}

impl MemoryCharge {
    /// Returns a charge of no bytes.
    pub(super) fn new(budget: &Arc<dyn MemoryBudget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Returns a charge of bytes, or `None` if the budget would be used up.
    pub(super) fn try_new(budget: &Arc<dyn MemoryBudget>, bytes: u64) -> Option<Self> {
        budget.try_add(bytes).then(|| Self { budget: Arc::clone(budget), bytes })
    }

    /// Returns the bytes that are charged.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Replaces the bytes that are charged.
    pub(super) fn set(&mut self, bytes: u64) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.budget.add(more),
            None => self.budget.subtract(self.bytes - bytes),
        }
        self.bytes = bytes;
    }
}

impl Drop for MemoryCharge {
    fn drop(&mut self) {
        self.budget.subtract(self.bytes);
    }
}
