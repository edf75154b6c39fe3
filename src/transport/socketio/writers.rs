use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Wake, Waker},
};

/// Who waits until a connection can be written to: the engine, and whoever finishes a direct frame. A stream
/// remembers one waker alone, so it is given this one, which wakes both.
#[derive(Debug, Default)]
pub(super) struct Writers {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    engine: Option<Waker>,
    finisher: Option<Waker>,
}

impl Writers {
    pub(super) fn engine_waits(&self, cx: &Context<'_>) {
        keep(&mut self.lock().engine, cx);
    }

    pub(super) fn finisher_waits(&self, cx: &Context<'_>) {
        keep(&mut self.lock().finisher, cx);
    }

    pub(super) fn wake_all(&self) {
        let Waiting { engine, finisher } = std::mem::take(&mut *self.lock());
        for waker in [engine, finisher].into_iter().flatten() {
            waker.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Writers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

/// Remembers whom to wake.
pub(super) fn keep(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}
