//! `/v1/limits`: limits of requests, tokens and money.

use hearth_domain::Limits;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Limits to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LimitScope {
    /// The limits that hold for the caller.
    #[default]
    Me,
    /// All that are set in the organisation.
    Organisation,
}

/// Query of limits.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct LimitQuery {
    /// `me`: the limits that hold for the caller; `organisation`: all that are set in the organisation, for its admins.
    #[param(inline)]
    pub of: LimitScope,
}

/// Limits to set.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct SetLimits(pub Limits);

/// Limits of one subject, and what its budgets have left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LimitBody {
    /// Kind of the subject: `token`, `access_key`, `user`, `team`, `organisation`, or `operator` for a limit that the
    /// gateway's operator has set for the organisation.
    #[schema(example = "user")]
    pub kind: String,
    /// Id of the subject.
    pub id: String,
    /// Limits.
    pub limits: Limits,
    /// Use of the budgets in the present periods.
    pub budgets: Vec<BudgetBody>,
}

/// Use of a budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BudgetBody {
    /// `day` or `month`.
    #[schema(example = "month")]
    pub period: String,
    /// End of the period, ISO 8601.
    pub ends_at: String,
    /// Tokens that are spent.
    pub tokens_spent: i64,
    /// Tokens that runs in progress have reserved.
    pub tokens_reserved: i64,
    /// US dollars that are spent.
    #[schema(example = "0.25")]
    pub dollars_spent: String,
    /// US dollars that runs in progress have reserved.
    #[schema(example = "0.01")]
    pub dollars_reserved: String,
}

/// List of limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LimitList {
    /// Limits, each of another subject.
    pub data: Vec<LimitBody>,
}
