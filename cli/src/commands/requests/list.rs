//! `hearth requests list`.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use hearth_domain::RunState;
use hearth_wire::native::request_list::{RequestEntry, RequestList};

use crate::client::{gateway_client::GatewayClient, table::Table, terminal};

const SEGMENTS: [&str; 2] = ["v1", "requests"];
/// Most requests in a page.
const PAGE_MAX_COUNT: usize = 200;

/// Show one's requests, newest first
#[derive(Debug, Args)]
pub(super) struct List {
    /// Requests in this state, several times or with commas
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = states())]
    state: Vec<RunState>,
    /// Requests that this model serves
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Requests that this token, access key or login has sent
    #[arg(long, value_name = "ID")]
    sent_by: Option<String>,
    /// Time of the earliest request, or its day
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Time of the latest request, or its day
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Number of requests to show
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Begin behind the page that has printed this cursor; with the same filter
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

fn states() -> impl TypedValueParser<Value = RunState> {
    PossibleValuesParser::new(RunState::ALL.map(RunState::as_str)).try_map(|name| {
        RunState::ALL.into_iter().find(|state| state.as_str() == name).ok_or("there is no such state")
    })
}

impl List {
    /// Prints the requests as a table, and the cursor of those that follow.
    pub(super) async fn run(&self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let list = self.read(gateway).await?;
        if json {
            return terminal::print_json(&list);
        }
        if list.requests.is_empty() {
            terminal::note("there are no such requests");
        } else {
            terminal::print(&table(&list.requests).fitted(terminal::columns()))?;
        }
        if let Some(cursor) = &list.next_cursor {
            terminal::note(&format!("there may be more: repeat the command with --cursor {cursor}"));
        }
        Ok(())
    }

    /// Reads pages until there are as many requests as wanted. Pages of a narrow filter may be empty.
    async fn read(&self, gateway: &GatewayClient) -> anyhow::Result<RequestList> {
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let states = self.state.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(",");
        let state = (!states.is_empty()).then_some(states.as_str());
        let mut list = RequestList { requests: Vec::new(), next_cursor: self.cursor.clone() };
        loop {
            let limit = (wanted - list.requests.len()).min(PAGE_MAX_COUNT).to_string();
            let parameters = [
                ("state", state),
                ("model", self.model.as_deref()),
                ("token", self.sent_by.as_deref()),
                ("from", self.from.as_deref()),
                ("to", self.to.as_deref()),
                ("cursor", list.next_cursor.as_deref()),
                ("limit", Some(limit.as_str())),
            ];
            let query: Vec<(&str, &str)> =
                parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let page: RequestList = gateway.get(&SEGMENTS, &query).await?;
            list.requests.extend(page.requests);
            list.next_cursor = page.next_cursor;
            if list.next_cursor.is_none() || list.requests.len() >= wanted {
                return Ok(list);
            }
        }
    }
}

pub(super) fn table(requests: &[RequestEntry]) -> Table<7> {
    let mut table = Table::new(["ID", "TIME", "STATE", "MODEL", "TOKENS", "COST", "SENT BY"]);
    for request in requests {
        let state = match (&request.error, request.queue_position) {
            (Some(error), _) => format!("{}: {}", request.status.as_str(), error.code),
            (None, Some(position)) => format!("{}, place {position}", request.status.as_str()),
            (None, None) => request.status.as_str().to_owned(),
        };
        let model = match request.provider.as_str() {
            "local" => request.model.clone(),
            provider => format!("{provider}:{}", request.model),
        };
        table.push([
            request.request_id.clone(),
            request.created_at.clone(),
            state,
            model,
            request.usage.total_tokens.to_string(),
            request.cost.map(|cost| format!("${}", cost.usd)).unwrap_or_default(),
            request.token.clone().unwrap_or_default(),
        ]);
    }
    table
}
