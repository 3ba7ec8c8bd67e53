//! `/v1/usage`: sums of requests, tokens and costs.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Usage to sum up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UsageScope {
    /// The caller's.
    #[default]
    Me,
    /// Everybody's in the organisation.
    Organisation,
}

/// Form of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UsageFormat {
    /// One JSON document.
    #[default]
    Json,
    /// Comma-separated values (RFC 4180), with a line of names.
    Csv,
}

/// Query of usage.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct UsageQuery {
    /// Dimensions of the sums, separated by commas: `day`, `model`, `provider`, `token`, `user`, `team`. Absent: `day`.
    #[param(example = "day,model")]
    pub by: Option<String>,
    /// First day in UTC; absent: the first of the month of `to`.
    #[param(example = "2026-11-01")]
    pub from: Option<String>,
    /// Last day in UTC; absent: today.
    #[param(example = "2026-11-30")]
    pub to: Option<String>,
    /// `me`: the caller's own usage; `organisation`: everybody's, for its owners, admins and auditors.
    #[param(inline)]
    pub of: UsageScope,
    /// `json` or `csv`.
    #[param(inline)]
    pub format: UsageFormat,
}

/// Sums of one group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageSums {
    /// Day in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// Model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Provider, or the name of a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Id of the token, or of another credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Id of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Id of the user's team, the first of several; empty without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Answered requests, those from the cache among them.
    pub requests: i64,
    /// Requests that were answered from the cache: they cost nothing, and have no tokens.
    pub cache_hits: i64,
    /// Tokens of prompts.
    pub prompt_tokens: i64,
    /// Tokens of prompts that the provider has read from its cache.
    pub cached_tokens: i64,
    /// Tokens of prompts that the provider has written to its cache.
    pub cache_write_tokens: i64,
    /// Tokens of answers.
    pub completion_tokens: i64,
    /// Tokens of answers that are reasoning.
    pub reasoning_tokens: i64,
    /// Cost in US dollars, without the requests whose price isn't known.
    #[schema(example = "0.000123")]
    pub cost: String,
    /// Requests whose cost isn't known.
    pub unpriced_requests: i64,
}

/// Sums of usage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = UsageReport)]
pub struct UsageBody {
    /// First day.
    pub from: String,
    /// Last day.
    pub to: String,
    /// Dimensions of the sums.
    pub by: Vec<String>,
    /// Sums of each group, in the order of the dimensions.
    pub data: Vec<UsageSums>,
    /// Sum of all.
    pub total: UsageSums,
}

impl UsageBody {
    /// The sums as comma-separated values (RFC 4180), with a line of names.
    #[must_use]
    pub fn to_csv(&self) -> String {
        const COUNTS: [&str; 9] = [
            "requests",
            "cache_hits",
            "prompt_tokens",
            "cached_tokens",
            "cache_write_tokens",
            "completion_tokens",
            "reasoning_tokens",
            "cost",
            "unpriced_requests",
        ];
        let names: Vec<&str> = self.by.iter().map(String::as_str).chain(COUNTS).collect();
        let mut csv = names.join(",");
        csv.push_str("\r\n");
        for sums in &self.data {
            let mut fields: Vec<String> =
                self.by.iter().map(|dimension| csv_field(sums.value(dimension))).collect();
            fields.extend(
                [
                    sums.requests,
                    sums.cache_hits,
                    sums.prompt_tokens,
                    sums.cached_tokens,
                    sums.cache_write_tokens,
                    sums.completion_tokens,
                    sums.reasoning_tokens,
                ]
                .map(|count| count.to_string()),
            );
            fields.push(sums.cost.clone());
            fields.push(sums.unpriced_requests.to_string());
            csv.push_str(&fields.join(","));
            csv.push_str("\r\n");
        }
        csv
    }
}

impl UsageSums {
    /// The value of a dimension; empty if the sums aren't grouped by it.
    #[must_use]
    pub fn value(&self, dimension: &str) -> &str {
        let value = match dimension {
            "day" => &self.day,
            "model" => &self.model,
            "provider" => &self.provider,
            "token" => &self.token,
            "user" => &self.user,
            _ => &self.team,
        };
        value.as_deref().unwrap_or_default()
    }
}

/// A text as a field. One that a spreadsheet would take for a formula gets an apostrophe before it: names of models may come from
/// clients.
fn csv_field(text: &str) -> String {
    let text = match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_quoted_names_and_no_formulas() {
        let sums = |model: &str| UsageSums {
            day: Some("2026-11-29".to_owned()),
            model: Some(model.to_owned()),
            requests: 2,
            cost: "0.5".to_owned(),
            ..UsageSums::default()
        };
        let usage = UsageBody {
            from: "2026-11-01".to_owned(),
            to: "2026-11-29".to_owned(),
            by: vec!["day".to_owned(), "model".to_owned()],
            data: vec![sums("a,\"b\""), sums("=1+1")],
            total: UsageSums::default(),
        };
        let expected = "day,model,requests,cache_hits,prompt_tokens,cached_tokens,cache_write_tokens,completion_tokens,\
                        reasoning_tokens,cost,unpriced_requests\r\n\
                        2026-11-29,\"a,\"\"b\"\"\",2,0,0,0,0,0,0,0.5,0\r\n2026-11-29,'=1+1,2,0,0,0,0,0,0,0.5,0\r\n";
        assert_eq!(usage.to_csv(), expected);
    }
}
