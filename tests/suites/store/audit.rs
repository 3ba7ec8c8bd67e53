//! The audit log over all databases: its aggregate, and the gateway's component that appends, seals and verifies.

use std::sync::Arc;

use aws_emulator::AwsEmulator;
use futures::future::join_all;
use hearth_auth::Keys;
use hearth_domain::{
    Action, AuditChainId, AuditDay, AuditEvent, AuditId, AuditOwner, AuditResult, OrganisationId, Timestamp,
    UserId,
};
use hearth_gateway::{
    Audit, Gateway, HttpClients, Options, Routing,
    audit::{BreakKind, Verification, VerifyRequest},
};
use hearth_store::{
    Store, StoreError,
    audit::{AuditRecord, SealRecord, StoredAuditRecord},
    database::{Condition, Item, Key, Write},
};

use crate::{
    on_all,
    world::{BUCKET, World, over},
};

on_all! {
    record_is_appended_once_and_read_by_day,
    seal_follows_the_one_before_it,
    processes_append_at_once_and_the_log_is_intact,
    each_kind_of_tampering_is_found,
    refusals_are_counted_and_written_at_the_end,
    later_process_seals_the_chains_of_a_dead_one,
}

const EVERY_ID: (AuditId, AuditId) = (AuditId::MIN, AuditId::MAX);

fn in_an_hour() -> Timestamp {
    Timestamp::from_unix(Timestamp::now().unix() + 3600)
}

fn record(number: u64) -> AuditRecord {
    let (previous, hash) = ("a".to_owned(), format!("hash {number}"));
    AuditRecord { entry: "{}".to_owned(), chain: AuditChainId::new(), number, previous, hash }
}

async fn record_is_appended_once_and_read_by_day(world: World) {
    let store = world.store();
    let owner = AuditOwner::Organisation(OrganisationId::new());
    let (mut ids, mut records) = (Vec::new(), Vec::new());
    for number in 1..=5 {
        let id = AuditId::after(ids.last().copied());
        let record = record(number);
        store.audit().append(owner, id, &record, in_an_hour()).await.unwrap();
        let again = store.audit().append(owner, id, &record, in_an_hour()).await;
        assert!(matches!(again, Err(StoreError::Conflict)));
        ids.push(id);
        records.push(record);
    }
    let day = AuditDay::of(ids[0].created_at());
    let page = async |range, after, limit| store.audit().page(owner, day, range, after, limit).await.unwrap();
    let read = |records: Vec<StoredAuditRecord>| {
        records.into_iter().map(|stored| stored.record.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(read(page(EVERY_ID, None, None).await.records), records);
    let first = page(EVERY_ID, None, Some(2)).await;
    let rest = page(EVERY_ID, first.next, None).await;
    assert_eq!((read(first.records), read(rest.records)), (records[..2].to_vec(), records[2..].to_vec()));
    assert_eq!(read(page((ids[1], ids[3]), None, None).await.records), records[1..4]);
    for other in [AuditOwner::Gateway, AuditOwner::Organisation(OrganisationId::new())] {
        assert!(store.audit().page(other, day, EVERY_ID, None, None).await.unwrap().records.is_empty());
    }
    assert!(store.audit().owners(day).await.unwrap().contains(&owner));
    assert!(store.audit().owners(day.plus(-1)).await.unwrap().is_empty());
}

async fn seal_follows_the_one_before_it(world: World) {
    let store = world.store();
    let owner = AuditOwner::Gateway;
    let seal = |number: u64| SealRecord {
        number,
        seal: "{}".to_owned(),
        hash: format!("hash {number}"),
        signature: "s".to_owned(),
    };
    assert_eq!(store.audit().last_seal(owner).await.unwrap(), None);
    store.audit().put_seal(owner, &seal(1), None, in_an_hour()).await.unwrap();
    store.audit().put_seal(owner, &seal(2), Some("hash 1"), in_an_hour()).await.unwrap();
    for (number, previous) in [(1, None), (2, Some("hash 1")), (3, Some("hash 1")), (2, Some("hash 2"))] {
        let refused = store.audit().put_seal(owner, &seal(number), previous, in_an_hour()).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{number} after {previous:?}");
    }
    assert_eq!(store.audit().last_seal(owner).await.unwrap(), Some(seal(2)));
    let seals: Vec<_> = store.audit().seals(owner).await.unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(seals, [seal(1), seal(2)]);
}

/// A process: a gateway over the store.
fn process(store: &Store) -> Arc<Audit> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = Options { new_secret: Some(Keys::generate_secret), ..Options::default() };
    let gateway = Gateway::new(store.clone(), HttpClients::new().unwrap(), options, Routing::default());
    Arc::clone(gateway.audit())
}

fn event(organisation: OrganisationId, resource: usize) -> AuditEvent {
    AuditEvent {
        organisation: Some(organisation),
        user: Some(UserId::new()),
        resources: vec![resource.to_string()],
        ..AuditEvent::new(Action::ManageTokens.as_str(), "create_token")
    }
}

async fn verify(audit: &Audit, owner: AuditOwner) -> Verification {
    // The days before are empty.
    let from = Some(AuditDay::of(Timestamp::now()).plus(-1));
    audit.verify(&VerifyRequest { owner, from, to: None, seal: None }).await.unwrap()
}

async fn processes_append_at_once_and_the_log_is_intact(world: World) {
    let store = world.store();
    let organisation = OrganisationId::new();
    let owner = AuditOwner::Organisation(organisation);
    // At home one process creates the secret, and in the cloud the template does.
    store.secret(Some(Keys::generate_secret)).await.unwrap();
    let processes: Vec<_> = (0..4).map(|_| process(&store)).collect();
    let appends = (0..100).map(|index| processes[index % processes.len()].record(event(organisation, index)));
    let ids = join_all(appends).await;
    assert!(ids.iter().all(Result::is_ok));
    // They seal at the same time, too.
    join_all(processes.iter().map(|process| process.finish())).await;
    let verification = verify(&processes[0], owner).await;
    assert_eq!(verification.first_break, None);
    assert_eq!((verification.records, verification.chains, verification.unsealed), (100, 4, 0));
    assert!(verification.seals >= 1);
    // What was sealed isn't sealed again.
    processes[1].finish().await;
    assert_eq!(verify(&processes[1], owner).await.seals, verification.seals);
    // Later records are unsealed until the next seal.
    processes[2].record(event(organisation, 100)).await.unwrap();
    assert_eq!(verify(&processes[3], owner).await.unsealed, 1);
    processes[2].finish().await;
    let last = verify(&processes[3], owner).await;
    assert_eq!((last.records, last.unsealed, last.seals), (101, 0, verification.seals + 1));
    // A seal that was noted down must still be there.
    let noted = VerifyRequest { owner, from: None, to: None, seal: verification.last_seal };
    assert_eq!(processes[0].verify(&noted).await.unwrap().first_break, None);
    let other = VerifyRequest { seal: Some((99, "0".repeat(64))), ..noted };
    assert_eq!(processes[0].verify(&other).await.unwrap().first_break.unwrap().kind, BreakKind::Removed);
}

/// Items of an owner's log on the day of an id, as the database has them.
async fn items(store: &Store, owner: AuditOwner, ids: &[AuditId]) -> Vec<Item> {
    let mut items = Vec::new();
    for id in ids {
        let key = Key::new(format!("AUD#{owner}#{}", AuditDay::of(id.created_at())), id.to_string());
        items.push(store.database().get(&key).await.unwrap().unwrap());
    }
    items
}

async fn each_kind_of_tampering_is_found(world: World) {
    let store = world.store();
    let audit = process(&store);
    let organisation = OrganisationId::new();
    let owner = AuditOwner::Organisation(organisation);
    let mut ids = Vec::new();
    for index in 0..6 {
        ids.push(audit.record(event(organisation, index)).await.unwrap());
    }
    audit.finish().await;
    let whole = items(&store, owner, &ids).await;
    let write = async |write: Write| store.database().write(write).await.unwrap();
    let put = async |item: &Item| write(Write::Put(item.clone(), Condition::Always)).await;
    let delete = async |item: &Item| write(Write::Delete(item.key.clone(), Condition::Always)).await;
    let found = async || verify(&audit, owner).await.first_break.map(|found| (found.kind, found.id));
    let restore = async || {
        for item in &whole {
            put(item).await;
        }
    };
    assert_eq!(found().await, None);

    let changed = Item { body: whole[2].body.replace("create_token", "revoke_token"), ..whole[2].clone() };
    assert_ne!(changed, whole[2]);
    put(&changed).await;
    assert_eq!(found().await, Some((BreakKind::Changed, Some(ids[2].to_string()))));
    restore().await;

    delete(&whole[3]).await;
    assert_eq!(found().await, Some((BreakKind::Removed, Some(ids[4].to_string()))));
    restore().await;

    // The end of the log, and all of it.
    delete(&whole[5]).await;
    assert_eq!(found().await, Some((BreakKind::Removed, None)));
    for item in &whole {
        delete(item).await;
    }
    assert_eq!(found().await, Some((BreakKind::Removed, None)));
    restore().await;

    let copy =
        Item { key: Key::new(whole[0].key.pk.clone(), AuditId::new().to_string()), ..whole[0].clone() };
    put(&copy).await;
    assert_eq!(found().await, Some((BreakKind::Reordered, Some(copy.key.sk.clone()))));
    delete(&copy).await;

    let swapped = [(0, 1), (1, 0)]
        .map(|(at, from): (usize, usize)| Item { key: whole[at].key.clone(), ..whole[from].clone() });
    put(&swapped[0]).await;
    put(&swapped[1]).await;
    assert!(found().await.is_some());
    restore().await;

    let seal =
        store.database().get(&Key::new(format!("AUDSEAL#{owner}"), "S#000000000001")).await.unwrap().unwrap();
    delete(&seal).await;
    assert_eq!(found().await, Some((BreakKind::Removed, None)));
    put(&seal).await;
    assert_eq!(found().await, None);
}

async fn refusals_are_counted_and_written_at_the_end(world: World) {
    let store = world.store();
    let audit = process(&store);
    let refusal = AuditEvent {
        result: AuditResult::Refused,
        status: Some(401),
        code: Some("unauthorized".to_owned()),
        address: Some("203.0.113.7".parse().unwrap()),
        ..AuditEvent::new("generate", "generate")
    };
    for _ in 0..500 {
        audit.record_refusal(refusal.clone()).await;
    }
    assert_eq!(verify(&audit, AuditOwner::Gateway).await.records, 1);
    audit.finish().await;
    let verification = verify(&audit, AuditOwner::Gateway).await;
    assert_eq!((verification.records, verification.unsealed, verification.first_break), (2, 0, None));
    let today = AuditDay::of(Timestamp::now());
    let page = store.audit().page(AuditOwner::Gateway, today, EVERY_ID, None, None).await.unwrap();
    let last = page.records.last().unwrap().record.as_ref().unwrap();
    assert!(last.entry.contains(r#""count":499"#), "{last:?}");
}

async fn later_process_seals_the_chains_of_a_dead_one(world: World) {
    let organisation = OrganisationId::new();
    let owner = AuditOwner::Organisation(organisation);
    let audit = process(&world.store());
    audit.record(event(organisation, 0)).await.unwrap();
    assert_eq!(verify(&audit, owner).await.unsealed, 1);
    drop(audit);
    let world = world.restart().await;
    let audit = process(&world.store());
    audit.finish().await;
    let verification = verify(&audit, owner).await;
    assert_eq!((verification.records, verification.unsealed, verification.seals), (1, 0, 1));
}

/// Only S3 locks objects.
#[tokio::test]
async fn sealed_part_is_copied_and_locked_before_its_seal() {
    let folder = tempfile::TempDir::new().unwrap();
    let embedded = AwsEmulator::open(folder.path(), BUCKET).unwrap();
    let s3 = || embedded.s3("http://s3.test");
    let store = over(&embedded, "one");
    store.migrate().await.unwrap();
    let organisation = OrganisationId::new();
    let object = |number: u64| {
        let key = format!("audit/{organisation}/{number:012}.jsonl");
        s3().get_object().bucket(BUCKET).key(key)
    };
    let audit = process(&store.clone().with_audit_bucket(s3(), BUCKET.to_owned()));
    let mut first = Vec::new();
    for index in 0..3 {
        first.push(audit.record(event(organisation, index)).await.unwrap());
    }
    audit.finish().await;
    let second = audit.record(event(organisation, 3)).await.unwrap();
    audit.finish().await;
    // The emulator refuses an object below audit/ without a lock.
    for (number, ids) in [(1, first), (2, vec![second])] {
        let copy = object(number).send().await.unwrap().body.collect().await.unwrap().to_vec();
        let copy = String::from_utf8(copy).unwrap();
        let lines: Vec<serde_json::Value> =
            copy.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), ids.len() + 1, "{copy}");
        for (line, id) in lines.iter().zip(&ids) {
            assert!(line["entry"].as_str().unwrap().contains(&id.to_string()), "{line}");
        }
        assert_eq!(lines.last().unwrap()["number"], number);
    }
    // Without the copy there is no seal.
    let elsewhere = process(&store.clone().with_audit_bucket(s3(), "missing".to_owned()));
    elsewhere.record(event(organisation, 4)).await.unwrap();
    elsewhere.finish().await;
    let verification = verify(&audit, AuditOwner::Organisation(organisation)).await;
    assert_eq!((verification.seals, verification.unsealed, verification.first_break), (2, 1, None));
}
