//! Check of this machine's enrolment at a gateway.

use std::path::Path;

use hearth_node::link::NodeIdentity;

use super::{finding::Finding, gateway::health};
use crate::client::connection::Connection;

/// Checks whether the gateway at which the data folder is enrolled answers; nothing if it isn't enrolled.
pub(super) async fn enrolment(data: &Path) -> Option<Finding> {
    let identity = match NodeIdentity::load(data) {
        Ok(identity) => identity?,
        Err(error) => {
            let advice = "correct that, or enrol anew: hearth node enroll GATEWAY CODE --replace";
            return Some(Finding::problem("enrolment", error.to_string(), advice));
        }
    };
    let gateway = identity.gateway.as_str().trim_end_matches('/');
    let enrolled = format!("enrolled at {gateway} as {}", identity.node);
    Some(match health(&Connection::fixed(gateway)).await {
        Ok(()) => Finding::ok("enrolment", format!("{enrolled}; the gateway answers")),
        Err(error) => Finding::warning(
            "enrolment",
            format!("{enrolled}, but: {error:#}"),
            "`hearth node run` tries again until the gateway answers; if its address has changed, enrol anew with --replace",
        ),
    })
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, routing::get};
    use hearth_auth::NodeKey;
    use hearth_domain::NodeId;
    use serde_json::json;

    use super::{super::finding::Level, *};
    use crate::client::testing::{closed_port, serve};

    #[tokio::test]
    async fn enrolment_is_found_with_its_gateway() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(enrolment(data.path()).await, None);
        let ours = serve(Router::new().route("/health", get(async || Json(json!({"status": "ok"}))))).await;
        let stopped = closed_port().await;
        let node = NodeId::new();
        for (url, level, words) in
            [(&ours, Level::Ok, "the gateway answers"), (&stopped, Level::Warning, "no gateway answers")]
        {
            let gateway = url.parse().unwrap();
            let identity =
                NodeIdentity { gateway, node, gateway_key: "AAAA".to_owned(), key: NodeKey::generate() };
            identity.store(data.path()).unwrap();
            let finding = enrolment(data.path()).await.unwrap();
            assert_eq!(finding.level, level, "{finding}");
            assert!(
                finding.message.contains(words) && finding.message.contains(&node.to_string()),
                "{finding}"
            );
            assert!(!finding.message.contains("--url"), "{finding}");
        }
        std::fs::write(NodeIdentity::path(data.path()), "{").unwrap();
        assert_eq!(enrolment(data.path()).await.unwrap().level, Level::Problem);
    }
}
