//! Which models the node has: its model folder, and files named by the operator.

mod parts;
pub mod watch;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use hearth_domain::{Capability, Modality};

use crate::gguf::{Header, Shape};
use parts::Parts;
pub use parts::model_id;

/// How deep below the model folder files are looked for: `owner/repository/file`.
const MAX_DEPTH: usize = 4;

/// A model file and what its header says.
#[derive(Debug, Clone)]
pub struct ModelFile {
    /// The id that clients write: the file's name without `.gguf`.
    pub id: String,
    /// Where it is; the first part of a model that is split.
    pub path: PathBuf,
    /// Every file of it that is there: `path`, and the other parts of a model that is split.
    pub parts: Vec<PathBuf>,
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
    /// Its size in bytes, of all parts together.
    pub size_bytes: u64,
    /// When one of its files was changed last.
    pub modified: Option<SystemTime>,
    /// What its use of memory depends on; absent if its header can't be read.
    pub shape: Option<Shape>,
    /// Why it can't be used, if it can't.
    pub problem: Option<String>,
}

/// The node's models. Headers are read once and again only when a file has changed.
#[derive(Debug)]
pub struct Catalog {
    folder: PathBuf,
    extra: Vec<PathBuf>,
    seen: HashMap<PathBuf, (Parts, ModelFile)>,
}

impl Catalog {
    /// A catalog of `folder` and of the files in `extra`.
    #[must_use]
    pub fn new(folder: PathBuf, extra: Vec<PathBuf>) -> Self {
        Self { folder, extra, seen: HashMap::new() }
    }

    /// Looks again, and gives every model by its id. Where two files would have the same id, the
    /// second gets its folder's name in front, and a number behind it if that is taken too. A file that is reached
    /// again, by a link to a folder, is the same model.
    pub fn scan(&mut self) -> BTreeMap<String, ModelFile> {
        let mut paths: Vec<PathBuf> = self.extra.iter().cloned().map(parts::first).collect();
        collect(&self.folder, 0, &mut paths);
        self.seen.retain(|path, _| paths.contains(path));
        let mut models = BTreeMap::new();
        let mut reached = HashSet::new();
        for path in paths {
            let Some(mut file) = self.read(&path) else { continue };
            let target = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            if !reached.insert((target, file.id.clone())) {
                continue;
            }
            if models.contains_key(&file.id) {
                file.id = free_id(&models, &path, &file.id);
            }
            models.insert(file.id.clone(), file);
        }
        models
    }

    /// The model that the file at `path` stands for; nothing if no file of it is there.
    fn read(&mut self, path: &Path) -> Option<ModelFile> {
        let parts = Parts::look(path);
        if parts.found.is_empty() {
            return None;
        }
        if let Some((before, file)) = self.seen.get(path)
            && *before == parts
        {
            return Some(file.clone());
        }
        let file = describe(path, &parts);
        self.seen.insert(path.to_owned(), (parts, file.clone()));
        Some(file)
    }
}

/// An id for the file at `path` that no model has: `id` with the folder's name in front, numbered if need be.
fn free_id(taken: &BTreeMap<String, ModelFile>, path: &Path, id: &str) -> String {
    let parent = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy());
    let id = format!("{}/{id}", parts::safe_id(&parent.unwrap_or_default()));
    let first = id.clone();
    let numbered = (2..).map(move |number: u32| format!("{first}-{number}"));
    let mut ids = std::iter::once(id.clone()).chain(numbered);
    ids.find(|id| !taken.contains_key(id)).unwrap_or(id)
}

fn describe(path: &Path, parts: &Parts) -> ModelFile {
    let id = model_id(path);
    let mut file = ModelFile {
        name: id.clone(),
        id,
        path: path.to_owned(),
        parts: parts.found.clone(),
        version: None,
        modality: Modality::Text,
        capabilities: Vec::new(),
        architecture: None,
        context_length: None,
        size_bytes: parts.size,
        modified: parts.modified,
        shape: None,
        problem: parts.problem().or_else(|| unspeakable(path)),
    };
    match header(parts) {
        Ok(header) => {
            file.problem = file.problem.or_else(|| misnamed(path, &header)).or_else(|| header.unusable());
            tell(&mut file, &header);
        }
        Err(problem) => file.problem = file.problem.or(Some(problem)),
    }
    file
}

/// What the headers of all parts say; the first one has the metadata, all have tensors.
fn header(parts: &Parts) -> Result<Header, String> {
    let mut whole: Option<Header> = None;
    for path in &parts.found {
        let read = Header::read(path).map_err(|error| match parts.found.len() {
            1 => error.to_string(),
            _ => format!("{}: {error}", path.file_name().unwrap_or_default().to_string_lossy()),
        });
        match &mut whole {
            None => whole = Some(read?),
            Some(whole) => whole.add_part(&read?),
        }
    }
    whole.ok_or_else(|| "its file is gone".to_owned())
}

/// A worker is told of its file in JSON.
fn unspeakable(path: &Path) -> Option<String> {
    path.to_str().is_none().then(|| "the path of its file is not valid UTF-8; rename it".to_owned())
}

/// llama.cpp finds the other parts by the name of the first.
fn misnamed(path: &Path, header: &Header) -> Option<String> {
    let total = header.split_count().filter(|count| *count > 1)?;
    let needed = parts::name_needed(path, total)?;
    Some(format!("it is one of {total} parts of a split model; the first part must be named {needed}"))
}

fn tell(file: &mut ModelFile, header: &Header) {
    if let Some(name) = header.name() {
        name.clone_into(&mut file.name);
    }
    file.version = header.quantisation().map(str::to_owned);
    file.architecture = header.architecture().map(str::to_owned);
    file.context_length = header.context_length();
    file.shape = Some(header.shape());
    if header.is_embedding() {
        file.modality = Modality::Embedding;
        return;
    }
    if let Some(template) = header.chat_template() {
        // Whatever the model, a grammar keeps it to a schema.
        file.capabilities.extend([Capability::Chat, Capability::JsonSchema]);
        if template.contains("tools") {
            file.capabilities.push(Capability::Tools);
        }
        if template.contains("</think>") {
            file.capabilities.push(Capability::Reasoning);
        }
    }
}

/// Every model below `folder`, by its file or its first part, in a steady order. Projectors of vision
/// models aren't models of their own.
fn collect(folder: &Path, depth: usize, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
    paths.sort();
    let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
    for path in files {
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        if name.ends_with(".gguf") && !name.starts_with("mmproj") {
            let first = parts::first(path);
            if !into.contains(&first) {
                into.push(first);
            }
        }
    }
    if depth < MAX_DEPTH {
        for folder in folders {
            collect(&folder, depth + 1, into);
        }
    }
}

#[cfg(test)]
mod tests;
