//! A painter without a browser: plain HTTP/1.1 and WebSockets, so that every byte is the test's own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use raftian_tests::{Lab, PATIENCE};
use serde_json::Value;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{HandshakeError, Message, WebSocket};

/// A header of a request.
pub(crate) type Header<'a> = (&'a str, &'a str);

/// A canvas that is open, and what its owner gives away.
pub(crate) struct Open {
    pub(crate) address: SocketAddr,
    /// `Bearer …`, for painting.
    pub(crate) painter: String,
    /// `Bearer …`, for looking.
    pub(crate) viewer: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

/// A WebSocket.
pub(crate) struct Socket(WebSocket<TcpStream>);

impl Open {
    /// Opens the canvas of a lab, on a port that is free.
    pub(crate) fn of(lab: &Lab, flags: &str) -> Open {
        let report = lab.json(&format!("canvas serve --port 0 {flags}"));
        let address = report["address"].as_str().unwrap().parse().unwrap();
        let key = |flags: &str| {
            let url = lab.ok(&format!("canvas share {flags}"));
            format!("Bearer {}", url.trim().split_once("/?key=").expect("an address with a key").1)
        };
        Open { address, painter: key(""), viewer: key("--read-only") }
    }

    /// Sends a request with exactly these headers, and `Host`.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[Header<'_>], body: &str) -> Answer {
        let mut stream = connect(self.address);
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.address);
        }
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // One that is refused for its length is answered before all of it has gone.
        let _ = stream.write_all(body.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: bytes[end + 4..].to_vec() }
    }

    /// Asks as a painter.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("authorization", &self.painter)], "")
    }

    /// Paints as a painter.
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("authorization", &self.painter)], body)
    }

    /// Paints one pixel, which must succeed.
    pub(crate) fn paint(&self, user: &str, (x, y): (u16, u16), colour: u32) {
        let body = format!(r#"{{"user_id":"{user}","x":{x},"y":{y},"color":{colour}}}"#);
        let answer = self.post("/client/pixel", &body);
        assert_eq!((answer.status, answer.text()), (200, r#"{"success":true}"#.into()), "{body}");
    }

    /// Opens a WebSocket.
    ///
    /// # Errors
    /// The status of the answer, when it is not opened.
    pub(crate) fn socket(&self, path: &str, headers: &[Header<'_>]) -> Result<Socket, u16> {
        self.socket_on(connect(self.address), path, headers)
    }

    /// The same on a connection that was made.
    pub(crate) fn socket_on(&self, stream: TcpStream, path: &str, headers: &[Header<'_>]) -> Result<Socket, u16> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(
                tungstenite::http::HeaderName::try_from(*name).unwrap(),
                tungstenite::http::HeaderValue::try_from(*value).unwrap(),
            );
        }
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => Err(answer.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }

    /// A painter's WebSocket with binary frames.
    pub(crate) fn binary(&self, query: &str) -> Socket {
        self.socket(&format!("/ws?format=binary{query}"), &[("authorization", &self.painter)]).expect("it opens")
    }

    /// What the canvas counts.
    pub(crate) fn count(&self, lab: &Lab, name: &str) -> u64 {
        lab.json("canvas serve --status")["counts"][name].as_u64().expect("a count of this name")
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The pixels of `/client/pixels`.
    pub(crate) fn pixels(&self) -> Vec<u32> {
        assert_eq!(self.status, 200, "{self:?}");
        let pixels = self.json()["pixels"].as_array().expect("pixels").clone();
        pixels.iter().map(|pixel| pixel.as_u64().unwrap() as u32).collect()
    }
}

impl Socket {
    pub(crate) fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    /// The next message.
    ///
    /// # Errors
    /// The code and the reason, or why there is none, when the socket was closed.
    pub(crate) fn next(&mut self) -> Result<Message, String> {
        loop {
            match self.0.read() {
                Ok(Message::Close(Some(frame))) => return Err(format!("{} {}", u16::from(frame.code), frame.reason)),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(message) => return Ok(message),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// The next text.
    pub(crate) fn text(&mut self) -> String {
        self.next().expect("a message").into_text().expect("a text").to_string()
    }

    /// The next text of this type, whatever comes before.
    pub(crate) fn told(&mut self, kind: &str) -> Value {
        loop {
            if let Message::Text(text) = self.next().expect("a message") {
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["type"] == kind {
                    return message;
                }
            }
        }
    }

    /// The next binary frame, whatever comes before: its last entry and its pixels.
    pub(crate) fn frame(&mut self) -> (u64, Vec<(u16, u16, u32)>) {
        loop {
            if let Message::Binary(bytes) = self.next().expect("a message") {
                return decode(&bytes);
            }
        }
    }
}

/// The last entry of a binary frame, and its pixels.
pub(crate) fn decode(bytes: &[u8]) -> (u64, Vec<(u16, u16, u32)>) {
    assert_eq!(bytes[0], 1, "pixels");
    let (pixels, rest) = bytes[9..].as_chunks::<7>();
    assert!(rest.is_empty(), "whole pixels");
    let pixel = |[a, b, c, d, red, green, blue]: &[u8; 7]| {
        (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]), u32::from_be_bytes([0, *red, *green, *blue]))
    };
    (u64::from_le_bytes(bytes[1..9].try_into().unwrap()), pixels.iter().map(pixel).collect())
}

/// A connection on which nothing is waited for without end.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}
