//! Organisations, members and teams, over all databases; and stores from before there were organisations.

use hearth_domain::{
    MemberRole::{self, Admin, Developer, Owner},
    Model, ModelId, NodeId, OrganisationId, Owner as OwnerOf, Run, RunId, TeamId, Timestamp, UserId,
};
use hearth_store::{
    Store, StoreError,
    database::{Condition, Item, Key, Write},
    nodes::NodeRecord,
    organisations::{MemberRecord, OrganisationRecord, TeamRecord},
};
use serde_json::{Value, json};

use crate::{on_all, world::World};

on_all! {
    organisation_is_created_once_listed_in_pages_and_deleted_with_its_members,
    outdated_change_of_an_organisation_a_member_or_a_team_is_a_conflict,
    members_are_listed_by_organisation_and_by_user,
    concurrent_departures_leave_an_owner,
    nodes_and_models_of_the_same_id_belong_to_their_organisations,
    records_from_before_organisations_belong_to_the_operators,
}

/// An organisation with one owner.
async fn founded(store: &Store) -> (OrganisationRecord, MemberRecord) {
    let organisation = OrganisationRecord::new(OrganisationId::new(), "Foundry");
    let owner = MemberRecord::new(organisation.id, UserId::new(), Owner);
    store.organisations().create(&organisation, &owner).await.unwrap();
    (organisation, owner)
}

/// A new member.
async fn joined(store: &Store, id: OrganisationId, role: MemberRole) -> MemberRecord {
    let organisation = store.organisations().get(id).await.unwrap().unwrap();
    let member = MemberRecord::new(id, UserId::new(), role);
    store.organisations().add_member(&organisation, &member).await.unwrap();
    member
}

fn is_conflict<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict))
}

async fn organisation_is_created_once_listed_in_pages_and_deleted_with_its_members(world: World) {
    let store = world.store();
    let organisations = store.organisations();
    let (first, owner) = founded(&store).await;
    assert!(is_conflict(&organisations.create(&first, &owner).await));
    let (second, _) = founded(&store).await;
    let (third, _) = founded(&store).await;

    let (page, has_more) = organisations.page(None, 2).await.unwrap();
    assert_eq!((page.len(), has_more), (2, true));
    let (rest, _) = organisations.page(Some(page[1].id), 2).await.unwrap();
    let mut listed: Vec<_> = page.into_iter().chain(rest).collect();
    let mut expected = vec![first.clone(), second, third];
    listed.sort_by_key(|one| one.id);
    expected.sort_by_key(|one| one.id);
    assert_eq!(listed, expected);

    let member = joined(&store, first.id, Developer).await;
    let team = TeamRecord::new(first.id, "platform");
    organisations.create_team(&team).await.unwrap();
    organisations.delete(&first).await.unwrap();
    assert_eq!(organisations.get(first.id).await.unwrap(), None);
    assert_eq!(organisations.members(first.id).await.unwrap(), []);
    assert_eq!(organisations.teams(first.id).await.unwrap(), []);
    assert_eq!(organisations.of_user(member.user).await.unwrap(), []);
}

async fn outdated_change_of_an_organisation_a_member_or_a_team_is_a_conflict(world: World) {
    let store = world.store();
    let organisations = store.organisations();
    let (before, owner) = founded(&store).await;
    let regions = vec!["eu-central-1".to_owned()];
    let after = OrganisationRecord { regions: regions.clone(), ..before.clone() };
    let after = organisations.change(&before, after).await.unwrap();
    assert_eq!((&after.regions, after.owners), (&regions, 1));
    let outdated = OrganisationRecord { name: "Other".to_owned(), ..before.clone() };
    assert!(is_conflict(&organisations.change(&before, outdated).await));
    assert_eq!(organisations.get(before.id).await.unwrap(), Some(after.clone()));

    let member = joined(&store, before.id, Developer).await;
    let admin = MemberRecord { role: Admin, ..member.clone() };
    let changed = organisations.change_member(&after, &member, admin.clone()).await.unwrap();
    assert_eq!(changed.role, Admin);
    assert!(is_conflict(&organisations.change_member(&after, &member, admin).await));
    assert!(is_conflict(&organisations.remove_member(&after, &member).await));
    assert!(is_conflict(&organisations.add_member(&after, &member).await));
    organisations.remove_member(&after, &changed).await.unwrap();
    assert_eq!(organisations.member(before.id, member.user).await.unwrap(), None);

    // The owners are counted with their memberships.
    let second = joined(&store, before.id, Owner).await;
    let now = organisations.get(before.id).await.unwrap().unwrap();
    assert_eq!(now.owners, 2);
    assert!(is_conflict(&organisations.remove_member(&after, &second).await), "the count is outdated");
    let demoted = MemberRecord { role: Developer, ..owner.clone() };
    organisations.change_member(&now, &owner, demoted).await.unwrap();
    assert_eq!(organisations.get(before.id).await.unwrap().unwrap().owners, 1);

    let team = TeamRecord::new(before.id, "platform");
    organisations.create_team(&team).await.unwrap();
    let renamed = TeamRecord { name: "research".to_owned(), ..team.clone() };
    let renamed = organisations.change_team(&team, renamed).await.unwrap();
    assert!(is_conflict(&organisations.change_team(&team, team.clone()).await));
    assert_eq!(organisations.teams(before.id).await.unwrap(), std::slice::from_ref(&renamed));
    organisations.delete_team(&renamed).await.unwrap();
    assert!(is_conflict(&organisations.change_team(&renamed, renamed.clone()).await), "it came back");
    assert_eq!(organisations.team(before.id, team.id).await.unwrap(), None);
}

async fn members_are_listed_by_organisation_and_by_user(world: World) {
    let store = world.store();
    let organisations = store.organisations();
    let (one, owner) = founded(&store).await;
    let (two, _) = founded(&store).await;
    let mut members = vec![owner.clone()];
    for _ in 0..4 {
        members.push(joined(&store, one.id, Developer).await);
    }
    members.sort_by_key(|member| member.user);
    assert_eq!(organisations.members(one.id).await.unwrap(), members);
    let (page, has_more) = organisations.members_page(one.id, None, 3).await.unwrap();
    assert_eq!((&page[..], has_more), (&members[..3], true));
    let (rest, _) = organisations.members_page(one.id, Some(page[2].user), 3).await.unwrap();
    assert_eq!(rest, members[3..]);

    let team = TeamId::new();
    let elsewhere = MemberRecord { teams: vec![team], ..MemberRecord::new(two.id, owner.user, Admin) };
    organisations.add_member(&two, &elsewhere).await.unwrap();
    let mut own = organisations.of_user(owner.user).await.unwrap();
    own.sort_by_key(|member| member.organisation == two.id);
    assert_eq!(own, [owner, elsewhere]);
}

/// Each of the owners departs as soon as another one is left, as the gateway does: it reads, checks, and changes.
async fn concurrent_departures_leave_an_owner(world: World) {
    const OWNERS: u32 = 6;
    let store = world.store();
    for round in 0..5 {
        let (organisation, owner) = founded(&store).await;
        let id = organisation.id;
        let mut owners = vec![owner.user];
        while owners.len() < OWNERS as usize {
            owners.push(joined(&store, id, Owner).await.user);
        }
        let departures = owners.iter().enumerate().map(|(index, user)| {
            let (store, user, demotes) = (store.clone(), *user, index % 2 == 0);
            async move { depart(&store, id, user, demotes).await }
        });
        let departed = world.concurrently(departures).await.into_iter().map(u32::from).sum::<u32>();
        let left = store.organisations().members(id).await.unwrap();
        let left = left.iter().filter(|member| member.role == Owner).count();
        let counted = store.organisations().get(id).await.unwrap().unwrap().owners;
        assert_eq!((left, counted, departed), (1, 1, OWNERS - 1), "round {round}");
    }
}

/// Removes or demotes an owner, unless they are the last. Returns whether it did.
async fn depart(store: &Store, id: OrganisationId, user: UserId, demotes: bool) -> bool {
    let organisations = store.organisations();
    loop {
        let organisation = organisations.get(id).await.unwrap().unwrap();
        let member = organisations.member(id, user).await.unwrap().unwrap();
        if organisation.owners == 1 {
            return false;
        }
        let result = if demotes {
            let after = MemberRecord { role: Developer, ..member.clone() };
            organisations.change_member(&organisation, &member, after).await.map(drop)
        } else {
            organisations.remove_member(&organisation, &member).await
        };
        match result {
            Ok(()) => return true,
            Err(StoreError::Conflict) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn nodes_and_models_of_the_same_id_belong_to_their_organisations(world: World) {
    let store = world.store();
    let (one, two) = (OrganisationId::new(), OrganisationId::new());
    let node = |organisation| NodeRecord {
        region: Some("eu-central-1".to_owned()),
        url: Some("https://node.example".to_owned()),
        ..NodeRecord::new(NodeId::new(), OwnerOf { user: UserId::new(), organisation }, "box")
    };
    let (of_one, of_two) = (node(one), node(two));
    for node in [&of_one, &of_two] {
        store.nodes().put(node).await.unwrap();
    }
    assert_eq!(store.nodes().of(one).await.unwrap(), [of_one]);
    assert_eq!(store.nodes().of(two).await.unwrap(), [of_two]);

    let model = |size_bytes| Model { size_bytes: Some(size_bytes), ..Model::example("tiny-chat") };
    for (organisation, size) in [(None, 1), (Some(one), 2), (Some(two), 3)] {
        store.models(organisation).put_discovered(&model(size)).await.unwrap();
    }
    for (organisation, size) in [(None, 1), (Some(one), 2), (Some(two), 3)] {
        let models = store.models(organisation).list(None).await.unwrap();
        assert_eq!(models.iter().map(|model| model.size_bytes).collect::<Vec<_>>(), [Some(size)]);
    }
    store.models(Some(one)).forget_discovered(&model(2)).await.unwrap();
    assert!(store.models(Some(one)).list(None).await.unwrap().is_empty());
    assert_eq!(store.models(Some(two)).list(None).await.unwrap().len(), 1);
    assert_eq!(store.models(None).list(None).await.unwrap().len(), 1);
}

/// Writes an item as a version from before there were organisations did.
async fn write(store: &Store, key: (&str, &str), gsi1: Option<(&str, &str)>, body: &Value) {
    let key = Key::new(key.0, key.1);
    let gsi1 = gsi1.map(|(pk, sk)| Key::new(pk, sk));
    let item = Item { key, gsi1, gsi2: None, ttl: None, version: 1, body: body.to_string(), bytes: None };
    store.database().write(Write::Put(item, Condition::Always)).await.unwrap();
}

async fn records_from_before_organisations_belong_to_the_operators(world: World) {
    let store = world.store();
    let operator = store.operator().await.unwrap();
    let owner = OwnerOf::of_record(operator, None);
    let (token, node, run) = ("tok_01J9ZX5V2QH8N4T6W0C3M7K1RB", NodeId::new(), Run::example(operator));
    let at = Timestamp::now().to_string();
    let (user, list) = (format!("USER#{operator}"), format!("TOK#{token}"));
    let body = json!({"id": token, "hash": "ab", "owner": operator, "name": "laptop", "prefix": "hth_abcd",
                      "scopes": ["generate", "models:read", "models:write", "tokens", "providers", "ops"],
                      "created_at": at, "expires_at": null, "revoked_at": null});
    write(&store, ("TOK#ab", "META"), Some((&user, &list)), &body).await;
    let body = json!({"id": node, "owner": operator, "name": "box", "url": "https://node.example",
                      "created_at": at});
    let (pk, nodes) = (format!("NODE#{node}"), format!("NODES#{operator}"));
    write(&store, (&pk, "META"), Some((&nodes, &node.to_string())), &body).await;
    let body = json!(Model::example("tiny-chat"));
    write(&store, ("MODEL#tiny-chat", "META"), Some(("MODALITY#text", "tiny-chat")), &body).await;
    store.runs().begin(&run).await.unwrap();
    let body = json!({"owner": operator, "said": "{\"messages\": []}", "expires": 9_999_999_999_i64});
    write(&store, (&format!("RUN#{}", run.id), "CONVERSATION"), None, &body).await;

    store.create_operators_records(operator, "Operator", "Hearth").await.unwrap();
    store.create_operators_records(operator, "Another", "Another").await.unwrap();
    let organisation = store.organisations().get(owner.organisation).await.unwrap().unwrap();
    assert_eq!((organisation.name.as_str(), organisation.owners), ("Hearth", 1));
    let member = store.organisations().member(owner.organisation, operator).await.unwrap().unwrap();
    assert_eq!(member.role, Owner);
    assert_eq!(store.users().get(operator).await.unwrap().unwrap().name, "Operator");

    let token = store.tokens().by_hash("ab").await.unwrap().unwrap();
    assert_eq!(token.organisation, owner.organisation);
    let listed = store.nodes().of(owner.organisation).await.unwrap();
    assert_eq!((listed.len(), listed[0].id, listed[0].owner()), (1, node, owner));
    let models = store.models(None).list(None).await.unwrap();
    assert_eq!(models.iter().map(|model| &model.id).collect::<Vec<_>>(), [&ModelId::new("tiny-chat")]);
    assert_eq!(store.runs().get(run.id).await.unwrap().unwrap().owner(), owner);
    assert!(store.conversations().get(run.id, owner).await.unwrap().is_some());
    assert!(store.conversations().get(RunId::new(), owner).await.unwrap().is_none());
}
