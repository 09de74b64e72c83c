//! A server whose process has no descriptor left. A test of its own process, since the limit is the process's.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jsonrpsee::RpcModule;
use raftian_rpc::secret::Secret;
use raftian_rpc::serve::{Front, serve};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

static SAID: AtomicU32 = AtomicU32::new(0);

/// The clock is virtual: it advances only when the runtime has nothing to do. So this test ends only if the accept loop
/// waits.
#[tokio::test(start_paused = true)]
async fn without_descriptors_the_accept_loop_says_so_once_and_waits() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) }).unwrap();
    let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(!taken.is_empty());
    let say = |_: &str| {
        SAID.fetch_add(1, Ordering::Relaxed);
    };
    let _server = serve(listener, Secret::generate().unwrap(), RpcModule::new(()), Front::default(), say).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(SAID.load(Ordering::Relaxed), 1);
    drop(taken);
    caller.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    caller.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 401"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(SAID.load(Ordering::Relaxed), 1);
}
