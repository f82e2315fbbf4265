//! The services whose audit trails are told apart, each by keys that together no other one has.

use super::super::fields::Row;
use custos_event::ecs;

/// One service's trail.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) module: &'static str,
    /// Its dataset; with a dot at its end, a value of the event completes it.
    pub(super) dataset: &'static str,
    /// Sets of keys; it is this service where all of one set have a value.
    pub(super) marks: &'static [&'static [&'static str]],
    pub(super) rows: &'static [Row],
    /// Where the client's address may stand.
    pub(super) addresses: &'static [&'static str],
    /// Where it says how it ended.
    pub(super) outcome: Option<&'static str>,
}

/// The first whose marks are all there wins.
pub(super) const SERVICES: &[Service] = &[
    Service {
        module: "okta",
        dataset: "okta.system",
        marks: &[&["actor.alternateId"]],
        rows: &[
            (ecs::EVENT_ACTION, "json.eventType"),
            (ecs::EVENT_ID, "json.uuid"),
            (ecs::EVENT_REASON, "json.outcome.reason"),
            (ecs::MESSAGE, "json.displayMessage"),
            (ecs::USER_NAME, "json.actor.alternateId"),
            (ecs::USER_FULL_NAME, "json.actor.displayName"),
            (ecs::USER_ID, "json.actor.id"),
            (ecs::USER_TARGET_NAME, "json.target.alternateId"),
            (ecs::USER_AGENT_ORIGINAL, "json.client.userAgent.rawUserAgent"),
        ],
        addresses: &["client.ipAddress"],
        outcome: Some("outcome.result"),
    },
    Service {
        module: "gcp",
        dataset: "gcp.audit",
        marks: &[
            &["protoPayload.methodName"],
            &["protoPayload.serviceName"],
            &["insertId", "logName"],
        ],
        rows: &[
            (ecs::EVENT_ACTION, "json.protoPayload.methodName"),
            (ecs::EVENT_PROVIDER, "json.protoPayload.serviceName"),
            (ecs::EVENT_ID, "json.insertId"),
            (ecs::USER_EMAIL, "json.protoPayload.authenticationInfo.principalEmail"),
            (ecs::USER_NAME, "json.protoPayload.authenticationInfo.principalEmail"),
            (ecs::USER_AGENT_ORIGINAL, "json.protoPayload.requestMetadata.callerSuppliedUserAgent"),
            (ecs::CLOUD_ACCOUNT_ID, "json.resource.labels.project_id"),
            (ecs::LOG_LOGGER, "json.logName"),
            (ecs::LOG_LEVEL, "json.severity"),
        ],
        addresses: &["protoPayload.requestMetadata.callerIp"],
        outcome: None,
    },
    Service {
        module: "o365",
        dataset: "m365.audit",
        marks: &[&["Operation", "Workload"]],
        rows: &[
            (ecs::EVENT_ACTION, "json.Operation"),
            (ecs::EVENT_PROVIDER, "json.Workload"),
            (ecs::EVENT_ID, "json.Id"),
            (ecs::USER_NAME, "json.UserId"),
            (ecs::USER_AGENT_ORIGINAL, "json.UserAgent"),
            (ecs::ORGANIZATION_ID, "json.OrganizationId"),
        ],
        addresses: &["ClientIP", "ClientIPAddress", "ActorIpAddress"],
        outcome: Some("ResultStatus"),
    },
    Service {
        module: "azure",
        dataset: "azure.",
        marks: &[&["operationName", "category"]],
        rows: &[
            (ecs::EVENT_ACTION, "json.operationName"),
            (ecs::EVENT_ID, "json.correlationId"),
            (ecs::EVENT_REASON, "json.resultDescription"),
            (ecs::USER_NAME, "json.properties.userPrincipalName"),
            (ecs::USER_NAME, "json.properties.initiatedBy.user.userPrincipalName"),
            (ecs::USER_NAME, "json.identity"),
            (ecs::CLOUD_REGION, "json.location"),
            (ecs::ORGANIZATION_ID, "json.tenantId"),
        ],
        addresses: &["callerIpAddress", "properties.ipAddress"],
        outcome: Some("resultType"),
    },
    Service {
        module: "kubernetes",
        dataset: "kubernetes.audit",
        marks: &[&["auditID", "verb"], &["kind", "verb", "objectRef.resource"]],
        rows: &[
            (ecs::EVENT_ACTION, "json.verb"),
            (ecs::EVENT_ID, "json.auditID"),
            (ecs::USER_NAME, "json.user.username"),
            (ecs::USER_AGENT_ORIGINAL, "json.userAgent"),
            (ecs::URL_ORIGINAL, "json.requestURI"),
            (ecs::HTTP_RESPONSE_STATUS_CODE, "json.responseStatus.code"),
        ],
        addresses: &["sourceIPs"],
        outcome: Some("responseStatus.code"),
    },
    Service {
        module: "google_workspace",
        dataset: "google_workspace.",
        marks: &[&["id.applicationName", "actor.email"]],
        rows: &[
            (ecs::EVENT_ACTION, "json.name"),
            (ecs::EVENT_ACTION, "json.events.name"),
            (ecs::EVENT_ID, "json.id.uniqueQualifier"),
            (ecs::USER_EMAIL, "json.actor.email"),
            (ecs::USER_NAME, "json.actor.email"),
            (ecs::USER_ID, "json.actor.profileId"),
        ],
        addresses: &["ipAddress"],
        outcome: None,
    },
    Service {
        module: "github",
        dataset: "github.audit",
        marks: &[&["action", "actor", "org"], &["action", "actor", "repo"]],
        rows: GITHUB,
        addresses: &["actor_ip"],
        outcome: None,
    },
    Service {
        module: "onelogin",
        dataset: "onelogin.events",
        marks: &[&["event_type_id", "user_name"]],
        rows: &[
            (ecs::EVENT_CODE, "json.event_type_id"),
            (ecs::USER_NAME, "json.actor_user_name"),
            (ecs::USER_NAME, "json.user_name"),
            (ecs::USER_TARGET_NAME, "json.user_name"),
        ],
        addresses: &["ipaddr"],
        outcome: None,
    },
    Service {
        module: "slack",
        dataset: "slack.audit",
        marks: &[&["action", "actor.user.email", "context.location.domain"]],
        rows: &[
            (ecs::EVENT_ACTION, "json.action"),
            (ecs::EVENT_ID, "json.id"),
            (ecs::USER_EMAIL, "json.actor.user.email"),
            (ecs::USER_NAME, "json.actor.user.email"),
            (ecs::USER_AGENT_ORIGINAL, "json.context.ua"),
        ],
        addresses: &["context.ip_address"],
        outcome: None,
    },
    Service {
        module: "bitbucket",
        dataset: "bitbucket.audit",
        marks: &[&["auditType.action"]],
        rows: &[(ecs::EVENT_ACTION, "json.auditType.action"), (ecs::USER_NAME, "json.author.name")],
        addresses: &["source"],
        outcome: None,
    },
    Service {
        module: "opencanary",
        dataset: "opencanary.application",
        marks: &[&["logtype", "node_id"]],
        rows: &[
            (ecs::EVENT_CODE, "json.logtype"),
            (ecs::SOURCE_PORT, "json.src_port"),
            (ecs::DESTINATION_IP, "json.dst_host"),
            (ecs::DESTINATION_PORT, "json.dst_port"),
            (ecs::OBSERVER_NAME, "json.node_id"),
        ],
        addresses: &["src_host"],
        outcome: None,
    },
];

const GITHUB: &[Row] = &[
    (ecs::EVENT_ACTION, "json.action"),
    (ecs::EVENT_ID, "json._document_id"),
    (ecs::USER_NAME, "json.actor"),
    (ecs::USER_TARGET_NAME, "json.user"),
    (ecs::ORGANIZATION_NAME, "json.org"),
    (ecs::USER_AGENT_ORIGINAL, "json.user_agent"),
];
