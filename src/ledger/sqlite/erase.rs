//! Removing an account from the file.

use rusqlite::Connection;

use super::place;

/// A database of up to this many bytes (64 MiB) is rewritten after an erasure, in about a second.
const REWRITE_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// Deletes everything of the account with this number. Its entries must all be in the indexes. The triggers allow
/// the deletion while the account has a row in `erasure`, which no other transaction ever sees.
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

/// Rewrites the database if that is quick. `secure_delete` is not enough: a page that was split still holds
/// copies of the rows that moved, in the gap between its pointers and its rows.
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
