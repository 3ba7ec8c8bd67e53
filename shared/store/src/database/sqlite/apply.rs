//! Executes a write within the writer's transaction.

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Result, params, types::Value};
use serde_json::{Map, Value as Json};

use crate::database::{Condition, Created, Index, Item, Key, Update, Write};

/// Executes writes, with the statements that most of them use.
pub(super) struct Executor<'c> {
    connection: &'c Connection,
    insert: CachedStatement<'c>,
    upsert: CachedStatement<'c>,
}

impl<'c> Executor<'c> {
    /// Prepares the statements.
    pub(super) fn new(connection: &'c Connection) -> Result<Self> {
        let (insert, upsert) = (connection.prepare_cached(INSERT)?, connection.prepare_cached(UPSERT)?);
        Ok(Self { connection, insert, upsert })
    }

    /// Executes a write if its condition holds. Returns whether it did.
    pub(super) fn write(&mut self, write: &Write) -> Result<bool> {
        let connection = self.connection;
        match write {
            Write::Put(item, Condition::Absent) => insert(&mut self.insert, item),
            Write::Put(item, condition) => {
                let held = holds(connection, &item.key, condition)?;
                if held {
                    store(&mut self.upsert, item)?;
                }
                Ok(held)
            }
            Write::Update(key, update, condition) => {
                Ok(holds(connection, key, condition)? && self.change(key, update)?)
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

fn insert(statement: &mut CachedStatement<'_>, item: &Item) -> Result<bool> {
    Ok(store(statement, item)? == 1)
}

fn store(statement: &mut CachedStatement<'_>, item: &Item) -> Result<usize> {
    let (gsi1pk, gsi1sk) = columns(item.gsi1.as_ref());
    let (gsi2pk, gsi2sk) = columns(item.gsi2.as_ref());
    let Item { key, ttl, version, body, bytes, .. } = item;
    statement.execute(params![key.pk, key.sk, gsi1pk, gsi1sk, gsi2pk, gsi2sk, ttl, version, body, bytes])
}

fn columns(key: Option<&Key>) -> (Option<&str>, Option<&str>) {
    (key.map(|key| &*key.pk), key.map(|key| &*key.sk))
}

impl Executor<'_> {
    /// Changes an item, or creates it. Returns whether it exists.
    fn change(&mut self, key: &Key, update: &Update) -> Result<bool> {
        let connection = self.connection;
        let mut select = connection.prepare_cached("SELECT body FROM items WHERE pk = ?1 AND sk = ?2")?;
        let stored: Option<String> =
            select.query_row(params![key.pk, key.sk], |row| row.get(0)).optional()?;
        let Some(body) = stored.as_deref().or_else(|| update.create.map(|_| "{}")) else { return Ok(false) };
        let invalid = |error: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
        let mut body: Map<String, Json> = serde_json::from_str(body).map_err(invalid)?;
        for name in &update.remove {
            body.shift_remove(*name);
        }
        body.extend(update.set.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        for (name, number) in &update.add {
            let sum = sum(body.get(*name), *number).ok_or_else(|| {
                rusqlite::Error::ToSqlConversionFailure(format!("the field {name} can't be added to").into())
            })?;
            body.insert((*name).to_owned(), sum);
        }
        let body = serde_json::to_string(&body).map_err(invalid)?;
        if stored.is_none() {
            let Created { version, ttl } = update.create.unwrap_or(Created { version: 0, ttl: None });
            let item = Item { key: key.clone(), gsi1: None, gsi2: None, ttl, version, body, bytes: None };
            return insert(&mut self.insert, &item);
        }
        let stays = |index| !update.leave.contains(&index);
        let (version, ttl) =
            (update.create.map(|created| created.version), update.create.and_then(|created| created.ttl));
        let mut statement = connection.prepare_cached(
            "UPDATE items SET body = ?3, gsi1pk = iif(?4, gsi1pk, NULL), gsi1sk = iif(?4, gsi1sk, NULL), \
             gsi2pk = iif(?5, gsi2pk, NULL), gsi2sk = iif(?5, gsi2sk, NULL), v = ifnull(?6, v), ttl = ifnull(?7, ttl) \
             WHERE pk = ?1 AND sk = ?2",
        )?;
        let (gsi1, gsi2) = (stays(Index::Gsi1), stays(Index::Gsi2));
        statement.execute(params![key.pk, key.sk, body, gsi1, gsi2, version, ttl])?;
        Ok(true)
    }
}

/// The sum of a field and a number; none if the field isn't a number, or the sum is out of range.
fn sum(field: Option<&Json>, number: i64) -> Option<Json> {
    match field {
        None => Some(number.into()),
        Some(Json::Number(field)) => match field.as_i64() {
            Some(field) => field.checked_add(number).map(Json::from),
            #[expect(clippy::cast_precision_loss, reason = "a fraction is stored as a float already")]
            None => field.as_f64().map(|field| Json::from(field + number as f64)),
        },
        Some(_) => None,
    }
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
        Condition::NumberAtMost(name, most) => {
            // `json_extract` is 1 for true.
            match field("SELECT json_type(body, ?3) FROM items WHERE pk = ?1 AND sk = ?2", name)? {
                None | Some(Value::Null) => true,
                Some(Value::Text(kind)) if kind == "integer" || kind == "real" => {
                    match field("SELECT json_extract(body, ?3) FROM items WHERE pk = ?1 AND sk = ?2", name)? {
                        Some(Value::Integer(number)) => number <= *most,
                        #[expect(
                            clippy::cast_precision_loss,
                            reason = "a fraction is stored as a float already"
                        )]
                        Some(Value::Real(number)) => number <= *most as f64,
                        _ => false,
                    }
                }
                Some(_) => false,
            }
        }
        Condition::All(conditions) => {
            for condition in conditions {
                if !holds(connection, key, condition)? {
                    return Ok(false);
                }
            }
            true
        }
    })
}

fn version(connection: &Connection, key: &Key) -> Result<Option<u32>> {
    let mut statement = connection.prepare_cached("SELECT v FROM items WHERE pk = ?1 AND sk = ?2")?;
    statement.query_row(params![key.pk, key.sk], |row| row.get(0)).optional()
}
