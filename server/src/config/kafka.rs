//! `[kafka]`: the cluster that is read, and how it is reached.

use super::{Sources, host_name, raw, source_type};
use crate::respond::config::secret;
use anyhow::{Context as _, anyhow, bail};
use custos_ingest::{
    ConsumerConfig,
    decode::Mappings,
    kafka::{Account, ByTopic, Mechanism, Security, Start, Tls},
};
use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// The consumer of a real Kafka cluster; its secrets are read when the server starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kafka {
    pub(crate) brokers: String,
    pub(crate) group: String,
    /// This machine's fixed name in the group, so that a restart is no rebalance.
    pub(crate) instance: String,
    pub(crate) topics: Vec<String>,
    /// Where partitions are begun that were never read.
    start: Start,
    starts: ByTopic<Start>,
    account: Option<Named>,
    tls: Option<Files>,
    /// Passed on to librdkafka as they are.
    properties: BTreeMap<String, String>,
    pub(crate) sources: Sources,
}

#[derive(Clone, Debug, PartialEq)]
struct Named {
    user: String,
    password_file: PathBuf,
    mechanism: Mechanism,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Files {
    ca: Option<PathBuf>,
    own: Option<(PathBuf, PathBuf)>,
    key_password_file: Option<PathBuf>,
}

pub(super) fn check(
    raw: raw::Kafka,
    mappings: &Mappings,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Kafka> {
    if raw.topics.is_empty() {
        bail!("topics is empty: name the topics to read, or patterns that begin with '^'");
    }
    let account = check_account(&raw, below)?;
    let tls = check_tls(&raw, below)?;
    if account.is_some() && tls.is_none() && raw.tls.is_none() && !all_loopback(&raw.brokers) {
        bail!(
            "user would be sent to {} without TLS: set ca, or tls = true where the system trusts who signed the \
             brokers' certificates, or write tls = false if the network between is guarded otherwise",
            raw.brokers
        );
    }
    let start = |text: Option<&String>| {
        text.map(|text| text.parse().map_err(|error| anyhow!("start: {error}"))).transpose()
    };
    let (mut starts, mut sources) = (ByTopic::default(), ByTopic::default());
    for one in &raw.sources {
        let place = || format!("topic '{}'", one.topic);
        let kind = source_type(&one.topic, &one.kind, mappings)?;
        if !sources.add(&one.topic, kind).with_context(place)? {
            bail!("{} stands twice in [[kafka.sources]]", place());
        }
        if let Some(start) = start(one.start.as_ref()).with_context(place)? {
            starts.add(&one.topic, start).with_context(place)?;
        }
    }
    let usual = start(raw.start.as_ref())?.unwrap_or_default();
    let kafka = Kafka {
        brokers: raw.brokers,
        group: raw.group,
        instance: raw.instance.unwrap_or_else(host_name),
        topics: raw.topics,
        start: usual,
        starts,
        account,
        tls,
        properties: raw.properties,
        sources: Sources(sources),
    };
    kafka.with(Security::default()).check_properties()?;
    Ok(kafka)
}

fn check_account(
    raw: &raw::Kafka,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Option<Named>> {
    let (user, password_file) = match (&raw.user, &raw.password_file) {
        (Some(user), Some(file)) => (user.clone(), below(file.clone())),
        (None, None) if raw.mechanism.is_none() => return Ok(None),
        _ => {
            bail!("user, password_file and mechanism go together; user or password_file is missing")
        }
    };
    let mechanism = raw.mechanism.as_deref().map(super::mechanism).transpose()?.unwrap_or_default();
    Ok(Some(Named { user, password_file, mechanism }))
}

fn check_tls(
    raw: &raw::Kafka,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Option<Files>> {
    let path = |file: &Option<PathBuf>| file.clone().map(below);
    let own = match (path(&raw.certificate), path(&raw.key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) if raw.key_password_file.is_none() => None,
        _ => bail!("certificate and key go together, two PEM files"),
    };
    let (ca, key_password_file) = (path(&raw.ca), path(&raw.key_password_file));
    let files = Files { ca, own, key_password_file };
    match raw.tls {
        Some(false) if files != Files::default() => {
            bail!("tls = false, and ca or certificate is set; drop one of them")
        }
        Some(true) => Ok(Some(files)),
        _ => Ok((files != Files::default()).then_some(files)),
    }
}

fn all_loopback(brokers: &str) -> bool {
    brokers.split(',').all(|broker| {
        let host = broker.trim().rsplit_once(':').map_or(broker.trim(), |(host, _)| host);
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

impl Kafka {
    /// What the consumer needs, with the files that are named here read.
    pub(crate) fn consumer(&self) -> anyhow::Result<ConsumerConfig> {
        let security = self.security().context("section [kafka]")?;
        Ok(self.with(security))
    }

    fn with(&self, security: Security) -> ConsumerConfig {
        ConsumerConfig {
            properties: self.properties.clone(),
            instance: Some(self.instance.clone()),
            start: self.start,
            starts: self.starts.clone(),
            security,
            ..ConsumerConfig::new(&*self.brokers, &*self.group, self.topics.clone())
        }
    }

    fn security(&self) -> anyhow::Result<Security> {
        let account = |named: &Named| {
            let (user, mechanism) = (named.user.clone(), named.mechanism);
            anyhow::Ok(Account { user, mechanism, password: secret(&named.password_file)? })
        };
        let tls = |files: &Files| {
            if let Some(ca) = &files.ca {
                check_pem("ca", ca, "CERTIFICATE-----")?;
            }
            if let Some((certificate, key)) = &files.own {
                check_pem("certificate", certificate, "CERTIFICATE-----")?;
                check_pem("key", key, "PRIVATE KEY-----")?;
            }
            let key_password = files.key_password_file.as_deref().map(secret).transpose()?;
            anyhow::Ok(Tls { ca: files.ca.clone(), own: files.own.clone(), key_password })
        };
        Ok(Security {
            account: self.account.as_ref().map(account).transpose()?,
            tls: self.tls.as_ref().map(tls).transpose()?,
        })
    }
}

/// librdkafka reads the file itself; what it says of a wrong one names no setting.
fn check_pem(setting: &str, file: &Path, what: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("{setting}: cannot read {}", file.display()))?;
    if !text.contains(what) {
        bail!("{setting}: {} holds no PEM block '{what}'", file.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse(more: &str) -> anyhow::Result<Kafka> {
        let text =
            format!("[kafka]\nbrokers = \"kafka.bank.example:9093\"\ntopics = [\"a\"]\n{more}");
        Ok(Config::parse(&text, Path::new("/etc/custos"))?.kafka.unwrap())
    }

    #[test]
    fn an_account_and_its_files_are_understood() {
        let kafka = parse(
            "user = \"custos\"\npassword_file = \"kafka.secret\"\nca = \"ca.pem\"\nstart = \"latest\"\n\
             [[kafka.sources]]\ntopic = \"^win-.*\"\ntype = \"windows-evtx\"\nstart = \"earliest\"\n\
             [[kafka.sources]]\ntopic = \"win-doors\"\ntype = \"door\"\n",
        )
        .unwrap();
        let account = kafka.account.clone().unwrap();
        assert_eq!(account.password_file, Path::new("/etc/custos/kafka.secret"));
        assert_eq!(account.mechanism, Mechanism::ScramSha512);
        assert_eq!(kafka.tls.clone().unwrap().ca, Some("/etc/custos/ca.pem".into()));
        assert_eq!(kafka.start, Start::Latest);
        assert_eq!(kafka.starts.of("win-web"), Some(&Start::Earliest));
        let types = ["win-web", "win-doors", "b"].map(|topic| kafka.sources.of(topic));
        let expected = ["windows-evtx", "door", "auto"];
        assert_eq!(types, expected.map(|name| Mappings::default().source_type(name).unwrap()));
        let error = format!("{:#}", kafka.consumer().unwrap_err());
        assert!(error.contains("[kafka]") && error.contains("kafka.secret"), "{error}");
    }

    #[test]
    fn what_does_not_hold_is_refused_with_its_mend() {
        let user = "user = \"custos\"\npassword_file = \"p\"\n";
        for (more, parts) in [
            (user.to_owned(), &["kafka.bank.example:9093", "without TLS", "tls = false"][..]),
            (format!("{user}mechanism = \"GSSAPI\"\nca = \"c\"\n"), &["GSSAPI", "SCRAM-SHA-512"]),
            ("user = \"custos\"\n".into(), &["password_file"]),
            ("certificate = \"c\"\n".into(), &["certificate and key"]),
            ("tls = false\nca = \"c\"\n".into(), &["drop one"]),
            (
                "properties = {\"sasl.password\" = \"x\"}\n".into(),
                &["sasl.password", "password_file"],
            ),
            ("properties = {\"no.such\" = \"x\"}\n".into(), &["no.such"]),
            ("start = \"noon\"\n".into(), &["[kafka]", "'noon'", "2026-11-01"]),
            ("sources = [{topic=\"^(\", type=\"door\"}]\n".into(), &["topic '^('"]),
            ("sources = [{topic=\"b\"}, {topic=\"b\"}]\n".into(), &["'b'", "twice"]),
        ] {
            let error = format!("{:#}", parse(&more).unwrap_err());
            assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} in: {error}");
        }
    }

    #[test]
    fn without_tls_a_password_goes_to_this_machine_or_where_it_is_said_in_writing() {
        let user = "user = \"custos\"\npassword_file = \"p\"\n";
        assert!(parse(&format!("{user}tls = false\n")).unwrap().tls.is_none());
        for (brokers, loopback) in [
            ("127.0.0.1:9094,[::1]:9095", true),
            ("localhost:9094", true),
            ("127.0.0.1:9094, kafka:9094", false),
        ] {
            assert_eq!(all_loopback(brokers), loopback, "{brokers}");
        }
    }
}
