//! DeepSeek (<https://api-docs.deepseek.com/api/create-chat-completion>).

use hearth_domain::credits::Balance;
use serde_json::Value;

use super::{Auth, Vendor, WholeAnswers};
use crate::media::TEXT;
use crate::{
    credits::{BalanceAt, Found},
    dialect::{
        Dialect,
        openai_chat::{COMMON, Habits, Thoughts},
    },
};

/// How it speaks OpenAI's dialect.
const HABITS: Habits = Habits {
    seed: None,
    parallel_tool_calls: false,
    // "the `reasoning_content` in the thinking mode must be passed back"
    // (<https://api-docs.deepseek.com/guides/thinking_mode>).
    thoughts: Thoughts::WithCalls,
    thinking_switch: true,
    ..COMMON
};

/// DeepSeek.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "deepseek",
    title: "DeepSeek",
    base_url: Some("https://api.deepseek.com"),
    dialect: Dialect::OpenAiChat(&HABITS),
    media: TEXT,
    auth: Auth::Bearer,
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: Some("/models"),
};

/// What the account has left (<https://api-docs.deepseek.com/api/get-user-balance>).
pub(super) const BALANCE: [BalanceAt; 1] = [BalanceAt { path: "/user/balance", read: balance }];

fn balance(said: &Value) -> Option<Found> {
    let info = said["balance_infos"].get(0)?;
    let text = |field: &str| info[field].as_str().map(str::to_owned);
    let amount = text("total_balance").filter(|amount| amount.parse::<f64>().is_ok_and(f64::is_finite))?;
    let is_currency = |text: &String| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    let balance = Balance { amount, currency: text("currency").filter(is_currency)? };
    Some(Found { balance, spent: said["is_available"] == false })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_balance_is_told_in_the_accounts_currency() {
        let info = json!({"currency": "CNY", "total_balance": "110.00", "granted_balance": "10.00"});
        let found = balance(&json!({"is_available": true, "balance_infos": [info]})).unwrap();
        assert_eq!((found.balance.amount.as_str(), found.balance.currency.as_str()), ("110.00", "CNY"));
        assert!(
            !found.spent && balance(&json!({"is_available": false, "balance_infos": [info]})).unwrap().spent
        );
        assert_eq!(balance(&json!({})), None);
    }
}
