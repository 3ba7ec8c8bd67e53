//! Access control as AWS' IAM has it: each access key has the policies of a role, and a call that they don't allow fails.
//!
//! It also records what was used, so that a test can find permissions that nothing needs.

mod calls;
mod policy;
mod s3;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, PoisonError},
};

use dynoxide::Database;
use http::HeaderMap;
use serde_json::{Value, json};

pub(crate) use calls::table_arn;
pub use policy::PolicyError;
pub(crate) use s3::{Access, Keys, bucket_arn};

use crate::{ACCESS_KEY, dynamodb};
use calls::Schema;
use policy::{Call, Decision, Permission, Policies};

/// The services whose calls are checked here. Permissions of others are never used.
const SERVICES: [&str; 6] = ["dynamodb", "execute-api", "kms", "s3", "secretsmanager", "sqs"];

/// The access keys with their policies. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Iam(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    roles: BTreeMap<String, Policies>,
    used: BTreeSet<(String, Permission)>,
    denied: Vec<String>,
}

/// The reason of a refused call, for its caller.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No role has this access key.
    UnknownKey,
    /// The policies don't allow it.
    Denied(String),
}

impl Refusal {
    /// The body of a response of the JSON protocols.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let body = match self {
            Self::UnknownKey => json!({
                "__type": "com.amazon.coral.service#UnrecognizedClientException",
                "message": "The security token included in the request is invalid.",
            }),
            Self::Denied(reason) => {
                json!({"__type": "com.amazon.coral.service#AccessDeniedException", "Message": reason})
            }
        };
        body.to_string().into_bytes()
    }
}

impl Iam {
    /// Gives an access key the policies of a role, in place of earlier ones.
    pub(crate) fn add_role(&self, access_key: &str, policies: &[Value]) -> Result<(), PolicyError> {
        let policies = Policies::parse(policies)?;
        self.state(|state| state.roles.insert(access_key.to_owned(), policies));
        Ok(())
    }

    /// The calls that were denied: role, action, resource and keys.
    pub(crate) fn denied(&self) -> Vec<String> {
        self.state(|state| state.denied.clone())
    }

    /// The permissions that no call has used: role, statement, action, resource and condition.
    pub(crate) fn unused(&self) -> Vec<String> {
        self.state(|state| {
            let mut unused = Vec::new();
            for (role, policies) in &state.roles {
                for permission in policies.permissions() {
                    let key = (role.clone(), permission);
                    if SERVICES.contains(&key.1.service()) && !state.used.contains(&key) {
                        unused.push(format!("{role}: {}", key.1));
                    }
                }
            }
            unused
        })
    }

    /// Returns whether there is a role with this access key. The emulator's own key has none, and may do anything.
    fn knows(&self, access_key: &str) -> bool {
        access_key == ACCESS_KEY || self.state(|state| state.roles.contains_key(access_key))
    }

    /// Checks a request of the JSON protocols to Secrets Manager.
    pub(crate) fn check_secrets(
        &self,
        access_key: &str,
        operation: &str,
        body: &[u8],
    ) -> Result<(), Refusal> {
        let request = serde_json::from_slice(body).unwrap_or_default();
        self.check(access_key, &calls::of_secrets(operation, &request))
    }

    /// Checks a request to KMS.
    pub(crate) fn check_kms(&self, access_key: &str, operation: &str, body: &[u8]) -> Result<(), Refusal> {
        let request = serde_json::from_slice(body).unwrap_or_default();
        calls::of_kms(operation, &request).iter().try_for_each(|call| self.check(access_key, call))
    }

    /// Checks a request to SQS.
    pub(crate) fn check_sqs(&self, access_key: &str, operation: &str, body: &[u8]) -> Result<(), Refusal> {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        self.check_queue(access_key, operation, request["QueueUrl"].as_str().unwrap_or_default())
    }

    /// Checks an operation on a queue, by its name or its address.
    pub(crate) fn check_queue(&self, access_key: &str, operation: &str, queue: &str) -> Result<(), Refusal> {
        self.check(access_key, &calls::of_sqs(operation, queue))
    }

    /// Checks a request to the management API of a WebSocket API.
    pub(crate) fn check_connection(&self, access_key: &str, api: &str, path: &str) -> Result<(), Refusal> {
        self.check(access_key, &calls::of_connections(api, path))
    }

    /// Checks a request to DynamoDB.
    pub(crate) fn check_dynamodb(
        &self,
        access_key: &str,
        db: &Database,
        operation: &str,
        body: &[u8],
    ) -> Result<(), Refusal> {
        if access_key == ACCESS_KEY {
            return Ok(());
        }
        let request = serde_json::from_slice(body).unwrap_or_default();
        // A request that can't be understood names nothing that a policy allows.
        let calls = calls::of_dynamodb(operation, &request, db);
        let calls = calls.map_err(|error| Refusal::Denied(error.to_string()))?;
        calls.iter().try_for_each(|call| self.check(access_key, call))
    }

    /// Decides on a call, and records the decision.
    fn check(&self, access_key: &str, call: &Call) -> Result<(), Refusal> {
        let decision = self.decide(access_key, call)?;
        let why = match decision {
            Decision::Allowed(_) => return Ok(()),
            Decision::ImplicitDeny => format!("no identity-based policy allows the {} action", call.action),
            Decision::ExplicitDeny(sid) => format!("of an explicit deny in an identity-based policy ({sid})"),
        };
        let keys: Vec<String> =
            call.context.iter().map(|(key, values)| format!(" {key} {values:?}")).collect();
        let line = format!("{access_key}: {} on {}{}", call.action, call.resource, keys.concat());
        tracing::warn!(line, "a call was denied");
        self.state(|state| state.denied.push(line));
        Err(Refusal::Denied(format!(
            "User: {access_key} is not authorized to perform: {} on resource: {} because {why}",
            call.action, call.resource
        )))
    }

    /// Decides on a call, and records the permissions that it uses.
    fn decide(&self, access_key: &str, call: &Call) -> Result<Decision, Refusal> {
        if access_key == ACCESS_KEY {
            return Ok(Decision::Allowed(Vec::new()));
        }
        self.state(|state| {
            let policies = state.roles.get(access_key).ok_or(Refusal::UnknownKey)?;
            let decision = policies.decide(call);
            if let Decision::Allowed(permissions) = &decision {
                let used = permissions.iter().map(|permission| (access_key.to_owned(), permission.clone()));
                state.used.extend(used);
            }
            Ok(decision)
        })
    }

    fn state<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The access key that has signed a request of the JSON protocols: of the header `Authorization`. Presigned URLs are S3's.
pub(crate) fn access_key(headers: &HeaderMap) -> &str {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default()
}

impl Schema for Database {
    fn partition_key(&self, table: &str, index: Option<&str>) -> io::Result<String> {
        let table = table.rsplit('/').next().unwrap_or_default();
        let description = dynamodb::call(self, "DescribeTable", &json!({ "TableName": table }))?;
        let table = &description["Table"];
        let schema = match index {
            None => &table["KeySchema"],
            Some(name) => {
                let indexes = table["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
                let index = indexes.into_iter().find(|index| index["IndexName"] == name);
                &index.ok_or_else(|| io::Error::other(format!("there is no index {name}")))?["KeySchema"]
            }
        };
        let hash = schema.as_array().into_iter().flatten().find(|key| key["KeyType"] == "HASH");
        let name = hash.and_then(|key| key["AttributeName"].as_str());
        name.map(str::to_owned).ok_or_else(|| io::Error::other("a table without a partition key"))
    }
}

#[cfg(test)]
mod tests;
