//! The namespace `/feed`, as the engine calls it.

use std::{convert::Infallible, fmt, sync::Arc};

use futures_util::{FutureExt, future::OptionFuture};
use socketioxide::{
    SocketIo,
    adapter::{Adapter, LocalAdapter},
    handler::{ConnectHandler, DisconnectHandler, FromConnectParts, FromMessageParts, Value},
    socket::{DisconnectReason, Socket},
};

use super::{
    admission::{self, Admission},
    request::RawRequest,
    request_queue::RequestQueue,
    socket::FeedSocket,
    state::FeedSession,
    writer::SocketWriter,
};
use crate::{http::AppState, transport::socketio::limits::REQUEST_BYTES_MAX};

/// Its path on the wire.
const PATH: &str = "/feed";

/// Opens the namespace.
pub(crate) fn open(io: &SocketIo, app: AppState) {
    let checked = app.clone();
    let admit = move |socket: ConnectingSocket| async move { admit(&checked, &socket).await };
    let serve = move |socket: ConnectingSocket| serve(app, socket);
    io.ns(PATH, serve.with(admit));
}

/// Admits a socket, before its CONNECT is answered and before any of its events is handled.
async fn admit(app: &AppState, connecting: &ConnectingSocket) -> Result<(), ConnectRefused> {
    let Some(session) = &connecting.session else {
        return Err(ConnectRefused("unauthorized"));
    };
    let (auth, bearer) = (connecting.auth.as_deref(), session.bearer.as_deref());
    let permit = admission::check(app, auth, bearer, session.client).await;
    let permit = permit.map_err(|code| {
        session.count_refusal();
        ConnectRefused(code)
    })?;
    let requests = session.open_requests();
    connecting.socket.on_fallback(async |_: Enqueue| {});
    connecting
        .socket
        .on_disconnect(CloseRequests(Arc::clone(&requests)));
    session.admit(Admission {
        number: session.flow.admit(),
        permit,
        requests,
    });
    Ok(())
}

/// Serves an admitted socket for as long as it is connected.
fn serve(app: AppState, connected: ConnectingSocket) -> impl Future<Output = ()> + Send + 'static {
    let admitted = connected.session.and_then(|session| {
        let admission = session.take_admission()?;
        Some((session, admission))
    });
    let socket = admitted.map(|(session, admission)| {
        let writer = SocketWriter::new(connected.socket, session, admission.number);
        Box::new(FeedSocket::new(app, writer, admission))
    });
    OptionFuture::from(socket.map(FeedSocket::run)).map(|_ended| ())
}

/// The arguments of both handlers.
struct ConnectingSocket {
    socket: Arc<Socket<LocalAdapter>>,
    session: Option<Arc<FeedSession>>,
    auth: Option<Box<str>>,
}

impl FromConnectParts<LocalAdapter> for ConnectingSocket {
    type Error = Infallible;

    fn from_connect_parts(
        socket: &Arc<Socket<LocalAdapter>>,
        auth: &Option<Value>,
    ) -> Result<Self, Infallible> {
        let auth = auth
            .as_ref()
            .and_then(Value::as_str)
            .map(|auth| auth.as_str().into());
        let extensions = &socket.req_parts().extensions;
        let session = extensions.get::<Arc<FeedSession>>().cloned();
        Ok(Self {
            socket: Arc::clone(socket),
            session,
            auth,
        })
    }
}

/// Removes a socket inline. A closure would run in a task of its own: a CONNECT right after would find the old
/// socket and never be answered, and a panic would leak the socket.
struct CloseRequests(Arc<RequestQueue>);

impl DisconnectHandler<LocalAdapter, CloseRequests> for CloseRequests {
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

/// An extractor that queues the event and then fails. Extractors run inline on the reading task and in order; a
/// handler would run in a task of its own, in no defined order. The failure keeps the engine from spawning that task.
enum Enqueue {}

impl<A: Adapter> FromMessageParts<A> for Enqueue {
    type Error = Enqueued;

    fn from_message_parts(
        socket: &Arc<Socket<A>>,
        value: &mut Value,
        ack: &Option<i64>,
    ) -> Result<Self, Enqueued> {
        let session = socket.req_parts().extensions.get::<Arc<FeedSession>>();
        let Some(session) = session else {
            return Err(Enqueued);
        };
        let text = value
            .as_str()
            .filter(|text| text.len() <= REQUEST_BYTES_MAX);
        // Copied, because the text is a slice of a buffer that may be much larger.
        let text = text.map(|text| text.as_str().into());
        session.queue_request(RawRequest { text, ack: *ack });
        Err(Enqueued)
    }
}

/// The request was queued, and no handler has to run.
#[derive(Debug)]
struct Enqueued;

impl fmt::Display for Enqueued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request is answered in order by its socket's task")
    }
}

impl std::error::Error for Enqueued {}

/// A refused CONNECT: the code is the message of the client's `connect_error`.
#[derive(Debug)]
struct ConnectRefused(&'static str);

impl fmt::Display for ConnectRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
