//! A store whose every operation fails: for programs that describe the API without serving it.

use async_trait::async_trait;
use hearth_domain::Secret;

use crate::{
    StoreError,
    bucket::{Blob, Bucket},
    database::{Database, Item, Key, Page, Query, Write},
    key_wrapper::{DataKey, KeyContext, KeyWrapper, WrappedKey},
    secrets::Secrets,
};

/// A database, bucket, secret store and key wrapper that fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unconnected;

fn refused<T>(operation: &'static str) -> Result<T, StoreError> {
    Err(StoreError::Unavailable { operation, reason: "the store isn't connected".to_owned() })
}

#[async_trait]
impl Database for Unconnected {
    async fn prepare(&self) -> Result<(), StoreError> {
        refused("prepare")
    }
    async fn get(&self, _: &Key) -> Result<Option<Item>, StoreError> {
        refused("get")
    }
    async fn write(&self, _: Write) -> Result<(), StoreError> {
        refused("write")
    }
    async fn transact(&self, _: Vec<Write>) -> Result<(), StoreError> {
        refused("transact")
    }
    async fn write_in_order(&self, _: Vec<Write>) -> Result<(), StoreError> {
        refused("write")
    }
    async fn query(&self, _: &Query) -> Result<Page, StoreError> {
        refused("query")
    }
    async fn scan(&self, _: Option<&Key>) -> Result<Page, StoreError> {
        refused("scan")
    }
    async fn check(&self) -> Result<(), StoreError> {
        refused("check")
    }
}

#[async_trait]
impl Bucket for Unconnected {
    async fn put(&self, _: &str, _: &str, _: Vec<u8>) -> Result<(), StoreError> {
        refused("put_object")
    }
    async fn get(&self, _: &str) -> Result<Option<Blob>, StoreError> {
        refused("get_object")
    }
    async fn get_range(&self, _: &str, _: u64, _: u64) -> Result<Option<Blob>, StoreError> {
        refused("get_object")
    }
    async fn size(&self, _: &str) -> Result<Option<u64>, StoreError> {
        refused("head_object")
    }
    async fn delete(&self, _: &str) -> Result<(), StoreError> {
        refused("delete_object")
    }
    async fn check(&self) -> Result<(), StoreError> {
        refused("check")
    }
}

#[async_trait]
impl Secrets for Unconnected {
    async fn get(&self, _: &str) -> Result<Option<Secret>, StoreError> {
        refused("get_secret")
    }
    async fn put(&self, _: &str, _: &Secret) -> Result<(), StoreError> {
        refused("put_secret")
    }
    async fn check(&self, _: &str) -> Result<(), StoreError> {
        refused("check_secret")
    }
}

#[async_trait]
impl KeyWrapper for Unconnected {
    async fn wrap(&self, _: &KeyContext, _: &DataKey) -> Result<WrappedKey, StoreError> {
        refused("wrap_key")
    }
    async fn unwrap(&self, _: &KeyContext, _: &WrappedKey) -> Result<DataKey, StoreError> {
        refused("unwrap_key")
    }
    async fn rewrap(&self, _: &KeyContext, _: &WrappedKey) -> Result<Option<WrappedKey>, StoreError> {
        refused("rewrap_key")
    }
}
