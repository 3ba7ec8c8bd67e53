//! Sealed secrets under a master key. `tests/suites/store` has the same over KMS.

use std::{fs, os::unix::fs::PermissionsExt as _};

use hearth_domain::Secret;

use super::{
    KeyContext, Purpose, Sealed,
    master_key::{FILE, MasterKey, MasterKeyError},
};
use crate::StoreError;

const TEXT: &str = "sk-planted";

fn context(id: &str) -> KeyContext {
    KeyContext::new(Purpose::ProviderCredential, "usr_1", id)
}

fn open(folder: &tempfile::TempDir, is_needed: bool) -> Result<MasterKey, MasterKeyError> {
    MasterKey::open(&folder.path().join(FILE), || is_needed)
}

#[tokio::test]
async fn secret_is_opened_under_its_own_context_alone() {
    let folder = tempfile::tempdir().unwrap();
    let key = open(&folder, false).unwrap();
    let sealed = Sealed::seal(&key, &context("a"), &Secret::new(TEXT)).await.unwrap();
    assert_eq!(sealed.open(&key, &context("a")).await.unwrap().expose(), TEXT);
    for other in [
        context("b"),
        KeyContext::new(Purpose::ProviderCredential, "usr_2", "a"),
        KeyContext::new(Purpose::Signing, "usr_1", "a"),
        KeyContext::new(Purpose::ProviderCredential, "usr_1a", ""),
    ] {
        let error = sealed.open(&key, &other).await.unwrap_err();
        assert!(matches!(error, StoreError::Unsealable(_)), "{other:?}: {error}");
        // The ciphertext refuses the context too, not only the text beside it.
        let moved = Sealed { context: other.clone(), ..sealed.clone() };
        assert!(moved.open(&key, &other).await.is_err(), "{other:?}");
    }
    let again = Sealed::seal(&key, &context("a"), &Secret::new(TEXT)).await.unwrap();
    assert_ne!(again.ciphertext, sealed.ciphertext);
    let text = serde_json::to_string(&sealed).unwrap();
    assert_eq!(serde_json::from_str::<Sealed>(&text).unwrap(), sealed);
    assert!(!text.contains(TEXT) && !format!("{key:?} {sealed:?}").contains(TEXT));
}

#[tokio::test]
async fn altered_secret_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let key = open(&folder, false).unwrap();
    let sealed = key.seal(&context("a"), &Secret::new(TEXT)).unwrap();
    let fields: [fn(&mut Sealed) -> &mut String; 2] =
        [|sealed| &mut sealed.ciphertext, |sealed| &mut sealed.wrapped_key];
    for field in fields {
        let length = field(&mut sealed.clone()).len();
        for at in 0..length {
            let mut altered = sealed.clone();
            let text = field(&mut altered);
            let byte = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            text.replace_range(at..=at, byte);
            assert!(altered.open(&key, &context("a")).await.is_err(), "{at}");
        }
        let mut cut = sealed.clone();
        field(&mut cut).truncate(8);
        assert!(cut.open(&key, &context("a")).await.is_err());
    }
}

#[test]
fn lost_file_is_an_error_and_no_new_key_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    drop(open(&folder, false).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(&path).unwrap();
    let error = open(&folder, true).unwrap_err().to_string();
    assert!(error.contains("master-key isn't there") && error.contains("hearth key reset"), "{error}");
    assert!(!path.exists());
}

#[test]
fn damaged_file_is_an_error_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    drop(open(&folder, false).unwrap());
    let whole = fs::read_to_string(&path).unwrap();
    let key = whole.split("\"key\": \"").nth(1).unwrap();
    let other = if key.starts_with('A') { "B" } else { "A" };
    let altered = whole.replacen(key, &format!("{other}{}", &key[1..]), 1);
    for bytes in ["", "{}", &whole[..40], &altered, &whole.replace("\"version\": 1", "\"version\": 2")] {
        fs::write(&path, bytes).unwrap();
        let error = open(&folder, false).unwrap_err().to_string();
        assert!(error.contains("master-key is damaged") && error.contains("hearth key reset"), "{error}");
        assert!(!error.contains(&key[..20]), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), bytes);
    }
}

#[test]
fn secret_of_another_file_names_the_key_that_it_needs() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, other] = folders.each_ref().map(|folder| open(folder, false).unwrap());
    let sealed = one.seal(&context("a"), &Secret::new(TEXT)).unwrap();
    let error = other.open_secret(&context("a"), &sealed).unwrap_err().to_string();
    assert!(error.contains(&one.current()) && error.contains("master-key"), "{error}");
}

#[tokio::test]
async fn rotation_that_was_cut_off_goes_on_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let key = open(&folder, false).unwrap();
    let old = key.current();
    let sealed = key.seal(&context("a"), &Secret::new(TEXT)).unwrap();
    assert_eq!(sealed.rewrap(&key).await.unwrap(), None);
    key.begin_rotation().unwrap();
    let new = key.current();
    // The process ends here, and the next one reads the file.
    let key = open(&folder, true).unwrap();
    key.begin_rotation().unwrap();
    assert_eq!(key.ids(), [new.clone(), old]);
    assert_eq!(key.open_secret(&context("a"), &sealed).unwrap().expose(), TEXT);
    let rewrapped = sealed.rewrap(&key).await.unwrap().unwrap();
    assert_eq!((&rewrapped.key_id, &rewrapped.ciphertext), (&new, &sealed.ciphertext));
    key.end_rotation().unwrap();
    let key = open(&folder, true).unwrap();
    assert_eq!(key.ids(), [new]);
    assert_eq!(key.open_secret(&context("a"), &rewrapped).unwrap().expose(), TEXT);
    assert!(key.open_secret(&context("a"), &sealed).is_err());
}
