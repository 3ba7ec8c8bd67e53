//! Costs of each kind of request in the cloud: the units of DynamoDB, the requests to S3 and the log lines of a function that
//! serves it. [`docs/cost.md`](../../../docs/cost.md) has the figures and the prices; the test fails when they differ.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod jobs;
mod meter;
mod page;
mod relay;
mod relay_page;
mod vendor;
mod world;

use std::collections::BTreeMap;

use hearth_auth::ApiToken;
use meter::Usage;
use page::{Page, Row};
use relay::RelayWorld;
use relay_page::RelayRow;
use serde_json::{Value, json};
use world::{Function, World};

/// The page's units may be this much above the measured ones, by a factor and a sum: how often a stream is written, and a run
/// is polled, depends on the machine's speed.
const UNITS_SLACK: (f64, f64) = (1.5, 3.0);
/// Bytes of the page's log lines, over the measured ones: the lines have times and names.
const LOG_SLACK: f64 = 1.25;
/// Dollars that an idle node may cost in a month.
const IDLE_NODE_LIMIT: f64 = 0.10;

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

    // Callers and limits are read again after ten seconds: of a few requests the one that found them in memory counts.
    let warm = async |function: &Function, file: &str, body: &Value| {
        let mut usages = Vec::new();
        for _ in 0..5 {
            usages.push(function.post(file, body).await.usage);
        }
        usages.into_iter().min_by(|one, other| one.read_units.total_cmp(&other.read_units)).unwrap()
    };
    measured.insert("whole answer", warm(&generate, "post_v1.chat.completions.json", &whole).await);
    measured.insert("embeddings", warm(&generate, "post_v1.embeddings.json", &embeddings).await);
    models.get("get_v1.models.json").await;
    measured.insert("list of models", models.get("get_v1.models.json").await.usage);
    measured.insert(
        "refused token",
        models.get_as("get_v1.models.json", ApiToken::generate().expose()).await.usage,
    );
    let alone = generate.post("post_v1.chat.completions.json", &streamed).await;
    measured.insert("streamed answer", alone.usage);
    let followed = generate.post_followed("post_v1.chat.completions.json", &streamed, &other).await;
    measured.insert("followed run", followed);
    let endless =
        json!({"model": "rig:endless", "messages": [{"role": "user", "content": "Hello"}], "stream": true});
    measured.insert(
        "cancelled run",
        generate.post_cancelled("post_v1.chat.completions.json", &endless, &other).await,
    );

    let limited = world.function("hearth-fn-generate", &[]).await.with_token(world.token_with_budget().await);
    let usage = warm(&limited, "post_v1.chat.completions.json", &whole).await;
    measured.insert("whole answer within a budget", usage);

    let caching = world.function("hearth-fn-generate", &[("HEARTH_CACHE__ENABLED", "true")]).await;
    let question = |text: &str| {
        let messages = json!([{"role": "user", "content": text}]);
        json!({"model": "rig:big", "messages": messages, "temperature": 0.0})
    };
    let mut misses = Vec::new();
    for text in ["first", "another", "third", "second"] {
        misses.push(caching.post("post_v1.chat.completions.json", &question(text)).await.usage);
    }
    let miss = misses.into_iter().min_by(|one, other| one.read_units.total_cmp(&other.read_units));
    measured.insert("cache miss", miss.unwrap());
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

/// Returns whether a documented number is the measured one, or a little more.
fn is_near(documented: f64, measured: f64) -> bool {
    let (factor, more) = UNITS_SLACK;
    measured <= documented && documented <= factor * measured + more
}

/// Returns how the page's row of this kind differs from what was measured.
fn differs(page: &Page, name: &str, usage: &Usage) -> Option<String> {
    let Some(row) = page.rows.iter().find(|row| row.name == name) else {
        return Some(format!("{name}: no row, but {usage:?}"));
    };
    let Row { write_units, read_units, log_bytes, .. } = *row;
    let logged = usage.log_bytes;
    let is_logged = logged <= log_bytes && log_bytes <= LOG_SLACK * logged;
    let is_right =
        is_near(write_units, usage.write_units) && is_near(read_units, usage.read_units) && is_logged;
    (!is_right).then(|| format!("{name}: {row:?}, but {usage:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relayed_answers_and_idle_nodes_use_what_the_page_says() {
    let world = World::start().await;
    let mut relay = RelayWorld::start(&world).await;
    // The first answer's processes read what later ones find in their memory.
    relay.answer().await;
    let answer = relay.answer().await;
    let report = relay.report().await;
    relay.heartbeat().await;
    let heartbeat = relay.heartbeat().await;
    let (answers, idle) = relay_page::rows();
    let rows = answers.iter().chain(&idle);
    let new_socket = relay.new_socket;
    let measured = [
        ("streamed answer", answer),
        ("report", report),
        ("heartbeat", heartbeat),
        ("new socket", new_socket),
    ];
    println!("{measured:#?}");
    let problems: Vec<String> = measured
        .iter()
        .filter_map(|(name, usage)| {
            let row = rows.clone().find(|row| row.name == *name);
            let row = row.unwrap_or_else(|| panic!("docs/cost.md has no row {name}"));
            let units = is_near(row.write_units, usage.units.write_units)
                && is_near(row.read_units, usage.units.read_units);
            (!units || !is_near(row.requests, usage.requests.into()))
                .then(|| format!("{row:?}, but {usage:?}"))
        })
        .collect();
    assert!(problems.is_empty(), "docs/cost.md differs:\n{}", problems.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_use_what_the_page_says() {
    let measured = jobs::measure(&World::start().await).await;
    println!("{measured:#?}");
    let rows = jobs::rows();
    let problems: Vec<String> = measured
        .iter()
        .filter_map(|(name, usage)| {
            let row = rows.iter().find(|row| row.name == *name);
            let row = row.unwrap_or_else(|| panic!("docs/cost.md has no row {name}"));
            let is_right =
                is_near(row.write_units, usage.write_units) && is_near(row.read_units, usage.read_units);
            (!is_right).then(|| format!("{row:?}, but {usage:?}"))
        })
        .collect();
    assert!(problems.is_empty(), "docs/cost.md differs:\n{}", problems.join("\n"));
}

#[test]
fn costs_of_jobs_follow_from_their_figures_and_prices() {
    let page = Page::read();
    let problems: Vec<String> = jobs::rows().iter().filter_map(|row| row.wrong_total(&page.prices)).collect();
    assert!(
        problems.is_empty(),
        "docs/cost.md has other costs than its figures give:\n{}",
        problems.join("\n")
    );
}

#[test]
fn costs_of_nodes_follow_from_their_figures_and_prices() {
    let (page, (answers, idle)) = (Page::read(), relay_page::rows());
    assert!(answers.iter().all(RelayRow::is_of_a_thousand));
    let problems: Vec<String> =
        answers.iter().chain(&idle).filter_map(|row| row.wrong_total(&page.prices)).collect();
    assert!(
        problems.is_empty(),
        "docs/cost.md has other costs than its figures give:\n{}",
        problems.join("\n")
    );
    let month: f64 = idle.iter().map(|row| row.total).sum();
    assert!(month < IDLE_NODE_LIMIT, "an idle node costs ${month} a month");
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
    assert!(total("cache hit") <= 8.5, "{}", total("cache hit"));
}
