//! Removing an account, and what is left of it in the log.

use rusqlite::Connection;

use super::place;

/// A database of up to so many bytes (64 MiB) is rewritten after an erasure, in about a second.
const REWRITE_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// Deletes everything of the account with this number, whose entries are all in the indexes. The triggers let it pass while its row in
/// `erasure` is there, which no other transaction ever sees.
pub(super) fn erase(connection: &Connection, number: i64) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO erasure (account) VALUES (?1)", [number])?;
    let places = place::after(number, 0).into_inner();
    for sql in [
        "DELETE FROM entry WHERE number IN (SELECT entry FROM entry_place WHERE place BETWEEN ?1 AND ?2)",
        "DELETE FROM entry_place WHERE place BETWEEN ?1 AND ?2",
    ] {
        connection.execute(sql, places)?;
    }
    for sql in [
        "DELETE FROM entry_key WHERE account = ?1",
        "DELETE FROM day WHERE account = ?1",
        "DELETE FROM account WHERE number = ?1",
        "DELETE FROM erasure WHERE account = ?1",
    ] {
        connection.execute(sql, [number])?;
    }
    Ok(())
}

/// Rewrites the database where that is quick. Pages that were split keep copies of the rows that moved,
/// in the gap between their pointers and their rows, where `secure_delete` does not reach.
pub(super) fn rewrite(connection: &Connection) -> rusqlite::Result<()> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("page_count")? * pragma("page_size")? > REWRITE_BYTES_MAX {
        tracing::warn!(
            "copies of moved rows of the erased account may be left in the database file until \
             VACUUM rewrites it; it is too large to do that while others wait"
        );
        return Ok(());
    }
    connection.execute_batch("VACUUM")
}

/// Whether the log may hold older pages with erased content. They are gone once the log was truncated,
/// which a reader from outside, such as a backup, can prevent for a while.
#[derive(Debug, Clone, Copy)]
pub(super) enum Traces {
    /// It holds none.
    None,
    /// It does.
    Found,
    /// It does, and could not be truncated: try at this commit, then after twice as many.
    Kept { until: i64, pause: i64 },
}

impl Traces {
    /// The longest pause between attempts, in commits: each may hold up the next commit for a moment.
    const PAUSE_MAX: i64 = 1_024;

    pub(super) fn is_due(self, commits: i64) -> bool {
        match self {
            Self::None => false,
            Self::Found => true,
            Self::Kept { until, .. } => commits >= until,
        }
    }

    pub(super) fn tried(&mut self, is_removed: bool, commits: i64) {
        if is_removed {
            *self = Self::None;
            return;
        }
        let pause = match *self {
            Self::Kept { pause, .. } => (2 * pause).min(Self::PAUSE_MAX),
            Self::None | Self::Found => {
                tracing::warn!("a reader from outside keeps erased content in the log for now");
                1
            }
        };
        let until = commits + pause;
        *self = Self::Kept { until, pause };
    }
}
