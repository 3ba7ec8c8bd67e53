//! Folders that can't be used, with the reason.

use std::fs;

use hearth_worker::checkpoint::{self, Checkpoint, NoCheckpoint};
use tiny_flux::files;

use super::*;

/// The problem of a folder after a change of its files.
fn problem(change: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    TinyFlux::SCHNELL.write(folder.path()).unwrap();
    change(folder.path());
    match Checkpoint::read(folder.path()) {
        Err(NoCheckpoint::Unusable(problem)) => {
            assert_eq!(load_folder(folder.path()).unwrap_err(), problem);
            problem
        }
        Err(NoCheckpoint::Other) => panic!("the folder is no image model"),
        Ok(_) => load_folder(folder.path()).unwrap_err(),
    }
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 100]).unwrap();
}

#[test]
fn missing_networks_are_named_with_a_file_that_has_them() {
    for (file, network) in [
        (files::TRANSFORMER, "lacks the transformer (such as flux1-schnell"),
        (files::T5, "lacks the text encoder T5 (such as t5"),
        (files::CLIP, "lacks the text encoder CLIP-L (such as clip_l"),
        (files::AUTOENCODER, "lacks the autoencoder (such as ae"),
    ] {
        let problem = problem(|folder| fs::remove_file(folder.join(file)).unwrap());
        assert!(problem.contains(network) && problem.contains("add the file"), "{problem}");
    }
    let problem = problem(|folder| {
        fs::remove_file(folder.join(files::T5)).unwrap();
        fs::remove_file(folder.join(files::CLIP)).unwrap();
    });
    assert!(problem.contains("T5") && problem.contains("CLIP-L"), "{problem}");
}

#[test]
fn damaged_files_are_named() {
    for file in [files::TRANSFORMER, files::T5, files::CLIP, files::AUTOENCODER] {
        let problem = problem(|folder| cut(&folder.join(file)));
        let is_cut = problem.contains("truncated") || problem.contains("unfinished");
        assert!(problem.starts_with(file) && is_cut, "{problem}");
    }
    let problem = problem(|folder| fs::write(folder.join(files::CLIP), b"no network").unwrap());
    assert!(problem.starts_with(files::CLIP), "{problem}");
}

#[test]
fn second_file_of_a_network_is_a_problem_and_other_files_are_not() {
    let problem = problem(|folder| {
        fs::copy(folder.join(files::TRANSFORMER), folder.join("other.gguf")).unwrap();
    });
    assert!(
        problem.contains("two files with the transformer") && problem.contains("other.gguf"),
        "{problem}"
    );
    let folder = tempfile::tempdir().unwrap();
    TinyFlux::SCHNELL.write(folder.path()).unwrap();
    let chat = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-chat/tiny-chat.gguf");
    fs::copy(chat, folder.path().join("chat.gguf")).unwrap();
    fs::write(folder.path().join("damaged.gguf"), b"GGUF").unwrap();
    load_folder(folder.path()).unwrap();
    let at = |name: &str| folder.path().join(name);
    assert_eq!(checkpoint::other_models(folder.path()), [at("chat.gguf"), at("damaged.gguf")]);
    let files = [files::AUTOENCODER, files::CLIP, files::TRANSFORMER, files::T5];
    assert_eq!(checkpoint::folder_files(folder.path()), files.map(at));
    fs::remove_file(at(files::T5)).unwrap();
    // The damaged file may be the missing one.
    assert!(checkpoint::folder_files(folder.path()).contains(&at("damaged.gguf")));
    assert!(load_folder(folder.path()).unwrap_err().starts_with("damaged.gguf"));
}

#[test]
fn t5_as_safetensors_needs_its_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    TinyFlux { is_guided: false, format: Format::Safetensors }.write(folder.path()).unwrap();
    load_folder(folder.path()).unwrap();
    fs::remove_file(folder.path().join(files::TOKENIZER)).unwrap();
    let problem = load_folder(folder.path()).unwrap_err();
    assert!(problem.contains(files::TOKENIZER) && problem.contains(files::PLAIN_T5), "{problem}");
}

#[test]
fn scaled_weights_of_8_bits_are_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    TinyFlux { is_guided: false, format: Format::Safetensors }.write(folder.path()).unwrap();
    let path = folder.path().join(files::PLAIN_T5);
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let factor = Tensor::full(0.5_f32, 1, &Device::Cpu).unwrap();
    tensors.insert("encoder.block.0.layer.0.SelfAttention.q.scale_weight".to_owned(), factor);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let problem = load_folder(folder.path()).unwrap_err();
    assert!(problem.starts_with(files::PLAIN_T5) && problem.contains("scaled weights"), "{problem}");
}

#[test]
fn memory_is_that_of_quantised_weights() {
    let read = |format| {
        let folder = tempfile::tempdir().unwrap();
        TinyFlux { is_guided: false, format }.write(folder.path()).unwrap();
        Checkpoint::read(folder.path()).unwrap()
    };
    let (quantised, whole) = (read(Format::Quantised), read(Format::Gguf));
    assert_eq!((quantised.weights, quantised.files.len()), (whole.weights, 4));
    assert_eq!((quantised.precision.as_deref(), whole.precision.as_deref()), (Some("Q8_0"), Some("F32")));
    assert!(quantised.memory_bytes < whole.memory_bytes, "{quantised:?}");
    assert_eq!(whole.memory_bytes, 4 * whole.weights);
}
