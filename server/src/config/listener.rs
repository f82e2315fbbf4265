//! `[listener]`: the built-in Kafka listener, and who may write to it.

use super::{Sources, check_open, mechanism, raw, source_type};
use crate::{api::sources::Inlet, respond::config::secret};
use anyhow::{Context as _, anyhow, bail};
use custos_ingest::{
    decode::Mappings,
    kafka::{ByTopic, Mechanism},
    listener::{ListenerConfig, User},
    port::tls::{TlsFiles, acceptor},
};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// Each password is salted at the start, once for each mechanism: some 10 ms, so that a start takes 3 s longer at most.
const USERS_MAX: usize = 250;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listener {
    pub(crate) listen: SocketAddr,
    /// What clients are told to connect to; the listening address unless said otherwise.
    pub(super) advertised: Option<(String, u16)>,
    auto_create: bool,
    /// Topic → number of partitions.
    topics: BTreeMap<String, u32>,
    pub(crate) sources: Sources,
    tls: Option<TlsFiles>,
    mechanisms: Vec<Mechanism>,
    users: BTreeMap<String, Named>,
}

#[derive(Clone, Debug, PartialEq)]
struct Named {
    password_file: PathBuf,
    topics: Option<ByTopic<()>>,
}

pub(super) fn check(
    raw: raw::Listener,
    mappings: &Mappings,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Listener> {
    let tls = check_tls(&raw, below)?;
    let asks_who = !raw.users.is_empty() || raw.client_ca.is_some();
    // Over a plain connection SCRAM guards the password, and nothing the events.
    check_open("listener", raw.listen, raw.open_to_network || (tls.is_some() && asks_who))?;
    let mechanisms = check_mechanisms(&raw, tls.is_some())?;
    let users = check_users(raw.users, below)?;
    if raw.topics.is_empty() && !raw.auto_create {
        bail!("no topic is taken: name some as [[listener.topics]], or set auto_create = true");
    }
    let mut topics = BTreeMap::new();
    let mut sources = BTreeMap::new();
    for topic in raw.topics {
        // 1,000 partitions: each costs a counter and a lock, and no shipper needs more here.
        if !(1..=1_000).contains(&topic.partitions) {
            bail!(
                "topic '{}' has {} partitions; 1 to 1000 are possible",
                topic.name,
                topic.partitions
            );
        }
        sources.insert(topic.name.clone(), source_type(&topic.name, &topic.source, mappings)?);
        if topics.insert(topic.name.clone(), topic.partitions).is_some() {
            bail!("topic '{}' stands twice in [[listener.topics]]", topic.name);
        }
    }
    let advertised = raw.advertised.as_deref().map(host_and_port).transpose()?;
    let (listen, auto_create) = (raw.listen, raw.auto_create);
    let sources = Sources::new(sources);
    Ok(Listener { listen, advertised, auto_create, topics, sources, tls, mechanisms, users })
}

fn check_tls(
    raw: &raw::Listener,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Option<TlsFiles>> {
    let path = |file: &Option<PathBuf>| file.clone().map(below);
    match (path(&raw.certificate), path(&raw.key), path(&raw.client_ca)) {
        (Some(certificate), Some(key), client_ca) => {
            Ok(Some(TlsFiles { certificate, key, client_ca }))
        }
        (None, None, None) => Ok(None),
        _ => bail!("TLS needs certificate and key, two PEM files; client_ca goes with them"),
    }
}

fn check_mechanisms(raw: &raw::Listener, tls: bool) -> anyhow::Result<Vec<Mechanism>> {
    let may_be_plain = tls || raw.listen.ip().is_loopback();
    let Some(written) = &raw.mechanisms else {
        let safe = |one: &Mechanism| may_be_plain || *one != Mechanism::Plain;
        return Ok(Mechanism::ALL.into_iter().filter(safe).collect());
    };
    if raw.users.is_empty() || written.is_empty() {
        bail!("mechanisms and [[listener.users]] go together; one of them is missing");
    }
    let all: Vec<_> = written.iter().map(|text| mechanism(text)).collect::<Result<_, _>>()?;
    if all.contains(&Mechanism::Plain) && !may_be_plain {
        bail!(
            "mechanisms names PLAIN, and passwords would be sent readable to {}: set certificate and key, or \
             leave PLAIN out",
            raw.listen
        );
    }
    Ok(all)
}

fn check_users(
    all: Vec<raw::ListenerUser>,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<BTreeMap<String, Named>> {
    if all.len() > USERS_MAX {
        bail!("{} [[listener.users]]; {USERS_MAX} are possible", all.len());
    }
    let mut users = BTreeMap::new();
    for raw::ListenerUser { name, password_file, topics } in all {
        let place = || format!("[[listener.users]] '{name}'");
        if name.is_empty() || name.chars().any(char::is_control) {
            bail!(
                "{}: a name is one or more characters, none of them a control character",
                place()
            );
        }
        let mut may = ByTopic::default();
        for topic in &topics {
            may.add(topic, ()).with_context(|| format!("{}: topic '{topic}'", place()))?;
        }
        let topics = (!topics.is_empty()).then_some(may);
        let user = Named { password_file: below(password_file), topics };
        if users.insert(name.clone(), user).is_some() {
            bail!("{} stands twice", place());
        }
    }
    Ok(users)
}

fn host_and_port(text: &str) -> anyhow::Result<(String, u16)> {
    let wrong = || anyhow!("advertised = \"{text}\" is not HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    Ok((host.to_owned(), port.parse().map_err(|_| wrong())?))
}

impl Listener {
    /// What the listener needs, with the files that are named here read.
    pub(crate) fn open(&self) -> anyhow::Result<ListenerConfig> {
        let user = |(name, user): (&String, &Named)| {
            let password = secret(&user.password_file).with_context(|| format!("user '{name}'"))?;
            anyhow::Ok((name.clone(), User { password, topics: user.topics.clone() }))
        };
        Ok(ListenerConfig {
            advertised: self.advertised.clone(),
            topics: self.topics.clone(),
            auto_create: self.auto_create,
            tls: self.tls.as_ref().map(acceptor).transpose()?,
            users: self.users.iter().map(user).collect::<Result<_, _>>()?,
            mechanisms: self.mechanisms.clone(),
            ..ListenerConfig::new(self.listen)
        })
    }

    /// As people are told that it is open.
    pub(crate) fn inlet(&self, address: SocketAddr) -> Inlet {
        Inlet {
            source: "listener".into(),
            protocol: "kafka".into(),
            transport: if self.tls.is_some() { "tls" } else { "tcp" }.into(),
            address: address.to_string(),
            tokens: !self.users.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    fn parse(more: &str) -> anyhow::Result<Listener> {
        let text = format!("[listener]\nauto_create = true\n{more}");
        Ok(Config::parse(&text, Path::new("/etc/custos"))?.listener.unwrap())
    }

    const TLS: &str = "certificate = \"s.pem\"\nkey = \"s.key\"\n";
    const USER: &str = "[[listener.users]]\nname = \"gate\"\npassword_file = \"gate.secret\"\n";
    const ANY: &str = "listen = \"0.0.0.0:9093\"\n";

    #[test]
    fn topics_and_what_is_told_to_clients_are_understood() {
        let listener = parse(
            "advertised = \"siem.bank.example:9092\"\n[[listener.topics]]\nname = \"doors\"\n\
             source = \"door\"\n",
        )
        .unwrap();
        assert_eq!(listener.advertised, Some(("siem.bank.example".into(), 9092)));
        assert_eq!(listener.topics["doors"], 1);
        let inlet = listener.inlet(listener.listen);
        assert!(!inlet.tokens && inlet.transport == "tcp");
        assert_eq!(listener.mechanisms, Mechanism::ALL);
    }

    #[test]
    fn who_is_asked_over_tls_may_come_from_the_network() {
        let listener =
            parse(&format!("{ANY}{TLS}{USER}topics = [\"doors\", \"^gate-.*\"]\n")).unwrap();
        let inlet = listener.inlet(listener.listen);
        assert!(inlet.tokens && inlet.transport == "tls");
        let gate = &listener.users["gate"];
        assert_eq!(gate.password_file, Path::new("/etc/custos/gate.secret"));
        let topics = gate.topics.as_ref().unwrap();
        assert!(topics.of("gate-7").is_some() && topics.of("payments").is_none());
        parse(&format!("{ANY}{TLS}client_ca = \"ca.pem\"\n")).unwrap();
        let error = format!("{:#}", listener.open().err().unwrap());
        assert!(error.contains("s.pem"), "{error}");
        let plain = parse(&format!("{ANY}open_to_network = true\n{USER}")).unwrap();
        assert_eq!(plain.mechanisms, [Mechanism::ScramSha256, Mechanism::ScramSha512]);
    }

    #[test]
    fn what_does_not_hold_is_named_with_its_place_and_mend() {
        let plain = "open_to_network = true\nmechanisms = [\"PLAIN\"]\n";
        for (more, parts) in [
            (format!("{ANY}{USER}"), &["0.0.0.0:9093", "open_to_network"][..]),
            (format!("{ANY}{TLS}"), &["0.0.0.0:9093"]),
            (format!("{ANY}{plain}{USER}"), &["PLAIN", "0.0.0.0:9093", "certificate and key"]),
            (format!("mechanisms = [\"GSSAPI\"]\n{USER}"), &["GSSAPI", "SCRAM-SHA-512"]),
            ("mechanisms = [\"PLAIN\"]\n".into(), &["[[listener.users]]"]),
            ("key = \"s.key\"\n".into(), &["certificate and key"]),
            (format!("{USER}{USER}"), &["'gate'", "twice"]),
            (format!("{USER}topics = [\"^(\"]\n"), &["'gate'", "'^('"]),
            (USER.replace("gate\"\n", "\"\n"), &["one or more characters"]),
            ("advertised = \"siem\"\n".into(), &["siem", "HOST:PORT"]),
        ] {
            let error = format!("{:#}", parse(&more).unwrap_err());
            for part in parts.iter().chain(&["[listener]"]) {
                assert!(error.contains(part), "{part} in: {error}");
            }
        }
        let error = format!("{:#}", Config::parse("[listener]\n", Path::new("/")).unwrap_err());
        assert!(error.contains("[[listener.topics]]") && error.contains("auto_create"), "{error}");
    }
}
