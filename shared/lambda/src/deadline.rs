//! Deadline of a request: some time before Lambda kills the process.

use std::time::Duration;

use hearth_http::Deadline;
use lambda_http::{Request, RequestExt as _};

/// Time between a request's deadline and the end of its invocation: for the end of a run to be recorded and sent.
const RUN_END_GRACE: Duration = Duration::from_secs(10);

/// Adds the deadline to the extensions of a request.
pub(crate) fn with_deadline(mut request: Request) -> Request {
    let deadline =
        request.lambda_context_ref().map(|context| Deadline::before_end(context.deadline, RUN_END_GRACE));
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(deadline);
    }
    request
}
