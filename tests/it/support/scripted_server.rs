//! A server that gives scripted answers, good or hostile, one for each request.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Body,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

/// A server that gives these answers, one for each request, and then no more.
pub(crate) struct ScriptedServer {
    pub(crate) url: String,
    asked: mpsc::UnboundedReceiver<String>,
}

impl ScriptedServer {
    pub(crate) async fn of(answers: impl IntoIterator<Item = Response>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, asked) = mpsc::unbounded_channel();
        let answers: VecDeque<_> = answers.into_iter().collect();
        let answers = Arc::new(Mutex::new(answers));
        let router = Router::new().fallback(async move |uri: Uri| {
            tell.send(uri.to_string()).unwrap();
            let answer = answers.lock().unwrap().pop_front();
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, asked }
    }

    /// What the next request asks for.
    pub(crate) async fn asked(&mut self) -> String {
        self.asked.recv().await.unwrap()
    }
}

/// A page of an account's history.
pub(crate) fn page(epoch: &str, entries: impl Into<Vec<Value>>, next: Option<u64>) -> Response {
    let entries: Vec<Value> = entries.into();
    Json(json!({ "epoch": epoch, "entries": entries, "next": next })).into_response()
}

/// A refusal that may be retried at once, if its status allows that.
pub(crate) fn refused(status: StatusCode, code: &str, detail: &str) -> Response {
    let problem = Json(json!({ "code": code, "detail": detail }));
    (status, [("retry-after", "0")], problem).into_response()
}

/// An answer of this many bytes, which no command has any use for.
pub(crate) fn long_answer(status: StatusCode, bytes: usize) -> Response {
    static PART: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    let parts = bytes.div_ceil(PART.len());
    let part = || Ok::<_, Infallible>(Bytes::from_static(&PART));
    let body = Body::from_stream(stream::iter((0..parts).map(move |_| part())));
    (status, body).into_response()
}
