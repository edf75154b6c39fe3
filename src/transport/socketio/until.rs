use tokio::sync::Notify;

/// Waits until there is something to find, and looks again whenever waiters are notified. Cancel-safe.
pub(super) async fn until<T>(changed: &Notify, find: impl Fn() -> Option<T>) -> T {
    loop {
        // Before it is looked: what changes in between wakes.
        let changed = changed.notified();
        if let Some(found) = find() {
            return found;
        }
        changed.await;
    }
}
