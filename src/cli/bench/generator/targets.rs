/// Random accounts, by number: the same for the same seed, in every language that a peer is written in.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    state: u32,
    of: u32,
}

impl Targets {
    /// Of the accounts 0 to `of` − 1.
    pub(crate) fn new(seed: u32, of: u32) -> Self {
        Self { state: seed, of }
    }
}

impl Iterator for Targets {
    type Item = u32;

    /// A linear congruential generator (the constants of Numerical Recipes); its low bits are poor.
    fn next(&mut self) -> Option<u32> {
        self.state = self
            .state
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        Some((self.state >> 8) % self.of)
    }
}
