//! What is said to a caller who wants a subscription over plain HTTP, where there is nobody to send to.
//!
//! Invariant: it is refused before it reaches its handler, alone or in a batch, by an error that names the way.
//!
//! Deliberately absent: telling the transports apart; the guard marks what comes over plain HTTP ([`PlainHttp`]).

use std::sync::Arc;

use jsonrpsee::Methods;
use jsonrpsee::core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, Request, RpcServiceT};
use jsonrpsee::core::server::{MethodCallback, MethodResponse};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::types::error::INVALID_REQUEST_CODE;
use tower::Layer;

/// The mark of a request that did not come over a WebSocket.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainHttp;

/// Puts a [`Subscriptions`] before the methods.
#[derive(Clone, Debug)]
pub(super) struct SubscriptionsLayer {
    names: Arc<[&'static str]>,
}

/// The service that keeps subscriptions off plain HTTP.
#[derive(Clone, Debug)]
pub(super) struct Subscriptions<S> {
    /// The methods that subscribe and unsubscribe: none at a node, so that its calls cost nothing more.
    names: Arc<[&'static str]>,
    inner: S,
}

impl SubscriptionsLayer {
    pub(super) fn of(methods: &Methods) -> SubscriptionsLayer {
        let is_subscription = |name: &&'static str| {
            let callback = methods.method(name);
            matches!(callback, Some(MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_)))
        };
        SubscriptionsLayer { names: methods.method_names().filter(is_subscription).collect() }
    }
}

impl<S> Layer<S> for SubscriptionsLayer {
    type Service = Subscriptions<S>;

    fn layer(&self, inner: S) -> Subscriptions<S> {
        Subscriptions { names: Arc::clone(&self.names), inner }
    }
}

impl<S> Subscriptions<S> {
    fn refusal(&self, request: &Request<'_>) -> Option<ErrorObjectOwned> {
        let name = self.names.iter().find(|name| **name == request.method)?;
        request.extensions.get::<PlainHttp>()?;
        let why = format!("`{name}` belongs to a subscription, which wants a WebSocket: call it at ws://, not http://");
        Some(ErrorObjectOwned::owned(INVALID_REQUEST_CODE, why, None::<()>))
    }
}

impl<S> RpcServiceT for Subscriptions<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse>,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = S::NotificationResponse;
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
            other => other,
        });
        self.inner.batch(Batch::from(checked.collect()))
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = Self::NotificationResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}
