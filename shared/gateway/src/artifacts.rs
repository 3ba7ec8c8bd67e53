//! Artifacts: what runs make that isn't text is kept in the bucket, and opened by links that end.
//!
//! A provider's files never go on to a client or into a run's log: between them and the driver stands a
//! [`Keeping`], which keeps each file and tells where it is.

use std::{io, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{Stream, StreamExt as _};
use hearth_auth::{Keys, sha256_hex};
use hearth_domain::{
    Artifact, ArtifactId, ClientDialect, Credits, Generation, Image, ImageSource, Mesh, MeshTask, Modality,
    RunId, Task, Timestamp, UserId, artifact::media_type_of,
};
use hearth_providers::{Call, EventStream, Provider};
use hearth_store::{StoreError, artifacts::ArtifactRecord};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};

use crate::{Caller, Gateway, error};

/// How long an artifact is kept: as long as the bucket's lifecycle says.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a link works where the operator says nothing.
const LINKED: Duration = Duration::from_secs(3600);

/// Who asks for an artifact.
#[derive(Debug, Clone, Copy)]
pub enum Asking<'a> {
    /// Whoever has a link.
    Link {
        /// When it ends, in seconds since 1970.
        expires: i64,
        /// The gateway's signature.
        signature: &'a str,
    },
    /// A caller with a token.
    Caller(&'a Caller),
}

impl Gateway {
    /// What is known of an artifact, for its owner, or for who has a link to it.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is somebody else's; `forbidden` for a link that has
    /// ended, or isn't one.
    pub async fn artifact(&self, asking: Asking<'_>, id: ArtifactId) -> Result<Artifact, ApiError> {
        if let Asking::Link { expires, signature } = asking {
            let is_ours = self.keys().await?.verify_artifact(&id.to_string(), expires, signature);
            if !is_ours || expires <= Timestamp::now().unix() {
                return Err(bad_link());
            }
        }
        let record = self.store().artifacts().get(id).await.map_err(error::store)?;
        let may = |record: &ArtifactRecord| match asking {
            Asking::Link { .. } => true,
            Asking::Caller(caller) => record.owner == caller.user,
        };
        record.filter(may).map(|record| record.artifact).ok_or_else(no_such_artifact)
    }

    /// An artifact's bytes, as they are read.
    ///
    /// # Errors
    /// `not_found` if they are deleted; `internal` if the bucket can't be read.
    pub async fn artifact_bytes(
        &self,
        id: ArtifactId,
    ) -> Result<impl Stream<Item = io::Result<Vec<u8>>> + Send + use<>, ApiError> {
        let bytes = self.store().artifacts().read(id).await.map_err(error::store)?;
        let mut bytes = bytes.ok_or_else(no_such_artifact)?;
        Ok(async_stream::stream! {
            while let Some(piece) = bytes.next().await {
                yield piece.map(|piece| piece.to_vec()).map_err(io::Error::other);
            }
        })
    }

    /// The whole file.
    ///
    /// # Errors
    /// As [`Gateway::artifact_bytes`]; `internal` if it breaks off.
    pub async fn whole_artifact(&self, id: ArtifactId) -> Result<Vec<u8>, ApiError> {
        let mut pieces = Box::pin(self.artifact_bytes(id).await?);
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            bytes.extend(piece.map_err(|error| error::internal(&error))?);
        }
        Ok(bytes)
    }

    /// Puts the caller's artifacts into a task that names them by their ids, as images or as a mesh.
    ///
    /// # Errors
    /// `not_found` as for [`Gateway::artifact`]; `invalid_request` for one of another kind.
    pub(crate) async fn put_artifacts(&self, caller: &Caller, task: &mut Task) -> Result<(), ApiError> {
        for image in task.images_mut() {
            let ImageSource::Url(url) = &image.source else { continue };
            let Ok(id) = url.parse() else { continue };
            let (media_type, data) = self.given(caller, id, Modality::Image).await?;
            image.source = ImageSource::Data { media_type, data };
        }
        if let Task::Mesh(MeshTask { mesh: Some(mesh), .. }) = task
            && let Mesh::Artifact(id) = mesh
        {
            *mesh = Mesh::Data(self.given(caller, *id, Modality::ThreeD).await?.1);
        }
        Ok(())
    }

    /// What an artifact is, and its bytes in base64.
    async fn given(
        &self,
        caller: &Caller,
        id: ArtifactId,
        wanted: Modality,
    ) -> Result<(String, String), ApiError> {
        let (param, what) = match wanted {
            Modality::ThreeD => ("input.mesh", "mesh"),
            _ => ("input.images", "image"),
        };
        let found = self.artifact(Asking::Caller(caller), id).await;
        let artifact = found.map_err(|error| error.at(param))?;
        if artifact.modality() != wanted {
            return Err(ApiError::invalid(param, format!("the artifact {id} is no {what}")));
        }
        Ok((artifact.media_type, STANDARD.encode(self.whole_artifact(id).await?)))
    }

    /// The provider; one that makes files keeps each of them for `caller`.
    pub(crate) fn keeping(
        &self,
        caller: &Caller,
        generation: &Generation,
        provider: &Arc<dyn Provider>,
    ) -> Arc<dyn Provider> {
        let provider = Arc::clone(provider);
        match generation.task {
            Task::Text(_) | Task::Embedding(_) => provider,
            Task::Image(_) | Task::Mesh(_) => {
                Arc::new(Keeping { provider, gateway: self.clone(), owner: caller.user })
            }
        }
    }

    /// Gives each artifact a link that works from now on.
    pub(crate) async fn sign_links<'a>(
        &self,
        artifacts: impl IntoIterator<Item = &'a mut Artifact>,
    ) -> Result<(), ApiError> {
        let mut artifacts = artifacts.into_iter().peekable();
        if artifacts.peek().is_none() {
            return Ok(());
        }
        let keys = self.keys().await?;
        let span = self.0.options.artifact_links.unwrap_or(LINKED);
        for artifact in artifacts {
            artifact.link = link(keys, artifact, span);
        }
        Ok(())
    }

    async fn keep(
        &self,
        owner: UserId,
        run: RunId,
        bytes: Vec<u8>,
        revised_prompt: Option<String>,
    ) -> Result<Artifact, ApiError> {
        let media_type = media_type_of(&bytes).ok_or_else(|| {
            ApiError::new(ErrorCode::ProviderError, "what the provider has made is no file that is known")
        })?;
        let created_at = Timestamp::now();
        let artifact = Artifact {
            id: ArtifactId::new(),
            media_type: media_type.to_owned(),
            size_bytes: bytes.len() as u64,
            sha256: sha256_hex(&bytes),
            revised_prompt,
            expires_at: created_at.plus(KEPT),
            link: String::new(),
        };
        let mut record = ArtifactRecord { artifact, owner, run, created_at };
        self.store().artifacts().put(&record, bytes).await.map_err(cannot_keep)?;
        self.sign_links([&mut record.artifact]).await?;
        Ok(record.artifact)
    }
}

/// Whether a task names artifacts by their ids.
pub(crate) fn names_artifacts(task: &Task) -> bool {
    let is_one =
        |image: &Image| matches!(&image.source, ImageSource::Url(url) if url.parse::<ArtifactId>().is_ok());
    let is_mesh = matches!(task, Task::Mesh(MeshTask { mesh: Some(Mesh::Artifact(_)), .. }));
    is_mesh || task.images().any(is_one)
}

/// A path with a signature. It ends after `span`, or with the artifact.
fn link(keys: &Keys, artifact: &Artifact, span: Duration) -> String {
    let id = artifact.id.to_string();
    let expires = Timestamp::now().plus(span).min(artifact.expires_at).unix();
    format!("/v1/artifacts/{id}?expires={expires}&signature={}", keys.sign_artifact(&id, expires))
}

/// A provider whose files are kept.
#[derive(Debug)]
struct Keeping {
    provider: Arc<dyn Provider>,
    gateway: Gateway,
    owner: UserId,
}

#[async_trait::async_trait]
impl Provider for Keeping {
    fn name(&self) -> &str {
        self.provider.name()
    }

    fn kind(&self) -> &str {
        self.provider.kind()
    }

    fn credits(&self) -> Option<Credits> {
        self.provider.credits()
    }

    fn speaks(&self, client: ClientDialect) -> bool {
        self.provider.speaks(client)
    }

    async fn generate(&self, call: Call) -> Result<EventStream, ApiError> {
        let (run, owner, gateway) = (call.run, self.owner, self.gateway.clone());
        let mut events = self.provider.generate(call).await?;
        Ok(Box::pin(async_stream::stream! {
            while let Some(event) = events.next().await {
                let RunEventBody::File { index, bytes, revised_prompt } = event else {
                    yield event;
                    continue;
                };
                match gateway.keep(owner, run, bytes, revised_prompt).await {
                    Ok(artifact) => yield RunEventBody::Artifact { index, artifact },
                    Err(error) => {
                        yield RunEventBody::Error { error };
                        return;
                    }
                }
            }
        }))
    }

    async fn cancel(&self, run: RunId) -> Result<bool, ApiError> {
        self.provider.cancel(run).await
    }
}

/// What was made is lost: it says why, as far as that is for a client to know.
fn cannot_keep(error: StoreError) -> ApiError {
    let full =
        matches!(&error, StoreError::Unavailable { reason, .. } if reason.contains("the disk is full"));
    let ApiError { code, .. } = error::store(error);
    let why = if full { "the gateway's disk is full" } else { "the gateway's bucket can't be written" };
    ApiError::new(code, format!("what was made can't be kept: {why}"))
}

fn bad_link() -> ApiError {
    let message = "the link has ended, or isn't one; ask for the artifact with a token, or for the request again, which has a new link";
    ApiError::new(ErrorCode::Forbidden, message)
}

fn no_such_artifact() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no artifact with this id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_ends_with_its_artifact_at_the_latest() {
        let keys = Keys::derive(&Keys::generate_secret()).unwrap();
        let expires_at = Timestamp::now().plus(Duration::from_secs(60));
        let artifact = Artifact {
            id: ArtifactId::new(),
            media_type: "image/png".into(),
            size_bytes: 1,
            sha256: String::new(),
            revised_prompt: None,
            expires_at,
            link: String::new(),
        };
        let link = link(&keys, &artifact, LINKED);
        assert!(link.contains(&format!("?expires={}&", expires_at.unix())), "{link}");
    }
}
