//! Enrolment: a member makes a one-time code, and the node that has it becomes the member's.

use std::{collections::HashSet, net::IpAddr, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hearth_auth::{CodeKind, OneTimeCode};
use hearth_domain::{Action, MemberRole, NodeId, NodeSharing, Owner, Timestamp};
use hearth_providers::PinnedKey;
use hearth_store::{StoreError, node_codes::NodeCodeRecord};
use hearth_wire::{
    ApiError, ErrorCode,
    native::nodes::CreateNodeCode,
    relay::{EnrollBody, Enrolled},
};

use super::NodeRecord;
use crate::{
    Caller, Gateway,
    access::Membership,
    error::{self, invalid_code},
    names::{NAME_MAX_CHARS, check_name},
    public_address::{has_public_host, is_public},
};

/// Time for which a code is valid.
const CODE_TTL: Duration = Duration::from_secs(10 * 60);
/// Limit of the nodes of an organisation.
const NODE_MAX_COUNT: usize = 2000;
/// Maximum length of an address, and of a region.
const TEXT_MAX_CHARS: usize = 500;
/// Name of a node that gives none.
const DEFAULT_NAME: &str = "node";

/// A code by which a node is enrolled.
#[derive(Debug)]
pub struct NodeCode {
    /// The code.
    pub code: OneTimeCode,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Gateway {
    /// Makes a code by which one node is enrolled as the caller's.
    ///
    /// # Errors
    /// `invalid_request` for a bad name; `conflict` if the organisation has too many nodes.
    #[crate::boxed_future]
    pub async fn create_node_code(
        &self,
        caller: &Caller,
        request: CreateNodeCode,
    ) -> Result<NodeCode, ApiError> {
        let name = request.name.as_deref().map(check_name).transpose()?;
        self.require_room(caller.owner()).await?;
        let (code, created_at) = (OneTimeCode::generate(CodeKind::NodeEnrollment), Timestamp::now());
        let expires_at = created_at.plus(CODE_TTL);
        let record = NodeCodeRecord {
            hash: code.hash(),
            owner: caller.user,
            organisation: caller.organisation,
            name,
            created_at,
            expires_at,
        };
        self.0.store.node_codes().create(&record).await.map_err(error::store)?;
        Ok(NodeCode { code, expires_at })
    }

    /// Enrols a node by a code; it serves the code's maker alone. Returns the maker too.
    ///
    /// # Errors
    /// `rate_limited` after too many attempts from one network; `forbidden` if the code isn't valid; `invalid_request`;
    /// `conflict` if the organisation has too many nodes.
    #[crate::boxed_future]
    pub async fn enroll_node(
        &self,
        request: EnrollBody,
        address: Option<IpAddr>,
    ) -> Result<(Owner, Enrolled), ApiError> {
        self.0.throttle.by_address(address).await?;
        let (code, maker) = self.valid_node_code(&request).await?;
        let mut node = new_node(&code, &maker, request)?;
        // One at a time: two nodes that are enrolled at the same moment would get one name.
        let enrolling = self.0.nodes.enrolling.lock().await;
        let others = self.require_room(code.owner()).await?;
        node.name = free_name(&node, &others);
        let gateway_key = self.0.keys.get().await?.link().public_key();
        self.0.store.node_codes().redeem(&code, &node).await.map_err(|error| match error {
            StoreError::Conflict => invalid_code(),
            error => error::store(error),
        })?;
        drop(enrolling);
        self.rename_if_taken(&mut node).await;
        self.0.throttle.succeed_by_address(address).await?;
        self.0.nodes.forget(code.organisation);
        tracing::info!(node = %node.id, owner = %node.owner, "a node was enrolled");
        Ok((code.owner(), Enrolled { node: node.id, name: node.name, gateway_key }))
    }

    /// Gives a new node another name, if another process has enrolled one of this name at the same moment. The one with the later id
    /// changes.
    async fn rename_if_taken(&self, node: &mut NodeRecord) {
        if self.0.background.outlives_response() {
            return;
        }
        let Ok(mut others) = self.0.store.nodes().of(node.owner().organisation).await else { return };
        others.retain(|other| other.id < node.id);
        let name = free_name(node, &others);
        if name == node.name {
            return;
        }
        let renamed = NodeRecord { name, ..node.clone() };
        match self.0.store.nodes().change(&renamed).await {
            Ok(()) => *node = renamed,
            Err(error) => tracing::warn!(node = %node.id, %error, "a node has the name of another one"),
        }
    }

    /// The record of a code whose maker may still enrol nodes, and the maker's membership.
    async fn valid_node_code(&self, request: &EnrollBody) -> Result<(NodeCodeRecord, Membership), ApiError> {
        let code = OneTimeCode::parse(CodeKind::NodeEnrollment, &request.code).ok_or_else(invalid_code)?;
        let code = self.0.store.node_codes().by_hash(&code.hash()).await.map_err(error::store)?;
        let code = code.ok_or_else(invalid_code)?;
        let membership = self.0.access.membership(code.organisation, code.owner).await;
        let membership = membership.map_err(|error| match error.code {
            ErrorCode::Unauthorized => invalid_code(),
            _ => error,
        })?;
        let permission = Action::ManageNodes.permission();
        match permission.is_allowed(membership.role, membership.is_operator) {
            true => Ok((code, membership)),
            false => Err(invalid_code()),
        }
    }

    /// The organisation's nodes, if there is room for another one.
    async fn require_room(&self, owner: Owner) -> Result<Vec<NodeRecord>, ApiError> {
        let nodes = self.0.store.nodes().of(owner.organisation).await.map_err(error::store)?;
        if nodes.len() < NODE_MAX_COUNT {
            return Ok(nodes);
        }
        let message = format!("the organisation has {NODE_MAX_COUNT} nodes; revoke those that aren't needed");
        Err(ApiError::new(ErrorCode::Conflict, message))
    }
}

/// The name of a new node, with a number behind it if another node of its owner has that name: `cellar-2`.
fn free_name(node: &NodeRecord, others: &[NodeRecord]) -> String {
    let own = others.iter().filter(|other| other.owner == node.owner);
    let taken: HashSet<&str> = own.map(|other| other.name.as_str()).collect();
    if !taken.contains(node.name.as_str()) {
        return node.name.clone();
    }
    let numbered = |number: usize| {
        let suffix = format!("-{number}");
        let beginning: String = node.name.chars().take(NAME_MAX_CHARS - suffix.len()).collect();
        format!("{beginning}{suffix}")
    };
    // One of them is free: there are more than taken ones.
    let mut names = (2..=taken.len() + 2).map(numbered);
    names.find(|name| !taken.contains(name.as_str())).unwrap_or_else(|| node.name.clone())
}

/// The record of a node that `maker` enrols by a code.
fn new_node(code: &NodeCodeRecord, maker: &Membership, request: EnrollBody) -> Result<NodeRecord, ApiError> {
    let is_key = BASE64_STANDARD.decode(&request.public_key).is_ok_and(|key| key.len() == 32);
    if !is_key {
        let message = "public_key must be an Ed25519 public key: 32 bytes in base64";
        return Err(ApiError::invalid("public_key", message));
    }
    let may_be_private = may_name_private(maker);
    if let Some(url) = &request.url {
        check_address(url, may_be_private)?;
    }
    if request.certificate_key.as_deref().is_some_and(|key| PinnedKey::parse(key).is_none()) {
        let message = "certificate_key must be a SHA-256 in hexadecimal: 64 characters";
        return Err(ApiError::invalid("certificate_key", message));
    }
    let region = request.region.filter(|region| !region.is_empty());
    if region.as_deref().is_some_and(|region| region.len() > TEXT_MAX_CHARS) {
        return Err(ApiError::invalid(
            "region",
            format!("region must have at most {TEXT_MAX_CHARS} characters"),
        ));
    }
    let name = match code.name.clone().or(request.name) {
        Some(name) => check_name(&name)?,
        None => DEFAULT_NAME.to_owned(),
    };
    Ok(NodeRecord {
        region,
        url: request.url,
        public_key: Some(request.public_key),
        certificate_key: request.certificate_key,
        sharing: NodeSharing::default(),
        is_public_only: !may_be_private,
        ..NodeRecord::new(NodeId::new(), code.owner(), name)
    })
}

/// True for those who may have the gateway connect to its own network: they run it.
fn may_name_private(maker: &Membership) -> bool {
    maker.is_operator && matches!(maker.role, MemberRole::Owner | MemberRole::Admin)
}

/// Checks the address of a node.
///
/// # Errors
/// `invalid_request` for one that isn't a plain URL; for a private one, unless the owner may name those; and for a public one
/// without TLS.
fn check_address(url: &str, may_be_private: bool) -> Result<(), ApiError> {
    let message = if !is_address(url) {
        "url must begin with https:// or http://, and have a host, and no user, query or fragment"
    } else if is_public(url) || (may_be_private && !has_public_host(url)) {
        return Ok(());
    } else if has_public_host(url) {
        "url must begin with https://, since its host is a public one"
    } else {
        "url is an address of a private network, which only owners and admins of the operator's organisation may name; \
         enrol the node without url: it then fetches its runs by the relay"
    };
    Err(ApiError::invalid("url", message))
}

/// True for the address of a node.
fn is_address(text: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(text) else { return false };
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let is_plain = url.query().is_none() && url.fragment().is_none() && !has_credentials;
    matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain && text.len() <= TEXT_MAX_CHARS
}

#[cfg(test)]
mod tests {
    use hearth_domain::UserId;

    use super::*;

    #[test]
    fn name_that_another_node_of_the_owner_has_gets_a_number() {
        let (owner, other) = (UserId::new(), UserId::new());
        let node = |owner, name: &str| NodeRecord::new(NodeId::new(), Owner::of_record(owner, None), name);
        let name = |name: &str, others: &[NodeRecord]| free_name(&node(owner, name), others);
        assert_eq!(name("cellar", &[node(other, "cellar"), node(owner, "attic")]), "cellar");
        assert_eq!(name("cellar", &[node(owner, "cellar")]), "cellar-2");
        assert_eq!(name("cellar", &[node(owner, "cellar"), node(owner, "cellar-2")]), "cellar-3");
        let long = "ä".repeat(NAME_MAX_CHARS);
        let numbered = name(&long, &[node(owner, &long)]);
        assert_eq!((numbered.chars().count(), numbered.ends_with("ä-2")), (NAME_MAX_CHARS, true));
    }

    #[test]
    fn address_of_a_node_is_a_plain_http_url() {
        for valid in ["https://box.example.org:8443", "http://192.168.1.7:8090/", "https://a.example/box"] {
            assert!(is_address(valid), "{valid}");
        }
        for invalid in
            ["", "box", "ftp://a.example", "https://u@a.example", "https://a.example/?x", "https://"]
        {
            assert!(!is_address(invalid), "{invalid}");
        }
    }

    #[test]
    fn private_address_needs_an_owner_who_may_name_it_and_a_public_one_needs_tls() {
        for private in ["http://127.0.0.1:22", "https://192.168.1.7", "http://box:9090", "https://box.local"]
        {
            check_address(private, true).unwrap();
            let refused = check_address(private, false).unwrap_err();
            assert!(refused.message.contains("relay"), "{refused:?}");
        }
        for may_be_private in [true, false] {
            check_address("https://box.example.org:8443", may_be_private).unwrap();
            for public in ["http://203.0.113.7", "http://box.example.org"] {
                let refused = check_address(public, may_be_private).unwrap_err();
                assert!(refused.message.contains("https://"), "{refused:?}");
            }
        }
    }
}
