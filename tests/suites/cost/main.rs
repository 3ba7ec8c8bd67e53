//! Costs of each kind of request in the cloud: the units of DynamoDB, the requests to S3 and the log lines of a function that
//! serves it. [`docs/cost.md`](../../../docs/cost.md) has the figures and the prices; the test fails when they differ.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod meter;
mod page;
mod vendor;
mod world;

use std::collections::BTreeMap;

use hearth_auth::ApiToken;
use meter::Usage;
use page::{Page, Row};
use serde_json::json;
use world::World;

/// The page's units may be this much above the measured ones, by a factor and a sum: how often a stream is written, and a run
/// is polled, depends on the machine's speed.
const UNITS_SLACK: (f64, f64) = (1.5, 3.0);
/// Bytes of the page's log lines, over the measured ones: the lines have times and names.
const LOG_SLACK: f64 = 1.25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_request_uses_what_the_page_says() {
    let world = World::start().await;
    let mut measured = BTreeMap::new();
    let generate = world.function("hearth-fn-generate", &[]).await;
    let other = world.function("hearth-fn-generate", &[]).await;
    let models = world.function("hearth-fn-models", &[]).await;
    let whole = json!({"model": "rig:big", "messages": [{"role": "user", "content": "Hello"}]});
    let streamed =
        json!({"model": "rig:big", "messages": [{"role": "user", "content": "Hello"}], "stream": true});
    let embeddings = json!({"model": "rig:embed", "input": ["one", "two"]});
    // The first request of a process reads what later ones find in its memory.
    for _ in 0..2 {
        for function in [&generate, &other] {
            function.post("post_v1.chat.completions.json", &whole).await;
        }
        models.get("get_v1.models.json").await;
    }

    measured.insert("whole answer", generate.post("post_v1.chat.completions.json", &whole).await.usage);
    measured.insert("embeddings", generate.post("post_v1.embeddings.json", &embeddings).await.usage);
    measured.insert("list of models", models.get("get_v1.models.json").await.usage);
    measured.insert(
        "refused token",
        models.get_as("get_v1.models.json", ApiToken::generate().expose()).await.usage,
    );
    let (streamed, followed) =
        generate.post_followed("post_v1.chat.completions.json", &streamed, &other).await;
    measured.insert("streamed answer", streamed);
    measured.insert("followed run", followed);
    let endless =
        json!({"model": "rig:endless", "messages": [{"role": "user", "content": "Hello"}], "stream": true});
    measured.insert(
        "cancelled run",
        generate.post_cancelled("post_v1.chat.completions.json", &endless, &other).await,
    );

    let caching = world.function("hearth-fn-generate", &[("HEARTH_CACHE__ENABLED", "true")]).await;
    let question = |text: &str| {
        let messages = json!([{"role": "user", "content": text}]);
        json!({"model": "rig:big", "messages": messages, "temperature": 0.0})
    };
    for text in ["first", "second"] {
        let miss = caching.post("post_v1.chat.completions.json", &question(text)).await;
        measured.insert("cache miss", miss.usage);
    }
    for _ in 0..2 {
        let hit = caching.post("post_v1.chat.completions.json", &question("second")).await;
        assert_eq!(hit.headers["x-hearth-cache"], "hit", "{:?}", hit.headers);
        measured.insert("cache hit", hit.usage);
    }
    let page = Page::read();
    for (name, usage) in &measured {
        println!("{name}: {usage:?}");
    }
    let problems: Vec<String> =
        measured.iter().filter_map(|(name, usage)| differs(&page, name, usage)).collect();
    assert!(problems.is_empty(), "docs/cost.md differs:\n{}", problems.join("\n"));
    let names: Vec<&str> = measured.keys().copied().collect();
    assert_eq!(page.names(), names, "the rows of docs/cost.md");
}

/// Returns how the page's row of this kind differs from what was measured.
fn differs(page: &Page, name: &str, usage: &Usage) -> Option<String> {
    let Some(row) = page.rows.iter().find(|row| row.name == name) else {
        return Some(format!("{name}: no row, but {usage:?}"));
    };
    let Row { write_units, read_units, log_bytes, .. } = *row;
    let (factor, more) = UNITS_SLACK;
    let units =
        |documented: f64, measured: f64| measured <= documented && documented <= factor * measured + more;
    let logged = usage.log_bytes;
    let is_logged = logged <= log_bytes && log_bytes <= LOG_SLACK * logged;
    let is_right = units(write_units, usage.write_units) && units(read_units, usage.read_units) && is_logged;
    (!is_right).then(|| format!("{name}: {row:?}, but {usage:?}"))
}

#[test]
fn costs_of_the_page_follow_from_its_figures_and_prices() {
    let page = Page::read();
    let problems: Vec<String> = page.rows.iter().filter_map(|row| row.wrong_costs(&page.prices)).collect();
    assert!(
        problems.is_empty(),
        "docs/cost.md has other costs than its figures give:\n{}",
        problems.join("\n")
    );
}

#[test]
fn streamed_answer_and_cache_hit_cost_less_than_the_limits() {
    let page = Page::read();
    let total = |name: &str| page.rows.iter().find(|row| row.name == name).unwrap().total;
    assert!(total("streamed answer") <= 65.0, "{}", total("streamed answer"));
    assert!(total("cache hit") <= 8.0, "{}", total("cache hit"));
}
