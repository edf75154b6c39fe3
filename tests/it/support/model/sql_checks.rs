//! Checks the database file in SQL alone: its stored sums are right, and it agrees with the model.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::support::model::{Model, harness::ACCOUNTS};

/// The most entries that a stored state and the indexes may lack.
const ENTRIES_BEHIND: i64 = 15;

/// Amounts as a whole part and as 10⁻⁹, since 64 bits hold each part. `term` has each entry, `written` those that
/// the stored state of its account counts, `told` that state's totals, `kept` the days of UTC accounts, finished or
/// open, `counted` their recount.
const VIEWS: &str = "
    CREATE TEMP VIEW term AS
    WITH text AS (
        SELECT a.name, e.account, e.offset, e.count, e.happened, e.json ->> 'kind' AS kind,
               e.json ->> 'meter' AS meter, e.json ->> 'unit' AS unit,
               e.json ->> 'total' AS total, e.json ->> 'amount' AS amount
        FROM entry e JOIN account a ON a.number = e.account
    )
    SELECT *, WHOLE AS whole, NANOS AS nanos FROM text;
    CREATE TEMP VIEW written AS
    SELECT term.* FROM term JOIN account ON account.number = term.account
    WHERE term.offset <= state ->> '$.offset';
    CREATE TEMP VIEW summed AS
    SELECT name, meter, unit, sum(whole) AS whole, sum(nanos) AS nanos, sum(count) AS count,
           max(offset) AS last
    FROM written GROUP BY name, meter, unit;
    CREATE TEMP VIEW told AS
    WITH text AS (
        SELECT a.name, p.value ->> 'meter' AS meter, p.value ->> 'unit' AS unit,
               p.value ->> '$.all.amount' AS amount, p.value ->> '$.all.count' AS count
        FROM account a, json_each(a.state, '$.pairs') p
    )
    SELECT *, WHOLE AS whole, NANOS AS nanos FROM text;
    CREATE TEMP VIEW counted AS
    SELECT account, happened / 86400000 AS date, meter, unit,
           sum(whole) AS whole, sum(nanos) AS nanos, sum(count) AS count
    FROM written term JOIN account ON account.number = term.account
    WHERE kind <> 'alert' AND state ->> '$.profile.time_zone' = 'UTC'
    GROUP BY account, date, meter, unit;
    CREATE TEMP VIEW kept AS
    WITH text AS (
        SELECT account, date, meter, unit, sums FROM day
        UNION ALL
        SELECT a.number, unixepoch(d.value ->> 'start') / 86400,
               p.value ->> 'meter', p.value ->> 'unit', d.value ->> 'sums'
        FROM account a, json_each(a.state, '$.pairs') p, json_each(p.value, '$.days') d
    ), utc AS (
        SELECT text.*, sums ->> '$.sum.amount' AS amount, sums ->> '$.sum.count' AS count
        FROM text JOIN account ON account.number = text.account
        WHERE state ->> '$.profile.time_zone' = 'UTC'
    )
    SELECT *, WHOLE AS whole, NANOS AS nanos FROM utc;";
const WHOLE: &str = "(iif(amount LIKE '-%', -1, 1) * CAST(ltrim(amount, '-') AS INTEGER))";
const NANOS: &str = "(iif(amount LIKE '-%', -1, 1) * iif(instr(amount, '.'),
    CAST(substr(substr(amount, instr(amount, '.') + 1) || '000000000', 1, 9) AS INTEGER), 0))";
/// Whether sums `a` and `b` are the same: they may carry differently.
const SAME: &str = "(a.count = b.count AND (a.nanos - b.nanos) % 1000000000 = 0
    AND a.whole - b.whole + (a.nanos - b.nanos) / 1000000000 = 0)";

/// Queries that must count nothing, with a name.
const WRONG: &[(&str, &str)] = &[
    (
        "sums of entries that the account does not tell",
        "SELECT count(*) FROM summed a LEFT JOIN told b USING (name, meter, unit) WHERE SAME IS NOT TRUE",
    ),
    (
        "told sums without entries",
        "SELECT count(*) FROM told a LEFT JOIN summed b USING (name, meter, unit) WHERE SAME IS NOT TRUE",
    ),
    (
        "totals that their last entry does not have",
        "SELECT count(*) FROM summed s JOIN term t ON t.name = s.name AND t.offset = s.last
         JOIN told o ON o.name = s.name AND o.meter = s.meter AND o.unit = s.unit
         WHERE o.amount IS NOT t.total",
    ),
    (
        "states that are too far behind their entries",
        "SELECT count(*) FROM (SELECT max(offset) AS last, state ->> '$.offset' AS told
                               FROM entry e JOIN account a ON a.number = e.account GROUP BY a.number)
         WHERE last - told NOT BETWEEN 0 AND ENTRIES_BEHIND",
    ),
    (
        "accounts that say otherwise than their state how far it counts",
        "SELECT count(*) FROM account WHERE written IS NOT state ->> '$.offset'",
    ),
    (
        "entries that a state counts and that have no place",
        "SELECT count(*) FROM entry e JOIN account a ON a.number = e.account
         WHERE e.offset <= written AND e.place NOT IN (SELECT place FROM entry_place)",
    ),
    (
        "entries that a start does not look at and that have no place",
        "SELECT count(*) FROM entry WHERE number <= (SELECT indexed FROM history)
                                      AND place NOT IN (SELECT place FROM entry_place)",
    ),
    (
        "places of other entries than are there",
        "SELECT count(*) FROM entry_place p LEFT JOIN entry e ON e.number = p.entry
         WHERE e.place IS NOT p.place",
    ),
    (
        "keys that are not those of the entries that have a place",
        "WITH placed AS (SELECT account, source, id, number FROM entry
                         WHERE place IN (SELECT place FROM entry_place)),
              kept AS (SELECT account, source, id, entry FROM entry_key)
         SELECT (SELECT count(*) FROM (SELECT * FROM placed EXCEPT SELECT * FROM kept))
              + (SELECT count(*) FROM (SELECT * FROM kept EXCEPT SELECT * FROM placed))",
    ),
    (
        "gaps between offsets",
        "SELECT count(*) FROM (SELECT count(*) AS held, min(offset) AS first, max(offset) AS last
                               FROM entry GROUP BY account)
         WHERE first <> 1 OR last <> held",
    ),
    (
        "days that are not kept as their entries add up",
        "SELECT count(*) FROM counted a LEFT JOIN kept b USING (account, date, meter, unit)
         WHERE SAME IS NOT TRUE",
    ),
    (
        "kept days that no entries add up to, or kept twice",
        "SELECT (SELECT count(*) FROM kept) - (SELECT count(*) FROM counted)",
    ),
    (
        "alerts that count",
        "SELECT count(*) FROM term WHERE kind = 'alert' AND (count <> 0 OR amount <> '0')",
    ),
    (
        "rows of no account",
        "SELECT (SELECT count(*) FROM entry WHERE account NOT IN (SELECT number FROM account))
              + (SELECT count(*) FROM entry_place WHERE place >> 32 NOT IN (SELECT number FROM account))
              + (SELECT count(*) FROM entry_key WHERE account NOT IN (SELECT number FROM account))
              + (SELECT count(*) FROM day WHERE account NOT IN (SELECT number FROM account))
              + (SELECT count(*) FROM erasure)",
    ),
];

pub(crate) fn reconcile(path: &Path, models: &[Model]) {
    let database = open(path);
    let sql = |text: &str| text.replace("WHOLE", WHOLE).replace("NANOS", NANOS);
    database.execute_batch(&sql(VIEWS)).unwrap();
    for (what, query) in WRONG {
        let query = query.replace("SAME", SAME);
        let query = query.replace("ENTRIES_BEHIND", &ENTRIES_BEHIND.to_string());
        let wrong = count(&database, &query);
        assert_eq!(wrong, 0, "{what}");
    }
    let entries: usize = models.iter().map(|model| model.entries.len()).sum();
    let entries = i64::try_from(entries).unwrap();
    assert_eq!(count(&database, "SELECT count(*) FROM entry"), entries);
    for (name, model) in ACCOUNTS.iter().zip(models) {
        for entry in &model.entries {
            let sql = "SELECT total FROM term WHERE name = ?1 AND meter = ?2 AND unit = ?3
                       ORDER BY offset DESC LIMIT 1";
            let (meter, unit) = &entry.pair;
            let last = database.query_row(sql, (name, meter, unit), |row| row.get::<_, String>(0));
            let told = model.entries.iter().rfind(|other| other.pair == entry.pair);
            assert_eq!(last.unwrap(), told.unwrap().total);
        }
    }
    let sound: String = database
        .query_row("PRAGMA integrity_check", (), |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
}

/// Nothing of this account is in any table.
pub(crate) fn check_erased(path: &Path, name: &str) {
    let database = open(path);
    let named = "SELECT count(*) FROM account WHERE name = ?1";
    let named: i64 = database.query_row(named, [name], |row| row.get(0)).unwrap();
    assert_eq!(named, 0, "the account is still there");
    let (what, query) = WRONG.last().unwrap();
    assert_eq!(count(&database, query), 0, "{what}");
}

fn open(path: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).unwrap()
}

fn count(database: &Connection, sql: &str) -> i64 {
    let counted = database.query_row(sql, (), |row| row.get(0));
    counted.unwrap_or_else(|error| panic!("{error}: {sql}"))
}
