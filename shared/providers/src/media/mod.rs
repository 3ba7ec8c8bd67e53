//! What providers make beside text: vectors, images, meshes. Such an answer comes whole, and not in frames.
//!
//! A vendor's file says what of it the vendor makes, and in whose words it is asked. A task becomes a [`Job`]:
//! requests, and what reads their answers. Nothing here does I/O: the bytes come and go in [`crate::http`].

mod document;
mod embeddings;
mod form;
mod google_images;
mod huggingface;
pub mod openai_images;
mod picture;
mod stability;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use hearth_domain::{Modality, Task, Usage, artifact::media_type_of};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use http::HeaderMap;
use serde_json::Value;

use crate::{Call, Endpoint, dialect::unreadable, vendor};

pub(crate) use form::Form;

/// What a vendor makes, and in whose words it is asked for what isn't text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    /// Whether it makes text, in the vendor's dialect.
    pub text: bool,
    /// Vectors.
    pub embeddings: Option<Embeddings>,
    /// Images.
    pub images: Option<Images>,
    /// Meshes.
    pub meshes: Option<Meshes>,
}

/// In whose words vectors are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embeddings {
    /// OpenAI's `/embeddings`; with the name of the vector's length there.
    OpenAi(&'static str),
    /// Google's `batchEmbedContents`.
    Google,
    /// Hugging Face's feature extraction.
    HuggingFace,
}

/// In whose words images are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// OpenAI's `/images/generations`.
    OpenAi(&'static openai_images::Habits),
    /// Google's `generateContent`, and `predict` for Imagen.
    Google,
    /// Hugging Face's text to image.
    HuggingFace,
    /// Stability's Stable Image.
    Stability,
}

/// In whose words meshes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meshes {
    /// Stability's 3D.
    Stability,
    /// A model of Hugging Face's that answers with a file.
    HuggingFace,
}

/// Text alone.
pub const TEXT: Media = Media { text: true, embeddings: None, images: None, meshes: None };

impl Media {
    /// Whether it makes such things.
    #[must_use]
    pub fn makes(&self, modality: Modality) -> bool {
        match modality {
            Modality::Text => self.text,
            Modality::Embedding => self.embeddings.is_some(),
            Modality::Image => self.images.is_some(),
            Modality::ThreeD => self.meshes.is_some(),
        }
    }
}

/// A request to send.
#[derive(Debug)]
pub(crate) struct Ask {
    /// Where to.
    pub(crate) url: String,
    /// What is asked.
    pub(crate) body: Body,
    /// The media type that the answer may have.
    pub(crate) accept: &'static str,
}

/// A request's body.
#[derive(Debug)]
pub(crate) enum Body {
    Json(Value),
    Form(Form),
}

/// An answer that came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

/// What an answer has.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Made {
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) files: Vec<MadeFile>,
    pub(crate) usage: Option<Usage>,
}

/// A file that was made.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct MadeFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) revised_prompt: Option<String>,
}

/// Reads an answer.
pub(crate) type Read = fn(&Answer) -> Result<Made, ApiError>;

/// How a task is carried out.
#[derive(Debug)]
pub(crate) struct Job {
    /// The requests. What they make is put together in this order.
    pub(crate) asks: Vec<Ask>,
    /// Reads an answer.
    pub(crate) read: Read,
    /// How many bytes an answer may have.
    pub(crate) most_bytes: usize,
    modality: Modality,
    dimensions: Option<u32>,
    /// How many images, or vectors, were asked for.
    count: usize,
}

/// The most bytes of one answer, whatever was asked for.
const ANSWER_MAX_BYTES: usize = 256 << 20;
/// The most bytes of an answer for each image in it: of a large one, in base64.
const IMAGE_MAX_BYTES: usize = 32 << 20;
/// The most bytes of a mesh.
const MESH_MAX_BYTES: usize = 128 << 20;
/// The most bytes of an answer for each vector in it: of 8192 numbers in decimal digits.
const VECTOR_MAX_BYTES: usize = 256 << 10;
/// Bytes of an answer beside what it has of images or vectors.
const ENVELOPE_MAX_BYTES: usize = 1 << 20;

/// What to ask `endpoint` for a task that isn't text.
///
/// # Errors
/// `invalid_request` for what the vendor doesn't make, or has no word for.
pub(crate) fn job(endpoint: &Endpoint, call: &Call) -> Result<Job, ApiError> {
    let (base, task) = (endpoint.base_url.trim_end_matches('/'), &call.generation.task);
    let media = endpoint.vendor.media;
    let (asks, read): (Vec<Ask>, Read) = match task {
        Task::Embedding(task) => match media.embeddings {
            Some(Embeddings::OpenAi(length)) => {
                (embeddings::openai(base, call, task, length), embeddings::read_openai)
            }
            Some(Embeddings::Google) => (embeddings::google(base, call, task)?, embeddings::read_google),
            Some(Embeddings::HuggingFace) => {
                (huggingface::embeddings(base, call.model.as_str(), task)?, huggingface::read_vectors)
            }
            None => return Err(makes_none(endpoint, Modality::Embedding)),
        },
        Task::Image(task) => match media.images {
            Some(Images::OpenAi(habits)) => {
                (openai_images::asks(base, habits, call, task)?, openai_images::read)
            }
            Some(Images::Google) => google_images::job(base, call.model.as_str(), task)?,
            Some(Images::HuggingFace) => {
                (huggingface::images(base, call.model.as_str(), task)?, huggingface::read_file)
            }
            Some(Images::Stability) => (stability::images(base, call.model.as_str(), task)?, stability::read),
            None => return Err(makes_none(endpoint, Modality::Image)),
        },
        Task::Mesh(task) => match media.meshes {
            Some(Meshes::Stability) => (stability::mesh(base, call.model.as_str(), task)?, stability::read),
            Some(Meshes::HuggingFace) => {
                (huggingface::mesh(base, call.model.as_str(), task)?, huggingface::read_file)
            }
            None => return Err(makes_none(endpoint, Modality::ThreeD)),
        },
        Task::Text(_) => return Err(makes_none(endpoint, Modality::Text)),
    };
    let dimensions = match task {
        Task::Embedding(task) => task.dimensions,
        _ => None,
    };
    let (count, each) = match task {
        Task::Embedding(task) => (task.inputs.len(), VECTOR_MAX_BYTES),
        Task::Image(task) => (task.count as usize, IMAGE_MAX_BYTES),
        Task::Mesh(_) | Task::Text(_) => (1, MESH_MAX_BYTES),
    };
    let in_one_answer = count.div_ceil(asks.len().max(1));
    let most_bytes = ANSWER_MAX_BYTES.min(ENVELOPE_MAX_BYTES + in_one_answer.saturating_mul(each));
    Ok(Job { asks, read, most_bytes, modality: task.modality(), dimensions, count })
}

/// A provider is asked for what it doesn't make; who does is told.
pub(crate) fn makes_none(endpoint: &Endpoint, modality: Modality) -> ApiError {
    let what = match modality {
        Modality::Text => "text",
        Modality::Image => "images",
        Modality::ThreeD => "meshes",
        Modality::Embedding => "embeddings",
    };
    let able = vendor::ALL.iter().filter(|vendor| vendor.media.makes(modality)).map(|vendor| vendor.kind);
    let able: Vec<&str> = able.collect();
    let message = format!(
        "{} is asked for no {what} through this gateway; providers of these kinds are: {}",
        endpoint.name,
        able.join(", ")
    );
    ApiError::invalid("model", message)
}

impl Job {
    /// The events that tell of what all answers have, in the order of their requests.
    ///
    /// # Errors
    /// `provider_error` for what isn't what was asked for.
    pub(crate) fn events(&self, made: Vec<Made>) -> Result<Vec<RunEventBody>, ApiError> {
        let (mut events, mut usage) = (Vec::new(), None);
        for part in &made {
            usage = sum(usage, part.usage);
        }
        let (vectors, files): (Vec<_>, Vec<_>) =
            made.into_iter().map(|part| (part.vectors, part.files)).unzip();
        let vectors = vectors.into_iter().flatten().map(|vector| shortened(vector, self.dimensions));
        let vectors = vectors.collect::<Result<Vec<_>, ApiError>>()?;
        if self.modality == Modality::Embedding {
            self.check_vectors(&vectors)?;
        }
        for (index, vector) in (0..).zip(vectors) {
            events.push(RunEventBody::Embedding { index, vector });
        }
        // Some make more images than they are asked for.
        for (index, file) in (0..).zip(files.into_iter().flatten().take(self.count)) {
            self.check(&file)?;
            let MadeFile { bytes, revised_prompt } = file;
            events.push(RunEventBody::File { index, bytes, revised_prompt });
        }
        if events.is_empty() {
            return Err(ApiError::new(ErrorCode::ProviderError, "the provider has made nothing"));
        }
        events.extend(usage.map(|usage| RunEventBody::Usage { usage }));
        events.push(RunEventBody::Done { finish_reason: hearth_domain::FinishReason::Stop });
        Ok(events)
    }

    /// A vector for each input, all of one length, and of numbers.
    fn check_vectors(&self, vectors: &[Vec<f32>]) -> Result<(), ApiError> {
        if vectors.len() != self.count {
            return Err(unreadable(format!("it has {} vectors for {} inputs", vectors.len(), self.count)));
        }
        let length = vectors.first().map_or(0, Vec::len);
        let is_good =
            |vector: &Vec<f32>| vector.len() == length && vector.iter().all(|number| number.is_finite());
        if length == 0 || !vectors.iter().all(is_good) {
            return Err(unreadable("its vectors are empty, not of one length, or not of numbers"));
        }
        Ok(())
    }

    /// Bytes that aren't what was asked for go no further.
    fn check(&self, file: &MadeFile) -> Result<(), ApiError> {
        let (wanted, what) = match self.modality {
            Modality::ThreeD => ("model/", "mesh"),
            _ => ("image/", "image"),
        };
        if media_type_of(&file.bytes).is_some_and(|media_type| media_type.starts_with(wanted)) {
            return Ok(());
        }
        let message = format!("what the provider has made is no {what} that can be read");
        let unreadable = || ApiError::new(ErrorCode::ProviderError, message);
        Err(document::failure_in_place_of_file(&file.bytes).unwrap_or_else(unreadable))
    }
}

fn sum(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    Some(one.and(&other))
}

/// A vector of length 1. Servers that don't know how many numbers are wanted give all.
fn shortened(mut vector: Vec<f32>, dimensions: Option<u32>) -> Result<Vec<f32>, ApiError> {
    if let Some(wanted) = dimensions.map(|wanted| wanted as usize) {
        if vector.len() < wanted {
            let message = format!("dimensions must be at most {}: the model gives no more", vector.len());
            return Err(ApiError::invalid("dimensions", message));
        }
        vector.truncate(wanted);
    }
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 && length.is_finite() {
        vector.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
    }
    Ok(vector)
}

/// An answer's JSON.
fn json(answer: &Answer) -> Result<Value, ApiError> {
    let document: Value = document::parse(answer)?;
    document::check(answer, &document["error"], false)?;
    Ok(document)
}

/// What a provider won't make. The same request would be refused again.
fn refused(reason: &str) -> ApiError {
    let message = format!("the provider refuses to make this ({reason}); change the prompt, or the image");
    ApiError::invalid("prompt", message)
}

/// A provider is given a mesh, and makes meshes of something else.
fn takes_no_mesh() -> ApiError {
    let message = "this provider makes no mesh of another one; leave input.mesh out, or name a model of a provider of \
                   the kind huggingface whose base_url is an endpoint of your own";
    ApiError::invalid("input.mesh", message)
}

/// A field that a provider has no word for, and whose absence would change what is made.
fn unsayable(field: &str, given: bool) -> Result<(), ApiError> {
    if !given {
        return Ok(());
    }
    Err(ApiError::invalid(field, format!("this provider takes no {field}; leave it out, or name another")))
}
