//! The metrics in the log lines of a function.

use hearth_tests::{Cloud, Reply, Upstream, eventually};
use lambda_emulator::Emulator;
use serde_json::{Value, json};

use crate::{Placeholders, invoke};

/// The line of an event that has metrics, once the function has printed it.
async fn line(function: &Emulator, event: &str, request: &str) -> Value {
    eventually(event, async || {
        let lines = function.last_lines();
        let mut lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["message"] == event && line["request_id"] == request)
    })
    .await
}

/// The values of a line's metrics, as CloudWatch takes them: `name[dimensions]` and the number.
fn metrics(line: &Value) -> Vec<(String, f64)> {
    let mut values = Vec::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(directive["Namespace"], "Hearth", "{line}");
        for dimensions in directive["Dimensions"].as_array().unwrap() {
            let dimensions = dimensions.as_array().unwrap().iter();
            let pairs: Vec<&str> =
                dimensions.map(|name| line[name.as_str().unwrap()].as_str().unwrap()).collect();
            for metric in directive["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap();
                values.push((format!("{name}[{}]", pairs.join(" ")), line[name].as_f64().unwrap()));
            }
        }
    }
    values
}

#[tokio::test]
async fn requests_and_runs_have_metrics_in_their_lines() {
    let (cloud, upstream) = (Cloud::start().await, Upstream::start().await);
    let rig =
        json!({"kind": "openai_compatible", "base_url": format!("{}/v1", upstream.url), "models": ["big"]});
    let routing = json!({"providers": {"rig": rig}}).to_string();
    let variables = [("HEARTH_ROUTING", routing.as_str()), ("HEARTH_CLOUDWATCH_METRICS", "true")];
    let function = cloud.function_with("hearth-fn-generate", &variables).await;
    let values = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
    let mut event = values.event("post_v1.generate.json");
    event["body"] = json!({"model": "rig:big", "input": {"prompt": "Hi"}, "stream": true}).to_string().into();

    let chunk = json!({"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}});
    upstream.reply(Reply::chunks(&[chunk, usage]));
    let answered = invoke(&function, &event).await;
    assert_eq!(answered.status, 200);
    let id = answered.headers["x-request-id"].to_str().unwrap();
    let request = line(&function, "request", id).await;
    let of_request = metrics(&request);
    let (name, version) = (request["function"].as_str().unwrap(), request["version"].as_str().unwrap());
    assert!(of_request.contains(&(format!("server_error[{name}]"), 0.0)), "{request}");
    assert!(of_request.contains(&(format!("server_error[{name} {version}]"), 0.0)), "{request}");
    let run = line(&function, "run", id).await;
    let of_run = metrics(&run);
    for expected in [("failed", 0.0), ("cached", 0.0), ("input_tokens", 7.0), ("output_tokens", 3.0)] {
        assert!(of_run.contains(&(format!("{}[{name}]", expected.0), expected.1)), "{run}");
    }
    assert!(of_run.iter().any(|(metric, _)| *metric == format!("first_token_ms[{name} rig]")), "{run}");
    assert_eq!(
        (&run["provider"], &run["model"], &run["outcome"]),
        (&json!("rig"), &json!("big"), &json!("completed"))
    );

    // A provider's failure, for which no deployment is rolled back.
    for _ in 0..3 {
        upstream.reply(Reply::json(500, &json!({"error": {"message": "oops"}})));
    }
    let failed = invoke(&function, &event).await;
    assert_eq!(failed.status, 502, "{failed:?}");
    let id = failed.headers["x-request-id"].to_str().unwrap();
    let of_request = metrics(&line(&function, "request", id).await);
    assert!(of_request.contains(&(format!("server_error[{name} {version}]"), 0.0)), "{of_request:?}");
    let of_run = metrics(&line(&function, "run", id).await);
    assert!(of_run.contains(&(format!("failed[{name} rig]"), 1.0)), "{of_run:?}");
}
