//! Two kinds of requests that could not be answered: a subscription over plain HTTP, where there is no way to send what
//! is subscribed to, and a notification (a request without an id), which no method here takes and the library drops.
//!
//! Invariant: such a request is refused before it reaches its handler, alone or in a batch, by an error that says what to
//! send instead.
//!
//! Deliberately absent: telling the transports apart; the guard marks what comes over plain HTTP ([`PlainHttp`]).

use std::sync::Arc;

use jsonrpsee::Methods;
use jsonrpsee::core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, Request, RpcServiceT};
use jsonrpsee::core::server::{MethodCallback, MethodResponse};
use jsonrpsee::types::error::INVALID_REQUEST_CODE;
use jsonrpsee::types::{ErrorObjectOwned, Id};
use tower::Layer;

/// The mark of a request that did not come over a WebSocket.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainHttp;

/// Puts [`Refusals`] before the methods.
#[derive(Clone, Debug)]
pub(super) struct RefusalsLayer {
    names: Arc<[&'static str]>,
}

/// The service that refuses what could not be answered.
#[derive(Clone, Debug)]
pub(super) struct Refusals<S> {
    /// The methods that subscribe and unsubscribe, of which there are two: each call is compared with them.
    names: Arc<[&'static str]>,
    inner: S,
}

impl RefusalsLayer {
    pub(super) fn of(methods: &Methods) -> RefusalsLayer {
        let is_subscription = |name: &&'static str| {
            let callback = methods.method(name);
            matches!(callback, Some(MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_)))
        };
        RefusalsLayer { names: methods.method_names().filter(is_subscription).collect() }
    }
}

impl<S> Layer<S> for RefusalsLayer {
    type Service = Refusals<S>;

    fn layer(&self, inner: S) -> Refusals<S> {
        Refusals { names: Arc::clone(&self.names), inner }
    }
}

impl<S> Refusals<S> {
    fn refusal(&self, request: &Request<'_>) -> Option<ErrorObjectOwned> {
        let name = self.names.iter().find(|name| **name == request.method)?;
        request.extensions.get::<PlainHttp>()?;
        let why = format!("`{name}` belongs to a subscription, which wants a WebSocket: call it at ws://, not http://");
        Some(ErrorObjectOwned::owned(INVALID_REQUEST_CODE, why, None::<()>))
    }
}

/// What is wrong with a notification.
fn unanswerable(notification: &Notification<'_>) -> ErrorObjectOwned {
    let name = &notification.method;
    let why = format!("`{name}` was sent as a notification and is not carried out: give the request an `id`");
    ErrorObjectOwned::owned(INVALID_REQUEST_CODE, why, None::<()>)
}

impl<S> RpcServiceT for Refusals<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse, NotificationResponse = MethodResponse>,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = S::BatchResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let answer = match self.refusal(&request) {
            Some(refusal) => Err(MethodResponse::error(request.id, refusal)),
            None => Ok(self.inner.call(request)),
        };
        async move {
            match answer {
                Ok(answer) => answer.await,
                Err(refusal) => refusal,
            }
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = Self::BatchResponse> + Send + 'a {
        let checked = batch.into_iter().map(|entry| match entry {
            Ok(BatchEntry::Call(request)) => match self.refusal(&request) {
                Some(refusal) => Err(BatchEntryErr::new(request.id, refusal)),
                None => Ok(BatchEntry::Call(request)),
            },
            Ok(BatchEntry::Notification(notification)) => {
                Err(BatchEntryErr::new(Id::Null, unanswerable(&notification)))
            }
            malformed => malformed,
        });
        self.inner.batch(Batch::from(checked.collect()))
    }

    fn notification<'a>(&self, notification: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        std::future::ready(MethodResponse::error(Id::Null, unanswerable(&notification)))
    }
}
