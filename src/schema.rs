//! The contract as JSON Schema, generated from the types that write and read the wire.

use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, transform::RecursiveTransform,
};
use serde_json::{Map, Value, json};

use crate::{
    api, domain,
    feed::{self, Receipt},
    http,
    transport::{
        self, Pushed,
        socketio::{self, AckOk, AckRefused, Authenticated, Subscribed, Unsubscribed},
    },
};

/// What a feed says: the same JSON on every transport.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it describes what is written elsewhere")]
enum FeedMessage {
    Snapshot(feed::Snapshot<'static>),
    Update(feed::UpdateJson<'static>),
    Live(feed::Live<'static>),
    Rollover(feed::Rollover<'static>),
}

/// The whole contract as one JSON Schema (2020-12): each of its types is one of the `$defs`.
///
/// # Panics
/// When a type has different schemas for writing and reading: it then needs two names.
#[must_use]
pub fn contract() -> Value {
    let settings = SchemaSettings::draft2020_12;
    let mut said = settings()
        .for_serialize()
        .with_transform(RecursiveTransform(absent_is_not_null))
        .into_generator();
    said.add::<FeedMessage>();
    said.add::<transport::Closing>();
    said.add::<transport::AuthExpiring>();
    said.add::<AckOk<Subscribed<'_>>>();
    said.add::<AckOk<Unsubscribed>>();
    said.add::<AckOk<feed::History>>();
    said.add::<AckOk<Authenticated>>();
    said.add::<AckRefused<'_>>();
    said.add::<Receipt>();
    said.add::<api::BatchAnswer>();
    said.add::<http::ProblemBody<'_>>();
    said.add::<api::TicketAnswer<'_>>();
    said.add::<api::ProfileBody<'_>>();
    said.add::<api::RevocationAnswer>();
    said.add::<api::Disconnected>();
    said.add::<feed::History>();
    said.add::<domain::PastTotals>();
    said.add::<Pushed>();
    let mut heard = settings().for_deserialize().into_generator();
    heard.add::<socketio::FeedAuth>();
    heard.add::<socketio::SubscribeRequest>();
    heard.add::<socketio::UnsubscribeRequest>();
    heard.add::<socketio::HistoryRequest>();
    heard.add::<socketio::AuthenticateRequest>();
    heard.add::<domain::EventJson>();
    heard.add::<api::ProfileInput<'_>>();
    heard.add::<api::TicketRequest>();
    heard.add::<api::RevocationRequest>();
    heard.add::<api::DisconnectRequest>();
    heard.add::<transport::PushRequest>();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Contract",
        "description": "What goes over Tallycast's wires. Made by `make types`: do not edit.",
        "$defs": joined(said.take_definitions(true), heard.take_definitions(true)),
    })
}

trait Add {
    /// Adds a type's schema, and those of the types inside it.
    fn add<T: JsonSchema>(&mut self);
}

impl Add for SchemaGenerator {
    fn add<T: JsonSchema>(&mut self) {
        self.subschema_for::<T>();
    }
}

/// Removes `null` from optional properties: we omit an absent field and never write `null`.
fn absent_is_not_null(schema: &mut Schema) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let required = required.as_array().map_or(&[][..], Vec::as_slice);
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    for (name, property) in properties {
        if required.iter().any(|required| required == name) {
            continue;
        }
        if let Some(Value::Array(types)) = property.get_mut("type") {
            types.retain(|one| one != "null");
        }
        if let Some(Value::Array(schemas)) = property.get_mut("anyOf") {
            schemas.retain(|one| one["type"] != "null");
        }
    }
}

/// Both sets of definitions.
///
/// # Panics
/// When a name has two different schemas.
fn joined(mut all: Map<String, Value>, more: Map<String, Value>) -> Map<String, Value> {
    for (name, schema) in more {
        let known = all.get(&name).is_none_or(|known| *known == schema);
        assert!(
            known,
            "{name} has different schemas for writing and reading: give them two names"
        );
        all.insert(name, schema);
    }
    all
}
