//! The shapes that a source's own object comes in, and where each of its keys belongs.
//!
//! A shape is part of the format: replaying a record walks the same table. A row is added freely; a row
//! that would change what an old record reads as needs a new shape.

use std::borrow::Cow;

/// How the raw bytes of a record are read again. The number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Shape {
    /// A text in no structured form: every field was found by the decoder and is stored.
    Text = 0,
    /// A JSON object of no known source; its own keys stay, below `json`.
    Json = 1,
    /// Windows event, evtx-to-JSON: `Event.System`, `Event.EventData`.
    EvtxJson = 2,
    /// Windows event, NXLog's flat JSON.
    NxlogFlat = 3,
    /// A JSON object in ECS already (winlogbeat, filebeat, Elastic agents).
    Ecs = 4,
    /// Zeek JSON, both `_path` with `id.orig_h` and `@stream` with `id_orig_h`.
    Zeek = 5,
    /// Suricata EVE.
    SuricataEve = 6,
    /// AWS `CloudTrail` record.
    CloudTrail = 7,
    /// Custos' generic physical access event.
    Door = 8,
    /// Custos' generic payment event.
    Payment = 9,
    /// winlogbeat up to version 6, before ECS: `event_id`, `log_name`, `event_data`.
    Winlogbeat6 = 10,
    /// Custos' generic audit event of a customer system.
    Crm = 11,
    /// Custos' generic event of a backup job.
    Backup = 12,
    /// Graylog's extended log format.
    Gelf = 13,
    /// A log record of OpenTelemetry, as intake writes it.
    Otlp = 14,
    /// systemd's journal as JSON.
    Journald = 15,
    /// An event of Keycloak, of a user or of an administrator.
    Keycloak = 16,
    /// An alert of Falco.
    Falco = 17,
    /// What Trivy found: a report, or one finding of it.
    Trivy = 18,
    /// What `GoPhish` tells of a phishing drill.
    Gophish = 19,
}

impl Shape {
    pub const ALL: [Self; 20] = [
        Self::Text,
        Self::Json,
        Self::EvtxJson,
        Self::NxlogFlat,
        Self::Ecs,
        Self::Zeek,
        Self::SuricataEve,
        Self::CloudTrail,
        Self::Door,
        Self::Payment,
        Self::Winlogbeat6,
        Self::Crm,
        Self::Backup,
        Self::Gelf,
        Self::Otlp,
        Self::Journald,
        Self::Keycloak,
        Self::Falco,
        Self::Trivy,
        Self::Gophish,
    ];

    /// The shape with this stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    pub fn is_json(self) -> bool {
        self != Self::Text
    }
}

/// How a source's keys are turned into a part of a field name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyForm {
    AsIs,
    /// Windows `EventData` names lose their spaces, as Sigma writes them.
    NoSpaces,
}

impl KeyForm {
    pub(crate) fn apply(self, key: &str) -> Cow<'_, str> {
        match self {
            Self::NoSpaces if key.contains(' ') => Cow::Owned(key.replace(' ', "")),
            Self::AsIs | Self::NoSpaces => Cow::Borrowed(key),
        }
    }
}

/// Where one shape's keys go: those not listed keep their own name below `prefix`.
pub(crate) struct Lift {
    pub(crate) shape: Shape,
    pub(crate) prefix: &'static str,
    pub(crate) form: KeyForm,
    pub(crate) paths: &'static [(&'static str, &'static str)],
}

const fn plain(shape: Shape, prefix: &'static str) -> Lift {
    Lift { shape, prefix, form: KeyForm::AsIs, paths: &[] }
}

/// In the order of the shapes' numbers.
pub(crate) const LIFTS: &[Lift] = &[
    plain(Shape::Text, "text"),
    plain(Shape::Json, "json"),
    Lift { shape: Shape::EvtxJson, prefix: "winlog", form: KeyForm::NoSpaces, paths: EVTX },
    Lift {
        shape: Shape::NxlogFlat,
        prefix: "winlog.event_data",
        form: KeyForm::NoSpaces,
        paths: NXLOG,
    },
    plain(Shape::Ecs, ""),
    Lift { shape: Shape::Zeek, prefix: "zeek", form: KeyForm::AsIs, paths: ZEEK },
    plain(Shape::SuricataEve, "suricata.eve"),
    plain(Shape::CloudTrail, "aws.cloudtrail"),
    Lift { shape: Shape::Door, prefix: "custos.door_event", form: KeyForm::AsIs, paths: DOOR },
    Lift {
        shape: Shape::Payment,
        prefix: "custos.payment_event",
        form: KeyForm::AsIs,
        paths: PAYMENT,
    },
    Lift {
        shape: Shape::Winlogbeat6,
        prefix: "winlog",
        form: KeyForm::NoSpaces,
        paths: WINLOGBEAT6,
    },
    Lift { shape: Shape::Crm, prefix: "custos.crm_event", form: KeyForm::AsIs, paths: CRM },
    Lift {
        shape: Shape::Backup,
        prefix: "custos.backup_event",
        form: KeyForm::AsIs,
        paths: BACKUP,
    },
    Lift { shape: Shape::Gelf, prefix: "gelf", form: KeyForm::AsIs, paths: GELF },
    Lift { shape: Shape::Otlp, prefix: "otel", form: KeyForm::AsIs, paths: OTLP },
    plain(Shape::Journald, "journald"),
    plain(Shape::Keycloak, "keycloak"),
    Lift { shape: Shape::Falco, prefix: "falco", form: KeyForm::AsIs, paths: FALCO },
    Lift { shape: Shape::Trivy, prefix: "trivy", form: KeyForm::AsIs, paths: TRIVY },
    Lift { shape: Shape::Gophish, prefix: "gophish", form: KeyForm::AsIs, paths: GOPHISH },
];

const EVTX: &[(&str, &str)] = &[
    ("Event", "winlog.*"),
    ("Event/#attributes", "winlog.xml.*"),
    ("Event/System", "winlog.system.*"),
    ("Event/System/Provider/#attributes/Name", "winlog.provider_name"),
    ("Event/System/Provider/#attributes/Guid", "winlog.provider_guid"),
    ("Event/System/EventID", "winlog.event_id"),
    ("Event/System/EventID/#text", "winlog.event_id"),
    ("Event/System/Version", "winlog.version"),
    ("Event/System/Level", "winlog.level"),
    ("Event/System/Task", "winlog.task"),
    ("Event/System/Opcode", "winlog.opcode"),
    ("Event/System/Keywords", "winlog.keywords"),
    ("Event/System/TimeCreated/#attributes/SystemTime", "winlog.time_created"),
    ("Event/System/EventRecordID", "winlog.record_id"),
    ("Event/System/Correlation/#attributes/ActivityID", "winlog.activity_id"),
    ("Event/System/Execution/#attributes/ProcessID", "winlog.process.pid"),
    ("Event/System/Execution/#attributes/ThreadID", "winlog.process.thread.id"),
    ("Event/System/Channel", "winlog.channel"),
    ("Event/System/Computer", "winlog.computer_name"),
    ("Event/System/Security/#attributes/UserID", "winlog.user.identifier"),
    ("Event/EventData", "winlog.event_data.*"),
    ("Event/UserData", "winlog.user_data.*"),
    ("Event/RenderingInfo/Message", "message"),
];

const NXLOG: &[(&str, &str)] = &[
    ("EventID", "winlog.event_id"),
    ("Channel", "winlog.channel"),
    ("SourceName", "winlog.provider_name"),
    ("ProviderGuid", "winlog.provider_guid"),
    ("Hostname", "winlog.computer_name"),
    ("RecordNumber", "winlog.record_id"),
    ("Task", "winlog.task"),
    ("OpcodeValue", "winlog.opcode"),
    ("Keywords", "winlog.keywords"),
    ("SeverityValue", "winlog.level"),
    ("ExecutionProcessID", "winlog.process.pid"),
    ("ExecutionThreadID", "winlog.process.thread.id"),
    ("ThreadID", "winlog.process.thread.id"),
    ("ActivityID", "winlog.activity_id"),
    ("Version", "winlog.version"),
    ("Message", "message"),
    ("tags", "tags"),
];

const ZEEK: &[(&str, &str)] = &[
    ("@stream", "zeek._path"),
    ("id_orig_h", "zeek.id.orig_h"),
    ("id_orig_p", "zeek.id.orig_p"),
    ("id_resp_h", "zeek.id.resp_h"),
    ("id_resp_p", "zeek.id.resp_p"),
];

/// docs/sources/door.md.
const DOOR: &[(&str, &str)] = &[
    ("id", "event.id"),
    ("site", "custos.site"),
    ("zone", "custos.zone"),
    ("door/name", "custos.door.name"),
    ("door/id", "custos.door.id"),
    ("reader/name", "custos.reader.name"),
    ("direction", "custos.reader.direction"),
    ("credential/hash", "custos.credential.hash"),
    ("credential/kind", "custos.credential.kind"),
    ("person/name", "user.name"),
    ("person/id", "user.id"),
    ("person/email", "user.email"),
    ("result", "custos.access.result"),
    ("reason", "custos.access.reason"),
    ("held", "custos.access.held"),
    ("forced", "custos.access.forced"),
    ("tamper", "custos.access.tamper"),
    ("message", "message"),
];

/// docs/sources/payment.md.
const PAYMENT: &[(&str, &str)] = &[
    ("id", "custos.payment.id"),
    ("kind", "custos.payment.kind"),
    ("amount", "custos.payment.amount"),
    ("currency", "custos.payment.currency"),
    ("result", "custos.payment.result"),
    ("reason", "custos.payment.reason"),
    ("merchant", "custos.payment.merchant"),
    ("method", "custos.payment.method"),
    ("terminal", "custos.payment.terminal"),
    ("country", "custos.payment.country"),
    ("site", "custos.site"),
    ("card/token", "custos.payment.card.token"),
    ("card/number", "custos.payment.card.token"),
    ("card/iin", "custos.payment.card.iin"),
    ("card/last4", "custos.payment.card.last4"),
    ("step_up", "custos.payment.step_up"),
    ("three_ds/status", "custos.payment.three_ds.status"),
    ("three_ds/eci", "custos.payment.three_ds.eci"),
    ("tls_version", "custos.payment.tls_version"),
    ("customer/id", "user.id"),
    ("customer/name", "user.name"),
    ("customer/email", "user.email"),
    ("user_agent", "user_agent.original"),
    ("message", "message"),
];

/// docs/sources/crm.md.
const CRM: &[(&str, &str)] = &[
    ("id", "event.id"),
    ("system", "service.name"),
    ("user/name", "user.name"),
    ("user/id", "user.id"),
    ("user/email", "user.email"),
    ("action", "custos.crm.action"),
    ("module", "custos.crm.module"),
    ("record", "custos.crm.record.id"),
    ("records", "custos.crm.records"),
    ("reason", "event.reason"),
    ("user_agent", "user_agent.original"),
    ("message", "message"),
];

/// docs/sources/backup.md.
const BACKUP: &[(&str, &str)] = &[
    ("id", "event.id"),
    ("system", "host.name"),
    ("site", "custos.site"),
    ("job", "custos.backup.job"),
    ("kind", "custos.backup.kind"),
    ("result", "custos.backup.result"),
    ("bytes", "custos.backup.bytes"),
    ("target", "custos.backup.target"),
    ("deleted", "custos.backup.deleted"),
    ("user/name", "user.name"),
    ("user/id", "user.id"),
    ("reason", "event.reason"),
    ("message", "message"),
];

const GELF: &[(&str, &str)] =
    &[("host", "host.name"), ("short_message", "message"), ("level", "syslog.severity")];

const OTLP: &[(&str, &str)] = &[("body", "message"), ("severityText", "log.level")];

const FALCO: &[(&str, &str)] = &[
    ("hostname", "host.name"),
    ("rule", "rule.name"),
    ("output", "message"),
    ("priority", "log.level"),
    ("tags", "tags"),
];

const TRIVY: &[(&str, &str)] = &[
    ("VulnerabilityID", "vulnerability.id"),
    ("Severity", "vulnerability.severity"),
    ("PkgName", "package.name"),
    ("InstalledVersion", "package.version"),
    ("Title", "message"),
    ("Results/Vulnerabilities/VulnerabilityID", "vulnerability.id"),
    ("Results/Vulnerabilities/Severity", "vulnerability.severity"),
    ("Results/Vulnerabilities/PkgName", "package.name"),
];

const GOPHISH: &[(&str, &str)] = &[
    ("email", "user.email"),
    ("message", "custos.phishing.action"),
    ("campaign_id", "custos.phishing.campaign"),
];

const WINLOGBEAT6: &[(&str, &str)] = &[
    ("@timestamp", "@timestamp"),
    ("event_id", "winlog.event_id"),
    ("log_name", "winlog.channel"),
    ("source_name", "winlog.provider_name"),
    ("provider_guid", "winlog.provider_guid"),
    ("computer_name", "winlog.computer_name"),
    ("record_number", "winlog.record_id"),
    ("task", "winlog.task"),
    ("opcode", "winlog.opcode"),
    ("keywords", "winlog.keywords"),
    ("level", "winlog.level"),
    ("version", "winlog.version"),
    ("activity_id", "winlog.activity_id"),
    ("process_id", "winlog.process.pid"),
    ("thread_id", "winlog.process.thread.id"),
    ("user/identifier", "winlog.user.identifier"),
    ("event_data", "winlog.event_data.*"),
    ("user_data", "winlog.user_data.*"),
    ("message", "message"),
    ("tags", "tags"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_has_its_lift_at_its_number() {
        assert_eq!(LIFTS.len(), Shape::ALL.len());
        for (number, lift) in (0_u8..).zip(LIFTS) {
            assert_eq!(lift.shape as u8, number);
            assert_eq!(Shape::from_number(number), Some(lift.shape));
        }
    }
}
