"""Tests of infra/policy_sizes.py: python -m unittest discover infra"""

import unittest

import policy_sizes


def statement(sid, resource):
    return {"Sid": sid, "Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": resource}


def template(inline=(), managed=(), arns=()):
    document = {"Version": "2012-10-17", "Statement": list(inline)}
    return {
        "Parameters": {"Stage": {"AllowedValues": ["dev", "staging"]}, "Unbounded": {"Type": "String"}},
        "Resources": {
            "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {}},
            "Role": {
                "Type": policy_sizes.ROLE,
                "Properties": {
                    "ManagedPolicyArns": list(arns),
                    "Policies": [{"PolicyName": "own", "PolicyDocument": document}],
                },
            },
            "ThingsPolicy": {
                "Type": policy_sizes.MANAGED_POLICY,
                "Properties": {"PolicyDocument": {**document, "Statement": list(managed)}},
            },
        },
    }


class PolicySizes(unittest.TestCase):
    def test_small_policies_are_accepted(self):
        self.assertEqual(list(policy_sizes.check(template([statement("A", "*")], [statement("B", "*")]))), [])

    def test_inline_policy_over_the_limit_is_refused(self):
        (problem,) = policy_sizes.check(template(inline=[statement("A", "x" * 10_240)]))
        self.assertRegex(problem, "^Role: its inline policies can have 10[0-9]{3} characters together; IAM takes 10240. ")

    def test_managed_policy_over_the_limit_is_refused(self):
        (problem,) = policy_sizes.check(template(managed=[statement("A", "x" * 6_144)]))
        self.assertRegex(problem, "^ThingsPolicy: it can have 6[0-9]{3} characters; IAM takes 6144. ")

    def test_eleventh_managed_policy_is_refused(self):
        self.assertEqual(list(policy_sizes.check(template(arns=["arn"] * 10))), [])
        (problem,) = policy_sizes.check(template(arns=["arn"] * 11))
        self.assertEqual(problem, "Role: it can have 11 managed policies; IAM takes 10")

    def test_whitespace_does_not_count(self):
        self.assertEqual(policy_sizes.character_count({"a": ["b c", "d"]}), len('{"a":["bc","d"]}'))

    def test_references_become_long_names(self):
        value = {
            "Resource": [
                {"Fn::Sub": "${Table.Arn}/index/${Stage}"},
                {"Ref": "AWS::NoValue"},
                {"Fn::If": ["Is", {"Ref": "AWS::NoValue"}, "extra"]},
                {"Fn::If": ["Is", "short", "longer"]},
            ],
            "Condition": {"Fn::If": ["Is", {"Ref": "AWS::NoValue"}, {"Ref": "AWS::NoValue"}]},
        }
        arn = "arn:aws:dynamodb:ap-southeast-2:123456789012:table/hearth-production-Table-1ABCDEFGHIJKL"
        self.assertEqual(
            policy_sizes.resolved(template(), value), {"Resource": [f"{arn}/index/staging", "extra", "longer"]}
        )

    def test_unknown_value_names_the_place_to_add_it(self):
        for value in [{"Ref": "Unbounded"}, {"Fn::GetAtt": ["Role", "Arn"]}, {"Fn::Split": [",", "a"]}]:
            with self.assertRaisesRegex(ValueError, "policy_sizes.py"):
                policy_sizes.resolved(template(), value)


if __name__ == "__main__":
    unittest.main()
