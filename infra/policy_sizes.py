"""Sizes of a template's IAM policies, with names as long as in a stack in production.

IAM counts the characters of a policy as JSON, without whitespace, after CloudFormation has put in the ARNs. So the length of the
template shows nothing, and cfn-lint doesn't count. A stack whose policies exceed a limit fails at its deployment.
"""

import json
import re

# IAM's limits, in characters: all inline policies of a role together, and one managed policy.
INLINE_MAX_SIZE = 10_240
MANAGED_MAX_SIZE = 6_144
# IAM's quota of an account, unless it is raised.
MANAGED_POLICIES_MAX_COUNT = 10

ROLE = "AWS::IAM::Role"
MANAGED_POLICY = "AWS::IAM::ManagedPolicy"

REGION = "ap-southeast-2"
ACCOUNT = "123456789012"
STACK_NAME = "hearth-production"
# CloudFormation ends the names of resources with it.
SUFFIX = "1ABCDEFGHIJKL"

# ARNs of the resources that policies name, by type.
ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{name}}",
    "AWS::KMS::Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/{{name}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SecretsManager::Secret": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{{name}}-AbCdEf",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{name}}",
}
# Its Ref is its ARN.
SECRET = "AWS::SecretsManager::Secret"


def long_name(logical_id):
    return f"{STACK_NAME}-{logical_id}-{SUFFIX}"


def long_arn(kind, logical_id):
    return ARNS[kind].format(name=long_name(logical_id))


PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": STACK_NAME,
    "AWS::URLSuffix": "amazonaws.com",
}
# Values of parameters that have no list of allowed ones.
PARAMETERS = {
    # An inference profile, and its models in seven regions.
    "BedrockModelArns": [
        f"arn:aws:bedrock:{REGION}:{ACCOUNT}:inference-profile/apac.anthropic.claude-sonnet-4-20250514-v1:0"
    ]
    * 8,
    "ExistingBucket": long_name("Bucket"),
    "ExistingKmsKeyArn": long_arn("AWS::KMS::Key", "KmsKey"),
    "ExistingProviderKeysArn": long_arn(SECRET, "ProviderKeys"),
    "ExistingSecretArn": long_arn(SECRET, "Secret"),
    "ExistingTableArn": long_arn("AWS::DynamoDB::Table", "Table"),
}

NO_VALUE = {"Ref": "AWS::NoValue"}


def check(template):
    """The roles and policies of a template that IAM would refuse."""
    for role, properties in resources_of(template, ROLE):
        size = inline_size(template, properties)
        if size > INLINE_MAX_SIZE:
            yield (
                f"{role}: its inline policies can have {size} characters together; IAM takes {INLINE_MAX_SIZE}. "
                "Move statements into a managed policy"
            )
        count = len(properties.get("ManagedPolicyArns", []))
        if count > MANAGED_POLICIES_MAX_COUNT:
            yield f"{role}: it can have {count} managed policies; IAM takes {MANAGED_POLICIES_MAX_COUNT}"
    for policy, properties in resources_of(template, MANAGED_POLICY):
        size = managed_size(template, properties)
        if size > MANAGED_MAX_SIZE:
            yield f"{policy}: it can have {size} characters; IAM takes {MANAGED_MAX_SIZE}. Divide it into two"


def resources_of(template, kind):
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == kind:
            yield logical_id, resource["Properties"]


def inline_size(template, role):
    """The most characters of all inline policies of a role together, by its properties."""
    policies = resolved(template, role.get("Policies", []))
    return sum(character_count(policy["PolicyDocument"]) for policy in policies)


def managed_size(template, policy):
    """The most characters of a managed policy, by its properties."""
    return character_count(resolved(template, policy["PolicyDocument"]))


def character_count(value):
    """The number of characters that IAM counts: all but whitespace."""
    return len(re.sub(r"\s", "", json.dumps(value)))


def resolved(template, value):
    """The value with long names in place of references, and the longer branch of each condition."""
    if isinstance(value, list):
        items = [resolved(template, item) for item in value]
        return [item for item in items if item != NO_VALUE]
    if not isinstance(value, dict) or value == NO_VALUE:
        return value
    function, argument = next(iter(value.items())) if len(value) == 1 else ("", None)
    if function != "Ref" and not function.startswith("Fn::"):
        fields = {name: resolved(template, item) for name, item in value.items()}
        return {name: item for name, item in fields.items() if item != NO_VALUE}
    if function == "Ref":
        return reference(template, argument)
    if function == "Fn::If":
        branches = [resolved(template, branch) for branch in argument[1:]]
        return max(branches, key=lambda branch: 0 if branch == NO_VALUE else character_count(branch))
    if function == "Fn::GetAtt":
        return attribute(template, *argument)
    if function == "Fn::Sub" and isinstance(argument, str):
        return re.sub(r"\$\{([^}]+)\}", lambda name: substitute(template, name[1]), argument)
    raise ValueError(f"policy_sizes.py can't resolve {json.dumps(value)}")


def reference(template, name):
    if name in PSEUDO_PARAMETERS:
        return PSEUDO_PARAMETERS[name]
    if name in PARAMETERS:
        return PARAMETERS[name]
    if name in template["Resources"]:
        kind = template["Resources"][name]["Type"]
        return long_arn(kind, name) if kind == SECRET else long_name(name)
    values = template["Parameters"][name].get("AllowedValues")
    if values is None:
        raise ValueError(f"{name} is in a policy; add a long value of it to PARAMETERS in policy_sizes.py")
    return max(map(str, values), key=len)


def attribute(template, resource, name):
    kind = template["Resources"][resource]["Type"]
    if name != "Arn" or kind not in ARNS:
        raise ValueError(f"{resource}.{name} is in a policy; add {kind} to ARNS in policy_sizes.py")
    return long_arn(kind, resource)


def substitute(template, name):
    """A name in the braces of Fn::Sub."""
    return attribute(template, *name.split(".", 1)) if "." in name else reference(template, name)
