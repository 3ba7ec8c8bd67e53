//! Reads the file of an earlier version: a SQLite table for each table of DynamoDB, whose rows have an item as DynamoDB's
//! JSON (dynoxide 3).

use std::{collections::BTreeMap, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;
use serde_json::{Number, Value};

use crate::{
    StoreError,
    database::{Item, Key, sqlite::failed},
};

/// Items in a chunk.
const CHUNK_MAX_COUNT: usize = 500;
/// The table of items, and the table of the objects' files.
const TABLE: &str = "hearth";
const OBJECTS: &str = "embedded-objects";

/// The old database, opened for reading.
pub(super) struct Legacy(Connection);

/// An object and the name of its file.
pub(super) struct Object {
    pub(super) key: String,
    pub(super) file: String,
}

/// An object's entry, as it was stored.
#[derive(Deserialize)]
struct Entry {
    blob: String,
}

/// A value in DynamoDB's JSON.
#[derive(Deserialize)]
enum Attribute {
    S(String),
    N(String),
    B(String),
    #[serde(rename = "BOOL")]
    Bool(bool),
    #[serde(rename = "NULL")]
    Null(#[expect(dead_code, reason = "it is always true")] bool),
    M(BTreeMap<String, Attribute>),
    L(Vec<Attribute>),
}

type Attributes = BTreeMap<String, Attribute>;

impl Legacy {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(path, flags).map(Self).map_err(|error| failed("migrate", error))
    }

    /// Reads the objects.
    pub(super) fn objects(&self) -> Result<Vec<Object>, StoreError> {
        let mut objects = Vec::new();
        self.each(OBJECTS, |mut attributes| {
            let (Some(key), Some(entry)) = (text(&mut attributes, "sk"), text(&mut attributes, "entry"))
            else {
                return Ok(());
            };
            let entry: Entry = serde_json::from_str(&entry).map_err(StoreError::unreadable)?;
            // The file's name alone, never a path.
            let file = entry.blob.rsplit('/').next().unwrap_or_default().to_owned();
            objects.push(Object { key, file });
            Ok(())
        })?;
        Ok(objects)
    }

    /// Passes all items to `take`, in chunks.
    pub(super) fn items(
        &self,
        mut take: impl FnMut(&[Item]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut chunk = Vec::with_capacity(CHUNK_MAX_COUNT);
        self.each(TABLE, |attributes| {
            chunk.push(item(attributes)?);
            if chunk.len() == CHUNK_MAX_COUNT {
                take(&chunk)?;
                chunk.clear();
            }
            Ok(())
        })?;
        take(&chunk)
    }

    /// Passes each item of a table to `take`; none if there is no such table.
    fn each(
        &self,
        table: &str,
        mut take: impl FnMut(Attributes) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let failed = |error| failed("migrate", error);
        let is_there = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)";
        if !self.0.query_row(is_there, [table], |row| row.get::<_, bool>(0)).map_err(failed)? {
            return Ok(());
        }
        let select = format!("SELECT item_json FROM \"{table}\"");
        let mut statement = self.0.prepare(&select).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let json: String = row.get(0).map_err(failed)?;
            take(serde_json::from_str(&json).map_err(StoreError::unreadable)?)?;
        }
        Ok(())
    }
}

/// Converts an item. The index of runs by owner is left out: nothing reads it.
fn item(mut attributes: Attributes) -> Result<Item, StoreError> {
    let mut key = |pk, sk| Some(Key { pk: text(&mut attributes, pk)?, sk: text(&mut attributes, sk)? });
    let (own, gsi1, gsi2) = (key("pk", "sk"), key("gsi1pk", "gsi1sk"), key("gsi2pk", "gsi2sk"));
    let key = own.ok_or_else(|| StoreError::Unreadable("an item without its key".to_owned()))?;
    let gsi1 = gsi1.filter(|_| !key.pk.starts_with("RUN#"));
    let ttl = number(&mut attributes, "ttl");
    let version = number(&mut attributes, "v").and_then(|v| u32::try_from(v).ok()).unwrap_or_default();
    let bytes = match attributes.remove("body") {
        Some(Attribute::B(bytes)) => Some(BASE64_STANDARD.decode(bytes).map_err(StoreError::unreadable)?),
        _ => None,
    };
    let body = serde_json::to_string(&plain(Attribute::M(attributes))?).map_err(StoreError::unreadable)?;
    Ok(Item { key, gsi1, gsi2, ttl, version, body, bytes })
}

fn text(attributes: &mut Attributes, name: &str) -> Option<String> {
    match attributes.remove(name)? {
        Attribute::S(text) => Some(text),
        _ => None,
    }
}

fn number(attributes: &mut Attributes, name: &str) -> Option<i64> {
    match attributes.remove(name)? {
        Attribute::N(number) => number.parse().ok(),
        _ => None,
    }
}

/// Converts a value to plain JSON.
fn plain(attribute: Attribute) -> Result<Value, StoreError> {
    Ok(match attribute {
        Attribute::S(text) | Attribute::B(text) => Value::String(text),
        Attribute::N(number) => Value::Number(number.parse::<Number>().map_err(StoreError::unreadable)?),
        Attribute::Bool(value) => Value::Bool(value),
        Attribute::Null(_) => Value::Null,
        Attribute::L(list) => Value::Array(list.into_iter().map(plain).collect::<Result<_, _>>()?),
        Attribute::M(fields) => {
            let fields = fields.into_iter().map(|(name, value)| Ok((name, plain(value)?)));
            Value::Object(fields.collect::<Result<_, StoreError>>()?)
        }
    })
}
