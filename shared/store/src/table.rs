//! The table, as the aggregates use it.

use std::sync::Arc;

use hearth_domain::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    StoreError,
    database::{Condition, Database, GET_MANY_MAX_COUNT, Item, Key, META, Page, Query, Update, Write},
};

/// The table, in SQLite or DynamoDB. Clones share it.
#[derive(Debug, Clone)]
pub struct Table(pub(crate) Arc<dyn Database>);

impl Table {
    /// Reads an item's fields. The read is strongly consistent.
    pub(crate) async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        self.get_item(key).await?.as_ref().map(Item::read).transpose()
    }

    /// Reads one item. The read is strongly consistent.
    pub(crate) async fn get_item(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        self.0.get(key).await
    }

    /// Reads items, a hundred at a time and in any order; keys without an item are left out. The reads are eventually consistent.
    pub(crate) async fn get_items(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(keys.len());
        for keys in keys.chunks(GET_MANY_MAX_COUNT) {
            items.extend(self.0.get_many(keys).await?);
        }
        Ok(items)
    }

    /// Writes an item.
    pub(crate) async fn put(&self, item: Item, condition: Condition) -> Result<(), StoreError> {
        self.0.write(Write::Put(item, condition)).await
    }

    /// Changes an item, which must exist.
    pub(crate) async fn update(&self, key: Key, update: Update) -> Result<(), StoreError> {
        self.0.write(Write::Update(key, update, Condition::Exists)).await
    }

    /// Deletes an item, if it is there.
    pub(crate) async fn delete(&self, key: Key) -> Result<(), StoreError> {
        self.0.write(Write::Delete(key, Condition::Always)).await
    }

    /// Executes writes one after the other, up to the first that fails.
    pub(crate) async fn write_in_order(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.0.write_in_order(writes).await
    }

    /// The same, of writes that nothing waits for.
    pub(crate) async fn write_deferred(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.0.write_deferred(writes).await
    }

    /// Executes all of the writes, each to another item, or none of them.
    pub(crate) async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.0.transact(writes).await
    }

    /// Reads one page.
    pub(crate) async fn page(&self, query: &Query) -> Result<Page, StoreError> {
        self.0.query(query).await
    }

    /// Reads every page.
    pub(crate) async fn query(&self, mut query: Query) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        loop {
            let page = self.page(&query).await?;
            items.extend(page.items);
            if page.next.is_none() {
                return Ok(items);
            }
            query.after = page.next;
        }
    }

    /// Checks that the table can be reached; with `writes`, by writing an item that nothing reads.
    pub(crate) async fn check(&self, writes: bool) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Probe {
            at: Timestamp,
        }
        if !writes {
            return self.0.check().await;
        }
        let probe = Probe { at: Timestamp::now() };
        self.put(Item::new(Key::new("PROBE", META), 1, &probe)?, Condition::Always).await
    }
}
