//! Servers: the listener, its limits, and the guard that stands before it.
//!
//! Invariant: a request without the lab's secret gets 401 and nothing else; a request that a web page of another
//! origin could have made gets 403 (DNS rebinding: the Host must be this machine's loopback name).

mod subscriptions;

use std::future::Future;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{io, sync::Arc};

use jsonrpsee::Methods;
use jsonrpsee::core::middleware::RpcServiceBuilder;
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, HttpRequest, HttpResponse, ServerBuilder, ServerConfig, ServerHandle,
};
use jsonrpsee_http_client::HeaderMap;
use tower::{Layer, Service, ServiceBuilder};

use crate::MAX_BODY_BYTES;
use crate::error::UNAUTHORISED;
use crate::secret::Secret;
use crate::serve::subscriptions::{PlainHttp, SubscriptionsLayer};

/// The most requests in flight at one server; past it, callers get 429.
const MAX_IN_FLIGHT: u32 = 16_384;

/// The most calls in one JSON-RPC batch.
const MAX_BATCH: u32 = 256;

/// Serves `methods` on `listener` to callers that know the secret, until the handle is stopped or dropped.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(listener: TcpListener, secret: Secret, methods: impl Into<Methods>) -> io::Result<ServerHandle> {
    listener.set_nonblocking(true)?;
    let config = ServerConfig::builder()
        .max_connections(MAX_IN_FLIGHT)
        .max_request_body_size(MAX_BODY_BYTES)
        .max_response_body_size(MAX_BODY_BYTES)
        .set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH))
        .build();
    let methods = methods.into();
    let guard = ServiceBuilder::new().layer(GuardLayer { secret: Arc::new(secret) });
    let server = ServerBuilder::with_config(config)
        .set_http_middleware(guard)
        .set_rpc_middleware(RpcServiceBuilder::new().layer(SubscriptionsLayer::of(&methods)))
        .build_from_tcp(listener)?;
    Ok(server.start(methods))
}

#[derive(Clone)]
struct GuardLayer {
    secret: Arc<Secret>,
}

/// The service behind the guard.
#[derive(Clone)]
struct Guard<S> {
    secret: Arc<Secret>,
    inner: S,
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { secret: Arc::clone(&self.secret), inner }
    }
}

impl<S, B> Service<HttpRequest<B>> for Guard<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = HttpResponse;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: HttpRequest<B>) -> Self::Future {
        if !request.headers().contains_key("upgrade") {
            request.extensions_mut().insert(PlainHttp);
        }
        match admit(&self.secret, request.headers()) {
            Ok(()) => Box::pin(self.inner.call(request)),
            Err(refusal) => Box::pin(async move { Ok(refusal.response()) }),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Stranger,
    Foreign,
}

fn admit(secret: &Secret, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if !text("host").is_some_and(is_loopback) {
        return Err(Refusal::Foreign);
    }
    if text("origin").is_some_and(|origin| !origin.strip_prefix("http://").is_some_and(is_loopback)) {
        return Err(Refusal::Foreign);
    }
    match headers.get("authorization") {
        Some(value) if secret.admits(value.as_bytes()) => Ok(()),
        _ => Err(Refusal::Stranger),
    }
}

/// Whether `host` or `host:port` is a loopback name. Names that merely resolve to loopback do not count.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

impl Refusal {
    fn response(self) -> HttpResponse {
        let (status, message) = match self {
            Refusal::Stranger => (401, "unauthorised: send the lab's secret as `Authorization: Bearer …`"),
            Refusal::Foreign => (403, "forbidden: only this machine may call, by its loopback address"),
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{UNAUTHORISED},"message":"{message}"}}}}"#);
        let mut response = HttpResponse::new(HttpBody::from(body));
        *response.status_mut() = status.try_into().expect("401 and 403 are status codes");
        response.headers_mut().insert("content-type", "application/json".parse().expect("a valid header value"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_a_loopback_caller_with_the_secret_comes_in() {
        let secret = Secret::generate().unwrap();
        let good = secret.header();
        let host = ("host", "127.0.0.1:4000");
        assert_eq!(admit(&secret, &headers(&[host, ("authorization", &good)])), Ok(()));
        assert_eq!(admit(&secret, &headers(&[("host", "localhost"), ("authorization", &good)])), Ok(()));
        assert_eq!(admit(&secret, &headers(&[host])), Err(Refusal::Stranger));
        assert_eq!(admit(&secret, &headers(&[host, ("authorization", "Bearer x")])), Err(Refusal::Stranger));
        for host in ["evil.example:4000", "127.0.0.1.evil.example", "", "10.0.0.1"] {
            assert_eq!(admit(&secret, &headers(&[("host", host), ("authorization", &good)])), Err(Refusal::Foreign));
        }
        for origin in ["http://evil.example", "https://127.0.0.1", "null", "http://127.0.0.1@evil.example"] {
            let headers = headers(&[host, ("origin", origin), ("authorization", &good)]);
            assert_eq!(admit(&secret, &headers), Err(Refusal::Foreign), "{origin}");
        }
        let same = headers(&[host, ("origin", "http://127.0.0.1:4000"), ("authorization", &good)]);
        assert_eq!(admit(&secret, &same), Ok(()));
    }
}
