//! One socket of the feed's namespace, and the task that serves it.
//!
//! The same task writes acks and feed messages, one after the other. So an ack precedes the first message of its
//! subscription, and no message of an older subscription follows it.

use std::{future::poll_fn, sync::Arc, task::Poll};

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::{
    ack::{self, Ack, Authenticated, Subscribed, Unsubscribed},
    admission::{Admission, First, may_watch},
    request::{FeedRequest, RawRequest},
    request_queue::RequestQueue,
    state::FeedSession,
    writer::SocketWriter,
};
use crate::{
    access::{self, Grant, OpenGrant},
    domain::Account,
    feed::{Batch, DirectDelivery, FeedReader, Interrupted, SubscribeOptions},
    http::AppState,
    quota::OpenSubscription,
    transport::{
        follow::{CloseReason, Expiry},
        limits::{CLOSE_GRACE, CLOSING_TIMEOUT},
        socketio::{connection::Gone, limits::SUBSCRIPTIONS_MAX},
    },
};

/// A connected socket.
pub(super) struct FeedSocket {
    app: AppState,
    writer: SocketWriter,
    /// Its number among the session's feed sockets.
    number: u32,
    grant: Grant,
    open: Arc<OpenGrant>,
    expiry: Expiry,
    /// The account of requests that name none.
    account: Option<Account>,
    requests: Arc<RequestQueue>,
    /// The ack that must be written before anything else.
    owed: Option<(i64, Ack)>,
    /// The followed accounts, usually one. The one that was served last is at the end.
    following: Vec<Following>,
}

/// An account that the socket follows.
struct Following {
    account: Account,
    delivery: Arc<DirectDelivery>,
    subscription: OpenSubscription,
    /// Resolves with the next messages.
    next: BoxFuture<'static, Offer>,
}

/// A reader with its next messages. It returns them again until they are applied.
struct Offer {
    reader: Box<FeedReader>,
    batch: Result<Batch, Interrupted>,
}

/// The grant was renewed, and ends at another time.
struct Renewed;

/// Why the socket's task ends.
enum SocketEnd {
    /// The socket or its session is gone.
    Gone,
    /// The server closes the session.
    Close(CloseReason),
}

impl From<Gone> for SocketEnd {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<Interrupted> for SocketEnd {
    fn from(interrupted: Interrupted) -> Self {
        Self::Close(interrupted.into())
    }
}

impl FeedSocket {
    pub(super) fn new(app: AppState, writer: SocketWriter, admission: Admission) -> Self {
        let permit = admission.permit;
        let open = Arc::new(app.grants.open(&permit.grant, None));
        let mut socket = Self {
            app,
            open,
            writer,
            number: admission.number,
            expiry: Expiry::new(&permit.grant),
            grant: permit.grant,
            account: permit.account,
            requests: admission.requests,
            owed: None,
            following: Vec::with_capacity(1),
        };
        let subject = format!("subject:{}", socket.grant.subject());
        socket.writer.socket().join(subject);
        if let Some(First {
            account,
            options,
            subscription,
        }) = permit.first
        {
            socket.follow(account, options, subscription);
        }
        socket
    }

    /// Serves the socket until it ends. Boxed, because a future stores its arguments twice.
    pub(super) async fn run(mut self: Box<Self>) {
        let session = Arc::clone(self.session());
        let requests = Arc::clone(&self.requests);
        let open = Arc::clone(&self.open);
        let end = loop {
            let expiry = self.expiry;
            tokio::select! {
                biased;
                () = requests.closed() => break SocketEnd::Gone,
                reason = session.close_requested() => break SocketEnd::Close(reason),
                end = open.ended() => break SocketEnd::Close(end.into()),
                () = expiry.ended() => break SocketEnd::Close(CloseReason::Expired),
                served = self.serve() => match served {
                    Ok(Renewed) => {}
                    Err(end) => break end,
                },
            }
        };
        if let SocketEnd::Close(reason) = end {
            Box::pin(self.close_for(reason)).await;
        }
    }

    /// Serves the socket until its grant is renewed.
    async fn serve(&mut self) -> Result<Renewed, SocketEnd> {
        // Otherwise the first message would go through the engine, which keeps a buffer of that size.
        self.session().flow.connect_answered(self.number).await?;
        let expiry = self.expiry;
        let mut is_notified = false;
        loop {
            // Boxed, like everything rare: inline it would take memory in every idle connection.
            if let Some((id, ack)) = self.owed.take() {
                Box::pin(self.writer.acknowledge(id, &ack)).await?;
            }
            tokio::select! {
                (place, offer) = next_offer(&mut self.following) => {
                    let Offer { mut reader, batch } = offer;
                    let batch = batch?;
                    // The position moves only once the client's connection has the messages.
                    if self.writer.write_directly(&batch) {
                        reader.applied_all(&batch);
                    } else {
                        let first = batch.into_first();
                        Box::pin(self.writer.emit(first.name(), first.json())).await?;
                        reader.applied(&first);
                    }
                    self.continue_with(place, reader);
                }
                request = self.requests.take() => {
                    self.session().request_taken();
                    Box::pin(self.handle(request)).await;
                    if self.expiry != expiry {
                        return Ok(Renewed);
                    }
                }
                () = expiry.ends_soon(), if !is_notified => {
                    is_notified = true;
                    Box::pin(self.notify_expiring()).await?;
                }
            }
        }
    }

    /// Waits for the reader's next messages. Its subscription is polled after the others from now on.
    fn continue_with(&mut self, place: usize, reader: Box<FeedReader>) {
        let following = self.following.remove(place);
        self.following.push(Following {
            next: next_of(reader),
            ..following
        });
    }

    /// Handles a request. Its ack is written before the first message of a new subscription.
    async fn handle(&mut self, request: RawRequest) {
        let usage = &self.app.usage;
        let ack = match usage.subject_request(&self.grant).await {
            Err(too_many) => ack::invalid(&too_many.into()),
            Ok(()) => match FeedRequest::parse(&request) {
                Ok(request) => self.execute(request).await,
                Err(invalid) => ack::invalid(&invalid),
            },
        };
        self.owed = request.ack.map(|id| (id, ack));
    }

    async fn execute(&mut self, request: FeedRequest) -> Ack {
        match request {
            FeedRequest::Subscribe { account, options } => match self.permitted(account) {
                Ok(account) => self.subscribe(account, options),
                Err(refusal) => refusal,
            },
            FeedRequest::Unsubscribe { account } => match self.permitted(account) {
                Ok(account) => {
                    self.unfollow(&account);
                    ack::done(Unsubscribed { account })
                }
                Err(refusal) => refusal,
            },
            FeedRequest::History {
                account,
                before,
                limit,
            } => match self.permitted(account) {
                Ok(account) => self.history(&account, before, limit).await,
                Err(refusal) => refusal,
            },
            FeedRequest::Authenticate { token } => self.authenticate(&token).await,
        }
    }

    /// The account of a request, if the socket may watch it.
    fn permitted(&self, account: Option<Account>) -> Result<Account, Ack> {
        let Some(account) = account.or_else(|| self.account.clone()) else {
            return Err(ack::refused(
                "account_missing",
                "name the account: this token has several",
            ));
        };
        if may_watch(&self.grant, &account) {
            Ok(account)
        } else {
            Err(ack::not_found())
        }
    }

    fn subscribe(&mut self, account: Account, options: SubscribeOptions) -> Ack {
        let is_new = self.place_of(&account).is_none();
        if is_new && self.following.len() >= SUBSCRIPTIONS_MAX {
            return ack::refused(
                "too_many_subscriptions",
                "one socket follows at most 16 accounts: unsubscribe from one first",
            );
        }
        let subscription = match self.unfollow(&account) {
            Some(earlier) => Ok(earlier),
            None => {
                let (usage, client) = (&self.app.usage, self.session().client);
                usage.subscription(client, &self.grant, &account)
            }
        };
        match subscription {
            Ok(subscription) => {
                let ack = ack::done(Subscribed { account: &account });
                self.follow(account, options, subscription);
                ack
            }
            Err(too_many) => ack::invalid(&too_many.into()),
        }
    }

    async fn history(&mut self, account: &Account, before: Option<u64>, limit: usize) -> Ack {
        match self
            .app
            .feed_for(&self.grant)
            .history(account, before, limit)
            .await
        {
            Ok(history) => ack::done(history),
            Err(error) => ack::unavailable(&error),
        }
    }

    /// Continues with a new grant of the same subject.
    async fn authenticate(&mut self, token: &str) -> Ack {
        let grant = match access::renew(&*self.app.access, &self.grant, token).await {
            Ok(grant) => grant,
            Err(invalid) => return ack::invalid(&invalid),
        };
        let followed = self.following.iter().map(|following| &following.account);
        let lost = followed.filter(|account| !may_watch(&grant, account));
        let lost: Vec<Account> = lost.cloned().collect();
        for account in &lost {
            self.unfollow(account);
        }
        let expires_at = grant.expires_at();
        self.open.renew(&grant);
        self.expiry = Expiry::new(&grant);
        self.grant = grant;
        ack::done(Authenticated {
            expires_at,
            ended: lost,
        })
    }

    /// Follows an account that it does not follow yet.
    fn follow(
        &mut self,
        account: Account,
        options: SubscribeOptions,
        subscription: OpenSubscription,
    ) {
        self.open.follow(&account);
        self.writer.socket().join(room_of(&account));
        let mut reader = Box::new(
            self.app
                .feed_for(&self.grant)
                .reader(account.clone(), options),
        );
        let delivery = reader.deliver_directly(self.writer.sink());
        self.following.push(Following {
            account,
            delivery,
            subscription,
            next: next_of(reader),
        });
    }

    /// Ends a subscription. Once it returns, nothing more of the account is written.
    fn unfollow(&mut self, account: &Account) -> Option<OpenSubscription> {
        let place = self.place_of(account)?;
        let Following {
            delivery,
            subscription,
            ..
        } = self.following.remove(place);
        drop(delivery);
        self.open.unfollow(account);
        self.writer.socket().leave(room_of(account));
        Some(subscription)
    }

    fn place_of(&self, account: &Account) -> Option<usize> {
        let mut following = self.following.iter();
        following.position(|following| following.account == *account)
    }

    async fn notify_expiring(&mut self) -> Result<(), SocketEnd> {
        let Some(notice) = self.expiry.notice() else {
            return Ok(());
        };
        let notice = ack::encode(&notice);
        Ok(self.writer.emit("auth_expiring", &notice).await?)
    }

    /// Sends the closing message, gives it a moment to arrive, and closes.
    async fn close_for(self: Box<Self>, reason: CloseReason) {
        // Nothing may follow the closing message.
        let deliveries = self.following.iter().map(|following| &following.delivery);
        deliveries.for_each(|delivery| delivery.stop());
        // With several accounts the position would be ambiguous, and the client has stored each one anyway.
        let position = match self.following.as_slice() {
            [sole] => sole.delivery.position(),
            _ => None,
        };
        let closing = RawValue::from_string(reason.message_at(position.as_ref()));
        let closing = closing.expect("a message is JSON");
        self.writer.emit_now("closing", &closing);
        let flushed = self.session().flow.flushed();
        if tokio::time::timeout(CLOSING_TIMEOUT, flushed)
            .await
            .is_err()
        {
            tracing::debug!(
                code = reason.code(),
                "a client did not take its closing message"
            );
        }
        metrics::counter!("tallycast_socketio_closed_total", "code" => reason.code()).increment(1);
        self.session().close(reason.into());
        // An expired token's session ends within five seconds, even if the client does not answer.
        if !self.session().ended_within(CLOSE_GRACE).await {
            self.session().kill();
        }
    }

    fn session(&self) -> &Arc<FeedSession> {
        self.writer.session()
    }
}

impl Drop for FeedSocket {
    /// Closes the queue, since requests are no longer answered.
    fn drop(&mut self) {
        self.requests.close();
    }
}

fn room_of(account: &Account) -> String {
    format!("account:{account}")
}

/// Waits for a reader's next messages.
fn next_of(mut reader: Box<FeedReader>) -> BoxFuture<'static, Offer> {
    Box::pin(async move {
        let batch = reader.next_batch().await;
        Offer { reader, batch }
    })
}

/// Waits until one of these has messages. Returns its index and the messages. Its future must not be polled again.
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
