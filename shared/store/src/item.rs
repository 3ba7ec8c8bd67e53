//! Items: keys, and bodies that serde reads and writes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Serialize, de::DeserializeOwned};

use crate::StoreError;

/// An item as the SDK has it.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// The sort key of the one item that a thing without parts has.
pub(crate) const META: &str = "META";

/// An item's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    pub(crate) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    pub(crate) fn attributes(&self) -> Attributes {
        HashMap::from([("pk".to_owned(), text(&self.pk)), ("sk".to_owned(), text(&self.sk))])
    }
}

/// An item to write.
pub(crate) struct Item(pub(crate) Attributes);

impl Item {
    /// The item at `key` with the fields of `body`, in the shape `version`.
    pub(crate) fn new(key: &Key, version: u32, body: &impl Serialize) -> Result<Self, StoreError> {
        let mut attributes: Attributes = serde_dynamo::to_item(body)?;
        attributes.extend(key.attributes());
        Ok(Self(attributes).with("v", number(version)))
    }

    pub(crate) fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// Puts the item in an index too, which is `gsi1` or `gsi2`.
    pub(crate) fn indexed(self, index: &str, pk: &str, sk: &str) -> Self {
        self.with(&format!("{index}pk"), text(pk)).with(&format!("{index}sk"), text(sk))
    }
}

/// Reads an item's body; keys and versions are fields it doesn't look at.
pub(crate) fn read<T: DeserializeOwned>(attributes: Attributes) -> Result<T, StoreError> {
    Ok(serde_dynamo::from_item(attributes)?)
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl Into<i64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}
