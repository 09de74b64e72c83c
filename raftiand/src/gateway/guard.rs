//! Who comes in to an open canvas, and for what.
//!
//! | who | may |
//! |---|---|
//! | whoever shows a capability, as a cookie or as `Authorization: Bearer …` | what the capability is for |
//! | a page of an origin that the owner has let in; a browser says where a page is from | paint |
//! | everybody on this machine, where the owner has let in any origin | paint |
//! | all others | nothing: 401, or 403 for a page of another origin |
//!
//! Where the canvas was opened for looking only, nobody may paint.
//!
//! Invariant: the lab's secret is of no use here, and nothing that a painter holds is of use anywhere else. The Host must
//! be a loopback name, so that no page can come in under a name that it made to lead here (DNS rebinding).
//!
//! Deliberately absent: stopping a program of this machine that says it is a page of an origin that was let in.

use std::io;

use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use raftian_rpc::lab::{CanvasRequest, Origins};
use raftian_rpc::secret::Secret;
use raftian_rpc::serve::is_loopback;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grant {
    /// Look at the canvas.
    Look,
    /// Look, and paint.
    Paint,
}

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    /// For what.
    pub(super) grant: Grant,
    /// The origin of another page, which has to be told that it was let in.
    pub(super) cross_origin: Option<HeaderValue>,
}

/// Why somebody was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// As HTTP says it.
    pub(super) status: StatusCode,
    /// As people say it.
    pub(super) detail: &'static str,
}

/// The door of one canvas.
pub(super) struct Guard {
    painters: Secret,
    viewers: Secret,
    origins: Origins,
    read_only: bool,
    cookie: String,
}

const STRANGER: Refusal = Refusal {
    status: StatusCode::UNAUTHORIZED,
    detail: "this canvas is opened by an address that its owner gives away; the one that you have is not or no longer valid",
};

const FOREIGN: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    detail: "pages of this origin may not come in: the canvas's owner must allow it",
};

const REBOUND: Refusal =
    Refusal { status: StatusCode::FORBIDDEN, detail: "call this canvas by the loopback address of its machine" };

impl Guard {
    /// A door with new capabilities.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub(super) fn new(request: &CanvasRequest) -> io::Result<Guard> {
        Ok(Guard {
            painters: Secret::generate()?,
            viewers: Secret::generate()?,
            origins: request.origins.clone(),
            read_only: request.read_only,
            // A browser sends cookies to all ports of a host.
            cookie: format!("raftian_canvas_{}", request.port),
        })
    }

    /// The key in the address that is given away.
    pub(super) fn key(&self, grant: Grant) -> String {
        let secret = if grant == Grant::Paint { &self.painters } else { &self.viewers };
        secret.header().split_off("Bearer ".len())
    }

    /// Whether a key is one, and the cookie that stands for it from now on.
    pub(super) fn cookie(&self, key: &str) -> Option<String> {
        let grant = self.grant_of(&format!("Bearer {key}"))?;
        Some(format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie, self.key(grant)))
    }

    /// Decides about a request.
    ///
    /// # Errors
    /// When it is not let in.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<Admitted, Refusal> {
        let (host, origin) = (only(headers, HOST.as_str())?.ok_or(REBOUND)?, only(headers, ORIGIN.as_str())?);
        if !is_loopback(host) {
            return Err(REBOUND);
        }
        let is_foreign = origin.is_some_and(|origin| !origin.eq_ignore_ascii_case(&format!("http://{host}")));
        let is_welcome = match (&self.origins, origin) {
            (Origins::Any, _) => true,
            (Origins::Only(origins), Some(origin)) => {
                origins.iter().any(|one| origin.eq_ignore_ascii_case(one.as_str()))
            }
            (Origins::Only(_), None) => false,
        };
        if is_foreign && !is_welcome {
            return Err(FOREIGN);
        }
        let shown = self.shown(headers).or(is_welcome.then_some(Grant::Paint)).ok_or(STRANGER)?;
        let grant = if self.read_only { Grant::Look } else { shown };
        let cross_origin = origin.filter(|_| is_foreign).and_then(|origin| HeaderValue::from_str(origin).ok());
        Ok(Admitted { grant, cross_origin })
    }

    /// The most that the capabilities in a request are for.
    fn shown(&self, headers: &HeaderMap) -> Option<Grant> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| self.grant_of(value.to_str().ok()?));
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let keys = pairs.filter(|(name, _)| *name == self.cookie).map(|(_, key)| format!("Bearer {key}"));
        keys.filter_map(|header| self.grant_of(&header)).chain(bearer).max()
    }

    fn grant_of(&self, header: &str) -> Option<Grant> {
        let is = |secret: &Secret| secret.admits(header.as_bytes());
        is(&self.painters).then_some(Grant::Paint).or_else(|| is(&self.viewers).then_some(Grant::Look))
    }
}

/// The one value of a header. Which of two counts is a matter of opinion, so two are none.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| FOREIGN),
        (Some(_), Some(_)) => Err(FOREIGN),
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::lab::Strategy;

    use super::*;

    fn guard(origins: Origins, read_only: bool) -> Guard {
        let request = CanvasRequest { port: 8080, origins, read_only, strategy: Strategy::default(), cool_down_ms: 0 };
        Guard::new(&request).unwrap()
    }

    fn admit(guard: &Guard, pairs: &[(&'static str, &str)]) -> Result<Grant, u16> {
        let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        guard.admit(&headers).map(|admitted| admitted.grant).map_err(|refusal| refusal.status.as_u16())
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:8080");

    fn only(origin: &str) -> Origins {
        Origins::Only(vec![origin.parse().unwrap()])
    }

    #[test]
    fn a_capability_opens_what_it_is_for_as_a_cookie_or_in_a_header() {
        let guard = guard(Origins::Only(Vec::new()), false);
        for grant in [Grant::Look, Grant::Paint] {
            let key = guard.key(grant);
            assert_eq!(admit(&guard, &[HOST, ("authorization", &format!("Bearer {key}"))]), Ok(grant));
            let cookie = guard.cookie(&key).unwrap();
            let (pair, flags) = cookie.split_once(';').unwrap();
            assert!(flags.contains("HttpOnly") && flags.contains("SameSite=Strict"));
            assert_eq!(admit(&guard, &[HOST, ("cookie", &format!("a=b; {pair}"))]), Ok(grant));
            let own = ("origin", "http://127.0.0.1:8080");
            assert_eq!(admit(&guard, &[HOST, own, ("cookie", pair)]), Ok(grant));
        }
        for stranger in [None, Some(("authorization", "Bearer x")), Some(("cookie", "raftian_canvas_8080=x"))] {
            assert_eq!(admit(&guard, &Vec::from_iter([HOST].into_iter().chain(stranger))), Err(401));
        }
        assert_eq!(guard.cookie("x"), None);
    }

    #[test]
    fn a_page_of_another_origin_comes_in_if_the_owner_lets_it() {
        let guard = guard(only("http://localhost:3000"), false);
        let origin = |origin| [HOST, ("origin", origin)];
        assert_eq!(admit(&guard, &origin("http://localhost:3000")), Ok(Grant::Paint));
        for foreign in ["http://localhost:3001", "https://localhost:3000", "http://evil.example", "null"] {
            assert_eq!(admit(&guard, &origin(foreign)), Err(403), "{foreign}");
            let key = format!("Bearer {}", guard.key(Grant::Paint));
            assert_eq!(admit(&guard, &[HOST, ("origin", foreign), ("authorization", &key)]), Err(403), "{foreign}");
        }
        let headers =
            origin("http://localhost:3000").map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let admitted = guard.admit(&HeaderMap::from_iter(headers)).unwrap();
        assert_eq!(admitted.cross_origin.unwrap(), "http://localhost:3000");
    }

    #[test]
    fn where_any_origin_is_welcome_everybody_is_but_not_under_another_host() {
        let guard = guard(Origins::Any, false);
        assert_eq!(admit(&guard, &[HOST]), Ok(Grant::Paint));
        assert_eq!(admit(&guard, &[HOST, ("origin", "http://anything.example")]), Ok(Grant::Paint));
        assert_eq!(admit(&guard, &[("host", "evil.example:8080")]), Err(403));
        assert_eq!(admit(&guard, &[]), Err(403));
        assert_eq!(admit(&guard, &[HOST, HOST]), Err(403), "which of two counts is a matter of opinion");
    }

    #[test]
    fn a_canvas_for_looking_only_is_painted_by_nobody() {
        let guard = guard(only("http://localhost:3000"), true);
        let key = format!("Bearer {}", guard.key(Grant::Paint));
        assert_eq!(admit(&guard, &[HOST, ("authorization", &key)]), Ok(Grant::Look));
        assert_eq!(admit(&guard, &[HOST, ("origin", "http://localhost:3000")]), Ok(Grant::Look));
    }
}
