//! The Lambda function `generate`.

use hearth_http::lambda;

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::run_streaming(hearth_fn_generate::router).await
}
