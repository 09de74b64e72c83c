//! One painter's connection: HTTP/1.1, one request after the other.
//!
//! Deliberately absent: everything of HTTP that the gateway's answers do not have, such as chunks.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// After how long without a request a connection is made anew, before the gateway closes it.
const IDLE: Duration = Duration::from_secs(5);

/// A connection that is used again.
pub(super) struct Http {
    stream: TcpStream,
    address: SocketAddr,
    key: String,
    read: Vec<u8>,
    used: Instant,
}

struct Answer {
    status: u16,
    index: Option<u64>,
    body: Vec<u8>,
}

impl Http {
    /// Connects as one who has a capability.
    pub(super) async fn connect(address: SocketAddr, key: &str) -> anyhow::Result<Http> {
        Ok(Http { stream: open(address).await?, address, key: key.to_owned(), read: Vec::new(), used: Instant::now() })
    }

    /// Asks for something that must be there.
    pub(super) async fn get(&mut self, path: &str) -> anyhow::Result<Vec<u8>> {
        let answer = self.send("GET", path, "").await?;
        match answer.status {
            200 => Ok(answer.body),
            status => bail!("{path}: {status} {}", String::from_utf8_lossy(&answer.body)),
        }
    }

    /// Paints, and says at which entry; `None` if that failed.
    pub(super) async fn post(&mut self, pixels: &[(u16, u16, u32)], user: &str) -> anyhow::Result<Option<u64>> {
        let answer = if let [(x, y, colour)] = pixels {
            let body = format!(r#"{{"user_id":"{user}","x":{x},"y":{y},"color":{colour}}}"#);
            self.send("POST", "/client/pixel", &body).await?
        } else {
            let mut body = format!(r#"{{"user_id":"{user}","pixels":["#);
            for (at, (x, y, colour)) in pixels.iter().enumerate() {
                write!(body, "{}[{x},{y},{colour}]", if at == 0 { "" } else { "," })?;
            }
            self.send("POST", "/client/pixels", &(body + "]}")).await?
        };
        match answer.status {
            200 => Ok(answer.index),
            500 => Ok(None),
            status => bail!("{status} {}", String::from_utf8_lossy(&answer.body)),
        }
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<Answer> {
        if self.used.elapsed() > IDLE {
            self.stream = open(self.address).await?;
        }
        let Http { address, key, .. } = self;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).await?;
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.read[..end]).to_ascii_lowercase();
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(known, _)| *known == name).and_then(|(_, value)| value.parse().ok())
        };
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP")?;
        let (length, index) = (header("content-length").unwrap_or(0) as usize, header("x-canvas-index"));
        while self.read.len() < end + 4 + length {
            self.more().await?;
        }
        self.used = Instant::now();
        let rest = self.read.split_off(end + 4 + length);
        let body = std::mem::replace(&mut self.read, rest).split_off(end + 4);
        Ok(Answer { status, index, body })
    }

    async fn more(&mut self) -> anyhow::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => bail!("the canvas closed the connection"),
            _ => Ok(()),
        }
    }
}

async fn open(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("nobody listens at {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
