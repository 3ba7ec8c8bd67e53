use std::sync::Arc;

use hearth_domain::{Generation, Message, ModelId, ModelInfo, Price, Role, Sampling, Selection, TextTask};
use hearth_providers::{Defaults, Endpoint, HttpProvider, ProviderSettings};

use super::*;
use crate::providers::model_metrics::ModelMetrics;

fn candidate(provider: &str, price: Option<(&str, &str)>) -> Candidate {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config: ProviderSettings =
        serde_json::from_str(r#"{"kind": "openai_compatible", "base_url": "http://h"}"#).unwrap();
    let endpoint = Endpoint::new(provider, &config, None).unwrap();
    let price = price.map(|(input, output)| Price {
        input: Some(input.parse().unwrap()),
        output: Some(output.parse().unwrap()),
        ..Price::default()
    });
    Candidate {
        account: provider.to_owned(),
        is_members_machine: false,
        provider: Arc::new(HttpProvider::new(endpoint, reqwest::Client::new())),
        node: None,
        model: ModelId::new("m"),
        info: Some(ModelInfo { price, ..ModelInfo::default() }),
        selected: Selection::example("m", provider),
        defaults: Defaults::default(),
        loads_at: None,
        exhausted: None,
        placement: None,
        energy: None,
    }
}

fn needs(prompt: &str, max_tokens: u32) -> Needs {
    let sampling = Sampling { max_tokens: Some(max_tokens), ..Sampling::default() };
    let task = TextTask::new(vec![Message::new(Role::User, prompt)], sampling);
    Needs::of(&Generation::new(None, task))
}

struct World {
    load: LoadTracker,
    round_robin: WeightedRoundRobin,
}

impl World {
    fn new() -> Self {
        Self { load: LoadTracker::default(), round_robin: WeightedRoundRobin::default() }
    }

    fn ordered(&self, strategy: Strategy, candidates: Vec<Weighted>, needs: &Needs) -> String {
        let ordered = order(strategy, candidates, "alias", needs, &self.load, &self.round_robin);
        ordered.into_iter().map(|candidate| candidate.selected.provider).collect()
    }
}

fn abc() -> Vec<Weighted> {
    ["a", "b", "c"].map(|name| (candidate(name, None), 1)).to_vec()
}

#[test]
fn least_busy_comes_first_and_equals_keep_their_order() {
    let (world, needs) = (World::new(), needs("hi", 10));
    let ordered = || world.ordered(Strategy::LeastBusy, abc(), &needs);
    assert_eq!(ordered(), "abc");
    let begin = |provider| world.load.begin(provider, "m", || ModelMetrics::new(provider, "m"));
    let first = begin("a");
    let _second = begin("b");
    assert_eq!(ordered(), "cab");
    drop(first);
    assert_eq!(ordered(), "acb");
    assert_eq!(world.ordered(Strategy::Priority, abc(), &needs), "abc");
}

#[test]
fn model_without_a_latency_comes_first() {
    let (world, needs) = (World::new(), needs("hi", 10));
    for (provider, millis) in [("a", 90), ("b", 20)] {
        world.load.record_first_token(provider, "m", Duration::from_millis(millis));
    }
    assert_eq!(world.ordered(Strategy::Latency, abc(), &needs), "cba");
}

#[test]
fn cheapest_is_computed_for_the_request() {
    let world = World::new();
    let candidates = || {
        vec![
            (candidate("u", None), 1),
            (candidate("i", Some(("1", "20"))), 1),
            (candidate("o", Some(("5", "6"))), 1),
        ]
    };
    // A long prompt and a short answer, and the other way round.
    let long_prompt = needs(&"word ".repeat(6000), 10);
    assert_eq!(world.ordered(Strategy::Cost, candidates(), &long_prompt), "iou");
    assert_eq!(world.ordered(Strategy::Cost, candidates(), &needs("hi", 1000)), "oiu");
}

#[test]
fn round_robin_follows_weights_without_runs() {
    let (world, needs) = (World::new(), needs("hi", 10));
    let candidates = || vec![(candidate("a", None), 5), (candidate("b", None), 1), (candidate("c", None), 1)];
    let firsts: String =
        (0..14).map(|_| world.ordered(Strategy::Weighted, candidates(), &needs).remove(0)).collect();
    assert_eq!(firsts, "aabacaaaabacaa");
    // Without the first, the others share.
    let two = || candidates().split_off(1);
    let firsts: String = (0..4).map(|_| world.ordered(Strategy::Weighted, two(), &needs).remove(0)).collect();
    assert_eq!((firsts.matches('b').count(), firsts.matches('c').count()), (2, 2));
}
