use std::path::PathBuf;

use super::{
    written::Entry::{self, Number, Numbers, Text, Texts, Truths},
    *,
};

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
fn header_of_the_tiny_model_is_read() {
    let (_folder, path) = file(&tiny());
    let header = Header::read(&path).unwrap();
    assert_eq!(header.architecture(), Some("llama"));
    assert_eq!(header.name(), Some("tiny-chat"));
    assert_eq!(header.quantisation(), Some("Q8_0"));
    assert_eq!(header.context_length(), Some(4096));
    assert!(header.chat_template().is_some());
    assert!(!header.is_embedding());
    assert_eq!((header.unusable(), header.split_count()), (None, None));
    let shape = Shape::of(&header);
    assert_eq!((shape.heads, shape.embedding_length, shape.vocabulary), (4, 128, 768), "{shape:?}");
    assert_eq!(shape.tensor_bytes, header.tensor_bytes());
    assert!(shape.tensor_bytes < header.file_size() && shape.tensor_bytes > header.file_size() / 2);
}

#[test]
fn cut_file_is_truncated() {
    let whole = tiny();
    for keep in [5, 23, 100, whole.len() / 2, whole.len() - 1] {
        let (_folder, path) = file(&whole[..keep]);
        let error = Header::read(&path).unwrap_err();
        assert!(matches!(error, GgufError::Truncated { .. }), "{keep} bytes: {error}");
    }
}

#[test]
fn long_texts_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let (long, template) = ("é".repeat(500_000), "x".repeat(100_000) + " tools");
    let tags = vec![long.as_str(); 8];
    let metadata = [
        ("general.architecture", Text(&long)),
        ("general.name", Text(&long)),
        ("general.license", Text(&long)),
        ("general.url", Text(&long)),
        ("general.tags", Texts(&tags)),
        ("tokenizer.ggml.model", Text(&long)),
        ("tokenizer.chat_template", Text(&template)),
        (&long, Number(1)),
    ];
    written::gguf(&path, &metadata, 8);
    let header = Header::read(&path).unwrap();
    let cut = "é".repeat(128);
    let texts =
        [header.architecture(), header.name(), header.license(), header.source_url(), header.tokenizer()];
    assert_eq!(texts, [Some(cut.as_str()); 5]);
    assert_eq!(header.chat_template(), Some(template.as_str()));
    assert_eq!(header.get("general.tags"), Some(&hearth_worker::gguf::Value::Array(8)));
    assert_eq!((header.get(&cut).is_some(), header.get(&long)), (true, None));
}

#[test]
fn chat_template_over_the_limit_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let read = |template: &str| {
        let template = ("tokenizer.chat_template", Text(template));
        written::gguf(&path, &[("general.architecture", Text("llama")), template], 8);
        Header::read(&path)
    };
    let longest = "x".repeat(1 << 20);
    assert_eq!(read(&longest).unwrap().chat_template(), Some(longest.as_str()));
    let error = read(&(longest + "x")).unwrap_err();
    assert_eq!(error.to_string(), "the chat template has more than 1 MiB");
}

#[test]
fn other_files_are_refused() {
    let (_folder, path) = file(b"PK\x03\x04 a zip file");
    assert!(matches!(Header::read(&path).unwrap_err(), GgufError::NotGguf));
    let (_folder, path) =
        file(b"GGUF\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
    assert!(matches!(Header::read(&path).unwrap_err(), GgufError::Version(9)));
    let (_folder, path) = file(b"");
    assert!(matches!(Header::read(&path).unwrap_err(), GgufError::Truncated { .. }));
    assert!(matches!(Header::read(&path.join("gone")).unwrap_err(), GgufError::Io(_)));
}

proptest::proptest! {
    #[test]
    fn flipped_byte_in_the_header_never_panics(at in 0usize..20_000, bits in 1u8..) {
        let mut bytes = tiny();
        bytes[at] ^= bits;
        let (_folder, path) = file(&bytes);
        if let Ok(header) = Header::read(&path) {
            let _ = (Shape::of(&header), header.unusable(), header.is_embedding());
        }
    }
}

/// A header of an architecture with these keys.
fn header(architecture: &str, keys: &[(&str, Entry<'_>)]) -> Header {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let named: Vec<(String, Entry<'_>)> = keys
        .iter()
        .map(|(key, value)| match key.strip_prefix("general.") {
            Some(_) => ((*key).to_owned(), *value),
            None => (format!("{architecture}.{key}"), *value),
        })
        .collect();
    let mut metadata = vec![("general.architecture", Text(architecture))];
    metadata.extend(named.iter().map(|(key, value)| (key.as_str(), *value)));
    written::gguf(&path, &metadata, 0);
    Header::read(&path).unwrap()
}

#[test]
fn embedding_models_and_unusable_files_are_recognised() {
    for (architecture, keys, embedding, unusable) in [
        ("llama", &[][..], false, None),
        ("bert", &[], true, None),
        ("nomic-bert", &[("pooling_type", Number(1))], true, None),
        ("gemma-embedding", &[], true, None),
        ("qwen3", &[("pooling_type", Number(3))], true, None),
        ("qwen3", &[("pooling_type", Number(0))], false, None),
        ("bert", &[("pooling_type", Number(4))], true, Some("a reranker")),
        ("llama", &[("general.type", Text("adapter"))], false, Some("an adapter")),
        ("llama", &[("general.type", Text("model"))], false, None),
        ("clip", &[], false, Some("sees images")),
    ] {
        let header = header(architecture, keys);
        assert_eq!(header.is_embedding(), embedding, "{architecture} {keys:?}");
        match (header.unusable(), unusable) {
            (Some(found), Some(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => assert_eq!(found.as_deref(), expected, "{architecture} {keys:?}"),
        }
    }
}

/// An architecture, the keys of its file, and the expected layers.
type Case<'a> = (&'a str, &'a [(&'a str, Entry<'a>)], [Layer; 8]);

/// The shapes of known models, by the keys in their files.
#[test]
fn layers_are_read_from_the_keys() {
    let attention = [
        ("block_count", Number(8)),
        ("embedding_length", Number(1024)),
        ("attention.head_count", Number(16)),
    ];
    let plain = Layer { kv_heads: 16, key_length: 64, value_length: 64, ..Layer::default() };
    let recurrent = Layer { recurrent: true, ..Layer::default() };
    let windowed = Layer { windowed: true, ..plain };
    let cases: [Case<'_>; 13] = [
        ("gpt2", &[], [plain; 8]),
        ("llama", &[("attention.head_count_kv", Number(4))], [Layer { kv_heads: 4, ..plain }; 8]),
        (
            "qwen3",
            &[("attention.key_length", Number(128)), ("attention.value_length", Number(96))],
            [Layer { key_length: 128, value_length: 96, ..plain }; 8],
        ),
        // A window that llama.cpp doesn't use.
        ("qwen2", &[("attention.sliding_window", Number(512))], [plain; 8]),
        (
            "gpt-oss",
            &[("attention.sliding_window", Number(128))],
            [windowed, plain, windowed, plain, windowed, plain, windowed, plain],
        ),
        (
            "gemma3",
            &[("attention.sliding_window", Number(1024))],
            [windowed, windowed, windowed, windowed, windowed, plain, windowed, windowed],
        ),
        (
            "gemma4",
            &[
                ("attention.sliding_window", Number(1024)),
                (
                    "attention.sliding_window_pattern",
                    Truths(&[true, true, true, false, true, true, true, false]),
                ),
                ("attention.shared_kv_layers", Number(4)),
                ("attention.key_length", Number(512)),
                ("attention.key_length_swa", Number(256)),
            ],
            [
                Layer { key_length: 256, ..windowed },
                Layer { key_length: 256, ..windowed },
                Layer { key_length: 256, ..windowed },
                Layer { key_length: 512, ..plain },
                Layer::default(),
                Layer::default(),
                Layer::default(),
                Layer::default(),
            ],
        ),
        (
            "deepseek2",
            &[
                ("attention.head_count_kv", Number(1)),
                ("attention.key_length", Number(576)),
                ("attention.value_length", Number(512)),
                ("attention.key_length_mla", Number(192)),
                ("attention.value_length_mla", Number(128)),
            ],
            [Layer { kv_heads: 1, key_length: 576, value_length: 0, ..plain }; 8],
        ),
        (
            "granitehybrid",
            &[("attention.head_count_kv", Numbers(&[0, 0, 0, 4, 0, 0, 0, 4]))],
            [
                recurrent,
                recurrent,
                recurrent,
                Layer { kv_heads: 4, ..plain },
                recurrent,
                recurrent,
                recurrent,
                Layer { kv_heads: 4, ..plain },
            ],
        ),
        (
            "qwen3next",
            &[("full_attention_interval", Number(4))],
            [recurrent, recurrent, recurrent, plain, recurrent, recurrent, recurrent, plain],
        ),
        ("mamba", &[], [recurrent; 8]),
        ("falcon-h1", &[], [Layer { recurrent: true, ..plain }; 8]),
        ("bert", &[], [Layer::default(); 8]),
    ];
    for (architecture, keys, layers) in cases {
        let shape = Shape::of(&header(architecture, &[&attention[..], keys].concat()));
        assert_eq!(shape.layers, layers, "{architecture}");
        assert_eq!((shape.heads, shape.embedding_length), (16, 1024));
    }
}

#[test]
fn hostile_numbers_are_bounded() {
    let huge = Number(u32::MAX);
    let keys = [
        ("block_count", huge),
        ("embedding_length", huge),
        ("attention.head_count", Number(0)),
        ("attention.head_count_kv", Numbers(&[-1, 5])),
        ("attention.shared_kv_layers", huge),
        ("attention.sliding_window", huge),
        ("attention.sliding_window_pattern", Number(0)),
        ("ssm.inner_size", huge),
        ("ssm.state_size", huge),
        ("ssm.group_count", huge),
        ("ssm.conv_kernel", huge),
        ("expert_count", huge),
        ("expert_used_count", huge),
    ];
    for architecture in ["gemma3", "llama", "mamba", "qwen3next", "kimi-linear"] {
        let shape = Shape::of(&header(architecture, &keys));
        assert_eq!(shape.layers.len(), 512, "{architecture}");
        assert_eq!(shape.recurrent_state, u64::MAX, "{architecture}");
    }
}
