//! The export of what a user owns: a zip file, made while it is sent.
//!
//! The memory is bounded: lists are read page by page and files piece by piece, and the archive's directory has an entry for
//! each list and each artifact. A failure can't end the file early, as that would leave no archive: an entry names what is
//! missing.

mod archive;

use std::{fmt::Display, io};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use hearth_domain::{DefinitionId, OrganisationId, RunId, Scope, Timestamp, UserId};
use hearth_store::owned::OwnedEntry;
use hearth_wire::{ApiError, native::requests::RequestStatus};
use serde_json::{Value, json};

use archive::Archive;

use super::consent::consent_body;
use crate::{Caller, Credential, Gateway, access::tokens::token_body, error};

/// Things that are listed at a time.
const PAGE_MAX_COUNT: u32 = 100;
/// Months of usage in the archive.
const USAGE_MONTHS: u32 = 12;
/// The first entry of the archive.
const README: &str = "\
An export of what you have stored in Hearth.

profile.json         name, address, preferences, memberships
consents.json        what you have consented to, and when
tokens.json          your API tokens, without their texts
logins.json          your logins, without their secrets
identities.json      the identities by which you sign in from outside
nodes.json           your nodes
webhooks.json        your webhooks, without their secrets
usage.jsonl          a line for each day, credential and model of the last twelve months
runs.jsonl           a line for each run of the last 30 days, as GET /v1/requests/{id} returns it
conversations.jsonl  a line for each stored conversation
sessions.jsonl       a line for each session, and after it a line for each of its messages
definitions.jsonl    a line for each version of each private schema and template
requests.jsonl       a line for each request that is stored for a replay
jobs.jsonl           a line for each download that you have begun
artifacts.jsonl      a line for each artifact
artifacts/           the artifacts' files
files.jsonl          a line for each file that you have uploaded
files/               their bytes, each in a folder by its id
INCOMPLETE.txt       only if something could not be read, or the token lacks its scope: what is missing

By a login the export is of all your organisations, by another credential of the one that it acts in.
";

impl Gateway {
    /// Everything of the caller's, as the bytes of a zip file. A credential that isn't a login has what belongs to its
    /// organisation and to its scopes.
    ///
    /// # Errors
    /// `internal` if the profile can't be read.
    pub async fn export_user(
        &self,
        caller: &Caller,
    ) -> Result<impl Stream<Item = io::Result<Vec<u8>>> + Send + use<>, ApiError> {
        let (gateway, user) = (self.clone(), caller.user);
        let profile = self.user_body(user).await?;
        let store = &self.0.store;
        let consents = store.consents().of(user).await.map_err(error::store)?;
        let consents: Vec<_> = consents.into_iter().map(consent_body).collect();
        let tokens = store.tokens().of(user).await.map_err(error::store)?;
        let only = match caller.credential {
            Credential::Login(_) => None,
            _ => Some(caller.organisation),
        };
        let is_included = move |organisation: OrganisationId| only.is_none_or(|only| only == organisation);
        let tokens = tokens.into_iter().filter(|token| is_included(token.organisation));
        let tokens: Vec<_> = tokens.map(token_body).collect();
        let logins = store.logins().of(user).await.map_err(error::store)?;
        let logins: Vec<_> = logins
            .iter()
            .map(|login| {
                json!({
                    "id": login.id, "organisation": login.organisation, "method": login.method,
                    "client": login.client, "address": login.address, "created_at": login.created_at,
                    "refreshed_at": login.refreshed_at, "expires_at": login.expires_at, "ended_at": login.ended_at,
                })
            })
            .collect();
        let identities = store.identities().of(user).await.map_err(error::store)?;
        let members = store.organisations().of_user(user).await.map_err(error::store)?;
        let mut organisations: Vec<OrganisationId> =
            members.into_iter().map(|member| member.organisation).collect();
        // The index may be late, and an operator of before there were organisations has no record.
        if !organisations.contains(&caller.organisation) {
            organisations.push(caller.organisation);
        }
        organisations.retain(|organisation| is_included(*organisation));
        let mut nodes = Vec::new();
        for organisation in &organisations {
            nodes.extend(store.nodes().of(*organisation).await.map_err(error::store)?);
        }
        nodes.retain(|node| node.owner == user);
        let mut webhooks = Vec::new();
        for organisation in &organisations {
            webhooks.extend(self.0.webhooks.of_user(user, *organisation).await?);
        }
        let has_usage = caller.require_scope(Scope::Usage).is_ok();
        let has_runs = caller.require_scope(Scope::Generate).is_ok();
        Ok(async_stream::try_stream! {
            let mut archive = Archive::new();
            let mut missing = Vec::new();
            archive.file("README.txt", README.as_bytes())?;
            archive.json("profile.json", &profile)?;
            archive.json("consents.json", &consents)?;
            archive.json("tokens.json", &tokens)?;
            archive.json("logins.json", &logins)?;
            archive.json("identities.json", &identities)?;
            archive.json("nodes.json", &nodes)?;
            archive.json("webhooks.json", &webhooks)?;
            if !has_usage {
                organisations.clear();
                missing.push("the usage: the token has no scope `usage`".to_owned());
            }
            if !has_runs {
                let things = "the runs, conversations, sessions and artifacts";
                missing.push(format!("{things}: the token has no scope `generate`"));
            }
            archive.begin("usage.jsonl")?;
            for month in months_before(Timestamp::now()) {
                for organisation in &organisations {
                    match gateway.0.store.usage().of(*organisation, &month, Some(user)).await {
                        Ok(rows) => {
                            for row in rows {
                                archive.line(&row)?;
                            }
                        }
                        Err(error) => missing.push(format!("the usage of {month}: {error}")),
                    }
                    yield archive.take();
                }
            }
            archive.begin("runs.jsonl")?;
            let mut entries = gateway.owned(user, has_runs);
            while let Some(entry) = entries.next().await {
                let OwnedEntry::Run(id) = entry else { continue };
                match gateway.export_run(id, only).await {
                    Ok(Some(run)) => archive.line(&run)?,
                    Ok(None) => {}
                    Err(problem) => missing.push(problem),
                }
                yield archive.take();
            }
            archive.begin("conversations.jsonl")?;
            let mut entries = gateway.owned(user, has_runs);
            while let Some(entry) = entries.next().await {
                let OwnedEntry::Run(id) = entry else { continue };
                match gateway.0.store.conversations().of_user(id, user, only).await {
                    Ok(Some(conversation)) => {
                        archive.line(&json!({"request_id": id, "messages": conversation.messages}))?;
                    }
                    Ok(None) => {}
                    Err(error) => missing.push(format!("the conversation of {id}: {error}")),
                }
                yield archive.take();
            }
            archive.begin("requests.jsonl")?;
            let mut entries = gateway.owned(user, has_runs);
            while let Some(entry) = entries.next().await {
                let OwnedEntry::Run(id) = entry else { continue };
                match gateway.0.store.run_requests().of_user(id, user, only).await {
                    Ok(Some(request)) => archive.line(&json!({"request_id": id, "request": request}))?,
                    Ok(None) => {}
                    Err(error) => missing.push(format!("the request of {id}: {error}")),
                }
                yield archive.take();
            }
            archive.begin("sessions.jsonl")?;
            let mut entries = gateway.owned(user, has_runs);
            while let Some(entry) = entries.next().await {
                let OwnedEntry::Session(id) = entry else { continue };
                let mut lines = Box::pin(gateway.session_lines(id, only));
                while let Some(line) = lines.next().await {
                    match line {
                        Ok(line) => archive.line(&line)?,
                        Err(error) => missing.push(format!("messages of the session {id}: {error}")),
                    }
                    yield archive.take();
                }
            }
            archive.begin("definitions.jsonl")?;
            let mut entries = gateway.owned(user, has_runs);
            while let Some(entry) = entries.next().await {
                let OwnedEntry::Definition(id) = entry else { continue };
                match gateway.export_definition(id, only).await {
                    Ok(versions) => {
                        for version in versions {
                            archive.line(&version)?;
                            yield archive.take();
                        }
                    }
                    Err(problem) => missing.push(problem),
                }
            }
            archive.begin("jobs.jsonl")?;
            let mut entries = gateway.owned(user, has_runs);
            while let Some(entry) = entries.next().await {
                let OwnedEntry::Job(id) = entry else { continue };
                match gateway.0.store.jobs().get(id).await {
                    Ok(Some(mut job)) if job.user == user && is_included(job.organisation) => {
                        // The hash of a credential.
                        job.work.iter_mut().for_each(|work| work.caller = None);
                        archive.line(&job)?;
                    }
                    Ok(_) => {}
                    Err(error) => missing.push(format!("the job {id}: {error}")),
                }
                yield archive.take();
            }
            let mut records = Vec::new();
            let mut entries = gateway.owned(user, has_runs);
            while let Some(entry) = entries.next().await {
                let OwnedEntry::Artifact(id) = entry else { continue };
                let record = match gateway.0.store.artifacts().get(id).await {
                    Ok(Some(record)) if is_included(record.owner().organisation) => record,
                    Ok(_) => continue,
                    Err(error) => {
                        missing.push(format!("the artifact {id}: {error}"));
                        continue;
                    }
                };
                match gateway.0.store.artifacts().read(id).await {
                    Ok(None) => missing.push(format!("the artifact {id}: its file is deleted")),
                    Ok(Some(mut bytes)) => {
                        archive.begin(&format!("artifacts/{}", record.artifact.file_name()))?;
                        while let Some(piece) = bytes.next().await {
                            match piece {
                                Ok(piece) => archive.write(&piece)?,
                                Err(error) => {
                                    missing.push(format!("a part of the artifact {id}: {error}"));
                                    break;
                                }
                            }
                            yield archive.take();
                        }
                    }
                    Err(error) => missing.push(format!("the artifact {id}: {error}")),
                }
                records.push(json!({
                    "id": id, "request_id": record.run, "media_type": record.artifact.media_type,
                    "size_bytes": record.artifact.size_bytes, "created_at": record.created_at,
                    "file": format!("artifacts/{}", record.artifact.file_name()),
                }));
            }
            archive.begin("artifacts.jsonl")?;
            for record in &records {
                archive.line(record)?;
            }
            let mut records = Vec::new();
            let mut entries = gateway.owned(user, has_runs);
            while let Some(entry) = entries.next().await {
                let OwnedEntry::File(id) = entry else { continue };
                let record = match gateway.0.store.files().get(id).await {
                    Ok(Some(record)) if is_included(record.organisation) => record,
                    Ok(_) => continue,
                    Err(error) => {
                        missing.push(format!("the file {id}: {error}"));
                        continue;
                    }
                };
                let name = format!("files/{id}/{}", record.name);
                match gateway.0.store.files().read(id).await {
                    Ok(Some(mut bytes)) => {
                        archive.begin(&name)?;
                        while let Some(piece) = bytes.next().await {
                            match piece {
                                Ok(piece) => archive.write(&piece)?,
                                Err(error) => {
                                    missing.push(format!("a part of the file {id}: {error}"));
                                    break;
                                }
                            }
                            yield archive.take();
                        }
                    }
                    // An upload that isn't complete.
                    Ok(None) => continue,
                    Err(error) => missing.push(format!("the file {id}: {error}")),
                }
                records.push(json!({
                    "id": id, "name": record.name, "purpose": record.purpose, "media_type": record.media_type,
                    "size_bytes": record.size_bytes, "created_at": record.created_at,
                    "expires_at": record.expires_at, "file": name,
                }));
            }
            archive.begin("files.jsonl")?;
            for record in &records {
                archive.line(record)?;
            }
            if !missing.is_empty() {
                archive.file("INCOMPLETE.txt", missing.join("\n").as_bytes())?;
            }
            yield archive.finish()?;
        })
    }

    /// The user's artifacts and runs, page by page; none unless `is_allowed`.
    fn owned(&self, user: UserId, is_allowed: bool) -> BoxStream<'static, OwnedEntry> {
        let store = self.0.store.clone();
        Box::pin(async_stream::stream! {
            let mut after = None;
            if !is_allowed {
                return;
            }
            loop {
                let (entries, has_more) = match store.owned().page(user, after, PAGE_MAX_COUNT).await {
                    Ok(page) => page,
                    Err(error) => {
                        tracing::error!(%user, %error, "the index of a user can't be read; the export is cut");
                        return;
                    }
                };
                after = entries.last().copied();
                for entry in entries {
                    yield entry;
                }
                if !has_more {
                    return;
                }
            }
        })
    }

    /// The versions of a private definition; none if it isn't of the organisation `only`. An error says what is missing.
    async fn export_definition(
        &self,
        id: DefinitionId,
        only: Option<OrganisationId>,
    ) -> Result<Vec<Value>, String> {
        let problem = |error: &dyn Display| format!("the versions of {id}: {error}");
        let record = self.0.store.definitions().get(id).await.map_err(|error| problem(&error))?;
        match record.filter(|record| only.is_none_or(|only| record.organisation == only)) {
            Some(record) => {
                self.0.definitions.export_lines(&record).await.map_err(|error| problem(&error.message))
            }
            None => Ok(Vec::new()),
        }
    }

    /// A run, as the API returns it; none if it has expired, or isn't of the organisation `only`. An error says what is missing.
    async fn export_run(
        &self,
        id: RunId,
        only: Option<OrganisationId>,
    ) -> Result<Option<RequestStatus>, String> {
        self.0.records.wait_current(id).await;
        match self.0.store.runs().get(id).await {
            Ok(run) => {
                let run = run.filter(|run| only.is_none_or(|only| run.owner().organisation == only));
                Ok(run.map(|run| RequestStatus::new(run, "")))
            }
            Err(error) => Err(format!("the run {id}: {error}")),
        }
    }
}

/// The months up to this time, as `2026-11`, the latest first.
fn months_before(now: Timestamp) -> Vec<String> {
    let text = now.to_string();
    let number =
        |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u32>().ok());
    let (Some(year), Some(month)) = (number(0..4), number(5..7)) else { return Vec::new() };
    let latest = year * 12 + month.saturating_sub(1);
    (0..USAGE_MONTHS)
        .map(|back| latest - back)
        .map(|month| format!("{}-{:02}", month / 12, month % 12 + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_go_back_over_the_turn_of_the_year() {
        let months = months_before("2026-02-03T04:05:06.007Z".parse().unwrap());
        assert_eq!(months[..3], ["2026-02", "2026-01", "2025-12"]);
        assert_eq!((months.len(), months[11].as_str()), (12, "2025-03"));
    }
}
