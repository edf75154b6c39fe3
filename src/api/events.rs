use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::{
    Api, Caller, Problem, body,
    problem::not_found,
    query::{Asked, Nothing},
};
use crate::{
    access::{Grant, Scope},
    domain::{Account, Event, Invalid},
    feed::Outcome,
};

/// `POST /v1/events`: records what the body reports, and answers once it is durable.
pub(super) async fn record(
    State(api): State<Api>,
    Caller(grant): Caller,
    Asked(Nothing {}): Asked<Nothing>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let reported = body::read(&headers, body).await?;
    let events = reported
        .events
        .into_iter()
        .map(|event| event.and_then(|event| permit(&grant, event)))
        .collect();
    let mut results = api.feed.append_all(events).await?;
    count(&results);
    if reported.is_single {
        return one(results.pop().expect("every event has an outcome"));
    }
    Ok(Json(Results { results }).into_response())
}

/// Passes on what the producer may record. An account that is none goes on to be refused as such.
fn permit(grant: &Grant, event: Event) -> Result<Event, Invalid> {
    let account = Account::parse(event.account())?;
    if grant.allows(Scope::Record) && grant.permits(&account) {
        Ok(event)
    } else {
        Err(not_found())
    }
}

fn one(outcome: Outcome) -> Result<Response, Problem> {
    match outcome {
        Outcome::Recorded(receipt) => Ok((StatusCode::CREATED, Json(receipt)).into_response()),
        Outcome::Duplicate(receipt) => Ok(Json(receipt).into_response()),
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
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "BatchAnswer")
)]
pub(crate) struct Results {
    /// One for each event.
    results: Vec<Outcome>,
}
