//! The handlers of the kinds.

use hearth_domain::{JobError, JobErrorCode, JobKind};

use super::{JobStep, LeasedJob, generate};
use crate::Gateway;

/// Carries out one slice of a job.
pub(super) async fn carry_out(gateway: &Gateway, kind: JobKind, job: &mut LeasedJob) -> JobStep {
    match kind {
        JobKind::Generate => Box::pin(generate::carry_out(gateway, job)).await,
        JobKind::Analyze => Box::pin(crate::analyze::job::carry_out(gateway, job)).await,
        JobKind::Delivery => Box::pin(crate::webhooks::deliver(&gateway.0, job)).await,
        JobKind::Batch => Box::pin(crate::batches::carry_out(gateway, job)).await,
        JobKind::Download | JobKind::Other => {
            let message = format!("this version carries out no job of the kind {:?}", kind.as_str());
            JobStep::Failed { error: JobError::new(JobErrorCode::InvalidInput, message) }
        }
    }
}
