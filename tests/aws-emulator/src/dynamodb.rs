//! DynamoDB's JSON protocol, answered by dynoxide.

use dynoxide::{Database, DynoxideError, actions::transact_write_items::TransactWriteItemsRequest};
use serde_json::Value;

use crate::AwsEmulator;

/// An answer: HTTP status and body.
pub(crate) type Answer = (u16, Vec<u8>);

/// Answers the operation `name`, such as `PutItem`, if `access_key` may do it. dynoxide does file I/O under one lock, so the
/// call runs off the async threads. It waits for a permit first: threads that wait for the lock would cost memory.
pub(crate) async fn answer(emulator: &AwsEmulator, access_key: &str, name: &str, body: Vec<u8>) -> Answer {
    let _permit = emulator.db_permit.acquire().await;
    let (db, iam) = (emulator.db.clone(), emulator.iam.clone());
    let (access_key, name) = (access_key.to_owned(), name.to_owned());
    let call = tokio::task::spawn_blocking(move || {
        if let Err(refusal) = iam.check_dynamodb(&access_key, &db, &name, &body) {
            return (400, refusal.to_json());
        }
        match dispatch(&db, &name, &body) {
            Ok(answer) => (200, answer),
            Err(error) => (error.status_code(), error.to_json().into_bytes()),
        }
    });
    call.await.unwrap_or_else(|_| (500, br#"{"__type":"InternalServerError"}"#.to_vec()))
}

/// Executes an operation for this crate itself.
pub(crate) fn call(db: &Database, name: &str, request: &Value) -> std::io::Result<Value> {
    let body = serde_json::to_vec(request)?;
    let answer = dispatch(db, name, &body).map_err(std::io::Error::other)?;
    Ok(serde_json::from_slice(&answer)?)
}

fn dispatch(db: &Database, name: &str, body: &[u8]) -> Result<Vec<u8>, DynoxideError> {
    if name == "TransactWriteItems" {
        return transact_write_items(db, body);
    }
    macro_rules! operations {
        ($($name:literal => $method:ident,)*) => {
            match name {
                $($name => {
                    let request = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
                    serde_json::to_vec(&db.$method(request)?)
                        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
                })*
                _ => Err(DynoxideError::ValidationException(format!("the operation {name:?} isn't supported"))),
            }
        };
    }
    operations! {
        "PutItem" => put_item,
        "GetItem" => get_item,
        "UpdateItem" => update_item,
        "DeleteItem" => delete_item,
        "Query" => query,
        "Scan" => scan,
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "TransactGetItems" => transact_get_items,
        "CreateTable" => create_table,
        "DeleteTable" => delete_table,
        "DescribeTable" => describe_table,
        "UpdateTable" => update_table,
        "ListTables" => list_tables,
        "UpdateTimeToLive" => update_time_to_live,
        "DescribeTimeToLive" => describe_time_to_live,
    }
}

/// Executes a transaction without its idempotency token: dynoxide would store the answer for ten minutes, and no request
/// is lost and sent again in this process.
fn transact_write_items(db: &Database, body: &[u8]) -> Result<Vec<u8>, DynoxideError> {
    let mut request: TransactWriteItemsRequest =
        serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    request.client_request_token = None;
    serde_json::to_vec(&db.transact_write_items(request)?)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// Converts a parse error. dynoxide marks the error's class in serde's message; the mark is removed.
fn unreadable(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    for mark in ["SERIALIZATION:", "SERIALIZATION_AS_READ:"] {
        if let Some(message) = text.strip_prefix(mark) {
            return DynoxideError::SerializationException(message.to_owned());
        }
    }
    let marks = ["VALIDATION:", "VALIDATION_REQUEST:", "VALIDATION_AS_READ:"];
    let message = marks.iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(text);
    DynoxideError::ValidationException(message.to_owned())
}
