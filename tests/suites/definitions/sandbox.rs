//! Templates that would take too much, and the routes that render them.

use std::time::{Duration, Instant};

use hearth_tests::Home;
use serde_json::{Value, json};

use crate::create_template;

fn of_user(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": text}]})
}

#[tokio::test]
async fn rendering_shows_the_messages_and_names_what_is_wrong() {
    let home = Home::start_without_node().await;
    let client = home.client();
    create_template(&client, "summary", &json!({})).await;
    let render = async |variables: Value| {
        client.post("/v1/templates/summary/render", &json!({"variables": variables})).await
    };
    let rendered = render(json!({"text": "<Tea> & {{ style }}"})).await.json();
    let expected = json!([
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Sum up: <Tea> & {{ style }}"},
    ]);
    assert_eq!((&rendered["messages"], &rendered["parameters"]["temperature"]), (&expected, &json!(0.25)));
    assert_eq!(render(json!({})).await.error(400, "invalid_request")["param"], "variables.text");
    assert_eq!(
        render(json!({"text": "a", "style": "odd"})).await.error(400, "invalid_request")["param"],
        "variables.style"
    );
    client.post("/v1/templates/nosuch/render", &json!({})).await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn hostile_templates_are_refused_or_stopped_and_the_gateway_goes_on() {
    let home = Home::start_without_node().await;
    let client = home.client();
    for text in [
        "{{ a ~ a }}",
        "{% include '/etc/passwd' %}",
        "{% set x = [a, a] %}{{ x }}",
        "{{ 'x' * 1000000000 }}",
        "{{ a.__class__.__mro__() }}",
        "{% for x in y %}",
    ] {
        let refused = client.post("/v1/templates", &json!({"name": "bad", "template": of_user(text)})).await;
        let refused = refused.error(400, "invalid_request");
        assert_eq!(refused["param"], "template.messages[0].content", "{text}: {refused}");
    }
    let began = Instant::now();
    let long = "x ".repeat(60_000);
    let captured = format!(
        "{{% set b %}}{{% for i in range(9999) %}}{}{{% endfor %}}{{% endset %}}",
        "x".repeat(60 << 10)
    );
    for (number, text) in [
        &*captured,
        "{% for i in range(9999) %}{% set b = a[::-1] %}{% endfor %}",
        "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
        "{% for i in range(9999) %}{{ a }}{% endfor %}",
        "{% for i in range(9999) %}{% set b = a|upper|replace('X', 'YY') %}{% endfor %}",
        "{{ a|replace(' ', a) }}",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("slow-{number}");
        let stored = json!({"name": name, "template": of_user(&format!("{text}{{{{ a|length }}}}"))});
        assert_eq!(client.post("/v1/templates", &stored).await.status, 201, "{text}");
        let path = format!("/v1/templates/{name}/render");
        let stopped =
            client.post(&path, &json!({"variables": {"a": long}})).await.error(400, "invalid_request");
        assert_eq!(stopped["param"], "variables", "{text}: {stopped}");
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let huge = json!({"variables": {"a": "x".repeat(300 << 10)}});
    assert_eq!(
        client.post("/v1/templates/slow-0/render", &huge).await.error(400, "invalid_request")["param"],
        "variables"
    );
    assert_eq!(client.get("/health").await.status, 200);
    home.stop().await;
}
