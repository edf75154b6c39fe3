use std::{fmt, sync::Arc};

use jiff::civil::Date;
use tokio::sync::watch;

use super::{
    ENTRIES_BYTES_MAX, Feed, Message, MessageKind, Reason,
    batch::Batch,
    calendar::LocalDay,
    heads::{Head, Mark},
    message::TotalsOf,
    rider::{Rider, Sink},
};
use crate::{
    domain::{Account, AccountState, Position, Stamp},
    ledger::{AccountView, EntryRange, Unavailable},
};

/// How far behind a client may be to get every entry; further, a snapshot is cheaper for both.
const REPLAY_MAX: u64 = 5_000;
/// The most entries of one update that is read from the ledger.
const PAGE_ENTRIES: usize = 500;
/// What a conflated update may be made of.
const MERGED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where a subscription starts and what it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// The position that the client has kept, as it sent it; `None` starts with a snapshot.
    pub after: Option<String>,
    /// The entries that a snapshot shows, at most 100.
    pub recent: usize,
    /// What a slow client gets.
    pub mode: Mode,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            after: None,
            recent: Feed::RECENT_DEFAULT,
            mode: Mode::Entries,
        }
    }
}

/// What a client gets when more than one update waits for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Mode {
    /// Every entry.
    #[default]
    Entries,
    /// The newest totals, with only the alerts, reversals and adjustments.
    Totals,
}

/// One reader of a feed: a position that it owns, and a wake-up.
///
/// Call [`next`](Self::next), hand the message to the client, then call
/// [`applied`](Self::applied); a message that was not applied comes again.
pub struct Subscription {
    feed: Feed,
    account: Account,
    recent: usize,
    mode: Mode,
    head: Arc<Head>,
    /// Where the head was when it was last looked at.
    mark: Mark,
    /// The date in the account's time zone, once that is known.
    today: Option<Today>,
    place: Place,
    /// Whether the place is a snapshot's, read while the head was watched: the head tells what is new since.
    is_fresh: bool,
    offered: Option<Message>,
    rider: Option<Numbered>,
    /// Whether the rider has the position.
    is_riding: bool,
}

/// A rider, and its number among those of the head.
struct Numbered {
    rider: Arc<Rider>,
    number: u64,
}

struct Today {
    local: Arc<LocalDay>,
    date: watch::Receiver<Date>,
}

/// Why a subscription has no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Interrupted {
    /// The account was erased. What the client shows is nobody's any more: close its connection, or
    /// ask for the next message, which is a snapshot of an account without entries.
    #[error("the account was erased")]
    Erased,
    /// The ledger cannot be read: ask again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// How far the client is.
#[derive(Debug)]
enum Place {
    /// It has nothing.
    Nowhere,
    /// It sent this, which may be anything.
    Claimed(String),
    /// It is here. `is_live`: it was told that replay is over.
    At { position: Position, is_live: bool },
}

impl Subscription {
    pub(super) fn new(feed: Feed, account: Account, options: SubscribeOptions) -> Self {
        // The head is watched before the ledger is read: what is committed in between wakes.
        let head = feed.core.heads.watch(&account);
        Self {
            mark: head.mark(),
            today: None,
            head,
            feed,
            account,
            recent: options.recent,
            mode: options.mode,
            place: options.after.map_or(Place::Nowhere, Place::Claimed),
            is_fresh: false,
            offered: None,
            rider: None,
            is_riding: false,
        }
    }

    /// From now on what is committed while the subscription is live and waits may be written to `sink` at
    /// once, and is not offered then. Said once, before the first message; from then on it is the rider
    /// that knows how far the client is. It must be called inside a Tokio runtime.
    pub(crate) fn ride(&mut self, sink: impl Sink) -> Arc<Rider> {
        // Before it is among the riders: whoever finds it there can carry it.
        self.feed.core.heads.fanout().start();
        let rider: Arc<Rider> = Arc::new(Rider::new(sink, self.mode));
        let number = self.head.add_rider(rider.clone());
        self.rider = Some(Numbered {
            rider: rider.clone(),
            number,
        });
        rider
    }

    fn is_live(&self) -> bool {
        matches!(self.place, Place::At { is_live: true, .. })
    }

    /// Whose feed it is.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The last position that was applied, if any.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        match &self.place {
            Place::At { position, .. } => Some(position),
            Place::Nowhere | Place::Claimed(_) => None,
        }
    }

    /// The next message; waits for one where there is none. Cancel-safe: the same message comes
    /// again until `applied` was called for it.
    ///
    /// # Errors
    /// When the account was erased, which is said once, or the ledger cannot be read; it may be called
    /// again.
    pub async fn next(&mut self) -> Result<Message, Interrupted> {
        loop {
            self.take_back();
            let mark = self.head.mark();
            let seen = std::mem::replace(&mut self.mark, mark);
            if mark.erasures != seen.erasures {
                self.offered = None;
                self.doubt();
                return Err(Interrupted::Erased);
            }
            if let Some(message) = &self.offered {
                return Ok(message.clone());
            }
            let today = self.today.as_mut().map(|day| *day.date.borrow_and_update());
            if let Some(message) = self.ready(mark, today).await? {
                self.offered = Some(message.clone());
                return Ok(message);
            }
            self.changed().await?;
        }
    }

    /// As `next`, with what may be written right behind it: after the first snapshot, if that has all, `live`.
    /// Cancel-safe as `next` is.
    pub(crate) async fn next_batch(&mut self) -> Result<Batch, Interrupted> {
        let message = self.next().await?;
        let position = *message.position();
        let is_all = message.kind() == MessageKind::Snapshot && !self.mark.is_ahead_of(&position);
        let live = (is_all && !self.is_live()).then(|| Message::live(&self.account, position));
        Ok(Batch::starting(message, live))
    }

    /// The position may be none of this account any more, and nothing moves the head of one that is not
    /// there: what comes next is read from the ledger.
    fn doubt(&mut self) {
        self.is_fresh = false;
        if let Place::At { is_live, .. } = &mut self.place {
            *is_live = false;
        }
    }

    /// Waits until the account's head has moved or its day has turned; while it rides, until either is its
    /// task's business.
    async fn changed(&mut self) -> Result<(), Unavailable> {
        let ride = match (&self.rider, &self.place) {
            (
                Some(numbered),
                Place::At {
                    position,
                    is_live: true,
                },
            ) => numbered.rider.get_on(*position, self.mark.erasures),
            _ => None,
        };
        self.is_riding = ride.is_some();
        // Looked at once more, since whoever gets on after a commit is not carried to it.
        let moved = async {
            match &ride {
                Some(ride) if self.head.mark() == self.mark => ride.ended().await,
                Some(_) => {}
                None => self.head.moved_from(self.mark).await,
            }
        };
        let Some(today) = &mut self.today else {
            moved.await;
            return Ok(());
        };
        tokio::select! {
            () = moved => Ok(()),
            // What this subscription holds owns the sender: it cannot be closed.
            turned = today.date.changed() => turned.map_err(|_| Unavailable::Closed),
        }
    }

    /// Has the position to itself again, as far as it came.
    fn take_back(&mut self) {
        if std::mem::take(&mut self.is_riding)
            && let Some(Numbered { rider, .. }) = &self.rider
            && let Some(position) = rider.position()
        {
            self.place = Place::At {
                position,
                is_live: true,
            };
        }
    }

    /// The client has taken `message`: the position moves behind it. A message that `next` did not
    /// give last changes nothing.
    pub fn applied(&mut self, message: &Message) {
        let is_offered = |offered: &Message| Arc::ptr_eq(offered.json(), message.json());
        if self.offered.as_ref().is_some_and(is_offered) {
            self.move_behind(message);
        }
    }

    /// The client has taken all that `next_batch` gave last.
    pub(crate) fn applied_all(&mut self, batch: &Batch) {
        for message in &batch.messages {
            self.move_behind(message);
        }
    }

    fn move_behind(&mut self, message: &Message) {
        self.offered = None;
        self.is_fresh = message.kind() == MessageKind::Snapshot;
        if let Some(Numbered { rider, .. }) = &self.rider {
            rider.applied(*message.position());
        }
        self.place = Place::At {
            position: *message.position(),
            is_live: self.is_live() || message.kind() == MessageKind::Live,
        };
    }

    /// What the client lacks at the moment, if anything.
    async fn ready(
        &mut self,
        mark: Mark,
        today: Option<Date>,
    ) -> Result<Option<Message>, Unavailable> {
        // What reads the ledger is boxed: else whoever waits for a commit would keep room for it.
        let (position, is_live) = match &self.place {
            Place::Nowhere => return Box::pin(self.snapshot(Reason::Initial)).await.map(Some),
            Place::Claimed(text) => match Position::parse(text) {
                Ok(position) => (position, false),
                Err(_) => return Box::pin(self.snapshot(Reason::BadPosition)).await.map(Some),
            },
            Place::At { position, is_live } => (*position, *is_live),
        };
        if let Some((update, more)) = self.head.update_after(&position)
            && is_live
            && !(more && self.mode == Mode::Totals)
        {
            return Ok(Some(update.message.clone()));
        }
        let has_turned = today.is_some_and(|date| Stamp::day_of(date) != position.stamp.day);
        if !mark.is_ahead_of(&position) && !has_turned {
            if is_live {
                return Ok(None);
            }
            if self.is_fresh {
                return Ok(Some(Message::live(&self.account, position)));
            }
        }
        Box::pin(self.read(position, is_live)).await
    }

    async fn read(
        &mut self,
        position: Position,
        is_live: bool,
    ) -> Result<Option<Message>, Unavailable> {
        let view = self.page(position.offset).await?;
        self.follow_day(&view.state);
        let builder = self.feed.builder(&self.account, &view.state);
        let head = builder.position(view.state.offset);
        if let Some(reason) = self.reset(&position, &head) {
            return self.snapshot(reason).await.map(Some);
        }
        let is_stale = position.stamp != head.stamp || position.totals_due;
        if view.entries.is_empty() {
            return Ok(match (is_stale, is_live) {
                (true, _) => Some(builder.rollover()),
                (false, false) => Some(builder.live()),
                (false, true) => None,
            });
        }
        let totals = match is_stale {
            true => TotalsOf::All,
            false => TotalsOf::Changed,
        };
        Ok(Some(
            if self.mode == Mode::Totals && view.entries.len() > 1 {
                builder.merged(&view.entries, totals)
            } else {
                builder.update(&view.entries, totals)
            },
        ))
    }

    async fn page(&self, offset: u64) -> Result<AccountView, Unavailable> {
        let entries = match self.mode {
            Mode::Entries => EntryRange::After {
                offset,
                count: PAGE_ENTRIES,
                bytes: ENTRIES_BYTES_MAX,
            },
            Mode::Totals => EntryRange::After {
                offset,
                count: usize::try_from(REPLAY_MAX).unwrap_or(usize::MAX),
                bytes: MERGED_BYTES_MAX,
            },
        };
        self.feed.core.readers.view(&self.account, entries).await
    }

    async fn snapshot(&mut self, reason: Reason) -> Result<Message, Unavailable> {
        if reason == Reason::Ahead {
            metrics::counter!("tallycast_positions_ahead_total").increment(1);
        }
        let view = self.feed.recent(&self.account, self.recent).await?;
        self.follow_day(&view.state);
        let builder = self.feed.builder(&self.account, &view.state);
        Ok(builder.snapshot(&view.entries, reason))
    }

    /// Wakes at midnight from now on, where the account's zone has it.
    fn follow_day(&mut self, state: &AccountState) {
        let zone = &state.profile.time_zone;
        let is_followed = |today: &Today| today.local.is_of(zone);
        if !self.today.as_ref().is_some_and(is_followed) {
            let local = self.feed.core.calendar.follow(zone);
            let date = local.watch();
            self.today = Some(Today { local, date });
        }
    }

    /// Why a client at `position` cannot go on from there to `head`, if it cannot.
    fn reset(&self, position: &Position, head: &Position) -> Option<Reason> {
        let absent_tag = || Position::tag_of(head.epoch, &self.account, 0);
        if position.epoch != head.epoch {
            Some(Reason::EpochChanged)
        } else if position.tag != head.tag && !position.is_of_absent(absent_tag()) {
            Some(Reason::BadPosition)
        } else if position.offset > head.offset {
            Some(Reason::Ahead)
        } else if position.stamp.revision != head.stamp.revision {
            Some(Reason::ProfileChanged)
        } else if head.offset - position.offset > REPLAY_MAX {
            Some(Reason::TooFar)
        } else {
            None
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("account", &self.account)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(Numbered { number, .. }) = self.rider {
            self.head.remove_rider(number);
        }
        self.feed.core.heads.leave(&self.account);
    }
}
