//! Explicit entries of models, and the versions of schemas, over both databases.

use hearth_domain::{OrganisationId, Timestamp, UserId};
use hearth_store::{
    StoreError,
    registry::{RegistryEntry, SchemaVersion},
};
use hearth_wire::native::registry::ModelRegistration;
use serde_json::json;

use crate::{on_all, world::World};

on_all! {
    entry_is_replaced_under_its_revision_only,
    versions_of_a_schema_remain_and_follow_each_other,
    registries_of_organisations_are_apart,
}

fn entry(id: &str, revision: &str) -> RegistryEntry {
    RegistryEntry {
        registration: ModelRegistration {
            id: id.to_owned(),
            target: Some("tiny-chat".to_owned()),
            ..ModelRegistration::default()
        },
        file_model: None,
        card: None,
        revision: revision.to_owned(),
        author: "someone".to_owned(),
        created_at: Timestamp::now(),
        updated_at: Timestamp::now(),
    }
}

fn version(model: &str, number: u32) -> SchemaVersion {
    SchemaVersion {
        model: model.to_owned(),
        number: number.to_string(),
        schema: Some(json!({"properties": {"max_tokens": {"maximum": number}}})),
        guidance: Vec::new(),
        author: "someone".to_owned(),
        message: None,
        created_at: Timestamp::now(),
    }
}

fn organisation() -> OrganisationId {
    OrganisationId::of_operator(UserId::new())
}

async fn entry_is_replaced_under_its_revision_only(world: World) {
    let (store, organisation) = (world.store(), organisation());
    let registry = store.registry(organisation);
    let first = entry("team/a", "1");
    assert!(matches!(registry.replace(&first, "0").await, Err(StoreError::Conflict)));
    registry.insert(&first).await.unwrap();
    assert!(matches!(registry.insert(&first).await, Err(StoreError::Conflict)));
    let second = entry("team/a", "2");
    assert!(matches!(registry.replace(&second, "0").await, Err(StoreError::Conflict)));
    registry.replace(&second, "1").await.unwrap();
    assert!(matches!(registry.replace(&second, "1").await, Err(StoreError::Conflict)));
    drop(store);
    let store = world.restart().await.store();
    let registry = store.registry(organisation);
    assert_eq!(registry.entry("team/a").await.unwrap(), Some(second.clone()));
    assert_eq!(registry.content().await.unwrap().entries, [second]);
    registry.delete("team/a").await.unwrap();
    assert!(matches!(registry.delete("team/a").await, Err(StoreError::Conflict)));
    assert_eq!(registry.content().await.unwrap().entries, []);
}

async fn versions_of_a_schema_remain_and_follow_each_other(world: World) {
    let (store, organisation) = (world.store(), organisation());
    let registry = store.registry(organisation);
    assert!(matches!(registry.push_schema(&version("a", 2)).await, Err(StoreError::Conflict)));
    let versions: Vec<SchemaVersion> = (1..=12).map(|number| version("a", number)).collect();
    for version in &versions {
        registry.push_schema(version).await.unwrap();
        assert!(matches!(registry.push_schema(version).await, Err(StoreError::Conflict)));
    }
    registry.push_schema(&version("ab", 1)).await.unwrap();
    assert_eq!(registry.schema_version("a", 3).await.unwrap().as_ref(), versions.get(2));
    assert_eq!(registry.schema_version("a", 13).await.unwrap(), None);
    let newest_first: Vec<SchemaVersion> = versions.iter().rev().cloned().collect();
    assert_eq!(registry.latest_schemas("a", 50).await.unwrap(), newest_first);
    assert_eq!(registry.latest_schemas("a", 5).await.unwrap(), newest_first[..5]);
    assert_eq!(registry.current_schema("a").await.unwrap().as_ref(), versions.last());
    let current = registry.content().await.unwrap().schemas;
    assert_eq!(current.iter().find(|schema| schema.model == "a"), versions.last());
    assert_eq!(current.len(), 2);
    let (one, other) = (version("a", 13), version("a", 13));
    let (first, second) = tokio::join!(registry.push_schema(&one), registry.push_schema(&other));
    assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1);
}

async fn registries_of_organisations_are_apart(world: World) {
    let store = world.store();
    let (one, other) = (organisation(), organisation());
    store.registry(one).insert(&entry("a", "1")).await.unwrap();
    store.registry(one).push_schema(&version("a", 1)).await.unwrap();
    assert_eq!(
        store.registry(other).content().await.unwrap(),
        hearth_store::registry::RegistryContent::default()
    );
    assert_eq!(store.registry(other).entry("a").await.unwrap(), None);
    assert_eq!(store.registry(other).schema_version("a", 1).await.unwrap(), None);
    store.registry(other).insert(&entry("a", "1")).await.unwrap();
    store.registry(one).push_schema(&version("a", 2)).await.unwrap();
    store.registry(one).erase().await.unwrap();
    store.registry(one).erase().await.unwrap();
    assert_eq!(
        store.registry(one).content().await.unwrap(),
        hearth_store::registry::RegistryContent::default()
    );
    assert_eq!(store.registry(one).latest_schemas("a", 50).await.unwrap(), []);
    assert!(store.registry(other).entry("a").await.unwrap().is_some());
}
