//! Who sends: told by the token that a request brings, in whichever header its protocol puts it.

use super::ShippersConfig;
use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// One shipper's token, known by its digest alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The source of who has it.
    pub name: Arc<str>,
    pub sha256: [u8; 32],
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.name)
    }
}

/// Tokens that come and go while ports are open. A port takes them beside its own.
#[derive(Default)]
pub struct TokenBook(RwLock<HashMap<[u8; 32], Arc<str>>>);

impl TokenBook {
    /// From now on exactly these hold.
    pub fn set(&self, tokens: impl IntoIterator<Item = Token>) {
        let all = tokens.into_iter().map(|token| (token.sha256, token.name)).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    fn find(&self, digests: &[[u8; 32]]) -> Option<Arc<str>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        digests.iter().find_map(|digest| all.get(digest).cloned())
    }
}

impl fmt::Debug for TokenBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "TokenBook({})", all.len())
    }
}

/// Why a request may not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// It brings no token.
    Missing,
    /// Its header has no form that is known here.
    Malformed,
    /// Its token is none that holds.
    Wrong,
}

impl Denied {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Missing => "a token is needed",
            Self::Malformed => "the Authorization header is in no form that is known here",
            Self::Wrong => "the token is none that is known here",
        }
    }
}

/// The name under which the events of this request are kept.
pub(super) fn name(config: &ShippersConfig, headers: &HeaderMap) -> Result<Arc<str>, Denied> {
    let found = holder(config, headers);
    // Who needs no token may show one all the same, and sends as its source then.
    let open = config.tokens.is_empty() && config.webhooks.is_empty();
    if open { Ok(found.unwrap_or_else(|_| Arc::clone(&config.name))) } else { found }
}

/// The source of the token that a request brings.
fn holder(config: &ShippersConfig, headers: &HeaderMap) -> Result<Arc<str>, Denied> {
    let brought = headers.get(header::AUTHORIZATION).ok_or(Denied::Missing)?;
    let secrets = secrets(brought.to_str().map_err(|_| Denied::Malformed)?);
    if secrets.is_empty() {
        return Err(Denied::Malformed);
    }
    let digests: Vec<[u8; 32]> =
        secrets.iter().map(|secret| Sha256::digest(secret.as_bytes()).into()).collect();
    // Digests are compared: the time taken tells nothing of a token.
    let known = config.tokens.iter().find(|token| digests.contains(&token.sha256));
    let known = known.map(|token| Arc::clone(&token.name));
    known.or_else(|| config.book.find(&digests)).ok_or(Denied::Wrong)
}

/// The tokens that a header may mean. Elasticsearch's `ApiKey` is base64 of `id:key`, and people also write the
/// token as it is; with `Basic` it is the password.
pub(super) fn secrets(header: &str) -> Vec<String> {
    let Some((scheme, rest)) = header.trim().split_once(' ') else { return Vec::new() };
    let rest = rest.trim();
    let decoded = || String::from_utf8(STANDARD.decode(rest).ok()?).ok();
    let behind_colon = || Some(decoded()?.split_once(':')?.1.to_owned());
    match scheme.to_ascii_lowercase().as_str() {
        "splunk" | "bearer" => vec![rest.to_owned()],
        "apikey" => [Some(rest.to_owned()), behind_colon()].into_iter().flatten().collect(),
        "basic" => behind_colon().into_iter().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BodyLimits;

    #[test]
    fn a_token_names_its_source_in_every_form_that_shippers_send_it() {
        let token = Token { name: "web".into(), sha256: Sha256::digest("s3cret").into() };
        assert_eq!(format!("{token:?}"), "Token(web)");
        let config = ShippersConfig {
            name: "edge".into(),
            tokens: vec![token],
            webhooks: Vec::new(),
            book: Arc::default(),
            limits: BodyLimits::default(),
        };
        let basic = STANDARD.encode("custos:s3cret");
        for (header, expected) in [
            (Some("Splunk s3cret".to_owned()), Ok("web")),
            (Some("Bearer s3cret".to_owned()), Ok("web")),
            (Some("ApiKey s3cret".to_owned()), Ok("web")),
            (Some(format!("ApiKey {basic}")), Ok("web")),
            (Some(format!("basic {basic}")), Ok("web")),
            (Some("Bearer s3cre".to_owned()), Err(Denied::Wrong)),
            (Some("Basic s3cret".to_owned()), Err(Denied::Malformed)),
            (Some("s3cret".to_owned()), Err(Denied::Malformed)),
            (None, Err(Denied::Missing)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(header) = &header {
                headers.insert(header::AUTHORIZATION, header.parse().unwrap());
            }
            assert_eq!(
                name(&config, &headers).as_deref(),
                expected.as_ref().map(|name| *name),
                "{header:?}"
            );
        }
        let open = ShippersConfig { tokens: Vec::new(), ..config };
        assert_eq!(name(&open, &HeaderMap::new()).as_deref(), Ok("edge"));
    }

    #[test]
    fn tokens_come_and_go_while_a_port_is_open() {
        let token = |name: &str, secret: &str| Token {
            name: name.into(),
            sha256: Sha256::digest(secret).into(),
        };
        let closed = ShippersConfig {
            name: "edge".into(),
            tokens: vec![token("web", "s3cret")],
            webhooks: Vec::new(),
            book: Arc::default(),
            limits: BodyLimits::default(),
        };
        let open = ShippersConfig { tokens: Vec::new(), ..closed.clone() };
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "Bearer made".parse().unwrap());
        assert_eq!(name(&closed, &headers), Err(Denied::Wrong));
        assert_eq!(name(&open, &headers).as_deref(), Ok("edge"));
        closed.book.set([token("shop", "made"), token("till", "other")]);
        for port in [&closed, &open] {
            assert_eq!(name(port, &headers).as_deref(), Ok("shop"));
        }
        closed.book.set([token("till", "other")]);
        assert_eq!(name(&closed, &headers), Err(Denied::Wrong));
        assert_eq!(name(&open, &headers).as_deref(), Ok("edge"));
    }
}
