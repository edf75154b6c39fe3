//! One WebSocket and the task that serves it. The task writes messages, answers and pings one after the other. While
//! it waits, updates are delivered directly.

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message as Frame,
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};

use super::{
    checked_stream::CheckedStream,
    close_code::CloseCode,
    encoding::TextFrames,
    frame::text_header,
    heartbeat::{Beat, Heartbeat},
    request::{self, ClientRequest, REQUEST_BYTES_MAX},
};
use crate::{
    access::{self, Grant, Scope},
    transport::{
        follow::{CloseReason, FollowEvent, FollowRequest, Follower},
        limits::{CLOSE_GRACE, READ_BYTES},
        state::TransportState,
        wire::{WireSink, linger},
    },
};

/// An open WebSocket that follows an account.
pub(super) struct WebSocketConnection {
    state: TransportState,
    stream: WebSocketStream<CheckedStream>,
    follower: Follower,
    grant: Grant,
    heartbeat: Heartbeat,
}

/// Why the connection's task ends.
#[derive(Debug)]
enum ConnectionEnd {
    /// The connection is lost.
    Lost,
    /// The client has sent a close frame.
    ClientClosed,
    /// The client broke the protocol.
    ProtocolError(CloseCode),
    /// The server closes the connection.
    Close(CloseReason),
}

impl WebSocketConnection {
    pub(super) async fn new(
        state: TransportState,
        follow: FollowRequest,
        stream: CheckedStream,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(REQUEST_BYTES_MAX))
            .max_frame_size(Some(REQUEST_BYTES_MAX));
        let sink = WireSink::<TextFrames>::new(Arc::clone(stream.wire()));
        let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let grant = follow.grant.clone();
        Self {
            follower: follow.follow(&state).with_notice().delivering_to(sink),
            heartbeat: Heartbeat::new(state.timing),
            state,
            stream,
            grant,
        }
    }

    /// Serves the client until the connection ends.
    pub(super) async fn serve(mut self) {
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        match end {
            ConnectionEnd::Lost => {}
            // Boxed, like everything rare: inline it would take memory in every idle connection.
            ConnectionEnd::ClientClosed => Box::pin(self.disconnect()).await,
            ConnectionEnd::ProtocolError(code) => Box::pin(self.close(code, "")).await,
            ConnectionEnd::Close(reason) => Box::pin(self.close_for(reason)).await,
        }
    }

    /// Waits for one event, then handles it. It never writes while it waits, since direct delivery is active then.
    /// The library writes pongs, and the answer to a close, in its next call.
    async fn step(&mut self) -> Result<(), ConnectionEnd> {
        tokio::select! {
            event = self.follower.next() => self.send_event(event).await,
            next = frame_or_beat(&mut self.stream, &mut self.heartbeat) => match next {
                Ok(Some(Ok(frame))) => Box::pin(self.receive(frame)).await,
                Ok(Some(Err(error))) => Err(self.end_of(&error)),
                Ok(None) | Err(Beat::Lost) => Err(ConnectionEnd::Lost),
                Err(Beat::Ping) => {
                    let ping = Box::pin(self.stream.send(Frame::Ping(Vec::new().into()))).await;
                    ping.map_err(|error| self.end_of(&error))
                }
            },
        }
    }

    async fn send_event(&mut self, event: FollowEvent) -> Result<(), ConnectionEnd> {
        match event {
            FollowEvent::Message(message) => {
                self.write(message.json().get()).await?;
                self.follower.applied(&message);
                Ok(())
            }
            FollowEvent::Expiring(notice) => self.write(&notice.to_json()).await,
            FollowEvent::Close(reason) => Err(ConnectionEnd::Close(reason)),
        }
    }

    async fn receive(&mut self, frame: Frame) -> Result<(), ConnectionEnd> {
        match frame {
            Frame::Text(text) => {
                let answer = self.answer(&text).await;
                self.write(&answer).await
            }
            Frame::Binary(_) => Err(ConnectionEnd::ProtocolError(CloseCode::Unsupported)),
            Frame::Close(_) => Err(ConnectionEnd::ClientClosed),
            // The library has queued a pong. Nothing more is read until the client has taken it, or pongs would
            // pile up.
            Frame::Ping(_) => self.write_in_time(None).await,
            Frame::Pong(_) | Frame::Frame(_) => Ok(()),
        }
    }

    async fn answer(&mut self, text: &str) -> String {
        // While it waits for its rate, nothing more is read.
        if let Err(too_many) = self.state.app.usage.subject_request(&self.grant).await {
            return request::invalid_request(&too_many.into());
        }
        match ClientRequest::parse(text) {
            Ok(ClientRequest::Ping { id }) => request::done("pong", id, json!({})),
            Ok(ClientRequest::History { before, limit, id }) => {
                self.history(before, limit, id).await
            }
            Ok(ClientRequest::Authenticate { token, id }) => self.authenticate(&token, id).await,
            Err(invalid) => request::invalid_request(&invalid),
        }
    }

    async fn history(
        &mut self,
        before: Option<u64>,
        limit: Option<u64>,
        id: Option<Value>,
    ) -> String {
        const OF: &str = "history";
        let limit = match request::history_limit(limit) {
            Ok(limit) => limit,
            Err(invalid) => return request::invalid_request(&invalid),
        };
        let feed = self.state.app.feed_for(&self.grant);
        match feed.history(self.follower.account(), before, limit).await {
            Ok(history) => request::done(OF, id, history),
            Err(error) => request::refused(error.request_code(), &error.to_string(), OF, id),
        }
    }

    /// Continues with a new grant of the same subject.
    async fn authenticate(&mut self, token: &str, id: Option<Value>) -> String {
        const OF: &str = "authenticate";
        let grant = match access::renew(&*self.state.app.access, &self.grant, token).await {
            Ok(grant) => grant,
            Err(invalid) => return request::refused(invalid.code(), invalid.message(), OF, id),
        };
        if !grant.allows(Scope::Watch) || !grant.permits(self.follower.account()) {
            let message = "the new token does not cover this account";
            return request::refused("not_found", message, OF, id);
        }
        self.follower.renew(&grant);
        self.grant = grant;
        request::done(OF, id, json!({ "expires_at": self.grant.expires_at() }))
    }

    /// Writes a text frame around the message's own bytes, which all readers share.
    async fn write(&mut self, text: &str) -> Result<(), ConnectionEnd> {
        self.write_in_time(Some(text)).await
    }

    /// Writes what the library has queued, such as a pong, then the text. If the client does not take it although its
    /// grant has ended, the connection is cut: no closing message could be written either.
    async fn write_in_time(&mut self, text: Option<&str>) -> Result<(), ConnectionEnd> {
        let written = tokio::select! {
            biased;
            written = write_frame(&mut self.stream, text) => written,
            () = self.follower.write_must_end() => {
                self.stream.get_ref().wire().discard_unsent();
                Err(io::Error::from(io::ErrorKind::TimedOut).into())
            }
        };
        written.map_err(|error| self.end_of(&error))
    }

    /// How the connection ends after an error of the stream.
    fn end_of(&self, error: &Error) -> ConnectionEnd {
        if let Some(code) = self.stream.get_ref().fault() {
            return ConnectionEnd::ProtocolError(code);
        }
        match error {
            Error::Utf8(_) => ConnectionEnd::ProtocolError(CloseCode::NotUnderstood),
            Error::Capacity(_) => ConnectionEnd::ProtocolError(CloseCode::TooLarge),
            Error::Protocol(_) => ConnectionEnd::ProtocolError(CloseCode::Protocol),
            Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                count(CloseReason::Slow);
                ConnectionEnd::Lost
            }
            _ => ConnectionEnd::Lost,
        }
    }

    /// Sends the closing message, then closes.
    async fn close_for(mut self, reason: CloseReason) {
        count(reason);
        let closing = reason.message_at(self.follower.position().as_ref());
        if self.write(&closing).await.is_ok() {
            self.close(reason.into(), reason.code()).await;
        }
    }

    /// Sends a close frame, and gives the client a moment to answer.
    async fn close(mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame {
            code: (code as u16).into(),
            reason: reason.into(),
        };
        let closed = async {
            self.stream.send(Frame::Close(Some(frame))).await?;
            while self.stream.next().await.transpose()?.is_some() {}
            Ok::<_, Error>(())
        };
        let _: Result<_, _> = tokio::time::timeout(CLOSE_GRACE, closed).await;
        self.disconnect().await;
    }

    /// Ends a connection on which nothing more will be written. The client may still be sending, and closing with
    /// unread bytes would reset the connection before it has read everything.
    async fn disconnect(mut self) {
        let disconnected = async {
            // The library's answer to a close may still be queued. Then its error only means that the connection is closed.
            let _: Result<_, Error> = self.stream.flush().await;
            match self.stream.get_ref().wire().take_wire() {
                Some(wire) => linger(wire).await,
                None => Ok(()),
            }
        };
        let _: Result<_, _> = tokio::time::timeout(CLOSE_GRACE, disconnected).await;
    }
}

/// Waits for the client's next frame, or for what is due as none comes. A frame that is there comes first. Cancel-safe.
async fn frame_or_beat(
    stream: &mut WebSocketStream<CheckedStream>,
    heartbeat: &mut Heartbeat,
) -> Result<Option<Result<Frame, Error>>, Beat> {
    tokio::select! {
        biased;
        frame = stream.next() => {
            heartbeat.received();
            Ok(frame)
        }
        beat = heartbeat.due() => Err(beat),
    }
}

/// Writes what the library has queued, such as a pong, then the text.
async fn write_frame(
    stream: &mut WebSocketStream<CheckedStream>,
    text: Option<&str>,
) -> Result<(), Error> {
    stream.flush().await?;
    let Some(text) = text else { return Ok(()) };
    let (header, length) = text_header(text.len());
    write_both(stream.get_mut(), &header[..length], text.as_bytes()).await?;
    Ok(())
}

/// Writes two slices as one message, without copying them together.
async fn write_both(wire: &mut CheckedStream, mut head: &[u8], mut body: &[u8]) -> io::Result<()> {
    while !head.is_empty() {
        let slices = [IoSlice::new(head), IoSlice::new(body)];
        let written = wire.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let of_head = written.min(head.len());
        head = &head[of_head..];
        body = &body[written - of_head..];
    }
    wire.write_all(body).await?;
    wire.flush().await
}

fn count(reason: CloseReason) {
    metrics::counter!("tallycast_websockets_closed_total", "code" => reason.code()).increment(1);
}
