//! Guess of a model's modality from its name.

use crate::Modality;

/// Substrings of the names of image models, without the owner's folder.
const IMAGE: [&str; 15] = [
    "gpt-image",
    "dall-e",
    "imagen",
    "flash-image",
    "pro-image",
    "grok-2-image",
    "grok-imagine-image",
    "stable-diffusion",
    "stable-image",
    "sdxl",
    "sd3",
    "flux",
    "qwen-image",
    "hidream",
    "seedream",
];
/// Substrings of the names of mesh models.
const MESH: [&str; 6] =
    ["stable-fast-3d", "stable-point-aware-3d", "triposr", "trellis", "hunyuan3d", "shap-e"];
/// Substrings of the names of embedding models.
const EMBEDDING: [&str; 5] = ["embed", "bge-", "e5-", "gte-", "all-minilm"];

/// Guesses the modality of a model by its name, for code without a catalog. `Text` unless the name is of a known
/// family of another modality.
#[must_use]
pub fn modality_of(model: &str) -> Modality {
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    let is_one_of = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if is_one_of(&MESH) {
        Modality::ThreeD
    } else if is_one_of(&EMBEDDING) {
        Modality::Embedding
    } else if is_one_of(&IMAGE) || name.ends_with("-image") {
        Modality::Image
    } else {
        Modality::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_determine_the_modality() {
        for (name, modality) in [
            ("gpt-image-1", Modality::Image),
            ("openai:dall-e-3", Modality::Image),
            ("gemini-2.5-flash-image", Modality::Image),
            ("models/imagen-4.0-generate-001", Modality::Image),
            ("stabilityai/stable-diffusion-xl-base-1.0", Modality::Image),
            ("black-forest-labs/FLUX.1-schnell", Modality::Image),
            ("sd3.5-large", Modality::Image),
            ("stability:stable-fast-3d", Modality::ThreeD),
            ("text-embedding-3-small", Modality::Embedding),
            ("nomic-ai/nomic-embed-text-v1.5", Modality::Embedding),
            ("gpt-5", Modality::Text),
            ("gemini-2.5-flash", Modality::Text),
            ("qwen3-32b", Modality::Text),
        ] {
            assert_eq!(modality_of(name), modality, "{name}");
        }
    }
}
