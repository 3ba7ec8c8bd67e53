//! The functions' roles of `infra/template.yaml`, in the emulated AWS.

use std::collections::BTreeMap;

use aws_emulator::AwsEmulator;
use sam_template::{Stack, Template};
use serde_json::Value;

use crate::cloud_api::template;

const MANAGED_POLICY: &str = "AWS::IAM::ManagedPolicy";
/// Names of the stack beside those of its table, bucket and secrets.
const PSEUDO_PARAMETERS: [(&str, &str); 5] = [
    ("AWS::AccountId", "123456789012"),
    ("AWS::Partition", "aws"),
    ("AWS::Region", "us-east-1"),
    ("AWS::StackName", "hearth-test"),
    ("AWS::URLSuffix", "amazonaws.com"),
];

/// Id of the WebSocket API.
pub(crate) const SOCKET_API: &str = "sockets";

/// Names of the stack's resources, by their logical ids.
pub(crate) struct Resources<'a> {
    pub(crate) table: &'a str,
    pub(crate) bucket: &'a str,
    /// Secrets, by their names.
    pub(crate) secrets: [(&'static str, &'a str); 2],
    /// The id of the key of KMS.
    pub(crate) kms_key: &'a str,
}

/// The documents of the inline and managed policies of each function's role, by the name of its binary, in a stack with these
/// parameters.
///
/// # Panics
/// If the template can't be read, or a role has managed policies that aren't in it.
pub(crate) fn policies(
    resources: &Resources<'_>,
    parameters: &[(&str, &str)],
) -> BTreeMap<String, Vec<Value>> {
    let template = template();
    let stack = stack(&template, resources, parameters);
    let functions = template.functions().map(|(function, properties)| {
        let Value::String(role) = &properties["Role"]["Fn::GetAtt"][0] else {
            panic!("{function} has no role of its own: {}", properties["Role"])
        };
        let properties = template.properties(role).unwrap_or_else(|| panic!("there is no role {role}"));
        let role = template.resolve(properties, &stack);
        let role = role.unwrap_or_else(|error| panic!("the role of {function}: {error}"));
        let inline = role["Policies"].as_array().into_iter().flatten();
        let mut documents: Vec<Value> = inline.map(|policy| policy["PolicyDocument"].clone()).collect();
        for arn in role["ManagedPolicyArns"].as_array().into_iter().flatten() {
            let document = managed_policy(&template, &stack, arn);
            documents.push(document.unwrap_or_else(|error| panic!("the role of {function}: {error}")));
        }
        (binary_of(function), documents)
    });
    functions.collect()
}

/// The document of a managed policy of the template.
///
/// # Panics
/// If the template has no policy with this ARN.
fn managed_policy(template: &Template, stack: &Stack, arn: &Value) -> Result<Value, sam_template::Error> {
    let mut policies = template.resources_of(MANAGED_POLICY);
    let policy = policies.find(|(id, _)| *arn == managed_policy_arn(id));
    let (_, properties) = policy.unwrap_or_else(|| panic!("the policy {arn} isn't in the template"));
    template.resolve(&properties["PolicyDocument"], stack)
}

fn managed_policy_arn(logical_id: &str) -> String {
    format!("arn:aws:iam::123456789012:policy/{logical_id}")
}

/// Gives each function the policies of its role, in a stack with these parameters. Its access key is the name of its binary.
pub(crate) fn add_roles(emulator: &AwsEmulator, resources: &Resources<'_>, parameters: &[(&str, &str)]) {
    for (binary, documents) in policies(resources, parameters) {
        let added = emulator.add_role(&binary, &documents);
        added.unwrap_or_else(|error| panic!("the role of {binary}: {error}"));
    }
}

/// `GenerateFunction` is built from the package `hearth-fn-generate`.
fn binary_of(function: &str) -> String {
    format!("hearth-fn-{}", function.trim_end_matches("Function").to_lowercase())
}

fn stack(template: &Template, resources: &Resources<'_>, parameters: &[(&str, &str)]) -> Stack {
    let Resources { table, bucket, secrets, kms_key } = resources;
    let mut references: BTreeMap<String, String> =
        PSEUDO_PARAMETERS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    references.insert("Table".to_owned(), (*table).to_owned());
    references.insert("Bucket".to_owned(), (*bucket).to_owned());
    references.insert("SocketApi".to_owned(), SOCKET_API.to_owned());
    references.extend(secrets.map(|(id, name)| (id.to_owned(), AwsEmulator::secret_arn(name))));
    let mut attributes = BTreeMap::from([
        ("Table.Arn".to_owned(), AwsEmulator::table_arn(table)),
        ("Bucket.Arn".to_owned(), AwsEmulator::bucket_arn(bucket)),
        ("KmsKey.Arn".to_owned(), AwsEmulator::kms_key_arn(kms_key)),
    ]);
    for (id, _) in template.resources_of("AWS::SQS::Queue") {
        references.insert(id.to_owned(), AwsEmulator::queue_url("https://sqs.us-east-1.amazonaws.com", id));
        attributes.insert(format!("{id}.Arn"), AwsEmulator::queue_arn(id));
    }
    for (id, _) in template.resources_of(MANAGED_POLICY) {
        references.insert(id.to_owned(), managed_policy_arn(id));
    }
    for (id, _) in template.resources_of("AWS::Logs::LogGroup") {
        attributes.insert(format!("{id}.Arn"), format!("arn:aws:logs:us-east-1:123456789012:log-group:{id}"));
    }
    let parameters =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Stack { parameters, references, attributes }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Actions on the key of KMS that a role allows, each with the purpose of the secrets.
    fn uses_of_the_key(documents: &[Value]) -> Vec<String> {
        let mut uses = Vec::new();
        for statement in documents.iter().flat_map(|document| document["Statement"].as_array().unwrap()) {
            let actions = match &statement["Action"] {
                Value::Array(actions) => actions.clone(),
                action => vec![action.clone()],
            };
            for action in actions.iter().map(|action| action.as_str().unwrap()) {
                assert!(!action.contains('*'), "{action}");
                if action.starts_with("kms:") {
                    let purpose = &statement["Condition"]["StringEquals"]["kms:EncryptionContext:purpose"];
                    uses.push(format!("{action} {}", purpose.as_str().unwrap()));
                }
            }
        }
        uses.sort();
        uses
    }

    #[test]
    fn only_generate_and_worker_decrypt_keys_of_providers_and_only_accounts_the_keys_that_sign() {
        let secrets = [("Secret", "secret"), ("ProviderKeys", "keys")];
        let resources = Resources { table: "things", bucket: "files", secrets, kms_key: "key" };
        let keys = ["kms:Decrypt provider_credential", "kms:Encrypt provider_credential"];
        let webhooks = ["kms:Decrypt webhook", "kms:Encrypt webhook"];
        let signing = ["kms:Decrypt signing", "kms:Encrypt signing"];
        let expected = [
            ("hearth-fn-accounts", [&signing[..], &keys[1..], &webhooks].concat()),
            ("hearth-fn-generate", keys.to_vec()),
            ("hearth-fn-models", vec!["kms:Encrypt webhook"]),
            ("hearth-fn-worker", [keys, webhooks].concat()),
        ]
        .map(|(function, mut uses)| {
            uses.sort_unstable();
            (function, uses)
        });
        let roles = policies(&resources, &[]);
        for (function, documents) in &roles {
            let expected = expected.iter().find(|(name, _)| name == function);
            let uses = uses_of_the_key(documents);
            assert_eq!(uses, expected.map(|(_, uses)| uses.clone()).unwrap_or_default(), "{function}");
        }
        assert!(roles.len() >= 5, "{:?}", roles.keys());
    }

    #[test]
    fn role_has_the_statements_of_its_managed_policies() {
        let secrets = [("Secret", "secret"), ("ProviderKeys", "keys")];
        let resources = Resources { table: "things", bucket: "files", secrets, kms_key: "key" };
        let statements_of = |parameters: &[(&str, &str)]| -> Vec<String> {
            let roles = policies(&resources, parameters);
            let documents = roles["hearth-fn-generate"].iter();
            let statements = documents.flat_map(|document| document["Statement"].as_array().unwrap());
            statements.map(|statement| statement["Sid"].as_str().unwrap().to_owned()).collect()
        };
        let without_vpc = statements_of(&[]);
        for expected in ["Logs", "Runs", "Nodes", "Sessions", "Webhooks"] {
            assert!(without_vpc.iter().any(|sid| sid == expected), "{expected}: {without_vpc:?}");
        }
        assert!(!without_vpc.iter().any(|sid| sid == "Interfaces"), "{without_vpc:?}");
        let in_a_vpc = statements_of(&[("VpcSubnetIds", "subnet-1"), ("VpcSecurityGroupIds", "sg-1")]);
        assert!(in_a_vpc.iter().any(|sid| sid == "Interfaces"), "{in_a_vpc:?}");
    }

    #[test]
    #[should_panic(expected = "AWSXRayDaemonWriteAccess\" isn't in the template")]
    fn managed_policy_of_aws_is_refused() {
        let secrets = [("Secret", "secret"), ("ProviderKeys", "keys")];
        let resources = Resources { table: "things", bucket: "files", secrets, kms_key: "key" };
        policies(&resources, &[("EnableXray", "true")]);
    }

    #[test]
    fn existing_resources_are_in_every_role() {
        let secrets = [("Secret", "secret"), ("ProviderKeys", "keys")];
        let own = policies(&Resources { table: "things", bucket: "files", secrets, kms_key: "key" }, &[]);
        let secrets = [("Secret", "unused"), ("ProviderKeys", "unused")];
        let existing = policies(
            &Resources { table: "unused", bucket: "unused", secrets, kms_key: "unused" },
            &[
                ("ExistingTableArn", &AwsEmulator::table_arn("things")),
                ("ExistingBucket", "files"),
                ("ExistingSecretArn", &AwsEmulator::secret_arn("secret")),
                ("ExistingProviderKeysArn", &AwsEmulator::secret_arn("keys")),
                ("ExistingKmsKeyArn", &AwsEmulator::kms_key_arn("key")),
            ],
        );
        assert_eq!(own, existing);
        assert!(!serde_json::json!(own).to_string().contains("unused"));
    }
}
