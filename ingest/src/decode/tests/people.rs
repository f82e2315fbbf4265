//! Golden events of doors, payments, customer systems, backups and cloud services.

use super::check;
use crate::decode::SourceType::{Backup, CloudTrail, Crm, Door, Json, Payment};

#[test]
fn door_events_reach_their_own_fields() {
    check(
        Door,
        r#"{"time":"2026-11-24T07:59:58Z","site":"Basel","door":"Vault 2","reader":"V2-in","direction":"in","credential":"9f2c","person":"mia","result":"denied","reason":"badge lost","held":false,"forced":false,"tamper":false}"#,
        "2026-11-24T07:59:58Z",
        &[
            ("event.module", "custos"),
            ("event.dataset", "custos.door"),
            ("event.action", "access-denied"),
            ("event.outcome", "failure"),
            ("custos.site", "Basel"),
            ("custos.door.name", "Vault 2"),
            ("custos.reader.name", "V2-in"),
            ("custos.reader.direction", "in"),
            ("custos.credential.hash", "9f2c"),
            ("user.name", "mia"),
            ("custos.access.result", "denied"),
            ("custos.access.reason", "badge lost"),
            ("custos.access.held", "false"),
        ],
    );
    check(
        Door,
        r#"{"time":1795507190,"door":{"id":"d-17","name":"Server room","floor":3},"person":{"id":"p9","name":"Li","email":"li@example.org"},"credential":{"hash":"77","kind":"badge"},"forced":true}"#,
        "2026-11-24T07:59:50Z",
        &[
            ("event.action", "door-forced"),
            ("event.outcome", ""),
            ("custos.door.id", "d-17"),
            ("custos.door.name", "Server room"),
            ("custos.door_event.door.floor", "3"),
            ("user.id", "p9"),
            ("user.email", "li@example.org"),
            ("custos.credential.kind", "badge"),
        ],
    );
}

#[test]
fn payment_events_reach_their_own_fields() {
    check(
        Payment,
        r#"{"time":"2026-11-24T07:00:00Z","id":"p1","kind":"authorization","amount":1999,"currency":"CHF","result":"approved","merchant":"M-1","method":"card","card":{"token":"tok_x","iin":"411111","brand":"visa"},"three_ds":{"status":"N","eci":"07"},"step_up":false,"tls_version":"1.2","ip":"203.0.113.9","country":"CH","customer":{"id":"c1","email":"a@example.org"},"terminal":"T7"}"#,
        "2026-11-24T07:00:00Z",
        &[
            ("event.dataset", "custos.payment"),
            ("event.action", "payment-authorization"),
            ("event.outcome", "success"),
            ("custos.payment.id", "p1"),
            ("custos.payment.amount", "1999"),
            ("custos.payment.card.token", "tok_x"),
            ("custos.payment.card.iin", "411111"),
            ("custos.payment_event.card.brand", "visa"),
            ("custos.payment.three_ds.status", "N"),
            ("custos.payment.step_up", "false"),
            ("custos.payment.tls_version", "1.2"),
            ("source.ip", "203.0.113.9"),
            ("user.id", "c1"),
            ("user.email", "a@example.org"),
            ("custos.payment.terminal", "T7"),
        ],
    );
}

#[test]
fn events_of_customer_systems_reach_their_own_fields() {
    check(
        Crm,
        r#"{"time":"2026-11-24T07:00:00Z","system":"crm-eu","user":"m.keller","ip":"10.0.0.7","action":"export","module":"客户","records":36000,"result":"ok","list":"all"}"#,
        "2026-11-24T07:00:00Z",
        &[
            ("event.dataset", "custos.crm"),
            ("event.action", "crm-export"),
            ("event.outcome", "success"),
            ("service.name", "crm-eu"),
            ("user.name", "m.keller"),
            ("source.ip", "10.0.0.7"),
            ("custos.crm.action", "export"),
            ("custos.crm.module", "客户"),
            ("custos.crm.records", "36000"),
            ("custos.crm_event.list", "all"),
        ],
    );
    check(
        Crm,
        r#"{"time":1795503600,"user":{"id":"u1","name":"Li","email":"li@example.org"},"action":"Bulk Update","module":"Deals","records":3,"record":"d-9","result":"denied","reason":"not yours"}"#,
        "2026-11-24T07:00:00Z",
        &[
            ("event.action", "crm-bulk-update"),
            ("event.outcome", "failure"),
            ("event.reason", "not yours"),
            ("user.id", "u1"),
            ("user.name", "Li"),
            ("custos.crm.record.id", "d-9"),
        ],
    );
}

#[test]
fn backup_jobs_reach_their_own_fields() {
    check(
        Backup,
        r#"{"time":"2026-11-24T04:00:00Z","system":"backup-01","job":"db-nightly","kind":"incremental","result":"ok","bytes":734003200,"target":"s3://vault/db-01","deleted":0}"#,
        "2026-11-24T04:00:00Z",
        &[
            ("event.dataset", "custos.backup"),
            ("event.action", "backup-completed"),
            ("event.outcome", "success"),
            ("host.name", "backup-01"),
            ("custos.backup.job", "db-nightly"),
            ("custos.backup.kind", "incremental"),
            ("custos.backup.result", "ok"),
            ("custos.backup.bytes", "734003200"),
            ("custos.backup.target", "s3://vault/db-01"),
            ("custos.backup.deleted", "0"),
        ],
    );
    check(
        Backup,
        r#"{"time":"2026-11-24T04:00:00Z","job":"wipe","kind":"full","result":"failed","bytes":0,"deleted":14,"user":"root"}"#,
        "2026-11-24T04:00:00Z",
        &[
            ("event.action", "backup-deleted"),
            ("event.outcome", "failure"),
            ("user.name", "root"),
            ("custos.backup.deleted", "14"),
        ],
    );
}

#[test]
fn cloudtrail_records_tell_who_did_what() {
    check(
        CloudTrail,
        r#"{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","userName":"kim","principalId":"AIDA1"},"eventTime":"2026-11-24T07:00:00Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"eu-central-2","sourceIPAddress":"198.51.100.4","errorCode":"AccessDenied","errorMessage":"no","requestParameters":{"userName":"new"},"recipientAccountId":"111122223333"}"#,
        "2026-11-24T07:00:00Z",
        &[
            ("event.dataset", "aws.cloudtrail"),
            ("event.action", "CreateUser"),
            ("event.outcome", "failure"),
            ("user.name", "kim"),
            ("user.target.name", "new"),
            ("source.ip", "198.51.100.4"),
            ("cloud.service.name", "iam"),
            ("cloud.account.id", "111122223333"),
            ("error.type", "AccessDenied"),
        ],
    );
    check(
        CloudTrail,
        r#"{"eventVersion":"1.08","eventTime":"2026-11-24T07:00:00Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","sourceIPAddress":"AWS Internal","responseElements":{"ConsoleLogin":"Failure"}}"#,
        "2026-11-24T07:00:00Z",
        &[("event.outcome", "failure"), ("source.ip", ""), ("source.address", "AWS Internal")],
    );
}

#[test]
fn audit_trails_of_services_are_told_by_their_keys() {
    check(
        Json,
        r#"{"published":"2026-11-24T07:00:00.5Z","eventType":"user.session.start","actor":{"alternateId":"jo@example.org","id":"00u1"},"outcome":{"result":"FAILURE","reason":"INVALID_CREDENTIALS"},"client":{"ipAddress":"192.0.2.7"}}"#,
        "2026-11-24T07:00:00.5Z",
        &[
            ("event.dataset", "okta.system"),
            ("event.action", "user.session.start"),
            ("event.outcome", "failure"),
            ("event.reason", "INVALID_CREDENTIALS"),
            ("user.name", "jo@example.org"),
            ("source.ip", "192.0.2.7"),
            ("json.eventType", "user.session.start"),
        ],
    );
    check(
        Json,
        r#"{"action":"repo.destroy","actor":"octo","org":"acme","created_at":1795507200000}"#,
        "2026-11-24T08:00:00Z",
        &[("event.dataset", "github.audit"), ("user.name", "octo"), ("organization.name", "acme")],
    );
    check(
        Json,
        r#"{"time":"2026-11-24T07:00:00Z","operationName":"Sign-in activity","category":"SignInLogs","resultType":"50126","callerIpAddress":"192.0.2.8","properties":{"userPrincipalName":"al@example.org"}}"#,
        "2026-11-24T07:00:00Z",
        &[
            ("event.dataset", "azure.signinlogs"),
            ("user.name", "al@example.org"),
            ("source.ip", "192.0.2.8"),
        ],
    );
    check(
        Json,
        r#"{"ts":1795507199.25,"level":"info","msg":"started","tags":["a","b"]}"#,
        "2026-11-24T07:59:59.25Z",
        &[("event.dataset", "json.generic"), ("json.msg", "started"), ("json.tags", "a, b")],
    );
}
