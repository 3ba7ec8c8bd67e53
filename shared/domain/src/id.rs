//! Ids: a prefix that names the kind, and a ULID, so that ids sort by time.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::Timestamp;

/// String that isn't an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id such as {prefix}01J9ZX5V2QH8N4T6W0C3M7K1RB")]
pub struct InvalidId {
    /// Expected prefix.
    pub prefix: &'static str,
}

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(Ulid);

        impl $name {
            /// Prefix of every id of this kind.
            pub const PREFIX: &'static str = $prefix;

            /// Creates an id of the present millisecond and 80 random bits.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "a default id that differs each time would mislead")]
            pub fn new() -> Self {
                Self(Ulid::generate())
            }

            /// Creates an id that sorts behind `previous`, even in the same millisecond or after the clock was set back.
            #[must_use]
            pub fn after(previous: Option<Self>) -> Self {
                let id = Self::new();
                match previous {
                    Some(previous) if id <= previous => Self(previous.0.increment().unwrap_or(id.0)),
                    _ => id,
                }
            }

            /// The time at which it was created.
            #[must_use]
            pub fn created_at(self) -> Timestamp {
                Timestamp::from_unix_millis(self.0.timestamp_ms())
            }

            /// The first id of a millisecond.
            #[must_use]
            pub fn first_of(at: Timestamp) -> Self {
                Self(Ulid::from_parts(at.unix_millis(), 0))
            }

            /// The last id of a millisecond.
            #[must_use]
            pub fn last_of(at: Timestamp) -> Self {
                Self(Ulid::from_parts(at.unix_millis(), u128::MAX))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", Self::PREFIX, self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(Self::PREFIX)
                    .and_then(|rest| Ulid::from_string(rest).ok())
                    .map(Self)
                    .ok_or(InvalidId { prefix: Self::PREFIX })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

prefixed_id!(
    /// Id of a run: one generation, from the request to its terminal state. It is also the request's id.
    RunId, "req_"
);
prefixed_id!(
    /// Id of an API token's record, not the token itself.
    TokenId, "tok_"
);
prefixed_id!(
    /// Id of a file that a run has generated.
    ArtifactId, "art_"
);
prefixed_id!(
    /// Id of a file that a user has uploaded. The prefix is that of OpenAI's API.
    FileId, "file-"
);
prefixed_id!(
    /// Id of a part of an upload.
    FilePartId, "part_"
);
prefixed_id!(
    /// Id of a job, such as the download of a model.
    JobId, "job_"
);
prefixed_id!(
    /// Id of a batch of requests.
    BatchId, "batch_"
);
prefixed_id!(
    /// Id of a batch of requests as in Anthropic's API: that of the batch, with another prefix.
    MessageBatchId, "msgbatch_"
);

impl From<MessageBatchId> for BatchId {
    fn from(id: MessageBatchId) -> Self {
        Self(id.0)
    }
}

impl From<BatchId> for MessageBatchId {
    fn from(id: BatchId) -> Self {
        Self(id.0)
    }
}

prefixed_id!(
    /// Id of a node, a machine that runs local models.
    NodeId, "node_"
);
prefixed_id!(
    /// Id of a request that the gateway sends to a node by the relay, other than a run.
    NodeCallId, "call_"
);
prefixed_id!(
    /// Id of a user.
    UserId, "usr_"
);
prefixed_id!(
    /// Id of an organisation.
    OrganisationId, "org_"
);
prefixed_id!(
    /// Id of a team of an organisation.
    TeamId, "team_"
);
prefixed_id!(
    /// Id of an invitation's record, not of its code.
    InviteId, "inv_"
);
prefixed_id!(
    /// Id of an access key's record, not of the key.
    AccessKeyId, "ak_"
);
prefixed_id!(
    /// Id of a stored credential of a provider.
    CredentialId, "cred_"
);
prefixed_id!(
    /// Id of a login: the refresh tokens that follow from one sign-in.
    LoginId, "login_"
);

prefixed_id!(
    /// Revision of a record: each change gives it a new one, so that a change of an outdated record is detected.
    RevisionId, "rev_"
);

prefixed_id!(
    /// Id of a session: a conversation of several turns.
    SessionId, "sess_"
);

impl SessionId {
    /// The id of a session of this time that is derived from a hash: the same one for the same hash.
    #[must_use]
    pub fn derived(created_at: Timestamp, hash: [u8; 16]) -> Self {
        Self(Ulid::from_parts(created_at.unix_millis(), u128::from_be_bytes(hash)))
    }
}

prefixed_id!(
    /// Id of a message of a session. Its last 32 bits are the message's sequence number in the session.
    SessionMessageId, "msg_"
);

impl SessionMessageId {
    /// Creates an id of the present millisecond for the message with this sequence number.
    #[must_use]
    pub fn with_seq(seq: u32) -> Self {
        let id = Ulid::generate();
        let random = id.random() & !u128::from(u32::MAX) | u128::from(seq);
        Self(Ulid::from_parts(id.timestamp_ms(), random))
    }

    /// The id of the message with this sequence number in a session that is imported: the same one each time.
    #[must_use]
    pub fn imported(session: SessionId, seq: u32) -> Self {
        let random = session.0.random() & !u128::from(u32::MAX) | u128::from(seq);
        Self(Ulid::from_parts(session.0.timestamp_ms(), random))
    }

    /// The message's sequence number in its session.
    #[must_use]
    pub fn seq(self) -> u32 {
        u32::try_from(self.0.random() & u128::from(u32::MAX)).unwrap_or(u32::MAX)
    }
}

prefixed_id!(
    /// Id of a schema of answers.
    SchemaId, "sch_"
);
prefixed_id!(
    /// Id of a template of prompts.
    TemplateId, "tpl_"
);

prefixed_id!(
    /// Id of an entry of the audit log.
    AuditId, "aud_"
);
prefixed_id!(
    /// Id of a chain of the audit log: the entries that one process has written about one organisation on one day.
    AuditChainId, "chain_"
);

impl RunId {
    /// The last id of all.
    pub const MAX: Self = Self(Ulid::max());

    /// The id of a run of this time that is derived from a hash: the same one for the same hash.
    #[must_use]
    pub fn derived(created_at: Timestamp, hash: [u8; 16]) -> Self {
        Self(Ulid::from_parts(created_at.unix_millis(), u128::from_be_bytes(hash)))
    }
}

impl AuditId {
    /// The first id of all.
    pub const MIN: Self = Self(Ulid::nil());
    /// The last id of all.
    pub const MAX: Self = Self(Ulid::max());
}

prefixed_id!(
    /// Id of a webhook: a subscription to events, or the webhook of one job.
    WebhookId, "wh_"
);
prefixed_id!(
    /// Id of an event. With a webhook's id it names the event's delivery to that webhook.
    EventId, "evt_"
);

prefixed_id!(
    /// Id of the erasure of a user. It isn't derived from the user's, and only the person who asked for it has it.
    ErasureId, "ers_"
);

impl OrganisationId {
    /// The organisation of the gateway's operator. Its id follows from theirs, so that data from before there were
    /// organisations belongs to it without having been changed.
    #[must_use]
    pub fn of_operator(operator: UserId) -> Self {
        Self(operator.0)
    }

    /// The id with the prefix of a user's: for the operator's organisation the operator's id.
    #[must_use]
    pub fn with_prefix_of_users(self) -> UserId {
        UserId(self.0)
    }
}

/// A model's id, as clients write it: `tiny-chat`, or with slashes as on Hugging Face.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelId(String);

impl ModelId {
    /// Wraps any non-empty text. The registry decides whether the model exists.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for ModelId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_a_message_has_its_sequence_number() {
        for seq in [0, 1, 4_711, u32::MAX] {
            let id = SessionMessageId::with_seq(seq);
            assert_eq!((id.seq(), id.to_string().parse()), (seq, Ok(id)));
        }
    }

    #[test]
    fn ids_round_trip_and_refuse_other_prefixes() {
        let id = RunId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "req_", "req_short", "tok_01J9ZX5V2QH8N4T6W0C3M7K1RB", "01J9ZX5V2QH8N4T6W0C3M7K1RB"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad:?} was taken for a run id");
        }
    }
}
