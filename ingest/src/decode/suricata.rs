//! Suricata EVE: one JSON object an event, `event_type` says which.

use super::{
    Read,
    fields::{Raises, Row, add, raise_ip},
    time,
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ecs};

#[derive(Debug)]
pub(super) struct Suricata {
    common: Raises,
    alert: Raises,
    application: Raises,
    event_type: FieldId,
    timestamp: FieldId,
    source: FieldId,
    destination: FieldId,
    protocol: FieldId,
    alert_action: FieldId,
}

const COMMON: &[Row] = &[
    (ecs::EVENT_ID, "suricata.eve.flow_id"),
    (ecs::SOURCE_PORT, "suricata.eve.src_port"),
    (ecs::DESTINATION_PORT, "suricata.eve.dest_port"),
    (ecs::NETWORK_PROTOCOL, "suricata.eve.app_proto"),
    (ecs::NETWORK_COMMUNITY_ID, "suricata.eve.community_id"),
    (ecs::NETWORK_VLAN_ID, "suricata.eve.vlan"),
    (ecs::OBSERVER_NAME, "suricata.eve.host"),
    (ecs::OBSERVER_INGRESS_INTERFACE_NAME, "suricata.eve.in_iface"),
    (ecs::SOURCE_BYTES, "suricata.eve.flow.bytes_toserver"),
    (ecs::SOURCE_PACKETS, "suricata.eve.flow.pkts_toserver"),
    (ecs::DESTINATION_BYTES, "suricata.eve.flow.bytes_toclient"),
    (ecs::DESTINATION_PACKETS, "suricata.eve.flow.pkts_toclient"),
];

const ALERT: &[Row] = &[
    (ecs::RULE_ID, "suricata.eve.alert.signature_id"),
    (ecs::RULE_NAME, "suricata.eve.alert.signature"),
    (ecs::RULE_CATEGORY, "suricata.eve.alert.category"),
    (ecs::RULE_VERSION, "suricata.eve.alert.rev"),
    (ecs::EVENT_SEVERITY, "suricata.eve.alert.severity"),
];

/// Alerts carry the application's object beside them, so these apply to every event that has one.
const APPLICATION: &[Row] = &[
    (ecs::HTTP_REQUEST_METHOD, "suricata.eve.http.http_method"),
    (ecs::HTTP_RESPONSE_STATUS_CODE, "suricata.eve.http.status"),
    (ecs::HTTP_RESPONSE_BODY_BYTES, "suricata.eve.http.length"),
    (ecs::HTTP_REQUEST_REFERRER, "suricata.eve.http.http_refer"),
    (ecs::HTTP_RESPONSE_MIME_TYPE, "suricata.eve.http.http_content_type"),
    (ecs::URL_DOMAIN, "suricata.eve.http.hostname"),
    (ecs::URL_ORIGINAL, "suricata.eve.http.url"),
    (ecs::USER_AGENT_ORIGINAL, "suricata.eve.http.http_user_agent"),
    (ecs::TLS_VERSION, "suricata.eve.tls.version"),
    (ecs::TLS_SERVER_SUBJECT, "suricata.eve.tls.subject"),
    (ecs::TLS_SERVER_ISSUER, "suricata.eve.tls.issuerdn"),
    (ecs::TLS_CLIENT_SERVER_NAME, "suricata.eve.tls.sni"),
    (ecs::TLS_CLIENT_JA3, "suricata.eve.tls.ja3.hash"),
    (ecs::TLS_SERVER_JA3S, "suricata.eve.tls.ja3s.hash"),
    (ecs::DNS_QUESTION_NAME, "suricata.eve.dns.rrname"),
    (ecs::DNS_QUESTION_NAME, "suricata.eve.dns.query.rrname"),
    (ecs::DNS_QUESTION_NAME, "suricata.eve.dns.queries.rrname"),
    (ecs::DNS_QUESTION_TYPE, "suricata.eve.dns.rrtype"),
    (ecs::DNS_QUESTION_TYPE, "suricata.eve.dns.query.rrtype"),
    (ecs::DNS_QUESTION_TYPE, "suricata.eve.dns.queries.rrtype"),
    (ecs::DNS_RESPONSE_CODE, "suricata.eve.dns.rcode"),
    (ecs::DNS_ANSWERS_DATA, "suricata.eve.dns.answers.rdata"),
    (ecs::DNS_TYPE, "suricata.eve.dns.type"),
    (ecs::FILE_NAME, "suricata.eve.fileinfo.filename"),
    (ecs::FILE_SIZE, "suricata.eve.fileinfo.size"),
    (ecs::FILE_HASH_MD5, "suricata.eve.fileinfo.md5"),
    (ecs::FILE_HASH_SHA256, "suricata.eve.fileinfo.sha256"),
    (ecs::EMAIL_FROM_ADDRESS, "suricata.eve.email.from"),
    (ecs::EMAIL_TO_ADDRESS, "suricata.eve.email.to"),
    (ecs::EMAIL_SUBJECT, "suricata.eve.email.subject"),
];

/// Event types without an application's object pay nothing for its rows.
const WITHOUT_APPLICATION: [&str; 4] = ["flow", "netflow", "stats", "drop"];

impl Suricata {
    pub(super) fn new(table: &FieldTable) -> Self {
        let eve = |name: &str| table.intern(&format!("suricata.eve.{name}"));
        Self {
            common: Raises::new(table, COMMON),
            alert: Raises::new(table, ALERT),
            application: Raises::new(table, APPLICATION),
            event_type: eve("event_type"),
            timestamp: eve("timestamp"),
            source: eve("src_ip"),
            destination: eve("dest_ip"),
            protocol: eve("proto"),
            alert_action: eve("alert.action"),
        }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Read {
        let Some(kind) = event.str(self.event_type).map(str::to_owned) else {
            return Err("no event_type, which every EVE event has".into());
        };
        add(event, ecs::EVENT_MODULE, "suricata");
        add(event, ecs::EVENT_DATASET, "suricata.eve");
        add(event, ecs::EVENT_KIND, if kind == "alert" { "alert" } else { "event" });
        event.alias(ecs::EVENT_ACTION, self.event_type);
        self.common.apply(event);
        raise_ip(event, ecs::SOURCE_IP, ecs::SOURCE_ADDRESS, self.source);
        raise_ip(event, ecs::DESTINATION_IP, ecs::DESTINATION_ADDRESS, self.destination);
        if let Some(protocol) = event.str(self.protocol).map(str::to_ascii_lowercase) {
            add(event, ecs::NETWORK_TRANSPORT, &protocol);
        }
        if kind == "alert" {
            self.alert.apply(event);
        }
        if !WITHOUT_APPLICATION.contains(&&*kind) {
            self.application.apply(event);
        }
        match event.str(self.alert_action) {
            Some("blocked") => add(event, ecs::EVENT_OUTCOME, "failure"),
            Some("allowed") => add(event, ecs::EVENT_OUTCOME, "success"),
            Some(_) | None => {}
        }
        Ok(event.get(self.timestamp).and_then(time::of_value))
    }
}
