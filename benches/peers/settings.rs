//! The settings of a run, from environment variables.

use std::{env, str::FromStr};

use crate::{
    control::account,
    generator::{Clients, workloads},
    peer::FEED,
    processors::Processors,
};

/// The settings of a run.
pub(crate) struct Settings {
    /// `BENCH_ROUNDS`: how often each row is measured.
    pub(crate) rounds: usize,
    /// `BENCH_SCALE`: a factor on messages and connections, for trials.
    pub(crate) scale: f64,
    /// `BENCH_OTHERS_MAX`: the share of a processor that other processes may use before a round counts as disturbed.
    pub(crate) others_max: f64,
    /// `BENCH_ENTRIES`: the number of entries that the ledger grows to.
    pub(crate) entries_max: u32,
    /// `BENCH_ONLY`: the letters of the workloads.
    only: Option<String>,
    /// `BENCH_PEERS`: parts of the names of servers.
    peers: Option<String>,
    pub(crate) processors: Processors,
    /// The size of a message, for all contenders.
    pub(crate) payload_bytes: usize,
}

impl Settings {
    pub(crate) fn read() -> Self {
        let mut settings = Self {
            rounds: number("BENCH_ROUNDS", 3),
            scale: number("BENCH_SCALE", 1.0),
            others_max: number("BENCH_OTHERS_MAX", 0.05),
            entries_max: number("BENCH_ENTRIES", 1_000_000),
            only: env::var("BENCH_ONLY").ok(),
            peers: env::var("BENCH_PEERS").ok().map(|text| text.to_lowercase()),
            processors: Processors::of_this_machine(),
            payload_bytes: 0,
        };
        settings.payload_bytes = settings.feed_bytes();
        settings
    }

    /// Whether a workload is selected.
    pub(crate) fn has(&self, letter: &str) -> bool {
        let only = self.only.as_deref();
        only.is_none_or(|only| only.split(',').any(|it| it.trim() == letter))
    }

    /// Whether a row is selected.
    pub(crate) fn has_row(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let peers = self.peers.as_deref();
        peers.is_none_or(|peers| peers.split(',').any(|it| name.contains(it.trim())))
    }

    /// `full`, times `BENCH_SCALE`.
    pub(crate) fn scaled(&self, full: u32) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the share of a count is a count"
        )]
        let scaled = (f64::from(full) * self.scale).ceil() as u32;
        scaled.max(2)
    }

    /// The measured size of an update with one entry. A feed's messages cannot be resized, so those of the other
    /// contenders are padded to this size.
    fn feed_bytes(&self) -> usize {
        let mut peer = FEED.start(self.processors, 0);
        let mut clients = Clients::new(peer.address.into()).unwrap();
        peer.watch(&mut clients, [0].into_iter()).unwrap();
        let measured = workloads::broadcast(&mut clients, &mut peer, 100, 1);
        let measured = measured.unwrap_or_else(|why| panic!("{}: {why}", account(0)));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a length"
        )]
        let bytes = measured.payload_bytes.round() as usize;
        bytes
    }
}

fn number<T: FromStr>(name: &str, default: T) -> T {
    env::var(name).map_or(default, |text| {
        let number = text.parse().ok();
        number.unwrap_or_else(|| panic!("{name} is a number, not {text:?}"))
    })
}
