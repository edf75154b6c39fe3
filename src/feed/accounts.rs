//! What is done with an account as a whole: its settings, its past, its end.

use jiff::civil::Date;
use tokio::sync::oneshot;

use super::Feed;
use crate::{
    domain::{Account, Invalid, PastTotals, Period, Profile, ProfileChange},
    ledger::{DayRange, EntryRange, Job, Unavailable},
};

/// A page of past totals ends with the period in which it grows beyond this.
const PAST_BYTES: usize = 1024 * 1024;

impl Feed {
    /// An account's settings. Cancel-safe.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn profile(&self, account: &Account) -> Result<Profile, Unavailable> {
        let view = self.core.readers.view(account, EntryRange::None).await?;
        Ok(view.state.profile)
    }

    /// What was consumed by day or by month, from the period of the date `from` to that of `to`; periods
    /// without entries are left out. Exact as of one moment, late events and corrections included.
    /// One call gives about a megabyte; [`PastTotals::next`] says where to go on. Cancel-safe.
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
        let view = self.core.readers.days(account, days).await?;
        // What lies behind this page, open days too, comes with its own.
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

    /// Edits an account's settings. Another time zone counts its days anew, in the same transaction:
    /// that takes about two seconds per million entries of the account, most of them before the
    /// transaction.
    ///
    /// # Errors
    /// The inner one when the change is refused, the outer one when the ledger is unavailable.
    pub async fn set_profile(
        &self,
        account: &Account,
        change: ProfileChange,
    ) -> Result<Result<Profile, Invalid>, Unavailable> {
        let zone = match change.zone() {
            Ok(zone) => zone,
            Err(invalid) => return Ok(Err(invalid)),
        };
        // The writer would do it as well, but nobody's events should wait for it.
        let recount = match self.profile(account).await?.time_zone == zone {
            true => None,
            false => Some(self.core.readers.recount(account, zone).await?),
        };
        let (answer, profile) = oneshot::channel();
        let account = account.clone();
        let job = Job::SetProfile {
            account,
            change,
            recount,
            answer,
        };
        self.send(job).await?;
        match profile.await {
            Ok(answer) => answer,
            Err(_) => Err(self.gone().await),
        }
    }

    /// Removes everything of an account: its entries, totals, settings. Answered when that is durable.
    /// Whoever follows it is [`Interrupted`](super::Interrupted); if it returns, it begins anew. An account that is not there
    /// is erased already.
    ///
    /// Dropping the future does not undo what was sent to the ledger.
    ///
    /// # Errors
    /// When the ledger is unavailable.
    pub async fn erase(&self, account: &Account) -> Result<(), Unavailable> {
        let (answer, erased) = oneshot::channel();
        let account = account.clone();
        self.send(Job::Erase { account, answer }).await?;
        match erased.await {
            Ok(answer) => answer,
            Err(_) => Err(self.gone().await),
        }
    }
}
