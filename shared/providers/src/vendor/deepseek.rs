//! DeepSeek (<https://api-docs.deepseek.com/api/create-chat-completion>).

use hearth_domain::credits::Balance;
use serde_json::Value;

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{
    credits::{BalanceApi, BalanceReading},
    dialect::{
        Dialect,
        openai_chat::{COMMON, Quirks, SentThoughts},
    },
    media::TEXT,
    rules::vendors::DEEPSEEK,
};

/// Differences in OpenAI's dialect.
const QUIRKS: Quirks = Quirks {
    seed: None,
    parallel_tool_calls: false,
    // "the `reasoning_content` in the thinking mode must be passed back"
    // (<https://api-docs.deepseek.com/guides/thinking_mode>).
    sent_thoughts: SentThoughts::RequiredWithCalls,
    thinking_switch: true,
    ..COMMON
};

/// DeepSeek.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "deepseek",
    title: "DeepSeek",
    base_url: Some("https://api.deepseek.com"),
    dialect: Dialect::OpenAiChat(&QUIRKS),
    responses: false,
    rules: &DEEPSEEK,
    media: TEXT,
    auth: Auth::Bearer,
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: Some("/models"),
    balance: &[BalanceApi { path: "/user/balance", read: balance }],
};

/// Reads the account's balance (<https://api-docs.deepseek.com/api/get-user-balance>).
fn balance(body: &Value) -> Option<BalanceReading> {
    let info = body["balance_infos"].get(0)?;
    let text = |field: &str| info[field].as_str().map(str::to_owned);
    let amount = text("total_balance").filter(|amount| amount.parse::<f64>().is_ok_and(f64::is_finite))?;
    let is_currency = |text: &String| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    let balance = Balance { amount, currency: text("currency").filter(is_currency)? };
    Some(BalanceReading { balance, is_exhausted: body["is_available"] == false })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn balance_is_in_the_currency_of_the_account() {
        let info = json!({"currency": "CNY", "total_balance": "110.00", "granted_balance": "10.00"});
        let reading = balance(&json!({"is_available": true, "balance_infos": [info]})).unwrap();
        assert_eq!((reading.balance.amount.as_str(), reading.balance.currency.as_str()), ("110.00", "CNY"));
        assert!(!reading.is_exhausted);
        let exhausted = json!({"is_available": false, "balance_infos": [info]});
        assert!(balance(&exhausted).unwrap().is_exhausted);
        assert_eq!(balance(&json!({})), None);
    }
}
