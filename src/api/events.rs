use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::report;
use crate::{
    access::{Grant, Scope},
    domain::{Account, Event, Invalid},
    feed::Outcome,
    http::{AppState, Caller, NO_STORE, NoQuery, Problem, StrictQuery, not_found},
};

/// `POST /v1/events`: records the events of the body, and answers once they are durable.
pub(super) async fn record(
    State(app): State<AppState>,
    caller: Caller,
    StrictQuery(NoQuery {}): StrictQuery<NoQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    // Before the body is read: it may be large.
    if !caller.grant.allows(Scope::Record) {
        return Err(Problem::not_found());
    }
    let report = report::read(&headers, body, caller.bytes(&app)).await?;
    let grant = caller.grant;
    let accounts = report.events.iter().flatten().map(Event::account);
    app.usage.events(&grant, accounts)?;
    let events = report.events.into_iter();
    let events = events.map(|event| event.and_then(|event| permit(&grant, event)));
    let mut results = app.feed.append_reported(events).await?;
    drop(report.held);
    count(&results);
    if report.is_single {
        return one(results.pop().expect("every event has an outcome"));
    }
    Ok((NO_STORE, Json(BatchAnswer { results })).into_response())
}

/// Returns the event if the producer may record it. Invalid account ids are rejected here.
fn permit(grant: &Grant, event: Event) -> Result<Event, Invalid> {
    let account = Account::parse(event.account())?;
    if grant.permits(&account) {
        Ok(event)
    } else {
        Err(not_found())
    }
}

fn one(outcome: Outcome) -> Result<Response, Problem> {
    match outcome {
        Outcome::Recorded(receipt) => {
            Ok((StatusCode::CREATED, NO_STORE, Json(receipt)).into_response())
        }
        Outcome::Duplicate(receipt) => Ok((NO_STORE, Json(receipt)).into_response()),
        Outcome::Conflict(refused) | Outcome::Rejected(refused) => Err(refused.into()),
    }
}

fn count(outcomes: &[Outcome]) {
    for outcome in outcomes {
        let status = match outcome {
            Outcome::Recorded(_) => "recorded",
            Outcome::Duplicate(_) => "duplicate",
            Outcome::Conflict(_) => "conflict",
            Outcome::Rejected(_) => "rejected",
        };
        metrics::counter!("tallycast_events_total", "status" => status).increment(1);
    }
}

/// What became of the events of a batch, in their order.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct BatchAnswer {
    /// One for each event.
    results: Vec<Outcome>,
}
