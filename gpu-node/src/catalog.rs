//! Which models the node has: its model folder, and files named by the operator.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use hearth_domain::{Capability, Modality};

use crate::gguf::{GgufError, Header};

/// How deep below the model folder files are looked for: `owner/repository/file`.
const MAX_DEPTH: usize = 4;

/// A model file and what its header says.
#[derive(Debug, Clone)]
pub struct ModelFile {
    /// The id that clients write: the file's name without `.gguf`.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// The makers' name for it.
    pub name: String,
    /// Its quantisation.
    pub version: Option<String>,
    /// What it makes.
    pub modality: Modality,
    /// What else it can do.
    pub capabilities: Vec<Capability>,
    /// The architecture of its weights.
    pub architecture: Option<String>,
    /// The context that it was made for, in tokens.
    pub context_length: Option<u32>,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Why it can't be used, if it can't.
    pub problem: Option<String>,
}

/// The node's models. Headers are read once and again only when a file has changed.
#[derive(Debug)]
pub struct Catalog {
    folder: PathBuf,
    extra: Vec<PathBuf>,
    seen: HashMap<PathBuf, (u64, Option<SystemTime>, ModelFile)>,
}

impl Catalog {
    /// A catalog of `folder` and of the files in `extra`.
    #[must_use]
    pub fn new(folder: PathBuf, extra: Vec<PathBuf>) -> Self {
        Self { folder, extra, seen: HashMap::new() }
    }

    /// Looks again, and gives every model by its id. Where two files would have the same id, the
    /// second gets its folder's name in front.
    pub fn scan(&mut self) -> BTreeMap<String, ModelFile> {
        let mut paths = self.extra.clone();
        collect(&self.folder, 0, &mut paths);
        self.seen.retain(|path, _| paths.contains(path));
        let mut models = BTreeMap::new();
        for path in paths {
            let Some(mut file) = self.read(&path) else { continue };
            if models.contains_key(&file.id) {
                let parent =
                    path.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
                file.id = format!("{}/{}", parent.unwrap_or_default(), file.id);
            }
            models.entry(file.id.clone()).or_insert(file);
        }
        models
    }

    fn read(&mut self, path: &Path) -> Option<ModelFile> {
        let metadata = fs::metadata(path).ok()?;
        let stamp = (metadata.len(), metadata.modified().ok());
        if let Some((size, modified, file)) = self.seen.get(path)
            && (*size, *modified) == stamp
        {
            return Some(file.clone());
        }
        let file = describe(path, metadata.len(), Header::read(path));
        self.seen.insert(path.to_owned(), (stamp.0, stamp.1, file.clone()));
        Some(file)
    }
}

/// The id of the model in the file at `path`.
#[must_use]
pub fn model_id(path: &Path) -> String {
    path.file_stem().map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn describe(path: &Path, size_bytes: u64, header: Result<Header, GgufError>) -> ModelFile {
    let id = model_id(path);
    let mut file = ModelFile {
        name: id.clone(),
        id,
        path: path.to_owned(),
        version: None,
        modality: Modality::Text,
        capabilities: Vec::new(),
        architecture: None,
        context_length: None,
        size_bytes,
        problem: None,
    };
    match header {
        Ok(header) => {
            if let Some(name) = header.name() {
                name.clone_into(&mut file.name);
            }
            file.version = header.quantisation().map(str::to_owned);
            file.architecture = header.architecture().map(str::to_owned);
            file.context_length = header.context_length();
            if header.is_embedding() {
                file.modality = Modality::Embedding;
            }
            if let Some(template) = header.chat_template() {
                file.capabilities.push(Capability::Chat);
                if template.contains("tools") {
                    file.capabilities.push(Capability::Tools);
                }
            }
        }
        Err(error) => file.problem = Some(error.to_string()),
    }
    file
}

/// Every `.gguf` below `folder`, in a steady order; later parts of a split model and projectors of
/// vision models aren't models of their own.
fn collect(folder: &Path, depth: usize, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
    paths.sort();
    let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
    for path in files {
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        let model = name.ends_with(".gguf") && !is_later_part(&name) && !name.starts_with("mmproj");
        if model && !into.contains(&path) {
            into.push(path);
        }
    }
    if depth < MAX_DEPTH {
        for folder in folders {
            collect(&folder, depth + 1, into);
        }
    }
}

/// Whether a name ends like `-00002-of-00003.gguf`.
fn is_later_part(name: &str) -> bool {
    let stem = name.trim_end_matches(".gguf");
    let Some((head, total)) = stem.rsplit_once("-of-") else { return false };
    let Some((_, part)) = head.rsplit_once('-') else { return false };
    matches!((part.parse::<u32>(), total.parse::<u32>()), (Ok(part), Ok(_)) if part > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_scanned_and_bad_files_are_listed_with_their_problem() {
        let folder = tempfile::tempdir().unwrap();
        let tiny = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny-chat/tiny-chat.gguf");
        let at = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        fs::copy(tiny, at("tiny-chat.gguf")).unwrap();
        fs::copy(tiny, at("someone/repo/tiny-chat.gguf")).unwrap();
        fs::copy(tiny, at("big-00001-of-00002.gguf")).unwrap();
        fs::copy(tiny, at("big-00002-of-00002.gguf")).unwrap();
        fs::copy(tiny, at("mmproj-vision.gguf")).unwrap();
        fs::write(at("broken.gguf"), b"GGUF").unwrap();
        fs::write(at("notes.txt"), b"not a model").unwrap();

        let mut catalog = Catalog::new(folder.path().to_owned(), vec![]);
        let models = catalog.scan();
        let ids: Vec<&str> = models.keys().map(String::as_str).collect();
        assert_eq!(ids, ["big-00001-of-00002", "broken", "repo/tiny-chat", "tiny-chat"]);
        assert!(models["broken"].problem.as_ref().unwrap().contains("truncated"));
        assert_eq!(models["tiny-chat"].version.as_deref(), Some("Q8_0"));

        fs::remove_file(at("broken.gguf")).unwrap();
        assert!(!catalog.scan().contains_key("broken"));
    }
}
