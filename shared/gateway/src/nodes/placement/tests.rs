use RuntimeState::{Busy, Failed, Loaded, Loading, Unloaded};

use super::*;

/// A shared node with a loaded model and four free slots.
fn node() -> NodeOption {
    NodeOption {
        is_own: false,
        is_draining: false,
        state: Loaded,
        model_runs: 0,
        slots: 4,
        node_runs: 0,
        runs_max_count: None,
        has_memory: None,
        tokens_per_second: None,
    }
}

fn with(change: impl FnOnce(&mut NodeOption)) -> NodeOption {
    let mut node = node();
    change(&mut node);
    node
}

#[test]
fn better_node_is_asked_first() {
    let state = |state| with(|node| node.state = state);
    let memory = |fits| with(|node| (node.state, node.has_memory) = (Unloaded, fits));
    let runs = |count| with(|node| node.model_runs = count);
    let speed = |speed| with(|node| node.tokens_per_second = Some(speed));
    let cases = [
        (
            "own before shared, even with a queue",
            with(|node| (node.is_own, node.state, node.model_runs) = (true, Busy, 9)),
            node(),
        ),
        ("in memory before loading", state(Busy), state(Loading)),
        ("loading before unloaded", state(Loading), state(Unloaded)),
        ("unloaded before failed", state(Unloaded), state(Failed)),
        ("free memory before an eviction", memory(Some(true)), memory(Some(false))),
        ("unknown memory before an eviction", memory(None), memory(Some(false))),
        ("a free slot before a queue", runs(3), runs(4)),
        ("a short queue before a long one", runs(5), runs(6)),
        ("more slots before a queue", with(|node| (node.model_runs, node.slots) = (6, 8)), runs(5)),
        (
            "in memory with a queue before unloaded",
            with(|node| (node.state, node.model_runs) = (Busy, 7)),
            memory(Some(true)),
        ),
        ("fast before slow", speed(60.0), speed(30.0)),
        ("unmeasured before measured", node(), speed(1000.0)),
        (
            "few runs before many, if the speeds are similar",
            with(|node| (node.tokens_per_second, node.model_runs) = (Some(40.0), 0)),
            with(|node| (node.tokens_per_second, node.model_runs) = (Some(42.0), 2)),
        ),
    ];
    for (case, first, second) in cases {
        assert_eq!(place(&[first.clone(), second.clone()]).order, [0, 1], "{case}");
        assert_eq!(place(&[second, first]).order, [1, 0], "{case}");
    }
    assert_eq!(place(&[node(), node(), node()]).order, [0, 1, 2], "equal nodes keep their order");
}

#[test]
fn draining_and_full_nodes_get_no_run() {
    let draining = with(|node| (node.is_own, node.is_draining) = (true, true));
    let taken = |runs, max| with(|node| (node.node_runs, node.runs_max_count) = (runs, Some(max)));
    let placement = place(&[draining, taken(2, 2), taken(1, 2), taken(0, 0)]);
    assert_eq!(placement.order, [2]);
    let passed_over = [(0, PassedOver::Draining), (1, PassedOver::Full(2)), (3, PassedOver::Full(0))];
    assert_eq!(placement.passed_over, passed_over);
    assert_eq!(PassedOver::Full(2).describe(), "has all the runs that it takes (2)");
}

#[test]
fn description_names_what_decides() {
    let cases = [
        (node(), "shared, model loaded, 4 of 4 slots free"),
        (
            with(|node| (node.is_own, node.model_runs, node.tokens_per_second) = (true, 5, Some(41.4))),
            "own, model loaded, 2 runs before, 41 tokens/s",
        ),
        (
            with(|node| (node.state, node.has_memory) = (Unloaded, Some(false))),
            "shared, model not loaded, and without free memory for it, 4 of 4 slots free",
        ),
    ];
    for (option, expected) in cases {
        assert_eq!(option.describe(), expected);
    }
}
