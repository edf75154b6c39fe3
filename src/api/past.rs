use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use jiff::{ToSpan, civil::Date};
use serde::Deserialize;

use crate::{
    access::Scope,
    domain::Period,
    http::{
        AccountPath, AppState, CacheBuster, Caller, NO_STORE, Problem, StrictQuery, invalid_query,
    },
    ledger::ReadSlot,
};

/// How many periods before `to` are shown by default: 31 days or 12 months in all.
const DAYS_BEFORE: i32 = 30;
const MONTHS_BEFORE: i32 = 11;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TotalsQuery {
    by: Option<String>,
    from: Option<String>,
    to: Option<String>,
    #[serde(rename = "_", alias = "_dc")]
    _cache_buster: CacheBuster,
}

/// `GET /v1/accounts/{account}/totals`: past days or months, for charts.
pub(super) async fn totals(
    State(app): State<AppState>,
    caller: Caller,
    AccountPath(account): AccountPath,
    StrictQuery(range): StrictQuery<TotalsQuery>,
) -> Result<Response, Problem> {
    caller.check(Scope::Watch, &account)?;
    let by = match range.by.as_deref() {
        None | Some("day") => Period::Day,
        Some("month") => Period::Month,
        Some(_) => return Err(invalid_query("by is day or month")),
    };
    let feed = app.feed_for(&caller.grant);
    let to = match range.to {
        Some(text) => dates(&text)?.1,
        None => feed.today(&account).await?,
    };
    let from = match range.from {
        Some(text) => dates(&text)?.0,
        None => to.saturating_sub(match by {
            Period::Month => MONTHS_BEFORE.months(),
            _ => DAYS_BEFORE.days(),
        }),
    };
    if from > to {
        return Err(invalid_query("from must not be after to"));
    }
    let (json, slot) = feed.past_totals_json(&account, by, from, to).await?;
    let headers = [(CONTENT_TYPE, "application/json")];
    let body = Bytes::from_owner(HeldAnswer { json, _slot: slot });
    Ok((NO_STORE, headers, body).into_response())
}

/// An answer that counts as under way until the client has taken it, so that its memory is bounded.
struct HeldAnswer {
    json: Vec<u8>,
    _slot: ReadSlot,
}

impl AsRef<[u8]> for HeldAnswer {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

/// The first and the last day of a date such as 2026-11-22 or a month such as 2026-11.
fn dates(text: &str) -> Result<(Date, Date), Problem> {
    let is_date = |shape: &str| {
        text.len() == shape.len()
            && text
                .bytes()
                .zip(shape.bytes())
                .all(|(byte, shape)| match shape {
                    b'd' => byte.is_ascii_digit(),
                    other => byte == other,
                })
    };
    let dates = match text {
        _ if is_date("dddd-dd-dd") => text.parse().ok().map(|day| (day, day)),
        _ if is_date("dddd-dd") => {
            let first: Option<Date> = format!("{text}-01").parse().ok();
            first.map(|first| (first, first.last_of_month()))
        }
        _ => None,
    };
    dates.ok_or_else(|| {
        invalid_query("from and to are dates such as 2026-11-22, or months such as 2026-11")
    })
}
