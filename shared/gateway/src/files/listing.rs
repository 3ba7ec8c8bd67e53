//! Pages of files and of artifacts.

use hearth_domain::{Artifact, ArtifactId, FileId, RunId, Timestamp};
use hearth_store::artifacts::ArtifactRecord;
use hearth_wire::{
    ApiError,
    native::artifacts::{ArtifactBody, ArtifactDeleted, ArtifactList, ArtifactListQuery, ListedArtifact},
    openai::files::{FileList, FileQuery, parse_purpose},
};

use super::body;
use crate::{
    Gateway,
    access::Caller,
    artifacts::ArtifactAccess,
    error,
    pager::{PAGE_MAX_COUNT, Pager},
};

/// Largest limit that a client of OpenAI's may send. A page has fewer.
const LIMIT_MAX: u32 = 10_000;
/// Entries that are read for one page, so that a rare filter can't read a whole list.
const READ_MAX_COUNT: u32 = 2000;

impl Gateway {
    /// A page of the caller's files.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit, order, purpose, id or cursor.
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
        let limit = pager.limit.min(PAGE_MAX_COUNT);
        let mut after: Option<FileId> = match (&query.cursor, &query.after) {
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
        let (mut data, mut has_more, mut read) = (Vec::new(), false, 0);
        let now = Timestamp::now();
        'pages: loop {
            let page = self.0.store.files().page(owner, newest_first, after, limit).await;
            let (records, more) = page.map_err(error::store)?;
            read += limit;
            for record in records {
                if data.len() == limit as usize {
                    has_more = true;
                    break 'pages;
                }
                after = Some(record.id);
                let is_over = record.expires_at.is_some_and(|end| end <= now);
                if !is_over && purpose.is_none_or(|purpose| record.purpose == purpose) {
                    data.push(body(&record));
                }
            }
            if !more {
                break;
            }
            if read >= READ_MAX_COUNT {
                has_more = true;
                break;
            }
        }
        let next_cursor = pager.seal(after.filter(|_| has_more)).await?;
        let id = |file: Option<&hearth_wire::openai::files::FileBody>| file.map(|file| file.id.clone());
        let (first_id, last_id) = (id(data.first()), id(data.last()));
        Ok(FileList { object: "list".to_owned(), data, first_id, last_id, has_more, next_cursor })
    }

    /// A page of the caller's artifacts, the newest first. `base`: the client's address of the gateway.
    ///
    /// # Errors
    /// `invalid_request` for a bad limit, filter or cursor.
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
        let limit = pager.limit;
        let mut after: Option<ArtifactId> = pager.open(query.cursor.as_deref()).await?;
        let is_selected = |record: &ArtifactRecord| {
            let body_kind = ArtifactBody::new(&record.artifact, base).kind;
            run.is_none_or(|run| record.run == run) && kind.is_none_or(|kind| body_kind == kind)
        };
        let (mut selected, mut has_more, mut read) = (Vec::new(), false, 0);
        let now = Timestamp::now();
        'pages: loop {
            let page = self.0.store.artifacts().page(owner, after, limit).await;
            let (records, more) = page.map_err(error::store)?;
            read += limit;
            for record in records {
                if selected.len() == limit as usize {
                    has_more = true;
                    break 'pages;
                }
                after = Some(record.artifact.id);
                if record.artifact.expires_at > now && is_selected(&record) {
                    selected.push(record);
                }
            }
            if !more {
                break;
            }
            if read >= READ_MAX_COUNT {
                has_more = true;
                break;
            }
        }
        let mut artifacts: Vec<Artifact> = selected.iter().map(|record| record.artifact.clone()).collect();
        self.0.artifacts.sign_own_links(&mut artifacts).await?;
        let listed = artifacts.iter().zip(&selected).map(|(artifact, record)| ListedArtifact {
            artifact: ArtifactBody::new(artifact, base),
            request_id: record.run.to_string(),
            created_at: record.created_at.to_string(),
        });
        let artifacts = listed.collect();
        let next_cursor = pager.seal(after.filter(|_| has_more)).await?;
        Ok(ArtifactList { artifacts, next_cursor })
    }

    /// Deletes the caller's artifact, with its file.
    ///
    /// # Errors
    /// `not_found` if there is none with this id, or it is another user's.
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
