use tokio::sync::Notify;

/// Waits until `find` returns something; it is called again whenever waiters are notified. Cancel-safe.
pub(crate) async fn wait_until<T>(changed: &Notify, find: impl Fn() -> Option<T>) -> T {
    loop {
        // Registered before the check, so that a change in between is noticed.
        let changed = changed.notified();
        if let Some(found) = find() {
            return found;
        }
        changed.await;
    }
}
