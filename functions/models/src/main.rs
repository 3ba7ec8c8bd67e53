//! The Lambda function `models`.

#[tokio::main]
async fn main() -> Result<(), hearth_lambda::Error> {
    hearth_lambda::run_buffered(hearth_fn_models::router).await
}
