//! The cost of runs at a node, by its power and the price of the energy.

use std::time::{Duration, Instant};

use hearth_tests::{Client, Setup};
use reqwest::Method;
use serde_json::json;

/// Dollars of a second: 360 W above idle are a ten-thousandth of a kilowatt-hour, which costs 1000 dollars.
const DOLLARS_PER_SECOND: f64 = 0.1;

async fn cost_of_a_run(client: &Client) -> (f64, Duration) {
    let body = json!({"input": {"prompt": "Once upon a time"}, "parameters": {"max_tokens": 40, "ignore_eos": true}});
    let began = Instant::now();
    let answer = client.post("/v1/generate", &body).await;
    let took = began.elapsed();
    assert_eq!(answer.status, 200, "{answer:?}");
    let cost = answer.json()["cost"]["usd"].as_str().map(|usd| usd.parse::<f64>().unwrap()).unwrap();
    assert_eq!(answer.header("x-hearth-cost").parse::<f64>().unwrap().to_string(), cost.to_string());
    let record = client.get(&format!("/v1/requests/{}", answer.header("x-request-id"))).await.json();
    assert_eq!(record["cost"]["usd"].as_str().unwrap().parse::<f64>().unwrap().to_string(), cost.to_string());
    (cost, took)
}

#[tokio::test]
async fn run_costs_the_energy_of_its_time() {
    let settings = "[node]\nidle_watts = 40\nbusy_watts = 400\nprice_per_kwh = 1000\n";
    let home = Setup::new().settings(settings).start().await;
    let client = home.client();
    let (cost, took) = cost_of_a_run(&client).await;
    assert!(cost > 0.0 && cost <= took.as_secs_f64() * DOLLARS_PER_SECOND, "{cost} dollars in {took:?}");
    let usage = client.get("/v1/usage?by=provider").await.json();
    assert!(usage.to_string().contains("local"), "{usage}");
    // What is set at the gateway comes before the node's settings.
    let nodes = client.get("/v1/nodes").await.json();
    let path = format!("/v1/nodes/{}", nodes["nodes"][0]["id"].as_str().unwrap());
    let change = json!({"energy": {"idle_watts": 0, "busy_watts": 1, "price_per_kwh": 0}});
    let changed = client.send(client.request(Method::PATCH, &path).json(&change)).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let (cost, _) = cost_of_a_run(&client).await;
    assert!(cost == 0.0, "{cost}");
    home.stop().await;
}

#[tokio::test]
async fn node_without_a_price_of_energy_costs_nothing() {
    let home = Setup::new().start().await;
    let (cost, _) = cost_of_a_run(&home.client()).await;
    assert!(cost == 0.0, "{cost}");
    home.stop().await;
}
