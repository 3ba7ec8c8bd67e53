"""Checks what CloudFormation gets: the template after SAM's transformation.

- cfn-lint accepts it. Conditions that contradict each other show only then.
- A change of a parameter that a function's environment uses publishes a new version of the function: CloudFormation replaces
  the version if its logical id or its description changes. Without a new version, the alias, and so the API, would keep the
  old environment.

Usage: python infra/check_transformed.py TEMPLATE. Needs aws-sam-cli and cfn-lint; uses no network and no account.
"""

import copy
import json
import logging
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samcli.yamlhelper import yaml_parse  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402

# Names and ARNs that are longer than a description together. A change of them needs a change of Revision.
TOO_LONG = {"ExistingBucket", "ExistingProviderKeysArn", "ExistingSecretArn", "ExistingTableArn"}

FUNCTION = "AWS::Serverless::Function"
VERSION = "AWS::Lambda::Version"


class ManagedPolicies:
    """The template names no managed policy, so none has to be fetched."""

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
    """The parameters in the environment of each function, by the function's logical id."""
    shared = template.get("Globals", {}).get("Function", {}).get("Environment", {})
    conditions = template.get("Conditions", {})
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] != FUNCTION:
            continue
        environment = json.dumps([shared, resource["Properties"].get("Environment", {})])
        names = {name for name in template["Parameters"] if mentions(environment, name)}
        for condition, body in conditions.items():
            if f'"{condition}"' in environment:
                names |= {name for name in template["Parameters"] if mentions(json.dumps(body), name)}
        yield logical_id, names


def mentions(text, name):
    return f'{{"Ref": "{name}"}}' in text or f"${{{name}}}" in text


def descriptions(output, function):
    """The descriptions of a function's versions, before their parameters are replaced."""
    for logical_id, resource in output["Resources"].items():
        if resource["Type"] == VERSION and resource["Properties"]["FunctionName"] == {"Ref": function}:
            yield json.dumps(resource["Properties"].get("Description", ""))


def main():
    logging.disable(logging.WARNING)
    with open(sys.argv[1], encoding="utf-8") as file:
        template = yaml_parse(file.read())
    output = transformed(template, {})
    failed = lint(output) != 0
    for function, names in used_parameters(template):
        published = list(descriptions(output, function))
        if not published:
            print(f"{function}: no version is published")
            failed = True
        for name in sorted(names - TOO_LONG | {"Revision"}):
            if not all(mentions(description, name) for description in published):
                print(f"{function}: a change of {name} publishes no version; name it in VersionDescription")
                failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
