//! One WebSocket, and the one task that serves it: messages, answers and pings leave one after the other. While it
//! waits, its follower rides.

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
    frames::Frames,
    guarded::Guarded,
    heartbeat::{Beat, Heartbeat},
    request::{self, REQUEST_BYTES_MAX, Request},
};
use crate::{
    access::{Grant, Scope, Tickets},
    transport::{
        Transports,
        expiry::AuthExpiring,
        farewell::Farewell,
        follower::{Follower, Told},
        frame::{CloseCode, text_header},
        limits::{AUTHORIZE_TIMEOUT, CLOSE_GRACE, READ_BYTES, TOKEN_BYTES_MAX},
        opening::Opening,
        shared_wire::PastTask,
        wire::linger,
    },
};

/// An open WebSocket that follows an account.
pub(super) struct Socket {
    transports: Transports,
    stream: WebSocketStream<Guarded>,
    follower: Follower,
    grant: Grant,
    heartbeat: Heartbeat,
}

/// Why a socket's task ends.
#[derive(Debug)]
enum Ending {
    /// The connection is lost.
    Gone,
    /// The client has closed.
    Closed,
    /// The client broke the protocol.
    Fault(CloseCode),
    Farewell(Farewell),
}

impl Socket {
    pub(super) async fn new(transports: Transports, opening: Opening, guarded: Guarded) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(REQUEST_BYTES_MAX))
            .max_frame_size(Some(REQUEST_BYTES_MAX));
        let direct = PastTask::<Frames>::new(Arc::clone(guarded.wire()));
        let stream = WebSocketStream::from_raw_socket(guarded, Role::Server, Some(config)).await;
        let grant = opening.grant.clone();
        Self {
            follower: opening.follow(&transports).with_notice().riding(direct),
            heartbeat: Heartbeat::new(transports.timing),
            transports,
            stream,
            grant,
        }
    }

    /// Serves the client until it is gone or has to go.
    pub(super) async fn serve(mut self) {
        let ending = loop {
            if let Err(ending) = self.step().await {
                break ending;
            }
        };
        match ending {
            Ending::Gone => {}
            // Boxed, like all that is rare: it would take up room in every idle connection.
            Ending::Closed => Box::pin(self.leave()).await,
            Ending::Fault(code) => Box::pin(self.close(code, "")).await,
            Ending::Farewell(farewell) => Box::pin(self.say(farewell)).await,
        }
    }

    /// Writes only once nothing is waited for: the follower rides until then. The library leaves its pongs and its
    /// answer to a close to the next call, too.
    async fn step(&mut self) -> Result<(), Ending> {
        tokio::select! {
            told = self.follower.next() => self.tell(told).await,
            frame = self.stream.next() => {
                self.heartbeat.heard();
                match frame {
                    Some(Ok(frame)) => Box::pin(self.take(frame)).await,
                    Some(Err(error)) => Err(self.fault(&error)),
                    None => Err(Ending::Gone),
                }
            }
            beat = self.heartbeat.due() => match beat {
                Beat::Ping => {
                    let ping = Box::pin(self.stream.send(Frame::Ping(Vec::new().into()))).await;
                    ping.map_err(|error| self.fault(&error))
                }
                Beat::Lost => Err(Ending::Gone),
            },
        }
    }

    async fn tell(&mut self, told: Told) -> Result<(), Ending> {
        match told {
            Told::Message(message) => {
                self.write(message.json().get()).await?;
                self.follower.applied(&message);
                Ok(())
            }
            Told::Expiring(expiry) => {
                let notice = AuthExpiring::at(expiry.expires_at);
                let notice = serde_json::to_string(&notice).expect("strings are JSON");
                self.write(&notice).await
            }
            Told::Farewell(farewell) => Err(Ending::Farewell(farewell)),
        }
    }

    async fn take(&mut self, frame: Frame) -> Result<(), Ending> {
        match frame {
            Frame::Text(text) => {
                let answer = self.answer(&text).await;
                self.write(&answer).await
            }
            Frame::Binary(_) => Err(Ending::Fault(CloseCode::Unsupported)),
            Frame::Close(_) => Err(Ending::Closed),
            // The library has begun a pong. Whoever does not take it is not read from: else pongs
            // would pile up.
            Frame::Ping(_) => {
                let flushed = self.stream.flush().await;
                flushed.map_err(|error| self.fault(&error))
            }
            Frame::Pong(_) | Frame::Frame(_) => Ok(()),
        }
    }

    async fn answer(&mut self, text: &str) -> String {
        match Request::parse(text) {
            Ok(Request::Ping { id }) => request::done("pong", id, json!({})),
            Ok(Request::History { before, limit, id }) => {
                let limit = Request::history_limit(limit);
                let feed = &self.transports.api.feed;
                let account = self.follower.account();
                match feed.history(account, before, limit).await {
                    Ok(history) => request::done("history", id, history),
                    Err(error) => {
                        request::refused("unavailable", &error.to_string(), "history", id)
                    }
                }
            }
            Ok(Request::Authenticate { token, id }) => self.authenticate(&token, id).await,
            Err(invalid) => request::no_request(&invalid),
        }
    }

    /// Goes on with a new grant of the same subject, before the old one ends.
    async fn authenticate(&mut self, token: &str, id: Option<Value>) -> String {
        const OF: &str = "authenticate";
        let refused = |code, message| request::refused(code, message, OF, id.clone());
        if token.len() > TOKEN_BYTES_MAX || Tickets::is_ticket(token) {
            return refused("unauthorized", "show a token: fetch a new one");
        }
        let asked = self.transports.api.access.authorize(token);
        let grant = match tokio::time::timeout(AUTHORIZE_TIMEOUT, asked).await {
            Ok(Ok(grant)) => grant,
            Ok(Err(_)) => {
                return refused("unauthorized", "the token was refused: fetch a new one");
            }
            Err(_) => return refused("unavailable", "the token could not be checked: try again"),
        };
        if grant.subject() != self.grant.subject() {
            return refused("wrong_subject", "connect anew to be somebody else");
        }
        if !grant.allows(Scope::Watch) || !grant.permits(self.follower.account()) {
            return refused("not_found", "the new token is not for this account");
        }
        self.follower.renew(&grant);
        self.grant = grant;
        request::done(OF, id, json!({ "expires_at": self.grant.expires_at() }))
    }

    /// Writes a text frame around the message's own bytes, which all its readers share. A client that does
    /// not take it is let go when its grant ends, without a word: there would be no place for one.
    async fn write(&mut self, text: &str) -> Result<(), Ending> {
        let written = match self.follower.ends_at() {
            None => self.write_frame(text).await,
            Some(end) => match tokio::time::timeout_at(end, self.write_frame(text)).await {
                Ok(written) => written,
                Err(_) => {
                    self.stream.get_ref().wire().forget_unsent();
                    Err(io::Error::from(io::ErrorKind::TimedOut).into())
                }
            },
        };
        written.map_err(|error| self.fault(&error))
    }

    async fn write_frame(&mut self, text: &str) -> Result<(), Error> {
        // What the library has begun, a pong perhaps, comes first and whole.
        self.stream.flush().await?;
        let (header, length) = text_header(text.len());
        write_both(self.stream.get_mut(), &header[..length], text.as_bytes()).await?;
        Ok(())
    }

    /// What an error of the stream means for the client.
    fn fault(&self, error: &Error) -> Ending {
        if let Some(code) = self.stream.get_ref().fault() {
            return Ending::Fault(code);
        }
        match error {
            Error::Utf8(_) => Ending::Fault(CloseCode::NotUnderstood),
            Error::Capacity(_) => Ending::Fault(CloseCode::TooLarge),
            Error::Protocol(_) => Ending::Fault(CloseCode::Protocol),
            Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                count(Farewell::Slow);
                Ending::Gone
            }
            _ => Ending::Gone,
        }
    }

    async fn say(mut self, farewell: Farewell) {
        count(farewell);
        let closing = farewell.message_at(self.follower.position().as_ref());
        if self.write(&closing).await.is_ok() {
            self.close(farewell.close_code(), farewell.code()).await;
        }
    }

    /// Closes with a code, and gives the client a moment to answer.
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
        self.leave().await;
    }

    /// Ends a connection on which both sides have said all they will. The client may still be sending:
    /// closing with unread bytes would reset what it has to read.
    async fn leave(mut self) {
        let left = async {
            // The library's answer to a close may be waiting; that it has closed is no error.
            let _: Result<_, Error> = self.stream.flush().await;
            match self.stream.get_ref().wire().take_wire() {
                Some(wire) => linger(wire).await,
                None => Ok(()),
            }
        };
        let _: Result<_, _> = tokio::time::timeout(CLOSE_GRACE, left).await;
    }
}

async fn write_both(wire: &mut Guarded, mut head: &[u8], mut body: &[u8]) -> io::Result<()> {
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

fn count(farewell: Farewell) {
    metrics::counter!("tallycast_websockets_closed_total", "code" => farewell.code()).increment(1);
}
