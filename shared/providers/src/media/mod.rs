//! Requests for vectors, images and meshes, whose answers are not streamed.
//!
//! A vendor's file names the APIs of the vendor. A task becomes a [`MediaJob`]: requests, and the reader of their
//! answers. Nothing here does I/O: [`crate::http`] sends the requests.

mod embeddings;
mod form;
mod google_images;
mod huggingface;
mod job;
pub mod openai_images;
mod picture;
mod rejection;
mod stability;

#[cfg(test)]
mod tests;

use hearth_domain::{Modality, Task};
use hearth_wire::ApiError;

use crate::provider::Call;

use job::ReadAnswer;
pub(crate) use job::{MediaAnswer, MediaJob, MediaRequest, RequestBody};

/// The modalities that a vendor can generate, and the APIs for those that aren't text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    /// True if the vendor generates text, in its dialect.
    pub text: bool,
    /// The API for vectors.
    pub embeddings: Option<Embeddings>,
    /// The API for images.
    pub images: Option<Images>,
    /// The API for meshes.
    pub meshes: Option<Meshes>,
}

/// APIs for vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embeddings {
    /// OpenAI's `/embeddings`, with the name of its field for the vector's length.
    OpenAi(&'static str),
    /// Google's `batchEmbedContents`.
    Google,
    /// Hugging Face's feature extraction.
    HuggingFace,
}

/// APIs for images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// OpenAI's `/images/generations`.
    OpenAi(&'static openai_images::Quirks),
    /// Google's `generateContent`, and `predict` for Imagen.
    Google,
    /// Hugging Face's text to image.
    HuggingFace,
    /// Stability's Stable Image.
    Stability,
}

/// APIs for meshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meshes {
    /// Stability's 3D.
    Stability,
    /// A model at Hugging Face that answers with a file.
    HuggingFace,
}

/// Text only.
pub const TEXT: Media = Media { text: true, embeddings: None, images: None, meshes: None };

impl Media {
    /// Returns whether the vendor can generate this modality.
    #[must_use]
    pub fn supports(&self, modality: Modality) -> bool {
        match modality {
            Modality::Text => self.text,
            Modality::Embedding => self.embeddings.is_some(),
            Modality::Image => self.images.is_some(),
            Modality::ThreeD => self.meshes.is_some(),
        }
    }
}

/// Builds the job for a task that isn't text; `None` if `media` has no API for it.
///
/// # Errors
/// `invalid_request` for a field that the API doesn't support.
pub(crate) fn job(base_url: &str, media: Media, call: &Call) -> Result<Option<MediaJob>, ApiError> {
    let (model, task) = (call.model.as_str(), &call.generation.task);
    let (requests, read): (Vec<MediaRequest>, ReadAnswer) = match task {
        Task::Embedding(task) => match media.embeddings {
            Some(Embeddings::OpenAi(length_field)) => {
                (embeddings::openai(base_url, call, task, length_field), embeddings::read_openai)
            }
            Some(Embeddings::Google) => (embeddings::google(base_url, call, task)?, embeddings::read_google),
            Some(Embeddings::HuggingFace) => {
                (huggingface::embeddings(base_url, model, task)?, huggingface::read_vectors)
            }
            None => return Ok(None),
        },
        Task::Image(task) => match media.images {
            Some(Images::OpenAi(quirks)) => {
                (openai_images::requests(base_url, quirks, call, task)?, openai_images::read)
            }
            Some(Images::Google) => google_images::requests(base_url, model, task)?,
            Some(Images::HuggingFace) => {
                (huggingface::images(base_url, model, task)?, huggingface::read_file)
            }
            Some(Images::Stability) => (stability::images(base_url, model, task)?, stability::read),
            None => return Ok(None),
        },
        Task::Mesh(task) => match media.meshes {
            Some(Meshes::Stability) => (stability::mesh(base_url, model, task)?, stability::read),
            Some(Meshes::HuggingFace) => (huggingface::mesh(base_url, model, task)?, huggingface::read_file),
            None => return Ok(None),
        },
        Task::Text(_) => return Ok(None),
    };
    Ok(Some(MediaJob::new(task, requests, read)))
}
