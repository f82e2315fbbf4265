//! `[[enrich.directory]]` of the configuration.

use super::{Directory, Server};
use crate::enrich::register::{Kind, check_columns};
use anyhow::{Context as _, anyhow, bail, ensure};
use custos_respond::input::duration;
use serde::Deserialize;
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

/// Each is asked at its own pace.
const DIRECTORIES_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 40;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::enrich) struct RawDirectory {
    name: String,
    kind: Kind,
    url: String,
    #[serde(default)]
    starttls: bool,
    tls: Option<bool>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    base: String,
    #[serde(default = "any")]
    filter: String,
    #[serde(default = "hour")]
    every: String,
    columns: BTreeMap<String, String>,
}

fn any() -> String {
    "(objectClass=*)".into()
}

fn hour() -> String {
    "1h".into()
}

/// Relative paths are taken by `below`.
pub(in crate::enrich) fn check(
    raw: Vec<RawDirectory>,
    below: &dyn Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Vec<Directory>> {
    ensure!(
        raw.len() <= DIRECTORIES_MAX,
        "{} of [[enrich.directory]]; at most {DIRECTORIES_MAX}",
        raw.len()
    );
    let mut all: Vec<Directory> = Vec::new();
    for raw in raw {
        let place = format!("[[enrich.directory]] '{}'", raw.name);
        ensure!(!all.iter().any(|one| one.name == raw.name), "{place} stands twice");
        all.push(check_one(raw, below).context(place)?);
    }
    Ok(all)
}

fn check_one(raw: RawDirectory, below: &dyn Fn(PathBuf) -> PathBuf) -> anyhow::Result<Directory> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    ensure!(
        (1..=NAME_BYTES_MAX).contains(&raw.name.len()) && raw.name.bytes().all(fits),
        "name is that of a file: 1 to {NAME_BYTES_MAX} of a to z, digits, - and _"
    );
    let server = check_server(&raw, below)?;
    ensure!(
        !raw.base.trim().is_empty(),
        "base is empty; name what is searched, as dc=bank,dc=example"
    );
    ensure!(
        ldap3::parse_filter(&raw.filter).is_ok(),
        "filter = \"{}\" is none, as (objectClass=person) is",
        raw.filter
    );
    let every = duration(&raw.every).map_err(|why| anyhow!("every: {why}"))?;
    let names: Vec<_> = raw.columns.keys().cloned().collect();
    check_columns(raw.kind, &names).context("columns")?;
    if let Some((column, attribute)) = raw.columns.iter().find(|(_, name)| !is_attribute(name)) {
        bail!("columns: {column} = \"{attribute}\" is no attribute, as in {column} = \"cn\"");
    }
    Ok(Directory {
        name: raw.name,
        kind: raw.kind,
        server,
        base: raw.base,
        filter: raw.filter,
        every: Duration::from_secs(every),
        columns: raw.columns.into_iter().collect(),
    })
}

fn check_server(raw: &RawDirectory, below: &dyn Fn(PathBuf) -> PathBuf) -> anyhow::Result<Server> {
    let RawDirectory { url, starttls, tls, .. } = raw;
    let Some((wrapped, host)) = parts(url) else {
        bail!("url = \"{url}\" is not ldaps://HOST[:PORT] or ldap://HOST[:PORT]");
    };
    if wrapped && *starttls {
        bail!("url is ldaps://, which begins with TLS, and starttls is set; drop one of them");
    }
    let encrypted = wrapped || *starttls;
    match tls {
        Some(false) if encrypted || raw.ca.is_some() => {
            bail!("tls = false, and ldaps://, starttls or ca is set; drop one of them")
        }
        Some(true) if !encrypted => bail!("tls = true; write ldaps://, or starttls = true"),
        None if !encrypted && !is_loopback(host) => bail!(
            "{url} would be asked without TLS: write ldaps://, or starttls = true, or tls = false if the network between \
             is guarded otherwise"
        ),
        _ => {}
    }
    if !encrypted && raw.ca.is_some() {
        bail!("ca is set, and there is no TLS; write ldaps://, or starttls = true");
    }
    if encrypted && host.contains(':') {
        bail!("url = \"{url}\": with TLS, write the name that the certificate is for");
    }
    let account = match (&raw.user, &raw.password_file) {
        // RFC 4513, 5.1.2: without a name or a password nobody is signed in, and no error says so.
        (Some(user), Some(file)) if !user.is_empty() => Some((user.clone(), below(file.clone()))),
        (None, None) => None,
        _ => bail!("user and password_file go together; one of them is missing"),
    };
    let ca = raw.ca.clone().map(below);
    Ok(Server { url: url.clone(), wrapped, starttls: *starttls, ca, account })
}

/// Whether TLS comes first, and the host.
fn parts(url: &str) -> Option<(bool, &str)> {
    let wrapped = url.strip_prefix("ldaps://");
    let place = wrapped.or_else(|| url.strip_prefix("ldap://"))?;
    let place = place.strip_suffix('/').unwrap_or(place);
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => {
            (host, if rest.is_empty() { None } else { rest.strip_prefix(':').or(Some("")) })
        }
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let holds = !host.is_empty() && host.chars().all(fits) && port.is_none_or(is_port);
    holds.then_some((wrapped.is_some(), host))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// RFC 4512, 2.5: a name or numbers, and options behind semicolons.
fn is_attribute(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b';' | b'_');
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const PEOPLE: &str = r#"
        name = "people"
        kind = "identities"
        url = "ldaps://dc1.bank.example"
        user = "cn=custos,dc=bank,dc=example"
        password_file = "ldap.secret"
        ca = "ca.pem"
        base = "ou=people,dc=bank,dc=example"
        every = "15m"
        columns = { user = "uid", full_name = "cn" }"#;

    fn parse(text: &str) -> anyhow::Result<Directory> {
        let below = |path| Path::new("/etc/custos").join(path);
        let mut all = check(vec![toml::from_str(text)?], &below)?;
        Ok(all.remove(0))
    }

    #[test]
    fn a_whole_section_is_understood() {
        let people = parse(PEOPLE).unwrap();
        assert!(people.encrypted());
        assert_eq!(people.user(), Some("cn=custos,dc=bank,dc=example"));
        assert_eq!(people.server.ca.as_deref(), Some(Path::new("/etc/custos/ca.pem")));
        assert_eq!(people.every, Duration::from_mins(15));
        assert_eq!(people.filter, "(objectClass=*)");
        let columns = [("full_name", "cn"), ("user", "uid")];
        assert_eq!(people.columns, columns.map(|(name, of)| (name.to_owned(), of.to_owned())));
    }

    #[test]
    fn what_does_not_hold_is_refused_with_its_mend() {
        let plain = PEOPLE.replace("ldaps://", "ldap://").replace("ca = \"ca.pem\"", "");
        for (text, parts) in [
            (
                PEOPLE.replace("\"people\"", "\"../people\""),
                &["'../people'", "name is that of a file"][..],
            ),
            (PEOPLE.replace("\"identities\"", "\"people\""), &["`assets` or `identities`"]),
            (PEOPLE.replace("ldaps:", "https:"), &["'people'", "ldaps://HOST"]),
            (PEOPLE.replace("dc1.bank.example", "dc1:70000"), &["ldaps://HOST"]),
            (
                PEOPLE.replace("dc1.bank.example", "[::1]"),
                &["the name that the certificate is for"],
            ),
            (plain.clone(), &["without TLS", "starttls = true", "tls = false"]),
            (format!("{plain}\nstarttls = true\ntls = false"), &["drop one"]),
            (format!("{plain}\ntls = true"), &["write ldaps://"]),
            (format!("{plain}\ntls = false\nca = \"c\""), &["drop one"]),
            (PEOPLE.replace("ldaps://dc1.bank.example", "ldap://[::1]"), &["ca is set", "no TLS"]),
            (format!("{PEOPLE}\nstarttls = true"), &["begins with TLS", "drop one"]),
            (PEOPLE.replace("password_file", "#"), &["user and password_file go together"]),
            (PEOPLE.replace("cn=custos,dc=bank,dc=example", ""), &["user and password_file"]),
            (PEOPLE.replace("ou=people,dc=bank,dc=example", " "), &["base is empty"]),
            (format!("{PEOPLE}\nfilter = \"(objectClass=person\""), &["(objectClass=person)"]),
            (PEOPLE.replace("15m", "soon"), &["every", "'soon'", "15m"]),
            (PEOPLE.replace("user = \"uid\", ", ""), &["columns: none of", "user, email, id"]),
            (PEOPLE.replace("full_name =", "FullName ="), &["columns: 'FullName'"]),
            (PEOPLE.replace("\"cn\"", "\"c n\""), &["full_name = \"c n\"", "no attribute"]),
            (format!("{PEOPLE}\nscope = \"one\""), &["unknown field `scope`"]),
        ] {
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} in: {error}");
        }
        let twice = vec![toml::from_str(PEOPLE).unwrap(), toml::from_str(PEOPLE).unwrap()];
        let error = check(twice, &|path| path).unwrap_err().to_string();
        assert!(error.contains("'people' stands twice"), "{error}");
    }

    #[test]
    fn without_tls_this_machine_is_asked_or_where_it_is_said_in_writing() {
        let plain =
            PEOPLE.replace("ca = \"ca.pem\"", "").replace("ldaps://dc1.bank.example", "URL");
        for host in ["127.0.0.1:3890", "localhost/", "[::1]", "[::1]:389"] {
            let text = plain.replace("URL", &format!("ldap://{host}"));
            assert!(!parse(&text).unwrap().encrypted(), "{host}");
        }
        let guarded = plain.replace("URL", "ldap://dc1.bank.example");
        assert!(!parse(&format!("{guarded}\ntls = false")).unwrap().encrypted());
        assert!(parse(&format!("{guarded}\nstarttls = true")).unwrap().encrypted());
    }
}
