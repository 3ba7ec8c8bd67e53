//! API tokens, access keys and their last uses, over all databases.

use std::time::Duration;

use hearth_domain::{AccessKeyId, ModelLimits, OrganisationId, Owner, Scope, Timestamp, UserId};
use hearth_store::{StoreError, access_keys::AccessKeyRecord, tokens::TokenRecord};

use crate::{on_all, world::World};

on_all! {
    token_is_read_by_hash_listed_by_owner_and_revoked,
    rotated_token_is_read_by_its_old_text_until_the_grace_ends,
    second_rotation_ends_the_grace_of_the_first,
    change_of_a_token_that_has_changed_is_refused,
    access_key_is_read_by_hash_listed_and_revoked,
    last_use_is_the_latest,
}

fn owner() -> Owner {
    Owner { user: UserId::new(), organisation: OrganisationId::new() }
}

fn token(owner: Owner, hash: &str) -> TokenRecord {
    TokenRecord {
        name: "laptop".into(),
        prefix: "hth_abcd".into(),
        scopes: vec![Scope::Generate, Scope::ModelsRead],
        models: Some(ModelLimits::new(vec!["local".to_owned()])),
        expires_at: Some(Timestamp::now().plus(Duration::from_secs(60))),
        ..TokenRecord::new(hash.repeat(32), owner)
    }
}

fn in_a_minute() -> Timestamp {
    Timestamp::now().plus(Duration::from_secs(60))
}

async fn token_is_read_by_hash_listed_by_owner_and_revoked(world: World) {
    let store = world.store();
    let record = token(owner(), "ab");
    store.tokens().create(&record).await.unwrap();
    assert!(matches!(store.tokens().create(&record).await, Err(StoreError::Conflict)));
    assert_eq!(store.tokens().by_hash(&record.hash).await.unwrap(), Some(record.clone()));
    assert_eq!(store.tokens().of(record.owner).await.unwrap(), vec![record.clone()]);
    assert!(store.tokens().of(UserId::new()).await.unwrap().is_empty());
    let now = Timestamp::now();
    assert!(record.is_valid(now) && !record.is_valid(now.plus(Duration::from_secs(61))));
    store.tokens().revoke(&record, now).await.unwrap();
    let revoked = store.tokens().by_hash(&record.hash).await.unwrap().unwrap();
    assert!(!revoked.is_valid(now));
    // Its time of revocation stays.
    store.tokens().revoke(&revoked, now.plus(Duration::from_secs(5))).await.unwrap();
    assert_eq!(store.tokens().by_hash(&record.hash).await.unwrap(), Some(revoked));
}

async fn rotated_token_is_read_by_its_old_text_until_the_grace_ends(world: World) {
    let store = world.store();
    let first = TokenRecord { expires_at: None, ..token(owner(), "ab") };
    store.tokens().create(&first).await.unwrap();
    let second = TokenRecord { hash: "cd".repeat(32), ..first.clone() };
    store.tokens().rotate(&first, &second, Some(in_a_minute())).await.unwrap();
    for hash in [&first.hash, &second.hash] {
        let read = store.tokens().by_hash(hash).await.unwrap().unwrap();
        assert_eq!((read.id, &read.hash), (first.id, &second.hash));
        // The old text has an end, for those who cache the record.
        assert_eq!(read.expires_at.is_some(), hash == &first.hash);
    }
    let listed = store.tokens().of(first.owner).await.unwrap();
    assert_eq!(listed.iter().map(|token| &token.hash).collect::<Vec<_>>(), [&second.hash]);

    // A grace that is over, and none.
    let third = TokenRecord { hash: "ef".repeat(32), ..listed[0].clone() };
    let over = Timestamp::from_unix(Timestamp::now().unix() - 1);
    store.tokens().rotate(&listed[0], &third, Some(over)).await.unwrap();
    assert_eq!(store.tokens().by_hash(&second.hash).await.unwrap(), None);
    let third = store.tokens().by_hash(&third.hash).await.unwrap().unwrap();
    let fourth = TokenRecord { hash: "12".repeat(32), ..third.clone() };
    store.tokens().rotate(&third, &fourth, None).await.unwrap();
    assert_eq!(store.tokens().by_hash(&third.hash).await.unwrap(), None);

    // A revocation holds for all texts.
    let fourth = store.tokens().by_hash(&fourth.hash).await.unwrap().unwrap();
    let fifth = TokenRecord { hash: "34".repeat(32), ..fourth.clone() };
    store.tokens().rotate(&fourth, &fifth, Some(in_a_minute())).await.unwrap();
    let fifth = store.tokens().by_hash(&fifth.hash).await.unwrap().unwrap();
    store.tokens().revoke(&fifth, Timestamp::now()).await.unwrap();
    let by_old_text = store.tokens().by_hash(&fourth.hash).await.unwrap().unwrap();
    assert!(by_old_text.revoked_at.is_some());
}

async fn second_rotation_ends_the_grace_of_the_first(world: World) {
    let store = world.store();
    let first = token(owner(), "ab");
    store.tokens().create(&first).await.unwrap();
    let second = TokenRecord { hash: "cd".repeat(32), ..first.clone() };
    store.tokens().rotate(&first, &second, Some(in_a_minute())).await.unwrap();
    let second = store.tokens().by_hash(&second.hash).await.unwrap().unwrap();
    let third = TokenRecord { hash: "ef".repeat(32), ..second.clone() };
    store.tokens().rotate(&second, &third, Some(in_a_minute())).await.unwrap();
    assert_eq!(store.tokens().by_hash(&first.hash).await.unwrap(), None);
    assert!(store.tokens().by_hash(&second.hash).await.unwrap().is_some());
}

async fn change_of_a_token_that_has_changed_is_refused(world: World) {
    let store = world.store();
    let seen = token(owner(), "ab");
    store.tokens().create(&seen).await.unwrap();
    store.tokens().rename(&seen, "desk").await.unwrap();
    let is_refused = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Conflict));
    assert!(is_refused(store.tokens().rename(&seen, "other").await));
    assert!(is_refused(store.tokens().revoke(&seen, Timestamp::now()).await));
    let rotated = TokenRecord { hash: "cd".repeat(32), ..seen.clone() };
    assert!(is_refused(store.tokens().rotate(&seen, &rotated, None).await));
    assert!(is_refused(store.tokens().rotate(&seen, &rotated, Some(in_a_minute())).await));
    assert_eq!(store.tokens().by_hash(&rotated.hash).await.unwrap(), None);
    let present = store.tokens().by_hash(&seen.hash).await.unwrap().unwrap();
    assert_eq!((present.name.as_str(), present.revoked_at), ("desk", None));
    store.tokens().revoke(&present, Timestamp::now()).await.unwrap();
}

async fn access_key_is_read_by_hash_listed_and_revoked(world: World) {
    let store = world.store();
    let Owner { user, organisation } = owner();
    let record = AccessKeyRecord {
        id: AccessKeyId::new(),
        hash: "ab".repeat(32),
        owner: user,
        organisation,
        name: "kiosk".into(),
        prefix: "hak_abcd".into(),
        models: vec!["tiny".into()],
        created_at: Timestamp::now(),
        expires_at: None,
        revoked_at: None,
    };
    store.access_keys().create(&record).await.unwrap();
    assert_eq!(store.access_keys().by_hash(&record.hash).await.unwrap(), Some(record.clone()));
    assert_eq!(store.access_keys().of(user).await.unwrap(), vec![record.clone()]);
    // Tokens and keys of an owner are in one partition of the index.
    assert!(store.tokens().of(user).await.unwrap().is_empty());
    store.access_keys().revoke(&record, Timestamp::now()).await.unwrap();
    let revoked = store.access_keys().by_hash(&record.hash).await.unwrap().unwrap();
    assert!(!revoked.is_valid(Timestamp::now()));
}

async fn last_use_is_the_latest(world: World) {
    let store = world.store();
    let user = UserId::new();
    let uses = store.credential_uses();
    for second in [5, 9] {
        uses.put(user, "tok_1", Timestamp::from_unix(second)).await.unwrap();
    }
    uses.put(user, "ak_1", Timestamp::from_unix(7)).await.unwrap();
    let of_user = uses.of(user).await.unwrap();
    assert_eq!((of_user["tok_1"].unix(), of_user["ak_1"].unix(), of_user.len()), (9, 7, 2));
    uses.delete_all(user).await.unwrap();
    assert!(uses.of(user).await.unwrap().is_empty());
}
