//! First token and token rate of a node that is away, against the same node alone.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use fault_proxy::{FaultProxy, Network};

use super::{
    Plan,
    node::{Gateway, Node},
};
use crate::{
    client::{Ask, Chat, Client},
    hearth,
    random::Random,
    rounds::{in_turns, seed},
    server::{Capacity, Server},
    statistics::median,
    table::{Goal, Row, Table},
};

/// The way by which the gateway reaches the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Relay,
    Direct,
}

/// As in the other measurements: the tiny model's own time is short.
const CAPACITY: Capacity = Capacity { threads: 1, slots: 4, context: 2048 };
/// Words of each prompt.
const WORDS: usize = 4;
/// The model in the binary.
const TINY_ID: &str = "tiny-chat";
/// Milliseconds that the relay may take beside its round trips.
const FIRST_TOKEN_LIMIT_MS: f64 = 50.0;
/// Tokens a second that the relay must not limit a stream below.
const RATE_LIMIT: f64 = 60.0;
/// An address where nothing listens: the upstream before the node has a port.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Measures at one round trip time.
pub(super) async fn measure(
    hearth: &Path,
    way: Way,
    round_trip: Duration,
    plan: Plan,
    table: &mut Table,
) -> Result<()> {
    let alone = hearth::node(hearth, None, CAPACITY).await?.warm_up().await?;
    let gateway = Gateway::start(hearth).await?;
    let upstream = if way == Way::Relay { &gateway.url } else { NOWHERE };
    let proxy = FaultProxy::start(upstream).await.context("no proxy")?;
    let (code, variables) = (gateway.code().await?, variables());
    let node = match way {
        Way::Relay => Node::start(hearth, &proxy.url(), &code, None, &variables).await?,
        Way::Direct => {
            let node = Node::start(hearth, &gateway.url, &code, Some(&proxy.url()), &variables).await?;
            proxy.set_upstream(node.url.as_deref().context("the node has no address")?)?;
            node
        }
    };
    gateway.wait_for_model(TINY_ID).await?;
    let chat = Chat::new(&gateway.url, Some(gateway.token.clone()))?;
    let name = if way == Way::Relay { "relay" } else { "direct" };
    let away = Server { name, client: Client::Chat(chat), process: gateway.process }.warm_up().await?;
    proxy.set_network(Network { round_trip, ..Network::default() });

    let what = format!("round trip of {} ms", round_trip.as_millis());
    let values = in_turns(&what, plan.rounds, &[&away, &alone], async |server, round| {
        let mut random = Random::new(seed(&what, round));
        let mut times = Vec::with_capacity(plan.first_tokens);
        for _ in 0..plan.first_tokens {
            times.push(server.client.ask(&Ask::random(&mut random, WORDS, 2)).await?.first_ms());
        }
        let stream = server.client.ask(&Ask::random(&mut random, WORDS, plan.stream_tokens)).await?;
        Ok((median(&times), stream.decode_rate()))
    })
    .await?;
    let all = |index: usize, value: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        values[index].iter().map(value).collect()
    };
    let first =
        Row::difference(format!("first token, {what}"), "ms", &all(0, |one| one.0), &all(1, |one| one.0));
    let limit = 2.0 * round_trip.as_secs_f64() * 1000.0 + FIRST_TOKEN_LIMIT_MS;
    table.push(first.goal(Goal::AtMost(limit)));
    let rates = (all(0, |one| one.1), all(1, |one| one.1));
    table.push(Row::ratio(format!("one stream, {what}"), "tok/s", &rates.0, &rates.1));
    table.push(
        Row::alone(format!("rate of a stream, {what}"), "tok/s", &rates.0).goal(Goal::AtLeast(RATE_LIMIT)),
    );
    node.process.stop().await?;
    away.process.stop().await?;
    alone.process.stop().await
}

fn variables() -> [(&'static str, String); 3] {
    [
        ("HEARTH_NODE__THREADS", CAPACITY.threads.to_string()),
        ("HEARTH_NODE__SLOTS", CAPACITY.slots.to_string()),
        ("HEARTH_NODE__CONTEXT_LENGTH", CAPACITY.context.to_string()),
    ]
}
