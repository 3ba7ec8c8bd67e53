//! OpenRouter (<https://openrouter.ai/docs/api-reference>): many vendors' models under `vendor/model`.

use hearth_domain::credits::Balance;
use serde_json::Value;

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{
    credits::{BalanceApi, BalanceReading},
    dialect::{
        Dialect,
        openai_chat::{COMMON, Quirks, SentThoughts},
    },
    media::{Embeddings, Media, TEXT},
    rules::vendors::OPENROUTER,
};

/// Differences in OpenAI's dialect.
const QUIRKS: Quirks =
    Quirks { samplers: true, sent_thoughts: SentThoughts::All, cache_marks: true, ..COMMON };

/// OpenRouter.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "openrouter",
    title: "OpenRouter",
    base_url: Some("https://openrouter.ai/api/v1"),
    dialect: Dialect::OpenAiChat(&QUIRKS),
    responses: false,
    rules: &OPENROUTER,
    media: Media { embeddings: Some(Embeddings::OpenAi("dimensions")), ..TEXT },
    auth: Auth::Bearer,
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: Some("/models"),
    balance: &[
        BalanceApi { path: "/key", read: key_limit },
        BalanceApi { path: "/credits", read: account_credit },
    ],
};

/// Reads the rest of the key's limit, if it has one (<https://openrouter.ai/docs/api-reference/limits>).
fn key_limit(body: &Value) -> Option<BalanceReading> {
    body["data"]["limit_remaining"].as_f64().map(reading)
}

/// Reads the account's credit, which not every key may see.
fn account_credit(body: &Value) -> Option<BalanceReading> {
    let data = &body["data"];
    Some(reading(data["total_credits"].as_f64()? - data["total_usage"].as_f64()?))
}

fn reading(dollars: f64) -> BalanceReading {
    let amount = format!("{dollars:.6}");
    let amount = amount.trim_end_matches('0').trim_end_matches('.').to_owned();
    let balance = Balance { amount, currency: "USD".to_owned() };
    BalanceReading { balance, is_exhausted: dollars <= 0.0 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn key_limit_and_account_credit_are_read() {
        let amount = |reading: Option<BalanceReading>| {
            reading.map(|reading| (reading.balance.amount, reading.is_exhausted))
        };
        let key =
            |left: Value| json!({"data": {"label": "k", "limit": left, "limit_remaining": left, "usage": 1}});
        assert_eq!(amount(key_limit(&key(json!(12.5)))), Some(("12.5".into(), false)));
        assert_eq!(amount(key_limit(&key(json!(0)))), Some(("0".into(), true)));
        assert_eq!(amount(key_limit(&key(Value::Null))), None);
        let account = |total: f64| json!({"data": {"total_credits": total, "total_usage": 9.7}});
        assert_eq!(amount(account_credit(&account(10.0))), Some(("0.3".into(), false)));
        assert_eq!(amount(account_credit(&account(9.0))), Some(("-0.7".into(), true)));
        assert_eq!(amount(account_credit(&json!({}))), None);
    }
}
