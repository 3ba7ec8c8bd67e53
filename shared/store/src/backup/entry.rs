//! The lines of an export: `{"sha256":"<of the entry's text>","entry":{...}}`.

use std::io::{self, BufRead, Read as _, Write};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hearth_domain::{Timestamp, hex};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{BackupError, Counts};
use crate::{
    StoreError,
    database::{Item, Key},
};

const BEFORE_SUM: &str = "{\"sha256\":\"";
const SUM_LEN: usize = 64;
const BEFORE_ENTRY: &str = "\",\"entry\":";
const BEHIND_ENTRY: &str = "}";
/// An item of the table has 400 KB at most in DynamoDB; JSON and base64 may double it. Items at home may be larger.
const LINE_MAX_BYTES: u64 = 64 << 20;

/// An entry of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// The first one.
    Header(Header),
    /// The beginning of an object. Its pieces and its end follow.
    Object(ObjectHead),
    /// Bytes of the object, in base64.
    Piece(String),
    /// The end of the object.
    ObjectEnd(ObjectEnd),
    /// An item. Its objects come before it.
    Item(Box<ItemEntry>),
    /// A secret.
    Secret(SecretEntry),
    /// The last one.
    End(Counts),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The version of the format.
    pub(super) format: u32,
    /// The version of the items.
    pub(super) schema: u32,
    /// An id of this export.
    pub(super) id: String,
    pub(super) created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ObjectHead {
    pub(super) key: String,
    pub(super) media_type: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ObjectEnd {
    pub(super) size_bytes: u64,
    pub(super) sha256: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ItemEntry {
    pk: String,
    sk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi1: Option<[String; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gsi2: Option<[String; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
    v: u32,
    /// The fields, sorted by name: the databases keep them in different orders.
    body: Value,
    /// The bytes, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
}

/// A secret, under its role rather than its name, which differs between stacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SecretEntry {
    pub(super) role: SecretRole,
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SecretRole {
    /// The secret that the gateway's keys are derived from.
    Gateway,
    /// The providers' keys.
    ProviderKeys,
}

impl ItemEntry {
    pub(super) fn new(item: &Item) -> Result<Self, StoreError> {
        let index = |key: &Option<Key>| key.as_ref().map(|key| [key.pk.clone(), key.sk.clone()]);
        Ok(Self {
            pk: item.key.pk.clone(),
            sk: item.key.sk.clone(),
            gsi1: index(&item.gsi1),
            gsi2: index(&item.gsi2),
            ttl: item.ttl,
            v: item.version,
            body: sorted(item.read()?),
            bytes: item.bytes.as_ref().map(|bytes| BASE64_STANDARD.encode(bytes)),
        })
    }

    /// Returns whether it is the item at `key`.
    pub(super) fn is_at(&self, key: &Key) -> bool {
        self.pk == key.pk && self.sk == key.sk
    }

    /// The item; `None` if its bytes are no base64.
    pub(super) fn into_item(self) -> Option<Item> {
        let index = |key: Option<[String; 2]>| key.map(|[pk, sk]| Key { pk, sk });
        let bytes = self.bytes.map(|bytes| BASE64_STANDARD.decode(bytes)).transpose().ok()?;
        Some(Item {
            key: Key { pk: self.pk, sk: self.sk },
            gsi1: index(self.gsi1),
            gsi2: index(self.gsi2),
            ttl: self.ttl,
            version: self.v,
            body: self.body.to_string(),
            bytes,
        })
    }
}

/// The value with the fields of each object in the order of their names.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(
                fields.into_iter().map(|(name, value)| (name, sorted(value))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// Writes an entry as a line.
pub(super) fn write(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let text = serde_json::to_string(entry)?;
    let sum = hex(Sha256::digest(text.as_bytes()));
    writeln!(out, "{BEFORE_SUM}{sum}{BEFORE_ENTRY}{text}{BEHIND_ENTRY}")
}

/// Reads the entries of an export, and checks each line.
pub(super) struct Entries<R> {
    input: R,
    /// The number of the last line.
    pub(super) line: u64,
}

impl<R: BufRead> Entries<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: 0 }
    }

    /// Reads the next entry.
    ///
    /// # Errors
    /// `Empty` or `Unfinished` at the end of the file; `NotAnExport` if its first line has another form; `Damaged` if the
    /// line has another checksum or isn't an entry.
    pub(super) fn next(&mut self) -> Result<Entry, BackupError> {
        let mut line = String::new();
        let read = (&mut self.input).take(LINE_MAX_BYTES).read_line(&mut line);
        let count = read.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData if self.line == 0 => BackupError::NotAnExport,
            io::ErrorKind::InvalidData => self.damaged("isn't UTF-8"),
            _ => error.into(),
        })?;
        if count == 0 && self.line == 0 {
            return Err(BackupError::Empty);
        }
        if count == 0 {
            return Err(BackupError::Unfinished(self.line));
        }
        if self.line == 0 && !line.starts_with(BEFORE_SUM) {
            return Err(BackupError::NotAnExport);
        }
        self.line += 1;
        let Some(line) = line.strip_suffix('\n') else { return Err(BackupError::Unfinished(self.line)) };
        let entry = checked(line).ok_or_else(|| self.damaged("is damaged"))?;
        // A newer version may have other entries: the header, which comes first, says so.
        serde_json::from_str(entry).map_err(|_| self.damaged("isn't an entry that this version reads"))
    }

    pub(super) fn damaged(&self, problem: &'static str) -> BackupError {
        BackupError::Damaged { line: self.line, problem }
    }
}

/// The text of a line's entry, if its checksum is right.
fn checked(line: &str) -> Option<&str> {
    let (sum, rest) = line.strip_prefix(BEFORE_SUM)?.split_at_checked(SUM_LEN)?;
    let entry = rest.strip_prefix(BEFORE_ENTRY)?.strip_suffix(BEHIND_ENTRY)?;
    (hex(Sha256::digest(entry.as_bytes())) == sum).then_some(entry)
}
