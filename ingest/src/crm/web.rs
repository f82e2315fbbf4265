//! Requests to a customer system: only to hosts that are its own, only to addresses outside, never behind a redirect,
//! and never more of an answer than can be held.

use super::trouble::Trouble;
use bytes::Bytes;
use ipnet::IpNet;
use std::{error::Error as _, net::IpAddr, time::Duration};
use ureq::{
    Agent, Error,
    config::Config,
    http::{Request, Uri},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

/// An answer that is no download: a page of a hundred records, each up to 256 KiB in the worst case, stays far below.
pub(crate) const ANSWER_BYTES_MAX: u64 = 16 << 20;
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// What is shown of an answer that says no.
const SHOWN_CHARS_MAX: usize = 200;

/// What the world outside of this crate decides about requests.
#[derive(Clone)]
pub struct WebConfig {
    /// How TLS is spoken; without redirects.
    pub agent: Config,
    /// Why an address is none of somebody else's on the internet.
    pub not_outside: fn(IpAddr) -> Option<&'static str>,
}

/// Where requests may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts {
    /// `https://host[:port]`, as configured.
    pub(crate) configured: Vec<String>,
    /// Domains of the system's own; they and what is below them, over HTTPS on its own port.
    pub(crate) domains: &'static [&'static str],
}

impl Hosts {
    /// The address again, where it is one that may be asked.
    pub(crate) fn check(&self, url: &str) -> Result<Uri, Trouble> {
        let refused = |why: &str| {
            let url: String = url.chars().take(SHOWN_CHARS_MAX).collect();
            Trouble::Refused(format!(
                "it names the address '{}', {why}: nothing is sent there",
                url.escape_debug()
            ))
        };
        let uri: Uri = url.parse().map_err(|_| refused("which is none"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(refused("which names no host"));
        };
        if authority.as_str().contains('@') {
            return Err(refused("which holds a password"));
        }
        let host = authority.host().to_ascii_lowercase();
        let base = format!("{scheme}://{}", authority.as_str().to_ascii_lowercase());
        let is_configured = self.configured.iter().any(|known| known.eq_ignore_ascii_case(&base));
        let is_below = |domain: &&str| {
            host.strip_suffix(*domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let is_own = scheme == "https"
            && authority.port_u16().is_none_or(|port| port == 443)
            && self.domains.iter().any(is_below);
        if is_configured || is_own {
            return Ok(uri);
        }
        Err(refused("whose host is neither its own nor configured"))
    }
}

/// Refuses names that lead inside our own networks, where the address is not configured as such.
#[derive(Debug)]
struct Guard {
    resolver: DefaultResolver,
    literals: Vec<IpAddr>,
    networks: Vec<IpNet>,
    not_outside: fn(IpAddr) -> Option<&'static str>,
}

impl Guard {
    fn refuses(&self, address: IpAddr) -> Option<String> {
        let address = address.to_canonical();
        let is_meant = self.literals.contains(&address)
            || self.networks.iter().any(|network| network.contains(&address));
        let why = (self.not_outside)(address).filter(|_| !is_meant)?;
        Some(format!(
            "its name leads to {address}, {why}; if it is meant to, name the network in 'networks'"
        ))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Inside(String);

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.resolver.resolve(uri, config, timeout)?;
        match found.iter().find_map(|address| self.refuses(address.ip())) {
            Some(why) => Err(Error::Other(Box::new(Inside(why)))),
            None => Ok(found),
        }
    }
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: &'static str,
    pub(crate) url: &'a str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) bytes_max: u64,
    pub(crate) within: Duration,
    /// The answer may hold a secret, or what was asked once more: none of it is told.
    pub(crate) is_secret: bool,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(url: &'a str) -> Self {
        let (bytes_max, within) = (ANSWER_BYTES_MAX, ANSWER_WITHIN);
        let (headers, body) = (Vec::new(), Vec::new());
        Self { method: "GET", url, headers, body, bytes_max, within, is_secret: false }
    }

    pub(crate) fn post(url: &'a str, content_type: &str, body: Vec<u8>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { method: "POST", headers, body, ..Self::get(url) }
    }

    pub(crate) fn json(url: &'a str, body: &serde_json::Value) -> Self {
        Self::post(url, "application/json", body.to_string().into_bytes())
    }

    #[must_use]
    pub(crate) fn secret(self) -> Self {
        Self { is_secret: true, ..self }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) is_secret: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Its beginning, for people.
    pub(crate) fn shown(&self) -> String {
        if self.is_secret {
            return "(its text is not told)".into();
        }
        let text = String::from_utf8_lossy(&self.body);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        words.chars().take(SHOWN_CHARS_MAX).collect::<String>().escape_debug().to_string()
    }
}

/// Whom requests go to.
pub(crate) struct Web {
    agent: Agent,
    hosts: Hosts,
}

impl Web {
    pub(crate) fn new(config: &WebConfig, hosts: Hosts, networks: Vec<IpNet>) -> Self {
        let literal = |url: &String| {
            let uri: Uri = url.parse().ok()?;
            uri.host()?.trim_matches(['[', ']']).parse::<IpAddr>().ok()
        };
        let guard = Guard {
            resolver: DefaultResolver::default(),
            literals: hosts.configured.iter().filter_map(literal).collect(),
            networks,
            not_outside: config.not_outside,
        };
        let agent = Agent::with_parts(config.agent.clone(), DefaultConnector::default(), guard);
        Self { agent, hosts }
    }

    /// Where an address that the system itself has named may be asked.
    pub(crate) fn check(&self, url: &str) -> Result<(), Trouble> {
        self.hosts.check(url).map(drop)
    }

    /// An answer of any status but a redirect.
    pub(crate) fn send(&self, ask: Ask<'_>) -> Result<Answer, Trouble> {
        let uri = self.hosts.check(ask.url)?;
        let place = uri.authority().map_or("", |authority| authority.as_str()).to_owned();
        let failed = |error: &Error| judge(&place, ask.bytes_max, error);
        let mut request = Request::builder()
            .method(ask.method)
            .uri(uri)
            .header("user-agent", concat!("custos/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let request = request.body(ask.body).map_err(|_| {
            Trouble::Refused("a secret holds a character that no header may".into())
        })?;
        let request =
            self.agent.configure_request(request).timeout_global(Some(ask.within)).build();
        let mut answer = self.agent.run(request).map_err(|error| failed(&error))?;
        let status = answer.status().as_u16();
        if (300..400).contains(&status) {
            let why = format!("{place} answered {status}; redirects are not followed");
            return Err(Trouble::Odd(why));
        }
        let body = answer.body_mut().with_config().limit(ask.bytes_max).read_to_vec();
        let body = body.map_err(|error| failed(&error))?.into();
        Ok(Answer { status, body, is_secret: ask.is_secret })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else fails is the way there")]
fn judge(place: &str, bytes_max: u64, error: &Error) -> Trouble {
    match error {
        Error::BodyExceedsLimit(_) => {
            Trouble::TooLarge(format!("{place} answers with more than {bytes_max} bytes"))
        }
        Error::Other(inside) if inside.is::<Inside>() => Trouble::Refused(inside.to_string()),
        error => Trouble::Unreachable(format!("cannot reach {place}: {}", chain(error))),
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_asked_only_where_its_host_is_configured_or_the_systems_own() {
        let hosts = Hosts {
            configured: vec!["http://127.0.0.1:4711".into()],
            domains: &["zohoapis.com", "zoho.com"],
        };
        for url in [
            "https://www.zohoapis.com/crm/v8",
            "https://download.zoho.com:443/v2",
            "https://ZOHO.com",
            "http://127.0.0.1:4711/x",
        ] {
            assert!(hosts.check(url).is_ok(), "{url}");
        }
        for url in [
            "http://www.zohoapis.com/",
            "https://www.zohoapis.com:8443/",
            "https://evilzoho.com/",
            "https://zoho.com.evil.example/",
            "https://zoho.com@evil.example/",
            "https://user:pw@zoho.com/",
            "http://127.0.0.1:4712/",
            "https://127.0.0.1:4711/",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
            "/crm/v8",
            "no address",
        ] {
            assert!(matches!(hosts.check(url), Err(Trouble::Refused(_))), "{url}");
        }
    }

    #[test]
    fn a_name_that_leads_inside_is_refused_unless_that_is_meant() {
        let guard = Guard {
            resolver: DefaultResolver::default(),
            literals: vec![[127, 0, 0, 1].into()],
            networks: vec!["10.2.0.0/16".parse().unwrap()],
            not_outside: |address| (!address.to_string().starts_with("203.")).then_some("inside"),
        };
        let check = |address: &str| guard.refuses(address.parse().unwrap()).is_none();
        assert!(check("203.0.113.7") && check("127.0.0.1") && check("::ffff:10.2.3.4"));
        assert!(!check("127.0.0.2") && !check("10.3.0.1"));
        assert!(guard.refuses([10, 3, 0, 1].into()).unwrap().contains("'networks'"));
    }
}
