//! One socket of the feed's namespace, and the one task that serves it.
//!
//! Requests and feed messages leave through the same task, one after the other. So an ack comes
//! before the first message of its subscription, and nothing of an older one comes after it,
//! without any further care.

use std::{future::poll_fn, sync::Arc, task::Poll};

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::{
    answer::{self, Answer, Authenticated, Subscribed, Unsubscribed},
    command::Command,
    expiry::{self, AuthExpiring, Expiry},
    farewell::Farewell,
    flow::Gone,
    limits::{CLOSE_GRACE, FAREWELL_TIMEOUT, SUBSCRIPTIONS_MAX},
    mailbox::{Mailbox, Request},
    namespace::{self, Admission, Room, may_watch},
    outlet::Outlet,
    session::Session,
};
use crate::{
    access::Grant,
    domain::Account,
    feed::{Batch, Interrupted, Rider, SubscribeOptions, Subscription},
};

/// A connected socket.
pub(super) struct Watcher {
    room: Room,
    outlet: Outlet,
    /// Which of the session's feed sockets it is.
    number: u32,
    grant: Grant,
    expiry: Option<Expiry>,
    account: Option<Account>,
    mailbox: Arc<Mailbox>,
    /// The answer that comes before anything else.
    owed: Option<(i64, Answer)>,
    /// A few, and mostly one. Who has had his turn stands last.
    following: Vec<Following>,
}

/// An account that the socket follows, and its next messages.
struct Following {
    account: Account,
    rider: Arc<Rider>,
    next: BoxFuture<'static, Offer>,
}

/// A subscription with its next messages, which come again until they were emitted.
struct Offer {
    subscription: Box<Subscription>,
    batch: Result<Batch, Interrupted>,
}

/// The grant is another one, with another end.
struct Renewed;

/// Why a socket's task ends.
enum Ending {
    Gone,
    Farewell(Farewell),
}

impl From<Gone> for Ending {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<Interrupted> for Ending {
    fn from(interrupted: Interrupted) -> Self {
        Self::Farewell(match interrupted {
            Interrupted::Erased => Farewell::Erased,
            Interrupted::Unavailable(_) => Farewell::Unavailable,
        })
    }
}

impl Watcher {
    pub(super) fn new(room: Room, outlet: Outlet, admission: Admission) -> Self {
        let mut watcher = Self {
            room,
            outlet,
            number: admission.number,
            expiry: Expiry::new(admission.grant.expires_at()),
            grant: admission.grant,
            account: admission.account,
            mailbox: admission.mailbox,
            owed: None,
            following: Vec::with_capacity(1),
        };
        let subject = format!("subject:{}", watcher.grant.subject());
        watcher.outlet.socket().join(subject);
        if let Some((account, options)) = admission.first {
            watcher.follow(account, options);
        }
        watcher
    }

    /// Serves the socket until it is gone or has to go. Boxed, since a future has room for its arguments twice.
    pub(super) async fn run(mut self: Box<Self>) {
        let session = Arc::clone(self.session());
        let mailbox = Arc::clone(&self.mailbox);
        let ending = loop {
            let end = self.expiry.map(|expiry| expiry.end);
            tokio::select! {
                biased;
                () = mailbox.closed() => break Ending::Gone,
                farewell = session.ending() => break Ending::Farewell(farewell),
                () = expiry::at(end) => break Ending::Farewell(Farewell::Expired),
                served = self.serve() => match served {
                    Ok(Renewed) => {}
                    Err(ending) => break ending,
                },
            }
        };
        if let Ending::Farewell(farewell) = ending {
            Box::pin(self.say(farewell)).await;
        }
    }

    /// Serves the socket as long as its grant stays the same.
    async fn serve(&mut self) -> Result<Renewed, Ending> {
        // Else the first message would go through the engine, which keeps a buffer as large as it.
        self.session().flow.lets_in(self.number).await?;
        let expiry = self.expiry;
        let mut notice = expiry.map(|expiry| expiry.notice);
        loop {
            // Boxed, like all that is rare: it would take up room in every idle connection.
            if let Some((ack, answer)) = self.owed.take() {
                Box::pin(self.outlet.acknowledge(ack, &answer)).await?;
            }
            tokio::select! {
                (place, offer) = next_offer(&mut self.following) => {
                    let Offer { mut subscription, batch } = offer;
                    let batch = batch?;
                    // Only now its position moves: the client has it.
                    if self.outlet.writes(&batch) {
                        subscription.applied_all(&batch);
                    } else {
                        let first = batch.into_first();
                        Box::pin(self.outlet.emit(first.name(), first.json())).await?;
                        subscription.applied(&first);
                    }
                    self.follow_on(place, subscription);
                }
                request = self.mailbox.take() => {
                    self.session().request_taken();
                    Box::pin(self.answer(request)).await;
                    if self.expiry != expiry {
                        return Ok(Renewed);
                    }
                }
                () = expiry::at(notice) => {
                    notice = None;
                    Box::pin(self.warn_of_expiry()).await?;
                }
            }
        }
    }

    /// Waits for what comes next; the others have their turn first.
    fn follow_on(&mut self, place: usize, subscription: Box<Subscription>) {
        let following = self.following.remove(place);
        self.following.push(Following {
            next: next_of(subscription),
            ..following
        });
    }

    /// Does what a request asks. What a new subscription offers comes after its answer.
    async fn answer(&mut self, request: Request) {
        let answer = match Command::parse(&request) {
            Ok(command) => self.obey(command).await,
            Err(invalid) => answer::invalid(&invalid),
        };
        self.owed = request.ack.map(|ack| (ack, answer));
    }

    async fn obey(&mut self, command: Command) -> Answer {
        match command {
            Command::Subscribe { account, options } => match self.permitted(account) {
                Ok(account) => self.subscribe(account, options),
                Err(refusal) => refusal,
            },
            Command::Unsubscribe { account } => match self.permitted(account) {
                Ok(account) => {
                    self.unfollow(&account);
                    answer::done(Unsubscribed { account })
                }
                Err(refusal) => refusal,
            },
            Command::History {
                account,
                before,
                limit,
            } => match self.permitted(account) {
                Ok(account) => self.history(&account, before, limit).await,
                Err(refusal) => refusal,
            },
            Command::Authenticate { token } => self.authenticate(&token).await,
        }
    }

    /// The account that a request means, if the socket may watch it.
    fn permitted(&self, account: Option<Account>) -> Result<Account, Answer> {
        let Some(account) = account.or_else(|| self.account.clone()) else {
            return Err(answer::refused(
                "account_missing",
                "name the account: this token has several",
            ));
        };
        if may_watch(&self.grant, &account) {
            Ok(account)
        } else {
            Err(answer::not_found())
        }
    }

    fn subscribe(&mut self, account: Account, options: SubscribeOptions) -> Answer {
        let is_new = self.place_of(&account).is_none();
        if is_new && self.following.len() >= SUBSCRIPTIONS_MAX {
            return answer::refused(
                "too_many_subscriptions",
                "one socket follows at most 16 accounts: unsubscribe from one first",
            );
        }
        let answer = answer::done(Subscribed { account: &account });
        self.follow(account, options);
        answer
    }

    async fn history(&mut self, account: &Account, before: Option<u64>, limit: usize) -> Answer {
        match self.room.feed.history(account, before, limit).await {
            Ok(history) => answer::done(history),
            Err(error) => answer::unavailable(&error),
        }
    }

    /// Goes on with a new grant of the same subject, before the old one ends.
    async fn authenticate(&mut self, token: &str) -> Answer {
        let grant = match namespace::authorize(&*self.room.access, token).await {
            Ok(grant) => grant,
            Err(code) => return answer::refused(code, "the token was refused: fetch a new one"),
        };
        if grant.subject() != self.grant.subject() {
            return answer::refused("wrong_subject", "connect anew to be somebody else");
        }
        let followed = self.following.iter().map(|following| &following.account);
        let lost = followed.filter(|account| !may_watch(&grant, account));
        let lost: Vec<Account> = lost.cloned().collect();
        lost.iter().for_each(|account| self.unfollow(account));
        let expires_at = grant.expires_at();
        self.expiry = Expiry::new(expires_at);
        self.grant = grant;
        answer::done(Authenticated {
            expires_at,
            ended: lost,
        })
    }

    /// Follows an account from now on, in place of an earlier subscription to it.
    fn follow(&mut self, account: Account, options: SubscribeOptions) {
        self.unfollow(&account);
        self.outlet.socket().join(room_of(&account));
        let mut subscription = Box::new(self.room.feed.subscribe(account.clone(), options));
        let rider = subscription.ride(self.outlet.direct());
        self.following.push(Following {
            account,
            rider,
            next: next_of(subscription),
        });
    }

    fn unfollow(&mut self, account: &Account) {
        if let Some(place) = self.place_of(account) {
            // Its rider gets off with it: nothing of it is written any more once this returns.
            drop(self.following.remove(place));
            self.outlet.socket().leave(room_of(account));
        }
    }

    fn place_of(&self, account: &Account) -> Option<usize> {
        let mut following = self.following.iter();
        following.position(|following| following.account == *account)
    }

    async fn warn_of_expiry(&mut self) -> Result<(), Ending> {
        let Some(Expiry { expires_at, .. }) = self.expiry else {
            return Ok(());
        };
        let warning = AuthExpiring::at(expires_at);
        Ok(self
            .outlet
            .emit("auth_expiring", &answer::encode(&warning))
            .await?)
    }

    /// Says why, gives that a moment to arrive, and closes.
    async fn say(self: Box<Self>, farewell: Farewell) {
        // Nothing comes after the last word.
        let riders = self.following.iter().map(|following| &following.rider);
        riders.for_each(|rider| rider.get_off());
        // With several accounts it would have to say whose; the client has kept them all anyway.
        let position = match self.following.as_slice() {
            [sole] => sole.rider.position(),
            _ => None,
        };
        let closing = RawValue::from_string(farewell.message_at(position.as_ref()));
        let closing = closing.expect("a message is JSON");
        self.outlet.emit_now("closing", &closing);
        let flushed = self.session().flow.flushed();
        if tokio::time::timeout(FAREWELL_TIMEOUT, flushed)
            .await
            .is_err()
        {
            tracing::debug!(
                code = farewell.code(),
                "a client closes without having been told why"
            );
        }
        metrics::counter!("tallycast_socketio_closed_total", "code" => farewell.code())
            .increment(1);
        self.session().close(farewell.close_code());
        // A token that has expired ends within five seconds, whatever the client does.
        if !self.session().closed_within(CLOSE_GRACE).await {
            self.session().kill();
        }
    }

    fn session(&self) -> &Arc<Session> {
        self.outlet.session()
    }
}

impl Drop for Watcher {
    /// Nobody answers any more.
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

fn room_of(account: &Account) -> String {
    format!("account:{account}")
}

/// Waits for a subscription's next messages.
fn next_of(mut subscription: Box<Subscription>) -> BoxFuture<'static, Offer> {
    Box::pin(async move {
        let batch = subscription.next_batch().await;
        Offer {
            subscription,
            batch,
        }
    })
}

/// Waits until one of these offers something, which is then asked no more: its place, and what it offers.
async fn next_offer(following: &mut [Following]) -> (usize, Offer) {
    poll_fn(|cx| {
        for (place, following) in following.iter_mut().enumerate() {
            if let Poll::Ready(offer) = following.next.as_mut().poll(cx) {
                return Poll::Ready((place, offer));
            }
        }
        Poll::Pending
    })
    .await
}
