//! A real Kafka as a bank runs it: TLS, users with passwords, clients with certificates; and ports that are wrong.

use crate::{
    certificates::Authority,
    kafka::{Kafka, Libs, More},
    process::free_port,
};
use anyhow::Result;
use std::{fs, path::Path};

/// What the user `custos` shows.
pub const PASSWORD: &str = "a secret of this test";

#[derive(Debug)]
pub struct Secured {
    pub kafka: Kafka,
    pub authority: Authority,
    /// TLS and a password, by SCRAM or PLAIN.
    pub login: String,
    /// TLS, and a certificate of the client's.
    pub mutual: String,
    /// TLS with a certificate whose time is over.
    pub expired: String,
}

impl Secured {
    /// `folder` gets ca.pem, client.pem and client.key.
    pub fn start(libs: Libs, folder: &Path) -> Result<Self> {
        let authority = Authority::make(folder, &["broker", "client"])?;
        authority.sign_expired("late")?;
        let [login, mutual, expired] = [free_port()?, free_port()?, free_port()?];
        let more = More {
            listeners: vec![
                ("LOGIN", login, "SASL_SSL"),
                ("MUTUAL", mutual, "SSL"),
                ("EXPIRED", expired, "SSL"),
            ],
            properties: properties(&authority)?,
            users: ["SCRAM-SHA-256", "SCRAM-SHA-512"]
                .map(|mechanism| format!("{mechanism}=[name=custos,password={PASSWORD}]"))
                .into(),
        };
        let kafka = Kafka::start_with(libs, &more)?;
        let [login, mutual, expired] =
            [login, mutual, expired].map(|port| format!("127.0.0.1:{port}"));
        Ok(Self { kafka, authority, login, mutual, expired })
    }
}

/// Java reads a key and its certificate from one file.
fn store(authority: &Authority, name: &str) -> Result<String> {
    let [key, certificate] =
        ["key", "pem"].map(|end| fs::read_to_string(authority.file(&format!("{name}.{end}"))));
    let file = authority.file(&format!("{name}.store"));
    fs::write(&file, key? + &certificate?)?;
    Ok(file.display().to_string())
}

fn properties(authority: &Authority) -> Result<String> {
    let security = "org.apache.kafka.common.security";
    Ok(format!(
        "ssl.keystore.type=PEM
ssl.keystore.location={}
ssl.truststore.type=PEM
ssl.truststore.location={}
listener.name.mutual.ssl.client.auth=required
listener.name.expired.ssl.keystore.type=PEM
listener.name.expired.ssl.keystore.location={}
listener.name.login.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN
listener.name.login.scram-sha-256.sasl.jaas.config={security}.scram.ScramLoginModule required;
listener.name.login.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required;
listener.name.login.plain.sasl.jaas.config={security}.plain.PlainLoginModule required user_custos=\"{PASSWORD}\";
",
        store(authority, "broker")?,
        authority.file("ca.pem").display(),
        store(authority, "late")?,
    ))
}
