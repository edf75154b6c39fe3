//! Takes random steps with a [`ModelHarness`].

use jiff::Timestamp;
use tallycast::{Event, feed::Mode};

use crate::support::model::{
    Content,
    harness::{ACCOUNTS, ModelHarness},
    steps::{BudgetDraft, SOURCES, Spelling, Step, ZONES, event_json},
};

/// A sent event and its account.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) account: usize,
    pub(crate) key: (String, String),
    pub(crate) content: Content,
}

pub(crate) struct StepRunner {
    pub(crate) harness: ModelHarness,
    sent: Vec<Sent>,
    next: usize,
}

impl StepRunner {
    pub(crate) fn new(harness: ModelHarness) -> Self {
        Self {
            harness,
            sent: Vec::new(),
            next: 0,
        }
    }

    fn key(&mut self, account: usize, source: usize) -> (String, String) {
        self.next += 1;
        let marker = self.harness.marker(account);
        // Sources sometimes share ids: only source and id together are a key.
        (
            SOURCES[source].to_owned(),
            format!("e-{}-{marker}", self.next / 2),
        )
    }

    pub(crate) async fn send(&mut self, sent: Vec<(Sent, Spelling)>) {
        let events = sent.into_iter().map(|(mut sent, spelling)| {
            if let Some(amount) = &mut sent.content.amount {
                amount.digits = amount.digits.max(usize::from(spelling.is_other));
            }
            let account = ACCOUNTS[sent.account];
            let json = event_json(account, &sent.key, &sent.content, spelling);
            let event = Event::from_json(json.as_bytes());
            (sent.account, sent.key, sent.content, event)
        });
        self.harness.append(events.collect()).await;
    }

    async fn send_new(&mut self, sent: Sent, spelling: Spelling) {
        self.sent.push(sent.clone());
        self.send(vec![(sent, spelling)]).await;
    }

    pub(crate) async fn take(&mut self, step: Step) {
        let now = self.harness.now();
        match step {
            Step::Append(drafts) => {
                let mut batch = Vec::new();
                for draft in drafts {
                    let key = self.key(draft.account, draft.source);
                    let content = draft.content(now, self.harness.marker(draft.account));
                    let sent = Sent {
                        account: draft.account,
                        key,
                        content,
                    };
                    self.sent.push(sent.clone());
                    batch.push((
                        sent,
                        Spelling {
                            is_number: draft.is_number,
                            is_other: false,
                        },
                    ));
                }
                self.send(batch).await;
            }
            Step::Repeat(index, is_number) if !self.sent.is_empty() => {
                let sent = index.get(&self.sent).clone();
                self.send(vec![(
                    sent,
                    Spelling {
                        is_number,
                        is_other: true,
                    },
                )])
                .await;
            }
            Step::Alter(index, how) if !self.sent.is_empty() => {
                let mut sent = index.get(&self.sent).clone();
                alter(&mut sent.content, how, now);
                // If the original was refused, this one is recorded first.
                self.send_new(sent, Spelling::default()).await;
            }
            Step::Reverse(index, source) if !self.sent.is_empty() => {
                let original = index.get(&self.sent).clone();
                // Two in one batch: only one of them can be recorded.
                let reversals = [source, 0]
                    .map(|source| self.key(original.account, source))
                    .map(|key| {
                        let content = reversal(original.key.clone());
                        let account = original.account;
                        let sent = Sent {
                            account,
                            key,
                            content,
                        };
                        (sent, Spelling::default())
                    });
                self.sent
                    .extend(reversals.iter().map(|(sent, _)| sent.clone()));
                self.send(reversals.to_vec()).await;
            }
            Step::ReverseEarly(draft) => {
                let mut content = draft.content(now, self.harness.marker(draft.account));
                content.time = None;
                let (account, key) = (draft.account, self.key(draft.account, draft.source));
                let original = Sent {
                    account,
                    key: key.clone(),
                    content,
                };
                let key_of_reversal = self.key(account, 0);
                let reversal = Sent {
                    account,
                    key: key_of_reversal,
                    content: reversal(key),
                };
                for sent in [reversal.clone(), original, reversal] {
                    self.send_new(sent, Spelling::default()).await;
                }
            }
            Step::Zone(account, zone) => self.harness.set_zone(account, ZONES[zone]).await,
            Step::Budgets(account, drafts) => {
                let budgets = BudgetDraft::budgets(&drafts, self.harness.marker(account));
                self.harness.set_budgets(account, budgets).await;
            }
            Step::Thresholds(account, thresholds) => {
                let mut budgets = self.harness.budgets(account).to_vec();
                for budget in &mut budgets {
                    budget.thresholds.clone_from(&thresholds);
                }
                self.harness.set_budgets(account, budgets).await;
            }
            Step::Wait(seconds, looks) => {
                self.harness.wait(seconds);
                if looks {
                    self.harness.read_all().await;
                }
            }
            Step::Midnight(account, seconds) => {
                let seconds = self.harness.until_midnight(account) + seconds;
                self.harness.wait(seconds);
                self.harness.read_all().await;
            }
            Step::Restart(seconds) => {
                self.harness.wait(seconds);
                self.harness.restart().await;
            }
            Step::Connect(account, merges) => {
                let mode = if merges { Mode::Totals } else { Mode::Entries };
                self.harness.connect(account, mode);
            }
            Step::Read(account, count) => self.harness.read(account, count).await,
            Step::Disconnect(account) => self.harness.disconnect(account),
            Step::Erase(account) => self.harness.erase(account).await,
            Step::Repeat(..) | Step::Alter(..) | Step::Reverse(..) => {}
        }
    }

    pub(crate) async fn finish(mut self) {
        self.harness.check_everything().await;
        self.harness.restart().await;
        for sent in self.sent.clone() {
            self.send(vec![(
                sent,
                Spelling {
                    is_number: false,
                    is_other: true,
                },
            )])
            .await;
        }
        self.harness.check_everything().await;
    }
}

fn alter(content: &mut Content, how: u8, now: Timestamp) {
    match how % 5 {
        0 => content.description = Some("another one".to_owned()),
        1 => {
            content.time = Some(
                content
                    .time
                    .map_or(now, |time| time - jiff::SignedDuration::from_nanos(1)),
            )
        }
        2 => drop(content.attributes.insert("new".to_owned(), String::new())),
        3 if content.reverses.is_none() => {
            content.category = match &content.category {
                Some(_) => None,
                None => Some("food".to_owned()),
            };
        }
        _ => match &mut content.amount {
            Some(amount) if amount.nanos < 1_000_000_000 => amount.nanos += 1_000_000_000,
            Some(amount) => amount.nanos -= 1_000_000_000,
            None => content.description = Some("because".to_owned()),
        },
    }
}

pub(crate) fn reversal(key: (String, String)) -> Content {
    Content {
        reverses: Some(key),
        ..Content::of_kind("reversal")
    }
}
