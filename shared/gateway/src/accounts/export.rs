//! The export of what a user owns: a zip file, made while it is sent.
//!
//! The memory is bounded: lists are read page by page and files piece by piece, and the archive's directory has an entry for
//! each list and each file. A failure can't end the archive early, as that would leave none: an entry names what is missing.
//!
//! - `lists`: the lists, each a file of JSON lines; `stored_bytes`: artifacts and files; `archive`: the zip file.

mod archive;
mod lists;
mod stored_bytes;

use std::{io, sync::Arc};

use futures::{Stream, StreamExt as _};
use hearth_domain::{CredentialOwner, OrganisationId, Scope};
use hearth_wire::ApiError;
use serde::Serialize;
use serde_json::{Value, json};

use archive::Archive;
use lists::{ExportList, ExportScope};
use stored_bytes::StoredBytes;

use super::{consent::consent_body, provider_keys};
use crate::{
    Caller, Credential, Gateway,
    access::{access_keys::access_key_body, tokens::token_body},
    error,
};

/// The first entry of the archive.
const README: &str = "\
An export of what you have stored in Hearth.

profile.json         name, address, preferences, memberships
consents.json        what you have consented to, and when
tokens.json          your API tokens, without their texts
access_keys.json     your access keys, without their texts
provider_keys.json   your keys of providers, without the keys themselves
logins.json          your logins, without their secrets
identities.json      the identities by which you sign in from outside
nodes.json           your nodes
webhooks.json        your webhooks, without their secrets
usage.jsonl          a line for each day, credential and model of the last twelve months
runs.jsonl           a line for each run of the last 30 days, as GET /v1/requests/{id} returns it
conversations.jsonl  a line for each stored conversation
requests.jsonl       a line for each request that is stored for a replay
sessions.jsonl       a line for each session, and after it a line for each of its messages
definitions.jsonl    a line for each version of each schema and template that you have created, private or shared
jobs.jsonl           a line for each job, as GET /v1/jobs/{id} returns it, with its input and its result
batches.jsonl        a line for each batch; its requests and results are files
deliveries.jsonl     a line for each event that was sent to your webhooks in the last 30 days
artifacts.jsonl      a line for each artifact
artifacts/           the artifacts' files
files.jsonl          a line for each file that you have uploaded, or that a batch has made for you
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
        let scope = Arc::new(self.export_scope(caller).await?);
        let account = self.export_account(&scope).await?;
        Ok(async_stream::try_stream! {
            let mut archive = Archive::new();
            let mut missing = scope.missing_scopes();
            archive.file("README.txt", README.as_bytes())?;
            for (name, list) in &account {
                archive.json(name, list)?;
            }
            for list in ExportList::ALL {
                archive.begin(list.file_name())?;
                let mut lines = list.lines(&scope);
                while let Some(line) = lines.next().await {
                    match line {
                        Ok(line) => archive.line(&line)?,
                        Err(problem) => missing.push(problem),
                    }
                    yield archive.take();
                }
            }
            for kind in [StoredBytes::Artifacts, StoredBytes::Files] {
                let (mut things, mut lines) = (kind.of(&scope), Vec::new());
                while let Some(thing) = things.next().await {
                    let thing = match thing {
                        Ok(thing) => thing,
                        Err(problem) => {
                            missing.push(problem);
                            continue;
                        }
                    };
                    lines.push(thing.line);
                    let mut bytes = match thing.bytes {
                        Ok(bytes) => bytes,
                        Err(problem) => {
                            missing.push(problem);
                            continue;
                        }
                    };
                    archive.begin(&thing.name)?;
                    while let Some(piece) = bytes.next().await {
                        match piece {
                            Ok(piece) => archive.write(&piece)?,
                            Err(error) => {
                                missing.push(format!("a part of {}: {error}", thing.name));
                                break;
                            }
                        }
                        yield archive.take();
                    }
                }
                archive.begin(kind.file_name())?;
                for line in &lines {
                    archive.line(line)?;
                }
                yield archive.take();
            }
            if !missing.is_empty() {
                archive.file("INCOMPLETE.txt", missing.join("\n").as_bytes())?;
            }
            yield archive.finish()?;
        })
    }

    async fn export_scope(&self, caller: &Caller) -> Result<ExportScope, ApiError> {
        let only = match caller.credential {
            Credential::Login(_) => None,
            _ => Some(caller.organisation),
        };
        let members = self.0.store.organisations().of_user(caller.user).await.map_err(error::store)?;
        let mut organisations: Vec<OrganisationId> =
            members.into_iter().map(|member| member.organisation).collect();
        // The index may be late, and an operator of before there were organisations has no record.
        if !organisations.contains(&caller.organisation) {
            organisations.push(caller.organisation);
        }
        organisations.retain(|organisation| only.is_none_or(|only| only == *organisation));
        Ok(ExportScope {
            gateway: self.clone(),
            user: caller.user,
            only,
            organisations,
            has_usage: caller.require_scope(Scope::Usage).is_ok(),
            has_content: caller.require_scope(Scope::Generate).is_ok(),
        })
    }

    /// The files about the account itself, each a JSON document.
    async fn export_account(&self, scope: &ExportScope) -> Result<Vec<(&'static str, Value)>, ApiError> {
        let (store, user) = (&self.0.store, scope.user);
        let profile = self.user_body(user).await?;
        let consents = store.consents().of(user).await.map_err(error::store)?;
        let consents: Vec<_> = consents.into_iter().map(consent_body).collect();
        let tokens = store.tokens().of(user).await.map_err(error::store)?;
        let tokens = tokens.into_iter().filter(|token| scope.includes(token.organisation));
        let tokens: Vec<_> = tokens.map(token_body).collect();
        let access_keys = store.access_keys().of(user).await.map_err(error::store)?;
        let access_keys = access_keys.into_iter().filter(|key| scope.includes(key.organisation));
        let access_keys: Vec<_> = access_keys.map(access_key_body).collect();
        let provider_keys = store.provider_credentials().of(CredentialOwner::User(user)).await;
        let provider_keys = provider_keys.map_err(error::store)?.into_iter();
        let provider_keys = provider_keys.filter(|key| scope.includes(key.organisation));
        let provider_keys: Vec<_> = provider_keys.map(provider_keys::body).collect();
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
        let (mut nodes, mut webhooks) = (Vec::new(), Vec::new());
        for organisation in &scope.organisations {
            nodes.extend(store.nodes().of(*organisation).await.map_err(error::store)?);
            webhooks.extend(self.0.webhooks.of_user(user, *organisation).await?);
        }
        nodes.retain(|node| node.owner == user);
        Ok(vec![
            ("profile.json", document(&profile)?),
            ("consents.json", document(&consents)?),
            ("tokens.json", document(&tokens)?),
            ("access_keys.json", document(&access_keys)?),
            ("provider_keys.json", document(&provider_keys)?),
            ("logins.json", document(&logins)?),
            ("identities.json", document(&identities)?),
            ("nodes.json", document(&nodes)?),
            ("webhooks.json", document(&webhooks)?),
        ])
    }
}

impl ExportScope {
    /// The things that are missing for want of a scope.
    fn missing_scopes(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.has_usage {
            missing.push("the usage: the token has no scope `usage`".to_owned());
        }
        if !self.has_content {
            let things = "the runs, conversations, sessions, definitions, jobs, batches, deliveries, artifacts and files";
            missing.push(format!("{things}: the token has no scope `generate`"));
        }
        missing
    }
}

fn document(body: &impl Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(body).map_err(|failure| error::internal(&failure))
}
