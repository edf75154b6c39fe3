use clap::ValueEnum;

/// What a benchmark measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// One event at a time, to one account that all watchers follow
    Broadcast,
    /// Batches of events to random accounts, one watcher each
    Unicast,
    /// One event at a time at a fixed rate, to those accounts in turn
    Latency,
    /// Batches of events to random accounts without watchers
    Ingest,
    /// How fast watchers connect, up to the end of their snapshot
    Connect,
    /// What idle watchers cost
    Idle,
}
