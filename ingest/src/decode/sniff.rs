//! Which format an event has, told from its first bytes and the keys of its outermost object.

use super::{MappingId, SourceType, apache, syslog};
use custos_event::scan::Root;

/// A format as it is read: finer than a source type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Evtx,
    Nxlog,
    /// ECS JSON, of winlogbeat from version 7 on and of everybody else.
    Ecs,
    /// winlogbeat up to version 6, before ECS.
    Winlogbeat6,
    Zeek,
    Suricata,
    CloudTrail,
    Syslog,
    Apache,
    Door,
    Payment,
    Crm,
    Backup,
    Gelf,
    Otlp,
    Journald,
    Keycloak,
    Falco,
    Trivy,
    Gophish,
    Json,
    /// A user's own.
    Mapped(MappingId),
    /// Many `CloudTrail` records in one object, as they lie in a bucket.
    Bundle,
    /// A text that is none of these.
    Unknown,
}

impl Format {
    pub(crate) fn source_type(self) -> SourceType {
        match self {
            Self::Evtx => SourceType::WindowsEvtx,
            Self::Nxlog => SourceType::WindowsNxlog,
            Self::Ecs | Self::Winlogbeat6 => SourceType::Winlogbeat,
            Self::Zeek => SourceType::Zeek,
            Self::Suricata => SourceType::Suricata,
            Self::CloudTrail | Self::Bundle => SourceType::CloudTrail,
            // An unknown text may hold anything: it is looked at as closely as syslog.
            Self::Syslog | Self::Unknown => SourceType::Syslog,
            Self::Apache => SourceType::Apache,
            Self::Door => SourceType::Door,
            Self::Payment => SourceType::Payment,
            Self::Crm => SourceType::Crm,
            Self::Backup => SourceType::Backup,
            Self::Gelf => SourceType::Gelf,
            Self::Otlp => SourceType::Otlp,
            Self::Journald => SourceType::Journald,
            Self::Keycloak => SourceType::Keycloak,
            Self::Falco => SourceType::Falco,
            Self::Trivy => SourceType::Trivy,
            Self::Gophish => SourceType::Gophish,
            Self::Json => SourceType::Json,
            Self::Mapped(id) => SourceType::Mapped(id),
        }
    }

    /// The format of an event whose source type is configured.
    pub(crate) fn of(source_type: SourceType, raw: &[u8]) -> Self {
        match source_type {
            SourceType::Auto => sniff(raw),
            SourceType::WindowsEvtx => Self::Evtx,
            SourceType::WindowsNxlog => Self::Nxlog,
            SourceType::Winlogbeat if sniff(raw) == Self::Winlogbeat6 => Self::Winlogbeat6,
            SourceType::Winlogbeat => Self::Ecs,
            SourceType::Zeek => Self::Zeek,
            SourceType::Suricata => Self::Suricata,
            SourceType::CloudTrail if sniff(raw) == Self::Bundle => Self::Bundle,
            SourceType::CloudTrail => Self::CloudTrail,
            SourceType::Syslog => Self::Syslog,
            SourceType::Apache => Self::Apache,
            SourceType::Door => Self::Door,
            SourceType::Payment => Self::Payment,
            SourceType::Crm => Self::Crm,
            SourceType::Backup => Self::Backup,
            SourceType::Gelf => Self::Gelf,
            SourceType::Otlp => Self::Otlp,
            SourceType::Journald => Self::Journald,
            SourceType::Keycloak => Self::Keycloak,
            SourceType::Falco => Self::Falco,
            SourceType::Trivy => Self::Trivy,
            SourceType::Gophish => Self::Gophish,
            SourceType::Json => Self::Json,
            SourceType::Mapped(id) => Self::Mapped(id),
        }
    }
}

pub(crate) fn sniff(raw: &[u8]) -> Format {
    match raw.trim_ascii_start().first() {
        Some(b'{') => of_object(raw.trim_ascii_start()),
        Some(_) if apache::looks_like(raw) => Format::Apache,
        Some(_) if syslog::looks_like(raw) => Format::Syslog,
        _ => Format::Unknown,
    }
}

macro_rules! bits {
    ($($name:ident $keys:pat => $number:expr;)*) => {
        $(const $name: u64 = 1 << $number;)*
        /// The bit of a key that tells something.
        fn bit(key: &[u8]) -> u64 {
            match key {
                $($keys => $name,)*
                _ => 0,
            }
        }
    };
}

bits! {
    EVENT b"Event" => 0;
    EVENT_ID b"EventID" => 1;
    WINDOWS b"Channel" | b"SourceName" | b"ProviderGuid" | b"Provider_Name" => 2;
    NXLOG b"SourceModuleType" | b"SourceModuleName" => 3;
    NXLOG_TIME b"EventReceivedTime" => 4;
    WINLOG b"winlog" => 5;
    ECS b"ecs" => 6;
    TIMESTAMP b"@timestamp" => 7;
    ECS_OBJECT b"agent" | b"host" | b"log" | b"process" | b"source" | b"event" => 8;
    BEAT_EVENT b"event_id" => 9;
    BEAT_LOG b"log_name" | b"source_name" | b"event_data" => 10;
    PATH b"_path" => 11;
    STREAM b"@stream" => 12;
    ZEEK b"@system" | b"@proc" | b"uid" | b"fuid" | b"id.orig_h" | b"id_orig_h" | b"_system_name" | b"_write_ts" => 13;
    TS b"ts" => 14;
    EVENT_TYPE b"event_type" => 15;
    EVE b"flow_id" | b"pcap_cnt" | b"in_iface" | b"src_ip" | b"stats" | b"alert" => 16;
    EVE_TIME b"timestamp" => 17;
    EVENT_SOURCE b"eventSource" => 18;
    EVENT_NAME b"eventName" => 19;
    CLOUDTRAIL b"eventVersion" | b"awsRegion" | b"userIdentity" | b"recipientAccountId" => 20;
    DOOR b"door" => 21;
    ACCESS b"credential" | b"reader" | b"held" | b"forced" | b"tamper" => 22;
    RESULT b"result" => 23;
    AMOUNT b"amount" => 24;
    CURRENCY b"currency" => 25;
    RECORDS b"Records" => 27;
    PAYMENT b"merchant" | b"card" | b"terminal" | b"three_ds" => 26;
    MODULE b"module" => 28;
    ACTION b"action" => 29;
    MANY b"records" => 30;
    JOB b"job" => 31;
    COPY b"bytes" | b"target" | b"deleted" => 32;
    GELF b"short_message" => 33;
    VERSION b"version" => 34;
    OTLP b"timeUnixNano" => 35;
    RESOURCE b"resource" => 36;
    // As ECS' own loggers write it: names with dots, no objects.
    ECS_VERSION b"ecs.version" => 37;
    ECS_DOTTED b"log.level" | b"log.logger" | b"host.name" | b"service.name" | b"event.dataset"
        | b"event.action" | b"process.name" | b"process.pid" | b"agent.type" => 38;
    JOURNAL_TIME b"__REALTIME_TIMESTAMP" => 39;
    JOURNAL b"MESSAGE" | b"__CURSOR" | b"_BOOT_ID" => 40;
    REALM b"realmId" => 41;
    KEYCLOAK b"clientId" | b"ipAddress" | b"operationType" | b"authDetails" => 42;
    OUTPUT_FIELDS b"output_fields" => 43;
    FALCO b"rule" | b"priority" => 44;
    VULNERABILITY b"VulnerabilityID" => 45;
    PACKAGE b"PkgName" | b"InstalledVersion" => 46;
    ARTIFACT b"ArtifactName" => 47;
    TRIVY b"SchemaVersion" | b"ArtifactType" | b"Results" | b"Target" => 48;
    CAMPAIGN b"campaign_id" => 49;
    EMAIL b"email" => 50;
    DETAILS b"details" => 51;
}

const fn all(seen: u64, bits: u64) -> bool {
    seen & bits == bits
}

/// What the keys seen so far already prove.
fn proven(seen: u64) -> Option<Format> {
    let zeek = all(seen, PATH | TS) || all(seen, PATH | ZEEK) || all(seen, STREAM | ZEEK);
    let candidates = [
        (all(seen, EVENT_ID | WINDOWS), Format::Nxlog),
        (all(seen, NXLOG | NXLOG_TIME | EVENT_ID), Format::Nxlog),
        (all(seen, WINLOG | TIMESTAMP) || all(seen, ECS | TIMESTAMP), Format::Ecs),
        (all(seen, ECS_VERSION), Format::Ecs),
        (all(seen, TIMESTAMP | BEAT_EVENT | BEAT_LOG), Format::Winlogbeat6),
        (zeek, Format::Zeek),
        (all(seen, EVENT_TYPE | EVE | EVE_TIME), Format::Suricata),
        (all(seen, EVENT_SOURCE | EVENT_NAME | CLOUDTRAIL), Format::CloudTrail),
        (all(seen, DOOR | ACCESS) || all(seen, DOOR | RESULT), Format::Door),
        (
            all(seen, AMOUNT | CURRENCY | PAYMENT) || all(seen, AMOUNT | CURRENCY | RESULT),
            Format::Payment,
        ),
        (all(seen, MODULE | ACTION | MANY), Format::Crm),
        (all(seen, JOB | RESULT | COPY), Format::Backup),
        (all(seen, GELF | VERSION), Format::Gelf),
        (all(seen, OTLP | RESOURCE), Format::Otlp),
        (all(seen, JOURNAL_TIME | JOURNAL), Format::Journald),
        (all(seen, REALM | KEYCLOAK), Format::Keycloak),
        (all(seen, OUTPUT_FIELDS | FALCO), Format::Falco),
        (all(seen, VULNERABILITY | PACKAGE) || all(seen, ARTIFACT | TRIVY), Format::Trivy),
        (all(seen, CAMPAIGN | EMAIL | DETAILS), Format::Gophish),
    ];
    candidates.into_iter().find_map(|(proven, format)| proven.then_some(format))
}

/// What all the keys together make likely.
fn likely(seen: u64) -> Format {
    let is_ecs = all(seen, TIMESTAMP | ECS_OBJECT) || all(seen, TIMESTAMP | ECS_DOTTED);
    if all(seen, WINLOG) || is_ecs {
        Format::Ecs
    } else if all(seen, PATH) || all(seen, TS | ZEEK) {
        Format::Zeek
    } else {
        Format::Json
    }
}

fn of_object(raw: &[u8]) -> Format {
    of_bits(Keys::of(raw).map(|(key, first)| (bit(key), first)))
}

/// The format of an object whose keys have these bits, with the first byte of each one's value.
fn of_bits(keys: impl Iterator<Item = (u64, u8)>) -> Format {
    let mut seen = 0;
    for (bit, first) in keys {
        match (bit, first) {
            (EVENT, b'{') => return Format::Evtx,
            (RECORDS, b'[') => return Format::Bundle,
            _ => {}
        }
        if seen | bit == seen {
            continue;
        }
        seen |= bit;
        if let Some(format) = proven(seen) {
            return format;
        }
    }
    likely(seen)
}

/// Sniffing what is scanned already: the bits of keys met before are remembered by where they lead.
#[derive(Debug, Default)]
pub(crate) struct Roots(Vec<u64>);

/// Nodes are few, unless somebody makes up keys: then theirs are looked up each time.
const NODES_MAX: usize = 1 << 16;

impl Roots {
    const UNKNOWN: u64 = u64::MAX;

    /// The format of the object `text` with these outermost keys.
    pub(crate) fn format(&mut self, text: &str, roots: &[Root]) -> Format {
        of_bits(roots.iter().map(|root| (self.bit(text, root), root.first)))
    }

    fn bit(&mut self, text: &str, root: &Root) -> u64 {
        let at = root.node.number();
        if let Some(known) = self.0.get(at).filter(|known| **known != Self::UNKNOWN) {
            return *known;
        }
        let bit = bit(root.key(text).as_bytes());
        if at < NODES_MAX && self.0.len() <= at {
            self.0.resize(at + 1, Self::UNKNOWN);
        }
        if let Some(place) = self.0.get_mut(at) {
            *place = bit;
        }
        bit
    }
}

/// Whether the outermost object has all of these keys.
pub(crate) fn has_keys(raw: &[u8], wanted: &[String]) -> bool {
    let has = |wanted: &String| Keys::of(raw).any(|(key, _)| key == wanted.as_bytes());
    wanted.iter().all(has)
}

/// The keys of the outermost object and the first byte of each value. Checks no syntax: that is the
/// parser's work; on anything unexpected it ends.
struct Keys<'a> {
    raw: &'a [u8],
    at: usize,
    /// Before a value that is skipped only if another key is asked for.
    at_value: bool,
}

impl<'a> Keys<'a> {
    fn of(raw: &'a [u8]) -> Self {
        Self { raw, at: 1, at_value: false }
    }

    fn skip_white(&mut self) -> Option<u8> {
        loop {
            let byte = *self.raw.get(self.at)?;
            if !byte.is_ascii_whitespace() && byte != b',' {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Stands on a quote; goes behind the closing one and gives what is between.
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at + 1;
        self.at = start;
        loop {
            let found = memchr::memchr2(b'"', b'\\', self.raw.get(self.at..)?)?;
            self.at += found;
            if self.raw.get(self.at) == Some(&b'"') {
                let text = self.raw.get(start..self.at);
                self.at += 1;
                return text;
            }
            self.at += 2;
        }
    }

    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_u32;
        loop {
            match *self.raw.get(self.at)? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' | b',' if depth == 0 => return Some(()),
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

impl<'a> Iterator for Keys<'a> {
    type Item = (&'a [u8], u8);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at_value {
            self.skip_value()?;
            self.at_value = false;
        }
        if self.skip_white()? != b'"' {
            return None;
        }
        let key = self.string()?;
        if self.skip_white()? != b':' {
            return None;
        }
        self.at += 1;
        let first = self.skip_white()?;
        self.at_value = true;
        Some((key, first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_format_is_told_by_its_marks_in_any_order() {
        for (raw, expected) in [
            (r#"{"Event":{"System":{}}}"#, Format::Evtx),
            (
                r#"{"Keywords":1,"Message":"\"EventID\":{","Channel":"Security","EventID":1}"#,
                Format::Nxlog,
            ),
            (r#"{"@timestamp":"x","winlog":{"channel":"Security"}}"#, Format::Ecs),
            (r#"{"@timestamp":"x","host":{"name":"a"},"message":"m"}"#, Format::Ecs),
            (r#"{"log.level":"info","message":"m","ecs.version":"8.11"}"#, Format::Ecs),
            (r#"{"@timestamp":"x","log.level":"info","message":"m"}"#, Format::Ecs),
            (r#"{"log.level":"info","message":"m"}"#, Format::Json),
            (r#"{"@timestamp":"x","event_id":1,"log_name":"Security"}"#, Format::Winlogbeat6),
            (r#"{"@stream":"loaded_scripts","@system":"a","@proc":"zeek"}"#, Format::Zeek),
            (r#"{"_path":"conn","ts":1.5,"uid":"C"}"#, Format::Zeek),
            (r#"{"timestamp":"x","flow_id":1,"event_type":"dns"}"#, Format::Suricata),
            (r#"{"eventVersion":"1.08","eventSource":"s3","eventName":"Get"}"#, Format::CloudTrail),
            (r#"{"time":"x","door":"A","result":"denied"}"#, Format::Door),
            (r#"{"amount":1,"currency":"EUR","card":{"token":"t"}}"#, Format::Payment),
            (r#"{"user":"a","action":"export","module":"Contacts","records":9}"#, Format::Crm),
            (r#"{"job":"db","result":"ok","bytes":9}"#, Format::Backup),
            (r#"{"version":"1.1","host":"a","short_message":"m"}"#, Format::Gelf),
            (r#"{"body":"m","resource":{},"timeUnixNano":1}"#, Format::Otlp),
            (r#"{"_PID":"7","MESSAGE":"m","__REALTIME_TIMESTAMP":"1"}"#, Format::Journald),
            (r#"{"time":1,"type":"LOGIN","realmId":"r","clientId":"c"}"#, Format::Keycloak),
            (r#"{"rule":"r","output":"o","output_fields":{}}"#, Format::Falco),
            (r#"{"PkgName":"p","VulnerabilityID":"CVE-1"}"#, Format::Trivy),
            (r#"{"ArtifactName":"a","Results":[]}"#, Format::Trivy),
            (r#"{"campaign_id":1,"email":"a@b","details":""}"#, Format::Gophish),
            (r#"{"MESSAGE":"m","rule":"r","email":"e","ArtifactName":"a"}"#, Format::Json),
            (r#"{"job":"db","result":"ok"}"#, Format::Json),
            (r#"{"action":"repo.destroy","module":"x"}"#, Format::Json),
            (r#"{"log":{"eventSource":"s3","eventName":"Get","awsRegion":"x"}}"#, Format::Json),
            (r#"{"Records":[{"eventVersion":"1"}]}"#, Format::Bundle),
            (r#"{"Event":"x"}"#, Format::Json),
            ("  {", Format::Json),
            ("", Format::Unknown),
            ("free text", Format::Unknown),
            ("Mar 27 13:06:56 host sshd[1]: x", Format::Syslog),
            (r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1"#, Format::Apache),
        ] {
            assert_eq!(sniff(raw.as_bytes()), expected, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_sniffing_panic(bytes: Vec<u8>, json in "[{}\\[\\]\",:\\\\a ]{0,60}") {
            let _ = sniff(&bytes);
            let _ = sniff(format!("{{{json}").as_bytes());
        }
    }
}
