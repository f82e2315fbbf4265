//! What every answer says to browsers: nothing is run, framed, guessed or kept that Custos did not mean.

use crate::auth::secret;
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// For all but the console's page: nothing may load, nobody may frame it.
const POLICY: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const ALWAYS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // Answers hold evidence. The console's assets say otherwise themselves.
    (header::CACHE_CONTROL, "no-store"),
];
/// A year, as the preload lists ask.
const HSTS: &str = "max-age=31536000";

/// Sets what a handler has not set itself.
pub(crate) async fn set(request: Request, next: Next) -> Response {
    let https = behind_https(request.headers());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    response
}

/// As a proxy that ends TLS says. Who lies here only tells its own browser to use https.
fn behind_https(headers: &HeaderMap) -> bool {
    let proto = headers.get("x-forwarded-proto");
    proto.is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// The console's page: the policy to send as `Content-Security-Policy`, and the nonce in it for style elements.
/// Scripts come from files alone. Both are for one answer.
pub(crate) fn page_policy() -> anyhow::Result<(HeaderValue, String)> {
    let nonce = secret::fresh()?.reveal().clone();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    );
    Ok((HeaderValue::from_str(&policy)?, nonce))
}
