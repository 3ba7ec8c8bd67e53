//! Lists of jobs, with the present states of their nodes.

use std::collections::HashMap;

use futures::future::join_all;
use hearth_domain::{JobId, JobKind, JobState, NodeId};
use hearth_store::jobs::JobRecord;
use hearth_wire::{
    ApiError,
    native::jobs::{JobBody, JobList, JobQuery},
    node_downloads::{NODE_JOBS_MAX_COUNT, NodeDownload},
};

use super::{Jobs, body, is_lost, may_ask};
use crate::{
    access::Caller,
    error,
    pager::{PAGE_MAX_COUNT, Pager},
};

/// Jobs that are read for one page of those in a state.
const READ_MAX_COUNT: u32 = 1_000;

impl Jobs {
    pub(super) async fn list(&self, caller: &Caller, query: JobQuery) -> Result<JobList, ApiError> {
        let (state, kind) = (query.state.map(JobState::as_str), query.kind.map(JobKind::as_str));
        let filter = format!("{state:?}|{kind:?}|{}", query.dead);
        let pager = Pager::new(&self.keys, caller.owner(), &format!("jobs|{filter}"), query.limit)?;
        let limit = pager.limit;
        let mut before: Option<JobId> = pager.open(query.cursor.as_deref()).await?;
        // With a filter most jobs of a page may be left out.
        let has_filter = query.state.is_some() || query.kind.is_some();
        let page_count = if has_filter { PAGE_MAX_COUNT } else { limit + 1 };
        let (mut jobs, mut read) = (Vec::new(), 0);
        let has_more = loop {
            let (records, next) = match query.dead {
                true => self.store.jobs().dead_page(caller.owner(), before, page_count).await,
                false => self.store.jobs().page(caller.owner(), before, page_count).await,
            }
            .map_err(error::store)?;
            read += page_count;
            let is_of_kind = |job: &JobRecord| query.kind.is_none_or(|kind| kind == job.kind);
            let records = records.into_iter().filter(is_of_kind).collect();
            let mut bodies = self.refresh(caller, records, false).await?;
            bodies.retain(|job| query.state.is_none_or(|state| state == job.state));
            jobs.extend(bodies);
            before = next;
            if jobs.len() > limit as usize || next.is_none() || read >= READ_MAX_COUNT {
                break jobs.len() > limit as usize;
            }
        };
        jobs.truncate(limit as usize);
        let last = match jobs.last() {
            Some(last) if has_more => Some(last.id),
            // The rest wasn't read, or no job has the state.
            _ => before,
        };
        Ok(JobList { jobs, next_cursor: pager.seal(last).await? })
    }

    /// The jobs with the present states of those that are open. A job whose node doesn't answer has the stored state.
    /// `is_patient`: nodes of the relay are asked too.
    pub(super) async fn refresh(
        &self,
        caller: &Caller,
        records: Vec<JobRecord>,
        is_patient: bool,
    ) -> Result<Vec<JobBody>, ApiError> {
        let mut by_node: HashMap<NodeId, Vec<JobId>> = HashMap::new();
        for record in records.iter().filter(|record| !record.state.is_terminal()) {
            if let Some(download) = &record.download {
                by_node.entry(download.node).or_default().push(record.id);
            }
        }
        let asks = by_node
            .into_iter()
            .map(async |(node, jobs)| (node, self.downloads_of(caller, node, &jobs, is_patient).await));
        let states: HashMap<NodeId, NodeAnswer> = join_all(asks).await.into_iter().collect();
        let mut bodies = Vec::with_capacity(records.len());
        for record in records {
            let node = record.download.as_ref().map(|download| download.node);
            let answer = node.and_then(|node| states.get(&node)).filter(|_| !record.state.is_terminal());
            bodies.push(match answer {
                Some(NodeAnswer::Downloads(downloads)) => match downloads.get(&record.id) {
                    // A state that can't be stored is that of one job, and no failure of the list.
                    Some(download) => match self.store_state(record.clone(), download).await {
                        Ok(body) => body,
                        Err(error) => {
                            tracing::warn!(job = %record.id, %error, "the state of a job can't be stored");
                            body::of(record, None)
                        }
                    },
                    None if is_lost(&record) => self.lose(record).await?,
                    None => body::of(record, None),
                },
                Some(NodeAnswer::Gone) => self.lose(record).await?,
                Some(NodeAnswer::Silent) | None => body::of(record, None),
            });
        }
        Ok(bodies)
    }

    async fn downloads_of(
        &self,
        caller: &Caller,
        node: NodeId,
        jobs: &[JobId],
        is_patient: bool,
    ) -> NodeAnswer {
        let node = match self.nodes.of_organisation(caller, node).await {
            Ok(Some(node)) => node,
            Ok(None) => return NodeAnswer::Gone,
            Err(_) => return NodeAnswer::Silent,
        };
        if !may_ask(&node, is_patient) {
            return NodeAnswer::Silent;
        }
        let mut downloads = HashMap::new();
        for jobs in jobs.chunks(NODE_JOBS_MAX_COUNT) {
            match node.link.downloads(jobs.to_vec()).await {
                Ok(answer) => downloads.extend(answer.into_iter().map(|download| (download.job, download))),
                Err(_) => return NodeAnswer::Silent,
            }
        }
        NodeAnswer::Downloads(downloads)
    }
}

/// The answer of a node about the downloads of jobs.
enum NodeAnswer {
    Downloads(HashMap<JobId, NodeDownload>),
    /// The node doesn't answer.
    Silent,
    /// The node is no longer registered.
    Gone,
}
