//! `hearth sessions list` and `hearth sessions search`.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use hearth_domain::SessionStatus;
use hearth_wire::native::sessions::{SessionEntry, SessionList, SessionSearchResult, SessionSearchResults};

use crate::client::{gateway_client::GatewayClient, table::Table, terminal};

/// Most entries in a page.
const PAGE_MAX_COUNT: usize = 200;
const STATUSES: [SessionStatus; 3] = [SessionStatus::Open, SessionStatus::Archived, SessionStatus::Closed];

/// The sessions of one status, and the number to show.
#[derive(Debug, Args)]
struct Selection {
    /// Sessions with this status
    #[arg(long, value_name = "STATUS", default_value = "open", value_parser = statuses())]
    status: SessionStatus,
    /// Number of entries to show
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Begin behind the page that has printed this cursor
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

fn statuses() -> impl TypedValueParser<Value = SessionStatus> {
    PossibleValuesParser::new(STATUSES.map(SessionStatus::as_str)).try_map(|name| {
        STATUSES.into_iter().find(|status| status.as_str() == name).ok_or("there is no such status")
    })
}

impl Selection {
    fn wanted(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    /// The query of a page behind `cursor`, where `count` entries are there already.
    fn query<'a>(&'a self, cursor: Option<&'a str>, limit: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut query = vec![("status", self.status.as_str()), ("limit", limit)];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        query
    }

    fn page_limit(&self, count: usize) -> String {
        (self.wanted() - count).min(PAGE_MAX_COUNT).to_string()
    }
}

fn note_more(cursor: Option<&str>) {
    if let Some(cursor) = cursor {
        terminal::note(&format!("there may be more: repeat the command with --cursor {cursor}"));
    }
}

/// Show one's sessions, the last used one first
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    selection: Selection,
}

impl List {
    pub(super) async fn run(&self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let selection = &self.selection;
        let mut list = SessionList { sessions: Vec::new(), next_cursor: selection.cursor.clone() };
        loop {
            let limit = selection.page_limit(list.sessions.len());
            let query = selection.query(list.next_cursor.as_deref(), &limit);
            let page: SessionList = gateway.get(&["v1", "sessions"], &query).await?;
            list.sessions.extend(page.sessions);
            list.next_cursor = page.next_cursor;
            if list.next_cursor.is_none() || list.sessions.len() >= selection.wanted() {
                break;
            }
        }
        if json {
            return terminal::print_json(&list);
        }
        if list.sessions.is_empty() {
            terminal::note("there are no such sessions; `hearth chat --session new` begins one");
        } else {
            terminal::print(&table(&list.sessions).fitted(terminal::columns()))?;
        }
        note_more(list.next_cursor.as_deref());
        Ok(())
    }
}

pub(super) fn table(sessions: &[SessionEntry]) -> Table<4> {
    let mut table = Table::new(["ID", "LAST USED", "STATUS", "TITLE"]);
    for session in sessions {
        table.push([
            session.id.clone(),
            session.last_used_at.clone(),
            session.status.as_str().to_owned(),
            one_line(session.title.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

/// Find words in the titles and messages of one's sessions
#[derive(Debug, Args)]
pub(super) struct Search {
    /// The words; an entry has all of them, in any case of letters
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    selection: Selection,
}

impl Search {
    pub(super) async fn run(&self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let (selection, words) = (&self.selection, self.words.join(" "));
        let mut results = SessionSearchResults { results: Vec::new(), next_cursor: selection.cursor.clone() };
        loop {
            let limit = selection.page_limit(results.results.len());
            let mut query = selection.query(results.next_cursor.as_deref(), &limit);
            query.push(("query", &words));
            let page: SessionSearchResults = gateway.get(&["v1", "sessions", "search"], &query).await?;
            results.results.extend(page.results);
            results.next_cursor = page.next_cursor;
            if results.next_cursor.is_none() || results.results.len() >= selection.wanted() {
                break;
            }
        }
        if json {
            return terminal::print_json(&results);
        }
        if results.results.is_empty() {
            terminal::note("nothing was found");
        } else {
            terminal::print(&results_table(&results.results).fitted(terminal::columns()))?;
        }
        note_more(results.next_cursor.as_deref());
        Ok(())
    }
}

pub(super) fn results_table(results: &[SessionSearchResult]) -> Table<4> {
    let mut table = Table::new(["ID", "TITLE", "WHERE", "TEXT"]);
    for result in results {
        table.push([
            result.session.id.clone(),
            one_line(result.session.title.as_deref().unwrap_or_default()),
            result.role.map_or_else(|| "title".to_owned(), |role| role.as_str().to_owned()),
            one_line(&result.snippet),
        ]);
    }
    table
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
