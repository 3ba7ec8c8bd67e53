mod broken;
mod reference;

use std::{path::Path, sync::Arc};

use hearth_domain::ImageTask;
use tiny_flux::{Format, TinyFlux};

use super::*;
use crate::{denoise::tests::example_noise, model::ImageModel};

fn load_folder(folder: &Path) -> Result<FluxPipeline, String> {
    match ImageModel::load(folder, &Device::Cpu, &Arc::default())? {
        ImageModel::Flux(pipeline) => Ok(*pipeline),
        ImageModel::StableDiffusion(_) => panic!("{} is no FLUX.1", folder.display()),
    }
}

fn load(model: TinyFlux) -> FluxPipeline {
    let folder = tempfile::tempdir().unwrap();
    model.write(folder.path()).unwrap();
    load_folder(folder.path()).unwrap()
}

fn request(pipeline: &FluxPipeline, change: impl FnOnce(&mut PictureRequest)) -> PictureRequest {
    let task = ImageTask { steps: Some(2), seed: Some(7), ..ImageTask::new("a fox") };
    let mut request = PictureRequest::new(&task, pipeline.family).unwrap();
    // A client's picture has larger sides.
    (request.width, request.height) = (64, 48);
    change(&mut request);
    request
}

fn paint(pipeline: &FluxPipeline, change: impl FnOnce(&mut PictureRequest)) -> RgbImage {
    pipeline.paint(&request(pipeline, change), 0, &AtomicBool::new(false), |_| ()).unwrap()
}

#[test]
fn picture_has_its_size_and_depends_on_seed_and_prompt() {
    let pipeline = load(TinyFlux::SCHNELL);
    assert_eq!(pipeline.family, ImageFamily::FluxSchnell);
    let picture = paint(&pipeline, |_| ());
    assert_eq!(picture.dimensions(), (64, 48));
    assert_eq!(picture, paint(&pipeline, |_| ()), "the same request makes the same picture");
    let colours: std::collections::HashSet<[u8; 3]> = picture.pixels().map(|pixel| pixel.0).collect();
    assert!(colours.len() > 50, "{} colours", colours.len());
    assert_ne!(picture, paint(&pipeline, |request| request.seed = 8));
    assert_ne!(picture, paint(&pipeline, |request| request.prompt = "the cat".to_owned()));
    assert_ne!(picture, paint(&pipeline, |request| request.steps = 3));
    assert_eq!(picture, paint(&pipeline, |request| request.guidance = 9.0), "schnell has no guidance");
}

#[test]
fn guidance_is_an_input_of_dev() {
    let pipeline = load(TinyFlux::DEV);
    assert_eq!(pipeline.family, ImageFamily::FluxDev);
    let picture = paint(&pipeline, |_| ());
    assert_ne!(picture, paint(&pipeline, |request| request.guidance = 9.0));
}

#[test]
fn gguf_and_safetensors_with_the_same_weights_make_the_same_picture() {
    let of = |format| paint(&load(TinyFlux { is_guided: true, format }), |_| ());
    assert_eq!(of(Format::Gguf), of(Format::Safetensors));
}

#[test]
fn quantised_weights_predict_nearly_as_whole_ones() {
    let of = |format| {
        let pipeline = load(TinyFlux { is_guided: false, format });
        let condition = pipeline.condition("a fox").unwrap();
        let latents = example_noise(3, (1, 16, 6, 8));
        pipeline.transformer.predict(&latents, 0.6, 3.5, &condition).unwrap()
    };
    let (quantised, whole) = (of(Format::Quantised), of(Format::Gguf));
    let mean = |tensor: &Tensor| tensor.abs().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap();
    let difference = mean(&(&quantised - &whole).unwrap()) / mean(&whole);
    assert!((1e-5..0.15).contains(&difference), "{difference}");
}

#[test]
fn prompt_and_size_beyond_the_models_bounds_are_refused_by_name() {
    let pipeline = load(TinyFlux::SCHNELL);
    for (field, change) in [
        ("prompt", (|request| request.prompt = "fox ".repeat(300)) as fn(&mut PictureRequest)),
        ("size", |request| (request.width, request.height) = (1 << 20, 1 << 20)),
        ("size", |request| request.width = 72),
    ] {
        let request = request(&pipeline, change);
        let error = pipeline.paint(&request, 0, &AtomicBool::new(false), |_| ()).unwrap_err();
        assert_eq!(error.into_api_error().param.as_deref(), Some(field));
    }
    assert_eq!(pipeline.count_tokens("a fox"), 3);
}
