//! Operations on a whole account: its profile, its past totals, its erasure.

use std::sync::Arc;

use jiff::civil::Date;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    Feed,
    error::{PastTotalsError, ProfileError},
};
use crate::{
    domain::{Account, Invalid, PastTotals, Period, Profile, ProfileChange, Recount},
    ledger::{
        DayRange, DaysView, EntryRange, Job, LedgerReader, ProfileEdit, ReadSlot, Unavailable,
        Weight,
    },
};

/// A page of past totals ends with the period in which it reaches this many bytes. With them it takes some milliseconds
/// to read, and holds years of days with a few categories.
const PAST_BYTES: usize = 256 * 1024;
/// The most bytes of one period. It bounds the memory of one request. No day has as many, and only a month with
/// thousands of different categories.
const PERIOD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How often an account is counted further for one edit of its time zone. Each time only those entries are left that
/// arrived meanwhile, so the second time is enough unless events arrive almost as fast as they are counted.
const COUNTS_MAX: usize = 8;

impl Feed {
    /// An account's profile; the default profile if the account does not exist. Cancel-safe.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn profile(&self, account: &Account) -> Result<Profile, Unavailable> {
        Ok(self.view(account, EntryRange::None).await?.state.profile)
    }

    /// The totals by day or by month, from the period of the date `from` to that of `to`, without empty
    /// periods. They are exact as of one moment, including late events and corrections. One call returns some hundred
    /// kilobytes; [`PastTotals::next`] is the start of the next page. Cancel-safe.
    ///
    /// # Errors
    /// When a month is too large for one answer (`period_too_large`), the ledger cannot be read, or the subject has too
    /// many heavy requests under way (see [`for_subject`](Self::for_subject)).
    ///
    /// # Panics
    /// Outside a Tokio runtime with timers.
    pub async fn past_totals(
        &self,
        account: &Account,
        by: Period,
        from: Date,
        to: Date,
    ) -> Result<PastTotals, PastTotalsError> {
        let (totals, _slot) = self.past(account, by, (from, to), |totals| totals).await?;
        Ok(totals)
    }

    /// Like [`past_totals`](Self::past_totals), as JSON. The request counts as under way until the slot is dropped.
    pub(crate) async fn past_totals_json(
        &self,
        account: &Account,
        by: Period,
        from: Date,
        to: Date,
    ) -> Result<(Vec<u8>, ReadSlot), PastTotalsError> {
        let json = |totals| serde_json::to_vec(&totals).expect("totals have only strings as keys");
        self.past(account, by, (from, to), json).await
    }

    /// Reads past totals and passes them to `finish`, on a thread of the ledger: both take too long for the runtime.
    async fn past<T: Send + 'static>(
        &self,
        account: &Account,
        by: Period,
        (from, to): (Date, Date),
        finish: impl FnOnce(PastTotals) -> T + Send + 'static,
    ) -> Result<(T, ReadSlot), PastTotalsError> {
        let (from, until) = (by.start(from), by.end(by.start(to)));
        let days = DayRange {
            from,
            until,
            by,
            bytes: PAST_BYTES,
            period_bytes_max: PERIOD_BYTES_MAX,
        };
        let requester = self.requester(account);
        let readers = &self.core.readers;
        let slot = readers.heavy_slot(requester.clone()).await?;
        let account = account.clone();
        let read = move |reader: &mut dyn LedgerReader| {
            let view = reader.days(&account, days)?;
            Ok(page(account, view, days).map(finish))
        };
        let page = readers.read(requester, Weight::Heavy, read).await?;
        Ok((page.map_err(PastTotalsError::Rejected)?, slot))
    }

    /// The account's local date.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(crate) async fn today(&self, account: &Account) -> Result<Date, Unavailable> {
        let zone = self.profile(account).await?.time_zone;
        Ok(zone.date_of(self.now()))
    }

    /// Replaces an account's profile, and returns the new one. A new time zone recomputes the account's days in the
    /// same transaction, which takes about two seconds per million entries of the account, mostly before the
    /// transaction.
    ///
    /// Dropping the future does not undo what was sent to the ledger.
    ///
    /// # Errors
    /// When the change is invalid or expects another revision (`revision_mismatch`), the ledger is unavailable, or the
    /// subject has too many heavy requests under way (see [`for_subject`](Self::for_subject)).
    ///
    /// # Panics
    /// Outside a Tokio runtime with timers.
    pub async fn set_profile(
        &self,
        account: &Account,
        change: ProfileChange,
    ) -> Result<Profile, ProfileError> {
        // Refused here already, so that the writer need not be asked.
        change.zone().map_err(ProfileError::Rejected)?;
        let (requester, readers) = (self.requester(account), &self.core.readers);
        let (mut slot, mut turn, mut counted) = (None, None, None);
        for _ in 0..COUNTS_MAX {
            let edit = self.edit(account, change.clone(), counted, turn.clone());
            match edit.await? {
                ProfileEdit::Done(profile) => return Ok(profile),
                ProfileEdit::Refused(invalid) => return Err(ProfileError::Rejected(invalid)),
                ProfileEdit::Uncounted(recount) => {
                    if slot.is_none() {
                        slot = Some(readers.heavy_slot(requester.clone()).await?);
                        let acquired = self.core.recounts.clone().acquire_owned().await;
                        turn = Some(Arc::new(acquired.map_err(|_| Unavailable::Closed)?));
                    }
                    counted = Some(readers.count(&requester, account, recount).await?);
                }
            }
        }
        let reason = "events came in faster than the account's days could be counted";
        Err(Unavailable::Busy(reason.to_owned()).into())
    }

    /// Sends an edit to the writer.
    async fn edit(
        &self,
        account: &Account,
        change: ProfileChange,
        recount: Option<Recount>,
        turn: Option<Arc<OwnedSemaphorePermit>>,
    ) -> Result<ProfileEdit, Unavailable> {
        let (answer, edited) = oneshot::channel();
        let account = account.clone();
        let job = Job::SetProfile {
            account,
            change,
            recount,
            turn,
            answer,
        };
        self.core.run(job, edited).await
    }

    /// Deletes all data of an account: its entries, totals and profile. Returns once the deletion is durable.
    /// Its subscriptions get [`Interrupted::Erased`](super::Interrupted::Erased). A later event creates the account
    /// again. Erasing an account that does not exist succeeds.
    ///
    /// Dropping the future does not undo what was sent to the ledger.
    ///
    /// # Errors
    /// When the ledger is unavailable.
    pub async fn erase(&self, account: &Account) -> Result<(), Unavailable> {
        let (answer, erased) = oneshot::channel();
        let account = account.clone();
        self.core.run(Job::Erase { account, answer }, erased).await
    }
}

/// One page of past totals.
fn page(account: Account, view: DaysView, range: DayRange) -> Result<PastTotals, Invalid> {
    if view.days.is_empty() && view.next.is_some() {
        let message = "a month of this account has too many categories for one answer: ask by day";
        return Err(Invalid::new("period_too_large", message));
    }
    // Later periods, open days included, belong to the next page.
    let dates = (range.from, view.next.unwrap_or(range.until));
    PastTotals::new(account, &view.state, view.days, range.by, dates, view.next)
}
