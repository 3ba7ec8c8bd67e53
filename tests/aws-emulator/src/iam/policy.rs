//! Policy documents, and the decision that they give on a call.
//!
//! The semantics are those of the IAM User Guide: "Policy evaluation logic" (an explicit deny, then an allow, else an implicit
//! deny), "IAM JSON policy elements: Condition operators" (case, wildcards, `IfExists`) and "Multivalued context keys"
//! (`ForAllValues` holds without values, `ForAnyValue` doesn't).

use std::collections::BTreeMap;

use serde_json::Value;

use super::calls::supported_key;

/// A policy that this emulator can't evaluate.
#[derive(Debug, thiserror::Error)]
#[error("the policy can't be evaluated: {0}")]
pub struct PolicyError(String);

/// The policies of a role.
#[derive(Debug, Default)]
pub(super) struct Policies(Vec<Statement>);

/// A call: an action on a resource, with the context keys of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) context: BTreeMap<&'static str, Vec<String>>,
}

/// The smallest part of a statement that a call can need: one action on one resource and, if the statement has
/// conditions, one of the values that they list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Permission {
    statement: String,
    action: String,
    resource: String,
    condition: Option<(String, String)>,
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { statement, action, resource, condition } = self;
        write!(f, "{statement}: {action} on {resource}")?;
        match condition {
            Some((key, pattern)) => write!(f, " with {key} {pattern}"),
            None => Ok(()),
        }
    }
}

/// The decision on a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Allowed, by these permissions.
    Allowed(Vec<Permission>),
    /// No statement allows it.
    ImplicitDeny,
    /// This statement denies it.
    ExplicitDeny(String),
}

#[derive(Debug)]
struct Statement {
    sid: String,
    allows: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

/// A condition on one key.
#[derive(Debug)]
struct Condition {
    set: SetOperator,
    operator: Operator,
    /// A missing key fulfils the condition.
    if_exists: bool,
    key: String,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SetOperator {
    /// For keys with one value.
    None,
    ForAllValues,
    ForAnyValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    StringEquals,
    StringNotEquals,
    StringLike,
    StringNotLike,
    Null,
}

impl Policies {
    /// Reads policy documents.
    pub(super) fn parse(documents: &[Value]) -> Result<Self, PolicyError> {
        let mut statements = Vec::new();
        for document in documents {
            for statement in list(&document["Statement"]) {
                let place = format!("statement {}", statements.len() + 1);
                statements.push(Statement::parse(statement, place)?);
            }
        }
        Ok(Self(statements))
    }

    /// Decides on a call: an explicit deny comes before any allow.
    pub(super) fn decide(&self, call: &Call) -> Decision {
        let mut allowed = None;
        for statement in &self.0 {
            let Some(permissions) = statement.matching(call) else { continue };
            if !statement.allows {
                return Decision::ExplicitDeny(statement.sid.clone());
            }
            // The first one alone: a second statement that allows the same isn't needed.
            allowed.get_or_insert(permissions);
        }
        allowed.map_or(Decision::ImplicitDeny, Decision::Allowed)
    }

    /// Everything that the statements allow.
    pub(super) fn permissions(&self) -> Vec<Permission> {
        let mut permissions = Vec::new();
        for statement in self.0.iter().filter(|statement| statement.allows) {
            let mut conditions: Vec<Option<(String, String)>> = Vec::new();
            for condition in &statement.conditions {
                conditions.extend(
                    condition.values.iter().map(|value| Some((condition.key.clone(), value.clone()))),
                );
            }
            if conditions.is_empty() {
                conditions.push(None);
            }
            for action in &statement.actions {
                for resource in &statement.resources {
                    permissions.extend(conditions.iter().map(|condition| Permission {
                        statement: statement.sid.clone(),
                        action: action.clone(),
                        resource: resource.clone(),
                        condition: condition.clone(),
                    }));
                }
            }
        }
        permissions
    }
}

impl Permission {
    /// The name of its service, such as `dynamodb`.
    pub(super) fn service(&self) -> &str {
        self.action.split(':').next().unwrap_or_default()
    }
}

impl Statement {
    fn parse(json: &Value, place: String) -> Result<Self, PolicyError> {
        let sid = json["Sid"].as_str().map_or(place, str::to_owned);
        let refused = |problem: String| PolicyError(format!("{sid}: {problem}"));
        let fields = json.as_object().ok_or_else(|| refused("it is no object".to_owned()))?;
        let supported = ["Sid", "Effect", "Action", "Resource", "Condition"];
        if let Some(other) = fields.keys().find(|name| !supported.contains(&name.as_str())) {
            return Err(refused(format!("the element {other} is not supported")));
        }
        let allows = match json["Effect"].as_str() {
            Some("Allow") => true,
            Some("Deny") => false,
            other => return Err(refused(format!("the effect {other:?} is neither Allow nor Deny"))),
        };
        let mut conditions = Vec::new();
        for (operator, keys) in json["Condition"].as_object().into_iter().flatten() {
            for (key, values) in keys.as_object().into_iter().flatten() {
                conditions.push(Condition::parse(operator, key, values).map_err(refused)?);
            }
        }
        let (actions, resources) = (texts(&json["Action"]), texts(&json["Resource"]));
        if actions.is_empty() || resources.is_empty() {
            return Err(refused("it has no action or no resource".to_owned()));
        }
        Ok(Self { sid, allows, actions, resources, conditions })
    }

    /// The permissions that a call uses; `None` if the statement doesn't apply to it.
    fn matching(&self, call: &Call) -> Option<Vec<Permission>> {
        let action = self.actions.iter().find(|pattern| {
            // Actions alone are compared without regard to case.
            matches(&pattern.to_ascii_lowercase(), &call.action.to_ascii_lowercase())
        })?;
        let resource = self.resources.iter().find(|pattern| matches(pattern, &call.resource))?;
        if !self.conditions.iter().all(|condition| condition.holds(call)) {
            return None;
        }
        let permission = |condition| Permission {
            statement: self.sid.clone(),
            action: action.clone(),
            resource: resource.clone(),
            condition,
        };
        let mut permissions: Vec<Permission> = Vec::new();
        for condition in &self.conditions {
            for value in call.context.get(condition.key.as_str()).into_iter().flatten() {
                let pattern =
                    condition.values.iter().find(|pattern| condition.operator.compare(pattern, value));
                permissions.extend(
                    pattern.map(|pattern| permission(Some((condition.key.clone(), pattern.clone())))),
                );
            }
        }
        if permissions.is_empty() {
            permissions.push(permission(None));
        }
        Some(permissions)
    }
}

impl Condition {
    fn parse(name: &str, key: &str, values: &Value) -> Result<Self, String> {
        // Calls have no other key, and without its key a negated condition holds, as does one with ForAllValues or IfExists.
        let supported = supported_key(key);
        let supported = supported.ok_or_else(|| format!("the condition key {key} is not supported"))?;
        let (set, rest) = match name.split_once(':') {
            Some(("ForAllValues", rest)) => (SetOperator::ForAllValues, rest),
            Some(("ForAnyValue", rest)) => (SetOperator::ForAnyValue, rest),
            Some(_) => return Err(format!("the condition operator {name} is not supported")),
            None => (SetOperator::None, name),
        };
        let (rest, if_exists) = match rest.strip_suffix("IfExists") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let operator = match rest {
            "StringEquals" => Operator::StringEquals,
            "StringNotEquals" => Operator::StringNotEquals,
            "StringLike" => Operator::StringLike,
            "StringNotLike" => Operator::StringNotLike,
            "Null" if set == SetOperator::None && !if_exists => Operator::Null,
            _ => return Err(format!("the condition operator {name} is not supported")),
        };
        Ok(Self { set, operator, if_exists, key: supported.to_owned(), values: texts(values) })
    }

    fn holds(&self, call: &Call) -> bool {
        let present = call.context.get(self.key.as_str()).map(Vec::as_slice).unwrap_or_default();
        if self.operator == Operator::Null {
            return self
                .values
                .iter()
                .any(|value| value == if present.is_empty() { "true" } else { "false" });
        }
        if present.is_empty() && self.if_exists {
            return true;
        }
        let fits = |value: &String| self.operator.fits(&self.values, value);
        match self.set {
            SetOperator::ForAllValues => present.iter().all(fits),
            SetOperator::ForAnyValue => present.iter().any(fits),
            SetOperator::None => match present {
                [] => self.operator.is_negated(),
                [value] => fits(value),
                // A key with several values needs a set operator.
                _ => false,
            },
        }
    }
}

impl Operator {
    fn is_negated(self) -> bool {
        matches!(self, Self::StringNotEquals | Self::StringNotLike)
    }

    /// True if a value of the request fits the values of the policy: one of them, or for a negated operator none.
    fn fits(self, patterns: &[String], value: &str) -> bool {
        patterns.iter().any(|pattern| self.compare(pattern, value)) != self.is_negated()
    }

    fn compare(self, pattern: &str, value: &str) -> bool {
        match self {
            Self::StringEquals | Self::StringNotEquals => pattern == value,
            Self::StringLike | Self::StringNotLike => matches(pattern, value),
            Self::Null => false,
        }
    }
}

/// Compares a text with a pattern, where `*` stands for any characters and `?` for one.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last star, and the place of the text to which it extends.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, end)) => {
                    star = Some((at, end + 1));
                    (p, t) = (at + 1, end + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// One value or a list of them.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

fn texts(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    list(value).iter().map(text).collect()
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
