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

fn node(defaults: &[(Modality, &str)], models: Vec<NodeModel>) -> LiveNode {
    // A client, whose TLS is never used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let link = NodeLink::new(
        NodeId::new(),
        "http://127.0.0.1:1",
        reqwest::Client::new(),
        LinkSigner::from_seed(&[7; 32]),
    );
    let default_models: HashMap<_, _> = defaults.iter().map(|(m, id)| (*m, (*id).to_owned())).collect();
    let status = NodeStatus { default_models, models, ..NodeStatus::default() };
    LiveNode { link, status: Arc::new(status) }
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
    let choice = choose(nodes, id, modality, wait).map_err(|error| error.code)?;
    let selected = choice.candidate().selected;
    assert_eq!(selected.fallback_used, selected.fallback_reason.is_some());
    Ok((selected.model.to_string(), selected.fallback_used))
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
    let error = choose(&nodes, Some("embed"), Text, WhileLoading::Wait).err().unwrap();
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
