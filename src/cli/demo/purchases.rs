use jiff::civil::Date;
use tallycast::{Account, Event, domain::Amount};

use crate::cli::table::{Columns, Table};

/// Every purchase of a sample of CDNOW's customers. `data/README.md` names the source.
static FILE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/data/cdnow_purchases.csv"
));

/// The number of accounts that the customers are distributed over. There are few, so that each changes every few
/// seconds.
pub(super) const ACCOUNTS: u32 = 12;

/// The start of an account's name, before its number.
const ACCOUNT_PREFIX: &str = "customer-";

/// The currency.
pub(super) const UNIT: &str = "USD";

/// The real purchases in an endless loop, distributed over a few accounts.
#[derive(Debug)]
pub(super) struct Purchases {
    rows: Vec<PurchaseRow>,
    next: usize,
    round: u32,
}

/// A purchase and its event.
#[derive(Debug)]
pub(super) struct Purchase {
    pub(super) account: Account,
    pub(super) dollars: Amount,
    pub(super) event: Event,
}

#[derive(Debug)]
struct PurchaseRow {
    customer: u32,
    date: Date,
    discs: u32,
    dollars: String,
}

impl Purchases {
    pub(super) fn read() -> Self {
        let columns = Columns {
            account: "customer_id".to_owned(),
            time: "date".to_owned(),
            amount: "dollars".to_owned(),
            category: None,
            quantity: Some("quantity".to_owned()),
        };
        let valid = "the file is built in, and a test reads it";
        let mut table = Table::read(FILE.as_bytes(), "cdnow_purchases.csv", &columns).expect(valid);
        let mut rows = Vec::new();
        while let Some(cells) = table.next_row().expect(valid) {
            rows.push(PurchaseRow {
                customer: cells.account.parse().expect(valid),
                date: cells.time.parse().expect(valid),
                discs: cells.quantity.and_then(|n| n.parse().ok()).expect(valid),
                dollars: cells.amount.to_owned(),
            });
        }
        Self {
            rows,
            next: 0,
            round: 1,
        }
    }

    /// The next purchase. Its id contains the round, so that a repeated purchase is not a duplicate.
    pub(super) fn next_purchase(&mut self) -> Purchase {
        let row = &self.rows[self.next];
        let number = self.next + 1;
        let account = account(row.customer);
        let event = Event::consumption(
            format!("round-{}-row-{number}", self.round),
            account.as_str(),
            &row.dollars,
            UNIT,
        )
        .with_source("cdnow")
        .with_category(category(row.discs))
        .with_description(row.description())
        .with_attribute("customer", format!("{:05}", row.customer))
        .with_attribute("bought_on", row.date.to_string())
        .with_attribute("quantity", row.discs.to_string());
        let dollars = row.dollars.parse().expect("a test reads all of them");
        self.next = number % self.rows.len();
        if self.next == 0 {
            self.round += 1;
        }
        Purchase {
            account,
            dollars,
            event,
        }
    }
}

impl PurchaseRow {
    fn description(&self) -> String {
        let Self {
            customer,
            date,
            discs,
            ..
        } = self;
        let noun = if *discs == 1 { "disc" } else { "discs" };
        format!("{discs} {noun}, bought by customer {customer:05} on {date}")
    }
}

/// The account of a customer. All ids of the sample end in 4, so only the digits before it are used.
fn account(customer: u32) -> Account {
    account_of(customer / 10 % ACCOUNTS)
}

fn account_of(index: u32) -> Account {
    Account::parse(&format!("{ACCOUNT_PREFIX}{:02}", index + 1)).expect("the name is short ASCII")
}

/// All accounts that have purchases.
pub(super) fn accounts() -> impl Iterator<Item = Account> {
    (0..ACCOUNTS).map(account_of)
}

/// The name of an account's customer: `Customer 01`.
pub(super) fn title(account: &Account) -> String {
    account.as_str().replace(ACCOUNT_PREFIX, "Customer ")
}

fn category(discs: u32) -> &'static str {
    match discs {
        0 | 1 => "single",
        2 | 3 => "a few",
        _ => "a stack",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn the_built_in_file_is_the_one_that_its_readme_describes() {
        let purchases = Purchases::read().rows;
        let customers: BTreeSet<_> = purchases.iter().map(|p| p.customer).collect();
        let discs: u32 = purchases.iter().map(|p| p.discs).sum();
        let cents: u64 = purchases
            .iter()
            .map(|p| p.dollars.replace('.', "").parse::<u64>().unwrap())
            .sum();
        assert_eq!((purchases.len(), customers.len()), (6_856, 2_357));
        assert_eq!((discs, cents), (16_207, 24_643_853));
    }

    #[test]
    fn purchases_are_spread_over_all_accounts() {
        let mut purchases = Purchases::read();
        let mut counts = BTreeMap::new();
        for _ in 0..6_856 {
            *counts.entry(purchases.next_purchase().account).or_insert(0) += 1;
        }
        assert!(counts.keys().cloned().eq(accounts()));
        assert!(
            counts.values().all(|count| *count > 6_856 / 12 / 2),
            "{counts:?}"
        );
    }

    #[test]
    fn each_round_has_new_ids() {
        let mut purchases = Purchases::read();
        let first = purchases.next_purchase();
        for _ in 1..6_856 {
            purchases.next_purchase();
        }
        let again = purchases.next_purchase();
        assert_eq!(first.account, again.account);
        assert_ne!(first.event, again.event);
    }
}
