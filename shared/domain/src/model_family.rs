//! What a model makes, told by its name where nobody says so.

use crate::Modality;

/// Words that names of image models have. The name comes without its owner's folder.
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
/// Words that names of models have that make meshes.
const MESH: [&str; 6] =
    ["stable-fast-3d", "stable-point-aware-3d", "triposr", "trellis", "hunyuan3d", "shap-e"];
/// Words that names of embedding models have.
const EMBEDDING: [&str; 5] = ["embed", "bge-", "e5-", "gte-", "all-minilm"];

/// What the model of this name makes: `Text` unless the name is of a family that is known to make something
/// else. A guess, for who has no catalog at hand.
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
    fn families_are_known_by_their_names() {
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
