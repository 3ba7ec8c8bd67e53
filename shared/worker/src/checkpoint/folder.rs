//! Folders of the library diffusers: `model_index.json`, and a folder for each network.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Checkpoint, ImageFamily, Layout, MODEL_INDEX, NoCheckpoint, SafetensorsHeader, WEIGHT_BYTES};

/// Limit of the bytes of `model_index.json`, and of a network's `config.json`.
const JSON_MAX_BYTES: u64 = 1 << 20;
/// The folders of a pipeline that the engine reads.
const PARTS: [&str; 8] =
    ["scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae", "."];
/// Names of a network's weights, the preferred one first.
const WEIGHTS: [&str; 4] = [
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "model.fp16.safetensors",
];

pub(super) fn read(path: &Path) -> Result<Checkpoint, NoCheckpoint> {
    let unusable = |reason: String| NoCheckpoint::Unusable(reason);
    let index = path.join(MODEL_INDEX);
    if !index.exists() {
        return Err(NoCheckpoint::Other);
    }
    let index =
        read_json(&index).map_err(|error| unusable(format!("its {MODEL_INDEX} can't be read: {error}")))?;
    let class = index.get("_class_name").and_then(Value::as_str).unwrap_or_default();
    let family = match class {
        "StableDiffusionXLPipeline"
        | "StableDiffusionXLImg2ImgPipeline"
        | "StableDiffusionXLInpaintPipeline" => ImageFamily::Sdxl,
        "StableDiffusionPipeline" | "StableDiffusionImg2ImgPipeline" | "StableDiffusionInpaintPipeline" => {
            first_family(path)
        }
        class => {
            let hint = if class.starts_with("Flux") {
                "FLUX.1 is read from a folder with a file for each network (docs/images.md)"
            } else {
                "it has Stable Diffusion 1, 2 and XL"
            };
            return Err(unusable(format!(
                "it is a pipeline of the class {class:?}, which the engine doesn't have; {hint}"
            )));
        }
    };
    let mut networks = vec!["unet", "vae", "text_encoder"];
    if family == ImageFamily::Sdxl {
        networks.push("text_encoder_2");
    }
    let (mut weights, mut precision) = (0_u64, None);
    for network in networks {
        let file = weights_of(path, network).ok_or_else(|| {
            unusable(format!(
                "its folder {network} has no weights as safetensors ({})",
                WEIGHTS[..2].join(" or ")
            ))
        })?;
        let header =
            SafetensorsHeader::read(&file).map_err(|error| unusable(format!("{network}: {error}")))?;
        weights = weights.saturating_add(header.weights());
        if network == "unet" {
            precision = header.precision().map(str::to_owned);
        }
    }
    Ok(Checkpoint {
        family,
        layout: Layout::Folder(path.to_owned()),
        files: files(path),
        weights,
        memory_bytes: weights.saturating_mul(WEIGHT_BYTES),
        precision,
    })
}

/// Stable Diffusion 1 or 2, by the width of the text encoder.
fn first_family(path: &Path) -> ImageFamily {
    let config = read_json(&path.join("text_encoder/config.json")).ok();
    let activation = config.as_ref().and_then(|config| config.get("hidden_act")?.as_str());
    // OpenCLIP's encoder has another activation than OpenAI's.
    if activation == Some("gelu") { ImageFamily::Sd2 } else { ImageFamily::Sd1 }
}

/// Reads a JSON file of a limited size.
fn read_json(path: &Path) -> io::Result<Value> {
    let mut text = Vec::new();
    File::open(path)?.take(JSON_MAX_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > JSON_MAX_BYTES {
        return Err(io::Error::other(format!("it has more than {} MiB", JSON_MAX_BYTES >> 20)));
    }
    Ok(serde_json::from_slice(&text)?)
}

/// Returns the file of a network's weights in a folder of diffusers.
pub(super) fn weights_of(folder: &Path, network: &str) -> Option<PathBuf> {
    WEIGHTS.iter().map(|name| folder.join(network).join(name)).find(|path| path.is_file())
}

/// The files of the folders that the engine reads, except weights of other programs.
pub(super) fn files(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for part in PARTS {
        let folder = if part == "." { path.to_owned() } else { path.join(part) };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        files.extend(entries.filter(|path| path.is_file()));
    }
    files.sort();
    files
}
