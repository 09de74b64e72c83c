//! The body of a request, which ends the time that its caller has to send it.
//!
//! Invariant: once the body has been read, or is not wanted any more, the caller owes nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use crate::serve::connections::Connection;

/// A body that is read within a time.
#[derive(Debug)]
pub(super) struct TimedBody {
    body: Incoming,
    connection: Arc<Connection>,
}

impl TimedBody {
    pub(super) fn new(body: Incoming, connection: Arc<Connection>) -> TimedBody {
        TimedBody { body, connection }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        self.connection.expect_nothing();
    }
}
