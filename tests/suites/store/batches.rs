//! Batches, their revisions and their parts, over all databases.

use std::time::Duration;

use hearth_domain::{BatchDialect, BatchEndpoint, BatchState, FileId, OrganisationId, Owner, UserId};
use hearth_store::{
    Store, StoreError,
    batches::{BatchRecord, PendingRequest},
    owned::OwnedEntry,
};

use crate::{on_all, world::World};

on_all! {
    change_of_an_outdated_batch_is_refused,
    batches_are_listed_by_dialect_in_both_orders,
    removed_batch_leaves_neither_parts_nor_an_entry,
}

const DAY: Duration = Duration::from_secs(86_400);

fn owner() -> Owner {
    Owner { user: UserId::new(), organisation: OrganisationId::new() }
}

async fn created(store: &Store, owner: Owner, dialect: BatchDialect) -> BatchRecord {
    let batch = BatchRecord::new(owner, dialect, BatchEndpoint::Messages, (FileId::new(), 7), DAY);
    store.batches().create(&batch).await.unwrap();
    batch
}

async fn change_of_an_outdated_batch_is_refused(world: World) {
    let store = world.store();
    let batch = created(&store, owner(), BatchDialect::OpenAi).await;
    assert!(matches!(store.batches().create(&batch).await, Err(StoreError::Conflict)));
    let mut first = store.batches().get(batch.id).await.unwrap().unwrap();
    let mut second = first.clone();
    assert_eq!(first.record, batch);
    first.record.position.pending = vec![PendingRequest { line: 3, offset: 9, length: 4, deaths: 1 }];
    first.record.state = BatchState::InProgress;
    assert!(store.batches().replace(&mut first).await.unwrap());
    second.record.state = BatchState::Failed;
    assert!(!store.batches().replace(&mut second).await.unwrap());
    assert!(store.batches().replace(&mut first).await.unwrap(), "it has the new revision");
    assert_eq!(store.batches().get(batch.id).await.unwrap().unwrap(), first);
    store.batches().remove(&batch).await.unwrap();
    assert!(!store.batches().replace(&mut first).await.unwrap(), "it is deleted");
}

async fn batches_are_listed_by_dialect_in_both_orders(world: World) {
    let (store, owner) = (world.store(), owner());
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(created(&store, owner, BatchDialect::OpenAi).await.id);
        created(&store, owner, BatchDialect::Anthropic).await;
    }
    created(&store, Owner { organisation: OrganisationId::new(), ..owner }, BatchDialect::OpenAi).await;
    for newest_first in [false, true] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.batches().page(owner, BatchDialect::OpenAi, newest_first, after, 2).await;
            let (page, has_more) = page.unwrap();
            after = page.last().map(|batch| batch.id);
            listed.extend(page.into_iter().map(|batch| batch.id));
            if !has_more {
                break;
            }
        }
        // Ids of one millisecond have any order.
        let mut expected = ids.clone();
        expected.sort();
        if newest_first {
            expected.reverse();
        }
        assert_eq!(listed, expected);
    }
}

async fn removed_batch_leaves_neither_parts_nor_an_entry(world: World) {
    let (store, owner) = (world.store(), owner());
    let batch = created(&store, owner, BatchDialect::OpenAi).await;
    let entries = store.owned().page(owner.user, None, 10).await.unwrap().0;
    assert_eq!(entries, [OwnedEntry::Batch(batch.id)], "an erasure finds the batch");
    let mut batch = store.batches().get(batch.id).await.unwrap().unwrap();
    let id = batch.record.id;
    for part in ["output-00000-a", "output-00001-b", "errors-00000-c"] {
        store.batches().put_part(id, part, part.into()).await.unwrap();
    }
    batch.record.output.sealed = vec!["output-00000-a".to_owned()];
    batch.record.output.tail = Some("output-00001-b".to_owned());
    batch.record.errors.tail = Some("errors-00000-c".to_owned());
    assert!(store.batches().replace(&mut batch).await.unwrap());
    let part = store.batches().part(id, "output-00001-b").await.unwrap().collect().await.unwrap();
    assert_eq!(part, b"output-00001-b");
    store.batches().remove(&batch.record).await.unwrap();
    for part in batch.record.parts() {
        assert!(matches!(store.batches().part(id, part).await, Err(StoreError::Gone(_))), "{part}");
    }
    assert_eq!(store.batches().get(id).await.unwrap(), None);
    assert!(store.owned().page(owner.user, None, 10).await.unwrap().0.is_empty());
}
