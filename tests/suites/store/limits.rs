//! Limits of an organisation, and the leases of its rates.

use hearth_domain::{LimitSubject, Limits, OrganisationId, Timestamp, UserId};
use hearth_store::{limits::LimitRecord, rate_buckets::RateWindow};

use crate::{on_all, world::World};

on_all! {
    leases_never_exceed_the_limit_of_their_window,
    limits_of_an_organisation_are_read_together,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn leases_never_exceed_the_limit_of_their_window(world: World) {
    let store = world.store();
    let window = RateWindow {
        organisation: OrganisationId::new(),
        subject: LimitSubject::User(UserId::new()),
        resource: "requests-minute",
        begins_at: at("2096-11-29T10:00:00.000Z"),
        ends_at: at("2096-11-29T10:01:00.000Z"),
    };
    let leases = (0..40).map(|_| {
        let store = store.clone();
        let lease = async move { store.rate_buckets().lease(&window, 3, 100).await.unwrap() };
        async { tokio::spawn(lease).await.unwrap() }
    });
    let leased = world.concurrently(leases).await.into_iter().filter(|leased| *leased).count();
    assert_eq!(leased, 33);
    assert!(store.rate_buckets().lease(&window, 1, 100).await.unwrap());
    assert!(!store.rate_buckets().lease(&window, 1, 100).await.unwrap());
    assert!(!store.rate_buckets().lease(&window, 200, 100).await.unwrap());
    let next = RateWindow { begins_at: window.ends_at, ..window };
    assert!(store.rate_buckets().lease(&next, 100, 100).await.unwrap());
    let elsewhere = RateWindow { organisation: OrganisationId::new(), ..window };
    assert!(store.rate_buckets().lease(&elsewhere, 100, 100).await.unwrap(), "another organisation's");
}

async fn limits_of_an_organisation_are_read_together(world: World) {
    let store = world.store();
    let (organisation, user) = (OrganisationId::new(), UserId::new());
    let limits = Limits {
        requests_per_minute: Some(60),
        dollars_per_month: Some("2.5".parse().unwrap()),
        ..Limits::default()
    };
    let own = LimitSubject::Organisation(organisation);
    for subject in [LimitSubject::User(user), own] {
        let record = LimitRecord::new(subject, limits.clone(), user, at("2096-11-29T10:00:00.000Z"));
        store.limits().put(organisation, subject, &record).await.unwrap();
        assert_eq!(store.limits().get(organisation, subject).await.unwrap(), Some(record));
    }
    let all = store.limits().of(organisation).await.unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|record| record.limits == limits));
    assert!(store.limits().of(OrganisationId::new()).await.unwrap().is_empty());
    store.limits().delete(organisation, own).await.unwrap();
    let left = store.limits().of(organisation).await.unwrap();
    assert_eq!(left.iter().map(LimitRecord::subject).collect::<Vec<_>>(), [Some(LimitSubject::User(user))]);
}
