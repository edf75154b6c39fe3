//! A ledger in memory that calls hooks before each commit and each read.

use std::sync::Arc;

use jiff::{Timestamp, civil::Date};
use tallycast::{
    Account, Memory,
    domain::{AccountState, DayTotals, Epoch, EventKey},
    ledger::{
        AccountView, Commit, CommitError, DayRange, DaysView, EntryRange, HappenedEntry, Ledger,
        LedgerError, LedgerReader, LedgerWriter, RecordedEvent,
    },
};

/// Called before each commit; if it fails, the commit fails.
pub(crate) type Hook = Arc<dyn Fn() -> Result<(), CommitError> + Send + Sync>;

/// Called before each read, on the thread that reads.
pub(crate) type ReadHook = Arc<dyn Fn(&Account, Read) + Send + Sync>;

/// What is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Read {
    View(EntryRange),
    Days,
    /// Entries, to count them again.
    Happened,
    /// The same, by the writer: this many.
    HappenedForWriter(usize),
}

#[derive(Clone)]
pub(crate) struct HookLedger {
    memory: Memory,
    hook: Hook,
    read_hook: ReadHook,
}

impl HookLedger {
    pub(crate) fn new(hook: Hook) -> Self {
        Self {
            memory: Memory::new(),
            hook,
            read_hook: Arc::new(|_, _| {}),
        }
    }

    /// Without a hook for commits.
    pub(crate) fn of_reads(hook: impl Fn(&Account, Read) + Send + Sync + 'static) -> Self {
        Self::new(Arc::new(|| Ok(()))).with_reads(hook)
    }

    #[must_use]
    pub(crate) fn with_reads(
        mut self,
        hook: impl Fn(&Account, Read) + Send + Sync + 'static,
    ) -> Self {
        self.read_hook = Arc::new(hook);
        self
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
        Ok(Box::new(HookWriter {
            writer: self.memory.writer()?,
            hook: self.hook.clone(),
            read_hook: self.read_hook.clone(),
        }))
    }

    fn reader(&self) -> Result<Box<dyn LedgerReader>, LedgerError> {
        Ok(Box::new(HookReader {
            reader: self.memory.reader()?,
            hook: self.read_hook.clone(),
        }))
    }
}

struct HookReader {
    reader: Box<dyn LedgerReader>,
    hook: ReadHook,
}

impl LedgerReader for HookReader {
    fn view(&mut self, account: &Account, entries: EntryRange) -> Result<AccountView, LedgerError> {
        (self.hook)(account, Read::View(entries));
        self.reader.view(account, entries)
    }

    fn days(&mut self, account: &Account, days: DayRange) -> Result<DaysView, LedgerError> {
        (self.hook)(account, Read::Days);
        self.reader.days(account, days)
    }

    fn happened_after(
        &mut self,
        account: &Account,
        offset: u64,
        count: usize,
    ) -> Result<Vec<HappenedEntry>, LedgerError> {
        (self.hook)(account, Read::Happened);
        self.reader.happened_after(account, offset, count)
    }
}

struct HookWriter {
    writer: Box<dyn LedgerWriter>,
    hook: Hook,
    read_hook: ReadHook,
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
        let entries = self.writer.happened_after(account, offset, count)?;
        (self.read_hook)(account, Read::HappenedForWriter(entries.len()));
        Ok(entries)
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
