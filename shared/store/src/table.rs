//! The one table.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use hearth_domain::Timestamp;
use serde::de::DeserializeOwned;

use crate::{
    StoreError,
    item::{Attributes, Item, Key, META, read, text},
};

/// The table, and how its items are read and written.
#[derive(Debug, Clone)]
pub struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

/// What to query.
pub(crate) struct Query<'a> {
    /// `None` is the table itself.
    pub(crate) index: Option<&'static str>,
    pub(crate) pk: String,
    pub(crate) sort: Sort<'a>,
}

/// Which sort keys of a partition.
pub(crate) enum Sort<'a> {
    All,
    Prefix(&'a str),
    /// Both included.
    Between(String, String),
}

/// A change of an item, under a condition.
pub(crate) struct Change<'a> {
    pub(crate) expression: &'a str,
    pub(crate) condition: &'a str,
    pub(crate) names: &'a [(&'a str, &'a str)],
    pub(crate) values: Vec<(&'a str, AttributeValue)>,
}

impl Table {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Reads one item, strongly consistent.
    pub(crate) async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        self.get_attributes(key).await?.map(read).transpose()
    }

    /// The same, as the SDK has it: for what isn't text or a number.
    pub(crate) async fn get_attributes(&self, key: &Key) -> Result<Option<Attributes>, StoreError> {
        let call = self.client.get_item().table_name(&self.name).set_key(Some(key.attributes()));
        let answer = call.consistent_read(true).send().await;
        Ok(answer.map_err(|error| StoreError::unavailable("get_item", &error))?.item)
    }

    /// Writes an item; `condition` is what must hold of the one that is there.
    pub(crate) async fn put(&self, item: Item, condition: Option<&str>) -> Result<(), StoreError> {
        let call = self.client.put_item().table_name(&self.name).set_item(Some(item.0));
        let answer = call.set_condition_expression(condition.map(str::to_owned)).send().await;
        answer.map(drop).map_err(|error| StoreError::unavailable("put_item", &error))
    }

    /// Deletes an item, if it is there.
    pub(crate) async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let call = self.client.delete_item().table_name(&self.name).set_key(Some(key.attributes()));
        call.send().await.map(drop).map_err(|error| StoreError::unavailable("delete_item", &error))
    }

    pub(crate) async fn change(&self, key: &Key, change: Change<'_>) -> Result<(), StoreError> {
        let mut call = self.client.update_item().table_name(&self.name).set_key(Some(key.attributes()));
        for (name, attribute) in change.names {
            call = call.expression_attribute_names(*name, *attribute);
        }
        for (name, value) in change.values {
            call = call.expression_attribute_values(name, value);
        }
        let call = call.update_expression(change.expression).condition_expression(change.condition);
        call.send().await.map(drop).map_err(|error| StoreError::unavailable("update_item", &error))
    }

    /// Reads the items of a partition in the order of their sort keys.
    pub(crate) async fn query(&self, query: &Query<'_>) -> Result<Vec<Attributes>, StoreError> {
        let (pk, sk) = match query.index {
            Some(index) => (format!("{index}pk"), format!("{index}sk")),
            None => ("pk".to_owned(), "sk".to_owned()),
        };
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let (range, values) = match &query.sort {
                Sort::All => ("", vec![]),
                Sort::Prefix(prefix) => (" AND begins_with(#sk, :from)", vec![(":from", text(*prefix))]),
                Sort::Between(from, to) => {
                    (" AND #sk BETWEEN :from AND :to", vec![(":from", text(from)), (":to", text(to))])
                }
            };
            let mut call = self
                .client
                .query()
                .table_name(&self.name)
                .set_index_name(query.index.map(str::to_owned))
                .key_condition_expression(format!("#pk = :pk{range}"))
                .expression_attribute_names("#pk", &pk)
                .expression_attribute_values(":pk", text(&query.pk))
                .set_exclusive_start_key(start);
            if query.index.is_none() {
                call = call.consistent_read(true);
            }
            if !range.is_empty() {
                call = call.expression_attribute_names("#sk", &sk);
            }
            for (name, value) in values {
                call = call.expression_attribute_values(name, value);
            }
            let answer = call.send().await.map_err(|error| StoreError::unavailable("query", &error))?;
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        let answer = self.client.describe_table().table_name(&self.name).send().await;
        answer.map(drop).map_err(|error| StoreError::unavailable("describe_table", &error))
    }

    /// Writes an item that nobody reads.
    pub(crate) async fn check_write(&self) -> Result<(), StoreError> {
        #[derive(serde::Serialize)]
        struct Probe {
            at: Timestamp,
        }
        let key = Key::new("PROBE", META);
        self.put(Item::new(&key, 1, &Probe { at: Timestamp::now() })?, None).await
    }
}
