//! `lab.canvas_*`: opening the canvas, and nothing else of the lab, to painters.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Index, NodeId, RoleKind, Size};

/// The port on which painters look for a canvas.
pub const DEFAULT_CANVAS_PORT: u16 = 8080;

/// How a canvas is to be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanvasRequest {
    /// The port on 127.0.0.1; 0 for one that is free.
    pub port: u16,
    /// Pages of which origins come in without a capability.
    pub origins: Origins,
    /// Whether everybody may only look.
    pub read_only: bool,
    /// The node behind the next connection.
    pub strategy: Strategy,
    /// How long a painter waits between two commands, in milliseconds; 0 is not at all.
    pub cool_down_ms: u64,
}

/// The web pages that come in without a capability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origins {
    /// Those of these origins.
    Only(Vec<Origin>),
    /// Every page, and every program of this machine.
    Any,
}

/// Where a page comes from: `http://localhost:3000`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Origin(String);

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin: write what stands before the path of a page's address, such as http://localhost:3000")]
pub struct NotAnOrigin(String);

/// How the node behind a connection is chosen, of those that are healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest connections.
    LeastConnections,
    /// The leader, where one is known.
    Leader,
}

/// A canvas that is open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CanvasReport {
    /// Whether this call has opened it.
    pub changed: bool,
    /// Where it is.
    pub address: SocketAddr,
    /// How it was opened; with the port that it has.
    pub request: CanvasRequest,
    /// The size of the canvas.
    pub size: Size,
    /// The nodes behind it.
    pub nodes: Vec<CanvasNode>,
    /// What has happened since it was opened.
    pub counts: CanvasCounts,
}

/// A node behind a canvas, as the health checks see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CanvasNode {
    /// The node.
    pub node: NodeId,
    /// Whether connections are led to it.
    pub healthy: bool,
    /// Why not; or how long its last answer took.
    pub check: String,
    /// What it said it was.
    pub role: Option<RoleKind>,
    /// The last entry whose pixels came from it.
    pub index: Index,
    /// The WebSockets that it is behind.
    pub connections: usize,
}

/// What has happened at an open canvas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanvasCounts {
    /// Connections that are open, WebSockets among them.
    pub connections: usize,
    /// Pixels painted through it.
    pub pixels: u64,
    /// The commands that painted them.
    pub commands: u64,
    /// Requests to paint that failed: refused by the cluster, or without an answer in time.
    pub failed: u64,
    /// Requests that were turned away: without a capability, of another origin, or malformed.
    pub refused: u64,
    /// Clients that were dropped because they did not read.
    pub dropped: u64,
    /// WebSockets that went on behind another node.
    pub moved: u64,
}

/// Where a painter comes in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CanvasShare {
    /// The address to open. Whoever has it may do what it is for.
    pub url: String,
    /// Whether it is for looking only.
    pub read_only: bool,
}

/// A canvas that is closed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct CanvasClosed {
    /// Whether it was open.
    pub changed: bool,
}

impl Origin {
    /// As a browser writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Origin, NotAnOrigin> {
        let origin = text.trim_end_matches('/').to_ascii_lowercase();
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        match host {
            Some(host) if !host.is_empty() && host.bytes().all(is_plain) => Ok(Origin(origin)),
            _ => Err(NotAnOrigin(text.chars().take(80).collect())),
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = NotAnOrigin;

    fn try_from(text: String) -> Result<Origin, NotAnOrigin> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> String {
        origin.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host_and_nothing_else() {
        for (text, origin) in
            [("http://localhost:3000", "http://localhost:3000"), ("HTTPS://A.example/", "https://a.example")]
        {
            assert_eq!(text.parse::<Origin>().unwrap().as_str(), origin);
        }
        for text in ["", "*", "localhost", "http://", "http://a/b", "ftp://a", "null", "http://a@b", "http://a b"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
