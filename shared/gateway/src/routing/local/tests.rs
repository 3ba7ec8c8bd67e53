use std::collections::HashMap;

use hearth_auth::LinkSigner;
use hearth_domain::{ModelDescription, NodeId};
use hearth_wire::{node::NodeStatus, runtime_status::RuntimeStatus};

use super::*;

use Modality::{Embedding, Text};
use RuntimeState::{Busy, Failed, Loaded, Loading, Unloaded};

fn model(id: &str, modality: Modality, state: RuntimeState) -> NodeModel {
    NodeModel {
        id: id.into(),
        description: ModelDescription::new(id.to_uppercase(), modality),
        size_bytes: 1,
        path: None,
        runtime: RuntimeStatus {
            state,
            progress: None,
            default: false,
            active: 0,
            queue_depth: 0,
            slots: 4,
            memory_bytes: None,
            memory_predicted_bytes: None,
            pid: None,
            loaded_at: None,
            last_used_at: None,
            error: None,
            backends: None,
        },
    }
}

fn named_node(name: &str, defaults: &[(Modality, &str)], models: Vec<NodeModel>) -> LiveNode {
    // A client, whose TLS is never used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let record = NodeRecord::new(NodeId::new(), Caller::example().owner(), name);
    let signer = LinkSigner::from_seed(&[7; 32]);
    let link = NodeLink::new(record.id, "http://127.0.0.1:1", reqwest::Client::new(), signer);
    let default_models: HashMap<_, _> = defaults.iter().map(|(m, id)| (*m, (*id).to_owned())).collect();
    let status = NodeStatus { default_models, models, ..NodeStatus::default() };
    let (record, status) = (Arc::new(record), Arc::new(status));
    LiveNode { link, record, status, state: None, assigned_runs: 0 }
}

fn node(defaults: &[(Modality, &str)], models: Vec<NodeModel>) -> LiveNode {
    named_node("box", defaults, models)
}

/// A shared node without runs.
fn option_of(node: &LiveNode, model: &NodeModel) -> NodeOption {
    NodeOption {
        is_own: false,
        is_draining: node.record.is_draining,
        state: model.runtime.state,
        model_runs: model.runtime.active,
        slots: model.runtime.slots,
        node_runs: model.runtime.active,
        runs_max_count: None,
        has_memory: None,
        tokens_per_second: None,
    }
}

/// The first choice.
fn choose_first<'a>(
    nodes: &'a [LiveNode],
    id: Option<&str>,
    modality: Modality,
    wait: WhileLoading,
    may_use: impl Fn(&NodeModel) -> bool,
) -> Result<Choice<'a>, ApiError> {
    choose(nodes, id, modality, wait, may_use, option_of).map(|choices| choices.order[0].clone())
}

/// A node with a default of each kind, and others.
fn box_with(default: RuntimeState, other: RuntimeState) -> LiveNode {
    let models = vec![
        model("aaa-embed", Embedding, Unloaded),
        model("chat", Text, default),
        model("embed", Embedding, Loaded),
        model("other", Text, other),
    ];
    node(&[(Text, "chat"), (Embedding, "embed")], models)
}

type Outcome = Result<(String, bool), ErrorCode>;

fn outcome(nodes: &[LiveNode], id: Option<&str>, modality: Modality, wait: WhileLoading) -> Outcome {
    let choice = choose_first(nodes, id, modality, wait, |_| true).map_err(|error| error.code)?;
    Ok((choice.model.id.clone(), choice.reason == Reason::WhileLoading))
}

#[test]
fn model_has_the_modality_of_the_request() {
    let nodes = [box_with(Loaded, Unloaded)];
    let resolved = |id: &str| Ok((id.to_owned(), false));
    let cases = [
        (None, Text, resolved("chat")),
        (None, Embedding, resolved("embed")),
        (Some("other"), Text, resolved("other")),
        (Some("aaa-embed"), Embedding, resolved("aaa-embed")),
        (Some("chat"), Embedding, Err(ErrorCode::InvalidRequest)),
        (Some("embed"), Text, Err(ErrorCode::InvalidRequest)),
        (Some("nothing"), Text, Err(ErrorCode::ModelNotFound)),
        (None, Modality::Image, Err(ErrorCode::NoModelAvailable)),
    ];
    for (id, modality, expected) in cases {
        assert_eq!(outcome(&nodes, id, modality, WhileLoading::Wait), expected, "{id:?} {modality:?}");
    }
    let error = choose_first(&nodes, Some("embed"), Text, WhileLoading::Wait, |_| true).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("model"));
}

#[test]
fn node_without_a_default_serves_with_any_model() {
    let spare = node(&[], vec![model("broken", Text, Failed), model("spare", Text, Unloaded)]);
    let gone = node(&[(Text, "gone")], vec![model("chat", Text, Loaded)]);
    let nodes = [node(&[], Vec::new()), gone, spare];
    assert_eq!(outcome(&nodes, None, Text, WhileLoading::Wait), Ok(("spare".to_owned(), false)));
}

#[test]
fn default_serves_while_a_model_loads_if_requested_and_loaded() {
    let while_loading =
        |default, other, wait| outcome(&[box_with(default, other)], Some("other"), Text, wait);
    for other in [Unloaded, Loading] {
        for default in [Loaded, Busy] {
            let chosen = while_loading(default, other, WhileLoading::Default);
            assert_eq!(chosen, Ok(("chat".to_owned(), true)), "{default:?} for {other:?}");
            let chosen = while_loading(default, other, WhileLoading::Wait);
            assert_eq!(chosen, Ok(("other".to_owned(), false)), "{default:?} for {other:?}");
        }
        for default in [Unloaded, Loading, Failed] {
            let chosen = while_loading(default, other, WhileLoading::Default);
            assert_eq!(chosen, Ok(("other".to_owned(), false)), "{default:?} for {other:?}");
        }
    }
    for other in [Loaded, Busy, Failed] {
        let chosen = while_loading(Loaded, other, WhileLoading::Default);
        assert_eq!(chosen, Ok(("other".to_owned(), false)), "for {other:?}");
    }
}

#[test]
fn default_that_the_caller_may_not_use_is_replaced() {
    let nodes = [box_with(Loaded, Loaded)];
    let choose_of = |id: Option<&str>, usable: &[&str]| {
        let choice =
            choose_first(&nodes, id, Text, WhileLoading::Wait, |model| usable.contains(&model.id.as_str()));
        choice.map(|choice| choice.model.id.clone()).map_err(|error| error.code)
    };
    assert_eq!(choose_of(None, &["chat", "other"]), Ok("chat".to_owned()));
    assert_eq!(choose_of(None, &["other"]), Ok("other".to_owned()));
    assert_eq!(choose_of(None, &["embed"]), Err(ErrorCode::NoModelAvailable));
}

fn names<'a>(choices: &'a [Choice<'_>]) -> Vec<&'a str> {
    choices.iter().map(|choice| choice.node.record.name.as_str()).collect()
}

#[test]
fn every_node_with_the_model_is_a_candidate_in_the_order_of_placement() {
    let busy = NodeModel {
        runtime: RuntimeStatus { active: 4, ..model("chat", Text, Busy).runtime },
        ..model("chat", Text, Busy)
    };
    let mut draining = named_node("draining", &[], vec![model("chat", Text, Loaded)]);
    Arc::make_mut(&mut draining.record).is_draining = true;
    let nodes = [
        named_node("cold", &[(Text, "chat")], vec![model("chat", Text, Unloaded)]),
        draining,
        named_node("busy", &[], vec![busy]),
        named_node("other", &[], vec![model("other", Text, Loaded)]),
        named_node("free", &[], vec![model("chat", Text, Loaded)]),
        named_node("of vectors", &[], vec![model("chat", Embedding, Loaded)]),
    ];
    let choose = |id| choose(&nodes, id, Text, WhileLoading::Wait, |_| true, option_of).unwrap();
    let choices = choose(Some("chat"));
    assert_eq!(names(&choices.order), ["free", "busy", "cold"]);
    let passed_over: Vec<_> = choices.passed_over.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(passed_over, [PassedOver::Draining]);
    // Without a name each node serves with its default model.
    assert_eq!(names(&choose(None).order), ["other", "free", "busy", "cold"]);
}

#[test]
fn default_in_memory_of_any_node_serves_while_a_model_loads() {
    let nodes = [
        named_node("cold", &[], vec![model("wanted", Text, Unloaded)]),
        named_node("warm", &[(Text, "chat")], vec![model("chat", Text, Loaded)]),
    ];
    let choices = choose(&nodes, Some("wanted"), Text, WhileLoading::Default, |_| true, option_of).unwrap();
    assert_eq!((names(&choices.order), choices.order[0].reason), (vec!["warm"], Reason::WhileLoading));
    let (node, model) = choices.load.unwrap();
    assert_eq!((&*node.record.name, &*model.id), ("cold", "wanted"));
}

#[test]
fn error_names_the_nodes_that_are_passed_over() {
    let mut draining = named_node("attic", &[], vec![model("chat", Text, Loaded)]);
    Arc::make_mut(&mut draining.record).is_draining = true;
    let nodes = [draining, named_node("cellar", &[], vec![model("chat", Text, Loaded)])];
    let full =
        |node: &LiveNode, model: &NodeModel| NodeOption { runs_max_count: Some(0), ..option_of(node, model) };
    let choices = choose(&nodes, Some("chat"), Text, WhileLoading::Wait, |_| true, full).unwrap();
    assert!(choices.order.is_empty());
    let error = all_passed_over(&choices.passed_over);
    assert_eq!(error.code, ErrorCode::QueueFull);
    for name in ["attic is draining", "cellar has all the runs that it takes (0)"] {
        assert!(error.message.contains(name), "{}", error.message);
    }
    let error = all_passed_over(&choices.passed_over[..1]);
    assert_eq!(error.code, ErrorCode::NoModelAvailable);
}
