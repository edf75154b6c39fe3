use std::{
    fmt::Debug,
    fs,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    time::{Duration, Instant},
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

use crate::mutation::Mutation;

/// How long a target runs unless `FUZZ_SECONDS` says otherwise.
const SECONDS: u64 = 5;

/// Runs longer than this have a random seed.
const SHORT_SECONDS: u64 = 60;

/// One target: what it mutates, and for how long.
pub(crate) struct Fuzzer {
    name: &'static str,
    corpus: Vec<Vec<u8>>,
}

impl Fuzzer {
    /// The target that mutates the files in `corpus/{name}`.
    pub(crate) fn new(name: &'static str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
        let mut files: Vec<_> = fs::read_dir(folder.join(name))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        files.sort();
        let corpus: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        assert!(!corpus.is_empty(), "{name} has no corpus");
        Self { name, corpus }
    }

    pub(crate) fn corpus(&self) -> &[Vec<u8>] {
        &self.corpus
    }

    /// Checks every file of the corpus and then mutations of them. `dictionary` has words that the format uses.
    pub(crate) fn mutate(&self, dictionary: &'static [&'static str], check: impl Fn(&[u8])) {
        for file in &self.corpus {
            check(file);
        }
        let mutation = Mutation::of(self.corpus.clone(), dictionary);
        self.run(&mutation, |input| check(input));
    }

    /// Checks values of a strategy until the time is over.
    pub(crate) fn run<S>(&self, strategy: &S, check: impl Fn(&S::Value))
    where
        S: Strategy,
        S::Value: Debug,
    {
        let seconds = number("FUZZ_SECONDS").unwrap_or(SECONDS);
        let seed = number("FUZZ_SEED").unwrap_or_else(|| match seconds <= SHORT_SECONDS {
            true => 0,
            false => RandomState::new().hash_one(self.name),
        });
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config = Config {
            failure_persistence: None,
            max_shrink_iters: 10_000,
            // Mutations that are no text are left out, in an hour many of them.
            max_local_rejects: u32::MAX,
            ..Config::default()
        };
        let mut runner = TestRunner::new_with_rng(config, rng);
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut cases = 0_u64;
        while Instant::now() < until {
            let tree = strategy.new_tree(&mut runner).unwrap();
            cases += 1;
            let tested = runner.run_one(tree, |value| {
                check(&value);
                Ok::<_, TestCaseError>(())
            });
            if let Err(TestError::Fail(why, value)) = tested {
                panic!(
                    "{}: seed {seed}, case {cases}: {why}\nsmallest: {value:?}",
                    self.name
                );
            }
        }
        println!("{}: {cases} cases in {seconds} s, seed {seed}", self.name);
        assert!(cases > 1, "{}: only {cases} cases", self.name);
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is a number")),
    )
}
