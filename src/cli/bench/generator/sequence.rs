use super::Fault;

/// What one watcher has got of its account, and so what must come next.
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

    /// What comes follows this offset.
    pub(super) fn starts_after(&mut self, offset: u64) {
        self.last = offset;
    }

    /// Takes the entries `from` to `to` if they are the next ones of this account; answers how many.
    pub(super) fn take(&mut self, account: &[u8], from: u64, to: u64) -> Result<u64, Fault> {
        if account != self.account.as_bytes() {
            return Err(Fault::Stray {
                watched: self.account.clone(),
                account: String::from_utf8_lossy(account).into_owned(),
            });
        }
        let expected = self.last + 1;
        if from != expected || to < from {
            return Err(self.disorder(expected, from));
        }
        self.last = to;
        Ok(to - from + 1)
    }

    fn disorder(&self, expected: u64, got: u64) -> Fault {
        let account = self.account.clone();
        match got > expected {
            true => Fault::Lost {
                account,
                expected,
                got,
            },
            false => Fault::Repeated {
                account,
                expected,
                got,
            },
        }
    }
}
