use jiff::civil::Date;
use tallycast::{Account, Event};

use crate::cli::replay::table::{Columns, Table};

/// Every purchase of a sample of CDNOW's customers; `data/README.md` says where it is from.
static FILE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/data/cdnow_purchases.csv"
));

/// How many accounts the customers are folded into: few enough that each moves every couple of seconds.
pub(super) const ACCOUNTS: u32 = 12;

/// The real purchases, again and again: as of now, folded into a few accounts.
#[derive(Debug)]
pub(super) struct Purchases {
    purchases: Vec<Purchase>,
    next: usize,
    round: u32,
}

#[derive(Debug)]
struct Purchase {
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
        let sound = "the file is built in, and a test reads it";
        let mut table = Table::read(FILE.as_bytes(), "cdnow_purchases.csv", &columns).expect(sound);
        let mut purchases = Vec::new();
        while let Some(cells) = table.next_row().expect(sound) {
            purchases.push(Purchase {
                customer: cells.account.parse().expect(sound),
                date: cells.time.parse().expect(sound),
                discs: cells.quantity.and_then(|n| n.parse().ok()).expect(sound),
                dollars: cells.amount.to_owned(),
            });
        }
        Self {
            purchases,
            next: 0,
            round: 1,
        }
    }

    /// The next purchase. Its id is of its round, so a purchase that comes again counts again.
    pub(super) fn next_event(&mut self) -> Event {
        let purchase = &self.purchases[self.next];
        let row = self.next + 1;
        let event = Event::consumption(
            format!("round-{}-row-{row}", self.round),
            account(purchase.customer),
            &purchase.dollars,
            "USD",
        )
        .with_source("cdnow")
        .with_category(category(purchase.discs))
        .with_description(purchase.description())
        .with_attribute("customer", format!("{:05}", purchase.customer))
        .with_attribute("bought_on", purchase.date.to_string())
        .with_attribute("quantity", purchase.discs.to_string());
        self.next = row % self.purchases.len();
        if self.next == 0 {
            self.round += 1;
        }
        event
    }
}

impl Purchase {
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

/// The account of a customer. All ids of the sample end in 4: the digits before it tell them apart.
fn account(customer: u32) -> String {
    account_name(customer / 10 % ACCOUNTS)
}

fn account_name(index: u32) -> String {
    format!("customer-{:02}", index + 1)
}

/// All accounts that purchases come to.
pub(super) fn accounts() -> impl Iterator<Item = Account> {
    let parse = |name: String| Account::parse(&name).expect("the name is short and plain");
    (0..ACCOUNTS).map(account_name).map(parse)
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
        let purchases = Purchases::read().purchases;
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
    fn every_account_gets_a_fair_part_and_there_are_no_others() {
        let mut purchases = Purchases::read();
        let mut counts = BTreeMap::new();
        for _ in 0..6_856 {
            let account = purchases.next_event().account().to_owned();
            *counts.entry(account).or_insert(0) += 1;
        }
        let names: Vec<_> = accounts().map(|a| a.to_string()).collect();
        assert_eq!(counts.keys().cloned().collect::<Vec<_>>(), names);
        assert!(
            counts.values().all(|count| *count > 6_856 / 12 / 2),
            "{counts:?}"
        );
    }

    #[test]
    fn each_round_has_ids_of_its_own() {
        let mut purchases = Purchases::read();
        let first = purchases.next_event();
        for _ in 1..6_856 {
            purchases.next_event();
        }
        let again = purchases.next_event();
        assert_eq!(first.account(), again.account());
        assert_ne!(first, again);
    }
}
