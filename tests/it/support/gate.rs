//! A gate before which threads wait until the test opens it.

use std::sync::{Arc, Condvar, Mutex};

#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    moved: Condvar,
}

#[derive(Default)]
struct GateState {
    is_open: bool,
    waiting: usize,
    passes: usize,
}

impl Gate {
    /// Waits until the gate is open.
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        state.passes += 1;
        self.moved.notify_all();
        let mut state = self
            .moved
            .wait_while(state, |state| !state.is_open)
            .unwrap();
        state.waiting -= 1;
    }

    /// Opens it for good.
    pub(crate) fn open(&self) {
        self.state.lock().unwrap().is_open = true;
        self.moved.notify_all();
    }

    /// Returns once this many threads wait.
    pub(crate) async fn held(self: &Arc<Self>, threads: usize) {
        let gate = self.clone();
        let waiting = tokio::task::spawn_blocking(move || {
            let state = gate.state.lock().unwrap();
            let are_fewer = |state: &mut GateState| state.waiting < threads;
            drop(gate.moved.wait_while(state, are_fewer).unwrap());
        });
        waiting.await.unwrap();
    }

    /// How many threads wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting
    }

    /// How many threads have come.
    pub(crate) fn passes(&self) -> usize {
        self.state.lock().unwrap().passes
    }
}
