//! Schemas and templates, with their names, versions and labels.

use hearth_domain::{
    DefinitionId, DefinitionKind, OrganisationId, Owner, SemanticVersion, TeamId, Timestamp, UserId,
    Visibility,
};
use hearth_store::{
    Store, StoreError,
    definitions::{DefinitionRecord, DefinitionScope, DefinitionVersion},
    owned::OwnedEntry,
};
use hearth_tests::definition_record;

use crate::{on_all, world::World};

on_all! {
    name_is_unique_in_its_scope_and_moves_with_the_visibility,
    versions_are_kept_and_found_by_their_numbers,
    outdated_record_is_not_written,
    private_definition_is_in_the_index_of_its_owner_and_is_erased,
    definitions_of_an_organisation_are_erased_with_it,
    templates_that_name_a_schema_are_known_until_they_are_deleted,
}

fn record(owner: Owner, name: &str, visibility: Visibility) -> DefinitionRecord {
    DefinitionRecord { visibility, ..definition_record(owner, DefinitionKind::Schema, name) }
}

fn version(number: &str) -> DefinitionVersion {
    DefinitionVersion {
        version: number.parse().unwrap(),
        message: Some(format!("note on {number}")),
        author: "tok_1".to_owned(),
        sha256: "00".to_owned(),
        created_at: Timestamp::now(),
    }
}

fn owner() -> Owner {
    Owner { user: UserId::new(), organisation: OrganisationId::new() }
}

async fn create(store: &Store, record: &DefinitionRecord) -> Result<(), StoreError> {
    store.definitions().create(record, &version("1.0.0"), "{}").await
}

async fn name_is_unique_in_its_scope_and_moves_with_the_visibility(world: World) {
    let store = world.store();
    let owner = owner();
    let mut shared = record(owner, "receipt", Visibility::Organisation);
    create(&store, &shared).await.unwrap();
    let private = record(owner, "receipt", Visibility::Private);
    create(&store, &private).await.unwrap();
    let again = record(owner, "receipt", Visibility::Private);
    assert!(matches!(create(&store, &again).await, Err(StoreError::Conflict)));
    let named =
        async |scope| store.definitions().named(DefinitionKind::Schema, scope, "receipt").await.unwrap();
    assert_eq!(named(DefinitionScope::User(owner)).await.unwrap().id, private.id);
    let organisation = DefinitionScope::Organisation(owner.organisation);
    assert_eq!(named(organisation).await.unwrap().id, shared.id);
    // A private one can't take a name that the organisation has.
    let after = DefinitionRecord { visibility: Visibility::Organisation, ..private.clone() };
    assert!(matches!(store.definitions().update(&private, after, None).await, Err(StoreError::Conflict)));
    let team = TeamId::new();
    let after = DefinitionRecord { visibility: Visibility::Team, team: Some(team), ..shared.clone() };
    shared = store.definitions().update(&shared, after, None).await.unwrap();
    assert_eq!(named(organisation).await, None);
    assert_eq!(named(DefinitionScope::Team(owner.organisation, team)).await, Some(shared.clone()));
    // A public one is in the list of its organisation and in that of all.
    let after = DefinitionRecord { visibility: Visibility::Public, team: None, ..shared.clone() };
    shared = store.definitions().update(&shared, after, None).await.unwrap();
    let listed = async |scope| {
        let page = store.definitions().page(DefinitionKind::Schema, scope, None, 200).await.unwrap();
        page.definitions.iter().any(|record| record.id == shared.id)
    };
    assert!(listed(organisation).await && listed(DefinitionScope::Public).await);
    store.definitions().delete(&shared).await.unwrap();
    assert!(!listed(organisation).await && !listed(DefinitionScope::Public).await);
    assert_eq!(store.definitions().get(shared.id).await.unwrap(), None);
    assert_eq!(store.definitions().version(shared.id, SemanticVersion::FIRST).await.unwrap(), None);
}

async fn versions_are_kept_and_found_by_their_numbers(world: World) {
    let store = world.store();
    let mut current = record(owner(), "receipt", Visibility::Private);
    create(&store, &current).await.unwrap();
    for number in ["1.9.0", "1.10.0", "2.0.0"] {
        let (next, content) = (version(number), format!("{{\"n\": \"{number}\"}}"));
        let after = DefinitionRecord { latest: next.version, ..current.clone() };
        current = store.definitions().update(&current, after, Some((&next, &content))).await.unwrap();
    }
    let definitions = store.definitions();
    let (page, has_more) = definitions.versions(current.id, None, 2).await.unwrap();
    let numbers: Vec<String> = page.iter().map(|version| version.version.to_string()).collect();
    assert_eq!((numbers, has_more), (vec!["2.0.0".to_owned(), "1.10.0".to_owned()], true));
    let (rest, has_more) = definitions.versions(current.id, Some(page[1].version), 10).await.unwrap();
    assert_eq!((rest.len(), has_more), (2, false));
    let within = async |major, minor| {
        definitions.latest_within(current.id, major, minor).await.unwrap().map(|version| version.to_string())
    };
    assert_eq!(within(1, None).await.as_deref(), Some("1.10.0"));
    assert_eq!(within(1, Some(9)).await.as_deref(), Some("1.9.0"));
    assert_eq!(within(3, None).await, None);
    let content = definitions.content(current.id, "1.10.0".parse().unwrap()).await.unwrap();
    assert_eq!(content.as_deref(), Some("{\"n\": \"1.10.0\"}"));
    // A number is stored once.
    let after = current.clone();
    let again = definitions.update(&current, after, Some((&version("1.10.0"), "{}"))).await;
    assert!(matches!(again, Err(StoreError::Conflict)));
}

async fn outdated_record_is_not_written(world: World) {
    let store = world.store();
    let first = record(owner(), "receipt", Visibility::Private);
    create(&store, &first).await.unwrap();
    let mut after = first.clone();
    after.labels.insert("production".to_owned(), SemanticVersion::FIRST);
    let current = store.definitions().update(&first, after.clone(), None).await.unwrap();
    assert_ne!(current.revision, first.revision);
    assert!(matches!(store.definitions().update(&first, after, None).await, Err(StoreError::Conflict)));
    assert!(matches!(store.definitions().delete(&first).await, Err(StoreError::Conflict)));
    assert_eq!(store.definitions().get(first.id).await.unwrap(), Some(current));
}

async fn private_definition_is_in_the_index_of_its_owner_and_is_erased(world: World) {
    let store = world.store();
    let owner = owner();
    let (private, shared) =
        (record(owner, "a", Visibility::Private), record(owner, "b", Visibility::Organisation));
    create(&store, &private).await.unwrap();
    create(&store, &shared).await.unwrap();
    let owned = async || store.owned().page(owner.user, None, 10).await.unwrap().0;
    assert_eq!(owned().await, [OwnedEntry::Definition(private.id)]);
    let other = Owner { user: UserId::new(), ..owner };
    create(&store, &record(other, "c", Visibility::Organisation)).await.unwrap();
    let of_owner = store.definitions().of_owner(owner).await.unwrap();
    let is_own = |record: &DefinitionRecord| [private.id, shared.id].contains(&record.id);
    assert!(of_owner.len() == 2 && of_owner.iter().all(is_own), "{of_owner:?}");
    // It becomes the organisation's when it is shared, and the owner's again.
    let after = DefinitionRecord { visibility: Visibility::Private, ..shared.clone() };
    let shared = store.definitions().update(&shared, after, None).await.unwrap();
    assert_eq!(owned().await.len(), 2);
    let after = DefinitionRecord { visibility: Visibility::Organisation, ..shared.clone() };
    let shared = store.definitions().update(&shared, after, None).await.unwrap();
    assert_eq!(owned().await.len(), 1);
    for id in [private.id, shared.id] {
        store.erasures().erase_entry(OwnedEntry::Definition(id)).await.unwrap();
        store.erasures().erase_entry(OwnedEntry::Definition(id)).await.unwrap();
    }
    assert_eq!(store.definitions().get(private.id).await.unwrap(), None);
    assert_eq!(store.definitions().content(private.id, SemanticVersion::FIRST).await.unwrap(), None);
    assert_eq!(store.definitions().get(shared.id).await.unwrap(), Some(shared));
}

async fn definitions_of_an_organisation_are_erased_with_it(world: World) {
    let store = world.store();
    let (one, other) = (owner(), owner());
    let mut records = Vec::new();
    for (owner, visibility) in
        [(one, Visibility::Private), (one, Visibility::Public), (other, Visibility::Organisation)]
    {
        let record = record(owner, "receipt", visibility);
        create(&store, &record).await.unwrap();
        records.push(record);
    }
    store.definitions().erase_organisation(one.organisation).await.unwrap();
    store.definitions().erase_organisation(one.organisation).await.unwrap();
    let exists = async |at: usize| store.definitions().get(records[at].id).await.unwrap().is_some();
    assert!(!exists(0).await && !exists(1).await && exists(2).await);
    let public = store.definitions().page(DefinitionKind::Schema, DefinitionScope::Public, None, 200).await;
    assert!(public.unwrap().definitions.iter().all(|record| record.id != records[1].id));
}

async fn templates_that_name_a_schema_are_known_until_they_are_deleted(world: World) {
    let store = world.store();
    let owner = owner();
    let schema = record(owner, "receipt", Visibility::Private);
    create(&store, &schema).await.unwrap();
    let template = DefinitionRecord { id: DefinitionId::new(DefinitionKind::Template), ..schema.clone() };
    create(&store, &template).await.unwrap();
    for _ in 0..2 {
        store.definitions().note_use(schema.id, template.id).await.unwrap();
    }
    let users = async || store.definitions().users_of(schema.id, 5).await.unwrap();
    assert_eq!(users().await, std::slice::from_ref(&template));
    store.definitions().delete(&template).await.unwrap();
    assert!(users().await.is_empty());
    assert!(store.definitions().get(schema.id).await.unwrap().is_some());
}
