//! The calls of DynamoDB's, KMS' and Secrets Manager's requests, as the Service Authorization Reference lists them: actions,
//! resources, and `dynamodb:LeadingKeys`, the partition keys that a request names. A query of an index has the index as its
//! resource, and the index's partition key.

use std::{collections::BTreeMap, io};

use serde_json::Value;

use super::policy::Call;
use crate::{ACCOUNT, REGION, kms, secrets, sqs};

/// The context key of the partition keys that a request names.
pub(super) const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// The context keys of the encryption context that a request names, by the names of its pairs that policies may use.
const ENCRYPTION_CONTEXT: [(&str, &str); 3] = [
    ("purpose", "kms:EncryptionContext:purpose"),
    ("owner", "kms:EncryptionContext:owner"),
    ("id", "kms:EncryptionContext:id"),
];

/// The name of the partition key attribute of a table, or of one of its indexes.
pub(super) trait Schema {
    fn partition_key(&self, table: &str, index: Option<&str>) -> io::Result<String>;
}

/// The ARN of a table.
pub(crate) fn table_arn(name: &str) -> String {
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}")
}

/// The call of a request to Secrets Manager.
pub(super) fn of_secrets(operation: &str, request: &Value) -> Call {
    let id = request["SecretId"].as_str().or(request["Name"].as_str()).unwrap_or_default();
    Call {
        action: format!("secretsmanager:{operation}"),
        resource: secrets::arn(id),
        context: BTreeMap::new(),
    }
}

/// The call of an operation on a queue.
pub(super) fn of_sqs(operation: &str, queue: &str) -> Call {
    Call { action: format!("sqs:{operation}"), resource: sqs::arn(queue), context: BTreeMap::new() }
}

/// The call of a request to the management API of a WebSocket API.
pub(super) fn of_connections(api: &str, path: &str) -> Call {
    Call {
        action: "execute-api:ManageConnections".to_owned(),
        resource: format!("arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/{path}"),
        context: BTreeMap::new(),
    }
}

/// The calls of a request to KMS. A new encryption is a call on each of its keys.
pub(super) fn of_kms(operation: &str, request: &Value) -> Vec<Call> {
    let call = |action: &str, key: &str, context: &str| Call {
        action: format!("kms:{action}"),
        resource: kms::key_of(request, key),
        context: ENCRYPTION_CONTEXT
            .into_iter()
            .filter_map(|(name, key)| Some((key, vec![request[context][name].as_str()?.to_owned()])))
            .collect(),
    };
    match operation {
        "ReEncrypt" => vec![
            call("ReEncryptFrom", "SourceKeyId", "SourceEncryptionContext"),
            call("ReEncryptTo", "DestinationKeyId", "DestinationEncryptionContext"),
        ],
        _ => vec![call(operation, "KeyId", "EncryptionContext")],
    }
}

/// True if a policy may have conditions on this context key; its spelling here.
pub(super) fn supported_key(key: &str) -> Option<&'static str> {
    let all = ENCRYPTION_CONTEXT.into_iter().map(|(_, key)| key).chain([LEADING_KEYS]);
    all.into_iter().find(|known| known.eq_ignore_ascii_case(key))
}

/// The calls of a request to DynamoDB; each must be allowed.
pub(super) fn of_dynamodb(operation: &str, request: &Value, schema: &dyn Schema) -> io::Result<Vec<Call>> {
    let requests = Requests { schema };
    let call = match operation {
        "GetItem" | "UpdateItem" | "DeleteItem" => requests.item(operation, request, &request["Key"])?,
        "PutItem" => requests.item(operation, request, &request["Item"])?,
        "Query" => requests.query(request)?,
        // It reads every partition, and names none.
        "Scan" => call("Scan", with_index(table(request)?, request["IndexName"].as_str()), Vec::new()),
        // A transaction has no action of its own: it needs those of its parts.
        "TransactWriteItems" | "TransactGetItems" => return requests.transaction(request),
        "BatchGetItem" | "BatchWriteItem" => return requests.batch(operation, request),
        _ => {
            let table = request["TableName"].as_str().map_or_else(|| "*".to_owned(), table_arn);
            call(operation, table, Vec::new())
        }
    };
    Ok(vec![call])
}

fn call(operation: &str, resource: String, keys: Vec<String>) -> Call {
    let context = if keys.is_empty() { BTreeMap::new() } else { BTreeMap::from([(LEADING_KEYS, keys)]) };
    Call { action: format!("dynamodb:{operation}"), resource, context }
}

struct Requests<'a> {
    schema: &'a dyn Schema,
}

impl Requests<'_> {
    /// The call of an operation on one item, which has the key in `attributes`.
    fn item(&self, operation: &str, request: &Value, attributes: &Value) -> io::Result<Call> {
        let table = table(request)?;
        let key = self.schema.partition_key(table, None)?;
        Ok(call(operation, table_arn(table), text(&attributes[key]).into_iter().collect()))
    }

    fn query(&self, request: &Value) -> io::Result<Call> {
        let (table, index) = (table(request)?, request["IndexName"].as_str());
        let key = self.schema.partition_key(table, index)?;
        let values = partition_of_condition(request, &key).into_iter().collect();
        Ok(call("Query", with_index(table, index), values))
    }

    fn transaction(&self, request: &Value) -> io::Result<Vec<Call>> {
        let mut calls = Vec::new();
        for (part, body) in request["TransactItems"].as_array().into_iter().flatten().filter_map(only_field) {
            calls.push(match part {
                "Put" => self.item("PutItem", body, &body["Item"])?,
                "Get" => self.item("GetItem", body, &body["Key"])?,
                "Update" => self.item("UpdateItem", body, &body["Key"])?,
                "Delete" => self.item("DeleteItem", body, &body["Key"])?,
                "ConditionCheck" => self.item("ConditionCheckItem", body, &body["Key"])?,
                other => return Err(io::Error::other(format!("a transaction with {other}"))),
            });
        }
        Ok(calls)
    }

    /// A batch is a call for each of its tables, with all of its keys there.
    fn batch(&self, operation: &str, request: &Value) -> io::Result<Vec<Call>> {
        let mut calls = Vec::new();
        for (table, items) in request["RequestItems"].as_object().into_iter().flatten() {
            let key = self.schema.partition_key(table, None)?;
            let reads = items["Keys"].as_array().into_iter().flatten();
            let writes = items.as_array().into_iter().flatten().filter_map(only_field);
            let writes =
                writes.map(|(part, body)| if part == "PutRequest" { &body["Item"] } else { &body["Key"] });
            let keys = reads.chain(writes).filter_map(|attributes| text(&attributes[&key])).collect();
            calls.push(call(operation, table_arn(table), keys));
        }
        Ok(calls)
    }
}

fn table(request: &Value) -> io::Result<&str> {
    request["TableName"].as_str().ok_or_else(|| io::Error::other("a request without its table"))
}

fn with_index(table: &str, index: Option<&str>) -> String {
    let table = table_arn(table);
    index.map_or_else(|| table.clone(), |index| format!("{table}/index/{index}"))
}

/// The value that a key condition requires of the partition key.
fn partition_of_condition(request: &Value, key: &str) -> Option<String> {
    let condition = request["KeyConditionExpression"].as_str()?;
    let name = |token: &str| match request["ExpressionAttributeNames"][token].as_str() {
        Some(name) => name == key,
        None => token == key,
    };
    // Neither a sort key's BETWEEN ... AND nor its comparison has `name = value` with the partition key's name.
    condition.split(" AND ").find_map(|clause| {
        let (left, right) = clause.trim_matches(['(', ')', ' ']).split_once('=')?;
        let (left, right) = (left.trim(), right.trim());
        name(left).then(|| text(&request["ExpressionAttributeValues"][right]))?
    })
}

/// The text of an attribute: keys are texts, numbers or bytes.
fn text(attribute: &Value) -> Option<String> {
    only_field(attribute)?.1.as_str().map(str::to_owned)
}

fn only_field(value: &Value) -> Option<(&str, &Value)> {
    value.as_object()?.iter().next().map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Keys;

    impl Schema for Keys {
        fn partition_key(&self, _: &str, index: Option<&str>) -> io::Result<String> {
            Ok(index.map_or_else(|| "pk".to_owned(), |index| format!("{index}pk")))
        }
    }

    /// Each call as `action resource keys`, without the beginning of the ARN.
    fn calls(operation: &str, request: &Value) -> Vec<String> {
        let calls = of_dynamodb(operation, request, &Keys).unwrap();
        let line = |call: Call| {
            let resource = call.resource.replace(&table_arn(""), "");
            let keys = call.context.get(LEADING_KEYS).map(|keys| keys.join(",")).unwrap_or_default();
            format!("{} {resource} {keys}", call.action)
        };
        calls.into_iter().map(line).collect()
    }

    #[test]
    fn item_request_names_its_partition() {
        let key = json!({"pk": {"S": "RUN#1"}, "sk": {"S": "META"}});
        for operation in ["GetItem", "UpdateItem", "DeleteItem"] {
            let expected = format!("dynamodb:{operation} t RUN#1");
            assert_eq!(calls(operation, &json!({"TableName": "t", "Key": key})), [expected]);
        }
        assert_eq!(calls("PutItem", &json!({"TableName": "t", "Item": key})), ["dynamodb:PutItem t RUN#1"]);
    }

    #[test]
    fn query_of_an_index_names_the_partition_of_the_index() {
        let request = json!({
            "TableName": "t", "IndexName": "gsi1",
            "KeyConditionExpression": "#n0 = :v0 AND #n1 BETWEEN :v1 AND :v2",
            "ExpressionAttributeNames": {"#n0": "gsi1pk", "#n1": "gsi1sk"},
            "ExpressionAttributeValues": {":v0": {"S": "USER#1"}, ":v1": {"S": "a"}, ":v2": {"S": "b"}},
        });
        assert_eq!(calls("Query", &request), ["dynamodb:Query t/index/gsi1 USER#1"]);
        let request = json!({
            "TableName": "t", "KeyConditionExpression": "begins_with(sk, :p) AND (pk = :v)",
            "ExpressionAttributeValues": {":v": {"S": "RUN#1"}, ":p": {"S": "E#"}},
        });
        assert_eq!(calls("Query", &request), ["dynamodb:Query t RUN#1"]);
    }

    #[test]
    fn scan_and_description_name_no_partition() {
        assert_eq!(calls("Scan", &json!({"TableName": "t", "IndexName": "g"})), ["dynamodb:Scan t/index/g "]);
        assert_eq!(calls("DescribeTable", &json!({"TableName": "t"})), ["dynamodb:DescribeTable t "]);
    }

    #[test]
    fn transaction_needs_the_actions_of_its_parts() {
        let key = json!({"pk": {"S": "A#1"}});
        let parts = json!([
            {"Put": {"TableName": "t", "Item": key}}, {"Update": {"TableName": "t", "Key": key}},
            {"Delete": {"TableName": "t", "Key": key}}, {"ConditionCheck": {"TableName": "t", "Key": key}},
        ]);
        assert_eq!(
            calls("TransactWriteItems", &json!({"TransactItems": parts})),
            [
                "dynamodb:PutItem t A#1",
                "dynamodb:UpdateItem t A#1",
                "dynamodb:DeleteItem t A#1",
                "dynamodb:ConditionCheckItem t A#1"
            ]
        );
    }

    #[test]
    fn batch_is_a_call_for_each_table() {
        let (one, two) = (json!({"pk": {"S": "A#1"}}), json!({"pk": {"S": "B#1"}}));
        let reads = json!({"RequestItems": {"t": {"Keys": [one, two]}, "u": {"Keys": [one]}}});
        assert_eq!(
            calls("BatchGetItem", &reads),
            ["dynamodb:BatchGetItem t A#1,B#1", "dynamodb:BatchGetItem u A#1"]
        );
        let writes =
            json!({"RequestItems": {"t": [{"PutRequest": {"Item": one}}, {"DeleteRequest": {"Key": two}}]}});
        assert_eq!(calls("BatchWriteItem", &writes), ["dynamodb:BatchWriteItem t A#1,B#1"]);
    }
}
