use super::*;
use crate::gguf::written::{
    self,
    Entry::{Number, Text},
};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny-chat/tiny-chat.gguf");

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn tiny(&self, name: &str) {
        fs::copy(TINY, self.at(name)).unwrap();
    }

    fn scanner(&self) -> ModelScanner {
        ModelScanner::new(self.0.path().to_owned(), vec![])
    }
}

fn problem(models: &ModelFiles, id: &str) -> String {
    models[id].problem.clone().unwrap_or_default()
}

#[test]
fn bad_files_are_listed_with_their_problem() {
    let folder = Folder::new();
    folder.tiny("tiny-chat.gguf");
    folder.tiny("someone/repo/tiny-chat.gguf");
    folder.tiny("mmproj-vision.gguf");
    fs::write(folder.at("broken.gguf"), b"GGUF").unwrap();
    fs::write(folder.at("notes.txt"), b"not a model").unwrap();
    fs::write(folder.at("coming.gguf.part"), b"GGUF").unwrap();

    let mut scanner = folder.scanner();
    let models = scanner.scan();
    let ids: Vec<&str> = models.keys().map(String::as_str).collect();
    assert_eq!(ids, ["broken", "repo/tiny-chat", "tiny-chat"]);
    assert!(problem(&models, "broken").contains("truncated"));
    assert_eq!(models["tiny-chat"].description.version.as_deref(), Some("Q8_0"));
    assert_eq!(models["tiny-chat"].parts, [folder.at("tiny-chat.gguf")]);
    assert_eq!(models["tiny-chat"].shape.as_ref().unwrap().layers.len(), 5);

    fs::remove_file(folder.at("broken.gguf")).unwrap();
    assert!(!scanner.scan().contains_key("broken"));
}

#[test]
fn parts_of_a_split_model_are_one_model() {
    let folder = Folder::new();
    let part = |number: u32| folder.at(&format!("repo/big-Q8_0-{number:05}-of-00003.gguf"));
    let head = [
        ("general.architecture", Text("llama")),
        ("llama.block_count", Number(2)),
        ("split.no", Number(0)),
        ("split.count", Number(3)),
    ];
    // As gguf-split writes it with `--no-tensor-first-split`.
    written::gguf(&part(1), &head, 0);
    let tail = |number| [("split.no", Number(number)), ("split.count", Number(3))];
    written::gguf(&part(3), &tail(2), 1000);

    let mut scanner = folder.scanner();
    let models = scanner.scan();
    assert_eq!(models.keys().collect::<Vec<_>>(), ["big-Q8_0"]);
    let text = problem(&models, "big-Q8_0");
    assert!(text.contains("1 of its 3 parts missing: big-Q8_0-00002-of-00003.gguf"), "{text}");

    written::gguf(&part(2), &tail(1), 2000);
    let models = scanner.scan();
    let model = &models["big-Q8_0"];
    assert_eq!(model.problem, None);
    assert_eq!(model.path, part(1));
    assert_eq!(model.parts, [part(1), part(2), part(3)]);
    let sizes: u64 = model.parts.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(model.size_bytes, sizes);
    assert_eq!(model.description.version.as_deref(), Some("F32"));
    assert_eq!(model.shape.as_ref().unwrap().tensor_bytes, 4 * 3000);

    // A truncated part is named.
    let whole = fs::read(part(3)).unwrap();
    fs::write(part(3), &whole[..whole.len() - 1]).unwrap();
    let text = problem(&scanner.scan(), "big-Q8_0");
    assert!(text.starts_with("big-Q8_0-00003-of-00003.gguf: ") && text.contains("truncated"), "{text}");

    fs::remove_file(part(1)).unwrap();
    fs::remove_file(part(2)).unwrap();
    let text = problem(&scanner.scan(), "big-Q8_0");
    assert!(text.contains("2 of its 3 parts missing: big-Q8_0-00001-of-00003.gguf, "), "{text}");
}

#[test]
fn problem_of_a_misnamed_part_has_the_required_name() {
    let folder = Folder::new();
    let head = [("general.architecture", Text("llama")), ("split.count", Number(3))];
    written::gguf(&folder.at("big.gguf"), &head, 0);
    let text = problem(&folder.scanner().scan(), "big");
    assert!(text.contains("big-00001-of-00003.gguf"), "{text}");
}

#[test]
fn modality_and_capabilities_are_read_from_the_header() {
    let folder = Folder::new();
    let template = ("tokenizer.chat_template", Text("{{ messages }} {{ tools }}"));
    let model = |name: &str, metadata: &[_]| {
        written::gguf(&folder.at(name), &[metadata, &[template]].concat(), 0);
    };
    model("chat.gguf", &[("general.architecture", Text("llama"))]);
    model("bge.gguf", &[("general.architecture", Text("bert")), ("bert.pooling_type", Number(2))]);
    model("qwen.gguf", &[("general.architecture", Text("qwen3")), ("qwen3.pooling_type", Number(3))]);
    model("rerank.gguf", &[("general.architecture", Text("qwen3")), ("qwen3.pooling_type", Number(4))]);
    model("lora.gguf", &[("general.architecture", Text("llama")), ("general.type", Text("adapter"))]);

    let models = folder.scanner().scan();
    assert_eq!(models["chat"].description.modality, Modality::Text);
    assert_eq!(
        models["chat"].description.capabilities,
        [Capability::Chat, Capability::JsonSchema, Capability::Tools]
    );
    for id in ["bge", "qwen"] {
        assert_eq!(
            (models[id].description.modality, models[id].problem.as_ref()),
            (Modality::Embedding, None),
            "{id}"
        );
        assert_eq!(models[id].description.capabilities, [], "{id}");
    }
    assert!(problem(&models, "rerank").contains("reranker"));
    assert!(problem(&models, "lora").contains("adapter"));
}

#[cfg(unix)]
#[test]
fn link_to_a_file_outside_reveals_none_of_its_bytes() {
    let folder = Folder::new();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, b"hunter2: the secret of this machine").unwrap();
    std::os::unix::fs::symlink(&secret, folder.at("linked.gguf")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("nothing"), folder.at("dangling.gguf")).unwrap();
    let models = folder.scanner().scan();
    let problem = problem(&models, "linked");
    assert_eq!(problem, "not a GGUF file: it doesn't begin with \"GGUF\"");
    assert!(!models.contains_key("dangling"));
}

#[cfg(unix)]
#[test]
fn file_reached_again_by_a_link_to_its_folder_is_listed_once() {
    let folder = Folder::new();
    folder.tiny("here.gguf");
    std::os::unix::fs::symlink(folder.0.path(), folder.at("round")).unwrap();
    let models = folder.scanner().scan();
    assert_eq!(models.keys().collect::<Vec<_>>(), ["here"]);
}

#[cfg(target_os = "linux")]
#[test]
fn file_with_a_non_utf8_name_is_listed_with_its_problem() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    let folder = Folder::new();
    fs::copy(TINY, folder.0.path().join(OsStr::from_bytes(b"bad\xff.gguf"))).unwrap();
    let models = folder.scanner().scan();
    let problem = models.values().next().unwrap().problem.clone().unwrap();
    assert!(problem.contains("UTF-8"), "{problem}");
}

#[test]
fn files_with_equal_ids_are_all_listed() {
    let folder = Folder::new();
    // The last three have the names of an alias and of routes.
    for name in [
        "a:b.gguf",
        "a-b.gguf",
        "x/a-b.gguf",
        "y/x/a-b.gguf",
        "openai:gpt-4.gguf",
        "auto.gguf",
        "loaded.gguf",
        "Status.gguf",
    ] {
        folder.tiny(name);
    }
    let models = folder.scanner().scan();
    let ids: Vec<&str> = models.keys().map(String::as_str).collect();
    let parent = folder.0.path().file_name().unwrap().to_string_lossy().into_owned();
    let mut expected =
        vec!["Status-gguf", "a-b", "auto-gguf", "loaded-gguf", "openai-gpt-4", "x/a-b", "x/a-b-2"];
    let second = format!("{parent}/a-b");
    expected.insert(0, &second);
    expected.sort_unstable();
    assert_eq!(ids, expected);
}

#[test]
fn id_of_a_file_is_predicted_as_a_scan_gives_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["m.gguf", "b/m.gguf", "b/c/m.gguf", "z/other.gguf"] {
        fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        fs::write(path(name), "GGUF").unwrap();
    }
    for name in ["a/m.gguf", "b/m.gguf", "c/m.gguf", "b/c/n.gguf", "b/d/m.gguf", "new.gguf", "m.gguf"] {
        let predicted = id_in_folder(folder.path(), &path(name));
        let is_new = !path(name).exists();
        fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        fs::write(path(name), "GGUF").unwrap();
        let models = ModelScanner::new(folder.path().to_owned(), Vec::new()).scan();
        let scanned = models.values().find(|model| model.path == path(name)).unwrap();
        assert_eq!(predicted, scanned.id, "{name}");
        if is_new {
            fs::remove_file(path(name)).unwrap();
        }
    }
}

/// The folder of the small image model.
const TINY_DIFFUSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny-diffusion/model");

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A safetensors file with tensors of these names.
fn safetensors(names: &[&str]) -> Vec<u8> {
    let entry = |name: &&str| {
        ((*name).to_owned(), serde_json::json!({"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}))
    };
    let header = serde_json::Value::Object(names.iter().map(entry).collect()).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn image_models_are_files_and_folders_and_adapters_are_none() {
    let folder = Folder::new();
    folder.tiny("tiny-chat.gguf");
    copy_folder(Path::new(TINY_DIFFUSION), &folder.at("someone/dream-1.5"));
    let networks = [
        "cond_stage_model.transformer.text_model.final_layer_norm.bias",
        "first_stage_model.encoder.conv_in.bias",
        "model.diffusion_model.input_blocks.0.0.bias",
    ];
    fs::write(folder.at("dreams.v8.safetensors"), safetensors(&networks)).unwrap();
    fs::write(folder.at("part.safetensors"), safetensors(&networks[2..])).unwrap();
    fs::write(folder.at("adapter.safetensors"), safetensors(&["lora_up.weight"])).unwrap();
    let models = folder.scanner().scan();
    let ids: Vec<&str> = models.keys().map(String::as_str).collect();
    assert_eq!(ids, ["dream-1.5", "dreams.v8", "part", "tiny-chat"]);
    let dream = &models["dream-1.5"];
    assert_eq!((dream.description.modality, dream.problem.as_ref()), (Modality::Image, None));
    assert_eq!(dream.description.architecture.as_deref(), Some("stable-diffusion-1"));
    assert_eq!(dream.description.version.as_deref(), Some("F16"));
    // The files of the folder are its own, and no models.
    assert_eq!((dream.parts.len(), dream.path.is_dir()), (10, true));
    assert!(dream.shape.as_ref().unwrap().tensor_bytes > dream.size_bytes, "weights have 32 bits in memory");
    assert!(problem(&models, "part").contains("text encoder"), "{}", problem(&models, "part"));
    assert_eq!(models["tiny-chat"].description.modality, Modality::Text);
}

#[test]
fn gguf_file_of_an_image_model_is_listed_with_the_reason_why_it_is_not_loaded() {
    let folder = Folder::new();
    written::gguf(&folder.at("flux1-schnell.gguf"), &[("general.architecture", Text("flux"))], 0);
    let models = folder.scanner().scan();
    assert_eq!(models["flux1-schnell"].description.modality, Modality::Image);
    assert!(problem(&models, "flux1-schnell").contains("FLUX.1"), "{}", problem(&models, "flux1-schnell"));
}
