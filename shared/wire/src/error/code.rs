//! The error codes. Each has a page of its name in `docs/errors`.

use serde::{Deserialize, Serialize};

/// What is true of every error of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property {
    Retryable,
    BlamesProvider,
    RetrySame,
}

/// A line of the table: name, code, HTTP status, OpenAI's type, and its properties.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident => $code:literal, $status:literal, $kind:literal, [$($property:ident),*];)*) => {
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

            fn has(self, property: Property) -> bool {
                match self { $(Self::$name => [$(Property::$property),*].contains(&property),)* }
            }
        }
    };
}

impl ErrorCode {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn retryable(self) -> bool {
        self.has(Property::Retryable)
    }

    /// Whether the failure is evidence against the provider and its model. An error that the request itself
    /// causes is none.
    #[must_use]
    pub fn blames_provider(self) -> bool {
        self.has(Property::BlamesProvider)
    }

    /// Whether the gateway sends the request to the same provider again by itself.
    #[must_use]
    pub fn retry_same(self) -> bool {
        self.has(Property::RetrySame)
    }
}

error_codes! {
    /// A field is missing, has a wrong type or an impossible value.
    InvalidRequest => "invalid_request", 400, "invalid_request_error", [];
    /// Prompt and completion don't fit the model's context.
    ContextLengthExceeded => "context_length_exceeded", 400, "invalid_request_error", [];
    /// No credential, or one that isn't valid.
    Unauthorized => "unauthorized", 401, "authentication_error", [];
    /// The credential lacks a permission.
    Forbidden => "forbidden", 403, "permission_error", [];
    /// No such route or resource.
    NotFound => "not_found", 404, "invalid_request_error", [];
    /// No such model.
    ModelNotFound => "model_not_found", 404, "invalid_request_error", [];
    /// The body didn't come in time.
    RequestTimeout => "request_timeout", 408, "invalid_request_error", [Retryable];
    /// The resource's state doesn't allow it.
    Conflict => "conflict", 409, "invalid_request_error", [];
    /// The body is over the limit.
    PayloadTooLarge => "payload_too_large", 413, "invalid_request_error", [];
    /// The body's media type isn't JSON.
    UnsupportedMediaType => "unsupported_media_type", 415, "invalid_request_error", [];
    /// Too many requests in a span of time.
    RateLimited => "rate_limited", 429, "rate_limit_error", [Retryable];
    /// The account's allowance is used up.
    QuotaExceeded => "quota_exceeded", 429, "rate_limit_error", [BlamesProvider];
    /// The model's queue has no place left.
    QueueFull => "queue_full", 429, "rate_limit_error", [Retryable];
    /// The run was cancelled.
    Cancelled => "cancelled", 499, "server_error", [];
    /// A fault of the gateway's own.
    Internal => "internal", 500, "server_error", [];
    /// The provider, or the model's process, failed.
    ProviderError => "provider_error", 502, "server_error", [Retryable, BlamesProvider, RetrySame];
    /// The provider refused the gateway's credential.
    ProviderAuth => "provider_auth", 502, "server_error", [BlamesProvider];
    /// The gateway has no room for another connection or body.
    Overloaded => "overloaded", 503, "server_error", [Retryable];
    /// The provider limits the gateway.
    ProviderRateLimited => "provider_rate_limited", 429, "rate_limit_error", [Retryable, BlamesProvider, RetrySame];
    /// Nothing can serve the request.
    NoModelAvailable => "no_model_available", 503, "server_error", [];
    /// The node that has the model can't be reached.
    NodeOffline => "node_offline", 503, "server_error", [Retryable];
    /// The node went away in the middle of the run.
    NodeLost => "node_lost", 503, "server_error", [Retryable];
    /// The model's file can't be loaded.
    ModelLoadFailed => "model_load_failed", 503, "server_error", [];
    /// No answer is kept for a request that takes no other.
    NotCached => "not_cached", 504, "invalid_request_error", [];
    /// The provider took too long.
    ProviderTimeout => "provider_timeout", 504, "server_error", [Retryable, BlamesProvider];
}
