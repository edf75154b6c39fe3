//! The namespace `/feed`: who may connect, and what a socket has before its first packet.

use std::{convert::Infallible, fmt, sync::Arc};

use futures_util::{FutureExt, future::OptionFuture};
use jiff::Timestamp;
use socketioxide::{
    SocketIo,
    adapter::LocalAdapter,
    handler::{ConnectHandler, DisconnectHandler, FromConnectParts, Value},
    socket::{DisconnectReason, Socket},
};

use super::{
    command::Handshake,
    limits::{AUTHORIZE_TIMEOUT, TOKEN_BYTES_MAX},
    mailbox::{Mailbox, ToMailbox},
    outlet::Outlet,
    session::Session,
    watcher::Watcher,
};
use crate::{
    access::{Authorize, Grant, Scope, Tickets},
    domain::Account,
    feed::{Feed, SubscribeOptions},
};

/// Its path on the wire.
const PATH: &str = "/feed";

/// What every socket of the namespace uses.
#[derive(Clone)]
pub(super) struct Room {
    pub(super) feed: Feed,
    pub(super) access: Arc<dyn Authorize>,
    pub(super) tickets: Arc<Tickets>,
}

impl Room {
    /// The grant of a token, or of a ticket from the address, or the code of its refusal.
    async fn admit(&self, token: &str) -> Result<Grant, &'static str> {
        if Tickets::is_ticket(token) {
            let redeemed = self.tickets.redeem(token, Timestamp::now());
            return redeemed.map_err(|denied| denied.code());
        }
        authorize(&*self.access, token).await
    }
}

/// A socket that was let in and whose CONNECT is about to be answered.
pub(super) struct Admission {
    /// Which of the session's feed sockets it is.
    pub(super) number: u32,
    pub(super) grant: Grant,
    /// The account that a request without one means.
    pub(super) account: Option<Account>,
    /// What to follow at once.
    pub(super) first: Option<(Account, SubscribeOptions)>,
    /// Closed once the socket has left.
    pub(super) mailbox: Arc<Mailbox>,
}

/// Opens the namespace.
pub(super) fn open(io: &SocketIo, room: Room) {
    let door = room.clone();
    let admit = move |peer: Peer| async move { admit(&door, &peer).await };
    let watch = move |peer: Peer| watch(room, peer);
    io.ns(PATH, watch.with(admit));
}

/// Lets a socket in, before its CONNECT is answered and before any event of it is looked at.
async fn admit(room: &Room, peer: &Peer) -> Result<(), Refused> {
    let Some(session) = &peer.session else {
        return Err(Refused("unauthorized"));
    };
    let admitted = check(room, peer, session).await;
    if admitted.is_err() {
        session.count_refusal();
    }
    let (grant, account, first) = admitted?;
    let mailbox = session.open_mailbox();
    peer.socket.on_fallback(async |_: ToMailbox| {});
    peer.socket.on_disconnect(Leave(Arc::clone(&mailbox)));
    session.admit(Admission {
        number: session.flow.admit(),
        grant,
        account,
        first,
        mailbox,
    });
    Ok(())
}

type Admitted = (Grant, Option<Account>, Option<(Account, SubscribeOptions)>);

async fn check(room: &Room, peer: &Peer, session: &Session) -> Result<Admitted, Refused> {
    let mut handshake = Handshake::parse(peer.auth.as_deref()).map_err(|e| Refused(e.code()))?;
    let token = handshake.token.take();
    let token = token
        .as_ref()
        .or(session.bearer.as_ref())
        .ok_or(Refused("unauthorized"))?;
    let grant = room.admit(token).await.map_err(Refused)?;
    let wants_subscription = handshake.wants_subscription();
    // An account that cannot be is one that is not there.
    let (account, options) = handshake.into_subscribe().map_err(|e| match e.code() {
        "invalid_account" => Refused("not_found"),
        code => Refused(code),
    })?;
    let account = account.or_else(|| grant.sole_account());
    if account
        .as_ref()
        .is_some_and(|account| !may_watch(&grant, account))
    {
        return Err(Refused("not_found"));
    }
    let first = account
        .clone()
        .filter(|_| wants_subscription)
        .map(|account| (account, options));
    Ok((grant, account, first))
}

/// The grant of a token, or the code of its refusal.
pub(super) async fn authorize(access: &dyn Authorize, token: &str) -> Result<Grant, &'static str> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err("unauthorized");
    }
    match tokio::time::timeout(AUTHORIZE_TIMEOUT, access.authorize(token)).await {
        Ok(Ok(grant)) => Ok(grant),
        Ok(Err(denied)) => {
            tracing::debug!(reason = denied.reason(), "a token was refused");
            Err("unauthorized")
        }
        Err(_) => Err("unavailable"),
    }
}

pub(super) fn may_watch(grant: &Grant, account: &Account) -> bool {
    grant.allows(Scope::Watch) && grant.permits(account)
}

/// Runs for as long as the socket is connected.
fn watch(room: Room, peer: Peer) -> impl Future<Output = ()> + Send + 'static {
    let admitted = peer.session.and_then(|session| {
        let admission = session.take_admission()?;
        Some((session, admission))
    });
    let watcher = admitted.map(|(session, admission)| {
        let outlet = Outlet::new(peer.socket, session, admission.number);
        Box::new(Watcher::new(room, outlet, admission))
    });
    OptionFuture::from(watcher.map(Watcher::run)).map(|_ended| ())
}

/// Leaves at once, and trivially. Where a task of its own did it, as for a closure, a CONNECT right behind would
/// find the old socket and never be answered; and a panic leaks the socket.
struct Leave(Arc<Mailbox>);

impl DisconnectHandler<LocalAdapter, Leave> for Leave {
    fn call_with_defer(
        &self,
        socket: Arc<Socket<LocalAdapter>>,
        _: DisconnectReason,
        remove: fn(Arc<Socket<LocalAdapter>>),
    ) {
        self.0.close();
        remove(socket);
    }
}

/// Who connects.
struct Peer {
    socket: Arc<Socket<LocalAdapter>>,
    session: Option<Arc<Session>>,
    auth: Option<Box<str>>,
}

impl FromConnectParts<LocalAdapter> for Peer {
    type Error = Infallible;

    fn from_connect_parts(
        socket: &Arc<Socket<LocalAdapter>>,
        auth: &Option<Value>,
    ) -> Result<Self, Infallible> {
        let auth = auth
            .as_ref()
            .and_then(Value::as_str)
            .map(|auth| auth.as_str().into());
        let session = socket.req_parts().extensions.get::<Arc<Session>>().cloned();
        Ok(Self {
            socket: Arc::clone(socket),
            session,
            auth,
        })
    }
}

/// A refused CONNECT: its code is the message of the client's `connect_error`.
#[derive(Debug)]
struct Refused(&'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
