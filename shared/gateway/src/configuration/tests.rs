use hearth_settings::Alias;

use super::*;

fn configuration(own: Routing) -> Arc<Configuration> {
    Arc::new(Configuration::new(Store::unconnected(), own, Duration::from_secs(60), true))
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
