//! The envelope in which a client's command travels and lies on the log: JSON text that says who, which, and what.
//!
//! Invariant: a [`Command`] that exists is well formed, and what [`Command::encode`] writes, [`Command::parse`] reads.
//! Deliberately absent: what the `op` means; it is kept as the client wrote it, and only the application reads it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

/// The longest `op`, in bytes of JSON text: 1 MiB of value, and room for the key and the JSON around them.
pub const MAX_OP_BYTES: usize = (1 << 20) + (4 << 10);

/// The longest encoded command, in bytes: an `op` and an envelope with room for some white space.
pub const MAX_COMMAND_BYTES: usize = MAX_OP_BYTES + 256;

/// The longest client name, in bytes.
pub const MAX_CLIENT_BYTES: usize = 64;

/// A command as it lies on the log, for example `{"client":"cli-7f3a","serial":4,"op":{"attack":3}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Command {
    client: String,
    serial: u64,
    op: Box<RawValue>,
}

/// Why something is not a command.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It is longer than the limit.
    #[error("a {what} of {bytes} bytes is over the limit of {limit_bytes} bytes")]
    TooLong {
        /// What is too long: the command as a whole or its `op`.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit_bytes: usize,
    },
    /// It is not the JSON of an envelope.
    #[error("not a command: {0}; expected {{\"client\":…,\"serial\":…,\"op\":…}}")]
    Malformed(#[from] serde_json::Error),
    /// The client's name is empty, too long, or has other characters than names may have.
    #[error("`{0}` is not a client name: 1 to {MAX_CLIENT_BYTES} of A-Z a-z 0-9 . _ : -")]
    Client(String),
    /// The serial number is 0.
    #[error("serial 0 is not a serial number: a client's first command has serial 1")]
    Serial,
}

impl Command {
    /// The command numbered `serial` of this client.
    ///
    /// # Errors
    /// When the client's name, the serial number or the size of the `op` is not as the limits above say.
    pub fn new(client: impl Into<String>, serial: u64, op: Box<RawValue>) -> Result<Command, CommandError> {
        let client = client.into();
        if !is_client_name(&client) {
            // A stranger's text goes into an error message, so only a piece of it does.
            return Err(CommandError::Client(client.chars().take(MAX_CLIENT_BYTES).collect()));
        }
        if serial == 0 {
            return Err(CommandError::Serial);
        }
        check_length("op", op.get().len(), MAX_OP_BYTES)?;
        Ok(Command { client, serial, op })
    }

    /// Reads a command from JSON text.
    ///
    /// # Errors
    /// When it is longer than [`MAX_COMMAND_BYTES`], not an envelope, or an envelope with something wrong in it.
    pub fn parse(json: &[u8]) -> Result<Command, CommandError> {
        check_length("command", json.len(), MAX_COMMAND_BYTES)?;
        Command::try_from(serde_json::from_slice::<Unchecked>(json)?)
    }

    /// The command as JSON text of at most [`MAX_COMMAND_BYTES`] bytes.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a name, a number and JSON text always serialise")
    }

    /// Who sent it.
    pub fn client(&self) -> &str {
        &self.client
    }

    /// On whose behalf: what stands before the first `:` of the client's name. Who sends several commands at once needs as many
    /// clients, such as `alice:1` and `alice:2`.
    pub fn on_behalf_of(&self) -> &str {
        self.client.split(':').next().unwrap_or_default()
    }

    /// Its number among the commands of this client, from 1.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// What the application is asked to do, as the client wrote it.
    pub fn op(&self) -> &RawValue {
        &self.op
    }
}

/// The envelope as it was read, before anything about it was checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    client: String,
    serial: u64,
    op: Box<RawValue>,
}

impl TryFrom<Unchecked> for Command {
    type Error = CommandError;

    fn try_from(unchecked: Unchecked) -> Result<Command, CommandError> {
        Command::new(unchecked.client, unchecked.serial, unchecked.op)
    }
}

fn is_client_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=MAX_CLIENT_BYTES).contains(&name.len()) && name.bytes().all(allowed)
}

fn check_length(what: &'static str, bytes: usize, limit_bytes: usize) -> Result<(), CommandError> {
    if bytes > limit_bytes {
        return Err(CommandError::TooLong { what, bytes, limit_bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn a_command_reads_back_as_written() {
        let text = r#"{"client":"cli-7f3a","serial":4,"op":{"attack":3}}"#;
        let command = Command::parse(text.as_bytes()).unwrap();
        assert_eq!((command.client(), command.serial(), command.op().get()), ("cli-7f3a", 4, r#"{"attack":3}"#));
        assert_eq!(command.encode(), text);
    }

    #[test]
    fn the_op_is_kept_to_the_byte() {
        let command = Command::parse(br#"{"op": {"a" : 1.0e0,"a":2}, "serial": 1, "client": "c"}"#).unwrap();
        assert_eq!(command.op().get(), r#"{"a" : 1.0e0,"a":2}"#);
    }

    #[test]
    fn a_client_name_has_1_to_64_plain_characters() {
        for good in ["a", "cli-7f3a", "host:1.2_3", &"x".repeat(64)] {
            assert!(Command::new(good, 1, raw("0")).is_ok(), "{good:?}");
        }
        for bad in ["", "a b", "é", "a\n", "a/b", &"x".repeat(65)] {
            assert!(matches!(Command::new(bad, 1, raw("0")), Err(CommandError::Client(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_client_acts_on_behalf_of_what_its_name_begins_with() {
        for (client, who) in [("alice:7f3a", "alice"), ("alice", "alice"), ("a:b:c", "a"), (":1", "")] {
            assert_eq!(Command::new(client, 1, raw("0")).unwrap().on_behalf_of(), who);
        }
    }

    #[test]
    fn serials_start_at_1() {
        assert!(matches!(Command::new("c", 0, raw("0")), Err(CommandError::Serial)));
        assert!(Command::new("c", u64::MAX, raw("0")).is_ok());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"client":"c","serial":1}"#,
            r#"{"client":"c","serial":-1,"op":0}"#,
            r#"{"client":"c","serial":1.5,"op":0}"#,
            r#"{"client":"c","serial":1,"op":0,"more":0}"#,
            r#"{"client":"c","serial":1,"op":0} x"#,
            r#"{"client":"c","serial":1,"op":{"attack":}}"#,
        ] {
            assert!(matches!(Command::parse(text.as_bytes()), Err(CommandError::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn the_longest_command_encodes_within_the_limit_and_a_longer_one_is_refused() {
        let op = |bytes: usize| raw(&format!("\"{}\"", "x".repeat(bytes - 2)));
        let longest = Command::new("x".repeat(MAX_CLIENT_BYTES), u64::MAX, op(MAX_OP_BYTES)).unwrap();
        assert!(Command::parse(longest.encode().as_bytes()).is_ok());

        assert!(matches!(Command::new("c", 1, op(MAX_OP_BYTES + 1)), Err(CommandError::TooLong { .. })));
        let padded = " ".repeat(MAX_COMMAND_BYTES) + r#"{"client":"c","serial":1,"op":0}"#;
        assert!(matches!(Command::parse(padded.as_bytes()), Err(CommandError::TooLong { .. })));
    }
}
