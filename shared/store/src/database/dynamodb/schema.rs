//! Creates the table. In the cloud the template does it; this is for tests and for other implementations of DynamoDB.

use aws_sdk_dynamodb::{
    Client,
    error::BuildError,
    operation::describe_table::DescribeTableError,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
        ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
    },
};

use super::error::store_error;
use crate::{StoreError, database::Index};

/// Creates the table if it doesn't exist.
pub(super) async fn create_if_missing(client: &Client, table: &str) -> Result<(), StoreError> {
    match client.describe_table().table_name(table).send().await {
        Ok(_) => Ok(()),
        Err(error)
            if error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception) =>
        {
            create(client, table).await
        }
        Err(error) => Err(store_error("describe_table", &error)),
    }
}

async fn create(client: &Client, table: &str) -> Result<(), StoreError> {
    let mut call = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for name in ["pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk"] {
        let definition =
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        call = call.attribute_definitions(definition.build().map_err(StoreError::unreadable)?);
    }
    for element in keys("").map_err(StoreError::unreadable)? {
        call = call.key_schema(element);
    }
    for index in [Index::Gsi1, Index::Gsi2] {
        let projection = Projection::builder().projection_type(ProjectionType::All).build();
        let keys = keys(index.name()).map_err(StoreError::unreadable)?;
        let index = GlobalSecondaryIndex::builder()
            .index_name(index.name())
            .projection(projection)
            .set_key_schema(Some(keys));
        call = call.global_secondary_indexes(index.build().map_err(StoreError::unreadable)?);
    }
    call.send().await.map_err(|error| store_error("create_table", &error))?;
    let ttl = TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true).build();
    let ttl = ttl.map_err(StoreError::unreadable)?;
    let call = client.update_time_to_live().table_name(table).time_to_live_specification(ttl);
    call.send().await.map(drop).map_err(|error| store_error("update_time_to_live", &error))
}

fn keys(prefix: &str) -> Result<Vec<KeySchemaElement>, BuildError> {
    let element = |name: &str, kind| {
        KeySchemaElement::builder().attribute_name(format!("{prefix}{name}")).key_type(kind).build()
    };
    Ok(vec![element("pk", KeyType::Hash)?, element("sk", KeyType::Range)?])
}
