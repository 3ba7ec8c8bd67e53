use serde_json::json;

use super::*;

const KEYS: &str = "dynamodb:LeadingKeys";

fn call(action: &str, resource: &str, keys: &[&str]) -> Call {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let context = if keys.is_empty() { BTreeMap::new() } else { BTreeMap::from([(KEYS, keys)]) };
    Call { action: action.to_owned(), resource: resource.to_owned(), context }
}

fn decision(statements: &Value, call: &Call) -> Decision {
    Policies::parse(&[json!({"Version": "2012-10-17", "Statement": statements})]).unwrap().decide(call)
}

fn is_allowed(statements: &Value, call: &Call) -> bool {
    matches!(decision(statements, call), Decision::Allowed(_))
}

#[test]
fn wildcards_match_any_characters() {
    for (pattern, text, expected) in [
        ("*", "", true),
        ("a*", "abc", true),
        ("a*c", "abcbc", true),
        ("a*c", "abcb", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("RUN#*", "RUN#", true),
        ("RUN#*", "run#1", false),
        ("arn:*:table/t", "arn:aws:dynamodb:us-east-1:1:table/t", true),
        ("arn:x/t", "arn:x/t/index/gsi1", false),
        ("**", "x", true),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
}

#[test]
fn call_without_a_statement_is_denied_implicitly() {
    let allow = json!([{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:b/runs/*"}]);
    assert!(is_allowed(&allow, &call("s3:GetObject", "arn:b/runs/1", &[])));
    assert!(is_allowed(&allow, &call("S3:getobject", "arn:b/runs/1", &[])));
    for other in [call("s3:PutObject", "arn:b/runs/1", &[]), call("s3:GetObject", "arn:b/other", &[])] {
        assert_eq!(decision(&allow, &other), Decision::ImplicitDeny);
    }
}

#[test]
fn explicit_deny_comes_before_an_allow() {
    let statements = json!([
        {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"},
        {"Sid": "No", "Effect": "Deny", "Action": "dynamodb:PutItem", "Resource": "*",
         "Condition": {"ForAnyValue:StringLike": {KEYS: "TOK#*"}}},
    ]);
    assert!(is_allowed(&statements, &call("dynamodb:PutItem", "t", &["RUN#1"])));
    assert!(is_allowed(&statements, &call("dynamodb:GetItem", "t", &["TOK#1"])));
    let denied = decision(&statements, &call("dynamodb:PutItem", "t", &["RUN#1", "TOK#1"]));
    assert_eq!(denied, Decision::ExplicitDeny("No".to_owned()));
}

#[test]
fn set_operators_compare_every_value_of_the_request() {
    let allow = |operator: &str| json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {KEYS: ["A#*", "B#*"]}}});
    let (all, any) = (allow("ForAllValues:StringLike"), allow("ForAnyValue:StringLike"));
    for (keys, by_all, by_any) in [
        (&["A#1"][..], true, true),
        (&["A#1", "B#2"], true, true),
        (&["A#1", "C#1"], false, true),
        (&["C#1"], false, false),
        // Without the key in the request, as in a scan.
        (&[], true, false),
    ] {
        let call = call("dynamodb:BatchGetItem", "t", keys);
        assert_eq!((is_allowed(&all, &call), is_allowed(&any, &call)), (by_all, by_any), "{keys:?}");
    }
    let exactly = allow("ForAllValues:StringEquals");
    assert!(is_allowed(&exactly, &call("x", "t", &["A#*"])));
    assert!(!is_allowed(&exactly, &call("x", "t", &["A#1"])));
}

#[test]
fn missing_key_fulfils_negated_and_if_exists_conditions_only() {
    let holds = |operator: &str, value: Value, keys: &[&str]| {
        let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {KEYS: value}}});
        is_allowed(&statement, &call("x", "t", keys))
    };
    assert!(!holds("StringLike", json!("A#*"), &[]));
    assert!(holds("StringNotLike", json!("A#*"), &[]));
    assert!(holds("StringLikeIfExists", json!("A#*"), &[]));
    assert!(holds("StringLike", json!("A#*"), &["A#1"]));
    assert!(!holds("StringNotEquals", json!("A#1"), &["A#1"]));
    assert!(!holds("StringLike", json!("A#*"), &["A#1", "A#2"]));
    for (is_missing, keys, expected) in [(true, &[][..], true), (false, &[], false), (false, &["A#1"], true)]
    {
        assert_eq!(holds("Null", json!(is_missing), keys), expected);
    }
}

#[test]
fn conditions_hold_together() {
    let statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {
        "ForAllValues:StringLike": {KEYS: "A#*"}, "Null": {KEYS: false},
    }});
    assert!(is_allowed(&statement, &call("x", "t", &["A#1"])));
    assert!(!is_allowed(&statement, &call("x", "t", &[])));
}

#[test]
fn call_uses_the_first_permission_that_allows_it() {
    let statements = json!([
        {"Sid": "Runs", "Effect": "Allow", "Action": ["d:Get", "d:Put"], "Resource": ["t"],
         "Condition": {"ForAllValues:StringLike": {KEYS: ["RUN#*", "ART#*"]}}},
        {"Sid": "Again", "Effect": "Allow", "Action": "d:Get", "Resource": "*"},
        {"Sid": "No", "Effect": "Deny", "Action": "d:Delete", "Resource": "*"},
    ]);
    let policies = Policies::parse(&[json!({"Statement": statements})]).unwrap();
    let Decision::Allowed(used) = policies.decide(&call("d:Get", "t", &["RUN#1"])) else {
        panic!("not allowed")
    };
    let left: Vec<String> =
        policies.permissions().iter().filter(|one| !used.contains(one)).map(ToString::to_string).collect();
    assert_eq!(
        left,
        [
            "Runs: d:Get on t with dynamodb:LeadingKeys ART#*",
            "Runs: d:Put on t with dynamodb:LeadingKeys RUN#*",
            "Runs: d:Put on t with dynamodb:LeadingKeys ART#*",
            "Again: d:Get on *",
        ]
    );
}

#[test]
fn unsupported_policy_is_refused() {
    for (statement, part) in [
        (json!({"Effect": "Allow", "NotAction": "x", "Resource": "*"}), "NotAction"),
        (json!({"Effect": "Perhaps", "Action": "x", "Resource": "*"}), "Perhaps"),
        (json!({"Effect": "Allow", "Action": "x"}), "no resource"),
        (
            json!({"Effect": "Allow", "Action": "x", "Resource": "*", "Condition": {"IpAddress": {KEYS: "b"}}}),
            "IpAddress",
        ),
        (
            json!({"Effect": "Allow", "Action": "x", "Resource": "*",
                "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKey": "A#*"}}}),
            "dynamodb:LeadingKey is not supported",
        ),
        (
            json!({"Effect": "Allow", "Action": "x", "Resource": "*",
                "Condition": {"StringNotEquals": {"aws:PrincipalTag/team": "a"}}}),
            "aws:PrincipalTag/team",
        ),
        (json!("Allow"), "no object"),
    ] {
        let error = Policies::parse(&[json!({"Statement": [statement]})]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
