//! The Lambda function `generate`.

#[tokio::main]
async fn main() -> Result<(), hearth_lambda::Error> {
    hearth_lambda::run_streaming(hearth_fn_generate::router).await
}
