//! Callers that send too much, too slowly, or without the secret, at a real server on a real socket.
//!
//! The clock is virtual: it advances when the runtime has nothing to do, so a test need not wait for a time-out.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use jsonrpsee::RpcModule;
use jsonrpsee::server::ServerHandle;
use raftian_rpc::secret::Secret;
use raftian_rpc::serve::{Front, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Longer than every time-out of a server.
const PATIENCE: Duration = Duration::from_secs(3600);

struct Server {
    secret: Secret,
    address: std::net::SocketAddr,
    _handle: ServerHandle,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let secret = Secret::generate().unwrap();
        let mut methods = RpcModule::new(());
        methods.register_method("ping", |_, _, _| "pong").unwrap();
        let _handle = serve(listener, secret.clone(), methods, Front::default(), |_| {}).unwrap();
        Server { secret, address, _handle }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A request with the secret, and a body of which as much is announced.
    fn request(&self, body: &str, length: usize) -> String {
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}",
            self.secret.header()
        )
    }

    fn ping(&self) -> String {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        self.request(body, body.len())
    }
}

/// What comes until the server closes the connection, and when it does.
async fn rest(connection: &mut TcpStream) -> (String, Duration) {
    let began = Instant::now();
    let mut text = Vec::new();
    // A server that closes with bytes of the caller unread resets the connection.
    let _ = timeout(PATIENCE, connection.read_to_end(&mut text)).await.expect("the connection was not closed");
    (String::from_utf8(text).unwrap(), began.elapsed())
}

/// What comes until this does.
async fn until(connection: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut part = [0; 1024];
        let count = connection.read(&mut part).await.unwrap();
        assert!(count > 0, "{text}");
        text.push_str(std::str::from_utf8(&part[..count]).unwrap());
    }
    text
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_the_connection_is_closed() {
    let server = Server::start();
    let (too_large, unknown) = (server.request("", 100_000_000), server.ping().replace("POST", "PUT"));
    for (request, status) in [
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "401"),
        ("POST / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "403"),
        (unknown.as_str(), "405"),
        (too_large.as_str(), "413"),
    ] {
        let mut caller = server.connect().await;
        caller.write_all(request.as_bytes()).await.unwrap();
        let (answer, after) = rest(&mut caller).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains("connection: close"), "{answer}");
        assert!(after < Duration::from_secs(1), "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_is_too_large_is_refused() {
    let server = Server::start();
    let mut caller = server.connect().await;
    let header = format!("POST / HTTP/1.1\r\nHost: localhost\r\nX: {}", "a".repeat(8 * 1024));
    caller.write_all(header.as_bytes()).await.unwrap();
    let (answer, _) = rest(&mut caller).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_sends_a_part_and_then_nothing_is_disconnected() {
    let server = Server::start();
    for request in ["", "POST / HTTP/1.1\r\nHost: loc", &server.request("[", 100)] {
        let mut caller = server.connect().await;
        caller.write_all(request.as_bytes()).await.unwrap();
        let (answer, after) = rest(&mut caller).await;
        assert_eq!(answer, "");
        assert!(after <= Duration::from_secs(20), "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_request_of_a_connection_has_its_time() {
    let server = Server::start();
    let mut caller = server.connect().await;
    for _ in 0..3 {
        caller.write_all(server.ping().as_bytes()).await.unwrap();
        until(&mut caller, "pong").await;
    }
    caller.write_all(b"POST / HTTP/1.1\r\nHost: loc").await.unwrap();
    let (answer, after) = rest(&mut caller).await;
    assert_eq!(answer, "");
    // Our own clients keep an idle connection for 90 s.
    assert!(after > Duration::from_secs(90) && after < Duration::from_secs(150), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_notification_is_refused_in_words_since_it_would_be_lost() {
    let server = Server::start();
    let notification = r#"{"jsonrpc":"2.0","method":"ping"}"#;
    let batch = format!(r#"[{notification},{{"jsonrpc":"2.0","id":1,"method":"ping"}}]"#);
    for body in [notification, &batch] {
        let mut caller = server.connect().await;
        caller.write_all(server.request(body, body.len()).as_bytes()).await.unwrap();
        let answer = until(&mut caller, "`ping` was sent as a notification").await;
        assert!(answer.contains("give the request an `id`"), "{answer}");
    }
}
