//! The matrix of permissions: every operation of the OpenAPI document with every kind of credential, and the status that the table of
//! permissions expects.
//!
//! The operations come from the document that the gateway serves, so that a new route is in the matrix by itself.

mod credentials;
mod nested_objects;
mod operations;
mod people;
mod things;

pub use credentials::{Credential, Kind};
pub use nested_objects::NestedObject;
pub use operations::{Operation, operations};
pub use people::{Allowed, People};
pub use things::{Ownership, Things, Unknown};

use std::{collections::BTreeMap, fmt};

use hearth_domain::Action;
use reqwest::Method;
use serde_json::Value;

use crate::{Answer, Client};

/// Error codes of statuses from 500 that a request with valid permissions may get: no model can serve it.
const UNAVAILABLE_CODES: [&str; 3] = ["no_model_available", "node_offline", "provider_auth"];

/// The expected outcome of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// 401: the credential isn't valid.
    Unauthorized,
    /// 403, with the action's name.
    Forbidden,
    /// 404: the thing is another's.
    NotFound,
    /// Neither 401 nor 403, nor an error of the gateway.
    Allowed,
    /// No error of the gateway: the operation takes no permission.
    Open,
}

/// Cells that were checked, and those whose outcome was another.
#[derive(Debug, Default)]
pub struct Report {
    counts: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Report {
    /// Checks the answer to a request of a cell. `group`: the kind of the credential, by which the cells are counted.
    pub fn check(&mut self, operation: &Operation, group: &str, expected: Expected, answer: &Answer) {
        *self.counts.entry(group.to_owned()).or_default() += 1;
        if let Err(problem) = check(operation, expected, answer) {
            let body: String = String::from_utf8_lossy(&answer.body).chars().take(300).collect();
            self.failures.push(format!("{operation} with {group}: {problem}; {} {body}", answer.status));
        }
    }

    /// The number of cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.counts.values().sum()
    }

    /// Prints the counts.
    ///
    /// # Panics
    /// If a cell had another outcome.
    #[expect(clippy::print_stdout, reason = "the counts are read in the test's output")]
    pub fn finish(self, name: &str) {
        println!("{name}: {} cells", self.cells());
        for (group, count) in &self.counts {
            println!("  {count:5} {group}");
        }
        let failures = self.failures.len();
        assert!(failures == 0, "{failures} cells of {name}:\n{}", self.failures.join("\n"));
    }
}

fn check(operation: &Operation, expected: Expected, answer: &Answer) -> Result<(), String> {
    let status = answer.status.as_u16();
    let error = Error::of(answer);
    if status >= 500 && !UNAVAILABLE_CODES.contains(&error.code.as_str()) {
        return Err("an error of the gateway".to_owned());
    }
    let is_expected = match expected {
        Expected::Unauthorized => status == 401,
        Expected::Forbidden => status == 403,
        Expected::NotFound => status == 404,
        Expected::Allowed => status != 401 && (status != 403 || error.action.is_none()),
        Expected::Open => true,
    };
    if !is_expected {
        return Err(format!("expected {expected:?}"));
    }
    let names_action = |action: &String| operation.action.is_some_and(|expected| expected.as_str() == action);
    if expected == Expected::Forbidden && error.is_native && !error.action.as_ref().is_some_and(names_action)
    {
        return Err("the error doesn't name the action".to_owned());
    }
    Ok(())
}

/// The error of an answer, in any dialect.
struct Error {
    code: String,
    action: Option<String>,
    is_native: bool,
}

impl Error {
    fn of(answer: &Answer) -> Self {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let is_native = body["error"]["code"].is_string();
        // Ollama's errors have the code beside the message.
        let code = text(&body["error"]["code"]).or_else(|| text(&body["code"])).unwrap_or_default();
        Self { code, action: text(&body["error"]["details"]["action"]), is_native }
    }
}

/// A form with a file, for operations that take one.
const FORM: &str =
    "--part\r\ncontent-disposition: form-data; name=\"data\"; filename=\"a\"\r\n\r\nx\r\n--part--\r\n";
/// Its type.
const FORM_TYPE: &str = "multipart/form-data; boundary=part";

/// Sends the request of a cell.
pub async fn send(client: &Client, operation: &Operation, path: &str, token: Option<&str>) -> Answer {
    let client = client.with_token(token);
    let mut request = client.request(operation.method.clone(), path);
    if operation.is_form {
        request = request.header("content-type", FORM_TYPE).body(FORM);
    } else if let Some(body) = &operation.body {
        request = request.json(body);
    } else if operation.method == Method::POST || operation.method == Method::PUT {
        request = request.header("content-length", "0");
    }
    client.send(request).await
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Checks the cells whose credentials aren't valid or lack the permission, and those of operations without a permission. The things of
/// the paths are there: an answer must not show that.
///
/// # Panics
/// If a path has a parameter of an unknown kind.
pub async fn check_denied(client: &Client, people: &People, operations: &[Operation], report: &mut Report) {
    for operation in operations {
        let (path, _) = checked(people.things.path(&operation.path));
        for credential in &people.credentials {
            let expected = operation.expected(credential.kind);
            if expected == Expected::Allowed {
                continue;
            }
            let answer = send(client, operation, &path, credential.text.as_deref()).await;
            report.check(operation, &credential.group, expected, &answer);
        }
    }
}

/// Checks the cells of things of another user, and of another organisation: they aren't found.
///
/// # Panics
/// As [`check_denied`].
pub async fn check_others_things(
    client: &Client,
    people: &People,
    operations: &[Operation],
    report: &mut Report,
) {
    for operation in operations {
        let (path, ownership) = checked(people.things.path(&operation.path));
        let Some(permission) = operation.action.map(Action::permission) else { continue };
        // Operators manage all organisations.
        if operation.action == Some(Action::Administer) {
            continue;
        }
        if ownership == Ownership::User {
            let answer = send(client, operation, &path, Some(&people.colleague)).await;
            report.check(operation, "another user's thing", Expected::NotFound, &answer);
        }
        if ownership != Ownership::None && !permission.is_for_operators {
            let answer = send(client, operation, &path, Some(&people.foreigner)).await;
            report.check(operation, "another organisation's thing", Expected::NotFound, &answer);
        }
    }
}

/// Checks the cells whose credentials have the permission.
///
/// # Panics
/// As [`check_denied`].
pub async fn check_allowed(
    client: &Client,
    cells: &[Allowed],
    operations: &[Operation],
    report: &mut Report,
) {
    for Allowed { operation, group, token, things } in cells {
        let operation = &operations[*operation];
        let (path, _) = checked(things.path(&operation.path));
        let answer = send(client, operation, &path, Some(token)).await;
        report.check(operation, group, Expected::Allowed, &answer);
    }
}

fn checked(path: Result<(String, Ownership), Unknown>) -> (String, Ownership) {
    path.unwrap_or_else(|Unknown(parameter)| {
        panic!("the matrix has no thing for {parameter}; add one to tests/src/permission_matrix/things.rs")
    })
}
