"""Checks what CloudFormation gets: the template after SAM's transformation.

- cfn-lint accepts it. Conditions that contradict each other show only then.
- A change of a parameter that a function's environment, layers or tracing use publishes a new version of it: CloudFormation
  replaces the version if its logical id or its description changes. Without a new version, the alias, and so the API, would keep the
  old environment. And the other way round: what changes the description changes the function too, or Lambda publishes no
  version of it, and the update fails.
- A version's description fits, with the longest values of the parameters.
- No alarm of a deployment can be without a name, which CodeDeploy refuses.
- IAM accepts the sizes of the roles' policies, with long names of resources.

Usage: python infra/check_transformed.py TEMPLATE. Needs aws-sam-cli and cfn-lint; uses no network and no account.
"""

import copy
import json
import logging
import os
import re
import subprocess
import sys
import tempfile

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samcli.yamlhelper import yaml_parse  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402

import policy_sizes  # noqa: E402

# Names, ARNs, lists and settings that are longer than a description together. A change of them needs a change of Revision.
TOO_LONG = {
    "CognitoRole",
    "CorsOrigins",
    "EnableCognito",
    "ExistingBucket",
    "ExistingKmsKeyArn",
    "ExistingProviderKeysArn",
    "ExistingSecretArn",
    "ExistingTableArn",
    "FileMaxSize",
    "FileOrganisationMaxCount",
    "FileOrganisationMaxSize",
    "FileRetentionDays",
    "FileUserMaxCount",
    "FileUserMaxSize",
    "HubUrl",
    "IdentityProviders",
    "JobRetentionHours",
    "OperatorPaysFor",
    "RequestRetentionDays",
    "SocketDomainName",
    "TracesLayerArn",
}

# Lambda's limit, in characters.
LONGEST_DESCRIPTION = 256
# Of a number whose bounds say nothing about its digits.
LONGEST_NUMBER = 20

# Properties of a function whose parameters publish a version.
PROPERTIES = ["Environment", "Layers", "Tracing"]

FUNCTION = "AWS::Serverless::Function"
VERSION = "AWS::Lambda::Version"


class ManagedPolicies:
    """No function names a managed policy of AWS by its name alone, so none has to be fetched."""

    def load(self):
        return {}


def transformed(template, parameters):
    """The template as CloudFormation gets it with these values of parameters."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        if resource["Type"] == FUNCTION:
            resource["Properties"]["CodeUri"] = "s3://code-bucket/function.zip"
    return transform(template, parameters, ManagedPolicies())


def lint(output):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "transformed.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(output, file, indent=1)
        return subprocess.run(["cfn-lint", "--regions", "us-east-1", "--", path], check=False).returncode


def used_parameters(template):
    """The parameters in the environment, layers and tracing of each function, by the function's logical id."""
    shared = template.get("Globals", {}).get("Function", {})
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == FUNCTION:
            yield logical_id, parameters_of(
                template, [of.get(name) for of in (shared, resource["Properties"]) for name in PROPERTIES]
            )


def parameters_of(template, value):
    """The parameters that a value depends on, by itself or through conditions."""
    text = json.dumps([value, [template["Conditions"][name] for name in conditions_of(template, value)]])
    return {name for name in template["Parameters"] if mentions(text, name)}


def conditions_of(template, value):
    """The conditions that a value depends on, and those that they name."""
    found, text = set(), json.dumps(value)
    while True:
        more = {name for name in template.get("Conditions", {}) if f'"{name}"' in text} - found
        if not more:
            return found
        found |= more
        text = json.dumps([template["Conditions"][name] for name in more])


def mentions(text, name):
    return f'{{"Ref": "{name}"}}' in text or f"${{{name}}}" in text


def descriptions(output, function):
    """The descriptions of a function's versions, before their parameters are replaced."""
    for resource in output["Resources"].values():
        if resource["Type"] == VERSION and resource["Properties"]["FunctionName"] == {"Ref": function}:
            yield resource["Properties"].get("Description", "")


def changes_only_the_version(template, output, function, description):
    """What a description depends on, and its function doesn't."""
    properties = output["Resources"][function]["Properties"]
    text, conditions = json.dumps(properties), conditions_of(template, properties)
    for name, parameter in template["Parameters"].items():
        # A condition knows each value of a parameter that has two.
        through = len(parameter.get("AllowedValues", [])) == 2 and name in parameters_of(template, properties)
        if mentions(json.dumps(description), name) and not mentions(text, name) and not through:
            yield name
    yield from conditions_of(template, description) - conditions


def longest(template, value):
    """The most characters that a description can have, or an error of a parameter without a bound."""
    if isinstance(value, str):
        return len(value)
    (function, argument), = value.items()
    if function == "Fn::If":
        return max(longest(template, branch) for branch in argument[1:])
    if function == "Fn::Sub":
        text, values = argument if isinstance(argument, list) else (argument, {})
        pieces = re.split(r"\$\{([^}]+)\}", text)
        replaced = [longest(template, values.get(name, {"Ref": name})) for name in pieces[1::2]]
        return sum(map(len, pieces[::2])) + sum(replaced)
    parameter = template["Parameters"][argument]
    if "AllowedValues" in parameter:
        return max(len(str(one)) for one in parameter["AllowedValues"])
    if parameter["Type"] == "Number":
        # A number of days or requests is a whole one.
        is_whole = parameter.get("MinValue", 0) >= 1 and "MaxValue" in parameter
        return len(str(parameter["MaxValue"])) if is_whole else LONGEST_NUMBER
    if "MaxLength" not in parameter:
        raise ValueError(f"{argument} is in VersionDescription; give it a MaxLength")
    return int(parameter["MaxLength"])


def check_function(template, output, function, names):
    """What is wrong with a function's versions."""
    published = list(descriptions(output, function))
    if not published:
        yield "no version is published"
    for description in published:
        for name in sorted((names - TOO_LONG | {"Revision"}) - parameters_of(template, description)):
            yield f"a change of {name} publishes no version; name it in VersionDescription"
        for name in sorted(changes_only_the_version(template, output, function, description)):
            yield f"a change of {name} changes VersionDescription alone, and Lambda publishes no version of the same function"
        try:
            length = longest(template, description)
        except ValueError as error:
            yield str(error)
            continue
        if length > LONGEST_DESCRIPTION:
            yield f"VersionDescription can have {length} characters; Lambda takes {LONGEST_DESCRIPTION}"


def check_alarms(output):
    """The alarms of deployments whose names are an If: a branch of it may be empty."""
    for logical_id, resource in output["Resources"].items():
        if resource["Type"] == "AWS::CodeDeploy::DeploymentGroup":
            for name in alarm_names(resource["Properties"].get("AlarmConfiguration", {})):
                if not isinstance(name, str) and list(name) != ["Ref"] or name == {"Ref": "AWS::NoValue"}:
                    yield f"{logical_id}: the alarm {json.dumps(name)} may have no name; choose between whole lists"


def alarm_names(value):
    if isinstance(value, dict):
        yield from ([value["Name"]] if "Name" in value else alarm_names(list(value.values())))
    elif isinstance(value, list):
        for one in value:
            yield from alarm_names(one)


def main():
    logging.disable(logging.WARNING)
    with open(sys.argv[1], encoding="utf-8") as file:
        template = yaml_parse(file.read())
    output = transformed(template, {})
    failed = lint(output) != 0
    problems = [*check_alarms(output), *policy_sizes.check(output)]
    for function, names in used_parameters(template):
        problems += [f"{function}: {problem}" for problem in check_function(template, output, function, names)]
    for problem in problems:
        print(problem)
    sys.exit(failed or bool(problems))


if __name__ == "__main__":
    main()
