//! What a client is told: JSON text, computed once and then only handed around.
//!
//! Invariant: a response is part of the replicated state (a session keeps it for retries), so its *bytes* must be the
//! same on every server. That is why the error responses carry no text of a library, which may differ by version.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// A response as JSON text. Cloning it copies a pointer; two are equal when their text is.
#[derive(Clone)]
pub struct Response(Arc<RawValue>);

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum Refusal {
    /// The application has no such command.
    UnknownOp,
    /// The client has moved on to a later command.
    StaleSerial {
        /// The serial of that one.
        last_serial: u64,
    },
    /// Nothing is known of the client, and a session is opened by serial 1 alone: it never was, or it has expired.
    /// Whoever wants to go on takes another name.
    NoSession,
    /// The entry is not a command at all.
    MalformedCommand,
}

impl Response {
    /// The JSON text of this value.
    ///
    /// # Panics
    /// When the value has no JSON (a map whose keys are not text): a defect of the application.
    pub fn of(value: &impl Serialize) -> Response {
        Response(to_raw_value(value).expect("an application's response serialises").into())
    }

    /// The JSON text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Why the command of this response was not carried out at that place in the log, if it was not. It says nothing of
    /// other copies of the command, which may have been carried out before or may be yet.
    pub fn refusal(&self) -> Option<Refusal> {
        // Nothing that an application says begins so.
        self.get().starts_with(r#"{"error":"#).then(|| serde_json::from_str(self.get()).ok())?
    }

    /// `{"error":"unknown_op"}`: the application has no such command.
    pub(crate) fn unknown_op() -> Response {
        Response::of(&Refusal::UnknownOp)
    }

    /// `{"error":"stale_serial","last_serial":7}`: the client has moved on to a later command.
    pub(crate) fn stale_serial(last_serial: u64) -> Response {
        Response::of(&Refusal::StaleSerial { last_serial })
    }

    /// `{"error":"no_session"}`: the client has no session, and the command's serial does not open one.
    pub(crate) fn no_session() -> Response {
        Response::of(&Refusal::NoSession)
    }

    /// `{"error":"malformed_command"}`: the entry is not a command at all.
    pub(crate) fn malformed_command() -> Response {
        Response::of(&Refusal::MalformedCommand)
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl PartialEq for Response {
    fn eq(&self, other: &Response) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Response {}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Response {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Response, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Response(raw.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_travels_as_the_json_it_is() {
        let response: Response = serde_json::from_str(r#"{"hp": 70}"#).unwrap();
        assert_eq!(serde_json::to_string(&[response]).unwrap(), r#"[{"hp": 70}]"#);
    }

    #[test]
    fn error_responses_have_fixed_texts() {
        assert_eq!(Response::unknown_op().get(), r#"{"error":"unknown_op"}"#);
        assert_eq!(Response::stale_serial(7).get(), r#"{"error":"stale_serial","last_serial":7}"#);
        assert_eq!(Response::no_session().get(), r#"{"error":"no_session"}"#);
        assert_eq!(Response::malformed_command().get(), r#"{"error":"malformed_command"}"#);
    }

    #[test]
    fn a_refusal_is_told_from_what_an_application_says() {
        assert_eq!(Response::stale_serial(7).refusal(), Some(Refusal::StaleSerial { last_serial: 7 }));
        for refusal in [Refusal::UnknownOp, Refusal::NoSession, Refusal::MalformedCommand] {
            assert_eq!(Response::of(&refusal).refusal(), Some(refusal));
        }
        for text in [r#"{"outcome":"set"}"#, r#"{"error":"out_of_luck"}"#, "7", r#""error""#] {
            assert_eq!(serde_json::from_str::<Response>(text).unwrap().refusal(), None, "{text}");
        }
    }
}
