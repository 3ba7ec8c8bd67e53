//! Numbers that `tests/tiny-flux/reference.py` prints: diffusers' `FluxTransformer2DModel` and `AutoencoderKL`, and transformers'
//! `T5EncoderModel` and `CLIPTextModel`, with the same weights in PyTorch.

use tiny_flux::files;

use super::*;
use crate::flux::{part_file::PartFile, settings::TransformerSettings};

/// The largest difference to a number of five digits.
const TOLERANCE: f32 = 1e-4;

/// Compares numbers at even distances, and the mean of the sizes of all.
fn assert_near(actual: &Tensor, expected: &[f32], mean: f32) {
    let numbers = actual.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let picked: Vec<f32> = numbers.iter().step_by((numbers.len() / 12).max(1)).copied().take(12).collect();
    let is_near = picked.iter().zip(expected).all(|(actual, expected)| (actual - expected).abs() < TOLERANCE);
    assert!(is_near && picked.len() == expected.len(), "{picked:?}");
    let actual_mean = numbers.iter().map(|number| number.abs()).sum::<f32>() / numbers.len() as f32;
    assert!((actual_mean - mean).abs() < TOLERANCE, "{actual_mean}");
}

/// The numbers of a name, as `random.rs` of tiny-flux has them.
fn tensor(name: &str, shape: &[usize]) -> Tensor {
    let numbers: Vec<f32> = tiny_flux::numbers(name, shape.iter().product()).collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
}

fn predict(is_guided: bool) -> Tensor {
    let folder = tempfile::tempdir().unwrap();
    TinyFlux { is_guided, format: Format::Gguf }.write(folder.path()).unwrap();
    let path = folder.path().join(files::TRANSFORMER);
    let file = PartFile::open(&path, &Device::Cpu, &Arc::default()).unwrap();
    let transformer = Transformer::load(&file, TransformerSettings::of(&file, "").unwrap()).unwrap();
    let condition =
        FluxCondition { context: tensor("context", &[1, 5, 32]), pooled: tensor("pooled", &[1, 8]) };
    transformer.predict(&tensor("latents", &[1, 16, 4, 6]), 0.7, 3.5, &condition).unwrap()
}

#[test]
fn step_of_dev_is_that_of_diffusers() {
    let expected = [
        -0.67847, 1.14194, 0.02468, -1.10226, -0.29956, 0.67213, 1.98257, -1.34093, 0.27398, -0.25052,
        1.44346, 0.67012,
    ];
    assert_near(&predict(true), &expected, 0.896_956);
}

#[test]
fn step_of_schnell_is_that_of_diffusers() {
    let expected = [
        -0.93886, 0.73698, -0.08988, -2.23057, 0.17809, 0.85884, 1.88272, -0.51502, 0.6341, 0.13339, 1.8193,
        0.75114,
    ];
    assert_near(&predict(false), &expected, 0.951_964);
}

#[test]
fn vectors_of_t5_are_those_of_transformers() {
    let pipeline = load(TinyFlux { is_guided: false, format: Format::Gguf });
    let tokens = pipeline.t5_tokenizer.padded(vec![4, 5, 8, 30, 1], 200);
    let expected = [
        -0.66505, 0.56292, -1.40047, 0.44714, 0.02152, -0.88953, -1.46595, 0.67367, -0.90109, -2.53241,
        -1.02979, -0.36464,
    ];
    assert_near(&pipeline.t5.encode(&tokens).unwrap(), &expected, 0.814_953);
}

#[test]
fn pooled_text_of_clip_is_that_of_transformers() {
    let pipeline = load(TinyFlux::SCHNELL);
    let expected = [0.87466, -0.62917, -0.40583, -0.90673, -0.21611, 2.05666, -0.76459, -0.19884];
    assert_near(&pipeline.pooled("a photo").unwrap(), &expected, 0.756_574);
}

#[test]
fn latents_and_pixels_of_the_autoencoder_are_those_of_diffusers() {
    let autoencoder = load(TinyFlux::SCHNELL).autoencoder;
    let latents = autoencoder.encode(&tensor("pixels", &[1, 3, 32, 48])).unwrap();
    let expected = [
        -0.04837, -0.36382, 0.11685, -0.01466, 0.3536, -0.07572, -0.00258, -0.10417, -0.19134, -0.03742,
        -0.18291, 0.10849,
    ];
    assert_near(&latents, &expected, 0.159_884);
    let pixels = autoencoder.decode(&tensor("latents", &[1, 16, 4, 6])).unwrap();
    let expected = [
        -0.3965, 0.14553, -0.04997, -0.12575, -0.20329, -0.08732, -0.07263, -0.1822, -0.21977, 0.08821,
        0.18892, -0.11549,
    ];
    assert_near(&pixels, &expected, 0.389_929);
}
