//! A proptest runner with a fixed seed. `PROPTEST_CASES` sets the number of cases, `TALLYCAST_SEED`
//! another seed.

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// A runner whose cases are the same each time, unless `TALLYCAST_SEED` is set.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let seed = std::env::var("TALLYCAST_SEED").unwrap_or_else(|_| "tallycast".to_owned());
    let asked = std::env::var("PROPTEST_CASES").ok();
    let cases = asked.map_or(cases, |text| {
        text.parse().expect("PROPTEST_CASES is a number")
    });
    println!("TALLYCAST_SEED={seed} PROPTEST_CASES={cases}");
    let mut bytes = [0; 32];
    for (byte, letter) in bytes.iter_mut().zip(seed.bytes()) {
        *byte = letter;
    }
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        // A failing case that waits for a missing message takes seconds per step.
        max_shrink_time: 60_000,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}
