//! Fifty nodes at one gateway.

use hearth_tests::relay::{RelayStream, RelayWorld, ScriptedNode, long_request};
use tokio::task::JoinSet;

const NODES_COUNT: usize = 50;
/// Answers of each.
const ANSWERS_COUNT: usize = 3;

fn model(number: usize) -> String {
    format!("model-{number}")
}

async fn serve(node: ScriptedNode, number: usize) {
    for _ in 0..ANSWERS_COUNT {
        let mut run = node.next_run().await;
        node.serve(&mut run, &["I am ", &model(number)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_nodes_answer_each_for_its_own_model() {
    let world = RelayWorld::start().await;
    let mut nodes = JoinSet::new();
    for number in 0..NODES_COUNT {
        let node = world.scripted(&format!("node-{number}"), &[&model(number)]).await;
        nodes.spawn(serve(node, number));
    }
    world.wait_for_model(&model(NODES_COUNT - 1)).await;
    let mut clients = JoinSet::new();
    for number in 0..NODES_COUNT {
        let client = world.client();
        clients.spawn(async move {
            let mut ids = Vec::new();
            for _ in 0..ANSWERS_COUNT {
                let stream = RelayStream::open(&client, &long_request(&model(number), 100)).await;
                let answer = stream.unwrap_or_else(|answer| panic!("{answer:?}")).rest().await;
                answer.assert_whole(&format!("I am {}", model(number)));
                ids.push(answer.id);
            }
            ids
        });
    }
    let ids = clients.join_all().await.concat();
    nodes.join_all().await;
    assert_eq!(ids.len(), NODES_COUNT * ANSWERS_COUNT);
    for id in ids {
        world.assert_ended_once(&id).await;
    }
}
