use hearth_settings::Alias;

use super::*;

fn configuration(own: Routing) -> Arc<Configuration> {
    let (interval, background) = (Duration::from_secs(60), Background::new(true));
    Arc::new(Configuration::new(Store::unconnected(), own, interval, true, background))
}

#[test]
fn stale_snapshot_is_read_again_by_one_caller() {
    let mut read = Read::now(Duration::ZERO);
    assert!(matches!(read.age(), Age::Stale));
    assert!(matches!(read.age(), Age::Fresh), "the next read has begun");
    assert!(matches!(Read::now(Duration::from_secs(60)).age(), Age::Fresh));
}

#[tokio::test]
async fn settings_of_the_process_are_in_force_while_the_store_fails() {
    let mut own = Routing::default();
    own.aliases.insert("own".to_owned(), Alias::default());
    let configuration = configuration(own);
    assert!(configuration.current().await.aliases.contains_key("own"));
    let state = configuration.state().await;
    assert_eq!(state.version_in_force, 0);
    assert!(state.problem.is_some_and(|problem| problem.contains("can't be read")));
}

/// A configuration in which the latest read was an hour ago, as after an idle hour.
fn idle(background: Background) -> Arc<Configuration> {
    let (store, interval) = (Store::unconnected(), Duration::from_secs(60));
    let configuration = Configuration::new(store, Routing::default(), interval, true, background);
    configuration.put_in_force(Routing::default(), None);
    let mut in_force = configuration.locked();
    let read = in_force.latest_read.as_mut().unwrap();
    read.at = Moment::hour_ago();
    drop(in_force);
    Arc::new(configuration)
}

#[tokio::test]
async fn process_reads_again_before_the_request_only_if_others_share_its_store() {
    for (outlives_response, reads) in [(true, false), (false, true)] {
        let configuration = idle(Background::new(outlives_response));
        configuration.current().await;
        // The read fails, since the store isn't connected.
        assert_eq!(configuration.locked().problem.is_some(), reads, "{outlives_response}");
    }
}

#[tokio::test(start_paused = true)]
async fn request_does_not_wait_longer_than_the_timeout_for_a_change() {
    let configuration = idle(Background::new(false));
    let before = Arc::clone(&configuration.locked().snapshot);
    let _storing = configuration.storing.lock().await;
    let current = timeout(READ_TIMEOUT * 5, configuration.current()).await.unwrap();
    assert!(Arc::ptr_eq(&current, &before));
    let problem = configuration.locked().problem.clone();
    assert!(problem.is_some_and(|problem| problem.contains("no answer within 3 s")));
    // The next request doesn't wait again.
    assert!(matches!(configuration.in_force().1, Age::Fresh));
}

#[test]
fn replaced_snapshot_stays_as_it_was_for_its_request() {
    let configuration = configuration(Routing::default());
    let before = Arc::clone(&configuration.locked().snapshot);
    let mut routing = Routing::default();
    routing.aliases.insert("new".to_owned(), Alias::default());
    let stored = StoredVersion { number: 1, created_at: hearth_domain::Timestamp::now() };
    configuration.put_in_force(routing, Some(stored));
    let after = Arc::clone(&configuration.locked().snapshot);
    assert!(before.aliases.is_empty() && after.aliases.contains_key("new"));
    assert!(before.sequence < after.sequence && before.digest != after.digest);
    // The same version is no change.
    configuration.put_in_force(Routing::default(), Some(stored));
    assert!(Arc::ptr_eq(&after, &configuration.locked().snapshot));
}
