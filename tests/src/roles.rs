//! The functions' roles of `infra/template.yaml`, in the emulated AWS.

use std::collections::BTreeMap;

use aws_emulator::AwsEmulator;
use sam_template::{Stack, Template};
use serde_json::Value;

const TEMPLATE: &str = include_str!("../../infra/template.yaml");
/// Names of the stack beside those of its table, bucket and secrets.
const PSEUDO_PARAMETERS: [(&str, &str); 5] = [
    ("AWS::AccountId", "123456789012"),
    ("AWS::Partition", "aws"),
    ("AWS::Region", "us-east-1"),
    ("AWS::StackName", "hearth-test"),
    ("AWS::URLSuffix", "amazonaws.com"),
];

/// Names of the stack's resources, by their logical ids.
pub(crate) struct Resources<'a> {
    pub(crate) table: &'a str,
    pub(crate) bucket: &'a str,
    /// Secrets, by their names.
    pub(crate) secrets: [(&'static str, &'a str); 2],
}

/// The policy documents of each function's role, by the name of its binary, in a stack with these parameters.
///
/// # Panics
/// If the template can't be read, or a role has policies that aren't in it.
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
        let managed = role["ManagedPolicyArns"].as_array().map_or(0, Vec::len);
        assert_eq!(managed, 0, "the role of {function} has policies that aren't in the template");
        let policies = role["Policies"].as_array().into_iter().flatten();
        (binary_of(function), policies.map(|policy| policy["PolicyDocument"].clone()).collect())
    });
    functions.collect()
}

/// Gives each function the policies of its role. Its access key is the name of its binary.
pub(crate) fn add_roles(emulator: &AwsEmulator, resources: &Resources<'_>) {
    for (binary, documents) in policies(resources, &[]) {
        let added = emulator.add_role(&binary, &documents);
        added.unwrap_or_else(|error| panic!("the role of {binary}: {error}"));
    }
}

fn template() -> Template {
    Template::parse(TEMPLATE).unwrap_or_else(|error| panic!("infra/template.yaml: {error}"))
}

/// `GenerateFunction` is built from the package `hearth-fn-generate`.
fn binary_of(function: &str) -> String {
    format!("hearth-fn-{}", function.trim_end_matches("Function").to_lowercase())
}

fn stack(template: &Template, resources: &Resources<'_>, parameters: &[(&str, &str)]) -> Stack {
    let Resources { table, bucket, secrets } = resources;
    let mut references: BTreeMap<String, String> =
        PSEUDO_PARAMETERS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    references.insert("Table".to_owned(), (*table).to_owned());
    references.insert("Bucket".to_owned(), (*bucket).to_owned());
    references.extend(secrets.map(|(id, name)| (id.to_owned(), AwsEmulator::secret_arn(name))));
    let mut attributes = BTreeMap::from([
        ("Table.Arn".to_owned(), AwsEmulator::table_arn(table)),
        ("Bucket.Arn".to_owned(), AwsEmulator::bucket_arn(bucket)),
    ]);
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

    #[test]
    fn existing_resources_are_in_every_role() {
        let secrets = [("Secret", "secret"), ("ProviderKeys", "keys")];
        let own = policies(&Resources { table: "things", bucket: "files", secrets }, &[]);
        let secrets = [("Secret", "unused"), ("ProviderKeys", "unused")];
        let existing = policies(
            &Resources { table: "unused", bucket: "unused", secrets },
            &[
                ("ExistingTableArn", &AwsEmulator::table_arn("things")),
                ("ExistingBucket", "files"),
                ("ExistingSecretArn", &AwsEmulator::secret_arn("secret")),
                ("ExistingProviderKeysArn", &AwsEmulator::secret_arn("keys")),
            ],
        );
        assert_eq!(own, existing);
        assert!(!serde_json::json!(own).to_string().contains("unused"));
    }
}
