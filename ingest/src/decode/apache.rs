//! Access lines of web servers: the common and combined formats of Apache, which nginx writes too.

use super::{
    Read,
    fields::{add, add_all, add_some},
    syslog::line_of,
    time,
};
use custos_event::{ParsedEvent, ValueRef, ecs};
use std::net::IpAddr;

/// The time stands behind host, identity and user, which are short.
const TIME_WITHIN_BYTES: usize = 512;

/// Whether a bracketed time of the right build stands where an access line has it.
pub(super) fn looks_like(raw: &[u8]) -> bool {
    let head = raw.get(..raw.len().min(TIME_WITHIN_BYTES)).unwrap_or_default();
    let found = memchr::memmem::find(head, b" [");
    let Some(time) = found.and_then(|at| raw.get(at + 2..at + 14)) else { return false };
    matches!(time, [d, _, b'/', m, _, _, b'/', y, _, _, _, b':']
        if d.is_ascii_digit() && m.is_ascii_uppercase() && y.is_ascii_digit())
}

pub(super) fn read(event: &mut ParsedEvent) -> Read {
    let raw = event.raw.clone();
    let text = line_of(event, &raw);
    let Some(line) = Line::parse(&text) else {
        return Err(
            "no access line: expected host, identity, user, [time], \"request\", status".into()
        );
    };
    add_all(event, &[(ecs::EVENT_MODULE, "apache"), (ecs::EVENT_DATASET, "apache.access")]);
    add_all(event, &[(ecs::EVENT_KIND, "event"), (ecs::EVENT_CATEGORY, "web")]);
    match line.host.parse::<IpAddr>() {
        Ok(_) => add(event, ecs::SOURCE_IP, line.host),
        Err(_) => add(event, ecs::SOURCE_ADDRESS, line.host),
    }
    add_some(event, ecs::URL_DOMAIN, line.site);
    add_some(event, ecs::USER_NAME, Some(line.user));
    request(event, line.request);
    if let Ok(status) = line.status.parse::<i64>() {
        event.add(ecs::HTTP_RESPONSE_STATUS_CODE, ValueRef::Int(status));
        add(event, ecs::EVENT_OUTCOME, if status < 400 { "success" } else { "failure" });
    }
    if let Ok(bytes) = line.bytes.parse() {
        event.add(ecs::HTTP_RESPONSE_BODY_BYTES, ValueRef::Int(bytes));
    }
    add_some(event, ecs::HTTP_REQUEST_REFERRER, line.referrer);
    add_some(event, ecs::USER_AGENT_ORIGINAL, line.user_agent);
    Ok(time::apache(line.time))
}

/// `GET /path?query HTTP/1.1`; anything else, as scanners send it, is kept as it is.
fn request(event: &mut ParsedEvent, request: &str) {
    let parts: Vec<&str> = request.splitn(3, ' ').collect();
    let (method, url) = match *parts {
        [method, url, protocol] => {
            add_some(event, ecs::HTTP_VERSION, protocol.strip_prefix("HTTP/"));
            (method, url)
        }
        [method, url] => (method, url),
        _ => return add_some(event, ecs::URL_ORIGINAL, Some(request)),
    };
    add(event, ecs::HTTP_REQUEST_METHOD, method);
    add(event, ecs::EVENT_ACTION, method);
    add(event, ecs::URL_ORIGINAL, url);
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (url, None),
    };
    add_some(event, ecs::URL_PATH, Some(path));
    add_some(event, ecs::URL_QUERY, query);
}

struct Line<'a> {
    /// The virtual host, where the format names it first.
    site: Option<&'a str>,
    host: &'a str,
    user: &'a str,
    time: &'a str,
    request: &'a str,
    status: &'a str,
    bytes: &'a str,
    referrer: Option<&'a str>,
    user_agent: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (who, rest) = text.split_once(" [")?;
        let (time, rest) = rest.split_once(']')?;
        let mut who = who.splitn(3, ' ');
        let (first, second, third) = (who.next()?, who.next()?, who.next()?);
        // `vhost:port host identity user`: then the third part still holds two words.
        let (site, host, user) = match third.split_once(' ') {
            Some((_, user)) if first.contains(':') && !second.starts_with('-') => {
                (first.rsplit_once(':').map(|(site, _)| site), second, user)
            }
            _ => (None, first, third),
        };
        let (request, rest) = quoted(rest)?;
        let mut words = rest.trim_start().splitn(3, ' ');
        let (status, bytes) = (words.next()?, words.next().unwrap_or("-"));
        let rest = words.next().unwrap_or_default();
        let (referrer, rest) = quoted(rest).map_or((None, rest), |(text, rest)| (Some(text), rest));
        let user_agent = quoted(rest).map(|(text, _)| text);
        Some(Self { site, host, user, time, request, status, bytes, referrer, user_agent })
    }
}

/// The text between the next two quotes, `\"` being part of it, and what follows. A text that was cut
/// before its closing quote goes to the end of the line.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start().strip_prefix('"')?;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => escaped = false,
        }
    }
    Some((text, ""))
}
