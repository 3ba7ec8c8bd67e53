//! Executes a write within the writer's transaction.

use rusqlite::{Connection, OptionalExtension as _, Result, params, types::Value};
use serde_json::Map;

use crate::database::{Condition, Index, Item, Key, Update, Write};

/// Executes a write if its condition holds. Returns whether it did.
pub(super) fn write(connection: &Connection, write: &Write) -> Result<bool> {
    match write {
        Write::Put(item, Condition::Absent) => insert(connection, item),
        Write::Put(item, condition) => {
            let held = holds(connection, &item.key, condition)?;
            if held {
                put(connection, item)?;
            }
            Ok(held)
        }
        Write::Update(key, update, condition) => {
            Ok(holds(connection, key, condition)? && change(connection, key, update)?)
        }
        Write::Delete(key, condition) => {
            let held = holds(connection, key, condition)?;
            if held {
                let mut statement =
                    connection.prepare_cached("DELETE FROM items WHERE pk = ?1 AND sk = ?2")?;
                statement.execute(params![key.pk, key.sk])?;
            }
            Ok(held)
        }
    }
}

/// Deletes items that have expired at `now` (seconds since 1970), `limit` at most. Returns their number.
pub(super) fn delete_expired(connection: &Connection, now: i64, limit: usize) -> Result<usize> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM items WHERE rowid IN (SELECT rowid FROM items WHERE ttl <= ?1 ORDER BY ttl LIMIT ?2)",
    )?;
    statement.execute(params![now, i64::try_from(limit).unwrap_or(i64::MAX)])
}

const INSERT: &str = "INSERT INTO items (pk, sk, gsi1pk, gsi1sk, gsi2pk, gsi2sk, ttl, v, body, bytes) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (pk, sk) DO NOTHING";
const UPSERT: &str = "INSERT INTO items (pk, sk, gsi1pk, gsi1sk, gsi2pk, gsi2sk, ttl, v, body, bytes) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (pk, sk) DO UPDATE SET \
                      gsi1pk = excluded.gsi1pk, gsi1sk = excluded.gsi1sk, gsi2pk = excluded.gsi2pk, \
                      gsi2sk = excluded.gsi2sk, ttl = excluded.ttl, v = excluded.v, body = excluded.body, \
                      bytes = excluded.bytes";

fn insert(connection: &Connection, item: &Item) -> Result<bool> {
    Ok(store(connection, INSERT, item)? == 1)
}

fn put(connection: &Connection, item: &Item) -> Result<()> {
    store(connection, UPSERT, item).map(drop)
}

fn store(connection: &Connection, sql: &str, item: &Item) -> Result<usize> {
    let (gsi1pk, gsi1sk) = columns(item.gsi1.as_ref());
    let (gsi2pk, gsi2sk) = columns(item.gsi2.as_ref());
    let Item { key, ttl, version, body, bytes, .. } = item;
    let values = params![key.pk, key.sk, gsi1pk, gsi1sk, gsi2pk, gsi2sk, ttl, version, body, bytes];
    connection.prepare_cached(sql)?.execute(values)
}

fn columns(key: Option<&Key>) -> (Option<&str>, Option<&str>) {
    (key.map(|key| &*key.pk), key.map(|key| &*key.sk))
}

/// Changes an item. Returns whether it exists.
fn change(connection: &Connection, key: &Key, update: &Update) -> Result<bool> {
    let mut select = connection.prepare_cached("SELECT body FROM items WHERE pk = ?1 AND sk = ?2")?;
    let body: Option<String> = select.query_row(params![key.pk, key.sk], |row| row.get(0)).optional()?;
    let Some(body) = body else { return Ok(false) };
    let invalid = |error: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
    let mut body: Map<String, serde_json::Value> = serde_json::from_str(&body).map_err(invalid)?;
    for name in &update.remove {
        body.shift_remove(*name);
    }
    body.extend(update.set.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let body = serde_json::to_string(&body).map_err(invalid)?;
    let stays = |index| !update.leave.contains(&index);
    let mut statement = connection.prepare_cached(
        "UPDATE items SET body = ?3, gsi1pk = iif(?4, gsi1pk, NULL), gsi1sk = iif(?4, gsi1sk, NULL), \
         gsi2pk = iif(?5, gsi2pk, NULL), gsi2sk = iif(?5, gsi2sk, NULL) WHERE pk = ?1 AND sk = ?2",
    )?;
    statement.execute(params![key.pk, key.sk, body, stays(Index::Gsi1), stays(Index::Gsi2)])?;
    Ok(true)
}

/// Returns whether a condition holds for the item at `key`.
fn holds(connection: &Connection, key: &Key, condition: &Condition) -> Result<bool> {
    // A row has one value, the field. Without a row there is no item.
    let field = |sql: &str, name: &str| {
        let path = format!("$.\"{name}\"");
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_row(params![key.pk, key.sk, path], |row| row.get::<_, Value>(0)).optional()
    };
    let text = |name: &str| -> Result<Option<String>> {
        let value = field("SELECT json_extract(body, ?3) FROM items WHERE pk = ?1 AND sk = ?2", name)?;
        Ok(match value {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        })
    };
    Ok(match condition {
        Condition::Always => true,
        Condition::Absent => version(connection, key)?.is_none(),
        Condition::Exists => version(connection, key)?.is_some(),
        Condition::VersionEquals(wanted) => version(connection, key)? == Some(*wanted),
        Condition::AttributeEquals(name, wanted) => text(name)?.as_ref() == Some(wanted),
        Condition::AttributeIn(name, wanted) => text(name)?.is_some_and(|text| wanted.contains(&&*text)),
        Condition::AttributeAbsent(name) => {
            // `json_type` is NULL for a missing field, and the text "null" for a null.
            let kind = field("SELECT json_type(body, ?3) FROM items WHERE pk = ?1 AND sk = ?2", name)?;
            kind.is_none_or(|kind| kind == Value::Null)
        }
    })
}

fn version(connection: &Connection, key: &Key) -> Result<Option<u32>> {
    let mut statement = connection.prepare_cached("SELECT v FROM items WHERE pk = ?1 AND sk = ?2")?;
    statement.query_row(params![key.pk, key.sk], |row| row.get(0)).optional()
}
