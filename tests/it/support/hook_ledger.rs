//! A ledger in memory that calls a hook before each commit.

use std::sync::Arc;

use jiff::{Timestamp, civil::Date};
use tallycast::{
    Account, Memory,
    domain::{AccountState, DayTotals, Epoch, EventKey},
    ledger::{
        Commit, CommitError, HappenedEntry, Ledger, LedgerError, LedgerReader, LedgerWriter,
        RecordedEvent,
    },
};

/// Called before each commit; if it fails, the commit fails.
pub(crate) type Hook = Arc<dyn Fn() -> Result<(), CommitError> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct HookLedger {
    memory: Memory,
    hook: Hook,
}

impl HookLedger {
    pub(crate) fn new(hook: Hook) -> Self {
        let memory = Memory::new();
        Self { memory, hook }
    }
}

impl Ledger for HookLedger {
    fn epoch(&self) -> Epoch {
        self.memory.epoch()
    }

    fn recorded_until(&self) -> Timestamp {
        self.memory.recorded_until()
    }

    fn writer(&self) -> Result<Box<dyn LedgerWriter>, LedgerError> {
        let (writer, hook) = (self.memory.writer()?, self.hook.clone());
        Ok(Box::new(HookWriter { writer, hook }))
    }

    fn reader(&self) -> Result<Box<dyn LedgerReader>, LedgerError> {
        self.memory.reader()
    }
}

struct HookWriter {
    writer: Box<dyn LedgerWriter>,
    hook: Hook,
}

impl LedgerWriter for HookWriter {
    fn state(&mut self, account: &Account) -> Result<Option<AccountState>, LedgerError> {
        self.writer.state(account)
    }

    fn recorded(
        &mut self,
        account: &Account,
        key: &EventKey,
    ) -> Result<Option<RecordedEvent>, LedgerError> {
        self.writer.recorded(account, key)
    }

    fn is_reversed(&mut self, account: &Account, offset: u64) -> Result<bool, LedgerError> {
        self.writer.is_reversed(account, offset)
    }

    fn happened_after(
        &mut self,
        account: &Account,
        offset: u64,
        count: usize,
    ) -> Result<Vec<HappenedEntry>, LedgerError> {
        self.writer.happened_after(account, offset, count)
    }

    fn past_day(
        &mut self,
        account: &Account,
        date: Date,
        meter: &str,
        unit: &str,
    ) -> Result<Option<DayTotals>, LedgerError> {
        self.writer.past_day(account, date, meter, unit)
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), CommitError> {
        (self.hook)()?;
        self.writer.commit(commit)
    }

    fn erase(&mut self, account: &Account, at: Timestamp) -> Result<(), CommitError> {
        (self.hook)()?;
        self.writer.erase(account, at)
    }
}
