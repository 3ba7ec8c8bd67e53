//! Artifacts: files of runs, stored in the bucket, and read through links that end.
//!
//! A provider's files never go to a client or into a run's log: an [`ArtifactStoringProvider`] stands between provider and
//! driver, stores each file, and sends its metadata and link instead.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::StreamExt as _;
use hearth_auth::{Keys, sha256_hex};
use hearth_domain::{
    Artifact, ArtifactId, ClientDialect, Credits, Generation, Owner, RunId, Task, Timestamp,
    artifact::media_type_of,
};
use hearth_providers::{Call, EventStream, Provider};
use hearth_store::{Store, StoreError, artifacts::ArtifactRecord};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};

use crate::{access::Caller, error, keys::GatewayKeys};

/// Limit of the bytes of a run's files that aren't complete.
const UNFINISHED_FILES_MAX_BYTES: usize = 64 << 20;

/// The right by which an artifact is read.
#[derive(Debug, Clone, Copy)]
pub enum ArtifactAccess<'a> {
    /// A link, which works without a token.
    Link {
        /// The time at which it ends, in seconds since 1970.
        expires: i64,
        /// The gateway's signature.
        signature: &'a str,
    },
    /// The token of the artifact's owner.
    Caller(&'a Caller),
}

/// The artifacts.
#[derive(Debug)]
pub(crate) struct Artifacts {
    pub(crate) store: Store,
    keys: Arc<GatewayKeys>,
    link_ttl: Duration,
    ttl: Duration,
}

impl Artifacts {
    /// `link_ttl`: the time for which a link is valid; `ttl`: that after which an artifact is deleted. The bucket deletes its
    /// file after 30 days at the latest, by the rule of its lifecycle.
    pub(crate) fn new(store: Store, keys: Arc<GatewayKeys>, link_ttl: Duration, ttl: Duration) -> Self {
        Self { store, keys, link_ttl, ttl }
    }

    /// An artifact's metadata.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's; `forbidden` for a link that has ended or whose
    /// signature is wrong.
    pub(crate) async fn get(&self, access: ArtifactAccess<'_>, id: ArtifactId) -> Result<Artifact, ApiError> {
        self.record(access, id).await.map(|record| record.artifact)
    }

    /// An artifact's record.
    ///
    /// # Errors
    /// As [`Artifacts::get`].
    pub(crate) async fn record(
        &self,
        access: ArtifactAccess<'_>,
        id: ArtifactId,
    ) -> Result<ArtifactRecord, ApiError> {
        if let ArtifactAccess::Link { expires, signature } = access {
            let is_ours = self.keys.get().await?.verify_artifact(&id.to_string(), expires, signature);
            if !is_ours || expires <= Timestamp::now().unix() {
                return Err(bad_link());
            }
        }
        let record = self.store.artifacts().get(id).await.map_err(error::store)?;
        let may_read = |record: &ArtifactRecord| match access {
            ArtifactAccess::Link { .. } => true,
            ArtifactAccess::Caller(caller) => record.owner() == caller.owner(),
        };
        record.filter(may_read).ok_or_else(no_such_artifact)
    }

    /// An artifact's bytes, all of them.
    ///
    /// # Errors
    /// `not_found` if they are deleted; `internal` if the bucket can't be read.
    pub(crate) async fn read(&self, id: ArtifactId) -> Result<Vec<u8>, ApiError> {
        let bytes = self.store.artifacts().read(id).await.map_err(error::store)?;
        let bytes = bytes.ok_or_else(no_such_artifact)?;
        bytes.collect().await.map_err(|error| error::internal(&error))
    }

    /// The provider; where a run makes files, one that stores each of them for `caller`.
    pub(crate) fn storing(
        self: &Arc<Self>,
        caller: &Caller,
        generation: &Generation,
        provider: &Arc<dyn Provider>,
    ) -> Arc<dyn Provider> {
        let provider = Arc::clone(provider);
        match generation.task {
            Task::Text(_) | Task::Embedding(_) => provider,
            Task::Image(_) | Task::Mesh(_) => Arc::new(ArtifactStoringProvider {
                provider,
                artifacts: Arc::clone(self),
                owner: caller.owner(),
            }),
        }
    }

    /// Sets the link of each artifact of this owner, which is valid from now on. Those that are another user's, or deleted, get
    /// none.
    pub(crate) async fn sign_links<'a>(
        &self,
        owner: Owner,
        artifacts: impl IntoIterator<Item = &'a mut Artifact>,
    ) -> Result<(), ApiError> {
        let artifacts: Vec<&mut Artifact> = artifacts.into_iter().collect();
        if artifacts.is_empty() {
            return Ok(());
        }
        let keys = self.keys.get().await?;
        for artifact in artifacts {
            let record = self.store.artifacts().get(artifact.id).await.map_err(error::store)?;
            artifact.link = match record.filter(|record| record.owner() == owner) {
                Some(record) => link(keys, &record.artifact, self.link_ttl),
                None => String::new(),
            };
        }
        Ok(())
    }

    /// Sets the link of each of these artifacts, whose owner has asked for them.
    pub(crate) async fn sign_own_links(&self, artifacts: &mut [Artifact]) -> Result<(), ApiError> {
        let keys = self.keys.get().await?;
        for artifact in artifacts {
            artifact.link = link(keys, artifact, self.link_ttl);
        }
        Ok(())
    }

    async fn store(
        &self,
        owner: Owner,
        run: RunId,
        bytes: Vec<u8>,
        revised_prompt: Option<String>,
    ) -> Result<Artifact, ApiError> {
        let media_type = media_type_of(&bytes).ok_or_else(|| {
            ApiError::new(ErrorCode::ProviderError, "the provider has sent a file of an unknown type")
        })?;
        let created_at = Timestamp::now();
        let artifact = Artifact {
            id: ArtifactId::new(),
            media_type: media_type.to_owned(),
            size_bytes: bytes.len() as u64,
            sha256: sha256_hex(&bytes),
            revised_prompt,
            expires_at: created_at.plus(self.ttl),
            link: String::new(),
        };
        let mut record = ArtifactRecord {
            artifact,
            owner: owner.user,
            organisation: Some(owner.organisation),
            run,
            created_at,
        };
        self.store.artifacts().put(&record, bytes).await.map_err(cannot_store)?;
        record.artifact.link = link(self.keys.get().await?, &record.artifact, self.link_ttl);
        Ok(record.artifact)
    }
}

/// A path with a signature. It is valid for `ttl`, or until the artifact ends.
fn link(keys: &Keys, artifact: &Artifact, ttl: Duration) -> String {
    let id = artifact.id.to_string();
    let expires = Timestamp::now().plus(ttl).min(artifact.expires_at).unix();
    format!("/v1/artifacts/{id}?expires={expires}&signature={}", keys.sign_artifact(&id, expires))
}

/// A provider that stores the files of its runs as artifacts, and sends an artifact in place of each.
#[derive(Debug)]
struct ArtifactStoringProvider {
    provider: Arc<dyn Provider>,
    artifacts: Arc<Artifacts>,
    owner: Owner,
}

#[async_trait::async_trait]
impl Provider for ArtifactStoringProvider {
    fn name(&self) -> &str {
        self.provider.name()
    }

    fn kind(&self) -> &str {
        self.provider.kind()
    }

    fn server_address(&self) -> Option<String> {
        self.provider.server_address()
    }

    fn credits(&self) -> Option<Credits> {
        self.provider.credits()
    }

    fn speaks(&self, client: ClientDialect) -> bool {
        self.provider.speaks(client)
    }

    async fn generate(&self, call: Call) -> Result<EventStream, ApiError> {
        let (run, owner, artifacts) = (call.run, self.owner, Arc::clone(&self.artifacts));
        let mut events = self.provider.generate(call).await?;
        Ok(Box::pin(async_stream::stream! {
            let mut unfinished = UnfinishedFiles::default();
            while let Some(event) = events.next().await {
                let (index, bytes, revised_prompt) = match event {
                    RunEventBody::File { index, bytes, revised_prompt } => (index, bytes, revised_prompt),
                    RunEventBody::FilePart { index, bytes, last } => match unfinished.append(index, &bytes, last) {
                        Ok(Some(file)) => (index, file, None),
                        Ok(None) => continue,
                        Err(error) => {
                            yield RunEventBody::Error { error };
                            return;
                        }
                    },
                    event => {
                        yield event;
                        continue;
                    }
                };
                match artifacts.store(owner, run, bytes, revised_prompt).await {
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

/// Files of a node whose pieces are being joined.
#[derive(Debug, Default)]
struct UnfinishedFiles(HashMap<u32, Vec<u8>>);

impl UnfinishedFiles {
    /// Appends a piece; returns the file with its last one.
    fn append(&mut self, index: u32, piece: &[u8], is_last: bool) -> Result<Option<Vec<u8>>, ApiError> {
        let bytes = self.0.values().fold(piece.len(), |sum, file| sum.saturating_add(file.len()));
        if bytes > UNFINISHED_FILES_MAX_BYTES {
            let message = format!("the node has sent a file of more than {UNFINISHED_FILES_MAX_BYTES} bytes");
            return Err(ApiError::new(ErrorCode::ProviderError, message));
        }
        self.0.entry(index).or_default().extend_from_slice(piece);
        Ok(if is_last { self.0.remove(&index) } else { None })
    }
}

/// The error of a file that is lost, with the reason as far as a client may know it.
fn cannot_store(error: StoreError) -> ApiError {
    let stored = error::store(error);
    let message = format!("the file that the model has made can't be stored: {}", stored.message);
    ApiError { message, ..stored }
}

fn bad_link() -> ApiError {
    let message = "the link has ended, or its signature is wrong; get the artifact with a token, or the request again, which has a new link";
    ApiError::new(ErrorCode::Forbidden, message)
}

fn no_such_artifact() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "there is no artifact with this id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_file_are_joined_within_the_limit() {
        let mut files = UnfinishedFiles::default();
        assert_eq!(files.append(0, b"ab", false), Ok(None));
        assert_eq!(files.append(1, b"x", true), Ok(Some(b"x".to_vec())));
        assert_eq!(files.append(0, b"c", true), Ok(Some(b"abc".to_vec())));
        assert_eq!(files.append(0, b"d", true), Ok(Some(b"d".to_vec())));
        assert_eq!(files.append(2, &vec![0; UNFINISHED_FILES_MAX_BYTES], false), Ok(None));
        let error = files.append(3, b"e", true).unwrap_err();
        assert!(error.message.contains("bytes"), "{error:?}");
    }

    #[test]
    fn link_ends_no_later_than_its_artifact() {
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
        let link = link(&keys, &artifact, Duration::from_secs(3600));
        assert!(link.contains(&format!("?expires={}&", expires_at.unix())), "{link}");
    }
}
