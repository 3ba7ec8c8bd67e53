//! Writes GGUF files for tests.

use std::path::Path;

/// A metadata value to write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry<'a> {
    Number(u32),
    Text(&'a str),
    Texts(&'a [&'a str]),
    Numbers(&'a [i32]),
    Truths(&'a [bool]),
}

/// Writes a GGUF file with this metadata and, unless `weights` is 0, a tensor of so many numbers of four bytes.
pub(crate) fn gguf(path: &Path, metadata: &[(&str, Entry<'_>)], weights: u64) {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(u64::from(weights > 0).to_le_bytes());
    bytes.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        text(&mut bytes, key);
        entry(&mut bytes, *value);
    }
    if weights > 0 {
        text(&mut bytes, "output.weight");
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(weights.to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(0u64.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(32) + 4 * weights as usize, 0);
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn entry(bytes: &mut Vec<u8>, value: Entry<'_>) {
    match value {
        Entry::Number(number) => {
            bytes.extend(4u32.to_le_bytes());
            bytes.extend(number.to_le_bytes());
        }
        Entry::Text(value) => {
            bytes.extend(8u32.to_le_bytes());
            text(bytes, value);
        }
        Entry::Texts(texts) => {
            array(bytes, 8, texts.len());
            texts.iter().for_each(|value| text(bytes, value));
        }
        Entry::Numbers(numbers) => {
            array(bytes, 5, numbers.len());
            numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        }
        Entry::Truths(truths) => {
            array(bytes, 7, truths.len());
            bytes.extend(truths.iter().map(|truth| u8::from(*truth)));
        }
    }
}

fn array(bytes: &mut Vec<u8>, kind: u32, items: usize) {
    bytes.extend(9u32.to_le_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend((items as u64).to_le_bytes());
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}
