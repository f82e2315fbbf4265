//! The session's cookie. `__Host-`: only over what the browser holds secure (https, and http on loopback), only to
//! this host, never set from a subdomain.

use crate::auth::secret;
use axum::http::{HeaderMap, header::COOKIE};
use custos_event::Private;

pub(super) const NAME: &str = "__Host-custos";
const BOUNDS: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";

pub(super) fn read(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))
}

/// Without an age: it goes with the browser, at the latest.
pub(super) fn set(id: &Private<String>) -> String {
    format!("{NAME}={}; {BOUNDS}", id.reveal())
}

pub(super) fn clear() -> String {
    format!("{NAME}=; Max-Age=0; {BOUNDS}")
}

/// The token that a change has to show: it follows from the id, so it need not be kept, and changes with it.
pub(super) fn csrf(id: &Private<String>) -> String {
    secret::derived("custos csrf 1", id.reveal())
}
