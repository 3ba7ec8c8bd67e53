//! Sends over the sockets of the WebSocket API, by API Gateway's management API.

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_sdk_apigatewaymanagement::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::{delete_connection::DeleteConnectionError, post_to_connection::PostToConnectionError},
    primitives::Blob,
};
use aws_smithy_http_client::{Builder, tls};
use hearth_gateway::sockets::{SocketError, SocketId, SocketSender, SocketService};
use tokio::sync::OnceCell;

/// The WebSocket API's sockets. None without its address: the stack has none.
pub(crate) fn service(endpoint: String, url: String) -> Option<SocketService> {
    if endpoint.is_empty() {
        return None;
    }
    let own_url = || endpoint.replacen("http", "ws", 1);
    let url = if url.is_empty() { own_url() } else { url };
    Some(SocketService { url, sender: Arc::new(ManagementApi { endpoint, client: OnceCell::new() }) })
}

/// API Gateway's management API.
#[derive(Debug)]
struct ManagementApi {
    endpoint: String,
    /// Created for the first message: most invocations send none.
    client: OnceCell<Client>,
}

impl ManagementApi {
    async fn client(&self) -> &Client {
        self.client
            .get_or_init(async || {
                let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
                let http = Builder::new().tls_provider(tls).build_https();
                let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
                let config = Box::pin(config.load()).await;
                let config = aws_sdk_apigatewaymanagement::config::Builder::from(&config);
                Client::from_conf(config.endpoint_url(&self.endpoint).build())
            })
            .await
    }
}

#[async_trait]
impl SocketSender for ManagementApi {
    async fn send(&self, socket: &SocketId, text: String) -> Result<(), SocketError> {
        let message = self.client().await.post_to_connection().connection_id(socket.as_str());
        let sent = Box::pin(message.data(Blob::new(text)).send()).await;
        sent.map(drop).map_err(|error| failed(&error, PostToConnectionError::is_gone_exception))
    }

    async fn close(&self, socket: &SocketId) -> Result<(), SocketError> {
        let request = self.client().await.delete_connection().connection_id(socket.as_str());
        let closed = Box::pin(request.send()).await;
        closed.map(drop).map_err(|error| failed(&error, DeleteConnectionError::is_gone_exception))
    }
}

fn failed<E, R>(error: &SdkError<E, R>, is_gone: impl Fn(&E) -> bool) -> SocketError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let service_error = error.as_service_error();
    if service_error.is_some_and(is_gone) {
        return SocketError::Gone;
    }
    let reason = service_error.and_then(|error| Some(format!("{}: {}", error.code()?, error.message()?)));
    SocketError::Failed(reason.unwrap_or_else(|| error.to_string()))
}
