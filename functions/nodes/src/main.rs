//! The Lambda function `nodes`.

#[tokio::main]
async fn main() -> Result<(), hearth_lambda::Error> {
    hearth_lambda::run_buffered(hearth_fn_nodes::router).await
}
