//! The Lambda function `worker`: carries out jobs, whose messages it gets from queues of SQS.

#[tokio::main]
async fn main() -> Result<(), hearth_lambda::Error> {
    hearth_lambda::run_jobs().await
}
