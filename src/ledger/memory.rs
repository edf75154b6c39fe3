use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard},
};

use jiff::{Timestamp, civil::Date};

use super::{
    AccountView, Commit, CommitError, DayPage, DayRange, DaysView, EntryRange, HappenedEntry,
    Ledger, LedgerError, LedgerReader, LedgerWriter, NewEntry, RecordedEvent,
};
use crate::domain::{
    Account, AccountState, DayTotals, Epoch, EventKey, Pair, RevocationKey, StoredEntry,
    StoredRevocation,
};

/// Roughly the JSON bytes of a day's sums without their categories.
const SUMS_FRAME_BYTES: usize = 64;

/// A ledger in memory: the reference that other ledgers are tested against, and a way to try things out.
/// Everything is lost when its last clone is dropped.
#[derive(Debug, Clone)]
pub struct Memory {
    epoch: Epoch,
    accounts: Arc<RwLock<HashMap<Account, MemoryAccount>>>,
    recorded_until: Arc<Mutex<Timestamp>>,
    revocations: Arc<Mutex<HashMap<RevocationKey, StoredRevocation>>>,
}

#[derive(Debug, Default)]
struct MemoryAccount {
    state: AccountState,
    entries: Vec<NewEntry>,
    offsets: HashMap<EventKey, u64>,
    days: BTreeMap<(Date, Pair), DayTotals>,
}

impl Memory {
    /// An empty ledger with a new epoch.
    ///
    /// # Panics
    /// When the operating system has no random numbers.
    #[must_use]
    pub fn new() -> Self {
        let epoch = getrandom::u64().expect("the operating system gives random numbers");
        Self {
            epoch: Epoch(epoch),
            accounts: Arc::default(),
            recorded_until: Arc::new(Mutex::new(Timestamp::MIN)),
            revocations: Arc::default(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Account, MemoryAccount>> {
        self.accounts
            .read()
            .expect("no writer panics while it holds the lock")
    }

    fn until(&self) -> MutexGuard<'_, Timestamp> {
        self.recorded_until
            .lock()
            .expect("nothing panics while it holds the lock")
    }

    fn kept_revocations(&self) -> MutexGuard<'_, HashMap<RevocationKey, StoredRevocation>> {
        self.revocations
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger for Memory {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn recorded_until(&self) -> Timestamp {
        *self.until()
    }

    fn writer(&self) -> Result<Box<dyn LedgerWriter>, LedgerError> {
        Ok(Box::new(self.clone()))
    }

    fn reader(&self) -> Result<Box<dyn LedgerReader>, LedgerError> {
        Ok(Box::new(self.clone()))
    }
}

impl LedgerReader for Memory {
    fn view(&mut self, account: &Account, entries: EntryRange) -> Result<AccountView, LedgerError> {
        let accounts = self.read();
        let Some(stored) = accounts.get(account) else {
            return Ok(AccountView {
                state: AccountState::default(),
                entries: Vec::new(),
            });
        };
        let all = stored.entries.iter().map(|new| &new.entry);
        let entries = match entries {
            EntryRange::None => Vec::new(),
            EntryRange::After {
                offset,
                count,
                bytes,
            } => {
                let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
                within(all.skip(skipped), count, bytes)
            }
            EntryRange::Before {
                offset,
                count,
                bytes,
            } => within(
                all.rev().skip_while(|entry| entry.offset >= offset),
                count,
                bytes,
            ),
            EntryRange::Last { count, bytes } => {
                let mut last = within(all.rev(), count, bytes);
                last.reverse();
                last
            }
        };
        Ok(AccountView {
            state: stored.state.clone(),
            entries,
        })
    }

    fn days(&mut self, account: &Account, asked: DayRange) -> Result<DaysView, LedgerError> {
        let accounts = self.read();
        let Some(stored) = accounts.get(account) else {
            return Ok(DaysView {
                state: AccountState::default(),
                days: Vec::new(),
                next: None,
            });
        };
        let mut page = DayPage::new(asked);
        let within = |day: &&DayTotals| (asked.from..asked.until).contains(&day.date);
        for day in stored.days.values().filter(within) {
            if !page.reserve(day.date, SUMS_FRAME_BYTES + day.sums.json_bytes()) {
                break;
            }
            page.push(day.clone());
        }
        let (days, next) = page.finish();
        Ok(DaysView {
            state: stored.state.clone(),
            days,
            next,
        })
    }

    fn happened_after(
        &mut self,
        account: &Account,
        offset: u64,
        count: usize,
    ) -> Result<Vec<HappenedEntry>, LedgerError> {
        let accounts = self.read();
        let entries = accounts
            .get(account)
            .map_or(&[][..], |stored| &stored.entries);
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        let after = entries.iter().skip(skipped).take(count);
        Ok(after.map(HappenedEntry::from).collect())
    }

    fn revocations(&mut self) -> Result<Vec<StoredRevocation>, LedgerError> {
        Ok(self.kept_revocations().values().copied().collect())
    }
}

fn within<'a>(
    entries: impl Iterator<Item = &'a StoredEntry>,
    count: usize,
    bytes: usize,
) -> Vec<StoredEntry> {
    let mut held = 0;
    let fits = |entry: &&StoredEntry| {
        let first = held == 0;
        held += entry.json.get().len();
        first || held <= bytes
    };
    entries.take(count).take_while(fits).cloned().collect()
}

impl LedgerWriter for Memory {
    fn state(&mut self, account: &Account) -> Result<Option<AccountState>, LedgerError> {
        let accounts = self.read();
        Ok(accounts.get(account).map(|stored| stored.state.clone()))
    }

    fn recorded(
        &mut self,
        account: &Account,
        key: &EventKey,
    ) -> Result<Option<RecordedEvent>, LedgerError> {
        let accounts = self.read();
        let found = accounts.get(account).and_then(|stored| {
            let offset = *stored.offsets.get(key)?;
            stored.entries.get(usize::try_from(offset - 1).ok()?)
        });
        Ok(found.map(RecordedEvent::from))
    }

    fn is_reversed(&mut self, account: &Account, offset: u64) -> Result<bool, LedgerError> {
        let accounts = self.read();
        let entries = accounts
            .get(account)
            .map_or(&[][..], |stored| &stored.entries);
        Ok(entries.iter().any(|new| new.reverses == Some(offset)))
    }

    fn happened_after(
        &mut self,
        account: &Account,
        offset: u64,
        count: usize,
    ) -> Result<Vec<HappenedEntry>, LedgerError> {
        LedgerReader::happened_after(self, account, offset, count)
    }

    fn past_day(
        &mut self,
        account: &Account,
        date: Date,
        meter: &str,
        unit: &str,
    ) -> Result<Option<DayTotals>, LedgerError> {
        let accounts = self.read();
        let (meter, unit) = (meter.to_owned(), unit.to_owned());
        let key = (date, Pair { meter, unit });
        let stored = accounts.get(account);
        Ok(stored.and_then(|stored| stored.days.get(&key).cloned()))
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), CommitError> {
        let mut accounts = self
            .accounts
            .write()
            .expect("no reader panics with the lock");
        for changed in commit.states {
            let stored = accounts.entry(changed.account.clone()).or_default();
            stored.state = changed.state.clone();
        }
        for new in commit.entries {
            let stored = accounts.entry(new.account.clone()).or_default();
            stored.offsets.insert(new.key.clone(), new.entry.offset);
            stored.entries.push(new.clone());
        }
        for account in commit.recounted {
            accounts.entry((*account).clone()).or_default().days.clear();
        }
        for (account, day) in commit.days {
            let (meter, unit) = (day.meter.clone(), day.unit.clone());
            let stored = accounts.entry((*account).clone()).or_default();
            stored
                .days
                .insert((day.date, Pair { meter, unit }), (*day).clone());
        }
        *self.until() = commit.recorded_at;
        Ok(())
    }

    fn erase(&mut self, account: &Account, at: Timestamp) -> Result<(), CommitError> {
        let mut accounts = self
            .accounts
            .write()
            .expect("no reader panics with the lock");
        accounts.remove(account);
        *self.until() = at;
        Ok(())
    }

    fn revoke(&mut self, revocation: &StoredRevocation, at: Timestamp) -> Result<(), CommitError> {
        let mut revocations = self.kept_revocations();
        // By the machine's clock, as tokens expire.
        let now = Timestamp::now();
        revocations.retain(|_, kept| kept.expires_at > now);
        revocations.insert(revocation.key, *revocation);
        *self.until() = at;
        Ok(())
    }
}
