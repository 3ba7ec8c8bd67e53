//! The Lambda function `socket`: handles the events of the WebSocket API.

#[tokio::main]
async fn main() -> Result<(), hearth_lambda::Error> {
    hearth_lambda::run_sockets(hearth_fn_socket::events::answer).await
}
