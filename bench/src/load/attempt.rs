//! What one attempt at one node tells about a command.
//!
//! Invariant: an attempt is `NotApplied` only where that is certain; whatever is not understood is `Lost`.

use std::error::Error;

use jsonrpsee::core::ClientError;
use raftian_rpc::error::{NodeError, not_taken};

/// How an attempt without an acknowledgement ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// The command will never be accepted anywhere: there is no use in trying again.
    Refused(String),
    /// This attempt certainly had and will have no effect.
    NotApplied(String),
    /// This attempt may have had, or may yet have, an effect.
    Lost(String),
}

/// Reads an error of `client.submit` or `client.read`.
pub(crate) fn classify(error: &ClientError) -> Miss {
    let text = error.to_string();
    match NodeError::from_client(error) {
        Some(NodeError::UnknownCommand { .. } | NodeError::BadRequest { .. }) => return Miss::Refused(text),
        Some(NodeError::TimedOut { .. }) => return Miss::Lost(text),
        Some(_) => return Miss::NotApplied(text),
        None => {}
    }
    match not_taken(error) {
        Some(why) => Miss::NotApplied(format!("the node {why}")),
        None => Miss::Lost(innermost(error)),
    }
}

/// The innermost cause is the one that says something.
fn innermost(error: &(dyn Error + 'static)) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use jsonrpsee::types::ErrorObjectOwned;

    use super::*;

    fn answered(error: NodeError) -> Miss {
        classify(&ClientError::Call(ErrorObjectOwned::from(error)))
    }

    #[test]
    fn a_promise_that_nothing_was_applied_is_believed_and_silence_is_not() {
        let node = "n1".parse().unwrap();
        assert!(matches!(answered(NodeError::NoLeader { node }), Miss::NotApplied(_)));
        assert!(matches!(answered(NodeError::Replaced), Miss::NotApplied(_)));
        assert!(matches!(answered(NodeError::TimedOut { waited_ms: 5 }), Miss::Lost(_)));
        assert!(matches!(answered(NodeError::UnknownCommand { why: "no".into() }), Miss::Refused(_)));
        assert!(matches!(classify(&ClientError::RequestTimeout), Miss::Lost(_)));
        let strange = ErrorObjectOwned::owned(-32603, "internal error", None::<()>);
        assert!(matches!(classify(&ClientError::Call(strange)), Miss::Lost(_)));
    }

    #[test]
    fn only_a_refused_connection_is_certain_among_broken_ones() {
        let broken = |kind: io::ErrorKind| classify(&ClientError::Transport(Box::new(io::Error::from(kind))));
        assert!(matches!(broken(io::ErrorKind::ConnectionRefused), Miss::NotApplied(_)));
        assert!(matches!(broken(io::ErrorKind::ConnectionReset), Miss::Lost(_)));
    }
}
