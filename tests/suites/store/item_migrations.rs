//! Migrations of items between the versions of their shapes, over both databases.

use hearth_domain::{Run, RunId, UserId};
use hearth_store::{
    MigrationOptions, Store,
    database::{Condition, Item, Key, Write},
};

use crate::{on_all, world::World};

on_all! {
    items_of_version_1_are_migrated_once_and_reverted,
    items_between_two_steps_are_read,
    migration_goes_on_after_a_stop,
}

/// Stores runs as version 1 has them, with one that can't be read.
async fn add_old_runs(store: &Store, count: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut bodies = vec![(RunId::new(), "{\"damaged\":true}".to_owned())];
    for _ in 0..count {
        let mut run = Run::example(UserId::new());
        let mut body = serde_json::to_value(&run).unwrap();
        body["text"] = "so far".into();
        bodies.push((run.id, body.to_string()));
        run.text = "so far".into();
        runs.push(run);
    }
    for (id, body) in bodies {
        let key = Key::new(format!("RUN#{id}"), "META");
        let item =
            Item { key, gsi1: None, gsi2: None, ttl: Some(4_000_000_000), version: 1, body, bytes: None };
        store.database().write(Write::Put(item, Condition::Always)).await.unwrap();
    }
    runs
}

async fn version_of(store: &Store, run: &Run) -> u32 {
    let item = store.database().get(&Key::new(format!("RUN#{}", run.id), "META")).await.unwrap().unwrap();
    assert_eq!(item.ttl, Some(4_000_000_000));
    item.version
}

/// The numbers of changed, done and unreadable items of each step.
async fn migrate(store: &Store, options: MigrationOptions) -> Vec<(u64, u64, u64)> {
    let reports = store.migrate_items(options).await.unwrap();
    reports.iter().map(|report| (report.changed_count, report.done_count, report.unreadable_count)).collect()
}

async fn items_of_version_1_are_migrated_once_and_reverted(world: World) {
    let store = world.store();
    let runs = add_old_runs(&store, 3).await;
    let options = MigrationOptions::default();
    let dry_run = MigrationOptions { is_dry_run: true, ..options };
    assert_eq!(migrate(&store, dry_run).await, [(3, 0, 1), (0, 0, 0)]);
    assert_eq!(version_of(&store, &runs[0]).await, 1);
    // The second step rewrites the items of the first.
    assert_eq!(migrate(&store, options).await, [(3, 0, 1), (3, 0, 0)]);
    assert_eq!(version_of(&store, &runs[0]).await, 3);
    assert_eq!(migrate(&store, options).await, [(0, 3, 1), (0, 3, 0)]);
    assert_readable(&store, &runs).await;
    let revert = MigrationOptions { reverts: true, ..options };
    assert_eq!(migrate(&store, revert).await, [(3, 1, 0), (3, 1, 0)]);
    assert_eq!(version_of(&store, &runs[0]).await, 1);
    assert_readable(&store, &runs).await;
}

async fn assert_readable(store: &Store, runs: &[Run]) {
    for run in runs {
        assert_eq!(store.runs().get(run.id).await.unwrap().as_ref(), Some(run));
    }
}

async fn items_between_two_steps_are_read(world: World) {
    let store = world.store();
    let runs = add_old_runs(&store, 3).await;
    // The first step has changed all that it can, the second one item.
    let some = MigrationOptions { max_count: Some(4), ..MigrationOptions::default() };
    assert_eq!(migrate(&store, some).await, [(3, 0, 1), (1, 0, 0)]);
    assert_readable(&store, &runs).await;
    // A run that is stored now has the present shape.
    let run = Run::example(UserId::new());
    store.runs().begin(&run).await.unwrap();
    let item = store.database().get(&Key::new(format!("RUN#{}", run.id), "META")).await.unwrap().unwrap();
    assert_eq!((item.version, item.bytes.is_some()), (3, true));
    assert_readable(&store, &[run]).await;
}

async fn migration_goes_on_after_a_stop(world: World) {
    let store = world.store();
    add_old_runs(&store, 5).await;
    let options = MigrationOptions { max_count: Some(2), ..MigrationOptions::default() };
    let reports = store.migrate_items(options).await.unwrap();
    assert_eq!((reports.len(), reports[0].changed_count, reports[0].is_stopped), (1, 2, true));
    drop(store);
    let store = world.restart().await.store();
    assert_eq!(migrate(&store, MigrationOptions::default()).await, [(3, 2, 1), (5, 0, 0)]);
}
