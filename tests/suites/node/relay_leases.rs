//! The lease of a run that a node has claimed.

use hearth_domain::{NodeId, Owner, Priority, RunId, Timestamp, UserId};
use hearth_gateway::{Gateway, HttpClients, Options, Routing, nodes::NodeRecord};
use hearth_store::{
    Store, StoreError,
    database::Durability,
    home,
    relay::{Assignment, AssignmentEnd, AssignmentState},
};
use hearth_wire::{ApiError, ErrorCode, RunEvent, RunEventBody, node::NodeRun, relay::NodeEventBatch};
use tempfile::TempDir;

use crate::in_process::short_task;

/// A lease that ends in this time is renewed by a batch.
const SHORT_MS: i64 = 1000;

struct World {
    gateway: Gateway,
    store: Store,
    node: NodeRecord,
    _folder: TempDir,
}

fn now_ms() -> i64 {
    i64::try_from(Timestamp::now().unix_millis()).unwrap()
}

impl World {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = TempDir::new().unwrap();
        let store = home::open(folder.path(), Durability::Os).unwrap();
        store.migrate().await.unwrap();
        let options = Options { long_lived: true, ..Options::default() };
        let http = HttpClients::new().unwrap();
        let gateway = Gateway::new(store.clone(), http, options, Routing::default());
        let node = NodeRecord::new(NodeId::new(), Owner::of_record(UserId::new(), None), "node");
        store.nodes().put(&node).await.unwrap();
        Self { gateway, store, node, _folder: folder }
    }

    /// A run that the node has claimed, with a lease that ends soon.
    async fn claimed(&self) -> (RunId, Assignment) {
        let run = NodeRun {
            run: RunId::new(),
            model: "tiny-chat".to_owned(),
            task: short_task().into(),
            priority: Priority::default(),
            whole: false,
            detached: false,
        };
        let (relay, until) = (self.store.relay(), now_ms() + SHORT_MS);
        let assigned = relay.assign(self.node.id, &run).await.unwrap();
        (run.run, relay.claim(self.node.id, run.run, &assigned, until, None).await.unwrap())
    }

    async fn post(&self, run: RunId, body: RunEventBody, seq: u64) {
        let batch = NodeEventBatch { fence: 1, events: vec![RunEvent { seq, body }] };
        self.gateway.relay().append(&self.node, run, batch).await.unwrap();
    }
}

#[tokio::test]
async fn batch_that_is_accepted_as_the_lease_ends_keeps_the_run() {
    let world = World::start().await;
    let (first, claimed) = world.claimed().await;
    world.post(first, RunEventBody::Started { prompt_tokens: 3 }, 1).await;
    // Another run begins without a renewal, as if its first batch were old.
    let (second, _) = world.claimed().await;
    let relay = world.store.relay();
    relay.begin(world.node.id, second, 1, now_ms() + SHORT_MS).await.unwrap();
    world.post(second, RunEventBody::Started { prompt_tokens: 3 }, 1).await;
    for run in [first, second] {
        let error = ApiError::new(ErrorCode::NodeLost, "it posted nothing");
        let (max, end) = (now_ms() + 10 * SHORT_MS, AssignmentEnd::Lost { error });
        let open = AssignmentState::OPEN;
        let lost = relay.end_assignment(world.node.id, run, &claimed, &open, Some(max), &end).await;
        assert!(matches!(lost, Err(StoreError::Conflict)), "{lost:?}");
        let now = relay.assignment(world.node.id, run).await.unwrap().unwrap();
        assert_eq!(now.state, AssignmentState::Running);
        // The next batch comes within the lease, and costs no renewal.
        world.post(run, RunEventBody::text("one"), 2).await;
        assert_eq!(relay.assignment(world.node.id, run).await.unwrap(), Some(now));
    }
}
