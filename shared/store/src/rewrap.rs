//! Wraps the data keys of all sealed items by the current key. Any aggregate's items take part that have a field
//! `sealed`.

use serde::Deserialize;

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Key, Update, Write},
    key_wrapper::{KeyWrapper, SEALED_FIELD, Sealed},
};

/// Limit of the attempts at an item that changes meanwhile.
const ATTEMPTS_MAX_COUNT: u32 = 10;

/// The result of a pass over the table.
#[derive(Debug, Default)]
pub struct Rewrapped {
    /// Items whose data keys were wrapped again.
    pub count: u64,
    /// Items that can't be opened.
    pub locked: Vec<Key>,
}

#[derive(Deserialize)]
struct SealedItem {
    sealed: String,
}

impl Store {
    /// Wraps the data keys of all sealed items by the current key: after another key of KMS was set up. It reads the
    /// whole table, and can be repeated.
    ///
    /// # Errors
    /// If the table can't be read or written, or KMS fails.
    pub async fn rewrap_all(&self) -> Result<Rewrapped, StoreError> {
        rewrap_all(&self.table, &*self.key_wrapper).await
    }
}

/// Reads the whole table, and wraps the data keys that another key wraps by the current one. It can be repeated.
///
/// # Errors
/// If the table can't be read or written, or the service that wraps keys fails.
pub(crate) async fn rewrap_all(table: &Table, wrapper: &dyn KeyWrapper) -> Result<Rewrapped, StoreError> {
    let mut result = Rewrapped::default();
    let mut after = None;
    loop {
        let page = table.0.scan(after.as_ref()).await?;
        for item in page.items.iter().filter(|item| is_sealed(item)) {
            match rewrap(table, wrapper, item.clone()).await {
                Ok(is_changed) => result.count += u64::from(is_changed),
                Err(StoreError::Unsealable(reason)) => {
                    tracing::error!(item = item.key.sk, reason, "a secret can't be opened");
                    result.locked.push(item.key.clone());
                }
                Err(error) => return Err(error),
            }
        }
        match page.next {
            Some(next) => after = Some(next.key),
            None => return Ok(result),
        }
    }
}

/// Finds the items that can't be opened.
#[cfg(feature = "home")]
pub(crate) async fn find_locked(table: &Table, wrapper: &dyn KeyWrapper) -> Result<Rewrapped, StoreError> {
    let mut result = Rewrapped::default();
    let mut after = None;
    loop {
        let page = table.0.scan(after.as_ref()).await?;
        for item in page.items.iter().filter(|item| is_sealed(item)) {
            let is_open = match read(item) {
                Ok((sealed, _)) => sealed.open(wrapper, &sealed.context).await.is_ok(),
                Err(_) => false,
            };
            if !is_open {
                result.locked.push(item.key.clone());
            }
        }
        match page.next {
            Some(next) => after = Some(next.key),
            None => return Ok(result),
        }
    }
}

/// Wraps one item's data key again. Returns whether it had to be.
async fn rewrap(table: &Table, wrapper: &dyn KeyWrapper, mut item: Item) -> Result<bool, StoreError> {
    for _ in 0..ATTEMPTS_MAX_COUNT {
        let (sealed, before) = read(&item)?;
        let Some(rewrapped) = sealed.rewrap(wrapper).await? else { return Ok(false) };
        let set = vec![(SEALED_FIELD, String::from(rewrapped).into())];
        let update = Update { set, ..Update::default() };
        // Not over a secret that was stored meanwhile.
        let condition = Condition::AttributeEquals(SEALED_FIELD, before);
        match table.write_in_order(vec![Write::Update(item.key.clone(), update, condition)]).await {
            Err(StoreError::Conflict) => {}
            other => return other.map(|()| true),
        }
        item = match table.get_item(&item.key).await? {
            Some(item) => item,
            None => return Ok(false),
        };
    }
    Err(StoreError::Conflict)
}

fn is_sealed(item: &Item) -> bool {
    item.body.contains(&format!("\"{SEALED_FIELD}\":"))
}

/// The item's secret, and its text as it is stored.
fn read(item: &Item) -> Result<(Sealed, String), StoreError> {
    let SealedItem { sealed: text } = item.read()?;
    let sealed = Sealed::try_from(text.clone());
    Ok((sealed.map_err(|_| StoreError::Unsealable("it isn't one that was sealed".to_owned()))?, text))
}
