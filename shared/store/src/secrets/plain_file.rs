//! Migrates the secrets of an earlier version, whose file had them in clear text.
//!
//! The sealed file is written first, as a whole. Then the old file is overwritten with zeros and removed. If the
//! process is killed in between, the next start finds the sealed file with the same secrets, and does the remaining
//! steps.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use hearth_domain::Secret;
use zeroize::Zeroizing;

use super::sealed_file::SealedFile;

/// The old file's name in the data folder.
pub(crate) const FILE: &str = "secrets.json";

/// A reason why the old file can't be migrated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MigrationError {
    /// It can't be read, written or parsed.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The sealed file has other secrets.
    #[error(
        "it has other secrets than secrets.sealed.json, so an earlier version of hearth has used this folder since; move the \
         one that isn't wanted away"
    )]
    Other,
}

/// Moves the secrets of the old file at `path` into `sealed`, if there is such a file.
pub(crate) fn migrate(path: &Path, sealed: &SealedFile) -> Result<(), MigrationError> {
    // The files of a killed process have secrets in them too.
    hearth_files::remove_unfinished(path)?;
    let bytes = match fs::read(path).map(Zeroizing::new) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // A file that begins to be overwritten was migrated before.
    if bytes.first() != Some(&0) {
        let plain: BTreeMap<String, Secret> = serde_json::from_slice(&bytes).map_err(io::Error::from)?;
        let mut missing = BTreeMap::new();
        for (name, secret) in plain {
            match sealed.find(&name).map_err(io::Error::other)? {
                None => drop(missing.insert(name, secret)),
                Some(found) if found == secret => {}
                Some(_) => return Err(MigrationError::Other),
            }
        }
        if !missing.is_empty() {
            sealed.add(&missing).map_err(io::Error::other)?;
        }
    }
    overwrite_and_remove(path, bytes.len())?;
    tracing::info!("the secrets of an earlier version are encrypted now, and {} is removed", path.display());
    Ok(())
}

/// Overwrites the file's blocks before they are freed. A file system that copies on write, and a flash disk, may have
/// them still: docs/security.md says so.
fn overwrite_and_remove(path: &Path, length: usize) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    fs::remove_file(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key_wrapper::master_key::MasterKey, secrets::sealed_file};

    const PLAIN: &str =
        r#"{"hearth/gateway": "planted-1", "hearth/provider-keys": "{\"groq\": \"planted-2\"}"}"#;

    /// Opens the folder, as a start does.
    fn start(folder: &Path) -> Result<SealedFile, MigrationError> {
        let master_key = MasterKey::open(&folder.join("master-key"), || false).unwrap();
        let sealed = SealedFile::open(folder.join(sealed_file::FILE), master_key).unwrap();
        migrate(&folder.join(FILE), &sealed)?;
        Ok(sealed)
    }

    fn assert_migrated(folder: &Path, state: &str) {
        let sealed = start(folder).unwrap_or_else(|error| panic!("{state}: {error}"));
        for (name, text) in
            [("hearth/gateway", "planted-1"), ("hearth/provider-keys", "{\"groq\": \"planted-2\"}")]
        {
            assert_eq!(sealed.find(name).unwrap(), Some(Secret::new(text)), "{state}");
        }
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert_ne!(path.file_name().unwrap(), FILE, "{state}");
            assert!(!fs::read_to_string(&path).unwrap().contains("planted"), "{state}: {}", path.display());
        }
    }

    #[test]
    fn migration_goes_on_after_a_kill_at_each_step() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, plain) = (folder.path(), folder.path().join(FILE));
        fs::write(&plain, PLAIN).unwrap();
        fs::write(folder.join(format!("{FILE}.a1.part")), PLAIN).unwrap();
        drop(MasterKey::open(&folder.join("master-key"), || false).unwrap());
        fs::write(folder.join(format!("{}.a1.part", sealed_file::FILE)), "{").unwrap();
        assert_migrated(folder, "before the sealed file was there");
        for (state, bytes) in [
            ("before the old file was overwritten", PLAIN.as_bytes().to_vec()),
            ("while it was overwritten", [vec![0; 10], PLAIN.as_bytes()[10..].to_vec()].concat()),
            ("before it was removed", vec![0; PLAIN.len()]),
            ("after the migration", Vec::new()),
        ] {
            if bytes.is_empty() {
                assert!(!plain.exists());
            } else {
                fs::write(&plain, bytes).unwrap();
            }
            assert_migrated(folder, state);
        }
    }

    #[test]
    fn other_secrets_of_an_earlier_version_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), PLAIN).unwrap();
        start(folder.path()).unwrap();
        let later = PLAIN.replace("planted-1", "another");
        fs::write(folder.path().join(FILE), &later).unwrap();
        let error = start(folder.path()).unwrap_err().to_string();
        assert!(error.contains("earlier version") && !error.contains("another\""), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), later);
    }
}
