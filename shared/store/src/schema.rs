//! The table itself, made at home on first start; in the cloud the template makes it.

use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    item::{Item, Key, META},
};

/// The table's version. It goes up with a change that old code can't work with.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Schema {
    version: u32,
}

/// Makes what is missing, and checks the version.
pub(crate) async fn migrate(table: &Table) -> Result<(), StoreError> {
    if !exists(table).await? {
        create(table).await?;
    }
    let key = Key::new("SCHEMA", META);
    match table.get::<Schema>(&key).await? {
        None => table.put(Item::new(&key, 1, &Schema { version: VERSION })?, None).await,
        Some(schema) if schema.version > VERSION => {
            Err(StoreError::Newer { found: schema.version, known: VERSION })
        }
        Some(_) => Ok(()),
    }
}

async fn exists(table: &Table) -> Result<bool, StoreError> {
    match table.client.describe_table().table_name(&table.name).send().await {
        Ok(_) => Ok(true),
        Err(error)
            if error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception) =>
        {
            Ok(false)
        }
        Err(error) => Err(StoreError::unavailable("describe_table", &error)),
    }
}

async fn create(table: &Table) -> Result<(), StoreError> {
    let invalid = |error: aws_sdk_dynamodb::error::BuildError| StoreError::Unreadable(error.to_string());
    let mut call =
        table.client.create_table().table_name(&table.name).billing_mode(BillingMode::PayPerRequest);
    for name in ["pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk"] {
        let definition =
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        call = call.attribute_definitions(definition.build().map_err(invalid)?);
    }
    for element in keys("pk", "sk").map_err(invalid)? {
        call = call.key_schema(element);
    }
    for index in ["gsi1", "gsi2"] {
        let projection = Projection::builder().projection_type(ProjectionType::All).build();
        let keys = keys(&format!("{index}pk"), &format!("{index}sk")).map_err(invalid)?;
        let index = GlobalSecondaryIndex::builder()
            .index_name(index)
            .projection(projection)
            .set_key_schema(Some(keys));
        call = call.global_secondary_indexes(index.build().map_err(invalid)?);
    }
    call.send().await.map_err(|error| StoreError::unavailable("create_table", &error))?;
    let ttl =
        TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true).build().map_err(invalid)?;
    let call = table.client.update_time_to_live().table_name(&table.name).time_to_live_specification(ttl);
    call.send().await.map(drop).map_err(|error| StoreError::unavailable("update_time_to_live", &error))
}

fn keys(hash: &str, range: &str) -> Result<Vec<KeySchemaElement>, aws_sdk_dynamodb::error::BuildError> {
    let element = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    Ok(vec![element(hash, KeyType::Hash)?, element(range, KeyType::Range)?])
}
