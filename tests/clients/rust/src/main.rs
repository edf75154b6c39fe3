//! A stock `rust_socketio` client driven by lines: `stock-client SPEC`.
//!
//! SPEC is JSON: { url, namespace, path, transport, auth }. Everything that happens is printed as a line
//! of JSON; lines of JSON on stdin ({ emit, data, id }) are emitted, and its end is the end.
//!
//! Its `auth` is fixed at creation, so it sends `subscribe { after }` on each connect.

use std::{
    env,
    error::Error,
    io::{self, BufRead},
    sync::{Arc, Mutex},
    time::Duration,
};

use rust_socketio::{ClientBuilder, Event, Payload, RawClient, TransportType};
use serde_json::{Value, json};

/// How long an answer may take on a busy machine.
const ACK_WAIT: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn Error>> {
    let spec: Value = serde_json::from_str(&env::args().nth(1).ok_or("SPEC is missing")?)?;
    let position = Arc::new(Mutex::new(spec["auth"].get("after").cloned()));
    let resume_at = position.clone();
    let client = ClientBuilder::new(text(&spec["url"])? + &text(&spec["path"])?)
        .namespace(text(&spec["namespace"])?)
        .transport_type(match text(&spec["transport"])?.as_str() {
            "websocket" => TransportType::Websocket,
            "polling" => TransportType::Polling,
            _ => TransportType::WebsocketUpgrade,
        })
        .auth(spec["auth"].clone())
        .reconnect_on_disconnect(true)
        .reconnect_delay(20, 100)
        .on(Event::Connect, move |_, socket| {
            print(&json!({ "kind": "connect" }));
            if spec["resume"] == "subscribe" {
                let after = resume_at.lock().expect("no holder panics").clone();
                let resume = after.map_or(json!({}), |after| json!({ "after": after }));
                emit("subscribe", resume, json!("subscribe"), &socket);
            }
        })
        .on(Event::Close, |_, _| print(&json!({ "kind": "disconnect" })))
        .on(Event::Error, |payload, _| on_error(&payload))
        .on_any(move |event, payload, _| {
            let data = first(payload);
            if let Some(new) = data.get("position") {
                *position.lock().expect("no holder panics") = Some(new.clone());
            }
            print(&json!({ "kind": "event", "event": String::from(event), "data": data }));
        })
        .connect()?;
    for line in io::stdin().lock().lines() {
        let command: Value = serde_json::from_str(&line?)?;
        let id = command["id"].clone();
        let on_ack = move |payload, _: RawClient| print_ack(&id, payload);
        client.emit_with_ack(
            text(&command["emit"])?,
            command["data"].clone(),
            ACK_WAIT,
            on_ack,
        )?;
    }
    Ok(())
}

fn emit(event: &str, data: Value, id: Value, socket: &RawClient) {
    let on_ack = move |payload, _: RawClient| print_ack(&id, payload);
    if let Err(error) = socket.emit_with_ack(event, data, ACK_WAIT, on_ack) {
        print(&json!({ "kind": "error", "message": error.to_string() }));
    }
}

fn print_ack(id: &Value, payload: Payload) {
    // This client passes an ack's arguments as one list, but an event's one by one.
    let answer = match first(payload) {
        Value::Array(mut arguments) if !arguments.is_empty() => arguments.swap_remove(0),
        answer => answer,
    };
    print(&json!({ "kind": "ack", "id": id, "data": answer }));
}

/// The client reports a refused namespace and a lost connection by the same event.
fn on_error(payload: &Payload) {
    let message = match payload {
        Payload::Text(values) => values.first().map(text).and_then(Result::ok),
        _ => None,
    };
    let message = message.unwrap_or_default();
    let refusal = message
        .split_once("ConnectError frame: ")
        .and_then(|(_, json)| serde_json::from_str::<Value>(json).ok());
    match refusal {
        Some(refusal) => print(&json!({ "kind": "connect_error", "message": refusal["message"] })),
        None => print(&json!({ "kind": "error", "message": message })),
    }
}

fn first(payload: Payload) -> Value {
    match payload {
        Payload::Text(values) => values.into_iter().next().unwrap_or_default(),
        _ => Value::Null,
    }
}

fn text(value: &Value) -> Result<String, String> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or(format!("not a text: {value}"))
}

fn print(line: &Value) {
    println!("{line}");
}
