//! Pages of a user's recorded runs, newest first.
//!
//! The owner's index has their ids, which sort by time; a page reads the records of a part of it. An index with a copy of each
//! record would cost as many writes as the records, for a list that is read rarely.

use hearth_domain::{Run, RunId, RunState, Timestamp};
use hearth_wire::{
    ApiError,
    native::request_list::{RequestEntry, RequestList, RequestQuery},
};

use super::Requests;
use crate::{
    Gateway,
    access::{Caller, Credential},
    error,
    pager::Pager,
    time_filter::parse_moment,
};

/// Records that are read at a time to find those that a filter selects.
const BATCH_MAX_COUNT: u32 = 100;
/// Records that one request reads.
const SCAN_MAX_COUNT: usize = 1000;

/// The runs that a query selects.
struct RunFilter<'a> {
    states: Vec<RunState>,
    model: Option<&'a str>,
    token: Option<&'a str>,
    /// Ids of the first and the last run.
    range: (RunId, RunId),
}

impl Gateway {
    /// A page of the caller's runs that a query selects, newest first.
    ///
    /// # Errors
    /// `invalid_request` for a bad parameter; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn list_requests(
        &self,
        caller: &Caller,
        query: &RequestQuery,
    ) -> Result<RequestList, ApiError> {
        self.0.requests.list(caller, query).await
    }
}

impl Requests {
    /// A page of the caller's runs that a query selects, newest first; of an access key those that it has sent. A run is listed as soon as its record is stored.
    ///
    /// # Errors
    /// `invalid_request` for a bad parameter; `internal` if the store fails.
    pub(crate) async fn list(&self, caller: &Caller, query: &RequestQuery) -> Result<RequestList, ApiError> {
        let pager = Pager::new(&self.keys, caller.owner(), &list_of(caller, query), query.limit)?;
        let filter = RunFilter::parse(query)?;
        let after = pager.open(query.cursor.as_deref()).await?;
        let (runs, next) = self.select(caller, &filter, after, pager.limit as usize).await?;
        let next_cursor = pager.seal(next).await?;
        Ok(RequestList { requests: runs.into_iter().map(RequestEntry::from).collect(), next_cursor })
    }

    /// Reads runs behind `after`. Returns those that the filter selects, and the last one that was read, if more may follow.
    async fn select(
        &self,
        caller: &Caller,
        filter: &RunFilter<'_>,
        mut after: Option<RunId>,
        limit: usize,
    ) -> Result<(Vec<Run>, Option<RunId>), ApiError> {
        let (mut selected, mut read) = (Vec::new(), 0);
        if filter.range.0 > filter.range.1 {
            return Ok((selected, None));
        }
        let batch = u32::try_from(limit).unwrap_or(BATCH_MAX_COUNT).min(BATCH_MAX_COUNT);
        loop {
            let page = self.store.owned().runs_newest_first(caller.user, filter.range, after, batch).await;
            let (ids, has_more) = page.map_err(error::store)?;
            let last = ids.last().copied();
            for run in self.store.runs().summaries(&ids).await.map_err(error::store)? {
                let id = run.id;
                if may_manage(caller, &run) && filter.selects(&run) {
                    selected.push(run);
                }
                if selected.len() == limit {
                    let is_end = last == Some(id) && !has_more;
                    return Ok((selected, (!is_end).then_some(id)));
                }
            }
            read += ids.len();
            after = last.or(after);
            if !has_more {
                return Ok((selected, None));
            }
            if read >= SCAN_MAX_COUNT {
                return Ok((selected, after));
            }
        }
    }
}

impl<'a> RunFilter<'a> {
    fn parse(query: &'a RequestQuery) -> Result<Self, ApiError> {
        let states = query.state.iter().flat_map(|states| states.split(','));
        let states = states.map(|name| parse_state(name.trim())).collect::<Result<_, _>>()?;
        let from = match &query.from {
            Some(text) => parse_moment("from", text, false)?,
            None => Timestamp::from_unix(0),
        };
        let last = match &query.to {
            Some(text) => RunId::last_of(parse_moment("to", text, true)?),
            None => RunId::MAX,
        };
        let range = (RunId::first_of(from), last);
        Ok(Self { states, model: query.model.as_deref(), token: query.token.as_deref(), range })
    }

    fn selects(&self, run: &Run) -> bool {
        let selection = &run.selection;
        let is_model = |name: &str| {
            name == selection.model.as_str() || name == format!("{}:{}", selection.provider, selection.model)
        };
        (self.states.is_empty() || self.states.contains(&run.state))
            && self.model.is_none_or(is_model)
            && self.token.is_none_or(|token| run.token.as_deref() == Some(token))
    }
}

fn parse_state(name: &str) -> Result<RunState, ApiError> {
    RunState::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| {
        let states = RunState::ALL.map(RunState::as_str).join(", ");
        ApiError::invalid(
            "state",
            format!("state must be one or several of {states}, with commas between them"),
        )
    })
}

/// True if a caller sees a run in the list, and may repeat it: one of the same owner; with an access key, which its
/// owner may have given away, one that the key has sent.
pub(super) fn may_manage(caller: &Caller, run: &Run) -> bool {
    let is_own = match caller.credential {
        Credential::AccessKey(_) => run.token.as_deref() == Some(&*caller.credential_id()),
        _ => true,
    };
    is_own && run.owner() == caller.owner()
}

/// The list that a cursor is valid for.
fn list_of(caller: &Caller, query: &RequestQuery) -> String {
    let filter = RequestQuery { limit: None, cursor: None, ..query.clone() };
    let key = match caller.credential {
        Credential::AccessKey(key) => Some(key),
        _ => None,
    };
    format!("{key:?}|requests|{filter:?}")
}

#[cfg(test)]
mod tests {
    use hearth_domain::{AccessKeyId, Selection, UserId};

    use super::*;

    fn selects(query: &RequestQuery, run: &Run) -> bool {
        RunFilter::parse(query).unwrap().selects(run)
    }

    #[test]
    fn filter_selects_by_state_model_and_token() {
        let run = Run {
            state: RunState::Failed,
            token: Some("tok_1".to_owned()),
            selection: Selection::example("big", "rig"),
            ..Run::example(UserId::new())
        };
        let query = RequestQuery::default;
        assert!(selects(&query(), &run));
        for (state, is_selected) in [("failed", true), ("completed, failed", true), ("queued,running", false)]
        {
            assert_eq!(selects(&RequestQuery { state: Some(state.into()), ..query() }, &run), is_selected);
        }
        for (model, is_selected) in [("big", true), ("rig:big", true), ("other:big", false), ("bi", false)] {
            assert_eq!(selects(&RequestQuery { model: Some(model.into()), ..query() }, &run), is_selected);
        }
        for (token, is_selected) in [("tok_1", true), ("tok_2", false)] {
            assert_eq!(selects(&RequestQuery { token: Some(token.into()), ..query() }, &run), is_selected);
        }
    }

    #[test]
    fn access_key_manages_what_it_has_sent_alone() {
        let (owner, key) = (Caller::example(), AccessKeyId::new());
        let by_key = Caller { credential: Credential::AccessKey(key), ..owner.clone() };
        let of = |token: Option<String>| Run {
            organisation: Some(owner.organisation),
            token,
            ..Run::example(owner.user)
        };
        let (keys, tokens, earlier) = (of(Some(key.to_string())), of(Some("tok_1".to_owned())), of(None));
        for run in [&keys, &tokens, &earlier] {
            assert!(may_manage(&owner, run) && !may_manage(&Caller::example(), run));
        }
        assert!(
            may_manage(&by_key, &keys) && !may_manage(&by_key, &tokens) && !may_manage(&by_key, &earlier)
        );
    }

    #[test]
    fn bad_filter_is_refused_with_its_name() {
        let query = RequestQuery::default;
        for (query, param) in [
            (RequestQuery { state: Some("done".into()), ..query() }, "state"),
            (RequestQuery { state: Some(String::new()), ..query() }, "state"),
            (RequestQuery { from: Some("yesterday".into()), ..query() }, "from"),
            (RequestQuery { to: Some("2026-13-01".into()), ..query() }, "to"),
        ] {
            let error = RunFilter::parse(&query).err().unwrap();
            assert_eq!(error.param.as_deref(), Some(param));
        }
    }

    #[test]
    fn days_include_their_first_and_their_last_moment() {
        let day = || Some("2026-01-31".to_owned());
        let query = RequestQuery { from: day(), to: day(), ..RequestQuery::default() };
        let (first, last) = RunFilter::parse(&query).unwrap().range;
        let of = |time: &str| RunId::first_of(time.parse().unwrap());
        assert_eq!(first, of("2026-01-31T00:00:00.000Z"));
        assert!(of("2026-01-31T23:59:59.999Z") < last && last < of("2026-02-01T00:00:00.000Z"));
    }
}
