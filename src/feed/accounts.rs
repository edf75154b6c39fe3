//! Operations on a whole account: its profile, its past totals, its erasure.

use jiff::civil::Date;
use tokio::sync::oneshot;

use super::{Feed, error::ProfileError};
use crate::{
    domain::{Account, PastTotals, Period, Profile, ProfileChange},
    ledger::{DayRange, EntryRange, Job, LedgerReader, Unavailable, Weight},
};

/// A page of past totals ends with the period in which it reaches this many bytes.
const PAST_BYTES: usize = 1024 * 1024;

impl Feed {
    /// An account's profile; the default profile if the account does not exist. Cancel-safe.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn profile(&self, account: &Account) -> Result<Profile, Unavailable> {
        Ok(self.view(account, EntryRange::None).await?.state.profile)
    }

    /// The totals by day or by month, from the period of the date `from` to that of `to`, without empty
    /// periods. They are exact as of one moment, including late events and corrections. One call returns
    /// about a megabyte; [`PastTotals::next`] is the start of the next page. Cancel-safe.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn past_totals(
        &self,
        account: &Account,
        by: Period,
        from: Date,
        to: Date,
    ) -> Result<PastTotals, Unavailable> {
        let (from, until) = (by.start(from), by.end(by.start(to)));
        let days = DayRange {
            from,
            until,
            by,
            bytes: PAST_BYTES,
        };
        let (requester, read) = (self.requester(account), account.clone());
        let read = move |reader: &mut dyn LedgerReader| reader.days(&read, days);
        let view = self
            .core
            .readers
            .read(requester, Weight::Heavy, read)
            .await?;
        // Later periods, open days included, belong to the next page.
        let until = view.next.unwrap_or(until);
        let account = account.clone();
        PastTotals::new(
            account,
            &view.state,
            view.days,
            by,
            (from, until),
            view.next,
        )
        .map_err(|invalid| Unavailable::Busy(invalid.to_string()))
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
    /// When the change is invalid or expects another revision (`revision_mismatch`), or the ledger is unavailable.
    pub async fn set_profile(
        &self,
        account: &Account,
        change: ProfileChange,
    ) -> Result<Profile, ProfileError> {
        let zone = change.zone().map_err(ProfileError::Rejected)?;
        // Recounted here and not by the writer, so that other accounts' events do not wait for it.
        let recount = match self.profile(account).await?.time_zone == zone {
            true => None,
            false => {
                let requester = self.requester(account);
                Some(self.core.readers.recount(requester, account, zone).await?)
            }
        };
        let (answer, profile) = oneshot::channel();
        let account = account.clone();
        let job = Job::SetProfile {
            account,
            change,
            recount,
            answer,
        };
        let edited = self.core.run(job, profile).await?;
        edited.map_err(ProfileError::Rejected)
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
