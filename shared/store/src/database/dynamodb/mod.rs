//! The table in DynamoDB, through the AWS SDK.

mod error;
mod expression;
mod item;
mod schema;

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{Delete, KeysAndAttributes, Put, TransactWriteItem, Update as SdkUpdate},
};

use super::{Database, Item, Key, Page, Query, Write};
use crate::StoreError;
use error::store_error;
use expression::Expression;
use item::{cursor_attributes, from_attributes, key_attributes, read_cursor, to_attributes};

/// Reasons of a cancelled transaction that pass by themselves.
const BUSY: [&str; 3] = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
/// The first pause before a cancelled transaction is sent again. Each next one is twice as long, up to the last.
const BUSY_RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// The last pause; all together are about two and a half seconds.
const BUSY_RETRY_MAX_INTERVAL: Duration = Duration::from_millis(1280);

/// A factor between a half and one, that differs between calls and processes.
fn jitter() -> f64 {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    0.5 + f64::from(nanos / 1000 % 1000) / 2000.0
}

/// A table of DynamoDB.
#[derive(Debug, Clone)]
pub(crate) struct DynamoDb {
    client: Client,
    table: String,
}

impl DynamoDb {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }
}

#[async_trait]
impl Database for DynamoDb {
    async fn prepare(&self) -> Result<(), StoreError> {
        schema::create_if_missing(&self.client, &self.table).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let call = self.client.get_item().table_name(&self.table).set_key(Some(key_attributes(key)));
        let answer = call.consistent_read(true).send().await;
        let item = answer.map_err(|error| store_error("get_item", &error))?.item;
        item.map(from_attributes).transpose()
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(keys.len());
        let mut open: Vec<_> = keys.iter().map(key_attributes).collect();
        let mut pause = BUSY_RETRY_INTERVAL;
        while !open.is_empty() {
            let wanted = KeysAndAttributes::builder().set_keys(Some(open));
            let wanted = wanted.build().map_err(StoreError::unreadable)?;
            let call = self.client.batch_get_item().request_items(&self.table, wanted);
            let answer = call.send().await.map_err(|error| store_error("batch_get_item", &error))?;
            let read = answer.responses.unwrap_or_default().into_values().flatten();
            for attributes in read {
                items.push(from_attributes(attributes)?);
            }
            // Keys beyond 16 MB, or beyond the table's throughput.
            let left = answer.unprocessed_keys.unwrap_or_default().into_values();
            open = left.flat_map(|keys| keys.keys).collect();
            if open.is_empty() {
                break;
            }
            if pause > BUSY_RETRY_MAX_INTERVAL {
                return Err(StoreError::unreadable("batch_get_item: the table is at its limit"));
            }
            tokio::time::sleep(pause.mul_f64(jitter())).await;
            pause *= 2;
        }
        Ok(items)
    }

    async fn write(&self, write: Write) -> Result<(), StoreError> {
        match write {
            Write::Put(item, condition) => {
                let expression = Expression::condition(&condition);
                let call = self.client.put_item().table_name(&self.table);
                let call = call
                    .set_item(Some(to_attributes(item)?))
                    .set_condition_expression(expression.condition)
                    .set_expression_attribute_names(expression.names)
                    .set_expression_attribute_values(expression.values);
                call.send().await.map(drop).map_err(|error| store_error("put_item", &error))
            }
            Write::Update(key, update, condition) => {
                let expression = Expression::update(&update, &condition)?;
                let call = self.client.update_item().table_name(&self.table);
                let call = call
                    .set_key(Some(key_attributes(&key)))
                    .set_update_expression(expression.update)
                    .set_condition_expression(expression.condition)
                    .set_expression_attribute_names(expression.names)
                    .set_expression_attribute_values(expression.values);
                call.send().await.map(drop).map_err(|error| store_error("update_item", &error))
            }
            Write::Delete(key, condition) => {
                let expression = Expression::condition(&condition);
                let call = self.client.delete_item().table_name(&self.table);
                let call = call
                    .set_key(Some(key_attributes(&key)))
                    .set_condition_expression(expression.condition)
                    .set_expression_attribute_names(expression.names)
                    .set_expression_attribute_values(expression.values);
                call.send().await.map(drop).map_err(|error| store_error("delete_item", &error))
            }
        }
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let items = writes.into_iter().map(|write| self.transact_item(write));
        let items: Vec<_> = items.collect::<Result<_, _>>()?;
        let mut pause = BUSY_RETRY_INTERVAL;
        loop {
            let call = self.client.transact_write_items().set_transact_items(Some(items.clone()));
            let Err(error) = call.send().await else { return Ok(()) };
            match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let reasons = cancelled.cancellation_reasons().iter();
                    let codes: Vec<_> = reasons.filter_map(|reason| reason.code()).collect();
                    if codes.contains(&"ConditionalCheckFailed") {
                        return Err(StoreError::Conflict);
                    }
                    // Another transaction has one of the items, or the partition is at its limit: the SDK doesn't retry these.
                    let is_busy = codes.iter().any(|code| BUSY.contains(code));
                    if !is_busy || pause > BUSY_RETRY_MAX_INTERVAL {
                        return Err(store_error("transact_write_items", &error));
                    }
                }
                _ => return Err(store_error("transact_write_items", &error)),
            }
            // The pauses of processes that have collided differ.
            tokio::time::sleep(pause.mul_f64(jitter())).await;
            pause *= 2;
        }
    }

    /// Sends a request for each write: a transaction would cost twice as much.
    async fn write_in_order(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        for write in writes {
            self.write(write).await?;
        }
        Ok(())
    }

    async fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let expression = Expression::query(query);
        let call = self.client.query().table_name(&self.table);
        let call = call
            .set_index_name(query.index.map(|index| index.name().to_owned()))
            .set_key_condition_expression(expression.condition)
            .set_expression_attribute_names(expression.names)
            .set_expression_attribute_values(expression.values)
            .set_exclusive_start_key(query.after.as_ref().map(|after| cursor_attributes(query.index, after)))
            .set_limit(query.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
            .set_scan_index_forward(query.descending.then_some(false))
            .set_consistent_read(query.index.is_none().then_some(true));
        let answer = call.send().await.map_err(|error| store_error("query", &error))?;
        let items = answer.items.unwrap_or_default().into_iter().map(from_attributes);
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next: answer.last_evaluated_key.and_then(|key| read_cursor(query.index, &key)),
        })
    }

    async fn scan(&self, after: Option<&Key>) -> Result<Page, StoreError> {
        let call = self.client.scan().table_name(&self.table).consistent_read(true);
        let call = call.set_exclusive_start_key(after.map(key_attributes));
        let answer = call.send().await.map_err(|error| store_error("scan", &error))?;
        let items = answer.items.unwrap_or_default().into_iter().map(from_attributes);
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next: answer.last_evaluated_key.and_then(|key| read_cursor(None, &key)),
        })
    }

    async fn check(&self) -> Result<(), StoreError> {
        let answer = self.client.describe_table().table_name(&self.table).send().await;
        answer.map(drop).map_err(|error| store_error("describe_table", &error))
    }
}

impl DynamoDb {
    /// Converts a write to an item of a transaction.
    fn transact_item(&self, write: Write) -> Result<TransactWriteItem, StoreError> {
        let part = TransactWriteItem::builder();
        Ok(match write {
            Write::Put(item, condition) => {
                let expression = Expression::condition(&condition);
                let put = Put::builder()
                    .table_name(&self.table)
                    .set_item(Some(to_attributes(item)?))
                    .set_condition_expression(expression.condition)
                    .set_expression_attribute_names(expression.names)
                    .set_expression_attribute_values(expression.values);
                part.put(put.build().map_err(StoreError::unreadable)?)
            }
            Write::Update(key, update, condition) => {
                let expression = Expression::update(&update, &condition)?;
                let update = SdkUpdate::builder()
                    .table_name(&self.table)
                    .set_key(Some(key_attributes(&key)))
                    .set_update_expression(expression.update)
                    .set_condition_expression(expression.condition)
                    .set_expression_attribute_names(expression.names)
                    .set_expression_attribute_values(expression.values);
                part.update(update.build().map_err(StoreError::unreadable)?)
            }
            Write::Delete(key, condition) => {
                let expression = Expression::condition(&condition);
                let delete = Delete::builder()
                    .table_name(&self.table)
                    .set_key(Some(key_attributes(&key)))
                    .set_condition_expression(expression.condition)
                    .set_expression_attribute_names(expression.names)
                    .set_expression_attribute_values(expression.values);
                part.delete(delete.build().map_err(StoreError::unreadable)?)
            }
        }
        .build())
    }
}
