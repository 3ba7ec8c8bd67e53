//! Amazon Bedrock (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>).
//! `base_url` is `https://bedrock-runtime.REGION.amazonaws.com`; a model is one's id, an inference profile's
//! or an ARN. They are listed at another host.

use super::{Auth, Vendor, WholeAnswers};
use crate::dialect::Dialect;
use crate::media::TEXT;

/// Amazon Bedrock.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "bedrock",
    title: "Amazon Bedrock",
    base_url: None,
    dialect: Dialect::Bedrock,
    media: TEXT,
    auth: Auth::Aws("bedrock"),
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: None,
};
