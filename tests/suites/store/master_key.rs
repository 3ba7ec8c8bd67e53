//! The master key of a data folder: its loss, its rotation, and the migration of secrets in clear text.

use std::{fs, path::Path};

use hearth_domain::{
    CredentialId, CredentialKind, CredentialOwner, OrganisationId, Secret, Timestamp, UserId,
};
use hearth_store::{
    Store,
    database::Durability,
    home,
    provider_credentials::{CredentialRecord, context},
};
use tempfile::TempDir;

const OWN: &str = "planted-user-key-0123456789";
const OPERATORS: &str = r#"{"groq": "planted-operator-key-0123456789"}"#;

fn open(folder: &Path) -> Store {
    home::open(folder, Durability::Fsync).unwrap()
}

/// Stores a key of the operator and one of a user.
async fn fill(store: &Store) -> CredentialRecord {
    store.migrate().await.unwrap();
    store.secret(Some(|| Secret::new("planted-gateway-secret"))).await.unwrap();
    store.put_provider_keys(&Secret::new(OPERATORS)).await.unwrap();
    let (id, owner, now) = (CredentialId::new(), CredentialOwner::User(UserId::new()), Timestamp::now());
    let record = CredentialRecord {
        id,
        owner,
        organisation: OrganisationId::new(),
        created_by: UserId::new(),
        name: "mine".to_owned(),
        provider: "groq".to_owned(),
        kind: CredentialKind::ApiKey,
        vendor: None,
        base_url: None,
        hint: String::new(),
        sealed: store.seal(&context(owner, id), &Secret::new(OWN)).await.unwrap(),
        secret_id: id,
        expires_at: None,
        lease: String::new(),
        created_at: now,
        updated_at: now,
        verified: None,
    };
    store.provider_credentials().create(&record).await.unwrap();
    record
}

async fn assert_readable(store: &Store, record: &CredentialRecord) {
    let found = store.provider_credentials().get(record.owner, record.id).await.unwrap().unwrap();
    assert_eq!(store.open_sealed(&found.context(), &found.sealed).await.unwrap().expose(), OWN);
    assert_eq!(store.provider_keys().await.unwrap(), Some(Secret::new(OPERATORS)));
    assert_eq!(store.secret(None).await.unwrap(), Secret::new("planted-gateway-secret"));
}

/// No file of the folder has a secret in clear text.
fn assert_nothing_planted(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(7).any(|window| window == b"planted");
            assert!(!found, "{} has a secret in clear text", path.display());
        }
    }
}

#[tokio::test]
async fn folder_has_no_secret_in_clear_text() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let record = fill(&store).await;
    assert_nothing_planted(folder.path());
    store.close().await;
    drop(store);
    assert_nothing_planted(folder.path());
    assert_readable(&open(folder.path()), &record).await;
}

#[tokio::test]
async fn rotation_wraps_every_secret_and_can_be_repeated() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let record = fill(&store).await;
    store.close().await;
    drop(store);
    let before = fs::read(folder.path().join("master-key")).unwrap();
    let rotation = home::rotate_master_key(folder.path()).await.unwrap();
    // The gateway's secret, the operator's keys, and the user's key.
    assert_eq!(rotation.count, 3);
    assert_readable(&open(folder.path()), &record).await;
    fs::write(folder.path().join("master-key"), before).unwrap();
    let store = open(folder.path());
    assert!(store.provider_keys().await.is_err(), "the old key opens nothing");
}

#[tokio::test]
async fn rotation_goes_on_after_a_kill_at_each_step() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let record = fill(&store).await;
    store.close().await;
    drop(store);
    // Each state that a killed rotation leaves is made of the files before it and after it.
    let files = ["master-key", "secrets.sealed.json", "store.db"];
    let read = || files.map(|name| fs::read(folder.path().join(name)).unwrap());
    let before = read();
    let rotated = home::rotate_master_key(folder.path()).await.unwrap().key_id;
    let after = read();
    let both = {
        let mut both: serde_json::Value = serde_json::from_slice(&after[0]).unwrap();
        let old: serde_json::Value = serde_json::from_slice(&before[0]).unwrap();
        both["keys"].as_array_mut().unwrap().push(old["keys"][0].clone());
        serde_json::to_vec(&both).unwrap()
    };
    for (state, contents) in [
        ("after the new key was written", [&both, &before[1], &before[2]]),
        ("after the file of secrets was wrapped", [&both, &after[1], &before[2]]),
        ("before the old key was removed", [&both, &after[1], &after[2]]),
    ] {
        for (name, bytes) in files.iter().zip(contents) {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        for log in ["store.db-wal", "store.db-shm"] {
            let _ = fs::remove_file(folder.path().join(log));
        }
        let store = open(folder.path());
        assert_readable(&store, &record).await;
        store.close().await;
        drop(store);
        let id = home::rotate_master_key(folder.path()).await.unwrap().key_id;
        assert_eq!(id, rotated, "{state}: the rotation goes on with its key");
        let key: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.path().join("master-key")).unwrap()).unwrap();
        assert_eq!(key["keys"].as_array().unwrap().len(), 1, "{state}");
        let store = open(folder.path());
        assert_readable(&store, &record).await;
        store.close().await;
    }
}

#[tokio::test]
async fn lost_key_is_an_error_and_no_new_key_is_created_until_a_reset() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let record = fill(&store).await;
    store.close().await;
    drop(store);
    let path = folder.path().join("master-key");
    let key = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let error = home::open(folder.path(), Durability::Os).unwrap_err().to_string();
    assert!(error.contains("master-key isn't there") && error.contains("hearth key reset"), "{error}");
    // Even where the file of secrets is gone too: the table has ciphertexts.
    fs::rename(folder.path().join("secrets.sealed.json"), folder.path().join("moved")).unwrap();
    assert!(home::open(folder.path(), Durability::Os).is_err());
    assert!(!path.exists());
    // A copy of the file helps.
    fs::rename(folder.path().join("moved"), folder.path().join("secrets.sealed.json")).unwrap();
    fs::write(&path, &key).unwrap();
    let store = open(folder.path());
    assert_readable(&store, &record).await;
    store.close().await;
    drop(store);
    // Nothing is locked: a reset removes nothing.
    assert_eq!(home::reset_secrets(folder.path()).await.unwrap().count, 0);

    fs::write(&path, &key[..key.len() / 2]).unwrap();
    let error = home::open(folder.path(), Durability::Os).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    assert_eq!(home::reset_secrets(folder.path()).await.unwrap().count, 3);
    assert!(folder.path().join("master-key.damaged").exists());
    let store = open(folder.path());
    assert_eq!(store.provider_keys().await.unwrap(), None);
    assert_eq!(store.provider_credentials().of(record.owner).await.unwrap(), []);
}

#[tokio::test]
async fn key_of_another_folder_is_named_as_the_wrong_one() {
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let stores = folders.each_ref().map(|folder| open(folder.path()));
    let record = fill(&stores[0]).await;
    fill(&stores[1]).await;
    for store in stores {
        store.close().await;
    }
    fs::copy(folders[1].path().join("master-key"), folders[0].path().join("master-key")).unwrap();
    let store = open(folders[0].path());
    let found = store.provider_credentials().get(record.owner, record.id).await.unwrap().unwrap();
    let error = store.open_sealed(&found.context(), &found.sealed).await.unwrap_err().to_string();
    assert!(
        error.contains(&record.sealed.key_id) && error.contains("put the file with that key back"),
        "{error}"
    );
}
