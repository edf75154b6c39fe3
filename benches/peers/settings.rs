//! What a run is asked for by its environment.

use std::{env, str::FromStr};

use crate::{
    control::account,
    generator::{Fleet, drive},
    peer::FEED,
    processors::Processors,
};

/// How a run goes.
pub(crate) struct Settings {
    /// `BENCH_ROUNDS`: how often each row is measured.
    pub(crate) rounds: usize,
    /// `BENCH_SCALE`: the share of messages and connections that a run takes, to try things out.
    pub(crate) scale: f64,
    /// `BENCH_OTHERS_MAX`: processor time of others, as a share of one processor's, from which on a round
    /// counts as disturbed.
    pub(crate) others_max: f64,
    /// `BENCH_ENTRIES`: how far the ledger grows.
    pub(crate) entries_max: u32,
    /// `BENCH_ONLY`: the letters of the workloads.
    only: Option<String>,
    /// `BENCH_PEERS`: parts of the names of servers.
    peers: Option<String>,
    pub(crate) processors: Processors,
    /// What a message has, with everybody.
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

    /// Whether a workload is asked for.
    pub(crate) fn has(&self, letter: &str) -> bool {
        let only = self.only.as_deref();
        only.is_none_or(|only| only.split(',').any(|asked| asked.trim() == letter))
    }

    /// Whether a row is asked for.
    pub(crate) fn has_row(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let peers = self.peers.as_deref();
        peers.is_none_or(|peers| peers.split(',').any(|asked| name.contains(asked.trim())))
    }

    /// `full`, or what there is of it in a shorter run.
    pub(crate) fn scaled(&self, full: u32) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the share of a count is a count"
        )]
        let scaled = (f64::from(full) * self.scale).ceil() as u32;
        scaled.max(2)
    }

    /// What an update of one entry has, measured: a feed's messages are as long as they are, so everybody
    /// else's are made as long.
    fn feed_bytes(&self) -> usize {
        let mut peer = FEED.start(self.processors, 0);
        let mut fleet = Fleet::new(peer.address.into()).unwrap();
        peer.watch(&mut fleet, [0].into_iter()).unwrap();
        let measured = drive::broadcast(&mut fleet, &mut peer, 100, 1);
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

fn number<T: FromStr>(name: &str, otherwise: T) -> T {
    env::var(name).map_or(otherwise, |text| {
        let number = text.parse().ok();
        number.unwrap_or_else(|| panic!("{name} is a number, not {text:?}"))
    })
}
