//! Identities at providers, their admissions, and used ID tokens, over all databases.

use std::time::Duration;

use hearth_domain::{MemberRole, Timestamp, UserId};
use hearth_store::{StoreError, identities::IdentityRecord, organisations::MemberRecord, users::UserRecord};
use hearth_tests::operators_organisation;

use crate::{on_all, world::World};

on_all! {
    subject_gets_one_user_of_twenty,
    admission_stays_when_the_membership_is_removed,
    admission_that_claims_ended_is_given_again,
    identities_of_a_user_are_listed_and_deleted,
    token_is_used_once,
}

fn identity(issuer: &str, subject: &str) -> (IdentityRecord, UserRecord) {
    let user = UserRecord::new(UserId::new(), "Ada");
    let identity = IdentityRecord {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        user: user.id,
        email: None,
        created_at: Timestamp::now(),
    };
    (identity, user)
}

async fn subject_gets_one_user_of_twenty(world: World) {
    let store = world.store();
    let all: Vec<_> = (0..20).map(|_| identity("https://i.example", "ada")).collect();
    let identities = store.identities();
    let created =
        world.concurrently(all.iter().map(|(identity, user)| identities.create(identity, user))).await;
    let winners: Vec<usize> = (0..20).filter(|&at| created[at].is_ok()).collect();
    let [winner] = winners[..] else { panic!("{} users have one subject", winners.len()) };
    let stored = identities.get("https://i.example", "ada").await.unwrap().unwrap();
    assert_eq!(stored.user, all[winner].1.id);
    for (at, (_, user)) in all.iter().enumerate() {
        assert_eq!(store.users().get(user.id).await.unwrap().is_some(), at == winner, "{at}");
    }
    // The border between issuer and subject counts.
    assert!(identities.get("https://i.examplea", "da").await.unwrap().is_none());
}

async fn admission_stays_when_the_membership_is_removed(world: World) {
    let store = world.store();
    let organisation = operators_organisation(&store).await;
    let organisation = store.organisations().get(organisation).await.unwrap().unwrap();
    let (identity, user) = identity("https://i.example", "ada");
    let identities = store.identities();
    identities.create(&identity, &user).await.unwrap();
    assert!(!identities.is_admitted(&identity, organisation.id).await.unwrap());
    let member = MemberRecord::new(organisation.id, user.id, MemberRole::Viewer);
    identities.admit(&identity, &organisation, Some(&member)).await.unwrap();
    assert!(identities.is_admitted(&identity, organisation.id).await.unwrap());
    store.organisations().remove_member(&organisation, &member).await.unwrap();
    assert!(identities.is_admitted(&identity, organisation.id).await.unwrap());
    let again = identities.admit(&identity, &organisation, Some(&member)).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    assert!(store.organisations().member(organisation.id, user.id).await.unwrap().is_none());
}

async fn admission_that_claims_ended_is_given_again(world: World) {
    let store = world.store();
    let organisation = operators_organisation(&store).await;
    let organisation = store.organisations().get(organisation).await.unwrap().unwrap();
    let (identity, user) = identity("https://i.example", "ada");
    let identities = store.identities();
    identities.create(&identity, &user).await.unwrap();
    let member = MemberRecord::new(organisation.id, user.id, MemberRole::Viewer);
    identities.admit(&identity, &organisation, Some(&member)).await.unwrap();
    identities.end_admission(&identity, &organisation, &member).await.unwrap();
    assert!(!identities.is_admitted(&identity, organisation.id).await.unwrap());
    assert!(store.organisations().member(organisation.id, user.id).await.unwrap().is_none());
    let again = identities.end_admission(&identity, &organisation, &member).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    let member = MemberRecord::new(organisation.id, user.id, MemberRole::Developer);
    identities.admit(&identity, &organisation, Some(&member)).await.unwrap();
    assert!(identities.is_admitted(&identity, organisation.id).await.unwrap());
}

async fn identities_of_a_user_are_listed_and_deleted(world: World) {
    let store = world.store();
    let organisation = operators_organisation(&store).await;
    let organisation = store.organisations().get(organisation).await.unwrap().unwrap();
    let (identity, user) = identity("https://i.example", "ada");
    let identities = store.identities();
    identities.create(&identity, &user).await.unwrap();
    identities.admit(&identity, &organisation, None).await.unwrap();
    assert_eq!(identities.of(user.id).await.unwrap(), std::slice::from_ref(&identity));
    assert!(identities.of(UserId::new()).await.unwrap().is_empty());
    identities.delete_of(user.id).await.unwrap();
    assert!(identities.get("https://i.example", "ada").await.unwrap().is_none());
    assert!(!identities.is_admitted(&identity, organisation.id).await.unwrap());
    assert!(identities.of(user.id).await.unwrap().is_empty());
}

async fn token_is_used_once(world: World) {
    let store = world.store();
    let expires_at = Timestamp::now().plus(Duration::from_secs(60));
    store.identities().use_token("a", expires_at).await.unwrap();
    let again = store.identities().use_token("a", expires_at).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    store.identities().use_token("b", expires_at).await.unwrap();
}
