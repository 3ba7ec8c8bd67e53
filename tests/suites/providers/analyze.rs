//! Analyses by a played vendor: how the schema is enforced, repairs, confidence, languages, and batches.

use hearth_tests::{Client, Home, Reply, Setup, Upstream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{chunk, with};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "count": {"type": "integer", "minimum": 0}},
        "required": ["city", "count"],
        "additionalProperties": false,
    })
}

fn request(prompt: &str, options: Value) -> Value {
    let mut options = options;
    options["model"] = json!("rig0:big");
    json!({"prompt": prompt, "schema": schema(), "options": options})
}

/// An answer with this text.
fn text(text: &str) -> Reply {
    Reply::chunks(&[
        chunk(json!({"role": "assistant", "content": text}), None),
        chunk(json!({}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}),
    ])
}

fn data(city: &str, count: i64) -> String {
    json!({"city": city, "count": count}).to_string()
}

/// A `hearth up` with the provider `rig0` of this kind at `upstream`.
async fn with_kind(kind: &str, upstream: &Upstream) -> Home {
    let settings = format!(
        "[providers.rig0]\nkind = '{kind}'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['big']\n\
         first_byte_seconds = 5\nbetween_bytes_seconds = 2\n",
        upstream.url
    );
    Setup::new().settings(&settings).without_node().start().await
}

async fn analyze(client: &Client, body: &Value) -> Value {
    let answer = client.post("/v1/analyze", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn vendor_gets_the_schema_in_its_strict_mode() {
    let upstream = Upstream::start().await;
    let home = with_kind("openai", &upstream).await;
    upstream.reply(text(&data("Lyon", 2)));
    let body = analyze(&home.client(), &request("Two kettles to Lyon.", json!({}))).await;
    assert_eq!(body["data"], json!({"city": "Lyon", "count": 2}), "{body}");
    assert_eq!(
        (&body["how"], &body["validation_status"], &body["provider"]),
        (&json!("strict"), &json!("passed"), &json!("rig0"))
    );
    let sent = &upstream.received()[0].body;
    assert_eq!(sent["response_format"]["json_schema"]["strict"], true, "{sent}");
    assert_eq!(sent["temperature"], 0.0);
    // The text is a message of its own, and the instructions don't have it.
    let messages = sent["messages"].as_array().unwrap();
    assert_eq!(messages.last().unwrap()["content"], "Two kettles to Lyon.", "{sent}");
    assert!(!messages[0]["content"].to_string().contains("kettles"), "{sent}");
    home.stop().await;
}

#[tokio::test]
async fn vendor_without_schemas_is_asked_and_its_answer_repaired() {
    let upstream = Upstream::start().await;
    let home = with_kind("deepseek", &upstream).await;
    upstream.reply(text("Sure, here it is:\n```json\n{\"city\": \"Lyon\", \"count\": 2,}\n```"));
    let body = analyze(&home.client(), &request("Two kettles to Lyon.", json!({}))).await;
    assert_eq!(body["data"], json!({"city": "Lyon", "count": 2}), "{body}");
    assert_eq!(
        (&body["how"], &body["validation_status"], &body["repaired"]),
        (&json!("asked"), &json!("passed"), &json!(true))
    );
    let sent = upstream.received()[0].body["messages"].to_string();
    assert!(sent.contains("additionalProperties"), "the schema isn't in the instructions: {sent}");
    home.stop().await;
}

#[tokio::test]
async fn unfit_answer_is_generated_again_and_fails_after_the_last_attempt() {
    let upstream = Upstream::start().await;
    let home = with_kind("deepseek", &upstream).await;
    let client = home.client();
    upstream.reply(text(&data("Lyon", -1)));
    upstream.reply(text(&data("Lyon", 2)));
    let body = analyze(&client, &request("Two kettles to Lyon.", json!({}))).await;
    assert_eq!((&body["attempts"], &body["data"]["count"]), (&json!(2), &json!(2)), "{body}");
    assert_eq!(body["usage"]["prompt_tokens"], 20, "{body}");

    upstream.reply(text(&data("Lyon", -1)));
    upstream.reply(text(&data("Lyon", -2)));
    let answer =
        client.post("/v1/analyze", &request("Two kettles to Lyon!", json!({"max_attempts": 2}))).await;
    let error = answer.error(422, "invalid_answer");
    let details = &error["details"];
    assert_eq!(
        (&details["attempts"], &details["validation_errors"][0]["path"]),
        (&json!(2), &json!("/count")),
        "{error}"
    );
    assert_eq!(
        (&details["data"]["count"], &details["usage"]["prompt_tokens"]),
        (&json!(-2), &json!(20)),
        "{error}"
    );

    upstream.reply(text(&data("Lyon", -1)));
    let options = json!({"max_attempts": 1, "allow_relaxed": true});
    let body = analyze(&client, &request("Two kettles to Lyon?", options)).await;
    assert_eq!(
        (&body["validation_status"], &body["validation_errors"][0]["path"]),
        (&json!("relaxed"), &json!("/count")),
        "{body}"
    );
    assert_eq!(body["confidence_parts"]["validity"]["value"], 0.5, "{body}");

    upstream.reply(text("I can't do that."));
    let body = analyze(&client, &request("Two kettles", json!({"bypass_validation": true}))).await;
    assert_eq!((&body["validation_status"], &body["data"]), (&json!("bypassed"), &Value::Null), "{body}");
    assert_eq!(body["text"], "I can't do that.");
    home.stop().await;
}

#[tokio::test]
async fn confidence_has_the_log_probabilities_of_the_values() {
    let upstream = Upstream::start().await;
    let home = with_kind("openai", &upstream).await;
    let token = |text: &str, probability: f64| json!({"token": text, "logprob": probability.ln(), "bytes": text.as_bytes(), "top_logprobs": []});
    let tokens = [("{\"city\":", 0.1), ("\"Lyon\"", 0.8), (",\"count\":", 0.1), ("2", 0.2), ("}", 0.1)];
    let whole: String = tokens.iter().map(|(text, _)| *text).collect();
    let logprobs: Vec<Value> = tokens.iter().map(|(text, probability)| token(text, *probability)).collect();
    let mut piece = chunk(json!({"content": whole}), None);
    piece["choices"][0]["logprobs"] = json!({"content": logprobs});
    upstream.reply(Reply::chunks(&[piece, chunk(json!({}), Some("stop"))]));
    let body =
        analyze(&home.client(), &request("Two kettles to Lyon.", json!({"confidence_threshold": 0.9}))).await;
    let parts = &body["confidence_parts"];
    assert_eq!(parts["log_probability"]["value"], 0.4, "{body}");
    // (4 * 0.4 + 3 * 1 + 2 * 1) / 9
    assert_eq!((&body["confidence"], &body["low_confidence"]), (&json!(0.733), &json!(true)), "{body}");
    let sent = &upstream.received()[0].body;
    assert_eq!((&sent["logprobs"], &sent["top_logprobs"]), (&json!(true), &json!(0)), "{sent}");
    home.stop().await;

    // A vendor that refuses them isn't asked for them.
    let upstream = Upstream::start().await;
    let home = with_kind("groq", &upstream).await;
    upstream.reply(text(&data("Lyon", 2)));
    let body = analyze(&home.client(), &request("Two kettles to Lyon.", json!({}))).await;
    assert!(body["confidence_parts"]["log_probability"].is_null(), "{body}");
    assert_eq!(body["confidence"], 1.0, "{body}");
    assert!(upstream.received()[0].body.get("logprobs").is_none());
    home.stop().await;
}

#[tokio::test]
async fn samples_that_differ_lower_the_confidence() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    for answer in [data("Lyon", 2), data("Lyon", 2), data("Lyon", 2)] {
        upstream.reply(text(&answer));
    }
    let agreeing = analyze(&home.client(), &request("Two kettles to Lyon.", json!({"samples": 3}))).await;
    assert_eq!(agreeing["confidence_parts"]["agreement"]["value"], 1.0, "{agreeing}");
    assert_eq!(agreeing["usage"]["prompt_tokens"], 30, "{agreeing}");
    let temperatures: Vec<f64> =
        upstream.received().iter().map(|received| received.body["temperature"].as_f64().unwrap()).collect();
    assert_eq!(temperatures.iter().filter(|temperature| **temperature == 0.0).count(), 1, "{temperatures:?}");

    // Whichever answer is the response's: each other one has one value of two in common with it.
    for answer in [data("Lyon", 2), data("Lyon", 3), data("Lyon", 4)] {
        upstream.reply(text(&answer));
    }
    let differing = analyze(&home.client(), &request("Some kettles to Lyon.", json!({"samples": 3}))).await;
    assert_eq!(differing["confidence_parts"]["agreement"]["value"], 0.5, "{differing}");
    assert!(differing["confidence"].as_f64() < agreeing["confidence"].as_f64());
    home.stop().await;
}

#[tokio::test]
async fn languages_are_requested_and_checked() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "").await;
    let client = home.client();
    let prompt = "The kettle that I ordered last week arrived broken this morning, and I would like to have a new one.";
    let analysis = |intent: &str, subject: &str, language: &str| {
        json!({
            "intent": intent, "subject": subject, "entities": [], "output_format": "text", "original_language": language,
        })
        .to_string()
    };
    upstream.reply(text(&analysis("request_replacement", "kettle", "de")));
    let body = analyze(&client, &json!({"prompt": prompt, "options": {"model": "rig0:big"}})).await;
    assert_eq!(
        (&body["language"]["detected"], &body["language"]["original_language_agrees"]),
        (&json!("en"), &json!(false)),
        "{body}"
    );
    assert_eq!(body["confidence_parts"]["agreement"]["value"], 0.0, "{body}");

    upstream.reply(text(&analysis(
        "Ersatz für das defekte Gerät anfordern",
        "Ein Wasserkocher, der heute Morgen kaputt angekommen ist und ersetzt werden soll",
        "en",
    )));
    let body =
        analyze(&client, &json!({"prompt": prompt, "options": {"model": "rig0:big", "language": "German"}}))
            .await;
    let language = &body["language"];
    assert_eq!((&language["requested"], &language["answered"]), (&json!("de"), &json!("de")), "{body}");
    assert_eq!(
        (&language["original_language_agrees"], &body["confidence_parts"]["agreement"]["value"]),
        (&json!(true), &json!(1.0)),
        "{body}"
    );
    let sent = &upstream.received()[1].body["messages"][0]["content"];
    assert!(sent.as_str().is_some_and(|text| text.contains("in German")), "{sent}");
    home.stop().await;
}

/// The vendor answers nobody before four requests are in progress: one after the other would never end.
#[tokio::test]
async fn batch_sends_its_items_at_the_same_time_within_the_bound() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "[analyze]\nbatch_concurrency = 4").await;
    upstream.gather(4);
    for _ in 0..10 {
        upstream.reply(text(&data("Lyon", 2)));
    }
    let mut prompts: Vec<String> = (0..10).map(|number| format!("{number} kettles to Lyon.")).collect();
    prompts.extend(prompts.clone());
    let body = json!({"prompts": prompts, "schema": schema(), "options": {"model": "rig0:big"}});
    let answer = home.client().post("/v1/analyze/batch", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let summary = &answer.json()["summary"];
    assert_eq!(
        [&summary["total"], &summary["ok"], &summary["duplicates"], &summary["usage"]["prompt_tokens"]],
        [&json!(20), &json!(20), &json!(10), &json!(100)],
        "{summary}"
    );
    assert_eq!((upstream.received().len(), upstream.peak()), (10, 4));
    home.stop().await;
}

#[tokio::test]
async fn batch_reads_cached_answers_and_sends_the_others() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "[cache]\nenabled = true\nmemory_mb = 0").await;
    let client = home.client();
    let batch =
        |prompts: &[&str]| json!({"prompts": prompts, "schema": schema(), "options": {"model": "rig0:big"}});
    (0..2).for_each(|_| upstream.reply(text(&data("Lyon", 2))));
    let first = client.post("/v1/analyze/batch", &batch(&["one kettle", "two kettles"])).await.json();
    assert_eq!((&first["summary"]["ok"], &first["summary"]["cached"]), (&json!(2), &json!(0)), "{first}");
    upstream.reply(text(&data("Nice", 3)));
    let second = client
        .post("/v1/analyze/batch", &batch(&["two kettles", "three kettles", "one kettle"]))
        .await
        .json();
    assert_eq!((&second["summary"]["ok"], &second["summary"]["cached"]), (&json!(3), &json!(2)), "{second}");
    assert_eq!(second["results"][1]["analysis"]["data"]["city"], "Nice");
    assert_eq!(upstream.received().len(), 3);
    home.stop().await;
}

#[tokio::test]
async fn each_item_of_a_batch_counts_for_the_limits() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "[analyze]\nbatch_concurrency = 1").await;
    let client = home.client();
    let organisations = client.get("/v1/organisations").await.json();
    let path =
        format!("/v1/limits/organisation/{}", organisations["organisations"][0]["id"].as_str().unwrap());
    let limits = json!({"requests_per_hour": 3});
    assert_eq!(client.send(client.request(Method::PUT, &path).json(&limits)).await.status, 200);
    (0..3).for_each(|_| upstream.reply(text(&data("Lyon", 2))));
    let prompts: Vec<String> = (0..5).map(|number| format!("{number} kettles")).collect();
    let body = json!({"prompts": prompts, "schema": schema(), "options": {"model": "rig0:big"}});
    let answer = client.post("/v1/analyze/batch", &body).await.json();
    assert_eq!((&answer["summary"]["ok"], &answer["summary"]["failed"]), (&json!(3), &json!(2)), "{answer}");
    assert_eq!(answer["results"][4]["error"]["code"], "rate_limited", "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn batch_is_cancelled_when_its_client_leaves() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], "[analyze]\nbatch_concurrency = 2").await;
    for _ in 0..2 {
        upstream.reply(Reply::begun(&[chunk(json!({"content": "{"}), None)]).then_silence());
    }
    let client = home.client();
    let prompts: Vec<String> = (0..6).map(|number| format!("{number} kettles")).collect();
    let body = json!({"prompts": prompts, "schema": schema(), "options": {"model": "rig0:big"}});
    let sent = tokio::spawn({
        let client = client.clone();
        async move { client.post("/v1/analyze/batch", &body).await }
    });
    hearth_tests::eventually("two requests", async || (upstream.received().len() == 2).then_some(())).await;
    sent.abort();
    upstream.left().await;
    hearth_tests::eventually("the end of both runs", async || {
        let page = client.get("/v1/requests").await.json();
        let requests = page["requests"].as_array()?;
        (requests.len() == 2 && requests.iter().all(|request| request["status"] == "cancelled")).then_some(())
    })
    .await;
    assert_eq!(upstream.received().len(), 2);
    home.stop().await;
}
