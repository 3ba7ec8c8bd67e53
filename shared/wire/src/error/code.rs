//! The error codes. Each has a page of its name in `docs/errors`.

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident => $code:literal, $status:literal, $kind:literal, $retryable:literal;)*) => {
        /// A stable name of what went wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $code)] $name,)*
        }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code as written in JSON.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The family it belongs to, as OpenAI's clients know it.
            #[must_use]
            pub fn kind(self) -> &'static str {
                match self { $(Self::$name => $kind,)* }
            }

            /// Whether the same request may succeed later.
            #[must_use]
            pub fn retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)* }
            }
        }
    };
}

error_codes! {
    /// A field is missing, has a wrong type or an impossible value.
    InvalidRequest => "invalid_request", 400, "invalid_request_error", false;
    /// Prompt and completion don't fit the model's context.
    ContextLengthExceeded => "context_length_exceeded", 400, "invalid_request_error", false;
    /// No credential, or one that isn't valid.
    Unauthorized => "unauthorized", 401, "authentication_error", false;
    /// The credential lacks a permission.
    Forbidden => "forbidden", 403, "permission_error", false;
    /// No such route or resource.
    NotFound => "not_found", 404, "invalid_request_error", false;
    /// No such model.
    ModelNotFound => "model_not_found", 404, "invalid_request_error", false;
    /// The body didn't come in time.
    RequestTimeout => "request_timeout", 408, "invalid_request_error", true;
    /// The resource's state doesn't allow it.
    Conflict => "conflict", 409, "invalid_request_error", false;
    /// The body is over the limit.
    PayloadTooLarge => "payload_too_large", 413, "invalid_request_error", false;
    /// The body's media type isn't JSON.
    UnsupportedMediaType => "unsupported_media_type", 415, "invalid_request_error", false;
    /// Too many requests in a span of time.
    RateLimited => "rate_limited", 429, "rate_limit_error", true;
    /// The account's allowance is used up.
    QuotaExceeded => "quota_exceeded", 429, "rate_limit_error", false;
    /// The model's queue has no place left.
    QueueFull => "queue_full", 429, "rate_limit_error", true;
    /// The run was cancelled.
    Cancelled => "cancelled", 499, "server_error", false;
    /// A fault of the gateway's own.
    Internal => "internal", 500, "server_error", false;
    /// The provider, or the model's process, failed.
    ProviderError => "provider_error", 502, "server_error", true;
    /// The provider refused the gateway's credential.
    ProviderAuth => "provider_auth", 502, "server_error", false;
    /// The gateway has no room for another connection or body.
    Overloaded => "overloaded", 503, "server_error", true;
    /// The provider limits the gateway.
    ProviderRateLimited => "provider_rate_limited", 503, "server_error", true;
    /// Nothing can serve the request.
    NoModelAvailable => "no_model_available", 503, "server_error", false;
    /// The node that has the model can't be reached.
    NodeOffline => "node_offline", 503, "server_error", true;
    /// The node went away in the middle of the run.
    NodeLost => "node_lost", 503, "server_error", true;
    /// The model's file can't be loaded.
    ModelLoadFailed => "model_load_failed", 503, "server_error", false;
    /// No answer is kept for a request that takes no other.
    NotCached => "not_cached", 504, "invalid_request_error", false;
    /// The provider took too long.
    ProviderTimeout => "provider_timeout", 504, "server_error", true;
}
