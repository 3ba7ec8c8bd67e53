//! OpenRouter (<https://openrouter.ai/docs/api-reference>): many vendors' models under `vendor/model`.

use hearth_domain::credits::Balance;
use serde_json::Value;

use super::{Auth, Vendor, WholeAnswers};
use crate::media::{Embeddings, Media, TEXT};
use crate::{
    credits::{BalanceAt, Found},
    dialect::{
        Dialect,
        openai_chat::{COMMON, Habits, Thoughts},
    },
};

/// How it speaks OpenAI's dialect.
const HABITS: Habits = Habits { samplers: true, thoughts: Thoughts::AsGiven, cache_marks: true, ..COMMON };

/// OpenRouter.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "openrouter",
    title: "OpenRouter",
    base_url: Some("https://openrouter.ai/api/v1"),
    dialect: Dialect::OpenAiChat(&HABITS),
    media: Media { embeddings: Some(Embeddings::OpenAi("dimensions")), ..TEXT },
    auth: Auth::Bearer,
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: Some("/models"),
};

/// What a key may spend, where it has a limit (<https://openrouter.ai/docs/api-reference/limits>); else what the
/// account has left, which not every key may see.
pub(super) const BALANCE: [BalanceAt; 2] =
    [BalanceAt { path: "/key", read: limit }, BalanceAt { path: "/credits", read: credit }];

fn limit(said: &Value) -> Option<Found> {
    said["data"]["limit_remaining"].as_f64().map(found)
}

fn credit(said: &Value) -> Option<Found> {
    let data = &said["data"];
    Some(found(data["total_credits"].as_f64()? - data["total_usage"].as_f64()?))
}

fn found(dollars: f64) -> Found {
    let amount = format!("{dollars:.6}");
    let amount = amount.trim_end_matches('0').trim_end_matches('.').to_owned();
    Found { balance: Balance { amount, currency: "USD".to_owned() }, spent: dollars <= 0.0 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_keys_limit_is_told_before_the_accounts_credit() {
        let told = |found: Option<Found>| found.map(|found| (found.balance.amount, found.spent));
        let key =
            |left: Value| json!({"data": {"label": "k", "limit": left, "limit_remaining": left, "usage": 1}});
        assert_eq!(told(limit(&key(json!(12.5)))), Some(("12.5".into(), false)));
        assert_eq!(told(limit(&key(json!(0)))), Some(("0".into(), true)));
        assert_eq!(told(limit(&key(Value::Null))), None);
        let account = |total: f64| json!({"data": {"total_credits": total, "total_usage": 9.7}});
        assert_eq!(told(credit(&account(10.0))), Some(("0.3".into(), false)));
        assert_eq!(told(credit(&account(9.0))), Some(("-0.7".into(), true)));
        assert_eq!(told(credit(&json!({}))), None);
    }
}
