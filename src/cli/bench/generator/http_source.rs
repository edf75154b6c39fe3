use std::fmt::Write;

use super::{
    clients::Clients, error::BenchError, random_accounts::RandomAccounts, source::Source,
    target_server::TargetServer,
};

/// Makes messages as producers do: by posting events to Tallycast.
#[derive(Debug)]
pub(crate) struct HttpSource {
    head: String,
    /// An account's name is this and its number.
    prefix: String,
    posted: u64,
}

impl HttpSource {
    /// Posts to accounts whose names are `prefix` and a number.
    pub(crate) fn new(target: &TargetServer, token: &str, prefix: &str) -> Self {
        let head = target.request("POST", "/v1/events", token);
        Self {
            head: head + "Content-Type: application/json\r\n",
            prefix: prefix.to_owned(),
            posted: 0,
        }
    }

    fn write_event(&mut self, body: &mut String, account: u32) {
        self.posted += 1;
        let Self { prefix, posted, .. } = self;
        let event = write!(
            body,
            r#"{{"id":"{prefix}{posted}","account":"{prefix}{account}","amount":"0.01","unit":"USD"}}"#
        );
        event.expect("writing to a string does not fail");
    }
}

impl Source for HttpSource {
    fn can_send(&self, clients: &Clients) -> bool {
        clients.has_free_poster()
    }

    fn send(&mut self, clients: &mut Clients, account: u32) -> Result<(), BenchError> {
        let mut body = String::new();
        self.write_event(&mut body, account);
        clients.post(&self.head, &body)
    }

    fn send_random(
        &mut self,
        clients: &mut Clients,
        seed: u32,
        count: u32,
        accounts: u32,
    ) -> Result<(), BenchError> {
        let mut body = String::from("[");
        for account in RandomAccounts::new(seed, accounts).take(count as usize) {
            if body.len() > 1 {
                body.push(',');
            }
            self.write_event(&mut body, account);
        }
        body.push(']');
        clients.post(&self.head, &body)
    }
}
