//! Folders of FLUX.1: a file for each network, as they are distributed. A file's network follows from its tensors, and not
//! from its name.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{Checkpoint, FluxParts, ImageFamily, Layout, NoCheckpoint, PartHeader};

/// Bytes of a file's beginning in which the tensors of a transformer or an autoencoder are named: the header of the largest
/// transformer has 100 KB.
const PROBE_MAX_BYTES: u64 = 256 << 10;
/// The file of T5's tokenizer, for a T5 as safetensors, which has none inside.
const TOKENIZER: &str = "tokenizer.json";
/// Bytes of a weight that isn't quantised, in memory: the engine computes with `f32` on the processor.
const NUMBER_BYTES: u64 = 4;
/// Types of GGUF tensors that the engine reads.
const READABLE_TYPES: [&str; 13] =
    ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"];
/// Numbers of a patch of latents, which the transformers of text to image take: 2 x 2 latents of 16 numbers.
const PATCH_NUMBERS: u64 = 64;
/// Numbers of a latent.
const LATENT_NUMBERS: u64 = 16;

/// Prefix of a transformer's tensors in the files of some converters.
const TRANSFORMER_PREFIX: &str = "model.diffusion_model.";
/// A tensor that only transformers of this family have.
const TRANSFORMER_TENSOR: &str = "double_blocks.0.img_mod.lin.weight";
const AUTOENCODER_TENSOR: &str = "encoder.down.0.block.0.conv1.weight";
const AUTOENCODER_INPUT: &str = "decoder.conv_in.weight";
const CLIP_TENSOR: &str = "text_model.embeddings.token_embedding.weight";
/// T5's first query by the names of llama.cpp, and of transformers.
const T5_TENSORS: [&str; 2] = ["enc.blk.0.attn_q.weight", "encoder.block.0.layer.0.SelfAttention.q.weight"];

/// A network of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Transformer,
    T5,
    Clip,
    Autoencoder,
}

impl Network {
    const ALL: [Self; 4] = [Self::Transformer, Self::T5, Self::Clip, Self::Autoencoder];

    fn name(self) -> &'static str {
        match self {
            Self::Transformer => "transformer",
            Self::T5 => "text encoder T5",
            Self::Clip => "text encoder CLIP-L",
            Self::Autoencoder => "autoencoder",
        }
    }

    /// A file that has the network, for a problem.
    fn example(self) -> &'static str {
        match self {
            Self::Transformer => "flux1-schnell-Q4_K_S.gguf",
            Self::T5 => "t5-v1_1-xxl-encoder-Q5_K_M.gguf",
            Self::Clip => "clip_l.safetensors",
            Self::Autoencoder => "ae.safetensors",
        }
    }

    /// The network in a file with this header; `None` for another file.
    fn of(header: &PartHeader) -> Option<Self> {
        let has = |name: &str| header.shape(name).is_some();
        let is_autoencoder = has(AUTOENCODER_TENSOR)
            && header.shape(AUTOENCODER_INPUT).and_then(|shape| shape.get(1).copied())
                == Some(LATENT_NUMBERS);
        match () {
            () if transformer_prefix(header).is_some() => Some(Self::Transformer),
            () if T5_TENSORS.iter().any(|name| has(name)) => Some(Self::T5),
            () if has(CLIP_TENSOR) => Some(Self::Clip),
            () if is_autoencoder => Some(Self::Autoencoder),
            () => None,
        }
    }
}

/// Returns the prefix of a transformer's tensors; `None` for a file without a transformer of FLUX.1.
pub(super) fn transformer_prefix(header: &PartHeader) -> Option<&'static str> {
    ["", TRANSFORMER_PREFIX]
        .into_iter()
        .find(|prefix| header.shape(&format!("{prefix}{TRANSFORMER_TENSOR}")).is_some())
}

/// Returns whether a folder has a transformer or an autoencoder of FLUX.1. It reads the beginnings of the folder's files only.
pub(super) fn is_folder(folder: &Path) -> bool {
    model_files(folder).iter().any(|path| {
        let Some(start) = beginning(path) else { return false };
        let has = |name: &str| start.windows(name.len()).any(|window| window == name.as_bytes());
        has(TRANSFORMER_TENSOR)
            || has(AUTOENCODER_TENSOR)
                && PartHeader::read(path)
                    .is_ok_and(|header| Network::of(&header) == Some(Network::Autoencoder))
    })
}

/// The beginning of a file; `None` if it can't be read.
fn beginning(path: &Path) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path).ok()?.take(PROBE_MAX_BYTES).read_to_end(&mut start).ok()?;
    Some(start)
}

/// The files of a folder that may have a network, sorted.
fn model_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_candidate = |path: &PathBuf| {
        ["gguf", "safetensors"].iter().any(|name| has_extension(path, name)) && path.is_file()
    };
    let mut files: Vec<PathBuf> = entries.filter(is_candidate).collect();
    files.sort();
    files
}

fn has_extension(path: &Path, name: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(name))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file with a network.
struct Part {
    network: Network,
    path: PathBuf,
    header: PartHeader,
}

impl Part {
    fn name(&self) -> String {
        name_of(&self.path)
    }
}

/// The files of a folder, by their contents.
#[derive(Default)]
struct Survey {
    parts: Vec<Part>,
    /// Files whose header can't be read, with the reason.
    damaged: Vec<(PathBuf, String)>,
    /// GGUF files with none of the networks.
    others: Vec<PathBuf>,
}

impl Survey {
    fn of(folder: &Path) -> Self {
        let mut survey = Self::default();
        for path in model_files(folder) {
            match PartHeader::read(&path) {
                Err(reason) => survey.damaged.push((path, reason)),
                Ok(header) => match Network::of(&header) {
                    Some(network) => survey.parts.push(Part { network, path, header }),
                    None if header.is_gguf() => survey.others.push(path),
                    None => {}
                },
            }
        }
        survey
    }

    /// The file of a network; `None` if there is none.
    fn part(&self, network: Network) -> Result<Option<&Part>, NoCheckpoint> {
        let mut parts = self.parts.iter().filter(|part| part.network == network);
        match (parts.next(), parts.next()) {
            (Some(one), Some(other)) => Err(unusable(format!(
                "its folder has two files with the {}: {} and {}; leave one",
                network.name(),
                one.name(),
                other.name()
            ))),
            (part, _) => Ok(part),
        }
    }

    /// The networks without a file.
    fn missing(&self) -> Vec<Network> {
        let has = |network: &Network| self.parts.iter().any(|part| part.network == *network);
        Network::ALL.into_iter().filter(|network| !has(network)).collect()
    }

    /// The problem of a folder without all networks: a damaged file, or the files to add.
    fn problem(&self, missing: &[Network]) -> String {
        if let Some((path, reason)) = self.damaged.first() {
            return format!("{}: {reason}", name_of(path));
        }
        let list: Vec<String> = missing
            .iter()
            .map(|network| format!("the {} (such as {})", network.name(), network.example()))
            .collect();
        format!("its folder lacks {}; add the file (docs/images.md)", list.join(", "))
    }
}

/// The files of the model in a folder. A damaged file belongs to it while a network is missing.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let survey = Survey::of(folder);
    let is_whole = survey.missing().is_empty();
    let damaged = survey.damaged.into_iter().map(|(path, _)| path).filter(|_| !is_whole);
    let tokenizer = Some(folder.join(TOKENIZER)).filter(|path| path.is_file());
    let mut files: Vec<PathBuf> =
        survey.parts.into_iter().map(|part| part.path).chain(damaged).chain(tokenizer).collect();
    files.sort();
    files
}

/// The GGUF files in a folder that don't belong to its model.
pub(super) fn other_models(folder: &Path) -> Vec<PathBuf> {
    let survey = Survey::of(folder);
    let is_whole = survey.missing().is_empty();
    let damaged = survey.damaged.into_iter().map(|(path, _)| path);
    let damaged = damaged.filter(|path| is_whole && has_extension(path, "gguf"));
    survey.others.into_iter().chain(damaged).collect()
}

pub(super) fn read(folder: &Path) -> Result<Checkpoint, NoCheckpoint> {
    if !is_folder(folder) {
        return Err(NoCheckpoint::Other);
    }
    let survey = Survey::of(folder);
    let [transformer, t5, clip, autoencoder] = Network::ALL.map(|network| survey.part(network));
    let (Some(transformer), Some(t5), Some(clip), Some(autoencoder)) =
        (transformer?, t5?, clip?, autoencoder?)
    else {
        return Err(unusable(survey.problem(&survey.missing())));
    };
    let all = [transformer, t5, clip, autoencoder];
    for part in all {
        check_types(part)?;
    }
    let family = family(transformer)?;
    let tokenizer = tokenizer(folder, t5)?;
    let sum = |number: fn(&PartHeader) -> u64| {
        all.iter().fold(0, |sum: u64, part| sum.saturating_add(number(&part.header)))
    };
    Ok(Checkpoint {
        family,
        files: all.iter().map(|part| part.path.clone()).chain(tokenizer.clone()).collect(),
        weights: sum(PartHeader::weights),
        memory_bytes: sum(|header| header.memory_bytes(NUMBER_BYTES)),
        precision: transformer.header.precision(),
        layout: Layout::Flux(FluxParts {
            transformer: transformer.path.clone(),
            t5: t5.path.clone(),
            clip: clip.path.clone(),
            autoencoder: autoencoder.path.clone(),
            tokenizer,
        }),
    })
}

fn family(transformer: &Part) -> Result<ImageFamily, NoCheckpoint> {
    let prefix = transformer_prefix(&transformer.header).unwrap_or_default();
    let has = |name: &str| transformer.header.shape(&format!("{prefix}{name}"));
    let input = has("img_in.weight").and_then(|shape| shape.get(1).copied());
    if input != Some(PATCH_NUMBERS) {
        return Err(unusable(format!(
            "its transformer {} takes {} numbers for each patch; the engine has FLUX.1 schnell and dev, which take \
             {PATCH_NUMBERS}",
            transformer.name(),
            input.unwrap_or(0),
        )));
    }
    let is_guided = has("guidance_in.in_layer.weight").is_some();
    Ok(if is_guided { ImageFamily::FluxDev } else { ImageFamily::FluxSchnell })
}

/// The tokenizer beside a T5 that has none inside.
fn tokenizer(folder: &Path, t5: &Part) -> Result<Option<PathBuf>, NoCheckpoint> {
    if t5.header.is_gguf() {
        return Ok(None);
    }
    let path = folder.join(TOKENIZER);
    match path.is_file() {
        true => Ok(Some(path)),
        false => Err(unusable(format!(
            "its text encoder T5, {}, has no tokenizer inside; add T5's {TOKENIZER}, or use a T5 as GGUF",
            t5.name()
        ))),
    }
}

fn check_types(part: &Part) -> Result<(), NoCheckpoint> {
    if part.header.has_scaled_weights() {
        return Err(unusable(format!(
            "{} has scaled weights of 8 bits, which the engine doesn't read; use a GGUF file, or one with F16 or BF16",
            part.name()
        )));
    }
    match part.header.unreadable_type(&READABLE_TYPES) {
        Some(kind) => Err(unusable(format!(
            "{} has weights of the type {kind}, which the engine doesn't read; use one with Q4_K, Q5_K, Q6_K or Q8_0",
            part.name()
        ))),
        None => Ok(()),
    }
}

fn unusable(reason: String) -> NoCheckpoint {
    NoCheckpoint::Unusable(reason)
}
