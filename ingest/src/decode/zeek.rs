//! Zeek JSON, both as Zeek writes it (`_path`, `id.orig_h`) and as Corelight-like shippers do (`@stream`,
//! `id_orig_h`); the shape brings both to one set of names.

use super::{
    fields::{Raises, Row, add, raise_ip, slug},
    time::{self, SourceTime},
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ValueRef, ecs};

#[derive(Debug)]
pub(super) struct Zeek {
    common: Raises,
    by_path: Vec<(&'static str, Raises)>,
    path: FieldId,
    ts: FieldId,
    write_ts: FieldId,
    source: FieldId,
    destination: FieldId,
    notice_source: FieldId,
    notice_destination: FieldId,
    success: FieldId,
    established: FieldId,
}

const COMMON: &[Row] = &[
    (ecs::EVENT_ID, "zeek.uid"),
    (ecs::EVENT_ID, "zeek.fuid"),
    (ecs::SOURCE_PORT, "zeek.id.orig_p"),
    (ecs::DESTINATION_PORT, "zeek.id.resp_p"),
    (ecs::NETWORK_TRANSPORT, "zeek.proto"),
    (ecs::OBSERVER_NAME, "zeek.@system"),
    (ecs::OBSERVER_NAME, "zeek._system_name"),
    (ecs::OBSERVER_NAME, "zeek.peer"),
];

const CONN: &[Row] = &[
    (ecs::NETWORK_PROTOCOL, "zeek.service"),
    (ecs::SOURCE_BYTES, "zeek.orig_bytes"),
    (ecs::SOURCE_PACKETS, "zeek.orig_pkts"),
    (ecs::SOURCE_MAC, "zeek.orig_l2_addr"),
    (ecs::DESTINATION_BYTES, "zeek.resp_bytes"),
    (ecs::DESTINATION_PACKETS, "zeek.resp_pkts"),
    (ecs::DESTINATION_MAC, "zeek.resp_l2_addr"),
    (ecs::NETWORK_COMMUNITY_ID, "zeek.community_id"),
];

const DNS: &[Row] = &[
    (ecs::DNS_QUESTION_NAME, "zeek.query"),
    (ecs::DNS_QUESTION_TYPE, "zeek.qtype_name"),
    (ecs::DNS_RESPONSE_CODE, "zeek.rcode_name"),
    (ecs::DNS_ANSWERS_DATA, "zeek.answers"),
    (ecs::DNS_ID, "zeek.trans_id"),
];

const HTTP: &[Row] = &[
    (ecs::HTTP_REQUEST_METHOD, "zeek.method"),
    (ecs::HTTP_RESPONSE_STATUS_CODE, "zeek.status_code"),
    (ecs::HTTP_REQUEST_BODY_BYTES, "zeek.request_body_len"),
    (ecs::HTTP_RESPONSE_BODY_BYTES, "zeek.response_body_len"),
    (ecs::HTTP_RESPONSE_MIME_TYPE, "zeek.resp_mime_types"),
    (ecs::HTTP_REQUEST_REFERRER, "zeek.referrer"),
    (ecs::HTTP_VERSION, "zeek.version"),
    (ecs::URL_DOMAIN, "zeek.host"),
    (ecs::URL_ORIGINAL, "zeek.uri"),
    (ecs::USER_AGENT_ORIGINAL, "zeek.user_agent"),
    (ecs::USER_NAME, "zeek.username"),
];

const SSL: &[Row] = &[
    (ecs::TLS_VERSION, "zeek.version"),
    (ecs::TLS_CIPHER, "zeek.cipher"),
    (ecs::TLS_CLIENT_SERVER_NAME, "zeek.server_name"),
    (ecs::TLS_SERVER_SUBJECT, "zeek.subject"),
    (ecs::TLS_SERVER_ISSUER, "zeek.issuer"),
    (ecs::TLS_CLIENT_JA3, "zeek.ja3"),
    (ecs::TLS_SERVER_JA3S, "zeek.ja3s"),
    (ecs::TLS_ESTABLISHED, "zeek.established"),
];

const X509: &[Row] = &[
    (ecs::X509_SUBJECT_COMMON_NAME, "zeek.certificate_subject"),
    (ecs::X509_SUBJECT_COMMON_NAME, "zeek.certificate.subject"),
    (ecs::X509_ISSUER_COMMON_NAME, "zeek.certificate_issuer"),
    (ecs::X509_ISSUER_COMMON_NAME, "zeek.certificate.issuer"),
];

const FILES: &[Row] = &[
    (ecs::FILE_NAME, "zeek.filename"),
    (ecs::FILE_MIME_TYPE, "zeek.mime_type"),
    (ecs::FILE_SIZE, "zeek.total_bytes"),
    (ecs::FILE_SIZE, "zeek.seen_bytes"),
    (ecs::FILE_HASH_MD5, "zeek.md5"),
    (ecs::FILE_HASH_SHA1, "zeek.sha1"),
    (ecs::FILE_HASH_SHA256, "zeek.sha256"),
    (ecs::NETWORK_PROTOCOL, "zeek.source"),
];

const SMB_FILES: &[Row] = &[
    (ecs::EVENT_ACTION, "zeek.action"),
    (ecs::FILE_DIRECTORY, "zeek.path"),
    (ecs::FILE_NAME, "zeek.name"),
    (ecs::FILE_SIZE, "zeek.size"),
];

const SMB_MAPPING: &[Row] = &[(ecs::FILE_PATH, "zeek.path")];

const KERBEROS: &[Row] = &[(ecs::USER_NAME, "zeek.client"), (ecs::SERVICE_NAME, "zeek.service")];

const DCE_RPC: &[Row] = &[(ecs::EVENT_ACTION, "zeek.operation")];

const NOTICE: &[Row] = &[
    (ecs::RULE_NAME, "zeek.note"),
    (ecs::MESSAGE, "zeek.msg"),
    (ecs::EVENT_ACTION, "zeek.actions"),
];

const WEIRD: &[Row] = &[(ecs::RULE_NAME, "zeek.name")];

const REPORTER: &[Row] = &[(ecs::MESSAGE, "zeek.message"), (ecs::LOG_LEVEL, "zeek.level")];

const SSH: &[Row] = &[(ecs::USER_AGENT_ORIGINAL, "zeek.client")];

impl Zeek {
    pub(super) fn new(table: &FieldTable) -> Self {
        let by_path: [(&'static str, &[Row]); 15] = [
            ("conn", CONN),
            ("dns", DNS),
            ("http", HTTP),
            ("ssl", SSL),
            ("x509", X509),
            ("files", FILES),
            ("smb_files", SMB_FILES),
            ("smb_mapping", SMB_MAPPING),
            ("kerberos", KERBEROS),
            ("dce_rpc", DCE_RPC),
            ("notice", NOTICE),
            ("weird", WEIRD),
            ("reporter", REPORTER),
            ("ssh", SSH),
            ("ntlm", &[(ecs::USER_NAME, "zeek.username"), (ecs::USER_DOMAIN, "zeek.domainname")]),
        ];
        Self {
            common: Raises::new(table, COMMON),
            by_path: by_path.map(|(path, rows)| (path, Raises::new(table, rows))).into(),
            path: table.intern("zeek._path"),
            ts: table.intern("zeek.ts"),
            write_ts: table.intern("zeek._write_ts"),
            source: table.intern("zeek.id.orig_h"),
            destination: table.intern("zeek.id.resp_h"),
            notice_source: table.intern("zeek.src"),
            notice_destination: table.intern("zeek.dst"),
            success: table.intern("zeek.success"),
            established: table.intern("zeek.established"),
        }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Option<SourceTime> {
        let path = event.str(self.path).unwrap_or("unknown");
        let known = self.by_path.iter().find(|(known, _)| *known == path);
        let mut dataset = String::from("zeek.");
        match known {
            Some((path, _)) => dataset.push_str(path),
            None => dataset.push_str(&slug(path)),
        }
        add(event, ecs::EVENT_MODULE, "zeek");
        add(event, ecs::EVENT_DATASET, &dataset);
        self.common.apply(event);
        if !raise_ip(event, ecs::SOURCE_IP, ecs::SOURCE_ADDRESS, self.source) {
            raise_ip(event, ecs::SOURCE_IP, ecs::SOURCE_ADDRESS, self.notice_source);
        }
        if !raise_ip(event, ecs::DESTINATION_IP, ecs::DESTINATION_ADDRESS, self.destination) {
            let (ip, address) = (ecs::DESTINATION_IP, ecs::DESTINATION_ADDRESS);
            raise_ip(event, ip, address, self.notice_destination);
        }
        if let Some((path, rows)) = known {
            rows.apply(event);
            let outcome = if *path == "kerberos" { self.success } else { self.established };
            add_outcome(event, outcome);
        }
        let read = |field| event.get(field).and_then(time::of_value);
        read(self.ts).or_else(|| read(self.write_ts))
    }
}

fn add_outcome(event: &mut ParsedEvent, native: FieldId) {
    if let Some(ValueRef::Bool(good)) = event.get(native) {
        add(event, ecs::EVENT_OUTCOME, if good { "success" } else { "failure" });
    }
}
