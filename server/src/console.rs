//! Serves the web console: its page at every address that is no file and no API, and the files the page loads.

use crate::api::{headers::page_policy, problem::Problem};
use anyhow::Context as _;
use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use custos_console::{Asset, asset};

/// A year: the name of such a file holds a digest of its content.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Asked each time, answered with 304 while it is the same.
const REVALIDATE: &str = "no-cache";

pub(crate) fn router() -> Router {
    let folder = get(|Path(path): Path<String>, headers: HeaderMap| async move {
        file(&format!("assets/{path}"), &headers)
    });
    let mut router = Router::new()
        .route("/assets/{*path}", folder)
        .route("/mark.svg", get(|headers: HeaderMap| async move { file("mark.svg", &headers) }));
    // Named one by one: an address that is none of the console's stays unknown, not a page that says so.
    for address in PAGES {
        router = router.route(address, get(page));
    }
    router
}

/// The console's own addresses; it reads the rest of each itself.
const PAGES: [&str; 17] = [
    "/",
    "/overview",
    "/search",
    "/alerts",
    "/alerts/{id}",
    "/incidents",
    "/incidents/{id}",
    "/effects",
    "/customers",
    "/integrity",
    "/backups",
    "/retention",
    "/privacy",
    "/sources",
    "/rules",
    "/rules/edit",
    "/rules/{id}",
];

async fn page() -> Result<Response, Problem> {
    let (policy, nonce) = page_policy().map_err(|error| Problem::failed(&error))?;
    let text = custos_console::page(&nonce).context("the console's page is not in this binary");
    let text = text.map_err(|error| Problem::failed(&error))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    Ok((headers, text).into_response())
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(found) = asset(path, accepts_gzip(headers)) else {
        return Problem::not_found("the console has no such file; reload the page").into_response();
    };
    let Asset { bytes, content_type, gzip, etag, immutable } = found;
    let cache = if immutable { FOREVER } else { REVALIDATE };
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let told = [
        (header::CACHE_CONTROL, cache),
        (header::ETAG, &etag),
        (header::VARY, header::ACCEPT_ENCODING.as_str()),
    ];
    if known.is_some_and(|known| known.split(',').any(|tag| tag.trim() == etag)) {
        return (StatusCode::NOT_MODIFIED, told).into_response();
    }
    let mut response = (told, [(header::CONTENT_TYPE, content_type)], bytes).into_response();
    if gzip {
        let coding = HeaderValue::from_static("gzip");
        response.headers_mut().insert(header::CONTENT_ENCODING, coding);
    }
    response
}

/// Whether gzip is among the codings named, and not by a weight of nought.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let named = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    named.unwrap_or_default().split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !matches!(weight.trim(), "q=0" | "q=0.0")
    })
}

#[cfg(test)]
mod tests {
    use super::PAGES;

    /// A page that the menu leads to and the server does not know was gone after a reload.
    #[test]
    fn every_page_of_the_menu_can_be_loaded_by_its_address() {
        let menu = include_str!("../../console/web/src/app/navigation.ts");
        let paths: Vec<_> =
            menu.split("{ path: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(paths.len() > 5, "the menu is not read: {paths:?}");
        for path in paths {
            assert!(PAGES.contains(&path), "{path}");
        }
    }
}
