//! The painters' own page: its files, which are in the program, and the way in.
//!
//! Whoever opens the address that was given away, `/?key=…`, gets the capability as a cookie that no script can read, and
//! goes on to `/`, so that the key stands in no history that is synchronised and no address that is copied by accident.
//!
//! Invariant: the page runs nothing and loads nothing that is not in these files (its Content-Security-Policy).

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, SET_COOKIE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::guard::Guard;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The files, by their paths.
const FILES: [(&str, &str, &str); 11] = [
    ("/", HTML, include_str!("../../page/canvas/index.html")),
    ("/canvas.css", CSS, include_str!("../../page/canvas/canvas.css")),
    ("/canvas.js", SCRIPT, include_str!("../../page/canvas/canvas.js")),
    ("/hands.js", SCRIPT, include_str!("../../page/canvas/hands.js")),
    ("/keys.js", SCRIPT, include_str!("../../page/canvas/keys.js")),
    ("/painting.js", SCRIPT, include_str!("../../page/canvas/painting.js")),
    ("/palette.js", SCRIPT, include_str!("../../page/canvas/palette.js")),
    ("/picture.js", SCRIPT, include_str!("../../page/canvas/picture.js")),
    ("/tray.js", SCRIPT, include_str!("../../page/canvas/tray.js")),
    ("/view.js", SCRIPT, include_str!("../../page/canvas/view.js")),
    ("/wire.js", SCRIPT, include_str!("../../page/canvas/wire.js")),
];

/// What the page may do: its own files and connections to where it came from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Its paths.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, (path, kind, text)| {
        let answer =
            ([(CONTENT_TYPE, *kind), (CONTENT_SECURITY_POLICY, POLICY), (REFERRER_POLICY, "no-referrer")], *text);
        router.route(path, get(move || std::future::ready(answer.clone())))
    })
}

/// The answer to who comes with a key that is one: a cookie, and the way to the page.
pub(super) fn exchange(guard: &Guard, request: &Request) -> Option<Response> {
    let key = request.uri().query().filter(|_| request.uri().path() == "/")?.strip_prefix("key=")?;
    let cookie = guard.cookie(key)?;
    // A page that leads on, and no redirection: a browser keeps a strict cookie back from a redirection that begins
    // elsewhere, such as by a click in a mail.
    let body =
        r#"<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/"><title>Canvas</title>"#;
    let headers =
        [(CONTENT_TYPE, HTML), (CONTENT_SECURITY_POLICY, "default-src 'none'"), (REFERRER_POLICY, "no-referrer")];
    let mut response = (headers, body).into_response();
    response.headers_mut().insert(SET_COOKIE, cookie.parse().ok()?);
    Some(response)
}
