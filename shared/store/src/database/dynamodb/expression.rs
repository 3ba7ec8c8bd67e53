//! Conditions, updates and queries in DynamoDB's expressions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    StoreError,
    database::{Condition, Created, Query, Sort, Update},
};

/// Expressions of one call, with the names and values of their placeholders. Every name has a placeholder, since some
/// field names are DynamoDB's reserved words.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Expression {
    pub(super) condition: Option<String>,
    pub(super) update: Option<String>,
    pub(super) names: Option<HashMap<String, String>>,
    pub(super) values: Option<HashMap<String, AttributeValue>>,
}

impl Expression {
    /// The expression of a condition.
    pub(super) fn condition(condition: &Condition) -> Self {
        let mut expression = Self::default();
        expression.condition = expression.of_condition(condition);
        expression
    }

    /// The expressions of an update. Its item must exist, unless the update creates it.
    pub(super) fn update(update: &Update, condition: &Condition) -> Result<Self, StoreError> {
        let mut expression = Self::default();
        let exists = match update.create {
            None => expression.of_condition(&Condition::Exists),
            Some(_) => None,
        };
        expression.condition = match condition {
            Condition::Exists if exists.is_some() => exists,
            other => match (exists, expression.of_condition(other)) {
                (Some(exists), Some(other)) => Some(format!("{exists} AND ({other})")),
                (exists, other) => exists.or(other),
            },
        };
        let mut set = Vec::new();
        if let Some(Created { version, ttl }) = update.create {
            let numbers = [("v", Some(i64::from(version))), ("ttl", ttl)];
            for (name, number) in numbers.into_iter().filter_map(|(name, number)| Some((name, number?))) {
                set.push(format!("{} = {}", expression.name(name), expression.number(number)));
            }
        }
        for (name, value) in &update.set {
            let value = serde_dynamo::to_attribute_value(value).map_err(StoreError::unreadable)?;
            set.push(format!("{} = {}", expression.name(name), expression.value(value)));
        }
        let mut add = Vec::new();
        for (name, number) in &update.add {
            add.push(format!("{} {}", expression.name(name), expression.number(*number)));
        }
        let mut remove: Vec<String> = update.remove.iter().map(|name| expression.name(name)).collect();
        for index in &update.leave {
            remove.extend(["pk", "sk"].map(|key| expression.name(&format!("{}{key}", index.name()))));
        }
        let clause = |verb: &str, parts: Vec<String>| {
            (!parts.is_empty()).then(|| format!("{verb} {}", parts.join(", ")))
        };
        let clauses: Vec<String> = [clause("SET", set), clause("REMOVE", remove), clause("ADD", add)]
            .into_iter()
            .flatten()
            .collect();
        expression.update = Some(clauses.join(" ")).filter(|clauses| !clauses.is_empty());
        Ok(expression)
    }

    /// The key condition of a query.
    pub(super) fn query(query: &Query) -> Self {
        let mut expression = Self::default();
        let prefix = query.index.map_or("", |index| index.name());
        let (pk, sk) = (format!("{prefix}pk"), format!("{prefix}sk"));
        let mut keys = format!("{} = {}", expression.name(&pk), expression.text(&query.pk));
        match &query.sort {
            Sort::All => {}
            Sort::Prefix(prefix) => {
                let (sk, prefix) = (expression.name(&sk), expression.text(prefix));
                keys.push_str(&format!(" AND begins_with({sk}, {prefix})"));
            }
            Sort::Between(from, to) => {
                let (sk, from, to) = (expression.name(&sk), expression.text(from), expression.text(to));
                keys.push_str(&format!(" AND {sk} BETWEEN {from} AND {to}"));
            }
        }
        expression.condition = Some(keys);
        expression
    }

    fn of_condition(&mut self, condition: &Condition) -> Option<String> {
        Some(match condition {
            Condition::Always => return None,
            Condition::Absent => format!("attribute_not_exists({})", self.name("pk")),
            Condition::Exists => format!("attribute_exists({})", self.name("pk")),
            Condition::AttributeEquals(name, text) => format!("{} = {}", self.name(name), self.text(text)),
            Condition::AttributeIn(name, texts) => {
                let name = self.name(name);
                let texts: Vec<String> = texts.iter().map(|text| self.text(text)).collect();
                format!("{name} IN ({})", texts.join(", "))
            }
            Condition::AttributeAbsent(name) => format!("attribute_not_exists({})", self.name(name)),
            Condition::VersionEquals(version) => {
                let version = self.number((*version).into());
                format!("{} = {version}", self.name("v"))
            }
            Condition::NumberAtMost(name, number) => {
                let (name, number) = (self.name(name), self.number(*number));
                format!("attribute_not_exists({name}) OR {name} <= {number}")
            }
            Condition::All(conditions) => {
                let all: Vec<String> = conditions.iter().filter_map(|one| self.of_condition(one)).collect();
                match all.as_slice() {
                    [] => return None,
                    // DynamoDB refuses redundant parentheses.
                    [one] => one.clone(),
                    all => all.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" AND "),
                }
            }
        })
    }

    fn name(&mut self, name: &str) -> String {
        let names = self.names.get_or_insert_default();
        let present =
            names.iter().find(|(_, other)| *other == name).map(|(placeholder, _)| placeholder.clone());
        present.unwrap_or_else(|| {
            let placeholder = format!("#n{}", names.len());
            names.insert(placeholder.clone(), name.to_owned());
            placeholder
        })
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let values = self.values.get_or_insert_default();
        let placeholder = format!(":v{}", values.len());
        values.insert(placeholder.clone(), value);
        placeholder
    }

    fn number(&mut self, number: i64) -> String {
        self.value(AttributeValue::N(number.to_string()))
    }

    fn text(&mut self, text: &str) -> String {
        self.value(AttributeValue::S(text.to_owned()))
    }
}
