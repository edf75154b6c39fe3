//! One socket of the feed's namespace, and the one task that serves it.
//!
//! Requests and feed messages leave through the same task, one after the other. So an ack comes
//! before the first message of its subscription, and nothing of an older one comes after it,
//! without any further care.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

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
    feed::{Interrupted, Message, Rider, SubscribeOptions, Subscription},
};

/// A connected socket.
pub(super) struct Watcher {
    room: Room,
    outlet: Outlet,
    /// Which of the session's feed sockets it is.
    number: u32,
    grant: Grant,
    account: Option<Account>,
    first: Option<(Account, SubscribeOptions)>,
    mailbox: Arc<Mailbox>,
    expiry: watch::Sender<Option<Expiry>>,
    following: HashMap<Account, Following>,
    offers: FuturesUnordered<BoxFuture<'static, Option<Box<Offer>>>>,
}

/// An account that the socket follows.
struct Following {
    stop: CancellationToken,
    rider: Arc<Rider>,
}

impl Following {
    /// Nothing of it is written any more once this returns, but by its task.
    fn stop(&self) {
        self.stop.cancel();
        self.rider.get_off();
    }
}

/// A subscription with its next message, which comes again until it was emitted.
struct Offer {
    account: Account,
    subscription: Subscription,
    message: Result<Message, Interrupted>,
}

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

impl Watcher {
    pub(super) fn new(room: Room, outlet: Outlet, admission: Admission) -> Self {
        Self {
            room,
            outlet,
            number: admission.number,
            expiry: watch::Sender::new(Expiry::new(admission.grant.expires_at())),
            grant: admission.grant,
            account: admission.account,
            first: admission.first,
            mailbox: admission.mailbox,
            following: HashMap::new(),
            offers: FuturesUnordered::new(),
        }
    }

    /// Serves the socket until it is gone or has to go.
    pub(super) async fn run(mut self) {
        let session = Arc::clone(self.session());
        let mailbox = Arc::clone(&self.mailbox);
        let expiry = self.expiry.subscribe();
        let ending = tokio::select! {
            biased;
            () = mailbox.closed() => Ending::Gone,
            farewell = session.ending() => Ending::Farewell(farewell),
            () = expired(expiry) => Ending::Farewell(Farewell::Expired),
            ending = self.serve() => match ending {
                Ok(never) => match never {},
                Err(ending) => ending,
            },
        };
        if let Ending::Farewell(farewell) = ending {
            Box::pin(self.say(farewell)).await;
        }
    }

    async fn serve(&mut self) -> Result<Infallible, Ending> {
        let subject = format!("subject:{}", self.grant.subject());
        self.outlet.socket().join(subject);
        if let Some((account, options)) = self.first.take() {
            self.follow(account, options);
        }
        // Else the first message would go through the engine, which keeps a buffer as large as it.
        self.session().flow.lets_in(self.number).await?;
        let mut expiry = self.expiry.subscribe();
        let mut notice = expiry.borrow_and_update().map(|expiry| expiry.notice);
        loop {
            tokio::select! {
                Some(offer) = self.offers.next() => self.deliver(offer).await?,
                request = self.mailbox.take() => {
                    self.session().request_taken();
                    // Boxed, like all that is rare: it would take up room in every idle connection.
                    Box::pin(self.answer(request)).await?;
                }
                () = expiry::at(notice) => {
                    notice = None;
                    Box::pin(self.warn_of_expiry()).await?;
                }
                Ok(()) = expiry.changed() => {
                    notice = expiry.borrow_and_update().map(|expiry| expiry.notice);
                }
            }
        }
    }

    /// Emits what a subscription offers; only then does its position move.
    async fn deliver(&mut self, offer: Option<Box<Offer>>) -> Result<(), Ending> {
        // A subscription that was stopped offers nothing any more.
        let Some(offer) = offer else { return Ok(()) };
        let message = match &offer.message {
            Ok(message) => message,
            Err(Interrupted::Erased) => return Err(Ending::Farewell(Farewell::Erased)),
            Err(_) => return Err(Ending::Farewell(Farewell::Unavailable)),
        };
        self.outlet.deliver(message).await?;
        self.delivered(*offer);
        Ok(())
    }

    fn delivered(&mut self, offer: Offer) {
        let Offer {
            account,
            mut subscription,
            message,
        } = offer;
        let (Ok(message), Some(following)) = (message, self.following.get(&account)) else {
            return;
        };
        subscription.applied(&message);
        let stop = following.stop.clone();
        self.offers.push(next_offer(account, subscription, stop));
    }

    /// Does what a request asks and acknowledges it. What a new subscription offers comes after.
    async fn answer(&mut self, request: Request) -> Result<(), Ending> {
        let answer = match Command::parse(&request) {
            Ok(command) => self.obey(command).await,
            Err(invalid) => answer::invalid(&invalid),
        };
        if let Some(ack) = request.ack {
            self.outlet.acknowledge(ack, &answer).await?;
        }
        Ok(())
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
        let is_new = !self.following.contains_key(&account);
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
        let lost = self
            .following
            .keys()
            .filter(|account| !may_watch(&grant, account));
        let lost: Vec<Account> = lost.cloned().collect();
        lost.iter().for_each(|account| self.unfollow(account));
        let expires_at = grant.expires_at();
        self.expiry.send_replace(Expiry::new(expires_at));
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
        let stop = CancellationToken::new();
        let mut subscription = self.room.feed.subscribe(account.clone(), options);
        let rider = subscription.ride(self.outlet.direct());
        self.offers
            .push(next_offer(account.clone(), subscription, stop.clone()));
        self.following.insert(account, Following { stop, rider });
    }

    fn unfollow(&mut self, account: &Account) {
        if let Some(following) = self.following.remove(account) {
            following.stop();
            self.outlet.socket().leave(room_of(account));
        }
    }

    async fn warn_of_expiry(&mut self) -> Result<(), Ending> {
        let Some(Expiry { expires_at, .. }) = *self.expiry.borrow() else {
            return Ok(());
        };
        let warning = AuthExpiring::at(expires_at);
        Ok(self
            .outlet
            .emit("auth_expiring", &answer::encode(&warning))
            .await?)
    }

    /// Says why, gives that a moment to arrive, and closes.
    async fn say(self, farewell: Farewell) {
        // Nothing comes after the last word.
        self.following.values().for_each(Following::stop);
        // With several accounts it would have to say whose; the client has kept them all anyway.
        let mut following = self.following.values();
        let position = match (following.next(), following.next()) {
            (Some(sole), None) => sole.rider.position(),
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

/// Waits for a subscription's next message, or until it is stopped.
fn next_offer(
    account: Account,
    mut subscription: Subscription,
    stop: CancellationToken,
) -> BoxFuture<'static, Option<Box<Offer>>> {
    Box::pin(async move {
        // Being stopped comes first: a message that is ready as well is of an older subscription.
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            message = subscription.next() => message,
        };
        Some(Box::new(Offer {
            account,
            subscription,
            message,
        }))
    })
}

/// Resolves when the grant of the moment ends. Cancel-safe.
async fn expired(mut expiry: watch::Receiver<Option<Expiry>>) {
    loop {
        let end = expiry.borrow_and_update().map(|expiry| expiry.end);
        tokio::select! {
            () = expiry::at(end) => return,
            changed = expiry.changed() => if changed.is_err() {
                std::future::pending::<()>().await;
            },
        }
    }
}
