//! The Lambda function `accounts`.

use hearth_http::lambda;

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::run_buffered(hearth_fn_accounts::router).await
}
