//! Users, invitations, codes, consents, the index of what a user owns, and erasures, over all databases.

use std::time::Duration;

use hearth_domain::{
    Artifact, ArtifactId, ErasureId, InviteId, MemberRole, Owner, RevisionId, RunId, RunState, Timestamp,
    UserId,
};
use hearth_store::{
    Store, StoreError,
    artifacts::ArtifactRecord,
    consents::ConsentRecord,
    conversations::Conversation,
    erasures::{ErasureCounts, ErasureRecord},
    invites::InviteRecord,
    one_time_codes::{CodePurpose, OneTimeCodeRecord},
    organisations::MemberRecord,
    owned::OwnedEntry,
    users::UserRecord,
};
use hearth_tests::operators_organisation;

use crate::{aggregates::run, on_all, world::World};

on_all! {
    one_address_is_registered_by_one_of_fifty,
    changed_address_is_free_for_others,
    concurrent_changes_of_a_user_are_all_applied,
    users_are_listed_in_pages,
    one_invitation_is_accepted_by_one_of_twenty,
    expired_and_deleted_invitations_are_gone,
    invitation_ends_at_its_last_conflict,
    code_is_redeemed_once_and_for_its_purpose,
    consents_are_appended,
    runs_artifacts_and_conversations_are_in_the_index_of_their_owner,
    erased_run_leaves_no_item_and_no_object,
    progress_of_an_erasure_is_counted_once,
    deleted_user_frees_the_address,
}

fn user(email: &str) -> UserRecord {
    UserRecord { email: Some(email.to_owned()), ..UserRecord::new(UserId::new(), "Ada") }
}

async fn one_address_is_registered_by_one_of_fifty(world: World) {
    let store = world.store();
    let spellings = ["ada@example.org", "Ada@Example.org", " ADA@EXAMPLE.ORG "];
    let users: Vec<UserRecord> = (0..50).map(|number| user(spellings[number % 3])).collect();
    let creations = users.iter().map(|user| {
        let store = store.clone();
        async move { store.users().create(user).await }
    });
    let created = world.concurrently(creations).await;
    let winners: Vec<usize> = (0..50).filter(|&index| created[index].is_ok()).collect();
    let [winner] = winners[..] else { panic!("{} users have one address", winners.len()) };
    for (index, result) in created.iter().enumerate() {
        assert!(index == winner || matches!(result, Err(StoreError::Conflict)), "{index}: {result:?}");
        let stored = store.users().get(users[index].id).await.unwrap();
        assert_eq!(stored.is_some(), index == winner, "{index}");
    }
    for spelling in spellings {
        let owner = store.users().by_address(spelling).await.unwrap().unwrap();
        assert_eq!(owner.id, users[winner].id);
    }
}

async fn changed_address_is_free_for_others(world: World) {
    let store = world.store();
    let (ada, bob) = (user("ada@example.org"), user("bob@example.org"));
    store.users().create(&ada).await.unwrap();
    store.users().create(&bob).await.unwrap();
    let rename = |to: &'static str| {
        move |user: &mut UserRecord| {
            user.email = Some(to.to_owned());
            true
        }
    };
    let taken = store.users().change(ada.id, rename("BOB@example.org")).await;
    assert!(matches!(taken, Err(StoreError::Conflict)), "{taken:?}");
    let changed = store.users().change(ada.id, rename("ada@example.net")).await.unwrap().unwrap();
    assert_eq!(changed.email.as_deref(), Some("ada@example.net"));
    assert_eq!(store.users().id_of_address("ada@example.org").await.unwrap(), None);
    assert_eq!(store.users().id_of_address("ada@example.net").await.unwrap(), Some(ada.id));
    // Another spelling of the same address is no change of its owner.
    store.users().change(ada.id, rename("Ada@example.net")).await.unwrap();
    assert_eq!(store.users().id_of_address("ada@example.net").await.unwrap(), Some(ada.id));
    store.users().change(bob.id, rename("ada@example.org")).await.unwrap();
    assert_eq!(store.users().change(UserId::new(), rename("x@y")).await.unwrap(), None);
}

async fn concurrent_changes_of_a_user_are_all_applied(world: World) {
    let store = world.store();
    let ada = user("ada@example.org");
    store.users().create(&ada).await.unwrap();
    let changes = (0..8).map(|_| {
        let store = store.clone();
        async move {
            let append = |user: &mut UserRecord| {
                user.name.push('!');
                true
            };
            store.users().change(ada.id, append).await
        }
    });
    for changed in world.concurrently(changes).await {
        changed.unwrap();
    }
    assert_eq!(store.users().get(ada.id).await.unwrap().unwrap().name, "Ada!!!!!!!!");
}

async fn users_are_listed_in_pages(world: World) {
    let store = world.store();
    let mut ids = Vec::new();
    for number in 0..5 {
        let user = user(&format!("{number}@example.org"));
        store.users().create(&user).await.unwrap();
        ids.push(user.id);
    }
    ids.sort_unstable();
    let (first, more) = store.users().page(None, 3).await.unwrap();
    assert!(more);
    let (rest, _) = store.users().page(Some(first[2].id), 3).await.unwrap();
    let listed: Vec<UserId> = first.iter().chain(&rest).map(|user| user.id).collect();
    assert_eq!(listed, ids);
}

async fn invite(store: &Store, expires_in: Duration) -> InviteRecord {
    let organisation = operators_organisation(store).await;
    let created_at = Timestamp::now();
    let invite = InviteRecord {
        id: InviteId::new(),
        hash: InviteId::new().to_string(),
        organisation,
        role: MemberRole::Developer,
        teams: Vec::new(),
        email: None,
        invited_by: UserId::new(),
        created_at,
        expires_at: created_at.plus(expires_in),
        conflicts: 0,
    };
    store.invites().create(&invite).await.unwrap();
    invite
}

async fn one_invitation_is_accepted_by_one_of_twenty(world: World) {
    let store = world.store();
    let invite = invite(&store, Duration::from_secs(60)).await;
    let organisation = store.organisations().get(invite.organisation).await.unwrap().unwrap();
    let users: Vec<UserRecord> = (0..20).map(|number| user(&format!("{number}@example.org"))).collect();
    let acceptances = users.iter().map(|user| {
        let (store, invite, organisation) = (store.clone(), &invite, &organisation);
        async move {
            let member = MemberRecord::new(invite.organisation, user.id, invite.role);
            store.invites().accept(invite, organisation, &member, Some(user)).await
        }
    });
    let accepted = world.concurrently(acceptances).await;
    assert_eq!(accepted.iter().filter(|result| result.is_ok()).count(), 1, "{accepted:?}");
    for (user, result) in users.iter().zip(&accepted) {
        assert!(result.is_ok() || matches!(result, Err(StoreError::Conflict)), "{result:?}");
        let member = store.organisations().member(invite.organisation, user.id).await.unwrap();
        let stored = store.users().get(user.id).await.unwrap();
        assert_eq!((member.is_some(), stored.is_some()), (result.is_ok(), result.is_ok()));
    }
    assert_eq!(store.invites().by_hash(&invite.hash).await.unwrap(), None);
}

async fn expired_and_deleted_invitations_are_gone(world: World) {
    let store = world.store();
    let expired = invite(&store, Duration::ZERO).await;
    let deleted = invite(&store, Duration::from_secs(60)).await;
    let open = invite(&store, Duration::from_secs(60)).await;
    assert!(store.invites().delete(&deleted).await.unwrap());
    assert!(!store.invites().delete(&deleted).await.unwrap());
    for gone in [&expired, &deleted] {
        assert_eq!(store.invites().by_hash(&gone.hash).await.unwrap(), None);
    }
    assert_eq!(store.invites().of(open.organisation).await.unwrap(), std::slice::from_ref(&open));
    assert_eq!(store.invites().by_hash(&open.hash).await.unwrap(), Some(open));
}

async fn invitation_ends_at_its_last_conflict(world: World) {
    let store = world.store();
    let invite = invite(&store, Duration::from_secs(60)).await;
    let counts = (0..3).map(|_| {
        let (store, invite) = (store.clone(), &invite);
        async move { store.invites().count_conflict(invite, 4).await }
    });
    let results = world.concurrently(counts).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let counted = store.invites().by_hash(&invite.hash).await.unwrap().unwrap();
    assert_eq!(counted.conflicts, 3);
    store.invites().count_conflict(&counted, 4).await.unwrap();
    assert_eq!(store.invites().by_hash(&invite.hash).await.unwrap(), None);
}

async fn code_is_redeemed_once_and_for_its_purpose(world: World) {
    let store = world.store();
    let ada = user("ada@example.org");
    store.users().create(&ada).await.unwrap();
    let created_at = Timestamp::now();
    let expires_at = created_at.plus(Duration::from_secs(60));
    let purpose = CodePurpose::PasswordReset;
    let code =
        OneTimeCodeRecord { hash: "h".into(), purpose, user: ada.id, maker: None, created_at, expires_at };
    store.one_time_codes().create(&code).await.unwrap();
    let expired = OneTimeCodeRecord { hash: "e".into(), expires_at: created_at, ..code.clone() };
    store.one_time_codes().create(&expired).await.unwrap();
    assert_eq!(store.one_time_codes().by_hash("e", purpose).await.unwrap(), None);
    assert_eq!(store.one_time_codes().by_hash("h", CodePurpose::Bootstrap).await.unwrap(), None);
    assert_eq!(store.one_time_codes().by_hash("h", purpose).await.unwrap(), Some(code.clone()));

    let after = |hash: &str| UserRecord {
        password_hash: Some(hash.to_owned()),
        revision: RevisionId::new(),
        ..ada.clone()
    };
    let (one, two) = (after("one"), after("two"));
    let redeem = |after| {
        let (store, code, ada) = (store.clone(), &code, &ada);
        async move { store.one_time_codes().redeem(code, Some(ada), after).await }
    };
    let results = world.concurrently([redeem(&one), redeem(&two)].into_iter()).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert!(redeem(&one).await.is_err());
    assert_eq!(store.one_time_codes().by_hash("h", purpose).await.unwrap(), None);
}

async fn consents_are_appended(world: World) {
    let store = world.store();
    let (ada, bob) = (UserId::new(), UserId::new());
    let at = Timestamp::from_unix;
    let consent = |document: &str, version: &str, second| ConsentRecord {
        document: document.to_owned(),
        version: version.to_owned(),
        given_at: at(second),
    };
    let given = [consent("terms", "1", 10), consent("privacy", "1", 10), consent("terms", "2", 20)];
    for consent in &given {
        store.consents().append(ada, consent).await.unwrap();
    }
    let again = store.consents().append(ada, &consent("terms", "3", 10)).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "a consent was replaced: {again:?}");
    let mut listed = store.consents().of(ada).await.unwrap();
    listed.sort_by_key(|consent| (consent.given_at, consent.version.clone(), consent.document.clone()));
    assert_eq!(listed, [given[1].clone(), given[0].clone(), given[2].clone()]);
    assert!(store.consents().of(bob).await.unwrap().is_empty());
}

async fn runs_artifacts_and_conversations_are_in_the_index_of_their_owner(world: World) {
    let store = world.store();
    let ada = UserId::new();
    let begun = run(ada);
    store.runs().begin(&begun).await.unwrap();
    let mut ended = run(ada);
    ended.state = RunState::Completed;
    store.runs().record_ended(&ended, &[]).await.unwrap();
    let artifact = artifact(ada);
    store.artifacts().put(&artifact, b"bytes".to_vec()).await.unwrap();
    let alone = RunId::new();
    let owner = Owner { user: ada, organisation: hearth_domain::OrganisationId::new() };
    store.conversations().put(alone, owner, &Conversation::default()).await.unwrap();

    let mut expected = vec![
        OwnedEntry::Artifact(artifact.artifact.id),
        OwnedEntry::Run(begun.id),
        OwnedEntry::Run(ended.id),
    ];
    expected.push(OwnedEntry::Run(alone));
    let mut listed = Vec::new();
    loop {
        let (page, more) = store.owned().page(ada, listed.last().copied(), 3).await.unwrap();
        listed.extend(page);
        if !more {
            break;
        }
    }
    let sorted = |mut entries: Vec<OwnedEntry>| {
        entries.sort_by_key(|entry| format!("{entry:?}"));
        entries
    };
    assert_eq!(sorted(listed), sorted(expected));
    assert!(store.owned().page(UserId::new(), None, 3).await.unwrap().0.is_empty());
}

fn artifact(owner: UserId) -> ArtifactRecord {
    let created_at = Timestamp::now();
    let artifact = Artifact {
        id: ArtifactId::new(),
        media_type: "image/png".to_owned(),
        size_bytes: 5,
        sha256: String::new(),
        revised_prompt: None,
        expires_at: created_at.plus(Duration::from_secs(3600)),
        link: String::new(),
    };
    ArtifactRecord { artifact, owner, organisation: None, run: RunId::new(), created_at }
}

async fn erased_run_leaves_no_item_and_no_object(world: World) {
    let store = world.store();
    let ada = UserId::new();
    let before = (items(&store).await.len(), world.count_objects().await);
    let mut ended = run(ada);
    ended.state = RunState::Completed;
    ended.text = "a long text ".repeat(4000);
    store.runs().record_ended(&ended, &[]).await.unwrap();
    store.runs().mark_cancelled(ended.id).await.unwrap();
    let owner = Owner { user: ada, organisation: hearth_domain::OrganisationId::new() };
    let text = hearth_domain::Message::new(hearth_domain::Role::User, "words ".repeat(30_000));
    let conversation = Conversation { messages: vec![text], ..Conversation::default() };
    store.conversations().put(ended.id, owner, &conversation).await.unwrap();
    let artifact = artifact(ada);
    store.artifacts().put(&artifact, b"bytes".to_vec()).await.unwrap();
    assert_eq!(world.count_objects().await, before.1 + 3);

    for entry in [OwnedEntry::Run(ended.id), OwnedEntry::Artifact(artifact.artifact.id)] {
        // A deletion that was interrupted is repeated.
        store.erasures().erase_entry(entry).await.unwrap();
        store.erasures().erase_entry(entry).await.unwrap();
    }
    assert_eq!(world.count_objects().await, before.1);
    let left = items(&store).await;
    assert_eq!(left.len(), before.0 + 2, "only the entries of the index are left: {left:?}");
}

async fn items(store: &Store) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.database().scan(after.as_ref()).await.unwrap();
        all.extend(page.items.iter().map(|item| format!("{} {} {}", item.key.pk, item.key.sk, item.body)));
        match page.next {
            Some(next) => after = Some(next.key),
            None => return all,
        }
    }
}

fn erasure(user: UserId) -> ErasureRecord {
    let requested_at = Timestamp::now();
    ErasureRecord {
        id: ErasureId::new(),
        user,
        requested_by: user,
        requested_at,
        last_pass_after: requested_at,
        completed_at: None,
        deleted: ErasureCounts::default(),
        revision: RevisionId::new(),
    }
}

async fn progress_of_an_erasure_is_counted_once(world: World) {
    let store = world.store();
    let ada = user("ada@example.org");
    store.users().create(&ada).await.unwrap();
    let runs = [run(ada.id), run(ada.id)];
    for run in &runs {
        store.runs().begin(run).await.unwrap();
    }
    let mut first = erasure(ada.id);
    let disabled = UserRecord {
        disabled_at: Some(first.requested_at),
        erasure: Some(first.id),
        revision: RevisionId::new(),
        ..ada.clone()
    };
    store.erasures().begin(&first, &ada, &disabled).await.unwrap();
    let second = store.erasures().begin(&erasure(ada.id), &ada, &disabled).await;
    assert!(matches!(second, Err(StoreError::Conflict)), "{second:?}");
    assert_eq!(store.erasures().open().await.unwrap(), std::slice::from_ref(&first));

    let entries = runs.each_ref().map(|run| OwnedEntry::Run(run.id));
    let mut stale = first.clone();
    store.erasures().forget_entries(&mut first, &entries).await.unwrap();
    let again = store.erasures().forget_entries(&mut stale, &entries).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    let stored = store.erasures().get(first.id).await.unwrap().unwrap();
    assert_eq!(stored.deleted.runs, 2);
    let consent = ConsentRecord { document: "terms".into(), version: "1".into(), given_at: Timestamp::now() };
    store.consents().append(ada.id, &consent).await.unwrap();
    store.erasures().erase_profile_items(&mut first).await.unwrap();
    store.erasures().erase_profile_items(&mut first).await.unwrap();
    assert_eq!(first.deleted.profile_items, 1);
    assert!(store.users().get(ada.id).await.unwrap().is_some(), "the profile goes last");
    first.completed_at = Some(Timestamp::now());
    store.erasures().save(&mut first).await.unwrap();
    assert!(store.erasures().open().await.unwrap().is_empty());
}

async fn deleted_user_frees_the_address(world: World) {
    let store = world.store();
    let ada = user("ada@example.org");
    store.users().create(&ada).await.unwrap();
    store.users().delete(ada.id).await.unwrap();
    store.users().delete(ada.id).await.unwrap();
    assert_eq!(store.users().get(ada.id).await.unwrap(), None);
    store.users().create(&user("ada@example.org")).await.unwrap();
}
