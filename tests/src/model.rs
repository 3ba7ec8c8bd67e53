//! The model that the tests use, whole and broken.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The file of the small model that answers in every test.
#[must_use]
pub fn tiny_chat() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny-chat/tiny-chat.gguf")
}

/// The folder of the small image model, a pipeline of diffusers with random weights.
#[must_use]
pub fn tiny_diffusion() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny-diffusion/model")
}

/// Puts the small image model into the folder `to`.
///
/// # Panics
/// If it can't be written.
pub fn copy_image_model(to: &Path) {
    copy_folder(&tiny_diffusion(), to);
}

fn copy_folder(from: &Path, to: &Path) {
    let entries = fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    fs::create_dir_all(to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    for entry in entries.flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

/// Puts the model at `path`.
///
/// # Panics
/// If it can't be written.
pub fn whole_copy(path: &Path) {
    write(path, &read());
}

/// Puts the model at `path`, with metadata that promises a context of `tokens`.
///
/// # Panics
/// If it can't be written.
pub fn copy_with_context(path: &Path, tokens: u32) {
    const KEY: &[u8] = b"llama.context_length";
    let mut bytes = read();
    let key = bytes.windows(KEY.len()).position(|window| window == KEY);
    let key = key.unwrap_or_else(|| panic!("the model doesn't say how long its context is"));
    // Its type, of four bytes, is between the key and the value.
    let value = key + KEY.len() + 4;
    bytes[value..value + 4].copy_from_slice(&tokens.to_le_bytes());
    write(path, &bytes);
}

/// Puts the model at `path`, with a chat template that goes on with `end`.
///
/// # Panics
/// If it can't be written.
pub(crate) fn copy_with_template_end(path: &Path, end: &str) {
    write_with_template(path, |template| template + end);
}

/// Puts the model at `path`, with this chat template.
///
/// # Panics
/// If it can't be written.
pub(crate) fn copy_with_template(path: &Path, template: &str) {
    write_with_template(path, |_| template.to_owned());
}

fn write_with_template(path: &Path, change: impl FnOnce(String) -> String) {
    const KEY: &[u8] = b"tokenizer.chat_template";
    /// Alignment of the tensor data after the metadata, in bytes.
    const ALIGNMENT: usize = 32;
    let mut bytes = read();
    let key = bytes.windows(KEY.len()).position(|window| window == KEY);
    let key = key.unwrap_or_else(|| panic!("the model has no chat template"));
    // Its type, of four bytes, and its length, of eight, are between the key and the text.
    let text = key + KEY.len() + 12;
    let length = u64::from_le_bytes(bytes[text - 8..text].try_into().unwrap_or_default()) as usize;
    let mut template = change(String::from_utf8_lossy(&bytes[text..text + length]).into_owned());
    // A comment makes up the difference.
    let missing = (length + ALIGNMENT - template.len() % ALIGNMENT) % ALIGNMENT;
    template.push_str(&format!("{{#{}#}}", " ".repeat(missing + ALIGNMENT - 4)));
    bytes[text - 8..text].copy_from_slice(&(template.len() as u64).to_le_bytes());
    bytes.splice(text..text + length, template.into_bytes());
    write(path, &bytes);
}

/// Puts the model at `path`, with metadata that names its first tokens as those of fill-in-the-middle.
///
/// # Panics
/// If it can't be written.
pub fn copy_with_fim_tokens(path: &Path) {
    /// Where the number of metadata entries stands, and where the first of them begins.
    const COUNT: usize = 16;
    const FIRST: usize = 24;
    /// The types of numbers of four bytes without a sign, and of texts.
    const UINT32: u32 = 4;
    const STRING: u32 = 8;
    /// Alignment of the tensor data after the metadata, in bytes.
    const ALIGNMENT: usize = 32;
    let entry = |key: &str, kind: u32, value: &[u8]| {
        let mut entry = (key.len() as u64).to_le_bytes().to_vec();
        entry.extend_from_slice(key.as_bytes());
        entry.extend_from_slice(&kind.to_le_bytes());
        entry.extend_from_slice(value);
        entry
    };
    let mut added: Vec<u8> = Vec::new();
    for (token, name) in (3_u32..).zip(["pre", "suf", "mid"]) {
        added.extend(entry(&format!("tokenizer.ggml.fim_{name}_token_id"), UINT32, &token.to_le_bytes()));
    }
    let text = |length: usize| {
        let mut value = (length as u64).to_le_bytes().to_vec();
        value.resize(8 + length, b' ');
        entry("general.description.padding", STRING, &value)
    };
    let missing = (added.len() + text(0).len()).next_multiple_of(ALIGNMENT) - added.len() - text(0).len();
    added.extend(text(missing));
    let mut bytes = read();
    let count = u64::from_le_bytes(bytes[COUNT..COUNT + 8].try_into().unwrap_or_default()) + 4;
    bytes[COUNT..COUNT + 8].copy_from_slice(&count.to_le_bytes());
    bytes.splice(FIRST..FIRST, added);
    write(path, &bytes);
}

/// Puts the first half of the model at `path`, as a download that was cut leaves it.
///
/// # Panics
/// If it can't be written.
pub fn truncated_copy(path: &Path) {
    let whole = read();
    write(path, &whole[..whole.len() / 2]);
}

/// Puts the model at `path` with its first byte changed, so that it is no GGUF file.
///
/// # Panics
/// If it can't be written.
pub fn corrupt_copy(path: &Path) {
    let mut bytes = read();
    bytes[0] ^= 0xff;
    write(path, &bytes);
}

fn read() -> Vec<u8> {
    let path = tiny_chat();
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
