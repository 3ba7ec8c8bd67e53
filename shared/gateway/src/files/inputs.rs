//! Files and artifacts as the input of a run: a task names them by their ids, and gets their bytes.
//!
//! They are checked before the first one is read: by their owner, their number and the bytes of all of them together, each
//! counted as often as it is named.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{
    ArtifactId, AttachmentContent, Document, DocumentSource, FileId, FileState, ImageSource, Mesh, MeshTask,
    Task, mesh::GLB,
};
use hearth_wire::{ApiError, ErrorCode};

use crate::{
    access::{Caller, Credential},
    artifacts::{ArtifactAccess, Artifacts},
    error,
};

/// Largest sum of the files that are inputs of one request. It is as much as the body of a request may have.
const INPUT_MAX_BYTES: u64 = 10 << 20;
/// Most places of a request in which ids of files stand.
const INPUT_MAX_COUNT: usize = 64;
/// Media types beside `text/...` of documents that a model reads as text.
const TEXTS: [&str; 3] = ["application/json", "application/jsonl", "application/xml"];
/// The fields of the errors.
const IMAGES: &str = "input.images";
const MESH: &str = "input.mesh";
const DOCUMENTS: &str = "file_id";

/// An id in the place of an image, a document or a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reference {
    Artifact(ArtifactId),
    File(FileId),
}

impl Reference {
    fn parse(text: &str) -> Option<Self> {
        let artifact = text.parse().ok().map(Self::Artifact);
        artifact.or_else(|| text.parse().ok().map(Self::File))
    }

    fn of_image(source: &ImageSource) -> Option<Self> {
        match source {
            ImageSource::Url(url) => Self::parse(url),
            ImageSource::Data { .. } => None,
        }
    }

    fn of_document(document: &Document) -> Option<Self> {
        match &document.source {
            DocumentSource::Url(url) => Self::parse(url),
            _ => None,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Artifact(_) => "artifact",
            Self::File(_) => "file",
        }
    }
}

/// A file that was read.
struct Loaded {
    name: Option<String>,
    media_type: String,
    size_bytes: u64,
    bytes: Vec<u8>,
}

type LoadedFiles = HashMap<Reference, Loaded>;

/// True if a task names files or artifacts by their ids.
pub(crate) fn names_files(task: &Task) -> bool {
    references(task).next().is_some()
}

/// The ids in a task, each with the field for an error.
fn references(task: &Task) -> impl Iterator<Item = (Reference, &'static str)> + '_ {
    let mesh = match task {
        Task::Mesh(MeshTask { mesh: Some(Mesh::Artifact(id)), .. }) => Some((Reference::Artifact(*id), MESH)),
        _ => None,
    };
    let images = task.images().filter_map(|image| Some((Reference::of_image(&image.source)?, IMAGES)));
    let messages = match task {
        Task::Text(task) => &task.messages[..],
        _ => &[],
    };
    let documents = messages.iter().flat_map(hearth_domain::Message::documents);
    let documents = documents.filter_map(|document| Some((Reference::of_document(document)?, DOCUMENTS)));
    mesh.into_iter().chain(images).chain(documents)
}

impl Artifacts {
    /// Replaces the ids of the caller's files and artifacts in a task by their bytes, as images, documents or a mesh.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's; `invalid_request` for one of another kind;
    /// `payload_too_large`; `forbidden` for a file, if the credential is an access key.
    pub(crate) async fn inline(&self, caller: &Caller, task: &mut Task) -> Result<(), ApiError> {
        let files = self.load_all(caller, references(task).collect()).await?;
        if files.is_empty() {
            return Ok(());
        }
        for image in task.images_mut() {
            let Some(reference) = Reference::of_image(&image.source) else { continue };
            let Some(file) = files.get(&reference) else { continue };
            if !file.media_type.starts_with("image/") || file.media_type == "image/svg+xml" {
                let message = format!("the {} {} is no image", reference.kind(), image.url());
                return Err(ApiError::invalid(IMAGES, message));
            }
            let (media_type, data) = (file.media_type.clone(), STANDARD.encode(&file.bytes));
            image.source = ImageSource::Data { media_type, data };
        }
        match task {
            Task::Text(task) => {
                let attachments = task.messages.iter_mut().flat_map(|message| &mut message.attachments);
                for attachment in attachments {
                    if let AttachmentContent::Document(document) = &mut attachment.content {
                        inline_document(document, &files);
                    }
                }
            }
            Task::Mesh(MeshTask { mesh: Some(mesh), .. }) => {
                if let Mesh::Artifact(id) = mesh
                    && let Some(file) = files.get(&Reference::Artifact(*id))
                {
                    if file.media_type != GLB {
                        return Err(ApiError::invalid(MESH, format!("the artifact {id} is no mesh")));
                    }
                    *mesh = Mesh::Data(STANDARD.encode(&file.bytes));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads the caller's files and artifacts, each once.
    async fn load_all(
        &self,
        caller: &Caller,
        references: Vec<(Reference, &'static str)>,
    ) -> Result<LoadedFiles, ApiError> {
        if references.len() > INPUT_MAX_COUNT {
            let message = format!(
                "the input names files in {} places, and {INPUT_MAX_COUNT} are allowed",
                references.len()
            );
            return Err(ApiError::new(ErrorCode::PayloadTooLarge, message));
        }
        let (mut files, mut sum) = (LoadedFiles::new(), 0_u64);
        for (reference, param) in &references {
            if !files.contains_key(reference) {
                let facts = self.facts(caller, *reference).await.map_err(|error| error.at(*param))?;
                files.insert(*reference, facts);
            }
            sum = sum.saturating_add(files.get(reference).map_or(0, |file| file.size_bytes));
            if sum > INPUT_MAX_BYTES {
                let message = format!(
                    "the files of an input have {} MB together at most, each counted as often as it is named",
                    INPUT_MAX_BYTES >> 20
                );
                let error = ApiError::new(ErrorCode::PayloadTooLarge, message).at(*param);
                return Err(error.with("limit_bytes", INPUT_MAX_BYTES));
            }
        }
        for (reference, file) in &mut files {
            let bytes = match reference {
                Reference::Artifact(id) => self.store.artifacts().read(*id).await,
                Reference::File(id) => self.store.files().read(*id).await,
            };
            let bytes = bytes.map_err(error::store)?.ok_or_else(|| no_such(*reference))?;
            file.bytes = bytes.collect().await.map_err(|error| error::internal(&error))?;
        }
        Ok(files)
    }

    /// A file or an artifact without its bytes.
    async fn facts(&self, caller: &Caller, reference: Reference) -> Result<Loaded, ApiError> {
        let bytes = Vec::new();
        match reference {
            Reference::Artifact(id) => {
                let artifact = self.get(ArtifactAccess::Caller(caller), id).await?;
                let (media_type, size_bytes) = (artifact.media_type, artifact.size_bytes);
                Ok(Loaded { name: None, media_type, size_bytes, bytes })
            }
            Reference::File(_) if matches!(caller.credential, Credential::AccessKey(_)) => {
                let message = "an access key runs its models only, and reads no files of its owner";
                Err(ApiError::new(ErrorCode::Forbidden, message))
            }
            Reference::File(id) => {
                let record = self.store.files().get(id).await.map_err(error::store)?;
                let record = record.filter(|record| record.owner() == caller.owner());
                let record = record.filter(|record| record.state == FileState::Stored);
                let record = record.ok_or_else(|| no_such(reference))?;
                let (media_type, size_bytes) = (record.media_type, record.size_bytes);
                Ok(Loaded { name: Some(record.name), media_type, size_bytes, bytes })
            }
        }
    }
}

fn inline_document(document: &mut Document, files: &LoadedFiles) {
    let Some(file) = Reference::of_document(document).and_then(|reference| files.get(&reference)) else {
        return;
    };
    if document.name.is_none() {
        document.name.clone_from(&file.name);
    }
    let is_text = file.media_type.starts_with("text/") || TEXTS.contains(&file.media_type.as_str());
    document.source = match std::str::from_utf8(&file.bytes) {
        Ok(text) if is_text => DocumentSource::Text(text.to_owned()),
        _ => DocumentSource::Data { media_type: file.media_type.clone(), data: STANDARD.encode(&file.bytes) },
    };
}

fn no_such(reference: Reference) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("there is no {} with this id", reference.kind()))
}
