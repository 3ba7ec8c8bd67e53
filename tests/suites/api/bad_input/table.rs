//! The table: operations with callers of their own, and the cases of each.

use std::panic::AssertUnwindSafe;

use axum::{Json, Router};
use futures::{FutureExt as _, StreamExt as _};
use hearth_domain::{MemberRole, Owner};
use hearth_tests::{
    Answer, Client, Home, Person, Setup, check_documented, operators_organisation,
    permission_matrix::{Operation, Things, operations},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{answers, raw};

/// Operations that are checked at once, and requests of each.
const OPERATIONS_AT_ONCE: usize = 4;
const REQUESTS_AT_ONCE: usize = 6;

/// An operation, with a caller of its own: it may change or erase them.
pub(super) struct Row {
    pub operation: Operation,
    pub token: String,
    pub things: Things,
}

/// A request with bad input.
#[derive(Debug, Default)]
pub(super) struct Case {
    /// Description of the input.
    pub name: String,
    /// Another path than that of the row's things.
    pub path: Option<String>,
    /// Media type of the body.
    pub media_type: Option<Vec<u8>>,
    pub body: Option<Vec<u8>>,
    pub expected: Expected,
    /// Field or parameter at fault, which an error has to name.
    pub field: Option<String>,
    /// The path is sent as it is; the client of the suites resolves `%2e%2e`.
    pub is_raw: bool,
}

/// Outcome of a case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Expected {
    /// A status of the client's fault.
    #[default]
    Refused,
    /// This status.
    Status(u16),
    /// A refusal or not: a dialect may ignore the field.
    Any,
}

/// A gateway with the rows of the table.
pub(super) struct Table {
    pub home: Home,
    rows: Vec<Row>,
    /// All operations.
    operations: Vec<Operation>,
}

impl Row {
    /// The path of the row's things.
    pub(super) fn path(&self) -> String {
        let path = self.things.path(&self.operation.path);
        path.unwrap_or_else(|unknown| panic!("{}: {unknown:?}", self.operation)).0
    }

    /// The text of the example of the body, if the operation has one.
    pub(super) fn example(&self) -> Option<String> {
        self.operation.body.as_ref().map(Value::to_string)
    }
}

impl Case {
    /// A case with a JSON body.
    pub(super) fn body(name: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), body: Some(body.into()), ..Self::default() }
    }

    /// The same case with another expected outcome.
    pub(super) fn expecting(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }

    /// The same case, whose error has to name the field.
    pub(super) fn at(self, field: &str) -> Self {
        Self { field: Some(field.to_owned()), ..self }
    }
}

impl Table {
    /// Starts a gateway without a node, whose hub of models has none, with a row for each selected operation.
    pub(super) async fn start(select: impl Fn(&Operation) -> bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hub = listener.local_addr().unwrap();
        let router = Router::new().fallback(async || Json::<Value>(json!([])));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let settings = format!("[hub]\nurl = \"http://{hub}\"\n");
        let home = Setup::new().settings(&settings).arguments(&["--no-node"]).start().await;
        let document = home.client().get("/openapi.json").await.json();
        let operations = operations(&document);
        let selected: Vec<Operation> = operations.iter().filter(|one| select(one)).cloned().collect();
        let create = async |store: &_| {
            let operators = operators_organisation(store).await;
            let mut rows = Vec::new();
            for operation in selected {
                let is_operators =
                    operation.action.is_some_and(|action| action.permission().is_for_operators);
                let person = match is_operators {
                    true => Person::in_organisation(store, operators, MemberRole::Owner).await,
                    false => Person::with_organisation(store).await,
                };
                let things = match operation.path.contains('{') {
                    true => {
                        let owner = Owner { user: person.user, organisation: person.organisation };
                        Things::create(store, owner).await
                    }
                    false => Things::in_organisation(person.organisation),
                };
                rows.push(Row { operation, token: person.token, things });
            }
            rows
        };
        let (home, rows) = home.restart_after(create).await;
        Self { home, rows, operations }
    }

    /// The rows.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Sends the cases of each row, and stops the gateway.
    ///
    /// # Panics
    /// If an answer isn't as it must be.
    #[expect(clippy::print_stdout, reason = "the counts are read in the test's output")]
    pub(super) async fn check(self, cases: impl Fn(&Row) -> Vec<Case>) {
        let client = self.home.client();
        let checks = self.rows.iter().map(|row| self.check_row(&client, row, cases(row)));
        let results: Vec<(usize, Vec<String>)> =
            futures::stream::iter(checks).buffer_unordered(OPERATIONS_AT_ONCE).collect().await;
        let count: usize = results.iter().map(|(count, _)| count).sum();
        let failures: Vec<String> = results.into_iter().flat_map(|(_, failures)| failures).collect();
        println!("{} operations, {count} requests", self.rows.len());
        assert!(count > 100, "only {count} requests");
        assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
        self.home.stop().await;
    }

    async fn check_row(&self, client: &Client, row: &Row, cases: Vec<Case>) -> (usize, Vec<String>) {
        let count = cases.len();
        let list = self.list_of(row);
        let before = listed(client, row, list.as_deref()).await;
        let sends = cases.into_iter().map(async |case| {
            let answer = AssertUnwindSafe(self.send(client, row, &case)).catch_unwind().await;
            let answer = match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(problem)) => return Err(format!("{}, {}: {problem}", row.operation, case.name)),
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    return Err(format!("{}, {}: {text}", row.operation, case.name));
                }
            };
            let body: String = String::from_utf8_lossy(&answer.body).chars().take(300).collect();
            answers::check(&case, &answer).map(|()| answer.status.is_success()).map_err(|problem| {
                format!("{}, {}: {problem}; {} {body}", row.operation, case.name, answer.status)
            })
        });
        let results: Vec<Result<bool, String>> =
            futures::stream::iter(sends).buffer_unordered(REQUESTS_AT_ONCE).collect().await;
        let accepted = results.iter().filter(|result| matches!(result, Ok(true))).count();
        let mut failures: Vec<String> = results.into_iter().filter_map(Result::err).collect();
        let after = listed(client, row, list.as_deref()).await;
        if after > before + accepted {
            let created = after - before;
            failures.push(format!("{}: {created} created by {accepted} accepted requests", row.operation));
        }
        let health = client.with_token(None).get("/health").await;
        if health.status != 200 {
            failures.push(format!("{}: then the gateway answered {health:?}", row.operation));
        }
        (count, failures)
    }

    async fn send(&self, client: &Client, row: &Row, case: &Case) -> Result<Answer, String> {
        let path = case.path.clone().unwrap_or_else(|| row.path());
        if case.is_raw {
            let body = case.body.as_deref().unwrap_or_default();
            let head = raw::head(
                &row.operation.method,
                &path,
                &row.token,
                &format!("content-length: {}", body.len()),
            );
            let answer = raw::exchange(&self.home.url, &head, body).await?;
            let Answer { status, headers, body } = &answer;
            check_documented(&row.operation.method, &path, *status, headers, Some(body));
            return Ok(answer);
        }
        let mut request = client.with_token(Some(&row.token)).request(row.operation.method.clone(), &path);
        if let Some(body) = &case.body {
            let media_type = case.media_type.as_deref().unwrap_or(b"application/json");
            request = request.header("content-type", media_type).body(body.clone());
        }
        client.try_send(request).await.map_err(|error| format!("no answer: {error:?}"))
    }

    /// The path of the list of what the row's operation creates.
    fn list_of(&self, row: &Row) -> Option<String> {
        if row.operation.method != Method::POST {
            return None;
        }
        let is_list = |other: &&Operation| other.method == Method::GET && other.path == row.operation.path;
        let list = self.operations.iter().find(is_list)?;
        let has_limit = list.query.iter().any(|name| name == "limit");
        Some(format!("{}{}", row.path(), if has_limit { "?limit=100" } else { "" }))
    }
}

/// The number of entries of a list.
async fn listed(client: &Client, row: &Row, path: Option<&str>) -> usize {
    let Some(path) = path else { return 0 };
    let list = client.with_token(Some(&row.token)).get(path).await;
    match list.status.as_u16() {
        200 => answers::entries(&list.json()),
        _ => 0,
    }
}
