//! The names of the formats, as `--source` and the configuration write them.

use std::{fmt, str::FromStr};

/// How the bytes of a source are to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SourceType {
    /// Decided for each event by its first bytes and its keys.
    #[default]
    Auto,
    WindowsEvtx,
    WindowsNxlog,
    /// winlogbeat of any version, and every other JSON that is ECS already.
    Winlogbeat,
    Zeek,
    Suricata,
    CloudTrail,
    Syslog,
    /// Apache's combined and common formats, which nginx writes too.
    Apache,
    Door,
    Payment,
    Crm,
    Backup,
    Gelf,
    /// A log record of OpenTelemetry.
    Otlp,
    /// systemd's journal as JSON.
    Journald,
    /// An event of Keycloak, of a user or of an administrator.
    Keycloak,
    /// An alert of Falco.
    Falco,
    /// What Trivy found: a report, or one finding of it.
    Trivy,
    /// What `GoPhish` tells of a phishing drill.
    Gophish,
    Json,
    /// A user's own, as a mapping describes it.
    Mapped(super::MappingId),
}

/// A name that no format has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown source type '{name}'; expected one of: {}{own}", SourceType::names())]
pub struct UnknownSourceType {
    name: String,
    /// Those of mappings, each behind a comma.
    own: String,
}

impl UnknownSourceType {
    /// The same where there are these types too.
    pub(super) fn or_one_of<'n>(mut self, own: impl Iterator<Item = &'n str>) -> Self {
        self.own = own.flat_map(|name| [", ", name]).collect();
        self
    }
}

impl SourceType {
    /// Those that Custos has of itself.
    pub const ALL: [Self; 21] = [
        Self::Auto,
        Self::WindowsEvtx,
        Self::WindowsNxlog,
        Self::Winlogbeat,
        Self::Zeek,
        Self::Suricata,
        Self::CloudTrail,
        Self::Syslog,
        Self::Apache,
        Self::Door,
        Self::Payment,
        Self::Crm,
        Self::Backup,
        Self::Gelf,
        Self::Otlp,
        Self::Journald,
        Self::Keycloak,
        Self::Falco,
        Self::Trivy,
        Self::Gophish,
        Self::Json,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::WindowsEvtx => "windows-evtx",
            Self::WindowsNxlog => "windows-nxlog",
            Self::Winlogbeat => "winlogbeat",
            Self::Zeek => "zeek",
            Self::Suricata => "suricata",
            Self::CloudTrail => "cloudtrail",
            Self::Syslog => "syslog",
            Self::Apache => "apache",
            Self::Door => "door",
            Self::Payment => "payment",
            Self::Crm => "crm",
            Self::Backup => "backup",
            Self::Gelf => "gelf",
            Self::Otlp => "otlp",
            Self::Journald => "journald",
            Self::Keycloak => "keycloak",
            Self::Falco => "falco",
            Self::Trivy => "trivy",
            Self::Gophish => "gophish",
            Self::Json => "json",
            // Its own name is the mapping's: `Mappings` has it.
            Self::Mapped(_) => "mapped",
        }
    }

    fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for SourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SourceType {
    type Err = UnknownSourceType;

    /// `nginx` is another name of `apache`: both servers write the combined format by default.
    fn from_str(name: &str) -> Result<Self, UnknownSourceType> {
        if name == "nginx" {
            return Ok(Self::Apache);
        }
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| UnknownSourceType { name: name.into(), own: String::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_reads_back_as_written() {
        for source_type in SourceType::ALL {
            assert_eq!(source_type.to_string().parse(), Ok(source_type));
        }
        assert_eq!("nginx".parse(), Ok(SourceType::Apache));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "evtx".parse::<SourceType>().unwrap_err().to_string();
        assert!(error.starts_with("unknown source type 'evtx'"), "{error}");
        assert!(error.contains("windows-evtx, windows-nxlog"), "{error}");
    }
}
