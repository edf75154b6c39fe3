use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Wake, Waker},
};

/// The tasks that wait until a connection can be written to: the engine's, and the one that finishes a direct write. A
/// stream stores only one waker, so it gets this one, which wakes both.
#[derive(Debug, Default)]
pub(crate) struct WakerPair {
    waiting: Mutex<WaitingWakers>,
}

#[derive(Debug, Default)]
struct WaitingWakers {
    engine: Option<Waker>,
    finisher: Option<Waker>,
}

impl WakerPair {
    pub(crate) fn engine_waits(&self, cx: &Context<'_>) {
        store_waker(&mut self.lock().engine, cx);
    }

    pub(crate) fn finisher_waits(&self, cx: &Context<'_>) {
        store_waker(&mut self.lock().finisher, cx);
    }

    pub(crate) fn wake_all(&self) {
        let WaitingWakers { engine, finisher } = std::mem::take(&mut *self.lock());
        for waker in [engine, finisher].into_iter().flatten() {
            waker.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, WaitingWakers> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for WakerPair {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

/// Stores the task's waker.
pub(crate) fn store_waker(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}
