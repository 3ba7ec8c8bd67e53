//! The document in files beside the binary: one for each operation and each component, and an index of the paths.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::UNIX_EPOCH,
};

use serde_json::{Map, Value, json};

use crate::binary;

/// The folder of the pieces.
pub(super) struct Pieces(PathBuf);

impl Pieces {
    /// The pieces of the document of the binary `hearth`, which the first process of a build writes; none if the binary has no date.
    pub(super) fn of_binary() -> Option<Self> {
        let program = binary("hearth");
        let metadata = program.metadata().ok()?;
        let built_at = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let name = format!("openapi-of-suites-{}-{}", built_at.as_millis(), metadata.len());
        let folder = program.with_file_name(name);
        if !folder.join("index.json").is_file()
            && let Err(error) = write(&program, &folder)
        {
            panic!("the pieces of the OpenAPI document can't be written: {error}");
        }
        Some(Self(folder))
    }

    pub(super) fn read(&self, name: &str) -> Option<Value> {
        let text = fs::read(self.0.join(format!("{name}.json"))).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// Writes the pieces into a folder of this process' own, and gives it its name: another process may do the same.
fn write(program: &Path, folder: &Path) -> io::Result<()> {
    let output = Command::new(program).arg("openapi").output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let document: Value = serde_json::from_slice(&output.stdout)?;
    remove_earlier(folder);
    let part = folder.with_extension(format!("{}.part", std::process::id()));
    fs::create_dir_all(&part)?;
    let put = |name: &str, value: &Value| fs::write(part.join(format!("{name}.json")), value.to_string());
    let mut index = Map::new();
    let mut count = 0;
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let mut operations = Map::new();
        for (method, operation) in item.as_object().into_iter().flatten() {
            if operation["responses"].is_object() {
                count += 1;
                let name = format!("operation-{count}");
                put(&name, &json!({"responses": operation["responses"]}))?;
                operations.insert(method.clone(), name.into());
            }
        }
        index.insert(path.clone(), operations.into());
    }
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        put(&format!("schema-{name}"), schema)?;
    }
    put("index", &index.into())?;
    match fs::rename(&part, folder) {
        Err(_) if folder.join("index.json").is_file() => fs::remove_dir_all(part),
        result => result,
    }
}

/// Removes the pieces of earlier builds. One that a test still reads may remain.
fn remove_earlier(folder: &Path) {
    let Some(entries) = folder.parent().and_then(|parent| fs::read_dir(parent).ok()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("openapi-of-suites-") && !name.ends_with(".part") && entry.path() != folder {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
