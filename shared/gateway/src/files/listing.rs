//! Pages of files, of uploads in progress and of artifacts.

use hearth_domain::{Artifact, ArtifactId, FileId, RunId, Timestamp};
use hearth_store::{artifacts::ArtifactRecord, files::FileRecord};
use hearth_wire::{
    ApiError,
    native::artifacts::{ArtifactBody, ArtifactDeleted, ArtifactList, ArtifactListQuery, ListedArtifact},
    openai::{
        files::{FileList, FileQuery, parse_purpose},
        uploads::{UploadList, UploadQuery},
    },
};

use super::{body, direct::upload_body};
use crate::{
    Gateway,
    access::Caller,
    artifacts::ArtifactAccess,
    error,
    pager::{PAGE_MAX_COUNT, Pager, select_page},
};

/// Largest limit that a client of OpenAI's may send. A page has fewer.
const LIMIT_MAX: u32 = 10_000;

impl Gateway {
    /// A page of the caller's files.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit, order, purpose, id or cursor.
    #[crate::boxed_future]
    pub async fn list_files(&self, caller: &Caller, query: &FileQuery) -> Result<FileList, ApiError> {
        let owner = caller.owner();
        let purpose = query.purpose.as_deref().map(parse_purpose).transpose()?;
        let newest_first = match query.order.as_deref() {
            None | Some("desc") => true,
            Some("asc") => false,
            Some(_) => return Err(ApiError::invalid("order", "order must be asc or desc")),
        };
        let list = format!("files|{purpose:?}|{newest_first}");
        let pager = Pager::with_max(&self.0.keys, owner, &list, query.limit, LIMIT_MAX)?;
        let after: Option<FileId> = match (&query.cursor, &query.after) {
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid("cursor", "cursor and after exclude each other"));
            }
            (Some(cursor), None) => pager.open(Some(cursor.as_str())).await?,
            (None, Some(after)) => {
                let id = after
                    .parse()
                    .map_err(|_| ApiError::invalid("after", "after must be the id of a file"))?;
                Some(id)
            }
            (None, None) => None,
        };
        let (files, now) = (self.0.store.files(), Timestamp::now());
        let read = |after, limit| async move { files.page(owner, newest_first, after, limit).await };
        let select = |record: FileRecord| {
            let is_selected = purpose.is_none_or(|purpose| record.purpose == purpose);
            (is_selected && !record.is_over(now)).then(|| body(&record))
        };
        let limit = pager.limit.min(PAGE_MAX_COUNT);
        let (data, next) = select_page(limit, after, read, |record| record.id, select).await?;
        let (first_id, last_id) = end_ids(&data, |file| &file.id);
        Ok(FileList {
            object: "list".to_owned(),
            data,
            first_id,
            last_id,
            has_more: next.is_some(),
            next_cursor: pager.seal(next).await?,
        })
    }

    /// A page of the caller's uploads in progress, the newest first: in parts, in three steps, and by forms.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit or cursor.
    #[crate::boxed_future]
    pub async fn list_uploads(&self, caller: &Caller, query: &UploadQuery) -> Result<UploadList, ApiError> {
        let owner = caller.owner();
        let pager = Pager::new(&self.0.keys, owner, "uploads", query.limit)?;
        let after: Option<FileId> = pager.open(query.cursor.as_deref()).await?;
        let (files, now) = (self.0.store.files(), Timestamp::now());
        let read = |after, limit| async move { files.uploads_page(owner, after, limit).await };
        let select =
            |record: FileRecord| (!record.is_over(now)).then(|| upload_body(&record, "pending", None));
        let (data, next) = select_page(pager.limit, after, read, |record| record.id, select).await?;
        let (first_id, last_id) = end_ids(&data, |upload| &upload.id);
        Ok(UploadList {
            object: "list".to_owned(),
            data,
            first_id,
            last_id,
            has_more: next.is_some(),
            next_cursor: pager.seal(next).await?,
        })
    }

    /// A page of the caller's artifacts, the newest first. `base`: the client's address of the gateway.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit, filter or cursor.
    #[crate::boxed_future]
    pub async fn list_artifacts(
        &self,
        caller: &Caller,
        query: &ArtifactListQuery,
        base: &str,
    ) -> Result<ArtifactList, ApiError> {
        let owner = caller.owner();
        let run = query.run.as_deref().map(str::parse::<RunId>).transpose();
        let run =
            run.map_err(|_| ApiError::invalid("run", "run must be the id of a request, such as req_..."))?;
        if query.kind.as_deref().is_some_and(|kind| !matches!(kind, "image" | "mesh")) {
            return Err(ApiError::invalid("type", "type must be image or mesh"));
        }
        let kind = query.kind.as_deref();
        let pager = Pager::new(&self.0.keys, owner, &format!("artifacts|{run:?}|{kind:?}"), query.limit)?;
        let after: Option<ArtifactId> = pager.open(query.cursor.as_deref()).await?;
        let (stored, now) = (self.0.store.artifacts(), Timestamp::now());
        let read = |after, limit| async move { stored.page(owner, after, limit).await };
        let select = |record: ArtifactRecord| {
            let body_kind = ArtifactBody::new(&record.artifact, base).kind;
            let is_selected =
                run.is_none_or(|run| record.run == run) && kind.is_none_or(|kind| body_kind == kind);
            (is_selected && record.artifact.expires_at > now).then_some(record)
        };
        let (selected, next) =
            select_page(pager.limit, after, read, |record| record.artifact.id, select).await?;
        let mut artifacts: Vec<Artifact> = selected.iter().map(|record| record.artifact.clone()).collect();
        self.0.artifacts.sign_own_links(&mut artifacts).await?;
        let listed = artifacts.iter().zip(&selected).map(|(artifact, record)| ListedArtifact {
            artifact: ArtifactBody::new(artifact, base),
            request_id: record.run.to_string(),
            created_at: record.created_at.to_string(),
        });
        let artifacts = listed.collect();
        Ok(ArtifactList { artifacts, next_cursor: pager.seal(next).await? })
    }

    /// Deletes the caller's artifact, with its file.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's.
    #[crate::boxed_future]
    pub async fn delete_artifact(
        &self,
        caller: &Caller,
        id: ArtifactId,
    ) -> Result<ArtifactDeleted, ApiError> {
        let record = self.0.artifacts.record(ArtifactAccess::Caller(caller), id).await?;
        self.0.store.artifacts().remove(&record).await.map_err(error::store)?;
        Ok(ArtifactDeleted { id: id.to_string(), deleted: true })
    }
}

/// The ids of the first and the last entry of a page, by which OpenAI's clients ask for the next one.
fn end_ids<T>(page: &[T], id: impl Fn(&T) -> &str) -> (Option<String>, Option<String>) {
    let id = |entry: &T| id(entry).to_owned();
    (page.first().map(id), page.last().map(id))
}
