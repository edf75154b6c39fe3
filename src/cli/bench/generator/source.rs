use super::{clients::Clients, error::BenchError};

/// Makes the messages that watchers receive. Accounts are numbered.
pub(crate) trait Source {
    /// Whether it can send now.
    fn can_send(&self, clients: &Clients) -> bool;

    /// Sends one message to each watcher of an account.
    fn send(&mut self, clients: &mut Clients, account: u32) -> Result<(), BenchError>;

    /// Sends `count` messages, each to one of the accounts 0 to `accounts` − 1, chosen by
    /// [`RandomAccounts`](super::random_accounts::RandomAccounts).
    fn send_random(
        &mut self,
        clients: &mut Clients,
        seed: u32,
        count: u32,
        accounts: u32,
    ) -> Result<(), BenchError>;
}
