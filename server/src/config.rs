//! The configuration file: what was written ([`RawConfig`]) and what it means ([`Config`]), once checked.

mod contacts;
pub(crate) mod crm;
pub(crate) mod intake;
pub(crate) mod kafka;
pub(crate) mod listener;
mod raw;
mod webhooks;

use crate::auth::Lifetime;
use crate::enrich::Enrich;
use crate::respond::config::Respond;
use crate::silence::Silence;
use crate::witness::Witnessing;
use anyhow::{Context as _, bail};
use custos_ingest::{
    decode::{Mappings, SourceType},
    kafka::{ByTopic, Mechanism},
    protect::PersonalFields,
};
use custos_store::keys::KeySource;
use raw::RawConfig;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A configuration that holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    pub(crate) data: Option<PathBuf>,
    /// Intake pauses where fewer bytes are free on the disk of the data folder.
    pub(crate) keep_free: Option<u64>,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) listener: Option<listener::Listener>,
    pub(crate) kafka: Option<kafka::Kafka>,
    /// Topics that are told of alerts and facts.
    pub(crate) publish: Option<kafka::publish::Publish>,
    /// Sockets that shippers write to.
    pub(crate) intakes: Vec<intake::Intake>,
    /// Customer systems that are asked for what was done in them.
    pub(crate) crm: Vec<crm::Crm>,
    /// When a source is silent.
    pub(crate) silence: Silence,
    pub(crate) rules: Vec<PathBuf>,
    /// Formats of logs that the user describes.
    pub(crate) mappings: Arc<Mappings>,
    pub(crate) session: Lifetime,
    /// Where the master key comes from, if it is said here.
    pub(crate) key: Option<KeySource>,
    pub(crate) protect: Protect,
    pub(crate) enrich: Enrich,
    pub(crate) respond: Respond,
    pub(crate) witnessing: Witnessing,
    pub(crate) backup: Option<crate::upkeep::config::Backup>,
    pub(crate) keeping: crate::upkeep::keeper::Keeping,
}

/// What is sealed before the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Protect {
    /// None: no personal field is.
    pub(crate) personal: Option<Vec<PersonalFields>>,
}

impl Default for Protect {
    fn default() -> Self {
        Self { personal: Some(PersonalFields::standard()) }
    }
}

/// Topic → what its events are; `auto` for a topic not named.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sources(ByTopic<SourceType>);

impl Sources {
    pub(crate) fn new(types: BTreeMap<String, SourceType>) -> Self {
        Self(types.into())
    }

    pub(crate) fn of(&self, topic: &str) -> SourceType {
        self.0.of(topic).copied().unwrap_or(SourceType::Auto)
    }
}

impl Config {
    /// What holds without a configuration file: HTTP and the Kafka listener on this machine's loopback.
    pub(crate) fn standard() -> anyhow::Result<Self> {
        Self::parse("[http]\n[listener]\nauto_create = true\n", Path::new("."))
    }

    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut config = Self::parse(&text, folder)
            .with_context(|| format!("configuration {}", path.display()))?;
        if let Some(backup) = &mut config.backup {
            backup.file = Some(path.to_owned());
        }
        Ok(config)
    }

    /// Relative paths are taken from `folder`, where the file lies.
    pub(crate) fn parse(text: &str, folder: &Path) -> anyhow::Result<Self> {
        let raw: RawConfig = toml::from_str(text)?;
        let below = |path: PathBuf| if path.is_absolute() { path } else { folder.join(path) };
        let mail = raw.respond.sends_mail();
        let folders: Vec<_> = raw.mappings.folders.into_iter().map(&below).collect();
        let mappings = crate::mappingfiles::read(&folders).context("section [mappings]")?;
        let witnessing = crate::witness::config::check(raw.witness, &raw.witnessed, mail, &below)?;
        let listener = raw
            .listener
            .map(|raw| listener::check(raw, &mappings, &below))
            .transpose()
            .context("section [listener]")?;
        let (kafka, publish) = check_kafka(raw.kafka, listener.as_ref(), &mappings, &below)
            .context("section [kafka]")?;
        let crm = crm::check(raw.crm, &below)?;
        let retention = raw
            .retention
            .map(crate::upkeep::policy::RawRetention::check)
            .transpose()
            .context("section [retention]")?;
        let protect = check_protect(raw.protect, &mappings)?;
        contacts::check_all(&crm, &protect, retention.as_ref())?;
        let silence = raw.sources.check().context("section [sources]")?;
        let silence = silence.without(contacts::sources(&crm));
        Ok(Self {
            data: raw.data.map(below),
            keep_free: raw.disk.keep_free_mib.map(|mib| u64::from(mib) << 20),
            http: raw.http.as_ref().map(check_http).transpose()?,
            listener,
            kafka,
            publish,
            intakes: intake::check(raw.intake, &mappings, &below)?,
            crm,
            silence,
            rules: raw.rules.folders.into_iter().map(below).collect(),
            session: check_session(&raw.session)?,
            backup: raw
                .backup
                .map(|raw| crate::upkeep::config::check(raw, &below))
                .transpose()
                .context("section [backup]")?,
            keeping: crate::upkeep::keeper::Keeping {
                retention,
                scrub: raw.scrub.check().context("section [scrub]")?,
            },
            key: check_keys(raw.keys, &below)?,
            protect,
            enrich: crate::enrich::check(raw.enrich, &below)?,
            respond: crate::respond::config::check(raw.respond, &below)
                .context("section [respond]")?,
            witnessing,
            mappings,
        })
    }
}

/// Intake and metrics ask nobody to sign in, and there is no TLS: what listens answers this machine only, unless
/// it is said in writing that the network may reach it.
fn check_open(section: &str, listen: SocketAddr, open_to_network: bool) -> anyhow::Result<()> {
    if listen.ip().is_loopback() || open_to_network {
        return Ok(());
    }
    bail!(
        "[{section}] listen = \"{listen}\" can be reached from the network without signing in; listen on \
         127.0.0.1, or write open_to_network = true if a firewall stands before it"
    )
}

fn check_http(raw: &raw::Http) -> anyhow::Result<SocketAddr> {
    check_open("http", raw.listen, raw.open_to_network)?;
    Ok(raw.listen)
}

/// Each path costs a comparison for each value of an event.
const PERSONAL_PATHS_MAX: usize = 64;

fn check_kafka(
    raw: Option<raw::Kafka>,
    listener: Option<&listener::Listener>,
    mappings: &Mappings,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<(Option<kafka::Kafka>, Option<kafka::publish::Publish>)> {
    let Some(raw) = raw else { return Ok((None, None)) };
    let (kafka, publish) = kafka::check(raw, mappings, below)?;
    if let (Some(publish), Some(listener)) = (&publish, listener) {
        publish
            .refuse_listener(listener.listen, listener.advertised.as_ref())
            .context("publish")?;
    }
    Ok((kafka, publish))
}

/// The standard fields; a section of its own replaces those of its type of source.
fn check_protect(raw: raw::Protect, mappings: &Mappings) -> anyhow::Result<Protect> {
    if raw.personal == Some(false) {
        if !raw.fields.is_empty() {
            bail!("[protect] has personal = false and [[protect.fields]]; drop one of them");
        }
        return Ok(Protect { personal: None });
    }
    let mut all = PersonalFields::standard();
    for own in raw.fields {
        let place = format!("[[protect.fields]] of '{}'", own.source);
        let source_type = mappings.source_type(&own.source).context(place.clone())?;
        if source_type == SourceType::Auto {
            bail!("{place}: name the type of events that it is for");
        }
        let paths = own.subject.iter().chain(&own.fields);
        if paths.clone().count() > PERSONAL_PATHS_MAX {
            bail!("{place} names more than {PERSONAL_PATHS_MAX} paths");
        }
        if let Some(path) = paths.clone().find(|path| path.split('.').any(str::is_empty)) {
            bail!("{place}: '{path}' is no path of keys, as customer.email is");
        }
        all.retain(|other| other.source_type != source_type);
        all.push(PersonalFields { source_type, subject: own.subject, fields: own.fields });
    }
    Ok(Protect { personal: Some(all) })
}

fn check_keys(
    raw: raw::Keys,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Option<KeySource>> {
    match (raw.master_file, raw.master_command) {
        (Some(_), command) if !command.is_empty() => {
            bail!(
                "[keys] has master_file and master_command; the master key comes from one of them"
            )
        }
        (Some(file), _) => Ok(Some(KeySource::File(below(file)))),
        (None, command) if command.is_empty() => Ok(None),
        (None, command) => Ok(Some(KeySource::Command(command))),
    }
}

/// OWASP ASVS 5.0, 7.3: as short as the risk asks for, never longer than this.
fn check_session(raw: &raw::Session) -> anyhow::Result<Lifetime> {
    let longest = Lifetime::default();
    let idle_secs = raw.idle_secs.unwrap_or(longest.idle_secs);
    let absolute_secs = raw.absolute_secs.unwrap_or(longest.absolute_secs);
    for (name, secs, max) in [
        ("idle_secs", idle_secs, longest.idle_secs),
        ("absolute_secs", absolute_secs, longest.absolute_secs),
    ] {
        if !(1..=max).contains(&secs) {
            bail!("[session] {name} = {secs}; 1 to {max} are possible");
        }
    }
    Ok(Lifetime { idle_secs, absolute_secs })
}

fn mechanism(text: &str) -> anyhow::Result<Mechanism> {
    let names = || Mechanism::ALL.map(Mechanism::name).join(", ");
    let found = Mechanism::ALL.into_iter().find(|one| one.name() == text);
    found.with_context(|| format!("mechanism \"{text}\" is unknown; expected one of: {}", names()))
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn source_type(topic: &str, text: &str, mappings: &Mappings) -> anyhow::Result<SourceType> {
    mappings.source_type(text).with_context(|| format!("topic '{topic}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        format!("{:#}", Config::parse(text, Path::new("/etc/custos")).unwrap_err())
    }

    #[test]
    fn a_whole_configuration_is_understood() {
        let config = Config::parse(
            r#"
            data = "store"
            [http]
            listen = "127.0.0.1:8080"
            [listener]
            [[listener.topics]]
            name = "doors"
            source = "door"
            [kafka]
            brokers = "127.0.0.1:9094"
            topics = ["^pay.*"]
            properties = { "client.id" = "custos" }
            sources = [{ topic = "pay-eu", type = "payment" }]
            [keys]
            master_command = ["/usr/bin/vault", "read"]
            [session]
            idle_secs = 300
            [rules]
            folders = ["rules"]
            "#,
            Path::new("/etc/custos"),
        );
        let config = config.unwrap();
        assert_eq!(config.data, Some("/etc/custos/store".into()));
        assert_eq!(config.rules, [PathBuf::from("/etc/custos/rules")]);
        assert_eq!(config.session, Lifetime { idle_secs: 300, absolute_secs: 43_200 });
        let argv = ["/usr/bin/vault", "read"].map(str::to_owned).into();
        assert_eq!(config.key, Some(KeySource::Command(argv)));
        assert_eq!(config.listener.unwrap().sources.of("doors"), SourceType::Door);
        let kafka = config.kafka.unwrap();
        assert_eq!(kafka.group, "custos");
        assert_eq!(kafka.instance, host_name());
        assert_eq!(kafka.sources.of("pay-eu"), SourceType::Payment);
        assert_eq!(kafka.sources.of("pay-us"), SourceType::Auto);
    }

    #[test]
    fn what_does_not_hold_is_named_with_its_place_and_mend() {
        for (text, parts) in [
            ("[listner]\n", &["line 1", "listner", "listener"][..]),
            ("\n[http]\nlisten = \"nowhere\"\n", &["line 3", "socket address"]),
            ("[http]\nlisten = \"0.0.0.0:80\"\n", &["0.0.0.0:80", "open_to_network"]),
            ("[session]\nidle_secs = 901\n", &["idle_secs = 901", "1 to 900"]),
            ("[keys]\nmaster_file=\"a\"\nmaster_command=[\"b\"]\n", &["one of them"]),
            (
                "[protect]\npersonal = false\n[[protect.fields]]\nsource=\"crm\"\nfields=[]\n",
                &["drop one"],
            ),
            ("[[protect.fields]]\nsource=\"crm\"\nfields=[\"a..b\"]\n", &["'crm'", "'a..b'"]),
            ("[kafka]\nbrokers = \"b:1\"\ntopics = []\n", &["topics is empty"]),
            (
                "[kafka]\nbrokers = \"b:1\"\ntopics = [\"a\"]\nsources = [{topic=\"a\", type=\"dor\"}]\n",
                &["topic 'a'", "'dor'", "door"],
            ),
        ] {
            let error = error_of(text);
            for part in parts {
                assert!(error.contains(part), "{part} in: {error}");
            }
        }
    }

    #[test]
    fn the_standard_configuration_listens_on_loopback_only() {
        let config = Config::standard().unwrap();
        assert!(config.http.unwrap().ip().is_loopback());
        assert!(config.listener.unwrap().listen.ip().is_loopback());
    }
}
