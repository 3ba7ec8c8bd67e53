//! The node's model files: those of the model folder, and files that the operator has named.

mod parts;
mod pictures;
pub mod watch;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use hearth_domain::{Capability, Modality, ModelDescription};

use crate::gguf::{Header, Shape};
use parts::Parts;
pub use parts::model_id;

/// Depth of folders below the model folder that are searched: enough for `owner/repository/file`.
const FOLDERS_MAX_DEPTH: usize = 4;

/// A model file and its header's data.
#[derive(Debug, Clone)]
pub struct ModelFile {
    /// The model's id: the file's name without its extension, or the folder's name.
    pub id: String,
    /// Its path; of a split model, the path of the first part; of an image model it may be a folder.
    pub path: PathBuf,
    /// Every existing file of the model: `path`, and the other parts of a split model; or the files of the folder.
    pub parts: Vec<PathBuf>,
    /// The data of its header; the context length is the one that it was trained for.
    pub description: ModelDescription,
    /// Its size in bytes, of all parts together.
    pub size_bytes: u64,
    /// Last change of one of its files.
    pub modified: Option<SystemTime>,
    /// The dimensions that its memory depends on; `None` if the header can't be read.
    pub shape: Option<Shape>,
    /// The reason why it can't be used, if it can't.
    pub problem: Option<String>,
}

/// Model files by the ids of their models.
pub type ModelFiles = BTreeMap<String, ModelFile>;

/// Finds the node's model files. A header is read again only when its file has changed.
#[derive(Debug)]
pub struct ModelScanner {
    folder: PathBuf,
    extra: Vec<PathBuf>,
    /// Files of the registry. They take no id that another file has.
    registered: Vec<PathBuf>,
    /// The files of the last scan; none for a file that is no model.
    cache: HashMap<PathBuf, (Parts, Option<ModelFile>)>,
}

impl ModelScanner {
    /// Creates a scanner of `folder` and of the files in `extra`.
    #[must_use]
    pub fn new(folder: PathBuf, extra: Vec<PathBuf>) -> Self {
        Self { folder, extra, registered: Vec::new(), cache: HashMap::new() }
    }

    /// Replaces the files of the registry.
    pub fn set_registered(&mut self, registered: Vec<PathBuf>) {
        self.registered = registered;
    }

    /// Scans the files. If two files have the same id, the second one gets its folder's name as a prefix, and a number as
    /// a suffix if that id exists too. A file that is reached twice, by a link to a folder, is one model.
    pub fn scan(&mut self) -> ModelFiles {
        let mut paths: Vec<PathBuf> = self.extra.iter().cloned().map(parts::first).collect();
        collect(&self.folder, 0, &mut paths);
        paths.extend(self.registered.iter().cloned().map(parts::first));
        self.cache.retain(|path, _| paths.contains(path));
        let mut models = BTreeMap::new();
        let mut reached = HashSet::new();
        for path in paths {
            let Some(mut file) = self.read(&path) else { continue };
            let target = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            if !reached.insert((target, file.id.clone())) {
                continue;
            }
            if models.contains_key(&file.id) {
                file.id = unused_id(|id| models.contains_key(id), &path, &file.id);
            }
            models.insert(file.id.clone(), file);
        }
        models
    }

    /// Reads the model whose first file is at `path`; `None` if none of its files exists, or it is no model.
    fn read(&mut self, path: &Path) -> Option<ModelFile> {
        let parts = Parts::of(path);
        if parts.existing.is_empty() {
            return None;
        }
        if let Some((before, file)) = self.cache.get(path)
            && *before == parts
        {
            return file.clone();
        }
        let file = match pictures::is_candidate(path) {
            true => pictures::describe(path, &parts),
            false => Some(describe(path, &parts)),
        };
        self.cache.insert(path.to_owned(), (parts, file.clone()));
        file
    }
}

/// Returns the id that the model at `target` has in a scan of `folder`, once the file is there. It reads no file.
#[must_use]
pub fn id_in_folder(folder: &Path, target: &Path) -> String {
    let target = parts::first(target.to_owned());
    let mut paths = Vec::new();
    collect(folder, 0, &mut paths);
    if !paths.contains(&target) {
        paths.push(target.clone());
        paths.sort_by(|a, b| scan_order(a, b));
    }
    let mut used = HashSet::new();
    for path in paths {
        let mut id = model_id(&path);
        if used.contains(&id) {
            id = unused_id(|id| used.contains(id), &path, &id);
        }
        if path == target {
            return id;
        }
        used.insert(id);
    }
    model_id(&target)
}

/// The order of a scan: the files of a folder come before those of its folders.
fn scan_order(a: &Path, b: &Path) -> Ordering {
    let (mut a, mut b) = (a.components().peekable(), b.components().peekable());
    loop {
        match (a.next(), b.next()) {
            (Some(first), Some(second)) if first == second => {}
            (Some(first), Some(second)) => {
                let (is_folder, is_other_folder) = (a.peek().is_some(), b.peek().is_some());
                return (is_folder, first).cmp(&(is_other_folder, second));
            }
            (first, second) => return first.is_some().cmp(&second.is_some()),
        }
    }
}

/// Returns an unused id for the file at `path`: `id` with the folder's name as a prefix, and a number if necessary.
fn unused_id(is_used: impl Fn(&str) -> bool, path: &Path, id: &str) -> String {
    let parent = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy());
    let id = format!("{}/{id}", parts::safe_id(&parent.unwrap_or_default()));
    let first = id.clone();
    let numbered = (2..).map(move |number: u32| format!("{first}-{number}"));
    let mut ids = std::iter::once(id.clone()).chain(numbered);
    ids.find(|id| !is_used(id)).unwrap_or(id)
}

/// A model by its files alone.
fn undescribed(path: &Path, parts: &Parts, modality: Modality) -> ModelFile {
    let id = model_id(path);
    ModelFile {
        description: ModelDescription::new(&*id, modality),
        id,
        path: path.to_owned(),
        parts: parts.existing.clone(),
        size_bytes: parts.size,
        modified: parts.modified,
        shape: None,
        problem: parts.problem().or_else(|| non_utf8_path(path)),
    }
}

fn describe(path: &Path, parts: &Parts) -> ModelFile {
    let mut file = undescribed(path, parts, Modality::Text);
    match header(parts) {
        Ok(header) => {
            file.problem = file.problem.or_else(|| misnamed(path, &header)).or_else(|| header.unusable());
            add_header(&mut file, &header);
        }
        Err(problem) => file.problem = file.problem.or(Some(problem)),
    }
    file
}

/// Reads the headers of all parts: the first one has the metadata, each has tensors.
fn header(parts: &Parts) -> Result<Header, String> {
    let mut whole: Option<Header> = None;
    for path in &parts.existing {
        let read = Header::read(path).map_err(|error| match parts.existing.len() {
            1 => error.to_string(),
            _ => format!("{}: {error}", path.file_name().unwrap_or_default().to_string_lossy()),
        });
        match &mut whole {
            None => whole = Some(read?),
            Some(whole) => whole.add_part(&read?),
        }
    }
    whole.ok_or_else(|| "its file was deleted".to_owned())
}

/// The problem of a path that can't be sent to a worker, since commands are JSON.
fn non_utf8_path(path: &Path) -> Option<String> {
    path.to_str().is_none().then(|| "the path of its file is not valid UTF-8; rename it".to_owned())
}

/// The problem of a first part with another name, since llama.cpp finds the other parts by its name.
fn misnamed(path: &Path, header: &Header) -> Option<String> {
    let total = header.split_count().filter(|count| *count > 1)?;
    let name = parts::required_name(path, total)?;
    Some(format!("it is one of {total} parts of a split model; the first part must be named {name}"))
}

fn add_header(file: &mut ModelFile, header: &Header) {
    if let Some(name) = header.name() {
        name.clone_into(&mut file.description.name);
    }
    file.description.version = header.quantisation().map(str::to_owned);
    file.description.architecture = header.architecture().map(str::to_owned);
    file.description.context_length = header.context_length();
    file.shape = Some(Shape::of(header));
    if let Some(problem) = pictures::unsupported_gguf(header) {
        file.description.modality = Modality::Image;
        file.problem.get_or_insert(problem);
        return;
    }
    if header.is_embedding() {
        file.description.modality = Modality::Embedding;
        return;
    }
    if let Some(template) = header.chat_template() {
        // A grammar enforces a schema with any model.
        file.description.capabilities.extend([Capability::Chat, Capability::JsonSchema]);
        if template.contains("tools") {
            file.description.capabilities.push(Capability::Tools);
        }
        if template.contains("</think>") {
            file.description.capabilities.push(Capability::Reasoning);
        }
    }
}

/// Collects the models below `folder`, sorted, each by its file, its first part or its folder. Projectors of vision models
/// are left out, and the files that belong to an image model's folder.
fn collect(folder: &Path, depth: usize, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
    paths.sort();
    let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
    for path in files {
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        let is_model = name.ends_with(".gguf") && !name.starts_with("mmproj");
        if is_model || pictures::is_candidate(&path) {
            let first = parts::first(path);
            if !into.contains(&first) {
                into.push(first);
            }
        }
    }
    if depth < FOLDERS_MAX_DEPTH {
        for folder in folders {
            if pictures::is_candidate(&folder) {
                let beside = pictures::beside(&folder);
                into.push(folder);
                into.extend(beside);
            } else {
                collect(&folder, depth + 1, into);
            }
        }
    }
}

#[cfg(test)]
mod tests;
