use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{client::Key, holdings::Holdings, settings::Quotas, too_many::TooMany};
use crate::limit_report::LimitReport;

static ALL: LimitReport = LimitReport::new(
    "body_bytes_max",
    "the bodies of all requests are too large together; raise body_bytes_max if there is memory",
);

static CLIENT: LimitReport = LimitReport::new(
    "body_bytes_per_client_max",
    "the bodies of one client's requests are too large together; raise body_bytes_per_client_max",
);

/// The bytes of request bodies that are held: in all, and by each client.
#[derive(Debug)]
pub(super) struct BodyBytes {
    max: usize,
    all: AtomicUsize,
    clients: Holdings,
}

impl BodyBytes {
    pub(super) fn new(quotas: &Quotas) -> Self {
        Self {
            max: quotas.body_bytes_max,
            all: AtomicUsize::new(0),
            clients: Holdings::new(quotas.body_bytes_per_client_max, &CLIENT),
        }
    }

    fn take(&self, clients: [Option<Key>; 2], amount: usize) -> Result<(), TooMany> {
        let held = self.all.fetch_add(amount, Ordering::Relaxed);
        if held.saturating_add(amount) > self.max {
            self.all.fetch_sub(amount, Ordering::Relaxed);
            ALL.turned_away(self.max);
            return Err(TooMany::OfAll);
        }
        for (done, client) in clients.iter().enumerate() {
            let Some(client) = client else { continue };
            if let Err(too_many) = self.clients.take(*client, amount) {
                self.all.fetch_sub(amount, Ordering::Relaxed);
                let taken = clients[..done].iter().flatten();
                taken.for_each(|client| self.clients.give_back(*client, amount));
                return Err(too_many);
            }
        }
        Ok(())
    }

    fn give_back(&self, clients: [Option<Key>; 2], amount: usize) {
        self.all.fetch_sub(amount, Ordering::Relaxed);
        let clients = clients.iter().flatten();
        clients.for_each(|client| self.clients.give_back(*client, amount));
    }
}

/// Bytes that one request holds, until dropped.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    bytes: Arc<BodyBytes>,
    /// Its address and its subject.
    clients: [Option<Key>; 2],
    amount: usize,
}

impl HeldBytes {
    /// Holds nothing yet.
    pub(super) fn none(bytes: Arc<BodyBytes>, clients: [Option<Key>; 2]) -> Self {
        Self {
            bytes,
            clients,
            amount: 0,
        }
    }

    /// Holds `amount` instead.
    ///
    /// # Errors
    /// If the client, or all together, would hold too much. Then it holds as much as before.
    pub(crate) fn resize(&mut self, amount: usize) -> Result<(), TooMany> {
        if amount > self.amount {
            self.bytes.take(self.clients, amount - self.amount)?;
        } else if amount < self.amount {
            self.bytes.give_back(self.clients, self.amount - amount);
        }
        self.amount = amount;
        Ok(())
    }

    pub(crate) fn amount(&self) -> usize {
        self.amount
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.bytes.give_back(self.clients, self.amount);
        }
    }
}
