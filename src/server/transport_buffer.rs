//! Charges the memory that the transport of a connection holds, such as the read buffer of TLS.
//!
//! The transport exists before the connection is charged. So it reports its bytes here, and the connection connects this
//! to its [`Usage`] later.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory::{Charge, Usage};

/// The bytes that a transport holds. They are charged until this is dropped.
#[derive(Debug, Default)]
pub(super) struct TransportBuffer(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bytes: u64,
    usage: Option<Arc<Usage>>,
    charge: Option<Charge>,
}

impl TransportBuffer {
    /// Sets the number of bytes that the transport holds now.
    #[cfg(any(feature = "tls", test))]
    pub(super) fn set(&self, bytes: usize) {
        let mut state = self.state();
        state.bytes = bytes as u64;
        state.update();
    }

    /// Charges the bytes to this connection from now on.
    pub(super) fn charge_to(&self, usage: &Arc<Usage>) {
        let mut state = self.state();
        state.usage = Some(Arc::clone(usage));
        state.update();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn update(&mut self) {
        let usage = self.usage.as_ref().filter(|_| self.bytes > 0);
        self.charge = usage.map(|usage| usage.charge(self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::memory::Memory;

    #[test]
    fn bytes_are_charged_once_the_connection_is_known() {
        let memory = Memory::new(1 << 20);
        let usage = memory.connection([127, 0, 0, 1].into());
        let idle = memory.used();
        let buffer = TransportBuffer::default();
        buffer.set(100);
        assert_eq!(memory.used(), idle);
        buffer.charge_to(&usage);
        assert_eq!(memory.used(), idle + 100);
        buffer.set(300);
        assert_eq!(memory.used(), idle + 300);
        buffer.set(0);
        assert_eq!(memory.used(), idle);
        buffer.set(200);
        drop(buffer);
        assert_eq!(memory.used(), idle);
    }
}
