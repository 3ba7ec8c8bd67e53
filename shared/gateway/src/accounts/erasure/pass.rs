//! The steps of a pass: each deletes what it finds, and can be repeated.

use std::time::Instant;

use futures::{StreamExt as _, stream};
use hearth_domain::{CredentialOwner, ErasureId, MemberRole, OrganisationId, RunId, RunState, Timestamp};
use hearth_store::{
    StoreError,
    erasures::ErasureRecord,
    organisations::{MemberRecord, OrganisationRecord},
    owned::OwnedEntry,
};

use super::Pass;
use crate::Gateway;

/// Things that a pass deletes together.
const CHUNK_MAX_COUNT: u32 = 50;
/// Deletions at the same time.
const CONCURRENT_DELETIONS: usize = 8;

impl Gateway {
    /// Makes a pass, until `until`.
    pub(super) async fn try_pass(&self, id: ErasureId, until: Option<Instant>) -> Result<Pass, StoreError> {
        let store = &self.0.store;
        let Some(mut erasure) = store.erasures().get(id).await? else { return Ok(Pass::Completed) };
        if erasure.completed_at.is_some() {
            return Ok(Pass::Completed);
        }
        let is_last_pass = erasure.last_pass_after <= Timestamp::now();
        self.erase_credentials(&mut erasure).await?;
        // Before what the user owns, which the logs of deleted webhooks are a part of.
        self.erase_webhooks(&mut erasure).await?;
        let owned = self.erase_owned(&mut erasure, is_last_pass, until).await?;
        if owned == Pass::OutOfTime {
            return Ok(owned);
        }
        let cached = self.0.cache.erase(erasure.user).await?;
        if cached > 0 {
            erasure.deleted.cached_answers += cached as u64;
            store.erasures().save(&mut erasure).await?;
        }
        store.erasures().erase_profile_items(&mut erasure).await?;
        self.erase_memberships(&mut erasure).await?;
        if owned == Pass::Incomplete || !is_last_pass {
            return Ok(Pass::Incomplete);
        }
        store.users().delete(erasure.user).await?;
        erasure.completed_at = Some(Timestamp::now());
        store.erasures().save(&mut erasure).await?;
        tracing::info!(user = %erasure.user, erasure = %erasure.id, "a user was erased");
        Ok(Pass::Completed)
    }

    /// Deletes tokens, access keys, logins, identities, and keys of providers.
    async fn erase_credentials(&self, erasure: &mut ErasureRecord) -> Result<(), StoreError> {
        let store = &self.0.store;
        store.erasures().erase_tokens(erasure).await?;
        let user = erasure.user;
        let logins = store.logins().of(user).await?;
        for login in &logins {
            store.logins().delete(login.id).await?;
        }
        let identities = store.identities().of(user).await?;
        store.identities().delete_of(user).await?;
        let keys = store.provider_credentials().delete_all(CredentialOwner::User(user)).await?;
        let count = (logins.len() + identities.len()) as u64 + keys;
        if count > 0 {
            erasure.deleted.credentials += count;
            store.erasures().save(erasure).await?;
        }
        store.login_attempts().forget_confirmations(user).await?;
        if let Some(email) = store.users().get(erasure.user).await?.and_then(|user| user.email) {
            store.login_attempts().forget(&email).await?;
        }
        Ok(())
    }

    /// Deletes the user's webhooks, with the log of their deliveries.
    async fn erase_webhooks(&self, erasure: &mut ErasureRecord) -> Result<(), StoreError> {
        let store = &self.0.store;
        for member in store.organisations().of_user(erasure.user).await? {
            let count = store.webhooks().delete_own(erasure.user, member.organisation).await?;
            if count > 0 {
                erasure.deleted.webhooks += count;
                store.erasures().save(erasure).await?;
            }
        }
        Ok(())
    }

    /// Deletes runs, artifacts, jobs and so on. Runs that are in progress are stopped, and left to a later pass. Jobs are deleted in
    /// every pass up to the last one, by which each process that carries one out, or delivers an event, has noticed.
    async fn erase_owned(
        &self,
        erasure: &mut ErasureRecord,
        is_last_pass: bool,
        until: Option<Instant>,
    ) -> Result<Pass, StoreError> {
        let store = &self.0.store;
        let (mut after, mut result) = (None, Pass::Completed);
        loop {
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(Pass::OutOfTime);
            }
            let (entries, has_more) = store.owned().page(erasure.user, after, CHUNK_MAX_COUNT).await?;
            after = entries.last().copied();
            let erase = |entry: OwnedEntry| async move {
                if let OwnedEntry::Run(run) = entry
                    && self.stop_run(run).await?
                {
                    return Ok::<Option<OwnedEntry>, StoreError>(None);
                }
                if let OwnedEntry::Job(job) = entry {
                    self.0.job_engine.stop(job);
                }
                store.erasures().erase_entry(entry).await?;
                let may_be_written = matches!(entry, OwnedEntry::Job(_) | OwnedEntry::DeletedWebhook(_));
                Ok(Some(entry).filter(|_| is_last_pass || !may_be_written))
            };
            let mut erased = stream::iter(entries.clone()).map(erase).buffer_unordered(CONCURRENT_DELETIONS);
            let mut done = Vec::new();
            while let Some(entry) = erased.next().await {
                done.extend(entry?);
            }
            drop(erased);
            if done.len() < entries.len() {
                result = Pass::Incomplete;
            }
            if !done.is_empty() {
                store.erasures().forget_entries(erasure, &done).await?;
            }
            if !has_more {
                return Ok(result);
            }
        }
    }

    /// Stops a run that is in progress; returns whether it is.
    async fn stop_run(&self, run: RunId) -> Result<bool, StoreError> {
        if self.0.runs.cancel(run) {
            return Ok(true);
        }
        let state = self.0.store.erasures().state_of_run(run).await?;
        if state.is_none_or(RunState::is_terminal) {
            return Ok(false);
        }
        self.0.store.runs().mark_cancelled(run).await?;
        Ok(true)
    }

    /// Ends the memberships. An organisation without another member is deleted with the last one.
    async fn erase_memberships(&self, erasure: &mut ErasureRecord) -> Result<(), StoreError> {
        let organisations = self.0.store.organisations();
        for member in organisations.of_user(erasure.user).await? {
            let MemberRecord { organisation, user, .. } = member;
            let Some(record) = organisations.get(organisation).await? else { continue };
            let Some(member) = organisations.member(organisation, user).await? else { continue };
            erasure.deleted.nodes += self.0.node_ending.end_all_of(organisation, user).await?;
            // A request that was admitted before may have created one.
            erasure.deleted.webhooks += self.0.store.webhooks().delete_own(user, organisation).await?;
            let members = organisations.members(organisation).await?;
            if members.len() == 1 {
                self.erase_organisation_items(organisation).await?;
                organisations.delete(&record).await?;
                erasure.deleted.organisations += 1;
            } else {
                let record = self.keep_owner(record, &member, members).await?;
                organisations.remove_member(&record, &member).await?;
                erasure.deleted.memberships += 1;
            }
            self.0.store.erasures().save(erasure).await?;
        }
        Ok(())
    }

    /// Names another owner if the last one is erased: all owners may have asked for it at once. It is the first member with the
    /// highest role.
    async fn keep_owner(
        &self,
        record: OrganisationRecord,
        erased: &MemberRecord,
        mut members: Vec<MemberRecord>,
    ) -> Result<OrganisationRecord, StoreError> {
        if erased.role != MemberRole::Owner || record.owners > 1 {
            return Ok(record);
        }
        let organisations = self.0.store.organisations();
        members.retain(|member| member.user != erased.user);
        let rank = |role| MemberRole::ALL.iter().position(|one| *one == role);
        members.sort_by_key(|member| (rank(member.role), member.joined_at));
        for member in members {
            let user = self.0.store.users().get(member.user).await?;
            if user.is_some_and(|user| user.disabled_at.is_none()) {
                let after = MemberRecord { role: MemberRole::Owner, ..member.clone() };
                organisations.change_member(&record, &member, after).await?;
                self.0.access.forget_callers();
                let (organisation, user) = (record.id, member.user);
                tracing::warn!(%organisation, %user, "a member became the owner after the last one's erasure");
                return organisations.get(record.id).await?.ok_or(StoreError::Conflict);
            }
        }
        Ok(record)
    }

    /// Deletes the invitations and the keys of providers of an organisation that has no other member.
    async fn erase_organisation_items(&self, organisation: OrganisationId) -> Result<(), StoreError> {
        let store = &self.0.store;
        for invite in store.invites().of(organisation).await? {
            store.invites().delete(&invite).await?;
        }
        for team in store.organisations().teams(organisation).await? {
            store.provider_credentials().delete_all(CredentialOwner::Team(team.id)).await?;
        }
        store.webhooks().delete_all(organisation).await?;
        store.definitions().erase_organisation(organisation).await?;
        store.provider_credentials().delete_all(CredentialOwner::Organisation(organisation)).await.map(drop)
    }
}
