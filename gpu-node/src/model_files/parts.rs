//! The files of a model: one file, or the parts of a split model.
//!
//! Parts are named `name-00001-of-00003.gguf` and so on, in one folder. llama.cpp gets the path of the first and finds the
//! others by these names.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::pictures;

/// Missing parts that a problem lists by name.
const LISTED_MAX_COUNT: usize = 3;

/// The parsed name of a part.
#[derive(Debug, PartialEq, Eq)]
struct PartName<'a> {
    stem: &'a str,
    number: u32,
    total: u32,
}

impl<'a> PartName<'a> {
    /// Parses a file name; `None` if it isn't that of a part.
    fn parse(name: &'a str) -> Option<Self> {
        let (head, total) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
        let (stem, number) = head.rsplit_once('-')?;
        let (number, total) = (five_digits(number)?, five_digits(total)?);
        (1..=total).contains(&number).then_some(Self { stem, number, total })
    }

    fn of(path: &'a Path) -> Option<Self> {
        Self::parse(path.file_name()?.to_str()?)
    }

    fn path(&self, beside: &Path, number: u32) -> PathBuf {
        beside.with_file_name(format!("{}-{number:05}-of-{:05}.gguf", self.stem, self.total))
    }
}

/// Parses a number of five digits, as llama.cpp writes and expects it.
fn five_digits(text: &str) -> Option<u32> {
    let digits = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Returns the id of the model in the file at `path`: its name without its extension and without the number of a part, or the
/// name of a folder, changed by [`safe_id`].
#[must_use]
pub fn model_id(path: &Path) -> String {
    if let Some(part) = PartName::of(path) {
        return safe_id(part.stem);
    }
    // The dots of a folder's name belong to it.
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.map_or_else(|| "model".to_owned(), |name| safe_id(&name.to_string_lossy()))
}

/// Makes an id of a local model from `name`. Colons, which separate a provider from its model, and control characters,
/// which break headers and terminals, become hyphens. A name in [`RESERVED_IDS`] gets an ending; an empty one becomes
/// `model`.
pub(super) fn safe_id(name: &str) -> String {
    let id: String = name.chars().map(|c| if c == ':' || c.is_control() { '-' } else { c }).collect();
    let id = id.trim();
    match id {
        "" => "model".to_owned(),
        id if RESERVED_IDS.contains(&id.to_lowercase().as_str()) => format!("{id}-gguf"),
        id => id.to_owned(),
    }
}

/// Ids with another meaning in the API: `auto`, and the routes below `/v1/models`.
const RESERVED_IDS: [&str; 7] = ["auto", "download", "load", "loaded", "search", "status", "unload"];

/// Returns the path of the first part of the model with the file at `path`, or the path itself.
pub(super) fn first(path: PathBuf) -> PathBuf {
    PartName::of(&path).map(|part| part.path(&path, 1)).unwrap_or(path)
}

/// Returns the name that the first of `total` parts must have, if it has another.
pub(super) fn required_name(path: &Path, total: u32) -> Option<String> {
    let named_total = PartName::of(path).map(|part| part.total);
    (named_total != Some(total)).then(|| format!("{}-00001-of-{total:05}.gguf", model_id(path)))
}

/// A model's files on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The existing files, in order.
    pub(super) existing: Vec<PathBuf>,
    /// The missing files.
    pub(super) missing: Vec<PathBuf>,
    /// Bytes of all existing files.
    pub(super) size: u64,
    /// The latest change of an existing file.
    pub(super) modified: Option<SystemTime>,
}

impl Parts {
    /// Finds the files of the model whose first file is `first`.
    pub(super) fn of(first: &Path) -> Self {
        let mut parts = Self::default();
        if first.is_dir() {
            pictures::files(first).into_iter().for_each(|file| parts.add(file));
            return parts;
        }
        match PartName::of(first) {
            Some(name) => (1..=name.total).for_each(|number| parts.add(name.path(first, number))),
            None => parts.add(first.to_owned()),
        }
        parts
    }

    /// The problem, if parts are missing.
    pub(super) fn problem(&self) -> Option<String> {
        let names: Vec<_> =
            self.missing.iter().take(LISTED_MAX_COUNT).filter_map(|path| path.file_name()).collect();
        let names = names.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(", ");
        let more = match self.missing.len().saturating_sub(LISTED_MAX_COUNT) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let total = self.existing.len() + self.missing.len();
        (!self.missing.is_empty()).then(|| {
            let count = self.missing.len();
            format!("{count} of its {total} parts missing: {names}{more}; put them into the same folder")
        })
    }

    fn add(&mut self, path: PathBuf) {
        let Some(metadata) = fs::metadata(&path).ok().filter(fs::Metadata::is_file) else {
            return self.missing.push(path);
        };
        self.size = self.size.saturating_add(metadata.len());
        self.modified = self.modified.max(metadata.modified().ok());
        self.existing.push(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_are_parsed() {
        for (name, parsed) in [
            ("big-00001-of-00003.gguf", Some(("big", 1, 3))),
            ("big-Q4_K_M-00003-of-00003.gguf", Some(("big-Q4_K_M", 3, 3))),
            ("big-00004-of-00003.gguf", None),
            ("big-00000-of-00003.gguf", None),
            ("big-1-of-3.gguf", None),
            ("big-000001-of-00003.gguf", None),
            ("big-0000a-of-00003.gguf", None),
            ("00001-of-00003.gguf", None),
            ("one-of-many.gguf", None),
            ("big-00001-of-00003.gguf.part", None),
        ] {
            let part = PartName::parse(name).map(|part| (part.stem, part.number, part.total));
            assert_eq!(part, parsed, "{name}");
        }
        assert_eq!(
            first(PathBuf::from("/m/big-00002-of-00003.gguf")),
            Path::new("/m/big-00001-of-00003.gguf")
        );
        assert_eq!(model_id(Path::new("/m/big-00002-of-00003.gguf")), "big");
        assert_eq!(model_id(Path::new("/m/Qwen3-0.6B-Q8_0.gguf")), "Qwen3-0.6B-Q8_0");
    }

    #[test]
    fn id_is_never_that_of_a_provider_or_a_route() {
        for (file, id) in [
            ("openai:gpt-4.gguf", "openai-gpt-4"),
            ("a:b:c-00001-of-00002.gguf", "a-b-c"),
            ("auto.gguf", "auto-gguf"),
            ("Status.gguf", "Status-gguf"),
            ("loaded.gguf", "loaded-gguf"),
            ("automatic.gguf", "automatic"),
            ("new\nline\u{1b}[31m.gguf", "new-line-[31m"),
            ("日本 modèle.gguf", "日本 modèle"),
            (" .gguf", "model"),
        ] {
            assert_eq!(model_id(&Path::new("/m").join(file)), id, "{file:?}");
        }
    }
}
