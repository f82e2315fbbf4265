//! `[[crm]]`: the customer systems that are asked for what was done in them.

use super::contacts::RawContacts;
use crate::{respond::config::secret, upkeep::config::seconds};
use anyhow::{Context as _, bail};
use custos_event::Timestamp;
use custos_ingest::crm::{
    ContactFields, ContactsConfig, Detail, FxiaokeConfig, Login, PullConfig, System, ZohoConfig,
};
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};
use ureq::http::Uri;

/// Each has a thread of its own.
const CONNECTORS_MAX: usize = 32;
/// Each costs a call a round.
const OBJECTS_MAX: usize = 100;
const FIELDS_MAX: usize = 100;
/// Zoho's smallest edition has 5,000 credits a day: a round of three calls each five minutes takes 864.
const INTERVAL: &str = "5m";
/// An audit log shows what was done within seconds; clocks differ by less.
const LAG: &str = "2m";
const DAY_SECS: i64 = 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCrm {
    name: String,
    kind: String,
    interval: Option<String>,
    lag: Option<String>,
    since: Option<String>,
    #[serde(default)]
    networks: Vec<String>,
    accounts: Option<String>,
    client_id: Option<String>,
    client_secret_file: Option<PathBuf>,
    refresh_token_file: Option<PathBuf>,
    url: Option<String>,
    app_id: Option<String>,
    app_secret_file: Option<PathBuf>,
    permanent_code_file: Option<PathBuf>,
    login: Option<String>,
    user: Option<String>,
    objects: Option<Vec<String>>,
    detail: Option<String>,
    fields: Option<Vec<String>>,
    contacts: Option<RawContacts>,
}

/// One section that holds; its secrets are read when the server starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Crm {
    pub(crate) name: String,
    interval: Duration,
    lag_secs: i64,
    since: Option<Timestamp>,
    networks: Vec<IpNet>,
    /// Whom the register of customers is made of.
    pub(crate) contacts: Option<ContactsConfig>,
    asks: Asks,
}

#[derive(Clone, Debug, PartialEq)]
enum Asks {
    Zoho { accounts: String, client_id: String, client_secret: PathBuf, refresh_token: PathBuf },
    Fxiaoke(Box<Fxiaoke>),
}

#[derive(Clone, Debug, PartialEq)]
struct Fxiaoke {
    url: String,
    app_id: String,
    app_secret: PathBuf,
    permanent_code: PathBuf,
    login: Login,
    user: Option<String>,
    objects: Vec<String>,
    detail: Detail,
    fields: Vec<String>,
}

pub(super) fn check(
    all: Vec<RawCrm>,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Vec<Crm>> {
    if all.len() > CONNECTORS_MAX {
        bail!("{} [[crm]] sections; {CONNECTORS_MAX} are possible", all.len());
    }
    let mut names = BTreeSet::new();
    let one = |raw: RawCrm| {
        let place = format!("[[crm]] '{}'", raw.name);
        if !names.insert(raw.name.clone()) {
            bail!("{place}: the name stands twice");
        }
        raw.check(below).context(place)
    };
    all.into_iter().map(one).collect()
}

impl RawCrm {
    fn check(mut self, below: &impl Fn(PathBuf) -> PathBuf) -> anyhow::Result<Crm> {
        if !custos_ingest::http::is_source_name(&self.name) {
            bail!("the name is none; use 1 to 64 of a-z A-Z 0-9 . _ -");
        }
        let within = |name: &str, text: &str, secs_max: i64| {
            let secs = seconds(text).context(name.to_owned())?.unwrap_or(i64::MAX);
            if secs > secs_max {
                bail!("{name} = \"{text}\" is too long; a day at most");
            }
            Ok(secs)
        };
        let interval = within("interval", self.interval.as_deref().unwrap_or(INTERVAL), DAY_SECS)?;
        let lag_secs = within("lag", self.lag.as_deref().unwrap_or(LAG), DAY_SECS)?;
        let since = self.since.as_deref().map(str::parse::<Timestamp>).transpose();
        let contacts = self.contacts.take().map(|raw| match self.kind.as_str() {
            "fxiaoke" => raw.check("ContactObj", ContactFields::fxiaoke()),
            _ => raw.check("Contacts", ContactFields::zoho()),
        });
        Ok(Crm {
            contacts: contacts.transpose().context("contacts")?,
            name: self.name.clone(),
            interval: Duration::from_secs(u64::try_from(interval).unwrap_or_default()),
            lag_secs,
            since: since.context("since")?,
            networks: crate::respond::config::nets(&self.networks)?,
            asks: match self.kind.as_str() {
                "zoho" => self.zoho(below)?,
                "fxiaoke" => self.fxiaoke(below)?,
                other => bail!("kind = \"{other}\" is unknown; expected one of: zoho, fxiaoke"),
            },
        })
    }

    fn zoho(self, below: &impl Fn(PathBuf) -> PathBuf) -> anyhow::Result<Asks> {
        foreign(
            &self.kind,
            &[
                ("url", self.url.is_some()),
                ("app_id", self.app_id.is_some()),
                ("app_secret_file", self.app_secret_file.is_some()),
                ("permanent_code_file", self.permanent_code_file.is_some()),
                ("login", self.login.is_some()),
                ("user", self.user.is_some()),
                ("objects", self.objects.is_some()),
                ("detail", self.detail.is_some()),
                ("fields", self.fields.is_some()),
            ],
        )?;
        let accounts = needed(
            "accounts",
            self.accounts,
            "https://accounts.zoho.eu or that of your data centre",
        )?;
        Ok(Asks::Zoho {
            accounts: origin("accounts", &accounts)?,
            client_id: needed(
                "client_id",
                self.client_id,
                "that of the client in Zoho's API console",
            )?,
            client_secret: below(needed(
                "client_secret_file",
                self.client_secret_file,
                "a file with the client's secret",
            )?),
            refresh_token: below(needed(
                "refresh_token_file",
                self.refresh_token_file,
                "a file with the refresh token",
            )?),
        })
    }

    fn fxiaoke(self, below: &impl Fn(PathBuf) -> PathBuf) -> anyhow::Result<Asks> {
        foreign(
            &self.kind,
            &[
                ("accounts", self.accounts.is_some()),
                ("client_id", self.client_id.is_some()),
                ("client_secret_file", self.client_secret_file.is_some()),
                ("refresh_token_file", self.refresh_token_file.is_some()),
            ],
        )?;
        let url = self.url.unwrap_or_else(|| "https://open.fxiaoke.com".into());
        let detail = match self.detail.as_deref().unwrap_or("changes") {
            "changes" => Detail::Changes,
            "records" => Detail::Records,
            other => bail!("detail = \"{other}\" is unknown; expected one of: changes, records"),
        };
        let login = match self.login.as_deref().unwrap_or("oauth") {
            "oauth" => Login::OAuth,
            "corp" => Login::Corp,
            other => bail!("login = \"{other}\" is unknown; expected one of: oauth, corp"),
        };
        if login == Login::Corp && self.user.is_none() {
            bail!("login = \"corp\" needs user, the openUserId in whose name is read");
        }
        let fields = self.fields.unwrap_or_default();
        if !fields.is_empty() && detail == Detail::Changes {
            bail!("fields needs detail = \"records\"");
        }
        let objects = self.objects.unwrap_or_default();
        check_words("objects", &objects, OBJECTS_MAX)?;
        check_words("fields", &fields, FIELDS_MAX)?;
        if objects.is_empty() {
            bail!(
                "objects is empty; name what is to be read, as in [\"AccountObj\", \"ContactObj\"]"
            );
        }
        Ok(Asks::Fxiaoke(Box::new(Fxiaoke {
            url: origin("url", &url)?,
            app_id: needed("app_id", self.app_id, "that of the application in 纷享销客's console")?,
            app_secret: below(needed(
                "app_secret_file",
                self.app_secret_file,
                "a file with its appSecret",
            )?),
            permanent_code: below(needed(
                "permanent_code_file",
                self.permanent_code_file,
                "a file with the permanent code",
            )?),
            login,
            user: self.user,
            objects,
            detail,
            fields,
        })))
    }
}

fn needed<T>(name: &str, value: Option<T>, what: &str) -> anyhow::Result<T> {
    value.with_context(|| format!("{name} is missing: {what}"))
}

fn foreign(kind: &str, keys: &[(&str, bool)]) -> anyhow::Result<()> {
    match keys.iter().find(|(_, is_there)| *is_there) {
        Some((name, _)) => bail!("{name} is no setting of kind = \"{kind}\""),
        None => Ok(()),
    }
}

pub(super) fn check_words(name: &str, words: &[String], count_max: usize) -> anyhow::Result<()> {
    if words.len() > count_max {
        bail!("{name} has {} entries; {count_max} are possible", words.len());
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_word = |word: &String| (1..=128).contains(&word.len()) && word.bytes().all(letter);
    if let Some(word) = words.iter().find(|word| !is_word(word)) {
        bail!("{name}: '{word}' is no API name; use a-z A-Z 0-9 _");
    }
    let distinct: BTreeSet<_> = words.iter().collect();
    if distinct.len() < words.len() {
        bail!("{name} names one twice");
    }
    Ok(())
}

/// Scheme and host, with a port where it is another one. Secrets go there: over TLS, or nowhere but to this machine.
fn origin(name: &str, text: &str) -> anyhow::Result<String> {
    let wrong = || format!("{name} = \"{text}\" is not https://HOST[:PORT]");
    let uri: Uri = text.parse().ok().with_context(wrong)?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
    let authority = authority.with_context(wrong)?;
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        bail!(wrong());
    }
    let literal = authority.host().trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if literal.is_ok_and(|address| address.is_loopback()) => {}
        _ => bail!("{}; plain http goes to a loopback address alone", wrong()),
    }
    Ok(text.trim_end_matches('/').to_owned())
}

impl Crm {
    pub(crate) fn is_https(&self) -> bool {
        match &self.asks {
            Asks::Zoho { accounts: url, .. } => url.starts_with("https://"),
            Asks::Fxiaoke(fxiaoke) => fxiaoke.url.starts_with("https://"),
        }
    }

    /// With its secrets read.
    pub(crate) fn open(&self) -> anyhow::Result<PullConfig> {
        let read = |file: &Path| secret(file).with_context(|| format!("[[crm]] '{}'", self.name));
        let system = match &self.asks {
            Asks::Zoho { accounts, client_id, client_secret, refresh_token } => {
                System::Zoho(ZohoConfig {
                    accounts: accounts.clone(),
                    client_id: client_id.clone(),
                    client_secret: read(client_secret)?,
                    refresh_token: read(refresh_token)?,
                })
            }
            Asks::Fxiaoke(one) => System::Fxiaoke(FxiaokeConfig {
                url: one.url.clone(),
                app_id: one.app_id.clone(),
                app_secret: read(&one.app_secret)?,
                permanent_code: read(&one.permanent_code)?,
                login: one.login,
                user: one.user.clone(),
                objects: one.objects.clone(),
                detail: one.detail,
                fields: one.fields.clone(),
            }),
        };
        Ok(PullConfig {
            name: self.name.clone(),
            system,
            interval: self.interval,
            lag_secs: self.lag_secs,
            since: self.since,
            networks: self.networks.clone(),
            contacts: self.contacts.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const ZOHO: &str = "[[crm]]\nname = \"zoho\"\nkind = \"zoho\"\naccounts = \"https://accounts.zoho.eu/\"\n\
                        client_id = \"1000.A\"\nclient_secret_file = \"z.secret\"\nrefresh_token_file = \"/z.token\"\n";
    const FXIAOKE: &str = "[[crm]]\nname = \"fx\"\nkind = \"fxiaoke\"\napp_id = \"FSAID_1\"\n\
                           app_secret_file = \"f.secret\"\npermanent_code_file = \"f.code\"\nobjects = [\"ContactObj\"]\n";

    fn parse(text: &str) -> anyhow::Result<Vec<Crm>> {
        Ok(Config::parse(text, Path::new("/etc/custos"))?.crm)
    }

    #[test]
    fn a_section_says_whom_to_ask_and_where_its_secrets_lie() {
        let zoho = parse(ZOHO).unwrap().remove(0);
        assert_eq!((zoho.interval.as_secs(), zoho.lag_secs, zoho.is_https()), (300, 120, true));
        let Asks::Zoho { accounts, client_secret, refresh_token, .. } = &zoho.asks else {
            panic!("not Zoho")
        };
        assert_eq!(accounts, "https://accounts.zoho.eu");
        assert_eq!(client_secret, Path::new("/etc/custos/z.secret"));
        assert_eq!(refresh_token, Path::new("/z.token"));
        let error = format!("{:#}", zoho.open().unwrap_err());
        assert!(error.contains("[[crm]] 'zoho'") && error.contains("z.secret"), "{error}");
        let Asks::Fxiaoke(one) = &parse(FXIAOKE).unwrap()[0].asks else {
            panic!("not 纷享销客")
        };
        assert_eq!((one.url.as_str(), one.detail), ("https://open.fxiaoke.com", Detail::Changes));
    }

    #[test]
    fn what_does_not_hold_is_told_with_its_section_and_its_mend() {
        let zoho = |more: &str| format!("{ZOHO}{more}");
        let fxiaoke = |more: &str| format!("{FXIAOKE}{more}");
        for (text, parts) in [
            (ZOHO.replace("\"zoho\"\nacc", "\"sugar\"\nacc"), &["'zoho'", "zoho, fxiaoke"][..]),
            (
                ZOHO.replace("accounts.zoho.eu/", "accounts.zoho.eu/oauth"),
                &["accounts = ", "https://HOST"],
            ),
            (ZOHO.replace("https:", "http:"), &["loopback"]),
            (
                ZOHO.replace("client_id = \"1000.A\"\n", ""),
                &["client_id is missing", "API console"],
            ),
            (zoho("objects = [\"Leads\"]"), &["objects is no setting of kind = \"zoho\""]),
            (zoho("interval = \"never\""), &["interval", "a day at most"]),
            (zoho("lag = \"soon\""), &["lag", "as in 6h"]),
            (zoho("since = \"monday\""), &["since", "RFC 3339"]),
            (zoho("client_secret = \"x\""), &["unknown field `client_secret`"]),
            (format!("{ZOHO}{ZOHO}"), &["'zoho'", "twice"]),
            (FXIAOKE.replace("[\"ContactObj\"]", "[]"), &["'fx'", "objects is empty"]),
            (FXIAOKE.replace("ContactObj", "Contact/Obj"), &["'Contact/Obj' is no API name"]),
            (fxiaoke("fields = [\"name\"]"), &["detail = \"records\""]),
            (fxiaoke("detail = \"all\""), &["changes, records"]),
            (fxiaoke("login = \"corp\""), &["needs user"]),
            (fxiaoke("client_id = \"x\""), &["client_id is no setting of kind = \"fxiaoke\""]),
            (FXIAOKE.replace("\"fx\"", "\"f x\""), &["1 to 64"]),
        ] {
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} in: {error}");
        }
    }
}
