use std::path::PathBuf;

use super::*;

fn tiny() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny-chat/tiny-chat.gguf")).unwrap()
}

fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn the_tiny_model_says_what_it_is() {
    let (_folder, path) = file(&tiny());
    let header = Header::read(&path).unwrap();
    assert_eq!(header.architecture(), Some("llama"));
    assert_eq!(header.name(), Some("tiny-chat"));
    assert_eq!(header.quantisation(), Some("Q8_0"));
    assert_eq!(header.context_length(), Some(4096));
    assert!(header.chat_template().is_some());
    assert!(!header.is_embedding());
}

#[test]
fn a_file_cut_anywhere_is_truncated() {
    let whole = tiny();
    for keep in [5, 23, 100, whole.len() / 2, whole.len() - 1] {
        let (_folder, path) = file(&whole[..keep]);
        let error = Header::read(&path).unwrap_err();
        assert!(matches!(error, GgufError::Truncated { .. }), "{keep} bytes: {error}");
    }
}

#[test]
fn other_files_are_refused() {
    let (_folder, path) = file(b"PK\x03\x04 a zip file");
    assert!(matches!(Header::read(&path).unwrap_err(), GgufError::NotGguf(_)));
    let (_folder, path) =
        file(b"GGUF\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
    assert!(matches!(Header::read(&path).unwrap_err(), GgufError::Version(9)));
    let (_folder, path) = file(b"");
    assert!(matches!(Header::read(&path).unwrap_err(), GgufError::Truncated { .. }));
    assert!(matches!(Header::read(&path.join("gone")).unwrap_err(), GgufError::Io(_)));
}

proptest::proptest! {
    #[test]
    fn any_flipped_byte_in_the_header_gives_an_answer(at in 0usize..20_000, bits in 1u8..) {
        let mut bytes = tiny();
        bytes[at] ^= bits;
        let (_folder, path) = file(&bytes);
        let _ = Header::read(&path);
    }
}
