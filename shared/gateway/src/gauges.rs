//! Gauges that are set when the metrics are read. Set at events they would be stale: a circuit becomes half-open by time, and
//! a node goes away without a word.

use std::time::Duration;

use crate::{components::Components, nodes::NodeState};

/// Time for which a scrape waits for the nodes, whose default limit is ten seconds.
const NODE_PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Sets the gauges of runs, providers and nodes.
pub(crate) async fn update(components: &Components) {
    #[expect(clippy::cast_precision_loss, reason = "a graph needs few digits")]
    metrics::gauge!("hearth_runs_in_progress").set(components.runs.in_progress() as f64);
    if !components.background.outlives_response() {
        // A function may read no keys of nodes and providers only to report their state.
        return;
    }
    let nodes = async {
        for node in components.nodes.probe(NODE_PROBE_TIMEOUT).await.unwrap_or_default() {
            let answers = node.state == NodeState::Answers;
            metrics::gauge!("hearth_node_up", "node" => node.name).set(f64::from(u8::from(answers)));
        }
    };
    tokio::join!(components.providers.update_gauges(), nodes);
}
