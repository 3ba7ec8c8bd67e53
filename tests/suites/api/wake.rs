//! Wake-on-LAN: the node in the gateway's process wakes another node of its owner.

use hearth_domain::{NodeId, Owner, Timestamp};
use hearth_store::{nodes::NodeRecord, relay::NodeSighting};
use hearth_tests::{Home, Setup, within};
use serde_json::json;
use tokio::net::UdpSocket;

/// A `hearth up` with an enrolled node that sleeps, and the socket that wake-up packets for it go to.
async fn with_a_sleeping_node(may_wake: bool) -> (Home, UdpSocket, NodeId) {
    let network = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
    let settings =
        format!("[node]\nmay_wake = {may_wake}\nwake_address = '{}'\n", network.local_addr().unwrap());
    let home = Setup::new().settings(&settings).start().await;
    let (home, node) = home
        .restart_after(async |store| {
            let owner = Owner::of_record(store.operator().await.unwrap(), None);
            let node = NodeRecord::new(NodeId::new(), owner, "sleeper");
            store.nodes().put(&node).await.unwrap();
            let then = Timestamp::from_unix(1_700_000_000);
            let report = NodeSighting {
                seen_at: then,
                lease_until: then,
                version: "1.0.0".to_owned(),
                clock_skew_ms: 0,
                runs_max_count: None,
                last_error: None,
                energy: None,
                mac: Some("00:11:22:33:44:55".to_owned()),
            };
            store.relay().record_report(node.id, &report).await.unwrap();
            node.id
        })
        .await;
    (home, network, node)
}

async fn receive(network: &UdpSocket) -> Vec<u8> {
    let mut packet = vec![0; 200];
    let (length, _) = within("a wake-up packet", network.recv_from(&mut packet)).await.unwrap();
    packet.truncate(length);
    packet
}

#[tokio::test]
async fn node_is_woken_by_another_of_its_owner() {
    let (home, network, node) = with_a_sleeping_node(true).await;
    let woken = home.client().post(&format!("/v1/nodes/{node}/wake"), &json!({})).await;
    assert_eq!((woken.status.as_u16(), woken.json()), (200, json!({"by": "this box"})), "{woken:?}");
    let packet = receive(&network).await;
    assert_eq!((packet.len(), &packet[6..12]), (102, &[0, 0x11, 0x22, 0x33, 0x44, 0x55][..]));
    home.stop().await;
}

#[tokio::test]
async fn request_that_waits_for_a_node_has_it_woken() {
    let (home, network, _) = with_a_sleeping_node(true).await;
    let body = json!({"model": "big-model", "input": {"prompt": "Hi"}, "stream": true, "prefer": "home"});
    let mut stream = home.client().stream("/v1/generate", &body).await;
    assert_eq!(stream.next_named("waiting").await.data["reason"], "offline");
    assert_eq!(receive(&network).await.len(), 102);
    drop(stream);
    home.stop().await;
}

#[tokio::test]
async fn node_wakes_no_other_unless_its_settings_allow_it() {
    let (home, _network, node) = with_a_sleeping_node(false).await;
    let refused = home.client().post(&format!("/v1/nodes/{node}/wake"), &json!({})).await;
    let error = refused.error(503, "node_offline");
    assert!(error["message"].as_str().unwrap().contains("may_wake"), "{error}");
    home.stop().await;
}
