//! Clients: how a program of raftian calls another one.
//!
//! Invariant: every client shows the secret, and none waits longer than it was told.

use std::net::SocketAddr;
use std::time::Duration;

use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::Client;
use jsonrpsee::core::middleware::RpcServiceBuilder;
use jsonrpsee_http_client::{HeaderMap, HeaderValue, HttpBackend, HttpClient, HttpClientBuilder, RpcService};
use jsonrpsee_ws_client::WsClientBuilder;

use crate::MAX_BODY_BYTES;
use crate::secret::Secret;

/// A client over HTTP/1.1 keep-alive. Cheap to clone; each call in flight has a connection of its own.
pub type Http = HttpClient<RpcService<HttpBackend>>;

/// Makes a client that gives a call up after `timeout`. Does not connect yet.
///
/// # Errors
/// When the secret cannot stand in a header.
pub fn http(address: SocketAddr, secret: &Secret, timeout: Duration) -> Result<Http, ClientError> {
    HttpClientBuilder::new()
        .request_timeout(timeout)
        .max_response_size(MAX_BODY_BYTES)
        .set_headers(headers(secret)?)
        // The default stack logs, and serialises every body once more for it, even when nothing listens.
        .set_rpc_middleware(RpcServiceBuilder::new())
        .build(format!("http://{address}"))
}

/// Connects over WebSocket, for subscriptions.
///
/// # Errors
/// When nobody listens, or the secret is wrong.
pub async fn websocket(address: SocketAddr, secret: &Secret, timeout: Duration) -> Result<Client, ClientError> {
    WsClientBuilder::new()
        .connection_timeout(timeout)
        .set_headers(headers(secret)?)
        .build(format!("ws://{address}"))
        .await
}

fn headers(secret: &Secret) -> Result<HeaderMap, ClientError> {
    let mut value = HeaderValue::from_str(&secret.header()).map_err(|error| ClientError::Custom(error.to_string()))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([("authorization".parse().expect("a valid header name"), value)]))
}
