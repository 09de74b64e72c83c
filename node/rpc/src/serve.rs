//! Servers: the listener, its limits, and the guard that stands before it.
//!
//! Invariant: a request without the lab's secret gets 401 and nothing else; a request that a web page of another
//! origin could have made gets 403 (DNS rebinding: the Host must be this machine's loopback name). After any refusal
//! the connection is closed. Browsers come in by a [`Door`] alone, which nodes have none of. Connections, headers and bodies are bounded, in size and in time (`serve/connections.rs`).
//!
//! `GET /metrics` has the metrics ([`Front`]).
//!
//! Deliberately absent: HTTP/2, which no client of ours speaks.

mod connections;
mod door;
mod front;
mod refusals;
mod timed_body;

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use hyper::server::conn::http1;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use jsonrpsee::Methods;
use jsonrpsee::core::BoxError;
use jsonrpsee::core::middleware::RpcServiceBuilder;
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, HttpRequest, HttpResponse, ServerBuilder, ServerConfig, ServerHandle, StopHandle,
    TowerService, TowerServiceBuilder, stop_channel,
};
use jsonrpsee_http_client::HeaderMap;
use tokio::net::TcpStream;
use tower::Service as _;
use tower::layer::util::Identity;

use crate::error::UNAUTHORISED;
use crate::secret::Secret;
use crate::serve::connections::{BODY_TIMEOUT, Connection, Connections, IDLE_TIMEOUT, Limits};
use crate::serve::front::Text;
use crate::serve::refusals::{PlainHttp, RefusalsLayer};
use crate::serve::timed_body::TimedBody;
use crate::{MAX_BODY_BYTES, files};

pub use door::{Door, FileOf, PageFile};
pub use front::Front;

/// The most calls in one JSON-RPC batch.
const MAX_BATCH: u32 = 256;

/// The largest header of a request in bytes. Ours have 300.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// The most connections that wait in the kernel to be accepted.
const MAX_QUEUED: i32 = 4096;

/// How long the accept loop pauses when the system has no descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `methods` and what is in `front` on `listener` to callers that know the secret, and to pages that come in by the
/// door, if there is one, until the handle is stopped or dropped. What people should know about its connections is said to `say`, once.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(
    listener: TcpListener,
    secret: Secret,
    methods: impl Into<Methods>,
    front: Front,
    say: fn(&str),
) -> io::Result<ServerHandle> {
    listener.set_nonblocking(true)?;
    // The kernel drops the first packet of a caller that finds the queue full, which costs it a second.
    rustix::net::listen(&listener, MAX_QUEUED)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let limits = Limits::within(files::limit());
    let config = ServerConfig::builder()
        .max_connections(u32::try_from(limits.all).unwrap_or(u32::MAX))
        .max_request_body_size(MAX_BODY_BYTES)
        .max_response_body_size(MAX_BODY_BYTES)
        .set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH))
        .build();
    let methods = methods.into();
    let builder = ServerBuilder::with_config(config)
        .set_rpc_middleware(RpcServiceBuilder::new().layer(RefusalsLayer::of(&methods)))
        .to_service_builder();
    let (stop, handle) = stop_channel();
    let connections = Connections::new(limits);
    let acceptor = Acceptor { listener, secret: Arc::new(secret), front, builder, methods, connections, say };
    tokio::spawn(async move {
        tokio::select! {
            () = acceptor.accept_all(&stop) => {}
            () = stop.clone().shutdown() => {}
        }
    });
    Ok(handle)
}

/// The methods behind their limits.
type Rpc = TowerService<tower::layer::util::Stack<RefusalsLayer, Identity>, Identity>;

/// The owner of the listener.
struct Acceptor {
    listener: tokio::net::TcpListener,
    secret: Arc<Secret>,
    front: Front,
    builder: TowerServiceBuilder<tower::layer::util::Stack<RefusalsLayer, Identity>, Identity>,
    methods: Methods,
    connections: Arc<Connections>,
    say: fn(&str),
}

impl Acceptor {
    async fn accept_all(&self, stop: &StopHandle) {
        let (mut said_full, mut said_failed) = (false, false);
        loop {
            if self.connections.are_all_proven() && !std::mem::replace(&mut said_full, true) {
                let all = self.connections.limits().all;
                (self.say)(&format!("all {all} connections are in use; further callers wait until one is closed"));
            }
            // Callers wait in the kernel's queue until then.
            self.connections.room().await;
            match self.listener.accept().await {
                Ok((socket, _)) => self.begin(socket, stop.clone()),
                // The caller has gone already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if !std::mem::replace(&mut said_failed, true) {
                        (self.say)(&format!("connections cannot be accepted: {error}; callers wait until they can"));
                    }
                    // The listener stays ready to accept, so without a pause this would be a busy loop.
                    let _ = tokio::time::timeout(ACCEPT_PAUSE, self.connections.changed()).await;
                }
            }
        }
    }

    fn begin(&self, socket: TcpStream, stop: StopHandle) {
        // Answers are written in one piece. A socket that cannot be set so is still served.
        let _ = socket.set_nodelay(true);
        let connection = Arc::new(self.connections.begin());
        let rpc = self.builder.clone().build(self.methods.clone(), stop.clone());
        let (secret, front) = (Arc::clone(&self.secret), self.front.clone());
        let guard = Guard { secret, front, connection: Arc::clone(&connection), rpc };
        tokio::spawn(async move {
            let serving = http1::Builder::new()
                .max_header_size(MAX_HEADER_BYTES)
                // Else each request costs one more read, and a buffer for it, to see whether its caller has gone.
                .half_close(true)
                .serve_connection(TokioIo::new(socket), guard)
                .with_upgrades();
            tokio::pin!(serving);
            let stopped = stop.shutdown();
            tokio::select! {
                // First, so that a request that has come is read before the caller counts as late.
                biased;
                // What is wrong with a connection concerns the caller alone.
                _ = &mut serving => return,
                () = connection.is_over() => return,
                () = stopped => serving.as_mut().graceful_shutdown(),
            }
            tokio::select! {
                biased;
                _ = &mut serving => {}
                () = connection.is_over() => {}
            }
        });
    }
}

/// What stands between a connection and the methods.
struct Guard {
    secret: Arc<Secret>,
    front: Front,
    connection: Arc<Connection>,
    rpc: Rpc,
}

impl hyper::service::Service<HttpRequest<Incoming>> for Guard {
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Answer;

    fn call(&self, mut request: HttpRequest<Incoming>) -> Answer {
        let is_upgrade = request.headers().contains_key("upgrade");
        let mut is_page = false;
        match (admit(&self.secret, request.headers()), &self.front.door) {
            (Ok(()), _) => {}
            (Err(Refusal::Stranger), Some(door)) if is_upgrade && door.admits(request.headers()) => is_page = true,
            (Err(Refusal::Stranger), Some(door)) if !is_upgrade && request.method() == Method::GET => {
                let file = door.file(request.uri().path());
                return Answer::Ready(Box::new(file.unwrap_or_else(|| closing(Refusal::Stranger.response()))));
            }
            (Err(refusal), _) => return Answer::Ready(Box::new(closing(refusal.response()))),
        }
        let connection = Arc::clone(&self.connection);
        connection.prove();
        if !is_upgrade
            && request.method() == Method::GET
            && let Some(text) = self.front.metrics(request.uri().path())
        {
            connection.expect_nothing();
            return Answer::Metrics { text, connection };
        }
        if is_upgrade {
            // A WebSocket outlives this task; it counts as long as it keeps the extensions of its request.
            connection.expect_nothing();
            request.extensions_mut().insert(Arc::clone(&connection));
        } else {
            connection.expect_within(BODY_TIMEOUT);
            request.extensions_mut().insert(PlainHttp);
        }
        let request = request.map(|body| TimedBody::new(body, Arc::clone(&connection)));
        Answer::Awaited { answer: self.rpc.clone().call(request), connection, is_page }
    }
}

/// The answer to a request.
enum Answer {
    /// It is there, until it is given.
    Ready(Box<HttpResponse>),
    Metrics {
        text: Text,
        connection: Arc<Connection>,
    },
    Awaited {
        answer: <Rpc as tower::Service<HttpRequest<TimedBody>>>::Future,
        connection: Arc<Connection>,
        /// Whether it is a page that asks for a WebSocket, and is told which protocol is spoken there.
        is_page: bool,
    },
}

impl Future for Answer {
    type Output = Result<HttpResponse, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (answer, connection, is_page) = match self.get_mut() {
            Answer::Ready(response) => return Poll::Ready(Ok(std::mem::take(response))),
            Answer::Metrics { text, connection } => {
                let text = ready!(text.as_mut().poll(context));
                connection.expect_within(IDLE_TIMEOUT);
                return Poll::Ready(Ok(front::of_metrics(text)));
            }
            Answer::Awaited { answer, connection, is_page } => (answer, connection, *is_page),
        };
        let mut response = ready!(answer.as_mut().poll(context))?;
        if is_page && response.status() == StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(door::PROTOCOL));
        }
        connection.expect_within(IDLE_TIMEOUT);
        // 101 is the way to a WebSocket.
        let is_refusal = response.status().is_client_error() || response.status().is_server_error();
        Poll::Ready(Ok(if is_refusal { closing(response) } else { response }))
    }
}

/// Lets the connection end with this response.
fn closing(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Stranger,
    Foreign,
}

fn admit(secret: &Secret, headers: &HeaderMap) -> Result<(), Refusal> {
    // Which of two counts is a matter of opinion, so two are none.
    if ["host", "origin"].iter().any(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        return Err(Refusal::Foreign);
    }
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

/// Whether `host` or `host:port`, as a header `Host` says it, is a loopback name. Names that merely resolve to loopback do not count.
pub fn is_loopback(authority: &str) -> bool {
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
        for (name, value) in [("host", "localhost"), ("origin", "http://127.0.0.1:4000")] {
            let mut two = headers(&[host, ("origin", "http://127.0.0.1:4000"), ("authorization", &good)]);
            two.append(name, value.parse().unwrap());
            assert_eq!(admit(&secret, &two), Err(Refusal::Foreign), "two {name}");
        }
        let same = headers(&[host, ("origin", "http://127.0.0.1:4000"), ("authorization", &good)]);
        assert_eq!(admit(&secret, &same), Ok(()));
    }
}
