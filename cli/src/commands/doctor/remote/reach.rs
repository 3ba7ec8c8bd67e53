//! The way to the gateway: address, TLS, latency, clock, and which program answers.

use std::time::{Duration, Instant, SystemTime};

use reqwest::{Response, header::DATE};
use serde_json::Value;

use super::super::finding::Finding;
use crate::client::{gateway_client::GatewayClient, terminal};

/// Timeout for a response. A function of the cloud may have a cold start before it.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);
/// Requests for the latency, after the first.
const LATENCY_SAMPLE_COUNT: usize = 5;
/// Median latency above which a user waits noticeably.
const LATENCY_WARNING_THRESHOLD: Duration = Duration::from_secs(1);
/// Difference of the clocks that is reported. Signed links and tokens expire by the gateway's clock.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);

/// Checks the way to the gateway. Also returns whether the program at its end is Hearth.
pub(super) async fn check(gateway: &GatewayClient) -> (Vec<Finding>, bool) {
    let mut findings = Vec::new();
    let began = Instant::now();
    let health = match get(gateway, "health").await {
        Ok(health) => health,
        Err(error) => {
            let advice = "check the address, the network and, for https, the certificates";
            return (vec![Finding::problem("connect", format!("{error:#}"), advice)], false);
        }
    };
    let first = began.elapsed();
    let (clock, answered_at) = (date(&health), SystemTime::now());
    findings.push(connected(gateway, first));
    let status = health.status();
    let body: Value = health.json().await.unwrap_or_default();
    if body["status"] != "ok" {
        let advice = "the address is of another program, or lacks a stage or a base path before the routes";
        findings.push(Finding::problem(
            "health",
            format!("/health answers {status}, and not as Hearth does"),
            advice,
        ));
        return (findings, false);
    }
    findings.push(version(gateway).await);
    findings.push(latency(gateway).await);
    findings.extend(clock.map(|clock| skew(clock, answered_at)));
    (findings, true)
}

/// Sends `GET` to a route of one segment, with a limit of the time.
async fn get(gateway: &GatewayClient, route: &str) -> anyhow::Result<Response> {
    let (anonymous, segments) = (gateway.with_token(None), [route]);
    let response = anonymous.response_of(&segments, &[]);
    response_of(tokio::time::timeout(RESPONSE_TIMEOUT, response).await, gateway)
}

pub(super) fn response_of<T>(
    response: Result<anyhow::Result<T>, tokio::time::error::Elapsed>,
    gateway: &GatewayClient,
) -> anyhow::Result<T> {
    response.unwrap_or_else(|_| {
        anyhow::bail!("{} doesn't answer within {} s", gateway.address(), RESPONSE_TIMEOUT.as_secs())
    })
}

fn connected(gateway: &GatewayClient, first: Duration) -> Finding {
    let (address, time) = (gateway.address(), milliseconds(first));
    if address.starts_with("https:") {
        return Finding::ok("connect", format!("{address} answers after {time}; its certificate is trusted"));
    }
    let message = format!("{address} answers after {time}, without TLS");
    if gateway.is_local() {
        return Finding::ok("connect", message);
    }
    Finding::warning(
        "connect",
        message,
        "tokens and prompts can be read on the way: put a proxy with TLS in front",
    )
}

async fn version(gateway: &GatewayClient) -> Finding {
    let body: Value = match get(gateway, "version").await {
        Ok(response) => response.json().await.unwrap_or_default(),
        Err(error) => return Finding::problem("version", format!("{error:#}"), "try again"),
    };
    let (name, version) = (body["name"].as_str(), body["version"].as_str());
    match (name, version) {
        (Some("hearth"), Some(version)) => {
            // Another program may have written it.
            let version = terminal::printable(version, true);
            Finding::ok("version", format!("hearth {version}; this command is {}", env!("CARGO_PKG_VERSION")))
        }
        _ => Finding::problem("version", "/version isn't Hearth's", "check the address and its path"),
    }
}

async fn latency(gateway: &GatewayClient) -> Finding {
    let mut times = Vec::with_capacity(LATENCY_SAMPLE_COUNT);
    for _ in 0..LATENCY_SAMPLE_COUNT {
        let began = Instant::now();
        match get(gateway, "health").await {
            // The connection is reused once the body is read.
            Ok(response) => drop(response.bytes().await),
            Err(error) => return Finding::problem("latency", format!("{error:#}"), "try again"),
        }
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let median = times[LATENCY_SAMPLE_COUNT / 2];
    let message = format!("{} for /health (median of {LATENCY_SAMPLE_COUNT})", milliseconds(median));
    if median > LATENCY_WARNING_THRESHOLD {
        return Finding::warning("latency", message, "choose a region nearby, or look for a slow proxy");
    }
    Finding::ok("latency", message)
}

fn date(response: &Response) -> Option<SystemTime> {
    httpdate::parse_http_date(response.headers().get(DATE)?.to_str().ok()?).ok()
}

fn skew(theirs: SystemTime, ours: SystemTime) -> Finding {
    let (ahead, difference) = match ours.duration_since(theirs) {
        Ok(difference) => (true, difference),
        Err(error) => (false, error.duration()),
    };
    if difference <= CLOCK_SKEW_MAX {
        return Finding::ok("clock", "this machine's clock and the gateway's agree");
    }
    let word = if ahead { "ahead of" } else { "behind" };
    Finding::warning(
        "clock",
        format!("this machine's clock is {} s {word} the gateway's", difference.as_secs()),
        "set the wrong one (`timedatectl set-ntp true`): tokens, links and certificates expire by it",
    )
}

/// Formats a time as whole milliseconds.
pub(super) fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

#[cfg(test)]
mod tests {
    use super::{super::super::finding::Level, *};

    #[test]
    fn clock_that_differs_by_minutes_is_a_warning() {
        let now = SystemTime::now();
        let minutes = |count| Duration::from_secs(60) * count;
        assert_eq!(skew(now, now + Duration::from_secs(30)).level, Level::Ok);
        let behind = skew(now + minutes(10), now);
        assert_eq!((behind.level, behind.message.contains("600 s behind")), (Level::Warning, true));
        assert!(skew(now - minutes(10), now).message.contains("ahead of"));
    }
}
