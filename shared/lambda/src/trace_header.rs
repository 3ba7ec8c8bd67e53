//! The trace of an invocation, as AWS X-Ray has it.

use hearth_telemetry::traces::{self, TraceContext};
use lambda_http::{Request, RequestExt as _};

/// Adds the invocation's position in its trace to the extensions of a request, where the settings propagate X-Ray's
/// ids. The header of API Gateway names its own span, and Lambda's context the one below it.
pub(crate) fn with_trace(mut request: Request) -> Request {
    if traces::is_on() {
        let header = request.lambda_context_ref().and_then(|context| context.xray_trace_id.as_deref());
        let position = header.map(TraceContext::from_xray).filter(|position| !position.is_empty());
        if let Some(position) = position {
            request.extensions_mut().insert(position);
        }
    }
    request
}
