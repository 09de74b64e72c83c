//! The paths of an open canvas: those of Distri-place to the letter, and four of our own.
//!
//! | path | answer |
//! |---|---|
//! | `GET /client/pixels` | the whole board as JSON |
//! | `POST /client/pixel` with `{"user_id":"…","x":1,"y":2,"color":255}` | 200 `{"success":true}` once it is committed |
//! | `GET /client/status`, `/client/health` | `{"status":"ok"}`; 503 where no node is healthy |
//! | WebSocket `/ws/` and `/ws` | see `socket.rs` |
//! | ours: `POST /client/pixels` with `{"user_id":"…","pixels":[[1,2,255],…]}` | 200 `{"success":true}`; up to 4096 pixels, all or none |
//! | ours: `GET /client/board` | the whole board in few bytes, see `board.rs` |
//! | ours: `GET /client/painter?x=1&y=2` | who painted a pixel, see `blame.rs` |
//! | ours: `/`, and the files of our own page | see `page.rs` |
//!
//! What fails says why: `{"detail":"…"}` with 422 for what is no pixel of this canvas (it does not reach the log), 403 for a
//! capability that is for looking only, 413 for more than a request may hold, 429 for a painter who must wait, 500 for what
//! the cluster did not do, 503 where no node is healthy. Boards and what was painted name their entry in the header
//! `x-canvas-index`; `GET /client/board` also says what the caller may do. `?node=n2` asks for the board of one node.
//!
//! Invariant: nothing is answered before the guard has let the caller in.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER,
    UPGRADE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use raftian_apps::{Colour, MAX_BATCH_PX};
use raftian_rpc::{Index, NodeId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::timeout;

use super::board::{Packed, Pixel};
use super::guard::{Admitted, Grant, Refusal};
use super::hub::Hub;
use super::painters::NotPainted;
use super::{Shared, blame, page, socket};

/// The largest body of a request, in bytes: four times a batch of the most pixels.
const MAX_REQUEST_BYTES: usize = 320 * 1024;

/// How long a request may take, its body and the cluster's answer included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a board may take to have what painters were told of.
const FRESH: Duration = Duration::from_millis(200);

/// The entry that a board ends with, or that painted.
const INDEX: &str = "x-canvas-index";

/// What the caller may do: `look` or `paint`; and how long a painter waits between two commands, in milliseconds.
const GRANT: &str = "x-canvas-grant";
const COOL_DOWN: &str = "x-canvas-cool-down-ms";

/// All paths behind the guard.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/client/pixels", get(pixels).post(paint_batch))
        .route("/client/pixel", axum::routing::post(paint_one))
        .route("/client/board", get(board))
        .route("/client/painter", get(blame::painter))
        .route("/client/status", get(status))
        .route("/client/health", get(status))
        .route("/ws", get(socket::upgrade))
        .route("/ws/", get(socket::upgrade))
        .merge(page::router())
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .layer(from_fn_with_state(Arc::clone(&shared), guarded))
        .with_state(shared)
}

/// A pixel as Distri-place's page paints it.
#[derive(Deserialize)]
struct OnePixel {
    user_id: String,
    x: u32,
    y: u32,
    color: u32,
}

/// Pixels that are painted together.
#[derive(Deserialize)]
struct Batch {
    user_id: String,
    pixels: Vec<(u32, u32, u32)>,
}

/// Whose board is asked for.
#[derive(Deserialize)]
struct Whose {
    node: Option<NodeId>,
}

/// Lets a request in or not, and adds what every answer has.
async fn guarded(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let is_socket = request.headers().contains_key(UPGRADE);
    let exchanged = page::exchange(&shared.guard, &request);
    let mut response = match shared.guard.admit(request.headers()) {
        Err(Refusal { status, detail }) => match exchanged {
            Some(cookie) if status == StatusCode::UNAUTHORIZED => cookie,
            _ => refuse(&shared, status, detail),
        },
        Ok(_) if exchanged.is_some() => exchanged.unwrap_or_default(),
        Ok(Admitted { grant, cross_origin }) => {
            let response = if request.method() == Method::OPTIONS {
                preflight()
            } else {
                request.extensions_mut().insert(grant);
                match timeout(REQUEST_TIMEOUT, next.run(request)).await {
                    Ok(response) => response,
                    Err(_) => refuse(&shared, StatusCode::REQUEST_TIMEOUT, "the request was not complete in time"),
                }
            };
            share(response, cross_origin)
        }
    };
    let headers = response.headers_mut();
    if !is_socket {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

/// Tells a browser that a page of another origin was let in.
fn share(mut response: Response, origin: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(INDEX));
    }
    response
}

/// What a browser asks before a page of another origin may paint.
fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    match shared.nodes.pick(0) {
        Some(_) => json_of(Bytes::from_static(br#"{"status":"ok"}"#), None),
        None => failed(StatusCode::SERVICE_UNAVAILABLE, "no node is healthy"),
    }
}

async fn pixels(State(shared): State<Arc<Shared>>, Query(whose): Query<Whose>) -> Response {
    let made = hub(&shared, &whose).await.and_then(|hub| hub.with_board(|board| (board.json(), board.index())));
    match made {
        Some((json, index)) => json_of(json, Some(index)),
        None => failed(StatusCode::SERVICE_UNAVAILABLE, "no node has told its board yet"),
    }
}

async fn board(
    State(shared): State<Arc<Shared>>,
    grant: axum::Extension<Grant>,
    Query(whose): Query<Whose>,
    headers: HeaderMap,
) -> Response {
    let made = hub(&shared, &whose).await.and_then(|hub| hub.with_board(|board| (board.packed(), board.index())));
    let Some((Packed { plain, gzip }, index)) = made else {
        return failed(StatusCode::SERVICE_UNAVAILABLE, "no node has told its board yet");
    };
    let mut response = Response::new(Body::empty());
    let takes_gzip = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    if takes_gzip.is_some_and(|value| value.contains("gzip")) {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        *response.body_mut() = Body::from(gzip);
    } else {
        *response.body_mut() = Body::from(plain);
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let may = if *grant < Grant::Paint { "look" } else { "paint" };
    response.headers_mut().insert(GRANT, HeaderValue::from_static(may));
    response.headers_mut().insert(COOL_DOWN, shared.request.cool_down_ms.into());
    response.headers_mut().insert(INDEX, index.into());
    response
}

/// Whose board answers: the node's that is asked for, as it is; or else the freshest one, which has everything of which a
/// painter was told that it was painted, unless that takes too long.
async fn hub(shared: &Shared, Whose { node }: &Whose) -> Option<Arc<Hub>> {
    if let Some(node) = node {
        return shared.nodes.hub(*node);
    }
    let hub = shared.nodes.freshest()?;
    let _ = timeout(FRESH, hub.reaches(shared.painters.last())).await;
    Some(hub)
}

async fn paint_one(State(shared): State<Arc<Shared>>, grant: axum::Extension<Grant>, body: Bytes) -> Response {
    match parse(&body) {
        Ok(OnePixel { user_id, x, y, color }) => paint(&shared, *grant, &user_id, vec![(x, y, color)]).await,
        Err(why) => refuse(&shared, StatusCode::UNPROCESSABLE_ENTITY, &why),
    }
}

async fn paint_batch(State(shared): State<Arc<Shared>>, grant: axum::Extension<Grant>, body: Bytes) -> Response {
    match parse(&body) {
        Ok(Batch { user_id, pixels }) => paint(&shared, *grant, &user_id, pixels).await,
        Err(why) => refuse(&shared, StatusCode::UNPROCESSABLE_ENTITY, &why),
    }
}

async fn paint(shared: &Shared, grant: Grant, user: &str, pixels: Vec<(u32, u32, u32)>) -> Response {
    if grant < Grant::Paint {
        return refuse(shared, StatusCode::FORBIDDEN, "this address is for looking only");
    }
    let pixels = match check(shared, pixels) {
        Ok(pixels) => pixels,
        Err(why) => return refuse(shared, StatusCode::UNPROCESSABLE_ENTITY, &why),
    };
    match shared.painters.paint(user, pixels).await {
        Ok(index) => json_of(Bytes::from_static(br#"{"success":true}"#), Some(index)),
        Err(NotPainted::Failed(why)) => failed(StatusCode::INTERNAL_SERVER_ERROR, &why),
        Err(NotPainted::TooMuch) => {
            refuse(shared, StatusCode::TOO_MANY_REQUESTS, "wait until your other pixels are painted")
        }
        Err(NotPainted::TooSoon(left)) => {
            let why = format!("wait {:.1} s before you paint again", left.as_secs_f64());
            let mut response = refuse(shared, StatusCode::TOO_MANY_REQUESTS, &why);
            response.headers_mut().insert(RETRY_AFTER, (left.as_secs() + 1).into());
            response
        }
    }
}

/// The pixels, if all of them are on this canvas and their colours are some.
fn check(shared: &Shared, pixels: Vec<(u32, u32, u32)>) -> Result<Vec<Pixel>, String> {
    if !(1..=MAX_BATCH_PX).contains(&pixels.len()) {
        return Err(format!("a batch has 1 to {MAX_BATCH_PX} pixels, not {}", pixels.len()));
    }
    let size = shared.size;
    let checked = pixels.into_iter().map(|(x, y, colour)| {
        let (column, row) = (u16::try_from(x).unwrap_or(u16::MAX), u16::try_from(y).unwrap_or(u16::MAX));
        if !size.has(column, row) {
            return Err(format!("pixel {x},{y} is not on the canvas of {size}"));
        }
        match colour.to_be_bytes() {
            [0, rgb @ ..] => Ok((column, row, Colour::from_rgb(rgb))),
            _ => Err(format!("{colour} is not a colour: it must be 0 to 16777215")),
        }
    });
    checked.collect()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("malformed: {error}"))
}

/// JSON, and the entry that it is about.
pub(super) fn json_of(body: Bytes, index: Option<Index>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(index) = index {
        response.headers_mut().insert(INDEX, index.into());
    }
    response
}

/// Turns a request away, and counts it.
pub(super) fn refuse(shared: &Shared, status: StatusCode, detail: &str) -> Response {
    shared.counts.refused.fetch_add(1, Ordering::Relaxed);
    failed(status, detail)
}

/// An answer that says what went wrong.
pub(super) fn failed(status: StatusCode, detail: &str) -> Response {
    let mut response = json_of(json!({ "detail": detail }).to_string().into(), None);
    *response.status_mut() = status;
    response
}
