use hearth_domain::{FinishReason, Message, Role, Sampling, Selection, TextTask};
use hearth_wire::RunEventBody;

use super::*;

fn cache(enabled: bool) -> Cache {
    let settings = CacheSettings { enabled, ..CacheSettings::default() };
    Cache::new(Store::unconnected(), settings, Background::new(true))
}

/// The keys of a store in which nobody has stored any.
fn no_keys() -> StoredKeys {
    StoredKeys::new(Store::unconnected())
}

fn caller() -> Caller {
    Caller::example()
}

fn request(cache: CacheControl) -> Generation {
    let task = TextTask::new(vec![Message::new(Role::User, "Hi")], Sampling::default());
    Generation { cache, ..Generation::new(None, task) }
}

fn selected(fallback_used: bool) -> RunEventBody {
    RunEventBody::Selected(Selection { fallback_used, ..Selection::example("big", "rig") })
}

/// Captures a complete answer.
fn answer(capture: &mut Capture, fallback_used: bool) {
    capture.add(&selected(fallback_used));
    capture.add(&RunEventBody::text("Hello"));
    capture.add(&RunEventBody::Done { finish_reason: FinishReason::Stop });
}

async fn miss(cache: &Cache, caller: &Caller) -> Capture {
    match cache.lookup(caller, &no_keys(), &request(CacheControl::Use), "").await.unwrap() {
        CacheLookup::Miss(capture) => capture,
        _ => panic!("the answer is cached"),
    }
}

#[tokio::test]
async fn captured_answer_is_a_hit_for_the_same_user_only() {
    let (cache, ada) = (cache(true), caller());
    answer(&mut miss(&cache, &ada).await, false);
    let hit = cache.lookup(&ada, &no_keys(), &request(CacheControl::OnlyIfCached), "").await.unwrap();
    let CacheLookup::Hit(hit) = hit else { panic!("the answer isn't cached") };
    assert_eq!((hit.selected().provider.as_str(), hit.replay().count()), ("rig", 4));
    miss(&cache, &caller()).await;
    assert_eq!((cache.stats().hits, cache.stats().misses), (1, 2));
}

#[tokio::test]
async fn answer_of_a_fallback_is_not_stored() {
    let (cache, ada) = (cache(true), caller());
    answer(&mut miss(&cache, &ada).await, true);
    miss(&cache, &ada).await;
}

#[tokio::test]
async fn follower_gets_the_answer_of_the_leader() {
    let (cache, ada) = (cache(true), caller());
    let mut leader = miss(&cache, &ada).await;
    let request = request(CacheControl::Use);
    let keys = no_keys();
    let (followed, ()) =
        tokio::join!(cache.lookup(&ada, &keys, &request, ""), async { answer(&mut leader, false) });
    assert!(matches!(followed, Ok(CacheLookup::Hit(_))));
}

#[tokio::test]
async fn disabled_cache_is_bypassed() {
    let (cache, ada) = (cache(false), caller());
    assert!(matches!(
        cache.lookup(&ada, &no_keys(), &request(CacheControl::Use), "").await,
        Ok(CacheLookup::Bypass)
    ));
    let error = cache.lookup(&ada, &no_keys(), &request(CacheControl::OnlyIfCached), "").await.err().unwrap();
    assert_eq!(error.code, ErrorCode::NotCached);
}

#[tokio::test]
async fn answer_by_a_members_own_key_is_not_shared() {
    let settings = CacheSettings { enabled: true, shared: true, ..CacheSettings::default() };
    let cache = Cache::new(Store::unconnected(), settings, Background::new(true));
    let ada = caller();
    let bob = Caller { user: UserId::new(), ..ada.clone() };
    for payer in [Payer::User, Payer::Team] {
        // The key was stored after the look-up.
        let mut capture = miss(&cache, &ada).await;
        capture.add(&RunEventBody::Selected(Selection {
            payer: Some(payer),
            ..Selection::example("big", "rig")
        }));
        capture.add(&RunEventBody::text("Hello"));
        capture.add(&RunEventBody::Done { finish_reason: FinishReason::Stop });
        drop(capture);
        miss(&cache, &bob).await;
    }
    answer(&mut miss(&cache, &ada).await, false);
    let hit = cache.lookup(&bob, &no_keys(), &request(CacheControl::Use), "").await;
    assert!(matches!(hit, Ok(CacheLookup::Hit(_))));
}
