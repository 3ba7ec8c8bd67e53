//! Gauges that are set when the metrics are read. Set at events they would be stale: a circuit becomes half-open by time, and
//! a node goes away without a word.

use std::time::Duration;

use crate::{components::Components, nodes::NodeState};

/// Time for which a scrape waits for the nodes, whose default limit is ten seconds.
const NODE_PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Limit of the number of nodes with gauges of their own, the oldest ones: members enrol nodes, in any number.
const LABELLED_NODES_MAX_COUNT: usize = 100;

/// Sets the gauges of runs, providers and nodes.
pub(crate) async fn update(components: &Components) {
    #[expect(clippy::cast_precision_loss, reason = "a graph needs few digits")]
    metrics::gauge!("hearth_runs_in_progress").set(components.runs.in_progress() as f64);
    components.job_engine.update_gauges();
    if !components.background.outlives_response() {
        // A function may read no keys of nodes and providers only to report their state.
        return;
    }
    let nodes = async {
        let nodes = components.nodes.probe(NODE_PROBE_TIMEOUT).await.unwrap_or_default();
        for node in nodes.into_iter().take(LABELLED_NODES_MAX_COUNT) {
            let answers = node.state == NodeState::Answers;
            metrics::gauge!("hearth_node_up", "node" => node.name.clone()).set(f64::from(u8::from(answers)));
            metrics::gauge!("hearth_node_draining", "node" => node.name.clone())
                .set(f64::from(u8::from(node.is_draining)));
            metrics::gauge!("hearth_node_gateway_runs", "node" => node.name).set(f64::from(node.runs));
        }
    };
    tokio::join!(components.providers.update_gauges(), nodes);
}
