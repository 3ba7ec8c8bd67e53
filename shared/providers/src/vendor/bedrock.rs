//! Amazon Bedrock (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>).
//! `base_url` is `https://bedrock-runtime.REGION.amazonaws.com`; a model is the id of a model or an inference
//! profile, or an ARN. Models are listed at another host.

use super::definition::{Auth, Vendor, WholeAnswers};
use crate::{dialect::Dialect, media::TEXT, rules::vendors::BEDROCK};

/// Amazon Bedrock.
pub(super) const VENDOR: Vendor = Vendor {
    kind: "bedrock",
    title: "Amazon Bedrock",
    base_url: None,
    dialect: Dialect::Bedrock,
    responses: false,
    rules: &BEDROCK,
    media: TEXT,
    auth: Auth::Aws("bedrock"),
    needs_key: true,
    whole_answers: WholeAnswers::HOSTED,
    headers: &[],
    models: None,
    balance: &[],
};
