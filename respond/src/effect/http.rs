//! One HTTP request to a named endpoint, with the intent's key, and its answer.

use super::{
    EffectError, Order,
    address::{Guard, Refused},
    chain, done, failed, unknown,
};
use custos_event::{
    Private,
    respond::{Answer, Http, Outcome, Phase},
};
use ipnet::IpNet;
use serde_json::{Value, json};
use std::{io::ErrorKind, sync::Arc};
use ureq::{
    Agent, Body, Error, Timeout,
    config::Config,
    http::{HeaderName, HeaderValue, Request, Response, Uri},
    tls::{Certificate, RootCerts, TlsConfig, TlsProvider},
    unversioned::transport::DefaultConnector,
};

/// An answer is a word about the effect, not a download.
const ANSWER_BYTES_MAX: u64 = 256 << 10;
/// What of it is kept in the journal and can be looked up.
const KEPT_BYTES_MAX: usize = 16 << 10;
const TEXT_CHARS_MAX: usize = 1_000;
const REQUEST_BYTES_MAX: usize = 256 << 10;

/// A peer as configured. Requests go below its address and nowhere else.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub name: String,
    /// `https://firewall.bank.example/api`: scheme, host, port and the path that all requests begin with.
    pub url: String,
    /// Inside networks that its name may lead to.
    pub networks: Vec<IpNet>,
    /// Sent as `Authorization: Bearer`; never in the journal.
    pub token: Option<Private<String>>,
}

pub(super) struct Client {
    endpoint: Endpoint,
    base: String,
    agent: Agent,
}

impl Client {
    pub(super) fn new(endpoint: Endpoint) -> Result<Self, EffectError> {
        let wrong = |reason: String| EffectError::Endpoint { name: endpoint.name.clone(), reason };
        let uri: Uri =
            endpoint.url.parse().map_err(|_| wrong(format!("'{}' is no URL", endpoint.url)))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        let plain = matches!(scheme, "http" | "https") && uri.query().is_none();
        let Some(authority) = uri.authority().filter(|a| plain && !a.as_str().contains('@')) else {
            let url = &endpoint.url;
            return Err(wrong(format!("'{url}' is not http(s)://HOST[:PORT][/PATH]")));
        };
        let literal = authority.host().trim_matches(['[', ']']).parse().ok();
        let guard = Guard { literal, networks: endpoint.networks.clone(), ..Guard::default() };
        let config = agent_config(scheme == "https").map_err(wrong)?;
        let agent = Agent::with_parts(config, DefaultConnector::default(), guard);
        let base = endpoint.url.trim_end_matches('/').to_owned();
        Ok(Self { endpoint, base, agent })
    }

    pub(super) fn perform(&self, http: &Http, order: Order<'_>) -> Answer {
        let request = match self.request(http, order) {
            Ok(request) => request,
            Err(reason) => return failed(reason),
        };
        let request =
            self.agent.configure_request(request).timeout_global(Some(order.timeout)).build();
        match self.agent.run(request) {
            Ok(answer) => judge(answer, http, order.phase),
            Err(error) if was_sent(&error) && !is_read(http, order.phase) => {
                unknown(format!("no answer that tells: {}", chain(&error)))
            }
            Err(error) => failed(chain(&error)),
        }
    }

    fn request(&self, http: &Http, order: Order<'_>) -> Result<Request<Vec<u8>>, String> {
        let upwards = http.path.split('/').any(|part| part == "..");
        if !http.path.starts_with('/') || upwards || http.path.contains(['#', '\\']) {
            return Err(format!("'{}' is no path below an endpoint", http.path));
        }
        let mut request = Request::builder()
            .method(http.method.as_str())
            .uri(format!("{}{}", self.base, http.path))
            .header("idempotency-key", order.key.to_string())
            .header("user-agent", concat!("custos/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.endpoint.token {
            request = request.header("authorization", format!("Bearer {}", token.reveal()));
        }
        for (name, value) in &http.headers {
            let (name, value) = header(name, value)?;
            request = request.header(name, value);
        }
        let body = match &http.json {
            Some(json) => {
                request = request.header("content-type", "application/json");
                serde_json::to_vec(json).map_err(|error| error.to_string())?
            }
            None => Vec::new(),
        };
        if body.len() > REQUEST_BYTES_MAX {
            return Err(format!(
                "the body has {} bytes, at most {REQUEST_BYTES_MAX} are sent",
                body.len()
            ));
        }
        request.body(body).map_err(|error| error.to_string())
    }
}

/// A playbook's own header: never one that decides where the request goes or who sends it.
fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || format!("the header '{}' does not hold", name.escape_debug());
    let name: HeaderName = name.parse().map_err(|_| wrong())?;
    let value: HeaderValue = value.parse().map_err(|_| wrong())?;
    let ours = [
        "host",
        "authorization",
        "idempotency-key",
        "content-length",
        "transfer-encoding",
        "connection",
    ];
    if ours.contains(&name.as_str()) {
        return Err(format!("the header '{name}' is Custos' own"));
    }
    Ok((name, value))
}

/// Of requests to others: no proxy, no redirects, and TLS by what this machine trusts.
pub fn agent_config(https: bool) -> Result<Config, String> {
    let mut config = Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .proxy(None)
        .max_idle_connections(0);
    if https {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            return Err("this machine has no trusted certificates; install ca-certificates".into());
        }
        let certs = found.certs.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::new(certs)))
            .unversioned_rustls_crypto_provider(Arc::new(provider));
        config = config.https_only(true).tls_config(tls.build());
    }
    Ok(config.build())
}

/// Whether the peer may have seen the request before this error.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not known to be before it, is after")]
fn was_sent(error: &Error) -> bool {
    match error {
        Error::Io(error) => !matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::AddrNotAvailable
        ),
        Error::Timeout(Timeout::Resolve | Timeout::Connect)
        | Error::HostNotFound
        | Error::ConnectionFailed
        | Error::BadUri(_)
        | Error::Http(_)
        | Error::RequireHttpsOnly(_)
        | Error::Tls(_)
        | Error::TlsRequired => false,
        Error::Other(error) => !error.is::<Refused>(),
        _ => true,
    }
}

/// Checks are judged by their own condition, whatever the status; a peer in trouble tells nothing.
fn is_read(http: &Http, phase: Phase) -> bool {
    matches!(phase, Phase::Precheck | Phase::Verify) || http.method == "GET"
}

fn judge(mut answer: Response<Body>, http: &Http, phase: Phase) -> Answer {
    let status = answer.status().as_u16();
    let read = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    let check = matches!(phase, Phase::Precheck | Phase::Verify);
    let body = match read {
        Ok(bytes) => kept(&bytes),
        Err(error) if check => {
            return failed(format!("answered {status}, then: {}", chain(&error)));
        }
        Err(_) => Value::Null,
    };
    let output = json!({"status": status, "body": body});
    let gone = http.method == "DELETE" && matches!(status, 404 | 410);
    let (outcome, detail) = match status {
        200..300 => return done(output),
        _ if check && status < 500 => return done(output),
        _ if gone => (Outcome::AlreadySo, "it is not there any more".to_owned()),
        300..400 => (Outcome::Failed, format!("answered {status}; redirects are not followed")),
        500.. if !is_read(http, phase) => {
            (Outcome::Unknown, format!("answered {status}: it may or may not have happened"))
        }
        _ => (Outcome::Failed, format!("answered {status}")),
    };
    Answer { outcome, detail, output }
}

/// JSON as it is where it is small, else the beginning as text.
fn kept(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    if bytes.len() <= KEPT_BYTES_MAX
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        return value;
    }
    String::from_utf8_lossy(bytes).chars().take(TEXT_CHARS_MAX).collect::<String>().into()
}
