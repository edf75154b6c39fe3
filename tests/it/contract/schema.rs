//! The contract's schema is exact: it has what a running server sends and accepts, and nothing else.

use std::{collections::BTreeSet, fs, path::Path};

use reqwest::Method;
use serde_json::{Map, Value, json};
use tallycast::{
    Event, Feed, Hub, Jwt, Memory, SubscribeOptions,
    access::ConnectionsOf,
    domain::Revocation,
    feed::{Clock, ManualClock, Mode},
};

use crate::support::{
    api_server::answer,
    feed_client::FeedClient,
    feed_hub::{account, host},
    host::Host,
    tokens::{SECRET, admin},
};

/// The types and fields that were seen.
type Met = BTreeSet<String>;

/// `docs/contract.schema.json`, read strictly: a field that is not in it is an error.
///
/// It supports only the keywords in that file. The crates that support all need one whose licence is not
/// on the list in `deny.toml`.
struct Contract {
    types: Map<String, Value>,
    met: Met,
}

impl Contract {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/contract.schema.json");
        let mut schema: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let Value::Object(types) = schema["$defs"].take() else {
            panic!("the schema has no types");
        };
        let met = Met::new();
        Self { types, met }
    }

    /// Checks a value against this type and returns it.
    fn check(&mut self, name: &str, value: Value) -> Value {
        let met = self.fit_type(name, &value);
        self.met.extend(met.unwrap_or_else(|why| panic!("{why}")));
        value
    }

    /// The types and fields that no value used.
    fn unmet(&self) -> Vec<String> {
        let fields = |(name, schema): (&String, &Value)| {
            let fields = schema["properties"].as_object().cloned();
            let fields = fields.unwrap_or_default().into_iter();
            let fields = fields.map(|(field, _)| format!("{name}.{field}"));
            [name.clone()].into_iter().chain(fields).collect::<Vec<_>>()
        };
        let all = self.types.iter().flat_map(fields);
        all.filter(|one| !self.met.contains(one)).collect()
    }

    fn fit_type(&self, name: &str, value: &Value) -> Result<Met, String> {
        let mut met = self.fit(name, &self.types[name], value)?;
        met.insert(name.to_owned());
        Ok(met)
    }

    /// The types and fields in a value that fits a schema of this type, or why it does not fit.
    fn fit(&self, name: &str, schema: &Value, value: &Value) -> Result<Met, String> {
        let mut met = self.fit_fields(name, schema, value)?;
        for (keyword, rule) in schema.as_object().unwrap() {
            let fits = match keyword.as_str() {
                "description" | "default" | "format" => true,
                "properties" | "additionalProperties" => true,
                "type" => list(rule).iter().any(|kind| is_of_kind(value, kind)),
                "const" => value == rule,
                "enum" => list(rule).contains(value),
                "minimum" => value.as_f64() >= rule.as_f64() || !value.is_number(),
                "maximum" => value.as_f64() <= rule.as_f64(),
                "required" => list(rule).iter().all(|field| has(value, field)),
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        met.append(&mut self.fit(name, rule, item)?);
                    }
                    true
                }
                "$ref" => {
                    let name = rule.as_str().unwrap().rsplit('/').next().unwrap();
                    met.append(&mut self.fit_type(name, value)?);
                    true
                }
                "anyOf" | "oneOf" => {
                    let one = list(rule).iter().map(|one| self.fit(name, one, value));
                    let mut failed = Vec::new();
                    let fit = one.filter_map(|fit| fit.map_err(|why| failed.push(why)).ok());
                    let fits: Vec<Met> = fit.collect();
                    met.extend(fits.into_iter().flatten());
                    if failed.len() == list(rule).len() {
                        return Err(failed.join("\n  or "));
                    }
                    true
                }
                other => panic!("this test does not support the keyword {other}"),
            };
            if !fits {
                return Err(format!("{name}: {value} does not fit {keyword} {rule}"));
            }
        }
        Ok(met)
    }

    fn fit_fields(&self, name: &str, schema: &Value, value: &Value) -> Result<Met, String> {
        let mut met = Met::new();
        let (fields, rest) = (&schema["properties"], &schema["additionalProperties"]);
        if fields.is_null() && rest.is_null() {
            return Ok(met);
        }
        for (field, value) in value.as_object().into_iter().flatten() {
            let schema = match (&fields[field], rest) {
                (Value::Null, Value::Object(_)) => rest,
                (Value::Null, _) => return Err(format!("{name} has no field {field}: {value}")),
                (schema, _) => schema,
            };
            met.append(&mut self.fit(name, schema, value)?);
            met.insert(format!("{name}.{field}"));
        }
        Ok(met)
    }
}

/// A list, or a single value as a list of one.
fn list(rule: &Value) -> &[Value] {
    rule.as_array()
        .map_or(std::slice::from_ref(rule), Vec::as_slice)
}

fn has(value: &Value, field: &Value) -> bool {
    value.get(field.as_str().unwrap()).is_some()
}

fn is_of_kind(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no JSON is of the type {other}"),
    }
}

/// A server whose every request and answer is checked.
struct Checked {
    contract: Contract,
    host: Host,
    hand: ManualClock,
}

impl Checked {
    async fn start() -> Self {
        // A minute before the end of a month in UTC.
        let (clock, hand) = Clock::manual("2026-10-31T23:59:00Z".parse().unwrap());
        let hub = Hub::builder(Memory::new(), Jwt::hs256(SECRET).unwrap());
        Self {
            contract: Contract::read(),
            host: Host::start(hub.clock(clock).build().await.unwrap()).await,
            hand,
        }
    }

    fn feed(&self) -> Feed {
        self.host.hub.feed()
    }

    /// Sends an HTTP request without a body; the answer has this type.
    async fn get(&mut self, path: &str, of: &str) -> Value {
        self.request(Method::GET, path, &Value::Null, of).await
    }

    /// Sends a body of one type over HTTP; the answer has the other type.
    async fn send(&mut self, method: Method, path: &str, sent: (&str, Value), of: &str) -> Value {
        let (name, body) = sent;
        let body = self.contract.check(name, body);
        self.request(method, path, &body, of).await
    }

    async fn request(&mut self, method: Method, path: &str, body: &Value, of: &str) -> Value {
        let url = format!("http://{}{path}", self.host.address);
        let request = reqwest::Client::new().request(method, url);
        let mut request = request.bearer_auth(admin());
        if !body.is_null() {
            request = request.json(body);
        }
        self.contract.check(of, answer(request).await.body)
    }

    /// Sends a request over Socket.IO; the ack has this type.
    async fn ask(&mut self, socket: &mut FeedClient, name: &str, asked: (&str, Value), of: &str) {
        let asked = self.contract.check(asked.0, asked.1);
        let (_, answer) = socket.ask(name, &asked).await;
        self.contract.check(of, answer);
    }

    /// The socket's next message, which has this type.
    async fn expect(&mut self, socket: &mut FeedClient, name: &str, of: &str) -> Value {
        self.contract.check(of, socket.expect(name).await)
    }

    async fn producers(&mut self) {
        let first = json!({
            "id": "1", "source": "shop", "account": "alice", "kind": "consumption",
            "amount": 1.50, "unit": "CNY", "meter": "spend", "category": "food",
            "description": "Noodle bar", "time": "2026-10-30T09:30:00+08:00",
            "attributes": { "store": "12" }, "reverses": null,
        });
        for _ in ["recorded", "duplicate"] {
            let sent = ("EventInput", first.clone());
            self.send(Method::POST, "/v1/events", sent, "Receipt").await;
        }
        let plain = json!({ "id": "2", "account": "alice", "amount": "9.5", "unit": "CNY" });
        let batch = json!([
            plain,
            { "id": "3", "account": "alice", "kind": "reversal", "reverses": "2" },
            { "id": "4", "account": "alice", "kind": "reversal",
              "reverses": { "source": "shop", "id": "1" } },
            { "id": "5", "account": "alice", "kind": "adjustment", "amount": "-1", "unit": "CNY",
              "description": "Goodwill" },
            { "id": "2", "account": "alice", "amount": "7", "unit": "CNY" },
            { "id": "6", "account": "alice", "amount": "-7", "unit": "CNY" },
        ]);
        for event in batch.as_array().unwrap() {
            self.contract.check("EventInput", event.clone());
        }
        let results = self
            .request(Method::POST, "/v1/events", &batch, "BatchAnswer")
            .await;
        let statuses = results["results"].as_array().unwrap().iter();
        let statuses: Vec<_> = statuses
            .map(|result| result["status"].as_str().unwrap())
            .collect();
        let recorded = "recorded";
        assert_eq!(
            statuses,
            [
                recorded, recorded, recorded, recorded, "conflict", "rejected"
            ]
        );
    }

    async fn profiles(&mut self) {
        let budget = json!({
            "id": "month", "meter": "spend", "unit": "CNY", "window": "month",
            "limit": "10", "thresholds": [10, 100],
        });
        let profile = json!({ "name": "Alice", "time_zone": "UTC", "budgets": [budget] });
        let sent = ("ProfileInput", profile);
        self.send(Method::PUT, "/v1/accounts/alice", sent, "Profile")
            .await;
        self.get("/v1/accounts/alice", "Profile").await;
    }

    async fn readers(&mut self) {
        let snapshot = self.get("/v1/feeds/alice", "Snapshot").await;
        let entries = snapshot["recent"].as_array().unwrap();
        let kinds: BTreeSet<_> = entries
            .iter()
            .map(|entry| entry["kind"].as_str().unwrap())
            .collect();
        assert_eq!(
            kinds,
            BTreeSet::from(["adjustment", "alert", "consumption", "reversal"])
        );
        self.contract.check("FeedMessage", snapshot);
        self.get("/v1/feeds/alice/entries", "History").await;
        self.get("/v1/feeds/alice/entries?limit=1", "History").await;
        self.get("/v1/accounts/alice/totals", "PastTotals").await;
        self.get("/v1/feeds/alice?recent=x", "Problem").await;
        let sent = ("TicketRequest", json!({ "account": "alice" }));
        self.send(Method::POST, "/v1/tickets", sent, "Ticket").await;
    }

    async fn pushes(&mut self) {
        for push in [
            json!({ "to": { "account": "alice" }, "event": "coupon", "ack_timeout_ms": 1 }),
            json!({ "to": { "subject": "alice" }, "event": "coupon", "data": { "code": "BREAKFAST" } }),
            json!({ "to": { "room": "guests" }, "event": "coupon", "data": 1 }),
            json!({ "to": { "all": true }, "event": "coupon", "namespace": "/feed", "volatile": true }),
        ] {
            self.send(Method::POST, "/v1/push", ("Push", push), "Pushed")
                .await;
        }
    }

    async fn revocations(&mut self) {
        let (before, end) = ("2023-11-14T22:13:20Z", "2200-01-01T00:00:00Z");
        for revocation in [
            json!({ "jti": "lost", "expires_at": end }),
            json!({ "subject": "mallory", "issued_before": before }),
        ] {
            let sent = ("RevocationRequest", revocation);
            self.send(Method::POST, "/v1/revocations", sent, "Revocation")
                .await;
        }
        for connections in [
            json!({ "subject": "mallory" }),
            json!({ "account": "nobody" }),
        ] {
            let sent = ("DisconnectRequest", connections);
            self.send(Method::POST, "/v1/disconnect", sent, "Disconnected")
                .await;
        }
    }

    async fn sockets(&mut self) {
        let auth = json!({
            "token": admin(), "account": "alice", "after": null, "mode": "entries", "recent": 9,
            "subscribe": false,
        });
        let auth = self.contract.check("FeedAuth", auth);
        let mut socket = self.host.watch(&auth).await;
        let socket = &mut socket;
        let wish = json!({ "account": "alice", "after": "", "mode": "totals", "recent": 9 });
        self.ask(
            socket,
            "subscribe",
            ("SubscribeRequest", wish),
            "SubscribeAnswer",
        )
        .await;
        self.expect(socket, "snapshot", "Snapshot").await;
        self.expect(socket, "live", "Live").await;
        let event = Event::consumption("7", "alice", "1", "CNY");
        self.feed().append(event).await.unwrap();
        self.expect(socket, "update", "Update").await;
        self.hand.set("2026-11-01T00:00:00Z".parse().unwrap());
        self.expect(socket, "rollover", "Rollover").await;

        let page = json!({ "account": "alice", "before": 3, "limit": 2 });
        self.ask(socket, "history", ("HistoryRequest", page), "HistoryAnswer")
            .await;
        let token = json!({ "token": admin() });
        self.ask(
            socket,
            "authenticate",
            ("AuthenticateRequest", token),
            "AuthenticateAnswer",
        )
        .await;
        let forged = json!({ "token": "forged" });
        self.ask(
            socket,
            "authenticate",
            ("AuthenticateRequest", forged),
            "Refused",
        )
        .await;
        let enough = json!({ "account": "alice" });
        self.ask(
            socket,
            "unsubscribe",
            ("UnsubscribeRequest", enough),
            "UnsubscribeAnswer",
        )
        .await;
    }

    /// Several waiting updates become one.
    async fn merged_updates(&mut self) {
        let options = SubscribeOptions {
            mode: Mode::Totals,
            ..SubscribeOptions::default()
        };
        let mut reader = self.feed().subscribe(account("alice"), options);
        for expected in ["Snapshot", "Live", "Update"] {
            if expected == "Update" {
                for id in ["8", "9"] {
                    let event = Event::consumption(id, "alice", "1", "CNY");
                    self.feed().append(event).await.unwrap();
                }
            }
            let message = reader.next().await.unwrap();
            reader.applied(&message);
            let message = serde_json::from_str(message.json().get()).unwrap();
            self.contract.check(expected, message);
        }
    }

    /// A token that expires soon, and closings by an administrator.
    async fn endings(&mut self) {
        let host = host().await;
        let lost = "alice/alice/3600000/lost";
        for disconnects in [true, false] {
            let mut socket = host.watch(&json!({ "token": lost })).await;
            socket.until_live().await;
            if disconnects {
                let alice = ConnectionsOf::Subject("alice".to_owned());
                assert_eq!(host.hub.disconnect(&alice).await, 1);
            } else {
                let revocation = Revocation::of_token("lost").unwrap();
                host.hub.revoke(revocation).await.unwrap();
            }
            self.expect(&mut socket, "closing", "Closing").await;
        }
        let mut socket = host.watch(&json!({ "token": "alice/alice/600" })).await;
        socket.until_live().await;
        self.expect(&mut socket, "auth_expiring", "AuthExpiring")
            .await;
        self.expect(&mut socket, "closing", "Closing").await;
    }
}

#[tokio::test]
async fn the_schema_is_what_a_running_server_says_and_takes() {
    let mut server = Checked::start().await;
    server.profiles().await;
    server.producers().await;
    server.readers().await;
    server.pushes().await;
    server.revocations().await;
    server.sockets().await;
    server.merged_updates().await;
    server.endings().await;
    let unmet = server.contract.unmet();
    assert!(unmet.is_empty(), "in the schema but never seen: {unmet:?}");
}

#[test]
fn a_field_too_many_or_too_few_does_not_fit() {
    let contract = Contract::read();
    let sound = json!({ "ok": false, "code": "not_found", "message": "there is none" });
    assert!(contract.fit_type("Refused", &sound).is_ok());
    let change = |field: &str, value: Value| {
        let mut changed = sound.clone();
        changed[field] = value;
        contract.fit_type("Refused", &changed)
    };
    assert!(change("more", json!(1)).is_err());
    assert!(change("code", json!(1)).is_err());
    assert!(change("ok", json!(true)).is_err());
    let few = json!({ "ok": false, "code": "not_found" });
    assert!(contract.fit_type("Refused", &few).is_err());
}
