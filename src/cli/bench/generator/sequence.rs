use super::error::BenchError;

/// Checks that a watcher receives each entry of its account once, and in order.
#[derive(Debug)]
pub(super) struct Sequence {
    account: String,
    last: u64,
}

impl Sequence {
    pub(super) fn new(account: String) -> Self {
        Self { account, last: 0 }
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// The next entry is the one after this offset.
    pub(super) fn start_after(&mut self, offset: u64) {
        self.last = offset;
    }

    /// Accepts the entries `from` to `to` if they are the next ones of this account, and returns their number.
    pub(super) fn accept(&mut self, account: &[u8], from: u64, to: u64) -> Result<u64, BenchError> {
        if account != self.account.as_bytes() {
            return Err(BenchError::Stray {
                watched: self.account.clone(),
                account: String::from_utf8_lossy(account).into_owned(),
            });
        }
        let expected = self.last + 1;
        if from != expected || to < from {
            return Err(self.out_of_order(expected, from));
        }
        self.last = to;
        Ok(to - from + 1)
    }

    fn out_of_order(&self, expected: u64, got: u64) -> BenchError {
        let account = self.account.clone();
        match got > expected {
            true => BenchError::Lost {
                account,
                expected,
                got,
            },
            false => BenchError::Repeated {
                account,
                expected,
                got,
            },
        }
    }
}
