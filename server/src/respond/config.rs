//! The section `[respond]`: as written, and what it means once checked.

use anyhow::{Context as _, anyhow, bail};
use custos_event::Private;
use custos_respond::{
    Limits,
    effect::{Endpoint, Kafka, Mail, Smtp, SmtpTls, Transport, World},
};
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRespond {
    #[serde(default)]
    playbooks: Vec<PathBuf>,
    #[serde(default)]
    networks: Vec<String>,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    endpoints: Vec<RawEndpoint>,
    mail: Option<RawMail>,
    kafka: Option<RawKafka>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEndpoint {
    name: String,
    url: String,
    #[serde(default)]
    networks: Vec<String>,
    token_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMail {
    from: String,
    outbox: Option<PathBuf>,
    smtp: Option<RawSmtp>,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSmtp {
    host: String,
    port: Option<u16>,
    #[serde(default)]
    tls: RawTls,
    user: Option<String>,
    password_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum RawTls {
    #[default]
    Starttls,
    Wrapped,
    Off,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKafka {
    brokers: String,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

impl RawRespond {
    /// Whether it says how mail is sent.
    pub(crate) fn sends_mail(&self) -> bool {
        self.mail.is_some()
    }
}

/// What responding is done with. Secrets stay in their files until the server starts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Respond {
    /// Folders of playbooks.
    pub(crate) playbooks: Vec<PathBuf>,
    pub(crate) limits: Limits,
    endpoints: Vec<EndpointConfig>,
    mail: Option<MailConfig>,
    kafka: Option<(String, BTreeMap<String, String>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct EndpointConfig {
    name: String,
    url: String,
    networks: Vec<IpNet>,
    token_file: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq)]
struct MailConfig {
    from: String,
    groups: BTreeMap<String, Vec<String>>,
    to: MailTo,
}

#[derive(Clone, Debug, PartialEq)]
enum MailTo {
    Outbox(PathBuf),
    Smtp { host: String, port: u16, tls: SmtpTls, login: Option<(String, PathBuf)> },
}

/// `below` turns a relative path into one below the configuration's folder.
pub(crate) fn check(
    raw: RawRespond,
    below: &dyn Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Respond> {
    let mut endpoints: Vec<EndpointConfig> = Vec::new();
    for RawEndpoint { name, url, networks, token_file } in raw.endpoints {
        if endpoints.iter().any(|known| known.name == name) {
            bail!("endpoint '{name}' stands twice in [[respond.endpoints]]");
        }
        let (token_file, networks) = (token_file.map(below), nets(&networks)?);
        endpoints.push(EndpointConfig { name, url, networks, token_file });
    }
    let respond = Respond {
        playbooks: raw.playbooks.into_iter().map(below).collect(),
        limits: Limits { networks: nets(&raw.networks)?, users: raw.users },
        endpoints,
        mail: raw.mail.map(|mail| check_mail(mail, below)).transpose()?,
        kafka: raw.kafka.map(|kafka| (kafka.brokers, kafka.properties)),
    };
    // Tells at once what no request could ever use; secrets are not read for that.
    respond.world_with(|_| Ok(Private::new("unread".into())))?;
    Ok(respond)
}

pub(crate) fn nets(texts: &[String]) -> anyhow::Result<Vec<IpNet>> {
    let net = |text: &String| {
        let alone = text.parse::<IpAddr>().map(IpNet::from);
        let net = text.parse().or(alone);
        net.map_err(|_| anyhow!("networks: '{text}' is no network, as in 198.51.100.0/24"))
    };
    texts.iter().map(net).collect()
}

fn check_mail(raw: RawMail, below: &dyn Fn(PathBuf) -> PathBuf) -> anyhow::Result<MailConfig> {
    let to = match (raw.outbox, raw.smtp) {
        (Some(outbox), None) => MailTo::Outbox(below(outbox)),
        (None, Some(smtp)) => check_smtp(smtp, below)?,
        _ => bail!("[respond.mail] needs either outbox = \"FOLDER\" or smtp = {{ host = \"…\" }}"),
    };
    for address in raw.groups.values().flatten().chain([&raw.from]) {
        if !address.contains('@') || address.contains(char::is_control) {
            bail!("[respond.mail] '{}' is no mail address", address.escape_debug());
        }
    }
    Ok(MailConfig { from: raw.from, groups: raw.groups, to })
}

fn check_smtp(raw: RawSmtp, below: &dyn Fn(PathBuf) -> PathBuf) -> anyhow::Result<MailTo> {
    let RawSmtp { host, port, tls, user, password_file } = raw;
    let local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if tls == RawTls::Off && !local {
        bail!(
            "[respond.mail] smtp to {host} without TLS would be readable on the way; set tls = \"starttls\" or \
             \"wrapped\""
        );
    }
    let (tls, standard) = match tls {
        RawTls::Starttls => (SmtpTls::Starttls, 587),
        RawTls::Wrapped => (SmtpTls::Wrapped, 465),
        RawTls::Off => (SmtpTls::Off, 25),
    };
    let login = match (user, password_file) {
        (Some(user), Some(file)) => Some((user, below(file))),
        (None, None) => None,
        _ => bail!("[respond.mail] smtp takes user and password_file together"),
    };
    Ok(MailTo::Smtp { host, port: port.unwrap_or(standard), tls, login })
}

pub(crate) fn secret(file: &Path) -> anyhow::Result<Private<String>> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("cannot read the secret in {}", file.display()))?;
    match text.trim() {
        "" => Err(anyhow!("{} is empty; a secret is expected there", file.display())),
        text => Ok(Private::new(text.to_owned())),
    }
}

impl Respond {
    /// The peers, with their secrets.
    pub(crate) fn world(&self) -> anyhow::Result<World> {
        self.world_with(secret)
    }

    fn world_with(
        &self,
        secret: impl Fn(&Path) -> anyhow::Result<Private<String>>,
    ) -> anyhow::Result<World> {
        let mut endpoints = Vec::new();
        for EndpointConfig { name, url, networks, token_file } in &self.endpoints {
            let token = token_file.as_deref().map(&secret).transpose()?;
            let (name, url, networks) = (name.clone(), url.clone(), networks.clone());
            endpoints.push(Endpoint { name, url, networks, token });
        }
        let mail = self.mail.as_ref().map(|mail| mail.sender(&secret)).transpose()?;
        let kafka = self.kafka.as_ref().map(|(brokers, properties)| Kafka {
            brokers: brokers.clone(),
            properties: properties.clone(),
        });
        World::new(endpoints, mail, kafka.as_ref()).context("section [respond]")
    }
}

impl MailConfig {
    fn sender(
        &self,
        secret: &impl Fn(&Path) -> anyhow::Result<Private<String>>,
    ) -> anyhow::Result<Mail> {
        let transport = match &self.to {
            MailTo::Outbox(folder) => Transport::Outbox(folder.clone()),
            MailTo::Smtp { host, port, tls, login } => {
                let login = login
                    .as_ref()
                    .map(|(user, file)| Ok::<_, anyhow::Error>((user.clone(), secret(file)?)));
                let (host, port, tls) = (host.clone(), *port, *tls);
                Transport::Smtp(Smtp { host, port, tls, login: login.transpose()? })
            }
        };
        Ok(Mail { from: self.from.clone(), groups: self.groups.clone(), transport })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        let checked = toml::from_str(text)
            .map_err(anyhow::Error::from)
            .and_then(|raw: RawRespond| check(raw, &|path| Path::new("/etc/custos").join(path)));
        format!("{:#}", checked.unwrap_err())
    }

    #[test]
    fn a_whole_section_is_understood() {
        let text = r#"
            playbooks = ["playbooks"]
            networks = ["198.51.100.0/24"]
            users = ["root"]
            endpoints = [{ name = "firewall", url = "https://fw.bank.example/api", networks = ["10.2.0.0/16"], token_file = "t" }]
            [mail]
            from = "Custos <custos@bank.example>"
            smtp = { host = "mail.bank.example", user = "custos", password_file = "p" }
            groups = { soc = ["soc@bank.example"] }
            [kafka]
            brokers = "127.0.0.1:9092"
        "#;
        let raw: RawRespond = toml::from_str(text).unwrap();
        let respond = check(raw, &|path| Path::new("/etc/custos").join(path)).unwrap();
        assert_eq!(respond.playbooks, [PathBuf::from("/etc/custos/playbooks")]);
        assert_eq!(respond.endpoints[0].token_file, Some("/etc/custos/t".into()));
        let to = &respond.mail.as_ref().unwrap().to;
        assert!(matches!(to, MailTo::Smtp { port: 587, tls: SmtpTls::Starttls, .. }), "{to:?}");
        let missing = respond.world().err().map(|error| format!("{error:#}"));
        assert!(missing.is_some_and(|text| text.contains("/etc/custos/t")));
    }

    #[test]
    fn what_does_not_hold_is_named_with_its_mend() {
        for (text, parts) in [
            ("networks = [\"10.0.0.0/33\"]", &["10.0.0.0/33", "as in"][..]),
            ("[mail]\nfrom = \"a@b\"\n", &["either outbox"]),
            ("[mail]\nfrom = \"a\"\noutbox = \"o\"\n", &["'a' is no mail address"]),
            (
                "[mail]\nfrom = \"a@b\"\nsmtp = { host = \"mail.example\", tls = \"off\" }\n",
                &["without TLS"],
            ),
            (
                "[mail]\nfrom = \"a@b\"\nsmtp = { host = \"m\", user = \"u\" }\n",
                &["password_file together"],
            ),
            ("endpoints = [{ name = \"a\", url = \"ftp://b\" }]", &["'a'", "http(s)://HOST"]),
            ("endpoints = [{ name = \"a\", url = \"http://u@b\" }]", &["http(s)://HOST"]),
            (
                "endpoints = [{ name = \"a\", url = \"http://b\" }, { name = \"a\", url = \"http://c\" }]",
                &["twice"],
            ),
            ("endpoint = []", &["unknown field", "endpoints"]),
        ] {
            let error = error_of(text);
            for part in parts {
                assert!(error.contains(part), "{part} in: {error}");
            }
        }
    }
}
