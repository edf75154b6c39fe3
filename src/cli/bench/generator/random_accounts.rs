/// Random account numbers: the same seed gives the same numbers, in every language that a peer is written in.
#[derive(Debug, Clone)]
pub(crate) struct RandomAccounts {
    state: u32,
    accounts: u32,
}

impl RandomAccounts {
    /// Numbers from 0 to `accounts` − 1.
    pub(crate) fn new(seed: u32, accounts: u32) -> Self {
        Self {
            state: seed,
            accounts,
        }
    }
}

impl Iterator for RandomAccounts {
    type Item = u32;

    /// A linear congruential generator (the constants of Numerical Recipes); its low bits are poor.
    fn next(&mut self) -> Option<u32> {
        self.state = self
            .state
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        Some((self.state >> 8) % self.accounts)
    }
}
