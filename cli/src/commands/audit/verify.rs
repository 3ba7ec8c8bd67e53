//! `hearth audit verify`.

use anyhow::Result;
use clap::Args;
use hearth_wire::native::audit::{AuditBreakBody, AuditVerification};

use crate::{
    client::{error::AlreadyReported, gateway_client::GatewayClient, terminal},
    context::Context,
};

/// Check that no entry was changed, removed, inserted or reordered
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The first day; without it: the oldest one
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day; without it: today
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// The log of this organisation; `gateway` for requests of no organisation
    #[arg(long, value_name = "ID")]
    organisation: Option<String>,
    /// A seal that the log must still have, as an earlier verification has printed it
    #[arg(long, value_name = "NUMBER:HASH")]
    seal: Option<String>,
}

impl Verify {
    /// Verifies the log and prints the result. Fails if the log isn't intact.
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let result = self.verify(&gateway).await?;
        if context.connection.json {
            terminal::print_json(&result)?;
        } else {
            terminal::print(&report(&result))?;
        }
        if result.intact { Ok(()) } else { Err(AlreadyReported.into()) }
    }

    /// Sends requests until the last day is reached, or a break is found.
    async fn verify(self, gateway: &GatewayClient) -> Result<AuditVerification> {
        let mut from = self.from;
        let mut whole: Option<AuditVerification> = None;
        loop {
            let parameters = [
                ("from", from.as_deref()),
                ("to", self.to.as_deref()),
                ("organisation", self.organisation.as_deref()),
                ("seal", self.seal.as_deref()),
            ];
            let query: Vec<(&str, &str)> =
                parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let part: AuditVerification = gateway.get(&["v1", "audit", "verify"], &query).await?;
            let next = part.next_from.clone();
            let sum = match whole {
                None => part,
                Some(before) => AuditVerification {
                    records: before.records + part.records,
                    chains: before.chains + part.chains,
                    unsealed: before.unsealed + part.unsealed,
                    ..part
                },
            };
            if next.is_none() || !sum.intact {
                return Ok(sum);
            }
            (from, whole) = (next, Some(sum));
        }
    }
}

/// The result in words.
pub(super) fn report(result: &AuditVerification) -> String {
    let AuditVerification { organisation, records, chains, seals, unsealed, .. } = result;
    if let Some(found) = &result.first_break {
        let AuditBreakBody { kind, message, .. } = found;
        let place = [
            found.day.as_ref().map(|day| format!("day {day}")),
            found.chain.clone(),
            found.number.map(|number| format!("number {number}")),
            found.id.clone(),
        ];
        let place = place.into_iter().flatten().collect::<Vec<_>>().join(", ");
        return format!("the log of {organisation} is NOT intact\n{kind}: {message}\nat: {place}\n");
    }
    let mut report = format!(
        "the log of {organisation} is intact: {records} records in {chains} chains, {seals} seals, {unsealed} records not \
         sealed yet\n"
    );
    if let Some(seal) = &result.last_seal {
        report.push_str(&format!("last seal: {seal}\n"));
    }
    report
}
