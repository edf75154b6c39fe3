use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
};

/// Enough to see what is wrong; a broken server breaks every promise at once.
const FAULTS_SHOWN: usize = 12;

/// Markers seen where they must not be. One is enough to fail the whole run.
static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// An experiment's measurements and faults.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    figures: Vec<(String, String)>,
    faults: Vec<String>,
}

impl Findings {
    /// A figure for the report.
    pub(crate) fn figure(&mut self, name: &str, value: impl Display) {
        self.figures.push((name.to_owned(), value.to_string()));
    }

    pub(crate) fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    pub(crate) fn faults(&mut self, faults: impl IntoIterator<Item = String>) {
        self.faults.extend(faults);
    }

    /// Notes a fault where `holds` is false.
    pub(crate) fn check(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(otherwise());
        }
    }

    pub(crate) fn into_faults(self) -> Vec<String> {
        self.faults
    }

    pub(crate) fn is_green(&self) -> bool {
        self.faults.is_empty()
    }

    pub(crate) fn print(&self) {
        for (name, value) in &self.figures {
            println!("    {name:<44} {value}");
        }
        for fault in self.faults.iter().take(FAULTS_SHOWN) {
            println!("    FAULT {fault}");
        }
        if self.faults.len() > FAULTS_SHOWN {
            println!("    FAULT … and {} more", self.faults.len() - FAULTS_SHOWN);
        }
    }
}

/// A random marker in all data of one account, which no other account may see.
#[derive(Debug, Clone)]
pub(crate) struct Canary(String);

const SIGN: &str = "canary-";

impl Canary {
    pub(crate) fn new(random: u64) -> Self {
        Self(format!("{SIGN}{random:016x}"))
    }

    pub(crate) fn marker(&self) -> &str {
        &self.0
    }

    /// Looks for another account's marker in raw bytes that `who` received.
    pub(crate) fn watch(&self, who: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for (at, _) in text.match_indices(SIGN) {
            // A marker cut off at the end of the bytes is compared up to there.
            let seen: String = text[at..].chars().take(self.0.len()).collect();
            if !self.0.starts_with(&seen) {
                let leak = format!("{who} saw {seen}, its own is {}", self.0);
                LEAKS
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(leak);
            }
        }
    }
}

/// The leaks of the whole run.
pub(crate) fn leaks() -> Vec<String> {
    LEAKS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
