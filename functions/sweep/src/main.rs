//! The Lambda function `sweep`: ends the runs whose processes have died. A schedule invokes it.

#[tokio::main]
async fn main() -> Result<(), hearth_lambda::Error> {
    hearth_lambda::run_scheduled(async |gateway| {
        let ended = gateway.sweep_runs().await?;
        if ended > 0 {
            tracing::warn!(ended, "runs were ended whose processes had died");
        }
        Ok(())
    })
    .await
}
