use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::{
    Api, Caller, Problem,
    body::{self, Reported},
    problem::not_found,
};
use crate::{
    access::{Grant, Scope},
    domain::{Account, Event, Invalid, Position},
    feed::{Outcome, Receipt},
};

/// `POST /v1/events`: records what the body reports, and answers once it is durable.
pub(super) async fn record(
    State(api): State<Api>,
    Caller(grant): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    match body::read(&headers, body).await? {
        Reported::One(event) => {
            let event = event.and_then(|event| permit(&grant, event));
            let outcomes = api.feed.append_all(vec![event]).await?;
            let outcome = outcomes.into_iter().next();
            one(outcome.expect("every event has an outcome"))
        }
        Reported::Many(events) => {
            let events = events
                .into_iter()
                .map(|event| event.and_then(|event| permit(&grant, event)))
                .collect();
            let outcomes = api.feed.append_all(events).await?;
            let results = outcomes.iter().map(Answer::of).collect();
            Ok(Json(Answers { results }).into_response())
        }
    }
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
    let answer = Answer::of(&outcome);
    match outcome {
        Outcome::Recorded(_) => Ok((StatusCode::CREATED, Json(answer)).into_response()),
        Outcome::Duplicate(_) => Ok(Json(answer).into_response()),
        Outcome::Conflict(refused) | Outcome::Rejected(refused) => Err(refused.into()),
    }
}

#[derive(Serialize)]
struct Answers<'a> {
    results: Vec<Answer<'a>>,
}

/// What became of one event.
#[derive(Serialize)]
struct Answer<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

impl<'a> Answer<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let answer = match outcome {
            Outcome::Recorded(receipt) => Self::receipt("recorded", receipt),
            Outcome::Duplicate(receipt) => Self::receipt("duplicate", receipt),
            Outcome::Conflict(refused) => Self::refused("conflict", refused),
            Outcome::Rejected(refused) => Self::refused("rejected", refused),
        };
        metrics::counter!("tallycast_events_total", "status" => answer.status).increment(1);
        answer
    }

    fn receipt(status: &'static str, receipt: &Receipt) -> Self {
        Self {
            status,
            code: None,
            message: None,
            offset: Some(receipt.offset),
            position: Some(receipt.position),
        }
    }

    fn refused(status: &'static str, refused: &'a Invalid) -> Self {
        Self {
            status,
            code: Some(refused.code()),
            message: Some(refused.message()),
            offset: None,
            position: None,
        }
    }
}
