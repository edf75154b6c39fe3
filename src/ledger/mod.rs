//! Where entries are stored: the traits of a storage backend, and the two that come with Tallycast, [`Sqlite`] on disk
//! and [`Memory`].

// `sqlite` is the only module that knows SQL. The `writer` folds events and commits them in groups, on a thread of its
// own.

mod appended;
mod batch;
mod commit;
mod commit_listener;
mod day_page;
mod entry;
mod error;
mod fold;
mod job;
mod memory;
mod profile_edit;
mod readers;
mod recount;
mod sqlite;
mod state_cache;
mod traits;
mod view;
mod writer;

pub use commit::{ChangedState, Commit};
pub use entry::{HappenedEntry, NewEntry, RecordedEvent};
pub use error::{CommitError, LedgerError, Unavailable};
pub use memory::Memory;
pub use sqlite::Sqlite;
pub use traits::{Ledger, LedgerReader, LedgerWriter};
pub use view::{AccountView, DayRange, DaysView, EntryRange};

pub(crate) use appended::{Appended, Placed};
use day_page::DayPage;

pub(crate) use commit_listener::{AccountCommit, CommitListener};
pub(crate) use job::Job;
pub(crate) use profile_edit::ProfileEdit;
pub(crate) use readers::{ReadSlot, Readers, Requester, Weight};
pub(crate) use writer::Writer;
