//! The requests of a job, their answers, and the run events of the results.

use bytes::Bytes;
use hearth_domain::{FinishReason, ImageFormat, Modality, Size, Task, Usage, artifact::media_type_of};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use http::HeaderMap;
use serde_json::Value;

use super::form::Form;
use crate::{answer_error::unreadable, json_document::failure_in_place_of_file};

/// Maximum size of one answer.
const ANSWER_MAX_BYTES: usize = 256 << 20;
/// Maximum share of one image in an answer: a large one, in base64.
const IMAGE_MAX_BYTES: usize = 32 << 20;
/// Maximum size of a mesh.
const MESH_MAX_BYTES: usize = 128 << 20;
/// Maximum share of one vector in an answer: 8192 numbers in decimal digits.
const VECTOR_MAX_BYTES: usize = 256 << 10;
/// Bytes of a number of a vector in an answer, in decimal digits.
const NUMBER_EXPECTED_BYTES: usize = 12;
/// Length of a vector whose request leaves it open.
const DIMENSIONS_EXPECTED: usize = 1536;
/// Pixels of an image whose request leaves its size open.
const PIXELS_EXPECTED: usize = 1 << 20;
/// Size of a mesh, as providers make them.
const MESH_EXPECTED_BYTES: usize = 8 << 20;
/// Maximum size of the rest of an answer, beside images or vectors.
const ENVELOPE_MAX_BYTES: usize = 1 << 20;

/// A request for vectors, images or a mesh.
#[derive(Debug)]
pub(crate) struct MediaRequest {
    /// The absolute URL.
    pub(crate) url: String,
    pub(crate) body: RequestBody,
    /// The media type for `accept`.
    pub(crate) accept: &'static str,
}

/// A request's body.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Json(Value),
    Form(Form),
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct MediaAnswer {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

/// The contents of an answer.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct MediaResult {
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) files: Vec<MediaFile>,
    pub(crate) usage: Option<Usage>,
}

/// An image or a mesh.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct MediaFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) revised_prompt: Option<String>,
}

/// Reads an answer.
pub(crate) type ReadAnswer = fn(&MediaAnswer) -> Result<MediaResult, ApiError>;

/// The requests of one generation, and the reader of their answers.
#[derive(Debug)]
pub(crate) struct MediaJob {
    /// The requests. Their results are joined in this order.
    pub(crate) requests: Vec<MediaRequest>,
    pub(crate) read: ReadAnswer,
    /// Maximum size of each answer.
    pub(crate) answer_max_bytes: usize,
    /// Size that all answers together are expected to have.
    pub(crate) expected_bytes: usize,
    modality: Modality,
    dimensions: Option<u32>,
    /// Requested number of images or vectors.
    count: usize,
}

impl MediaJob {
    pub(super) fn new(task: &Task, requests: Vec<MediaRequest>, read: ReadAnswer) -> Self {
        let dimensions = match task {
            Task::Embedding(task) => task.dimensions,
            _ => None,
        };
        let (count, each) = match task {
            Task::Embedding(task) => (task.inputs.len(), VECTOR_MAX_BYTES),
            Task::Image(task) => (task.count as usize, IMAGE_MAX_BYTES),
            Task::Mesh(_) | Task::Text(_) => (1, MESH_MAX_BYTES),
        };
        let in_one_answer = count.div_ceil(requests.len().max(1));
        let answer_max_bytes = ANSWER_MAX_BYTES.min(ENVELOPE_MAX_BYTES + in_one_answer.saturating_mul(each));
        let expected_bytes = count.saturating_mul(expected_bytes(task).min(each));
        let modality = task.modality();
        Self { requests, read, answer_max_bytes, expected_bytes, modality, dimensions, count }
    }

    /// Returns the run events of all results, which are in the order of their requests.
    ///
    /// # Errors
    /// `provider_error` for results of another kind than requested.
    pub(crate) fn events(&self, results: Vec<MediaResult>) -> Result<Vec<RunEventBody>, ApiError> {
        let (mut events, mut usage) = (Vec::new(), None);
        for result in &results {
            usage = sum(usage, result.usage);
        }
        let (vectors, files): (Vec<_>, Vec<_>) =
            results.into_iter().map(|result| (result.vectors, result.files)).unzip();
        let vectors = vectors.into_iter().flatten().map(|vector| normalize(vector, self.dimensions));
        let vectors = vectors.collect::<Result<Vec<_>, ApiError>>()?;
        if self.modality == Modality::Embedding {
            self.check_vectors(&vectors)?;
        }
        for (index, vector) in (0..).zip(vectors) {
            events.push(RunEventBody::Embedding { index, vector });
        }
        // Some providers return more images than requested.
        for (index, file) in (0..).zip(files.into_iter().flatten().take(self.count)) {
            self.check_file(&file)?;
            let MediaFile { bytes, revised_prompt } = file;
            events.push(RunEventBody::File { index, bytes, revised_prompt });
        }
        if events.is_empty() {
            return Err(ApiError::new(ErrorCode::ProviderError, "the provider's answer has no result"));
        }
        events.extend(usage.map(|usage| RunEventBody::Usage { usage }));
        events.push(RunEventBody::Done { finish_reason: FinishReason::Stop });
        Ok(events)
    }

    /// Checks that there is one vector for each input, all of one length and of finite numbers.
    fn check_vectors(&self, vectors: &[Vec<f32>]) -> Result<(), ApiError> {
        if vectors.len() != self.count {
            return Err(unreadable(format!("it has {} vectors for {} inputs", vectors.len(), self.count)));
        }
        let length = vectors.first().map_or(0, Vec::len);
        let is_valid =
            |vector: &Vec<f32>| vector.len() == length && vector.iter().all(|number| number.is_finite());
        if length == 0 || !vectors.iter().all(is_valid) {
            return Err(unreadable("its vectors are empty, not of one length, or not of numbers"));
        }
        Ok(())
    }

    /// Checks by its first bytes that a file is of the requested kind.
    fn check_file(&self, file: &MediaFile) -> Result<(), ApiError> {
        let (prefix, noun) = match self.modality {
            Modality::ThreeD => ("model/", "mesh"),
            _ => ("image/", "image"),
        };
        if media_type_of(&file.bytes).is_some_and(|media_type| media_type.starts_with(prefix)) {
            return Ok(());
        }
        let message = format!("the provider's file isn't a readable {noun}");
        let error = || ApiError::new(ErrorCode::ProviderError, message);
        Err(failure_in_place_of_file(&file.bytes).unwrap_or_else(error))
    }
}

/// Returns the size that one vector, image or mesh of a task is expected to have in an answer.
fn expected_bytes(task: &Task) -> usize {
    match task {
        Task::Embedding(task) => {
            let dimensions = task.dimensions.map_or(DIMENSIONS_EXPECTED, |dimensions| dimensions as usize);
            dimensions.saturating_mul(NUMBER_EXPECTED_BYTES)
        }
        Task::Image(task) => {
            let pixels = |size: Size| (size.width as usize).saturating_mul(size.height as usize);
            // A photograph in base64. The other formats compress more than PNG, which is the most frequent default.
            let bytes_per_pixel = match task.format {
                None | Some(ImageFormat::Png) => 2,
                Some(ImageFormat::Jpeg | ImageFormat::Webp) => 1,
            };
            task.size.map_or(PIXELS_EXPECTED, pixels).saturating_mul(bytes_per_pixel)
        }
        Task::Mesh(_) | Task::Text(_) => MESH_EXPECTED_BYTES,
    }
}

fn sum(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    Some(one.and(&other))
}

/// Truncates a vector to the requested number of dimensions, and scales it to length 1. Servers that don't support a
/// number of dimensions return all.
fn normalize(mut vector: Vec<f32>, dimensions: Option<u32>) -> Result<Vec<f32>, ApiError> {
    if let Some(dimensions) = dimensions.map(|dimensions| dimensions as usize) {
        if vector.len() < dimensions {
            let message =
                format!("dimensions must be at most {}, the length of the model's vectors", vector.len());
            return Err(ApiError::invalid("dimensions", message));
        }
        vector.truncate(dimensions);
    }
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 && length.is_finite() {
        vector.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
    }
    Ok(vector)
}
