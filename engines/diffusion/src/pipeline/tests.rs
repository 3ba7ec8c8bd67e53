use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use candle_nn::{VarBuilder, VarMap};
use candle_transformers::models::stable_diffusion::vae::{AutoEncoderKL, AutoEncoderKLConfig};
use hearth_domain::{ImageTask, Size};

use hearth_worker::checkpoint::prefixes;

use super::*;
use crate::{
    denoise::tests::example_noise,
    model::ImageModel,
    names::{Names, Part},
    settings::{Level, TextSettings, UnetSettings},
};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-diffusion/model");
const STEPS: u32 = 3;

fn load(path: &Path) -> Result<Pipeline, String> {
    match ImageModel::load(path, &Device::Cpu, &Arc::default())? {
        ImageModel::StableDiffusion(pipeline) => Ok(*pipeline),
        ImageModel::Flux(_) => panic!("{} is no Stable Diffusion", path.display()),
    }
}

fn request(pipeline: &Pipeline, change: impl FnOnce(&mut PictureRequest)) -> PictureRequest {
    let size = Some(Size { width: 72, height: 64 });
    let task = ImageTask { size, steps: Some(STEPS), seed: Some(7), ..ImageTask::new("a fox") };
    let mut request = PictureRequest::new(&task, pipeline.family).unwrap();
    change(&mut request);
    request
}

fn paint(pipeline: &Pipeline, change: impl FnOnce(&mut PictureRequest)) -> RgbImage {
    let request = request(pipeline, change);
    pipeline.paint(&request, 0, &AtomicBool::new(false), |_| ()).unwrap()
}

#[test]
fn picture_has_its_size_and_depends_on_seed_prompt_and_guidance() {
    let pipeline = load(Path::new(TINY)).unwrap();
    let picture = paint(&pipeline, |_| ());
    assert_eq!(picture.dimensions(), (72, 64));
    assert_eq!(picture, paint(&pipeline, |_| ()), "the same request makes the same picture");
    let colours: std::collections::HashSet<[u8; 3]> = picture.pixels().map(|pixel| pixel.0).collect();
    assert!(colours.len() > 50, "{} colours", colours.len());
    assert_ne!(picture, paint(&pipeline, |request| request.seed = 8));
    assert_ne!(picture, paint(&pipeline, |request| request.prompt = "the cat".to_owned()));
    assert_ne!(picture, paint(&pipeline, |request| request.negative_prompt = "the cat".to_owned()));
    assert_ne!(picture, paint(&pipeline, |request| request.guidance = 1.0));
    let long = "fox cat ".repeat(60);
    assert_ne!(picture, paint(&pipeline, |request| request.prompt = long));
}

#[test]
fn prompt_that_no_window_holds_is_refused() {
    let pipeline = load(Path::new(TINY)).unwrap();
    let request = request(&pipeline, |request| request.prompt = "fox ".repeat(700));
    let error = pipeline.paint(&request, 0, &AtomicBool::new(false), |_| ()).unwrap_err().into_api_error();
    assert_eq!(error.param.as_deref(), Some("prompt"));
    assert!(error.message.contains("600 tokens"), "{error:?}");
}

#[test]
fn broken_checkpoints_are_errors_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    };
    let names = [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ];
    let restore =
        || names.iter().for_each(|name| copy(&Path::new(TINY).join(name), &folder.path().join(name)));
    restore();
    load(folder.path()).unwrap();
    let broken = |name: &str, bytes: &[u8], reason: &str| {
        restore();
        fs::write(folder.path().join(name), bytes).unwrap();
        let error = load(folder.path()).unwrap_err();
        assert!(error.contains(reason), "{name}: {error}");
    };
    let unet = fs::read(Path::new(TINY).join(names[7])).unwrap();
    broken(names[7], &unet[..unet.len() - 10], "unfinished");
    broken(names[7], b"", "unfinished");
    broken(names[6], b"{", "damaged");
    let config = fs::read_to_string(Path::new(TINY).join(names[6])).unwrap();
    broken(names[6], config.replace("\"in_channels\": 4", "\"in_channels\": 5").as_bytes(), "5 channels");
    broken(
        names[6],
        config.replace("\"layers_per_block\": 1", "\"layers_per_block\": 2").as_bytes(),
        "missing",
    );
    broken(names[6], config.replace("32,", "1048577,").as_bytes(), "dimension");
    broken(
        names[6],
        config.replace("\"attention_head_dim\": 4", "\"attention_head_dim\": 0").as_bytes(),
        "heads",
    );
    let text = fs::read_to_string(Path::new(TINY).join(names[2])).unwrap();
    broken(names[2], text.replace("\"vocab_size\": 520", "\"vocab_size\": 519").as_bytes(), "can't be used");
    broken(names[1], br#"{"prediction_type": "flow"}"#, "flow");
    broken(names[4], b"{}", "vocabulary");
}

#[test]
fn picture_that_no_memory_holds_is_refused() {
    let pipeline = load(Path::new(TINY)).unwrap();
    assert_eq!(pipeline.unet.attention_bytes(8, 9), 72 * 72 * 4 * 12);
    let request = request(&pipeline, |request| (request.width, request.height) = (1 << 20, 1 << 20));
    let error = pipeline.paint(&request, 0, &AtomicBool::new(false), |_| ()).unwrap_err().into_api_error();
    assert_eq!(error.param.as_deref(), Some("size"));
    assert!(error.message.contains("MiB are free"), "{error:?}");
}

/// Random weights under the names of diffusers, as one file under the names of the original programs.
#[derive(Default)]
struct SingleFile(HashMap<String, Tensor>);

impl SingleFile {
    fn add(&mut self, names: &Names, build: impl FnOnce(VarBuilder<'_>)) {
        let variables = VarMap::new();
        build(VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu));
        let variables = variables.data().lock().unwrap();
        let mut thirds: HashMap<String, [Option<Tensor>; 3]> = HashMap::new();
        for (name, variable) in variables.iter() {
            let source = names.source(name);
            let mut tensor = variable.as_tensor().clone();
            if source.name.contains(".attn_1.")
                && source.name.ends_with("weight")
                && !source.name.contains("norm")
            {
                // The original autoencoder has convolutions in place of matrices.
                tensor = tensor.unsqueeze(2).unwrap().unsqueeze(3).unwrap();
            }
            match source.part {
                Part::Whole => drop(self.0.insert(source.name, tensor)),
                Part::Transposed => {
                    drop(self.0.insert(source.name, tensor.t().unwrap().contiguous().unwrap()))
                }
                Part::Third(third) => thirds.entry(source.name).or_default()[third] = Some(tensor),
            }
        }
        for (name, parts) in thirds {
            let parts: Vec<Tensor> = parts.into_iter().map(Option::unwrap).collect();
            self.0.insert(name, Tensor::cat(&parts, 0).unwrap());
        }
    }

    fn add_networks(&mut self, unet: UnetSettings) {
        self.add(&Names::Unet { layers: unet.layers }, |weights| drop(Unet::load(&weights, unet).unwrap()));
        let config = AutoEncoderKLConfig {
            block_out_channels: vec![32; 4],
            layers_per_block: 1,
            latent_channels: 4,
            norm_num_groups: 32,
            use_quant_conv: true,
            use_post_quant_conv: true,
        };
        self.add(&Names::Autoencoder { prefix: prefixes::VAE, levels: 4 }, |weights| {
            drop(AutoEncoderKL::new(weights, 3, 3, config).unwrap());
        });
    }

    fn add_text(&mut self, names: &Names, settings: &TextSettings) {
        self.add(names, |weights| drop(TextEncoder::load(&weights, settings).unwrap()));
    }

    fn write(&self, folder: &Path) -> PathBuf {
        let half = |(name, tensor): (&String, &Tensor)| (name.clone(), tensor.to_dtype(DType::F16).unwrap());
        let tensors: HashMap<String, Tensor> = self.0.iter().map(half).collect();
        let path = folder.join("model.safetensors");
        candle_core::safetensors::save(&tensors, &path).unwrap();
        path
    }
}

fn unet_settings(context: usize, addition: Option<(usize, usize)>) -> UnetSettings {
    let heads = if addition.is_some() { 1 } else { 8 };
    UnetSettings {
        in_channels: 4,
        out_channels: 4,
        levels: vec![
            Level { channels: 32, depth: addition.is_none().then_some(1), heads },
            Level { channels: 64, depth: addition.is_some().then_some(2), heads },
        ],
        layers: 2,
        mid_depth: if addition.is_some() { 2 } else { 1 },
        context,
        groups: 32,
        epsilon: 1e-5,
        has_linear_projection: addition.is_some(),
        addition,
    }
}

fn text_settings(is_quick: bool) -> TextSettings {
    TextSettings {
        vocabulary: 49_408,
        width: 16,
        heads: 1,
        layers: 2,
        inner: 32,
        positions: 77,
        is_quick,
        projection: (!is_quick).then_some(16),
    }
}

#[test]
fn single_file_of_the_first_family_makes_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = SingleFile::default();
    file.add_networks(unet_settings(16, None));
    file.add_text(&Names::Text { prefix: prefixes::TEXT }, &text_settings(true));
    let pipeline = load(&file.write(folder.path())).unwrap();
    assert_eq!(pipeline.family, ImageFamily::Sd1);
    let picture = paint(&pipeline, |_| ());
    assert_eq!(picture.dimensions(), (72, 64));
    assert_ne!(picture, paint(&pipeline, |request| request.prompt = "a photo of a cat".to_owned()));
}

#[test]
fn single_file_of_the_xl_family_makes_a_picture_that_knows_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = SingleFile::default();
    file.add_networks(unet_settings(32, Some((16 + 6 * 8, 8))));
    file.add_text(&Names::Text { prefix: prefixes::TEXT_1 }, &text_settings(true));
    file.add_text(&Names::OpenText { prefix: prefixes::TEXT_2 }, &text_settings(false));
    let pipeline = load(&file.write(folder.path())).unwrap();
    assert_eq!(pipeline.family, ImageFamily::Sdxl);
    let picture = paint(&pipeline, |_| ());
    assert_eq!(picture.dimensions(), (72, 64));
    assert_ne!(picture, paint(&pipeline, |request| request.prompt = "a photo of a cat".to_owned()));
    // The pooled text and the size reach the network.
    let condition = pipeline.condition("prompt", "a fox").unwrap();
    let latents = example_noise(1, (1, 4, 8, 8));
    let predict = |size| pipeline.unet.predict(&latents, 500.0, &condition, size).unwrap();
    let difference = (predict((64, 64)) - predict((512, 64))).unwrap().abs().unwrap().sum_all().unwrap();
    assert!(difference.to_scalar::<f32>().unwrap() > 0.0);
}
