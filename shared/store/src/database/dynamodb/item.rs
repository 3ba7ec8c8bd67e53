//! Items as DynamoDB's attributes: keys, version, expiry, and one attribute for each field of the body.

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use serde_json::{Map, Value};

use crate::{
    StoreError,
    database::{Cursor, Index, Item, Key},
};

/// An item in the SDK's form.
pub(super) type Attributes = HashMap<String, AttributeValue>;

/// The attribute of an item's bytes.
const BYTES: &str = "body";

pub(super) fn key_attributes(key: &Key) -> Attributes {
    HashMap::from([("pk".to_owned(), text(&key.pk)), ("sk".to_owned(), text(&key.sk))])
}

/// The key that a page starts behind.
pub(super) fn cursor_attributes(index: Option<Index>, cursor: &Cursor) -> Attributes {
    let mut attributes = key_attributes(&cursor.key);
    if let Some((index, key)) = index.zip(cursor.index.as_ref()) {
        attributes.extend(index_attributes(index, key));
    }
    attributes
}

pub(super) fn read_cursor(index: Option<Index>, attributes: &Attributes) -> Option<Cursor> {
    let text = |name: String| attributes.get(&name)?.as_s().ok().cloned();
    let key = Key { pk: text("pk".to_owned())?, sk: text("sk".to_owned())? };
    let index = match index {
        None => None,
        Some(index) => {
            let name = index.name();
            Some(Key { pk: text(format!("{name}pk"))?, sk: text(format!("{name}sk"))? })
        }
    };
    Some(Cursor { key, index })
}

pub(super) fn to_attributes(item: Item) -> Result<Attributes, StoreError> {
    let fields: Map<String, Value> = item.read()?;
    let mut attributes: Attributes = serde_dynamo::to_item(fields).map_err(StoreError::unreadable)?;
    attributes.extend(key_attributes(&item.key));
    for (index, key) in [(Index::Gsi1, &item.gsi1), (Index::Gsi2, &item.gsi2)] {
        attributes.extend(key.iter().flat_map(|key| index_attributes(index, key)));
    }
    attributes.extend(item.ttl.map(|ttl| ("ttl".to_owned(), AttributeValue::N(ttl.to_string()))));
    attributes.insert("v".to_owned(), AttributeValue::N(item.version.to_string()));
    attributes.extend(item.bytes.map(|bytes| (BYTES.to_owned(), AttributeValue::B(Blob::new(bytes)))));
    Ok(attributes)
}

pub(super) fn from_attributes(mut attributes: Attributes) -> Result<Item, StoreError> {
    let key = take_key(&mut attributes, "")
        .ok_or_else(|| StoreError::Unreadable("an item without its key".to_owned()))?;
    let gsi1 = take_key(&mut attributes, Index::Gsi1.name());
    let gsi2 = take_key(&mut attributes, Index::Gsi2.name());
    let ttl = take_number(&mut attributes, "ttl");
    let version = take_number(&mut attributes, "v").and_then(|v| u32::try_from(v).ok()).unwrap_or_default();
    let bytes = match attributes.remove(BYTES) {
        Some(AttributeValue::B(bytes)) => Some(bytes.into_inner()),
        Some(other) => {
            attributes.insert(BYTES.to_owned(), other);
            None
        }
        None => None,
    };
    let fields: Map<String, Value> = serde_dynamo::from_item(attributes).map_err(StoreError::unreadable)?;
    let body = serde_json::to_string(&fields).map_err(StoreError::unreadable)?;
    Ok(Item { key, gsi1, gsi2, ttl, version, body, bytes })
}

fn index_attributes(index: Index, key: &Key) -> [(String, AttributeValue); 2] {
    let name = index.name();
    [(format!("{name}pk"), text(&key.pk)), (format!("{name}sk"), text(&key.sk))]
}

fn take_key(attributes: &mut Attributes, prefix: &str) -> Option<Key> {
    let mut text = |name: &str| match attributes.remove(&format!("{prefix}{name}"))? {
        AttributeValue::S(text) => Some(text),
        _ => None,
    };
    let (pk, sk) = (text("pk"), text("sk"));
    Some(Key { pk: pk?, sk: sk? })
}

fn take_number(attributes: &mut Attributes, name: &str) -> Option<i64> {
    match attributes.remove(name)? {
        AttributeValue::N(number) => number.parse().ok(),
        _ => None,
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}
