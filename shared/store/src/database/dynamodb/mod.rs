//! The table in DynamoDB, through the AWS SDK.

mod error;
mod expression;
mod item;
mod schema;

use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{Delete, Put, TransactWriteItem, Update as SdkUpdate},
};

use super::{Database, Item, Key, Page, Query, Write};
use crate::StoreError;
use error::store_error;
use expression::Expression;
use item::{cursor_attributes, from_attributes, key_attributes, read_cursor, to_attributes};

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
        let mut call = self.client.transact_write_items();
        for write in writes {
            call = call.transact_items(self.transact_item(write)?);
        }
        call.send().await.map(drop).map_err(|error| match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled))
                if cancelled
                    .cancellation_reasons()
                    .iter()
                    .any(|reason| reason.code() == Some("ConditionalCheckFailed")) =>
            {
                StoreError::Conflict
            }
            _ => store_error("transact_write_items", &error),
        })
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
