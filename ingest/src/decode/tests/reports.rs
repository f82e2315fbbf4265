//! Golden events of the journal, of sign-in and container security services, scanners and drills.

use super::check;
use crate::decode::SourceType::{self, Falco, Gophish, Journald, Keycloak, Trivy};

#[test]
fn the_journal_is_read_as_syslog_would_be() {
    let entry = |message: &str, more: &str| {
        format!(
            r#"{{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795507200123456","_HOSTNAME":"gate","_MACHINE_ID":"3b9a","_PID":"811","PRIORITY":"6","SYSLOG_FACILITY":"10","_SYSTEMD_UNIT":"ssh.service",{more}"MESSAGE":{message}}}"#
        )
    };
    check(
        Journald,
        &entry(
            r#""Failed password for invalid user eve from 192.0.2.7 port 4711 ssh2""#,
            r#""SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_EXE":"/usr/sbin/sshd","_SOURCE_REALTIME_TIMESTAMP":"1795507199000000","#,
        ),
        "2026-11-24T07:59:59Z",
        &[
            ("event.module", "linux"),
            ("event.dataset", "linux.sshd"),
            ("event.kind", "event"),
            ("event.id", "s=1;i=2"),
            ("event.action", "ssh-login"),
            ("event.outcome", "failure"),
            ("user.name", "eve"),
            ("source.ip", "192.0.2.7"),
            ("message", "Failed password for invalid user eve from 192.0.2.7 port 4711 ssh2"),
            ("host.name", "gate"),
            ("host.id", "3b9a"),
            ("process.name", "sshd"),
            ("process.pid", "811"),
            ("process.executable", "/usr/sbin/sshd"),
            ("syslog.severity", "6"),
            ("syslog.facility", "10"),
            ("service.name", "ssh.service"),
            ("journald._PID", "811"),
        ],
    );
    // PAM names its service; who only has a name of the kernel's is read by that.
    check(
        Journald,
        &entry(
            r#""pam_unix(sshd:session): session opened for user mia(uid=1000) by (uid=0)""#,
            r#""_COMM":"sshd","#,
        ),
        "2026-11-24T08:00:00.123456Z",
        &[("event.action", "session-opened"), ("service.name", "sshd"), ("process.name", "sshd")],
    );
    // A message that is no UTF-8 is an array of its bytes.
    check(
        Journald,
        &entry("[103,114,195,188,195,159,101,255]", r#""SYSLOG_IDENTIFIER":"app","#),
        "2026-11-24T08:00:00.123456Z",
        &[("message", "grüße\u{fffd}"), ("event.dataset", "linux.app")],
    );
    check(
        Journald,
        &entry(
            r#""IN=eth0 OUT= MAC=00:11 SRC=192.0.2.7 DST=10.0.0.1 LEN=60 PROTO=TCP SPT=4711 DPT=22""#,
            r#""SYSLOG_IDENTIFIER":"kernel","#,
        ),
        "2026-11-24T08:00:00.123456Z",
        &[
            ("event.dataset", "netfilter.log"),
            ("source.ip", "192.0.2.7"),
            ("destination.port", "22"),
        ],
    );
    check(
        Journald,
        r#"{"__REALTIME_TIMESTAMP":"1795507200123456","_BOOT_ID":"9c","MESSAGE":null}"#,
        "2026-11-24T08:00:00.123456Z",
        &[("event.dataset", "linux.syslog"), ("message", "")],
    );
}

#[test]
fn keycloak_tells_who_signed_in_and_who_changed_whom() {
    check(
        Keycloak,
        r#"{"id":"6f","time":1795507200123,"type":"LOGIN_ERROR","realmId":"r1","realmName":"bank","clientId":"netbank","userId":"c2","ipAddress":"192.0.2.7","error":"invalid_user_credentials","details":{"username":"mia","auth_method":"openid-connect"}}"#,
        "2026-11-24T08:00:00.123Z",
        &[
            ("event.dataset", "keycloak.event"),
            ("event.module", "keycloak"),
            ("event.action", "login"),
            ("event.category", "authentication"),
            ("event.outcome", "failure"),
            ("event.reason", "invalid_user_credentials"),
            ("user.name", "mia"),
            ("user.id", "c2"),
            ("source.ip", "192.0.2.7"),
            ("organization.name", "bank"),
            ("keycloak.clientId", "netbank"),
            ("keycloak.details.auth_method", "openid-connect"),
        ],
    );
    check(
        Keycloak,
        r#"{"time":1795507200000,"type":"UPDATE_PASSWORD","realmId":"r1","clientId":"account","userId":"c2","ipAddress":"unknown","error":null}"#,
        "2026-11-24T08:00:00Z",
        &[
            ("event.action", "update-password"),
            ("event.category", "iam"),
            ("event.outcome", "success"),
            ("source.ip", ""),
            ("source.address", "unknown"),
        ],
    );
    check(
        Keycloak,
        r#"{"id":"7a","time":1795507200000,"realmId":"r1","authDetails":{"realmId":"master","clientId":"admin-cli","userId":"a1","ipAddress":"192.0.2.9"},"operationType":"CREATE","resourceType":"REALM_ROLE_MAPPING","resourcePath":"users/c2/role-mappings/realm"}"#,
        "2026-11-24T08:00:00Z",
        &[
            ("event.dataset", "keycloak.admin"),
            ("event.action", "create-realm-role-mapping"),
            ("event.category", "iam"),
            ("event.outcome", "success"),
            ("user.id", "a1"),
            ("user.target.id", "c2"),
            ("source.ip", "192.0.2.9"),
        ],
    );
}

#[test]
fn falco_tells_which_process_in_which_container() {
    check(
        Falco,
        r#"{"hostname":"node-1","output":"Error File opened","priority":"Error","rule":"Write below binary dir","source":"syscall","tags":["filesystem","mitre_persistence","T1543","T1059.004","Tall"],"time":"2026-11-24T07:59:56.746609046Z","output_fields":{"container.id":"4f1c","container.name":"shop","container.image.repository":"r/shop","evt.time":1795507196746609046,"evt.type":"openat","fd.name":"/bin/hack","k8s.ns.name":"shops","proc.cmdline":"touch /bin/hack","proc.exepath":"/usr/bin/touch","proc.name":"touch","proc.pid":4711,"proc.pname":"bash","user.name":"root","user.uid":0}}"#,
        "2026-11-24T07:59:56.746609046Z",
        &[
            ("event.dataset", "falco.alert"),
            ("event.kind", "alert"),
            ("event.action", "openat"),
            ("rule.name", "Write below binary dir"),
            ("message", "Error File opened"),
            ("log.level", "Error"),
            ("host.name", "node-1"),
            ("tags", "filesystem, mitre_persistence, T1543, T1059.004, Tall"),
            ("threat.technique.id", "T1543, T1059.004"),
            ("process.name", "touch"),
            ("process.pid", "4711"),
            ("process.command_line", "touch /bin/hack"),
            ("process.parent.name", "bash"),
            ("user.name", "root"),
            ("user.id", "0"),
            ("file.path", "/bin/hack"),
            ("container.id", "4f1c"),
            ("container.image.name", "r/shop"),
            ("orchestrator.namespace", "shops"),
            ("falco.source", "syscall"),
        ],
    );
    check(
        Falco,
        r#"{"output":"o","priority":"Notice","rule":"Unexpected connection","time":"2026-11-24T07:59:56Z","output_fields":{"container.id":"host","fd.name":"10.0.0.7:4711->198.51.100.9:443","fd.cip":"10.0.0.7","fd.cport":4711,"fd.sip":"198.51.100.9","fd.sport":443,"fd.l4proto":"tcp"}}"#,
        "2026-11-24T07:59:56Z",
        &[
            ("file.path", ""),
            ("container.id", ""),
            ("source.ip", "10.0.0.7"),
            ("destination.ip", "198.51.100.9"),
            ("destination.port", "443"),
            ("network.transport", "tcp"),
        ],
    );
}

#[test]
fn trivy_findings_of_each_kind_and_whole_reports_are_told_apart() {
    let of = r#""ArtifactName":"r/shop:1.4","ArtifactType":"container_image","CreatedAt":"2026-11-24T07:59:00Z","Target":"shop:1.4 (debian 12.5)","Class":"os-pkgs""#;
    let finding = |own: &str| format!("{{{of},{own}}}");
    let check = |own: &str, expected: &[(&str, &str)]| {
        check(Trivy, &finding(own), "2026-11-24T07:59:00Z", expected);
    };
    check(
        r#""VulnerabilityID":"CVE-2024-5535","PkgName":"libssl3","InstalledVersion":"3.0.11-1","FixedVersion":"3.0.14-1","Status":"fixed","Severity":"CRITICAL","Title":"openssl: overread","PrimaryURL":"https://a/b","CVSS":{"ghsa":{"V3Score":8.2},"nvd":{"V3Score":9.1}}"#,
        &[
            ("event.dataset", "trivy.vulnerability"),
            ("event.kind", "state"),
            ("vulnerability.id", "CVE-2024-5535"),
            ("vulnerability.severity", "CRITICAL"),
            ("vulnerability.score.base", "9.1"),
            ("vulnerability.reference", "https://a/b"),
            ("package.name", "libssl3"),
            ("package.version", "3.0.11-1"),
            ("message", "openssl: overread"),
            ("container.image.name", "r/shop:1.4"),
            ("file.path", "shop:1.4 (debian 12.5)"),
            ("trivy.FixedVersion", "3.0.14-1"),
        ],
    );
    check(
        r#""Type":"Dockerfile Security Check","ID":"DS002","AVDID":"AVD-DS-0002","Title":"Image user should not be 'root'","Severity":"HIGH","Status":"FAIL""#,
        &[("event.dataset", "trivy.misconfiguration"), ("rule.id", "AVD-DS-0002")],
    );
    check(
        r#""RuleID":"aws-access-key-id","Category":"AWS","Severity":"CRITICAL","Title":"AWS Access Key ID","StartLine":3,"Match":"key = ****""#,
        &[("event.dataset", "trivy.secret"), ("rule.id", "aws-access-key-id")],
    );
    super::check(
        Trivy,
        r#"{"SchemaVersion":2,"CreatedAt":"2026-11-24T07:59:00Z","ArtifactName":"app","ArtifactType":"filesystem","Results":[{"Target":"go.sum","Vulnerabilities":[{"VulnerabilityID":"CVE-1","PkgName":"a","Severity":"LOW"},{"VulnerabilityID":"CVE-2","PkgName":"b","Severity":"HIGH"}]}]}"#,
        "2026-11-24T07:59:00Z",
        &[
            ("event.dataset", "trivy.report"),
            ("vulnerability.id", "CVE-1, CVE-2"),
            ("package.name", "a, b"),
            ("container.image.name", ""),
        ],
    );
}

#[test]
fn each_step_of_a_drill_is_an_action() {
    check(
        Gophish,
        r#"{"campaign_id":7,"email":"mia@bank.example","time":"2026-11-24T07:59:58.12Z","message":"Clicked Link","details":"{\"payload\":{\"rid\":[\"x7\"]},\"browser\":{\"address\":\"192.0.2.7\",\"user-agent\":\"Mozilla/5.0\"}}"}"#,
        "2026-11-24T07:59:58.12Z",
        &[
            ("event.dataset", "gophish.event"),
            ("event.action", "phishing-clicked-link"),
            ("custos.phishing.action", "Clicked Link"),
            ("custos.phishing.campaign", "7"),
            ("message", "Clicked Link"),
            ("user.email", "mia@bank.example"),
            ("user.name", "mia@bank.example"),
            ("source.ip", "192.0.2.7"),
            ("user_agent.original", "Mozilla/5.0"),
        ],
    );
    check(
        Gophish,
        r#"{"campaign_id":7,"email":"mia@bank.example","time":"2026-11-24T07:59:58Z","message":"Email Sent","details":""}"#,
        "2026-11-24T07:59:58Z",
        &[("event.action", "phishing-email-sent"), ("source.ip", "")],
    );
}

#[test]
fn the_example_on_each_page_is_what_it_says() {
    const PAGES: [(SourceType, &str, &str, &str); 5] = [
        (
            Journald,
            include_str!("../../../../docs/sources/journald.md"),
            "linux.sshd",
            "2026-11-24T08:00:00.123456Z",
        ),
        (
            Keycloak,
            include_str!("../../../../docs/sources/keycloak.md"),
            "keycloak.event",
            "2026-11-24T08:00:00.123Z",
        ),
        (
            Falco,
            include_str!("../../../../docs/sources/falco.md"),
            "falco.alert",
            "2026-11-24T07:59:56.746609046Z",
        ),
        (
            Trivy,
            include_str!("../../../../docs/sources/trivy.md"),
            "trivy.vulnerability",
            "2026-11-24T07:59:00Z",
        ),
        (
            Gophish,
            include_str!("../../../../docs/sources/gophish.md"),
            "gophish.event",
            "2026-11-24T07:59:58.120Z",
        ),
    ];
    for (of, page, dataset, time) in PAGES {
        let (_, below) = page.split_once("```json\n").unwrap();
        let (example, _) = below.split_once("\n```").unwrap();
        check(of, example, time, &[("event.dataset", dataset)]);
    }
}
