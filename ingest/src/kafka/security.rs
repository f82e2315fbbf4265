//! How the cluster is reached: over TLS, and with a name and a password. What is said here stands nowhere else.

use super::ConfigError;
use custos_event::Private;
use rdkafka::ClientConfig;
use std::path::PathBuf;

/// How the broker is shown that we know the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    ScramSha256,
    #[default]
    ScramSha512,
}

impl Mechanism {
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// As SASL names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Whom Custos is to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub user: String,
    pub password: Private<String>,
    pub mechanism: Mechanism,
}

/// PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Who signs the brokers' certificates; whom the system trusts without it.
    pub ca: Option<PathBuf>,
    /// Our own certificate and its key, where brokers ask for one.
    pub own: Option<(PathBuf, PathBuf)>,
    pub key_password: Option<Private<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    pub account: Option<Account>,
    pub tls: Option<Tls>,
}

/// Properties of librdkafka that have a setting of their own, and its name.
const OWN: [(&str, &str); 17] = [
    ("security.protocol", "tls and user"),
    ("sasl.mechanism", "mechanism"),
    ("sasl.mechanisms", "mechanism"),
    ("sasl.username", "user"),
    ("sasl.password", "password_file"),
    ("ssl.ca.location", "ca"),
    ("ssl.ca.pem", "ca"),
    ("ssl.certificate.location", "certificate"),
    ("ssl.certificate.pem", "certificate"),
    ("ssl.key.location", "key"),
    ("ssl.key.pem", "key"),
    ("ssl.key.password", "key_password_file"),
    ("ssl.keystore.location", "certificate and key, as PEM files"),
    ("ssl.keystore.password", "certificate and key, as PEM files"),
    ("bootstrap.servers", "brokers"),
    ("metadata.broker.list", "brokers"),
    ("group.id", "group"),
];

/// Parts of the names of librdkafka's other secrets.
const SECRET: [&str; 5] = ["password", "secret", "passphrase", "private.key", ".pem"];

/// Refuses a property that has a setting of its own: a secret would stand in the configuration, anything else
/// would be said twice.
pub(crate) fn refuse_own(property: &str) -> Result<(), ConfigError> {
    match OWN.iter().find(|(name, _)| *name == property) {
        Some((_, setting)) => Err(ConfigError::OwnSetting { property: property.into(), setting }),
        None if SECRET.iter().any(|part| property.contains(part)) => {
            Err(ConfigError::SecretProperty(property.into()))
        }
        None => Ok(()),
    }
}

impl Security {
    pub(crate) fn apply(&self, client: &mut ClientConfig) {
        let protocol = match (&self.account, &self.tls) {
            (None, None) => "plaintext",
            (None, Some(_)) => "ssl",
            (Some(_), None) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        client.set("security.protocol", protocol);
        if let Some(Account { user, password, mechanism }) = &self.account {
            client.set("sasl.mechanisms", mechanism.name()).set("sasl.username", user);
            client.set("sasl.password", password.reveal());
        }
        let Some(Tls { ca, own, key_password }) = &self.tls else { return };
        if let Some(ca) = ca {
            client.set("ssl.ca.location", ca.to_string_lossy());
        }
        if let Some((certificate, key)) = own {
            client.set("ssl.certificate.location", certificate.to_string_lossy());
            client.set("ssl.key.location", key.to_string_lossy());
        }
        if let Some(password) = key_password {
            client.set("ssl.key.password", password.reveal());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(security: &Security) -> ClientConfig {
        let mut client = ClientConfig::new();
        security.apply(&mut client);
        client
    }

    #[test]
    fn the_protocol_follows_from_what_is_there() {
        let password = Private::new("s3cret".to_owned());
        let mechanism = Mechanism::ScramSha256;
        let account = Some(Account { user: "custos".into(), password, mechanism });
        let tls = Some(Tls { ca: Some("/ca.pem".into()), ..Tls::default() });
        for (account, tls, protocol) in [
            (None, None, "plaintext"),
            (None, tls.clone(), "ssl"),
            (account.clone(), None, "sasl_plaintext"),
            (account, tls, "sasl_ssl"),
        ] {
            let (named, secured) = (account.is_some(), tls.is_some());
            let client = applied(&Security { account, tls });
            assert_eq!(client.get("security.protocol"), Some(protocol));
            assert_eq!(client.get("sasl.mechanisms"), named.then_some("SCRAM-SHA-256"));
            assert_eq!(client.get("sasl.password"), named.then_some("s3cret"));
            assert_eq!(client.get("ssl.ca.location"), secured.then_some("/ca.pem"));
            client.create_native_config().unwrap();
        }
    }

    #[test]
    fn a_secret_among_the_properties_is_refused_with_where_it_belongs() {
        for (property, setting) in [("sasl.password", "password_file"), ("ssl.key.pem", "set key")]
        {
            let error = refuse_own(property).unwrap_err().to_string();
            assert!(error.contains(property) && error.contains(setting), "{error}");
        }
        for property in
            ["sasl.oauthbearer.client.secret", "sasl.oauthbearer.assertion.private.key.passphrase"]
        {
            let error = refuse_own(property).unwrap_err().to_string();
            assert!(error.contains(property) && error.contains("password_file"), "{error}");
        }
        assert!(refuse_own("client.id").is_ok());
    }
}
