//! The door for browsers: the files of a page, and the WebSocket of one that was let in. A browser cannot send the lab's
//! secret in a header, so a page shows its key, or a ticket that buys the key, as a subprotocol of its WebSocket.
//!
//! Invariant: a ticket opens one connection, once, and soon. A key or a ticket counts only from a page of this very address
//! (its Origin is the Host). The key opens this door and no other, and ends with its process.
//!
//! Deliberately absent: cookies. All ports of a host share them, so another user's server on this machine would be shown
//! them; what a page keeps in its own storage stays with its port.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use jsonrpsee::server::{HttpBody, HttpResponse};
use jsonrpsee_http_client::HeaderMap;
use tokio::time::Instant;

use crate::secret::Secret;

/// The subprotocol that a page speaks, which is JSON-RPC.
pub(super) const PROTOCOL: &str = "raftian";

/// How long a ticket is good.
const TICKET_LIFE: Duration = Duration::from_secs(600);

/// How many tickets are good at a time; a new one takes the place of the oldest.
const MAX_TICKETS: usize = 16;

/// What a page may load: what is its own, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src \
                      'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Finds a file of the page by its path: `/`, `/net.js`.
pub type FileOf = fn(path: &str) -> Option<PageFile>;

/// A file of a page.
#[derive(Clone, Debug)]
pub struct PageFile {
    /// Its media type: `text/html; charset=utf-8`.
    pub media_type: &'static str,
    /// Its content.
    pub content: Cow<'static, [u8]>,
}

/// The door.
#[derive(Debug)]
pub struct Door {
    key: Secret,
    tickets: Mutex<VecDeque<(Secret, Instant)>>,
    file_of: FileOf,
}

impl Door {
    /// A door with a new key.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new(file_of: FileOf) -> io::Result<Door> {
        Ok(Door { key: Secret::generate()?, tickets: Mutex::default(), file_of })
    }

    /// The key of a page that was let in.
    pub fn key(&self) -> Secret {
        self.key.clone()
    }

    /// A ticket, with which one page can come in once within ten minutes.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn ticket(&self) -> io::Result<Secret> {
        let ticket = Secret::generate()?;
        let mut tickets = self.tickets();
        if tickets.len() == MAX_TICKETS {
            tickets.pop_front();
        }
        tickets.push_back((ticket.clone(), Instant::now() + TICKET_LIFE));
        Ok(ticket)
    }

    /// Whether these are the headers of a page that may come in. A ticket that is shown is used up.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let is_own = match (text("host"), text("origin")) {
            (Some(host), Some(origin)) => origin.strip_prefix("http://") == Some(host),
            _ => false,
        };
        let mut protocols = text("sec-websocket-protocol").unwrap_or_default().split(',').map(str::trim);
        is_own
            && protocols.next() == Some(PROTOCOL)
            && protocols.next().is_some_and(|shown| match shown.split_once('.') {
                Some(("key", key)) => self.key.is(key),
                Some(("ticket", ticket)) => self.take(ticket),
                _ => false,
            })
    }

    /// The answer to a browser that asks for a file, if there is one.
    pub(super) fn file(&self, path: &str) -> Option<HttpResponse> {
        (self.file_of)(path).map(response)
    }

    fn take(&self, shown: &str) -> bool {
        let mut tickets = self.tickets();
        let now = Instant::now();
        tickets.retain(|(_, until)| *until > now);
        let place = tickets.iter().position(|(ticket, _)| ticket.is(shown));
        place.is_some_and(|place| tickets.remove(place).is_some())
    }

    fn tickets(&self) -> MutexGuard<'_, VecDeque<(Secret, Instant)>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn response(file: PageFile) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(file.content.into_owned()));
    for (name, value) in [
        ("content-type", file.media_type),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Door {
        Door::new(|_| None).unwrap()
    }

    fn shows(protocols: &str, origin: &str) -> HeaderMap {
        let pairs = [("host", "127.0.0.1:4000"), ("origin", origin), ("sec-websocket-protocol", protocols)];
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn text(secret: &Secret) -> String {
        secret.header()["Bearer ".len()..].to_owned()
    }

    const OWN: &str = "http://127.0.0.1:4000";

    #[test]
    fn a_ticket_opens_once_and_the_key_again_and_again() {
        let door = door();
        let ticket = format!("raftian, ticket.{}", text(&door.ticket().unwrap()));
        assert!(door.admits(&shows(&ticket, OWN)));
        assert!(!door.admits(&shows(&ticket, OWN)), "it is used up");
        let key = format!("raftian, key.{}", text(&door.key()));
        assert!(door.admits(&shows(&key, OWN)) && door.admits(&shows(&key, OWN)));
        let other = format!("raftian, key.{}", text(&Secret::generate().unwrap()));
        for protocols in ["", "raftian", "raftian, key.", "raftian, ticket.", &other, &key.replace("raftian, ", "")] {
            assert!(!door.admits(&shows(protocols, OWN)), "{protocols}");
        }
    }

    #[test]
    fn the_page_of_another_port_is_not_let_in_and_uses_no_ticket_up() {
        let door = door();
        let ticket = format!("raftian, ticket.{}", text(&door.ticket().unwrap()));
        for origin in ["http://127.0.0.1:4001", "http://localhost:4000", "null", "https://127.0.0.1:4000"] {
            assert!(!door.admits(&shows(&ticket, origin)), "{origin}");
        }
        assert!(door.admits(&shows(&ticket, OWN)));
    }

    #[tokio::test(start_paused = true)]
    async fn tickets_are_few_and_end() {
        let door = door();
        let shown = |ticket: &Secret| shows(&format!("raftian, ticket.{}", text(ticket)), OWN);
        let tickets: Vec<Secret> = (0..=MAX_TICKETS).map(|_| door.ticket().unwrap()).collect();
        assert!(!door.admits(&shown(&tickets[0])) && door.admits(&shown(&tickets[1])));
        tokio::time::advance(TICKET_LIFE).await;
        assert!(!door.admits(&shown(&tickets[2])));
    }
}
