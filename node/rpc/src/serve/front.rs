//! What a server has for callers that do not speak JSON-RPC: a page, and metrics.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jsonrpsee::server::{HttpBody, HttpResponse};

use super::door::Door;
use crate::metrics::MEDIA_TYPE;

/// A text that is being made.
pub(super) type Text = Pin<Box<dyn Future<Output = String> + Send>>;

/// What there is, beside the methods.
#[derive(Clone, Default)]
pub struct Front {
    /// Where pages come in; without it no browser does.
    pub(super) door: Option<Arc<Door>>,
    /// Makes the text of `GET /metrics`.
    metrics: Option<Arc<dyn Fn() -> Text + Send + Sync>>,
}

impl Front {
    /// With a door, where pages come in.
    pub fn with_door(self, door: Arc<Door>) -> Front {
        Front { door: Some(door), ..self }
    }

    /// With metrics: the text of them, made when it is asked for.
    pub fn with_metrics<F>(mut self, metrics: impl Fn() -> F + Send + Sync + 'static) -> Front
    where
        F: Future<Output = String> + Send + 'static,
    {
        self.metrics = Some(Arc::new(move || Box::pin(metrics())));
        self
    }

    /// The metrics, if this path asks for them.
    pub(super) fn metrics(&self, path: &str) -> Option<Text> {
        let metrics = self.metrics.as_ref().filter(|_| path == "/metrics")?;
        Some(metrics())
    }
}

/// The answer that has them.
pub(super) fn of_metrics(text: String) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(text));
    response.headers_mut().insert("content-type", MEDIA_TYPE.parse().expect("a valid header value"));
    response
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").field("door", &self.door).field("metrics", &self.metrics.is_some()).finish()
    }
}
