//! Defaults for requests to a provider, or to one of its models.

use hearth_tests::{Setup, Upstream};
use serde_json::{Value, json};

use crate::answer;

#[tokio::test]
async fn settings_fill_in_missing_fields() {
    let upstream = Upstream::start().await;
    let settings = format!(
        "[providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\nmodels = ['big', 'small']\n\
         temperature = 0.25\nmax_tokens = 100\nsystem_prompt = 'Answer in French.'\n\
         [models.'rig:small']\ntemperature = 0.5\nsystem_prompt = 'Be brief.'\n",
        upstream.url
    );
    let home = Setup::new().settings(&settings).without_node().start().await;
    let client = home.client();
    let sent = async |path: &str, body: Value| {
        upstream.reply(answer());
        let response = client.post(path, &body).await;
        assert_eq!(response.status, 200, "{response:?}");
        upstream.received().pop().unwrap().body
    };
    let user = json!({"role": "user", "content": "Hi"});
    let system = |text: &str| json!({"role": "system", "content": text});
    for (path, body) in [
        ("/v1/generate", json!({"model": "big", "input": {"prompt": "Hi"}})),
        ("/v1/chat/completions", json!({"model": "big", "messages": [user]})),
        ("/v1/responses", json!({"model": "big", "input": "Hi"})),
    ] {
        let received = sent(path, body).await;
        assert_eq!(
            (&received["temperature"], &received["max_tokens"]),
            (&json!(0.25), &json!(100)),
            "{path}"
        );
        assert_eq!(received["messages"], json!([system("Answer in French."), user]), "{path}");
    }
    // The model's settings override the provider's, and the request's fields override both.
    let received = sent("/v1/generate", json!({"model": "small", "input": {"prompt": "Hi"}})).await;
    assert_eq!((&received["temperature"], &received["max_tokens"]), (&json!(0.5), &json!(100)));
    assert_eq!(received["messages"], json!([system("Be brief."), user]));
    let own =
        json!({"model": "small", "messages": [system("Rhyme."), user], "temperature": 1, "max_tokens": 5});
    let received = sent("/v1/chat/completions", own.clone()).await;
    assert_eq!((&received["temperature"], &received["max_tokens"]), (&json!(1.0), &json!(5)));
    assert_eq!(received["messages"], own["messages"]);
    home.stop().await;
}
