//! In front of every handler: who asks, does a change come from Custos' own page, and may they.

use super::{
    AsOf, State,
    caller::{Caller, SignedIn},
    cookie,
    problem::Problem,
    route::Access,
};
use crate::auth::{Permissions, secret};
use axum::{
    extract::{self, Request},
    http::{
        HeaderMap, HeaderName, Method,
        header::{AUTHORIZATION, HOST, ORIGIN},
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use custos_event::{Actor, Private};
use tokio_util::sync::CancellationToken;

const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What the page asks by itself, without anybody at the keyboard: it does not put off the idle end.
const BACKGROUND: HeaderName = HeaderName::from_static("x-custos-background");

/// What a route's guard knows.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) state: State,
    pub(super) access: Access,
    /// It can be asked as of another time.
    pub(super) has_past: bool,
}

pub(super) async fn check(
    extract::State(guard): extract::State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match admitted(&guard, request.method(), request.headers()) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    if let Some(text) = take_as_of(&mut request) {
        let past = if guard.has_past {
            guard.state.as_of(text).await
        } else {
            Err(Problem::wrong("as_of: this route tells of now alone; see openapi.json"))
        };
        match past {
            Ok(state) => drop(request.extensions_mut().insert(AsOf(state))),
            Err(problem) => return problem.into_response(),
        }
    }
    next.run(request).await
}

/// Takes `as_of` out of what stands behind the question mark; handlers know nothing of it.
fn take_as_of(request: &mut Request) -> Option<String> {
    let query = request.uri().query()?;
    let (of_past, rest): (Vec<_>, Vec<_>) =
        query.split('&').partition(|pair| *pair == "as_of" || pair.starts_with("as_of="));
    let last = of_past.last().map(|pair| format!("/?{pair}"))?;
    let pairs = extract::Query::<Vec<(String, String)>>::try_from_uri(&last.parse().ok()?).ok()?;
    let as_of = pairs.first().map(|(_, value)| value.clone())?;
    let path = request.uri().path();
    let rest = rest.join("&");
    let uri = if rest.is_empty() { path.to_owned() } else { format!("{path}?{rest}") };
    *request.uri_mut() = uri.parse().ok()?;
    Some(as_of)
}

fn admitted(
    guard: &Guard,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Caller>, Problem> {
    let caller = match bearer(headers) {
        Some(token) => Some(by_token(&guard.state, token)?),
        None => by_cookie(&guard.state, headers),
    };
    // A browser sends its cookies, and cannot be made to send the header of a token.
    if !method.is_safe() && bearer(headers).is_none() {
        check_origin(headers)?;
        let session = caller.as_ref().and_then(|caller| caller.session.as_ref());
        if let Some(session) = session.filter(|_| guard.access != Access::Open) {
            check_csrf(headers, session)?;
        }
    }
    admit(guard.access, caller.as_ref())?;
    Ok(caller)
}

/// A wrong token is refused, whatever else is sent.
fn by_token(state: &State, token: &str) -> Result<Caller, Problem> {
    if !state.auth.token.is(token) {
        return Err(Problem::sign_in());
    }
    Ok(Caller {
        actor: Actor::Token { name: "api".into() },
        roles: Vec::new(),
        permissions: Permissions::of_token(),
        session: None,
        ended: CancellationToken::new(),
    })
}

/// A session that is over is none.
fn by_cookie(state: &State, headers: &HeaderMap) -> Option<Caller> {
    let id = Private::new(cookie::read(headers)?.to_owned());
    of_session(state, &id, !headers.contains_key(BACKGROUND))
}

pub(super) fn of_session(state: &State, id: &Private<String>, using: bool) -> Option<Caller> {
    let (session, account) = state.auth.session(id.reveal(), using)?;
    Some(Caller {
        actor: Actor::User { name: session.account },
        roles: account.roles().to_vec(),
        permissions: Permissions::of(account.roles()),
        session: Some(SignedIn { id: id.clone(), ends_at: session.ends_at }),
        ended: session.ended,
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Browsers say where a change comes from in at least one of two headers; none of them may say: elsewhere.
fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let site = text(headers, FETCH_SITE).map(|site| site == "same-origin");
    let origin = text(headers, ORIGIN).map(|origin| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        host.is_some() && host == text(headers, HOST)
    });
    match (site, origin) {
        (Some(true), Some(true) | None) | (None, Some(true)) => Ok(()),
        _ => Err(Problem::forbidden(
            "a change has to come from Custos' own page: Origin or Sec-Fetch-Site says otherwise, or neither was \
             sent",
        )),
    }
}

fn check_csrf(headers: &HeaderMap, session: &SignedIn) -> Result<(), Problem> {
    let given = text(headers, CSRF).unwrap_or_default();
    if secret::same(given, &cookie::csrf(&session.id)) {
        return Ok(());
    }
    Err(Problem::forbidden(
        "a change needs the session's token in X-CSRF-Token; GET /session tells it",
    ))
}

fn admit(access: Access, caller: Option<&Caller>) -> Result<(), Problem> {
    match (access, caller) {
        (Access::Open, _) | (Access::SignedIn, Some(_)) => Ok(()),
        (Access::SignedIn | Access::May(_), None) => Err(Problem::sign_in()),
        (Access::May(permission), Some(caller)) if caller.may(permission) => Ok(()),
        (Access::May(permission), Some(_)) => Err(Problem::lacks(permission)),
    }
}
