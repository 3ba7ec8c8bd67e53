//! Logins, signing keys and the limits of attempts at signing in, over all databases.

use std::{collections::BTreeSet, time::Duration};

use hearth_domain::{LoginId, OrganisationId, Secret, Timestamp, UserId};
use hearth_store::{
    Store, StoreError,
    login_attempts::{AttemptLimit, AttemptSubject},
    logins::{LoginRecord, Rotation},
    signing_keys::{PublicKeyRecord, PublicKeySet},
};

use crate::{on_all, world::World};

on_all! {
    login_is_rotated_from_its_present_token_only,
    one_of_concurrent_rotations_succeeds,
    ended_login_is_not_rotated,
    logins_are_listed_by_user_and_deleted,
    signing_key_is_added_in_place_of_another,
    outdated_change_of_the_signing_keys_changes_nothing,
    attempts_are_counted_for_each_subject_and_forgotten,
}

fn login(user: UserId) -> LoginRecord {
    let now = Timestamp::now();
    LoginRecord {
        id: LoginId::new(),
        user,
        organisation: OrganisationId::new(),
        method: "password".to_owned(),
        client: Some("curl".to_owned()),
        address: None,
        created_at: now,
        refreshed_at: now,
        expires_at: now.plus(Duration::from_secs(3600)),
        refresh_hash: "hash 1".to_owned(),
        previous_hash: String::new(),
        nonce: String::new(),
        tag_key: "key".to_owned(),
        ended_at: None,
        end_reason: None,
    }
}

async fn created(store: &Store) -> LoginRecord {
    let login = login(UserId::new());
    store.logins().create(&login).await.unwrap();
    login
}

fn rotation(from: &str, to: &str) -> Rotation {
    let at = Timestamp::now();
    let expires_at = at.plus(Duration::from_secs(7200));
    Rotation { from_hash: from.to_owned(), to_hash: to.to_owned(), nonce: format!("to {to}"), at, expires_at }
}

fn is_conflict<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict))
}

async fn login_is_rotated_from_its_present_token_only(world: World) {
    let store = world.store();
    let login = created(&store).await;
    assert!(is_conflict(&store.logins().create(&login).await));
    let rotation = rotation("hash 1", "hash 2");
    store.logins().rotate(&login, &rotation).await.unwrap();
    let after = store.logins().get(login.id).await.unwrap().unwrap();
    let expected = LoginRecord {
        refresh_hash: "hash 2".to_owned(),
        previous_hash: "hash 1".to_owned(),
        nonce: "to hash 2".to_owned(),
        refreshed_at: rotation.at,
        expires_at: rotation.expires_at,
        ..login.clone()
    };
    assert_eq!(after, expected);
    assert!(is_conflict(&store.logins().rotate(&login, &rotation).await));
    assert_eq!(store.logins().get(login.id).await.unwrap(), Some(expected));
    assert_eq!(store.logins().get(LoginId::new()).await.unwrap(), None);
}

async fn one_of_concurrent_rotations_succeeds(world: World) {
    let store = world.store();
    let login = created(&store).await;
    let rotations: Vec<Rotation> = (0..20).map(|n| rotation("hash 1", &format!("new {n}"))).collect();
    let rotate = |rotation| {
        let (store, login) = (store.clone(), login.clone());
        async move { store.logins().rotate(&login, rotation).await }
    };
    let results = futures::future::join_all(rotations.iter().map(rotate)).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!(results.iter().filter(|result| is_conflict(result)).count(), 19, "{results:?}");
    let winner = results.iter().position(Result::is_ok).unwrap();
    let after = store.logins().get(login.id).await.unwrap().unwrap();
    assert_eq!(after.refresh_hash, rotations[winner].to_hash);
}

async fn ended_login_is_not_rotated(world: World) {
    let store = world.store();
    let login = created(&store).await;
    let at = Timestamp::now();
    assert!(login.is_valid(at));
    store.logins().end(login.id, "logout", at).await.unwrap();
    assert!(is_conflict(&store.logins().rotate(&login, &rotation("hash 1", "hash 2")).await));
    let after = store.logins().get(login.id).await.unwrap().unwrap();
    assert!(!after.is_valid(at));
    assert_eq!((after.ended_at, after.end_reason.as_deref()), (Some(at), Some("logout")));
    store.logins().end(LoginId::new(), "logout", at).await.unwrap();
}

async fn logins_are_listed_by_user_and_deleted(world: World) {
    let store = world.store();
    let (first, other) = (created(&store).await, created(&store).await);
    let second = login(first.user);
    store.logins().create(&second).await.unwrap();
    let listed = store.logins().of(first.user).await.unwrap();
    // Ids of one millisecond have no order.
    let listed: BTreeSet<LoginId> = listed.iter().map(|login| login.id).collect();
    assert_eq!(listed, BTreeSet::from([first.id, second.id]));
    store.logins().delete(first.id).await.unwrap();
    assert_eq!(store.logins().of(first.user).await.unwrap(), [second]);
    assert_eq!(store.logins().of(other.user).await.unwrap(), [other]);
}

fn public(kid: &str) -> PublicKeyRecord {
    let created_at = Timestamp::now();
    PublicKeyRecord {
        kid: kid.to_owned(),
        public_key: format!("public {kid}"),
        created_at,
        replaced_at: None,
    }
}

fn set(revision: &str, keys: &[&PublicKeyRecord]) -> PublicKeySet {
    PublicKeySet { revision: revision.to_owned(), keys: keys.iter().copied().cloned().collect() }
}

async fn signing_key_is_added_in_place_of_another(world: World) {
    let store = world.store();
    let keys = store.signing_keys();
    assert_eq!(keys.public().await.unwrap(), None);
    let (a, b) = (public("a"), public("b"));
    let (one, two) = (set("1", &[&a]), set("2", &[&a, &b]));
    keys.add(None, &one, ("a", &Secret::new("private a")), &[]).await.unwrap();
    assert_eq!(keys.public().await.unwrap(), Some(one.clone()));
    assert_eq!(keys.private("a").await.unwrap(), Some(Secret::new("private a")));
    keys.add(Some(&one), &two, ("b", &Secret::new("private b")), &["a"]).await.unwrap();
    assert_eq!(keys.public().await.unwrap(), Some(two));
    assert_eq!(keys.private("a").await.unwrap(), None);
    assert_eq!(keys.private("b").await.unwrap(), Some(Secret::new("private b")));

    drop(store);
    let world = world.restart().await;
    assert_eq!(world.store().signing_keys().private("b").await.unwrap(), Some(Secret::new("private b")));
}

async fn outdated_change_of_the_signing_keys_changes_nothing(world: World) {
    let store = world.store();
    let keys = store.signing_keys();
    let (a, b) = (public("a"), public("b"));
    let one = set("1", &[&a]);
    keys.add(None, &one, ("a", &Secret::new("private a")), &[]).await.unwrap();
    let (two, stale) = (set("2", &[&a, &b]), set("0", &[]));
    for before in [None, Some(&stale)] {
        assert!(is_conflict(&keys.add(before, &two, ("b", &Secret::new("private b")), &["a"]).await));
    }
    assert_eq!(keys.public().await.unwrap(), Some(one));
    assert_eq!(keys.private("b").await.unwrap(), None);
    assert!(keys.private("a").await.unwrap().is_some());
}

async fn attempts_are_counted_for_each_subject_and_forgotten(world: World) {
    let store = world.store();
    let attempts = store.login_attempts();
    let limit = |arrival: &str| AttemptLimit { arrival_ms: arrival.to_owned() };
    let expires = Timestamp::now().plus(Duration::from_secs(3600)).unix();
    let email = "ada@example.org";
    let subjects = [
        AttemptSubject::Strangers { email },
        AttemptSubject::Network { email, network: "203.0.113.7" },
        AttemptSubject::Network { email, network: "2001:db8::/64" },
        AttemptSubject::Strangers { email: "bob@example.org" },
        AttemptSubject::Address("203.0.113.7"),
    ];
    for (number, subject) in subjects.into_iter().enumerate() {
        assert_eq!(attempts.get(subject).await.unwrap(), None, "{subject:?}");
        attempts.put(subject, None, &limit(&number.to_string()), expires).await.unwrap();
    }
    for (number, subject) in subjects.into_iter().enumerate() {
        assert_eq!(attempts.get(subject).await.unwrap(), Some(limit(&number.to_string())), "{subject:?}");
    }
    let first = subjects[0];
    assert!(is_conflict(&attempts.put(first, None, &limit("9"), expires).await));
    assert!(is_conflict(&attempts.put(first, Some(&limit("7")), &limit("9"), expires).await));
    attempts.put(first, Some(&limit("0")), &limit("9"), expires).await.unwrap();
    attempts.reset(first, &limit("1"), expires).await.unwrap();
    // The address is one in any spelling.
    let spelled = AttemptSubject::Strangers { email: " Ada@Example.ORG" };
    assert_eq!(attempts.get(spelled).await.unwrap(), Some(limit("1")));

    attempts.forget(email).await.unwrap();
    for (subject, is_left) in subjects.into_iter().zip([false, false, false, true, true]) {
        assert_eq!(attempts.get(subject).await.unwrap().is_some(), is_left, "{subject:?}");
    }
}
