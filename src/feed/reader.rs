use std::{fmt, sync::Arc};

use jiff::civil::Date;
use tokio::sync::watch;

use super::{
    batch::Batch,
    calendar::LocalDay,
    core::Core,
    direct_delivery::{DirectDelivery, Sink},
    error::Interrupted,
    message::{ENTRIES_BYTES_MAX, Message, MessageKind, Reason, TotalsOf},
    message_builder::MergedEntries,
    options::{Mode, SubscribeOptions},
    topics::Topic,
    version::Version,
};
use crate::{
    domain::{Account, Position, Stamp, Zone},
    ledger::{AccountView, EntryRange, Requester, Unavailable},
};

/// How many entries a client may be behind to get a replay. Beyond that a snapshot is cheaper for both sides.
const REPLAY_MAX: u64 = 5_000;
/// The most entries of one read, and of one update that is read from the ledger.
const PAGE_ENTRIES: usize = 500;

/// One reader of a feed, as transports use it: a position that it owns, and a wake-up.
///
/// Call [`next`](Self::next), hand the message to the client, then call
/// [`applied`](Self::applied). A message that was not applied comes again.
pub(crate) struct FeedReader {
    core: Arc<Core>,
    /// For whom it reads the ledger.
    subject: Option<Arc<str>>,
    account: Account,
    recent: usize,
    mode: Mode,
    topic: Arc<Topic>,
    /// The topic's version when it was last read.
    version: Version,
    /// The date in the account's time zone, once the zone is known.
    today: Option<Today>,
    client: ClientPlace,
    /// Whether the client has just applied a snapshot that was read while the topic was followed: then the
    /// topic's version tells whether anything is new since.
    is_fresh: bool,
    offered: Option<Message>,
    delivery: Option<NumberedDelivery>,
    /// Whether the direct delivery owns the position.
    is_delivering: bool,
}

/// A direct delivery, and its number in the topic.
struct NumberedDelivery {
    delivery: Arc<DirectDelivery>,
    number: u64,
}

struct Today {
    local: Arc<LocalDay>,
    date: watch::Receiver<Date>,
}

/// How far the client has read.
#[derive(Debug)]
enum ClientPlace {
    /// It has nothing.
    Start,
    /// It sent this text as its position. It is not parsed yet.
    Claimed(String),
    /// It has applied everything up to `position`. `is_live`: it has also applied `live`.
    At { position: Position, is_live: bool },
}

impl FeedReader {
    pub(super) fn new(
        core: Arc<Core>,
        subject: Option<Arc<str>>,
        account: Account,
        options: SubscribeOptions,
    ) -> Self {
        // The topic is followed before the ledger is read, so that a commit in between wakes the reader.
        let topic = core.topics.follow(&account);
        Self {
            version: topic.version(),
            today: None,
            topic,
            core,
            subject,
            account,
            recent: options.recent,
            mode: options.mode,
            client: options
                .after
                .map_or(ClientPlace::Start, ClientPlace::Claimed),
            is_fresh: false,
            offered: None,
            delivery: None,
            is_delivering: false,
        }
    }

    /// Allows direct delivery: while the reader is live and waits in `next`, commits may be written to
    /// `sink`, and `next` does not return them. Called at most once, before the first message; from then on
    /// the delivery knows the client's position. It must be called inside a Tokio runtime.
    pub(crate) fn deliver_directly(&mut self, sink: impl Sink) -> Arc<DirectDelivery> {
        // Started before the delivery is added, since a commit may dispatch it at once.
        self.core.fanout.start();
        let delivery: Arc<DirectDelivery> = Arc::new(DirectDelivery::new(sink, self.mode));
        let number = self.topic.add_delivery(delivery.clone());
        self.delivery = Some(NumberedDelivery {
            delivery: delivery.clone(),
            number,
        });
        delivery
    }

    fn is_live(&self) -> bool {
        matches!(self.client, ClientPlace::At { is_live: true, .. })
    }

    /// The account that it follows.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// The client's position, once it has applied a message.
    pub(crate) fn position(&self) -> Option<Position> {
        match (&self.delivery, &self.client) {
            (Some(numbered), _) => numbered.delivery.position(),
            (None, ClientPlace::At { position, .. }) => Some(*position),
            (None, ClientPlace::Start | ClientPlace::Claimed(_)) => None,
        }
    }

    /// The next message; waits until there is one. Cancel-safe: the same message comes again until
    /// `applied` is called for it.
    ///
    /// # Errors
    /// When the account was erased, which is reported once, or the ledger cannot be read. It may be called
    /// again.
    pub(crate) async fn next(&mut self) -> Result<Message, Interrupted> {
        loop {
            self.take_position_back();
            let version = self.topic.version();
            let previous = std::mem::replace(&mut self.version, version);
            if version.erasures != previous.erasures {
                self.offered = None;
                self.read_ledger_next();
                return Err(Interrupted::Erased);
            }
            if let Some(message) = &self.offered {
                return Ok(message.clone());
            }
            let today = self.today.as_mut().map(|day| *day.date.borrow_and_update());
            if let Some(message) = self.ready(version, today).await? {
                // The account may have been erased while the ledger was read.
                if self.topic.version().erasures != version.erasures {
                    continue;
                }
                self.offered = Some(message.clone());
                return Ok(message);
            }
            self.changed().await?;
        }
    }

    /// Like `next`, with any message that may follow in the same write: `live` after a complete first
    /// snapshot. Cancel-safe like `next`.
    pub(crate) async fn next_batch(&mut self) -> Result<Batch, Interrupted> {
        let message = self.next().await?;
        let position = *message.position();
        let is_complete =
            message.kind() == MessageKind::Snapshot && !self.version.is_ahead_of(&position);
        let live = (is_complete && !self.is_live()).then(|| Message::live(&self.account, position));
        Ok(Batch::starting(message, live))
    }

    /// After an erasure the position may no longer be of this account, and the topic of an account without
    /// entries does not change. So the next message is read from the ledger.
    fn read_ledger_next(&mut self) {
        self.is_fresh = false;
        if let ClientPlace::At { is_live, .. } = &mut self.client {
            *is_live = false;
        }
    }

    /// Waits until the topic or the account's date has changed. With direct delivery active it only waits
    /// until the delivery falls back or the date changes.
    async fn changed(&mut self) -> Result<(), Unavailable> {
        let guard = match (&self.delivery, &self.client) {
            (
                Some(numbered),
                ClientPlace::At {
                    position,
                    is_live: true,
                },
            ) => numbered.delivery.start(*position, self.version.erasures),
            _ => None,
        };
        self.is_delivering = guard.is_some();
        let topic_changed = async {
            match &guard {
                // Checked again, since a commit from before the start is not dispatched to it.
                Some(guard) if self.topic.version() == self.version => guard.fell_back().await,
                Some(_) => {}
                None => self.topic.changed_from(self.version).await,
            }
        };
        let Some(today) = &mut self.today else {
            topic_changed.await;
            return Ok(());
        };
        tokio::select! {
            () = topic_changed => Ok(()),
            // `today.local` owns the sender, so the channel cannot be closed.
            changed = today.date.changed() => changed.map_err(|_| Unavailable::Closed),
        }
    }

    /// Takes the position back from the direct delivery.
    fn take_position_back(&mut self) {
        if std::mem::take(&mut self.is_delivering)
            && let Some(NumberedDelivery { delivery, .. }) = &self.delivery
            && let Some(position) = delivery.position()
        {
            self.client = ClientPlace::At {
                position,
                is_live: true,
            };
        }
    }

    /// Marks `message` as applied by the client: the position moves past it. Any message but the last one from
    /// `next` is ignored.
    pub(crate) fn applied(&mut self, message: &Message) {
        let is_offered = |offered: &Message| Arc::ptr_eq(offered.json(), message.json());
        if self.offered.as_ref().is_some_and(is_offered) {
            self.move_past(message);
        }
    }

    /// Marks the last batch from `next_batch` as applied by the client.
    pub(crate) fn applied_all(&mut self, batch: &Batch) {
        for message in &batch.messages {
            self.move_past(message);
        }
    }

    fn move_past(&mut self, message: &Message) {
        self.offered = None;
        self.is_fresh = message.kind() == MessageKind::Snapshot;
        if let Some(NumberedDelivery { delivery, .. }) = &self.delivery {
            delivery.applied(*message.position());
        }
        self.client = ClientPlace::At {
            position: *message.position(),
            is_live: self.is_live() || message.kind() == MessageKind::Live,
        };
    }

    /// What the client lacks at this version and date, if anything.
    async fn ready(
        &mut self,
        version: Version,
        today: Option<Date>,
    ) -> Result<Option<Message>, Unavailable> {
        // Futures that read the ledger are boxed: inline they would take memory in every idle subscription.
        let (position, is_live) = match &self.client {
            ClientPlace::Start => return Box::pin(self.snapshot(Reason::Initial)).await.map(Some),
            ClientPlace::Claimed(text) => match Position::parse(text) {
                Ok(position) => (position, false),
                Err(_) => return Box::pin(self.snapshot(Reason::BadPosition)).await.map(Some),
            },
            ClientPlace::At { position, is_live } => (*position, *is_live),
        };
        if let Some((update, more)) = self.topic.update_after(&position)
            && is_live
            && !(more && self.mode == Mode::Totals)
        {
            return Ok(Some(update.message.clone()));
        }
        let date_changed = today.is_some_and(|date| Stamp::day_of(date) != position.stamp.day);
        if !version.is_ahead_of(&position) && !date_changed {
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
        self.follow_day(&view.state.profile.time_zone);
        let builder = self.core.builder(&self.account, &view.state);
        let latest = builder.position(view.state.offset);
        if let Some(reason) = self.reset_reason(&position, &latest) {
            return self.snapshot(reason).await.map(Some);
        }
        let totals = totals_for(&position, &latest);
        if view.entries.is_empty() {
            return Ok(match (totals, is_live) {
                (TotalsOf::All, _) => Some(builder.rollover()),
                (_, false) => Some(builder.live()),
                (_, true) => None,
            });
        }
        if self.mode == Mode::Totals && view.entries.len() > 1 {
            return self.merged(position, view).await.map(Some);
        }
        Ok(Some(builder.update(&view.entries, totals)))
    }

    /// One update in place of all that follow `position`, of which `view` has the first entries. The others are read
    /// in pages, so that no read is long, and what is left out of each is dropped before the next.
    async fn merged(
        &mut self,
        position: Position,
        mut view: AccountView,
    ) -> Result<Message, Unavailable> {
        let mut merged = MergedEntries::new(position.offset);
        while merged.add(std::mem::take(&mut view.entries))
            && merged.to() < view.state.offset
            && merged.to() - position.offset < REPLAY_MAX
        {
            view = self.page(merged.to()).await?;
            let builder = self.core.builder(&self.account, &view.state);
            let latest = builder.position(view.state.offset);
            if let Some(reason) = self.reset_reason(&position, &latest) {
                return self.snapshot(reason).await;
            }
        }
        let builder = self.core.builder(&self.account, &view.state);
        let latest = builder.position(view.state.offset);
        Ok(builder.merged(&merged, totals_for(&position, &latest)))
    }

    async fn page(&self, offset: u64) -> Result<AccountView, Unavailable> {
        let entries = EntryRange::After {
            offset,
            count: PAGE_ENTRIES,
            bytes: ENTRIES_BYTES_MAX,
        };
        let readers = &self.core.readers;
        readers.view(self.requester(), &self.account, entries).await
    }

    fn requester(&self) -> Requester {
        Requester::new(self.subject.as_ref(), &self.account)
    }

    async fn snapshot(&mut self, reason: Reason) -> Result<Message, Unavailable> {
        if reason == Reason::Ahead {
            metrics::counter!("tallycast_positions_ahead_total").increment(1);
        }
        let (core, requester) = (self.core.clone(), self.requester());
        let read = core.snapshot(requester, &self.account, self.recent, reason);
        let (snapshot, zone) = read.await?;
        self.follow_day(&zone);
        Ok(snapshot)
    }

    /// From now on the reader wakes at midnight in the account's time zone.
    fn follow_day(&mut self, zone: &Zone) {
        let is_followed = |today: &Today| today.local.is_of(zone);
        if !self.today.as_ref().is_some_and(is_followed) {
            let local = self.core.calendar.follow(zone);
            let date = local.watch();
            self.today = Some(Today { local, date });
        }
    }

    /// Why a client at `position` needs a snapshot to get to `latest`, if it does.
    fn reset_reason(&self, position: &Position, latest: &Position) -> Option<Reason> {
        let absent_tag = || Position::tag_of(latest.epoch, &self.account, 0);
        if position.epoch != latest.epoch {
            Some(Reason::EpochChanged)
        } else if position.tag != latest.tag && !position.is_of_absent(absent_tag()) {
            Some(Reason::BadPosition)
        } else if position.offset > latest.offset {
            Some(Reason::Ahead)
        } else if position.stamp.revision != latest.stamp.revision {
            Some(Reason::ProfileChanged)
        } else if latest.offset - position.offset > REPLAY_MAX {
            Some(Reason::TooFar)
        } else {
            None
        }
    }
}

/// Which totals a client at `position` needs to get to `latest`.
fn totals_for(position: &Position, latest: &Position) -> TotalsOf {
    match position.stamp != latest.stamp || position.totals_due {
        true => TotalsOf::All,
        false => TotalsOf::Changed,
    }
}

impl fmt::Debug for FeedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedReader")
            .field("account", &self.account)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Drop for FeedReader {
    fn drop(&mut self) {
        if let Some(NumberedDelivery { number, .. }) = self.delivery {
            self.topic.remove_delivery(number);
        }
        self.core.topics.unfollow(&self.account);
    }
}
