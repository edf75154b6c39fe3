use std::fmt::Write;

use super::{Fault, Fleet, Source, Target, Targets};

/// Makes messages the way producers do: events, posted to Tallycast.
#[derive(Debug)]
pub(crate) struct Posts {
    head: String,
    /// Accounts are named so, and a number behind it.
    prefix: String,
    posted: u64,
}

impl Posts {
    /// Posts to accounts whose names are `prefix` and a number.
    pub(crate) fn new(target: &Target, token: &str, prefix: &str) -> Self {
        let head = target.request("POST", "/v1/events", token);
        Self {
            head: head + "Content-Type: application/json\r\n",
            prefix: prefix.to_owned(),
            posted: 0,
        }
    }

    fn write_event(&mut self, body: &mut String, index: u32) {
        self.posted += 1;
        let Self { prefix, posted, .. } = self;
        let event = write!(
            body,
            r#"{{"id":"{prefix}{posted}","account":"{prefix}{index}","amount":"0.01","unit":"USD"}}"#
        );
        event.expect("a string takes whatever is written");
    }
}

impl Source for Posts {
    fn has_room(&self, fleet: &Fleet) -> bool {
        fleet.has_free_poster()
    }

    fn push(&mut self, fleet: &mut Fleet, index: u32) -> Result<(), Fault> {
        let mut body = String::new();
        self.write_event(&mut body, index);
        fleet.post(&self.head, &body)
    }

    fn unicast(&mut self, fleet: &mut Fleet, seed: u32, count: u32, of: u32) -> Result<(), Fault> {
        let mut body = String::from("[");
        for index in Targets::new(seed, of).take(count as usize) {
            if body.len() > 1 {
                body.push(',');
            }
            self.write_event(&mut body, index);
        }
        body.push(']');
        fleet.post(&self.head, &body)
    }
}
