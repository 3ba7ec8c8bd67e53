//! Error codes. Each has a page in `docs/errors`.

use serde::{Deserialize, Serialize};

/// Property of every error with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property {
    Retryable,
    BlamesProvider,
    BlamesGateway,
    RetrySame,
}

/// Row of the table: name, code, HTTP status, OpenAI's type, and properties.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident => $code:literal, $status:literal, $kind:literal, [$($property:ident),*];)*) => {
        /// Stable name of an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $code)] $name,)*
        }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the code as in JSON.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Returns the HTTP status.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// Returns the family, as in OpenAI's API.
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
    /// Returns whether the same request may succeed later.
    #[must_use]
    pub fn retryable(self) -> bool {
        self.has(Property::Retryable)
    }

    /// Returns whether the failure counts against the provider and its model. An error that the request itself causes
    /// doesn't.
    #[must_use]
    pub fn blames_provider(self) -> bool {
        self.has(Property::BlamesProvider)
    }

    /// Returns whether the gateway itself has failed: not the request, a provider or a node.
    #[must_use]
    pub fn blames_gateway(self) -> bool {
        self.has(Property::BlamesGateway)
    }

    /// Returns whether the gateway retries at the same provider.
    #[must_use]
    pub fn retry_same(self) -> bool {
        self.has(Property::RetrySame)
    }
}

error_codes! {
    /// A field is missing, has a wrong type or an impossible value.
    InvalidRequest => "invalid_request", 400, "invalid_request_error", [];
    /// Prompt and completion exceed the model's context.
    ContextLengthExceeded => "context_length_exceeded", 400, "invalid_request_error", [];
    /// No credential, or an invalid one.
    Unauthorized => "unauthorized", 401, "authentication_error", [];
    /// The credential lacks a permission.
    Forbidden => "forbidden", 403, "permission_error", [];
    /// No such route or resource.
    NotFound => "not_found", 404, "invalid_request_error", [];
    /// No such model.
    ModelNotFound => "model_not_found", 404, "invalid_request_error", [];
    /// The route doesn't have this method.
    MethodNotAllowed => "method_not_allowed", 405, "invalid_request_error", [];
    /// The body wasn't received in time.
    RequestTimeout => "request_timeout", 408, "invalid_request_error", [Retryable];
    /// The state of the resource doesn't allow the request.
    Conflict => "conflict", 409, "invalid_request_error", [];
    /// The body is over the limit.
    PayloadTooLarge => "payload_too_large", 413, "invalid_request_error", [];
    /// The body's media type isn't JSON.
    UnsupportedMediaType => "unsupported_media_type", 415, "invalid_request_error", [];
    /// The answer doesn't fit the schema of the analysis, after all attempts.
    InvalidAnswer => "invalid_answer", 422, "invalid_request_error", [];
    /// A rate of the caller is reached. The template of the cloud's stack writes it too, for requests that API Gateway throttles.
    RateLimited => "rate_limited", 429, "rate_limit_error", [Retryable];
    /// A budget of the caller, or the provider's credit, is used up.
    QuotaExceeded => "quota_exceeded", 429, "rate_limit_error", [BlamesProvider];
    /// The model's queue has no place left.
    QueueFull => "queue_full", 429, "rate_limit_error", [Retryable];
    /// The run was cancelled.
    Cancelled => "cancelled", 499, "server_error", [];
    /// Internal error of the gateway.
    Internal => "internal", 500, "server_error", [BlamesGateway];
    /// The provider, or the model's process, failed.
    ProviderError => "provider_error", 502, "server_error", [Retryable, BlamesProvider, RetrySame];
    /// The provider refused the gateway's credential.
    ProviderAuth => "provider_auth", 502, "server_error", [BlamesProvider];
    /// The identity provider can't be reached, so its tokens can't be checked.
    IssuerUnavailable => "issuer_unavailable", 503, "server_error", [Retryable];
    /// The gateway has no room for another connection or body.
    Overloaded => "overloaded", 503, "server_error", [Retryable, BlamesGateway];
    /// The provider limits the gateway.
    ProviderRateLimited => "provider_rate_limited", 429, "rate_limit_error", [Retryable, BlamesProvider, RetrySame];
    /// Nothing can serve the request.
    NoModelAvailable => "no_model_available", 503, "server_error", [];
    /// The node that has the model can't be reached.
    NodeOffline => "node_offline", 503, "server_error", [Retryable];
    /// The node went away in the middle of the run.
    NodeLost => "node_lost", 503, "server_error", [Retryable];
    /// The gateway's process stopped, or was killed, in the middle of the run.
    GatewayStopped => "gateway_stopped", 503, "server_error", [Retryable];
    /// The model's file can't be loaded.
    ModelLoadFailed => "model_load_failed", 503, "server_error", [];
    /// `only-if-cached`, and there is no cached answer.
    NotCached => "not_cached", 504, "invalid_request_error", [];
    /// The run has reached the time limit of its process.
    RunTimeout => "run_timeout", 504, "server_error", [];
    /// No node was free before the request's deadline, and no provider may serve it.
    DeadlineExceeded => "deadline_exceeded", 504, "server_error", [Retryable];
    /// The provider took too long.
    ProviderTimeout => "provider_timeout", 504, "server_error", [Retryable, BlamesProvider];
}
