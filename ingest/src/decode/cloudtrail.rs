//! AWS `CloudTrail` records, one JSON object each.

use super::{
    Read,
    fields::{Raises, Row, add, add_some, raise_ip},
    time,
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ecs};

#[derive(Debug)]
pub(super) struct CloudTrail {
    rows: Raises,
    event_time: FieldId,
    event_name: FieldId,
    event_source: FieldId,
    source: FieldId,
    error_code: FieldId,
    login: [FieldId; 2],
}

const ROWS: &[Row] = &[
    (ecs::EVENT_ACTION, "aws.cloudtrail.eventName"),
    (ecs::EVENT_PROVIDER, "aws.cloudtrail.eventSource"),
    (ecs::EVENT_ID, "aws.cloudtrail.eventID"),
    (ecs::USER_NAME, "aws.cloudtrail.userIdentity.userName"),
    (ecs::USER_NAME, "aws.cloudtrail.userIdentity.sessionContext.sessionIssuer.userName"),
    (ecs::USER_NAME, "aws.cloudtrail.userIdentity.invokedBy"),
    (ecs::USER_ID, "aws.cloudtrail.userIdentity.principalId"),
    (ecs::USER_ID, "aws.cloudtrail.userIdentity.arn"),
    (ecs::USER_ROLES, "aws.cloudtrail.userIdentity.type"),
    (ecs::USER_TARGET_NAME, "aws.cloudtrail.requestParameters.userName"),
    (ecs::USER_AGENT_ORIGINAL, "aws.cloudtrail.userAgent"),
    (ecs::CLOUD_ACCOUNT_ID, "aws.cloudtrail.recipientAccountId"),
    (ecs::CLOUD_ACCOUNT_ID, "aws.cloudtrail.userIdentity.accountId"),
    (ecs::CLOUD_REGION, "aws.cloudtrail.awsRegion"),
    (ecs::CLOUD_INSTANCE_ID, "aws.cloudtrail.requestParameters.instanceId"),
    (ecs::GROUP_NAME, "aws.cloudtrail.requestParameters.groupName"),
    (ecs::ERROR_TYPE, "aws.cloudtrail.errorCode"),
    (ecs::ERROR_MESSAGE, "aws.cloudtrail.errorMessage"),
    (ecs::TLS_VERSION, "aws.cloudtrail.tlsDetails.tlsVersion"),
    (ecs::TLS_CIPHER, "aws.cloudtrail.tlsDetails.cipherSuite"),
    (ecs::TLS_CLIENT_SERVER_NAME, "aws.cloudtrail.tlsDetails.clientProvidedHostHeader"),
];

impl CloudTrail {
    pub(super) fn new(table: &FieldTable) -> Self {
        let own = |name: &str| table.intern(&format!("aws.cloudtrail.{name}"));
        Self {
            rows: Raises::new(table, ROWS),
            event_time: own("eventTime"),
            event_name: own("eventName"),
            event_source: own("eventSource"),
            source: own("sourceIPAddress"),
            error_code: own("errorCode"),
            login: [own("responseElements.ConsoleLogin"), own("responseElements.CheckMfa")],
        }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Read {
        if event.get(self.event_name).is_none() {
            return Err("no eventName, which every CloudTrail record has".into());
        }
        add(event, ecs::EVENT_MODULE, "aws");
        add(event, ecs::EVENT_DATASET, "aws.cloudtrail");
        add(event, ecs::CLOUD_PROVIDER, "aws");
        self.rows.apply(event);
        raise_ip(event, ecs::SOURCE_IP, ecs::SOURCE_ADDRESS, self.source);
        let service = event.str(self.event_source).and_then(|host| host.split('.').next());
        let service = service.map(str::to_owned);
        add_some(event, ecs::CLOUD_SERVICE_NAME, service.as_deref());
        add(event, ecs::EVENT_OUTCOME, self.outcome(event));
        Ok(event.get(self.event_time).and_then(time::of_value))
    }

    /// A refused console login is no error to AWS: only its answer says so.
    fn outcome(&self, event: &ParsedEvent) -> &'static str {
        let is_refused = self.login.iter().any(|field| event.str(*field) == Some("Failure"));
        let has_failed = event.str(self.error_code).is_some_and(|code| !code.is_empty());
        if is_refused || has_failed { "failure" } else { "success" }
    }
}
