//! Stored keys of providers, and the seam that wraps their data keys.

use hearth_domain::{
    CredentialId, CredentialKind, CredentialOwner, OrganisationId, Secret, TeamId, Timestamp, UserId,
};
use hearth_store::{
    StoreError,
    key_wrapper::{KeyContext, Purpose},
    provider_credentials::{CredentialRecord, Verification, context},
};

use crate::{on_all, world::World};

const TEXT: &str = "sk-planted-0123456789";

async fn record(world: &World, owner: CredentialOwner, organisation: OrganisationId) -> CredentialRecord {
    let (id, now) = (CredentialId::new(), Timestamp::now());
    CredentialRecord {
        id,
        owner,
        organisation,
        created_by: UserId::new(),
        name: "mine".to_owned(),
        provider: "groq".to_owned(),
        kind: CredentialKind::ApiKey,
        vendor: None,
        base_url: None,
        hint: "…6789".to_owned(),
        sealed: world.store().seal(&context(owner, id), &Secret::new(TEXT)).await.unwrap(),
        secret_id: id,
        expires_at: None,
        lease: String::new(),
        created_at: now,
        updated_at: now,
        verified: None,
    }
}

async fn secret_is_opened_under_its_own_context_alone(world: World) {
    let store = world.store();
    let own = KeyContext::new(Purpose::Signing, "gateway", "kid-1");
    let sealed = store.seal(&own, &Secret::new(TEXT)).await.unwrap();
    assert_eq!(store.open_sealed(&own, &sealed).await.unwrap().expose(), TEXT);
    for other in [
        KeyContext::new(Purpose::ProviderCredential, "gateway", "kid-1"),
        KeyContext::new(Purpose::Signing, "gateway", "kid-2"),
        KeyContext::new(Purpose::Signing, "usr_1", "kid-1"),
    ] {
        let moved = hearth_store::key_wrapper::Sealed { context: other.clone(), ..sealed.clone() };
        let error = store.open_sealed(&other, &moved).await.unwrap_err();
        assert!(matches!(error, StoreError::Unsealable(_)), "{other:?}: {error}");
    }
}

async fn credentials_are_listed_by_owner_and_marked_by_organisation(world: World) {
    let (store, user) = (world.store(), CredentialOwner::User(UserId::new()));
    let (organisation, elsewhere) = (OrganisationId::new(), OrganisationId::new());
    let team = CredentialOwner::Team(TeamId::new());
    let credentials = store.provider_credentials();
    assert!(!credentials.has_any(organisation).await.unwrap());
    let (first, second) = (record(&world, user, organisation).await, record(&world, user, elsewhere).await);
    let third = record(&world, team, organisation).await;
    for record in [&first, &second, &third] {
        credentials.create(record).await.unwrap();
    }
    assert!(matches!(credentials.create(&first).await, Err(StoreError::Conflict)));
    assert!(credentials.has_any(organisation).await.unwrap());
    assert!(!credentials.has_any(OrganisationId::new()).await.unwrap());
    // Ids of one millisecond are in any order.
    let mut both = [first.clone(), second.clone()];
    both.sort_by_key(|record| record.id);
    assert_eq!(credentials.of(user).await.unwrap(), both);
    assert_eq!(credentials.of(team).await.unwrap(), std::slice::from_ref(&third));
    assert_eq!(credentials.of(CredentialOwner::Organisation(organisation)).await.unwrap(), []);
    assert_eq!(credentials.get(user, third.id).await.unwrap(), None, "another owner's");
    let opened = store.open_sealed(&first.context(), &first.sealed).await.unwrap();
    assert_eq!(opened.expose(), TEXT);
    assert!(store.open_sealed(&second.context(), &first.sealed).await.is_err());

    let verified = Verification { at: Timestamp::now(), is_valid: Some(true), result: "fine".to_owned() };
    credentials.set_verified(user, first.id, &verified).await.unwrap();
    assert_eq!(credentials.get(user, first.id).await.unwrap().unwrap().verified, Some(verified.clone()));
    credentials.delete(user, first.id).await.unwrap();
    assert!(matches!(credentials.set_verified(user, first.id, &verified).await, Err(StoreError::Conflict)));
    assert!(matches!(credentials.change(&first).await, Err(StoreError::Conflict)), "it is deleted");
    assert_eq!(credentials.delete_all(user).await.unwrap(), 1);
    assert_eq!(credentials.of(user).await.unwrap(), []);
}

async fn one_of_the_processes_refreshes_and_a_change_ends_its_lease(world: World) {
    let (store, user) = (world.store(), CredentialOwner::User(UserId::new()));
    let credentials = store.provider_credentials();
    let before = record(&world, user, OrganisationId::new()).await;
    credentials.create(&before).await.unwrap();
    let leases: Vec<String> = (0..8).map(|number| format!("9999999999 {number}")).collect();
    let attempts = leases.iter().map(|lease| credentials.begin_refresh(&before, lease));
    let outcomes = futures::future::join_all(attempts).await;
    let winners: Vec<&String> =
        leases.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(lease, _)| lease).collect();
    let [winner] = winners[..] else { panic!("{outcomes:?}") };
    let sealed = store.seal(&before.context(), &Secret::new("new")).await.unwrap();
    let loser = leases.iter().find(|lease| *lease != winner).unwrap();
    let refused = credentials.end_refresh(&before, loser, sealed.clone(), None).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    credentials.end_refresh(&before, winner, sealed.clone(), Some(Timestamp::from_unix(1))).await.unwrap();
    let after = credentials.get(user, before.id).await.unwrap().unwrap();
    assert_eq!((after.lease.as_str(), after.expires_at), ("", Some(Timestamp::from_unix(1))));
    assert_eq!(store.open_sealed(&after.context(), &after.sealed).await.unwrap().expose(), "new");

    // Its owner stores another key while it is refreshed: the refreshed one isn't stored over it.
    credentials.begin_refresh(&after, winner).await.unwrap();
    credentials.change(&CredentialRecord { name: "other".to_owned(), ..after.clone() }).await.unwrap();
    let late = credentials.end_refresh(&after, winner, sealed, None).await;
    assert!(matches!(late, Err(StoreError::Conflict)), "{late:?}");
    assert_eq!(credentials.get(user, before.id).await.unwrap().unwrap().name, "other");
}

on_all!(
    secret_is_opened_under_its_own_context_alone,
    credentials_are_listed_by_owner_and_marked_by_organisation,
    one_of_the_processes_refreshes_and_a_change_ends_its_lease,
);

#[tokio::test]
async fn items_are_rewrapped_by_another_key_of_kms_and_stay_readable() {
    let world = World::in_aws().await;
    let (old, user) = (world.store(), CredentialOwner::User(UserId::new()));
    let organisation = OrganisationId::new();
    let records = [record(&world, user, organisation).await, record(&world, user, organisation).await];
    for record in &records {
        old.provider_credentials().create(record).await.unwrap();
    }
    assert_eq!(old.rewrap_all().await.unwrap().count, 0);
    let new = world.with_kms_key("two");
    assert_eq!((new.rewrap_all().await.unwrap().count, new.rewrap_all().await.unwrap().count), (2, 0));
    for before in &records {
        let after = new.provider_credentials().get(user, before.id).await.unwrap().unwrap();
        assert!(after.sealed.key_id.ends_with("/two") && before.sealed.key_id.ends_with("/one"));
        // The functions still have the old key as their current one, and read what the new one wraps.
        assert_eq!(old.open_sealed(&after.context(), &after.sealed).await.unwrap().expose(), TEXT);
    }
}
