//! `[[intake]]`: the sockets that shippers write to, one section each.

use super::{
    check_open,
    raw::{self, Intake as Raw},
    webhooks::{Hook, RawWebhook},
};
use crate::api::sources::Inlet;
use anyhow::{Context as _, bail};
use custos_ingest::{
    PortConfig,
    decode::{Mappings, SourceType},
    port::{
        Protocol, SharedKey, Transport,
        tls::{Acceptor, TlsFiles, acceptor},
    },
    shippers::{Token, Webhook},
};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

/// Each has a socket and a task of its own.
const INTAKES_MAX: usize = 64;
/// Each request is compared with all of them.
const TOKENS_MAX: usize = 1_000;
/// Services that send by themselves are counted in dozens.
const WEBHOOKS_MAX: usize = 256;

/// One section that holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Intake {
    pub(crate) name: String,
    pub(crate) speaks: Speaks,
    pub(crate) over: Over,
    pub(crate) listen: SocketAddr,
    /// Who may send; empty: whoever reaches the port.
    pub(crate) networks: Vec<IpNet>,
    /// The file with what senders of Fluentd's protocol must know.
    pub(crate) shared_key: Option<PathBuf>,
    /// How the events of each source are read: of the port's own name, and of each token's.
    pub(crate) types: BTreeMap<String, SourceType>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Speaks {
    Port(Protocol),
    /// Elasticsearch, Splunk, OTLP, GELF and webhooks on one port; with any of these, only who has a token or the
    /// proof of its webhook.
    Http {
        tokens: Vec<Token>,
        hooks: Vec<Hook>,
    },
}

/// What the protocol is spoken over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Over {
    Udp,
    Tcp,
    Tls(TlsFiles),
}

impl Intake {
    /// As it is told to people, and as the events of a port name it.
    pub(crate) fn source(&self) -> String {
        let protocol = match &self.speaks {
            Speaks::Port(protocol) => protocol.name(),
            Speaks::Http { .. } => "http",
        };
        format!("{protocol}:{}", self.name)
    }

    /// As people are told that it is open.
    pub(crate) fn inlet(&self, address: SocketAddr) -> Inlet {
        let (protocol, tokens) = match &self.speaks {
            Speaks::Port(protocol) => (protocol.name(), false),
            Speaks::Http { tokens, hooks } => ("http", !(tokens.is_empty() && hooks.is_empty())),
        };
        let transport = match &self.over {
            Over::Udp => "udp",
            Over::Tcp => "tcp",
            Over::Tls(_) => "tls",
        };
        Inlet {
            source: self.source(),
            protocol: protocol.into(),
            transport: transport.into(),
            address: address.to_string(),
            tokens,
        }
    }

    /// With the certificates and the key that it names read.
    pub(crate) fn port(&self, protocol: Protocol) -> anyhow::Result<PortConfig> {
        let transport = match (&self.over, self.tls()?) {
            (Over::Udp, _) => Transport::Udp,
            (_, Some(acceptor)) => Transport::Tls(acceptor),
            (_, None) => Transport::Tcp,
        };
        let key = |file: &PathBuf| {
            let key = super::webhooks::secret(file)?;
            anyhow::Ok(Arc::new(SharedKey::new(key)))
        };
        let shared_key = self.shared_key.as_ref().map(key).transpose();
        let shared_key = shared_key.with_context(|| format!("[[intake]] '{}'", self.name))?;
        let (listen, networks) = (self.listen, self.networks.clone());
        let source = self.source().into();
        Ok(PortConfig { protocol, transport, listen, source, networks, shared_key })
    }

    /// The webhooks that it takes, with their secrets read.
    pub(crate) fn webhooks(&self) -> anyhow::Result<Vec<Webhook>> {
        let Speaks::Http { hooks, .. } = &self.speaks else { return Ok(Vec::new()) };
        let open = |hook: &Hook| {
            let place = || format!("[[intake]] '{}', webhook '{}'", self.name, hook.name);
            hook.open().with_context(place)
        };
        hooks.iter().map(open).collect()
    }

    pub(crate) fn tls(&self) -> anyhow::Result<Option<Acceptor>> {
        let Over::Tls(files) = &self.over else { return Ok(None) };
        let acceptor = acceptor(files).with_context(|| format!("[[intake]] '{}'", self.name))?;
        Ok(Some(acceptor))
    }
}

pub(super) fn check(
    all: Vec<Raw>,
    mappings: &Mappings,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Vec<Intake>> {
    if all.len() > INTAKES_MAX {
        bail!("{} [[intake]] sections; {INTAKES_MAX} are possible", all.len());
    }
    let checked = all.into_iter().map(|raw| {
        let place = format!("[[intake]] '{}'", raw.name);
        check_one(raw, mappings, below).context(place)
    });
    checked.collect()
}

fn check_one(
    mut raw: Raw,
    mappings: &Mappings,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Intake> {
    if !custos_ingest::http::is_source_name(&raw.name) {
        bail!("the name is none; use 1 to 64 of a-z A-Z 0-9 . _ -");
    }
    let source_type = match &raw.kind {
        Some(kind) => mappings.source_type(kind)?,
        None => SourceType::Auto,
    };
    let mut types = Types { mappings, standard: source_type, all: BTreeMap::new() };
    types.all.insert(raw.name.clone(), source_type);
    let speaks = match raw.protocol.as_str() {
        "syslog" => Speaks::Port(Protocol::Syslog),
        "gelf" => Speaks::Port(Protocol::Gelf),
        "fluent" => Speaks::Port(Protocol::Fluent),
        "beats" => Speaks::Port(Protocol::Beats),
        "http" => {
            let tokens = tokens(&raw, &mut types)?;
            let hooks = std::mem::take(&mut raw.webhooks);
            Speaks::Http { tokens, hooks: webhooks(hooks, &mut types, below)? }
        }
        other => bail!(
            "protocol = \"{other}\" is unknown; expected one of: syslog, gelf, fluent, beats, http"
        ),
    };
    let over = over(&raw, below)?;
    if raw.shared_key_file.is_some() && speaks != Speaks::Port(Protocol::Fluent) {
        bail!("shared_key_file needs protocol = \"fluent\"");
    }
    let asks_who = match (&speaks, &over) {
        (Speaks::Http { .. }, _) if !raw.networks.is_empty() => {
            bail!("networks are for ports of one protocol; with \"http\" a token says who sends")
        }
        (Speaks::Http { .. } | Speaks::Port(Protocol::Fluent | Protocol::Beats), Over::Udp) => {
            bail!("protocol = \"{}\" is not spoken over udp", raw.protocol)
        }
        (Speaks::Port(_), _) if !(raw.tokens.is_empty() && raw.webhooks.is_empty()) => {
            bail!("[[intake.tokens]] and [[intake.webhooks]] need protocol = \"http\"")
        }
        (Speaks::Http { tokens, hooks }, Over::Tls(files)) => {
            !(tokens.is_empty() && hooks.is_empty()) || files.client_ca.is_some()
        }
        (_, Over::Tls(files)) => files.client_ca.is_some() || raw.shared_key_file.is_some(),
        // A token over a plain connection can be read by whoever is on the way, and so can the events.
        _ => false,
    };
    let networks = crate::respond::config::nets(&raw.networks)?;
    let is_meant = raw.open_to_network || asks_who || !networks.is_empty();
    check_open("intake", raw.listen, is_meant)?;
    let shared_key = raw.shared_key_file.map(below);
    Ok(Intake {
        name: raw.name,
        speaks,
        over,
        listen: raw.listen,
        networks,
        shared_key,
        types: types.all,
    })
}

/// What each source's events are.
struct Types<'m> {
    mappings: &'m Mappings,
    /// Of a source that does not say it.
    standard: SourceType,
    all: BTreeMap<String, SourceType>,
}

impl Types<'_> {
    fn of(&self, kind: Option<&str>) -> anyhow::Result<SourceType> {
        kind.map_or(Ok(self.standard), |kind| Ok(self.mappings.source_type(kind)?))
    }
}

fn tokens(raw: &Raw, types: &mut Types<'_>) -> anyhow::Result<Vec<Token>> {
    if raw.tokens.len() > TOKENS_MAX {
        bail!("{} [[intake.tokens]]; {TOKENS_MAX} are possible", raw.tokens.len());
    }
    let token = |token: &raw::IntakeToken| {
        let name = &token.name;
        if !custos_ingest::http::is_source_name(name) {
            bail!("token '{name}': the name is none; use 1 to 64 of a-z A-Z 0-9 . _ -");
        }
        let kind = types.of(token.kind.as_deref());
        types.all.insert(name.clone(), kind.with_context(|| format!("token '{name}'"))?);
        let sha256 = sha256_of_token(&token.sha256).with_context(|| format!("token '{name}'"))?;
        Ok(Token { name: name.as_str().into(), sha256 })
    };
    raw.tokens.iter().map(token).collect()
}

pub(super) fn sha256_of_token(digits: &str) -> anyhow::Result<[u8; 32]> {
    let digest = crate::hex::unhex(digits).and_then(|bytes| bytes.try_into().ok());
    digest.context(
        "sha256 has to be the SHA-256 of the token, 64 hex digits: printf %s TOKEN | sha256sum",
    )
}

fn webhooks(
    all: Vec<RawWebhook>,
    types: &mut Types<'_>,
    below: &impl Fn(PathBuf) -> PathBuf,
) -> anyhow::Result<Vec<Hook>> {
    if all.len() > WEBHOOKS_MAX {
        bail!("{} [[intake.webhooks]]; {WEBHOOKS_MAX} are possible", all.len());
    }
    let hook = |raw: RawWebhook| {
        let place = format!("webhook '{}'", raw.name);
        if !custos_ingest::http::is_source_name(&raw.name) {
            bail!("{place}: the name is none; use 1 to 64 of a-z A-Z 0-9 . _ -");
        }
        let kind = types.of(raw.kind.as_deref().or(raw.standard_kind()));
        let kind = kind.with_context(|| place.clone())?;
        // Types go by the name alone.
        if types.all.insert(raw.name.clone(), kind).is_some() {
            bail!("{place}: the name stands twice among the port, its tokens and its webhooks");
        }
        raw.check(below).context(place)
    };
    all.into_iter().map(hook).collect()
}

fn over(raw: &Raw, below: &impl Fn(PathBuf) -> PathBuf) -> anyhow::Result<Over> {
    let files = (raw.certificate.clone(), raw.key.clone(), raw.client_ca.clone());
    match (raw.transport.as_deref().unwrap_or("tcp"), files) {
        ("udp", (None, None, None)) => Ok(Over::Udp),
        ("tcp", (None, None, None)) => Ok(Over::Tcp),
        ("tls", (Some(certificate), Some(key), client_ca)) => Ok(Over::Tls(TlsFiles {
            certificate: below(certificate),
            key: below(key),
            client_ca: client_ca.map(below),
        })),
        ("tls", _) => bail!("transport = \"tls\" needs certificate and key, two PEM files"),
        (plain @ ("udp" | "tcp"), _) => {
            bail!("certificate, key and client_ca need transport = \"tls\", not \"{plain}\"")
        }
        (other, _) => {
            bail!("transport = \"{other}\" is unknown; expected one of: udp, tcp, tls")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use std::path::Path;

    fn parse(text: &str) -> anyhow::Result<Vec<Intake>> {
        Ok(Config::parse(text, Path::new("/etc/custos"))?.intakes)
    }

    #[test]
    fn a_port_with_certificates_is_open_to_the_network_and_a_plain_one_only_if_it_is_said() {
        let tls = "[[intake]]\nname = \"fw\"\nprotocol = \"syslog\"\nlisten = \"0.0.0.0:6514\"\n\
                   transport = \"tls\"\ncertificate = \"s.pem\"\nkey = \"s.key\"\ntype = \"syslog\"\n";
        assert!(parse(tls).is_err());
        let [intake] = &parse(&format!("{tls}client_ca = \"/ca.pem\"\n")).unwrap()[..] else {
            panic!("not one intake")
        };
        assert_eq!(intake.source(), "syslog:fw");
        assert_eq!(intake.types["fw"], SourceType::Syslog);
        let files = TlsFiles {
            certificate: "/etc/custos/s.pem".into(),
            key: "/etc/custos/s.key".into(),
            client_ca: Some("/ca.pem".into()),
        };
        assert_eq!(intake.over, Over::Tls(files));
        let error = format!("{:#}", intake.port(Protocol::Syslog).unwrap_err());
        assert!(error.contains("'fw'") && error.contains("/etc/custos/s.pem"), "{error}");
    }

    #[test]
    fn a_port_may_be_open_to_some_networks_alone() {
        let text = "[[intake]]\nname = \"fw\"\nprotocol = \"gelf\"\nlisten = \"0.0.0.0:12201\"\n\
                    transport = \"udp\"\nnetworks = [\"10.2.0.0/16\", \"192.0.2.7\"]\n";
        let intake = parse(text).unwrap().remove(0);
        let networks: Vec<_> = intake.networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.2.0.0/16", "192.0.2.7/32"]);
        assert!(parse(&text.replace("\"10.2.0.0/16\", \"192.0.2.7\"", "")).is_err());
        for (wrong, part) in [
            (text.replace("10.2.0.0/16", "ten"), "'ten' is no network"),
            (text.replace("gelf", "http").replace("udp", "tcp"), "a token says who"),
        ] {
            let error = format!("{:#}", parse(&wrong).unwrap_err());
            assert!(error.contains(part), "{part} in: {error}");
        }
    }

    #[test]
    fn a_shared_key_opens_a_port_to_the_network_only_behind_tls() {
        let tls = "[[intake]]\nname = \"apps\"\nprotocol = \"fluent\"\nlisten = \"0.0.0.0:24224\"\n\
                   transport = \"tls\"\ncertificate = \"s.pem\"\nkey = \"s.key\"\n";
        let key = "shared_key_file = \"fluent.key\"\n";
        assert!(parse(tls).is_err());
        let intake = parse(&format!("{tls}{key}")).unwrap().remove(0);
        assert_eq!(intake.source(), "fluent:apps");
        assert_eq!(intake.shared_key.as_deref(), Some(Path::new("/etc/custos/fluent.key")));
        let plain = format!("{}{key}", tls.split("transport").next().unwrap());
        assert!(parse(&plain).is_err());
        let plain = parse(&plain.replace("0.0.0.0", "127.0.0.1")).unwrap().remove(0);
        let error = format!("{:#}", plain.port(Protocol::Fluent).unwrap_err());
        assert!(error.contains("'apps'") && error.contains("/etc/custos/fluent.key"), "{error}");
    }

    #[test]
    fn a_token_has_a_name_and_a_type_of_its_own() {
        let text = format!(
            "[[intake]]\nname = \"edge\"\nprotocol = \"http\"\nlisten = \"127.0.0.1:9200\"\n\
             [[intake.tokens]]\nname = \"web\"\nsha256 = \"{}\"\ntype = \"apache\"\n",
            "0f".repeat(32)
        );
        let intake = parse(&text).unwrap().remove(0);
        assert_eq!(intake.types["web"], SourceType::Apache);
        assert_eq!(intake.types["edge"], SourceType::Auto);
        let token = Token { name: "web".into(), sha256: [15; 32] };
        assert_eq!(intake.speaks, Speaks::Http { tokens: vec![token], hooks: Vec::new() });
        let open = text.replace("127.0.0.1", "0.0.0.0");
        assert!(parse(&open).is_err(), "a token went over a plain connection");
    }

    #[test]
    fn a_webhook_has_a_name_of_its_own_and_opens_a_port_with_tls_to_the_network() {
        let text = "[[intake]]\nname = \"edge\"\nprotocol = \"http\"\nlisten = \"0.0.0.0:9443\"\n\
                    transport = \"tls\"\ncertificate = \"s.pem\"\nkey = \"s.key\"\n";
        let hook = "[[intake.webhooks]]\nname = \"code\"\nscheme = \"github\"\n\
                    secret_file = \"code.secret\"\ntype = \"json\"\n";
        assert!(parse(text).is_err());
        let intake = parse(&format!("{text}{hook}")).unwrap().remove(0);
        assert_eq!(intake.types["code"], SourceType::Json);
        let error = format!("{:#}", intake.webhooks().unwrap_err());
        for part in ["'edge'", "'code'", "/etc/custos/code.secret"] {
            assert!(error.contains(part), "{part} in: {error}");
        }
        for (wrong, part) in [
            (hook.replace("\"code\"", "\"edge\""), "stands twice"),
            (hook.replace("\"code\"", "\"a b\""), "the name is none"),
            (hook.replace("github", "gitlab"), "webhook 'code'"),
        ] {
            let error = format!("{:#}", parse(&format!("{text}{wrong}")).unwrap_err());
            assert!(error.contains(part), "{part} in: {error}");
        }
    }

    #[test]
    fn what_does_not_hold_is_named_with_its_place_and_mend() {
        let head = "[[intake]]\nname = \"a\"\nlisten = \"127.0.0.1:5514\"\n";
        for (more, parts) in [
            ("protocol = \"sislog\"\n", &["'a'", "sislog", "syslog"][..]),
            ("protocol = \"syslog\"\ntransport = \"quic\"\n", &["quic", "udp, tcp, tls"]),
            ("protocol = \"syslog\"\ntransport = \"tls\"\n", &["certificate and key"]),
            ("protocol = \"syslog\"\nkey = \"k\"\n", &["need transport = \"tls\""]),
            ("protocol = \"http\"\ntransport = \"udp\"\n", &["not spoken over udp"]),
            (
                "protocol = \"fluent\"\ntransport = \"udp\"\n",
                &["\"fluent\" is not spoken over udp"],
            ),
            ("protocol = \"beats\"\ntransport = \"udp\"\n", &["\"beats\" is not spoken over udp"]),
            ("protocol = \"gelf\"\nshared_key_file = \"k\"\n", &["needs protocol = \"fluent\""]),
            (
                "protocol = \"http\"\n[[intake.tokens]]\nname = \"web\"\nsha256 = \"ab\"\n",
                &["'web'", "sha256sum"],
            ),
            ("protocol = \"syslog\"\ntype = \"sislog\"\n", &["'a'", "unknown source type"]),
        ] {
            let error = format!("{:#}", parse(&format!("{head}{more}")).unwrap_err());
            for part in parts {
                assert!(error.contains(part), "{part} in: {error}");
            }
        }
        let one = format!("{head}protocol = \"syslog\"\n");
        assert!(parse(&one.replace("\"a\"", "\"a b\"")).is_err());
    }
}
