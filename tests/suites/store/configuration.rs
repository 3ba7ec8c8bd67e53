//! The configuration and its versions, over both databases.

use hearth_domain::{Timestamp, TokenId};
use hearth_store::{
    Store, StoreError,
    configuration::{ConfigurationVersion, VERSION_MAX_COUNT},
    database::{Condition, Item, Key, Write},
};

use crate::{on_all, world::World};

on_all! {
    version_follows_the_current_one_only,
    one_of_two_concurrent_pushes_is_stored,
    latest_versions_are_listed_newest_first,
    version_above_the_current_one_is_ignored,
    version_of_a_newer_shape_is_followed_by_a_readable_one,
}

fn version(number: u64) -> ConfigurationVersion {
    ConfigurationVersion {
        number,
        settings: format!(r#"{{"aliases":{{"a":"m{number}"}}}}"#),
        author: TokenId::new().to_string(),
        created_at: Timestamp::now(),
        message: number.is_multiple_of(2).then(|| "even".to_owned()),
        restores: None,
    }
}

async fn current(store: &Store) -> Option<ConfigurationVersion> {
    let current = store.configurations().current().await.unwrap();
    current.map(|current| current.version.unwrap())
}

async fn version_follows_the_current_one_only(world: World) {
    let store = world.store();
    assert_eq!(current(&store).await, None);
    assert!(matches!(store.configurations().push(&version(2)).await, Err(StoreError::Conflict)));
    let first = version(1);
    store.configurations().push(&first).await.unwrap();
    assert!(matches!(store.configurations().push(&version(1)).await, Err(StoreError::Conflict)));
    assert!(matches!(store.configurations().push(&version(3)).await, Err(StoreError::Conflict)));
    assert_eq!(current(&store).await, Some(first.clone()));
    let second = version(2);
    store.configurations().push(&second).await.unwrap();
    drop(store);
    let store = world.restart().await.store();
    assert_eq!(current(&store).await, Some(second));
    assert_eq!(store.configurations().version(1).await.unwrap(), Some(first));
    assert_eq!(store.configurations().version(3).await.unwrap(), None);
}

async fn one_of_two_concurrent_pushes_is_stored(world: World) {
    let store = world.store();
    for number in 1..=5 {
        let (one, other) = (version(number), version(number));
        let (store_one, store_other) = (store.configurations(), store.configurations());
        let (first, second) = tokio::join!(store_one.push(&one), store_other.push(&other));
        let stored = match (first, second) {
            (Ok(()), Err(StoreError::Conflict)) => one,
            (Err(StoreError::Conflict), Ok(())) => other,
            both => panic!("{both:?}"),
        };
        assert_eq!(current(&store).await.as_ref(), Some(&stored));
        assert_eq!(store.configurations().version(number).await.unwrap(), Some(stored));
    }
}

async fn latest_versions_are_listed_newest_first(world: World) {
    let store = world.store();
    let last = VERSION_MAX_COUNT + 3;
    for number in 1..=last {
        store.configurations().push(&version(number)).await.unwrap();
    }
    let listed: Vec<u64> =
        store.configurations().versions().await.unwrap().iter().map(|version| version.number).collect();
    assert_eq!(listed, (4..=last).rev().collect::<Vec<_>>());
    assert_eq!(store.configurations().version(3).await.unwrap(), None, "its place has another version");
}

async fn version_above_the_current_one_is_ignored(world: World) {
    let store = world.store();
    for number in 1..=2 {
        store.configurations().push(&version(number)).await.unwrap();
    }
    let current_key = Key::new("CONFIG", "META");
    let second = store.database().get(&current_key).await.unwrap().unwrap();
    store.configurations().push(&version(3)).await.unwrap();
    // As after the import of a backup that was made at version 2.
    store.database().write(Write::Put(second, Condition::Always)).await.unwrap();
    let listed = store.configurations().versions().await.unwrap();
    assert_eq!(listed.iter().map(|version| version.number).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(store.configurations().version(3).await.unwrap(), None);
    let third = version(3);
    store.configurations().push(&third).await.unwrap();
    assert_eq!(store.configurations().version(3).await.unwrap(), Some(third));
}

async fn version_of_a_newer_shape_is_followed_by_a_readable_one(world: World) {
    let store = world.store();
    store.configurations().push(&version(1)).await.unwrap();
    let newer = Item {
        key: Key::new("CONFIG", "META"),
        gsi1: None,
        gsi2: None,
        ttl: None,
        version: 9,
        body: r#"{"number":"2","rules":"of another shape"}"#.to_owned(),
        bytes: None,
    };
    store.database().write(Write::Put(newer, Condition::Always)).await.unwrap();
    let current = store.configurations().current().await.unwrap().unwrap();
    assert_eq!(current.number, 2);
    assert!(matches!(current.version, Err(StoreError::Unreadable(_))));
    assert_eq!(store.configurations().versions().await.unwrap().len(), 1);
    let third = version(3);
    store.configurations().push(&third).await.unwrap();
    assert_eq!(self::current(&store).await, Some(third));
}
