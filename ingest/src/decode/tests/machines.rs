//! Golden events of Windows hosts and network sensors.

use super::{all, check, decoder, received};
use crate::decode::SourceType::{Suricata, WindowsEvtx, WindowsNxlog, Winlogbeat, Zeek};
use custos_event::Flags;

#[test]
fn security_events_tell_who_logged_on_and_what_was_started() {
    check(
        WindowsEvtx,
        r##"{"Event":{"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Security-Auditing"}},"EventID":4625,"Keywords":"0x8010000000000000","TimeCreated":{"#attributes":{"SystemTime":"2026-11-24T07:00:00.1234567Z"}},"Channel":"Security","Computer":"dc1.example.org"},"EventData":{"TargetUserName":"eve","TargetDomainName":"EX","SubjectUserName":"-","IpAddress":"::ffff:192.0.2.1","IpPort":"50123","WorkstationName":"-"}}}"##,
        "2026-11-24T07:00:00.1234567Z",
        &[
            ("event.module", "windows"),
            ("event.dataset", "windows.security"),
            ("event.code", "4625"),
            ("event.action", "logon-failed"),
            ("event.outcome", "failure"),
            ("event.provider", "Microsoft-Windows-Security-Auditing"),
            ("host.name", "dc1.example.org"),
            ("user.name", "eve"),
            ("user.domain", "EX"),
            ("source.ip", "192.0.2.1"),
            ("source.port", "50123"),
            ("source.domain", ""),
        ],
    );
    check(
        WindowsEvtx,
        r##"{"Event":{"System":{"EventID":{"#text":"4688"},"Keywords":"0x8020000000000000","TimeCreated":{"#attributes":{"SystemTime":"2026-11-24T07:00:00Z"}},"Channel":"Security"},"EventData":{"SubjectUserName":"kim","TargetUserName":"-","NewProcessId":"0x1a74","ProcessId":"0x10","NewProcessName":"C:\\Windows\\System32\\whoami.exe","ParentProcessName":"C:\\a b\\cmd.exe","CommandLine":"whoami /all"}}}"##,
        "2026-11-24T07:00:00Z",
        &[
            ("event.action", "created-process"),
            ("event.outcome", "success"),
            ("user.name", "kim"),
            ("user.target.name", ""),
            ("process.pid", "6772"),
            ("process.name", "whoami.exe"),
            ("process.executable", r"C:\Windows\System32\whoami.exe"),
            ("process.command_line", "whoami /all"),
            ("process.parent.pid", "16"),
            ("process.parent.name", "cmd.exe"),
        ],
    );
}

#[test]
fn the_outcome_of_an_audit_is_in_its_keywords_or_its_status() {
    for (more, outcome) in [
        (r#""EventID":4673,"Keywords":-9214364837600034816"#, "success"),
        (r#""EventID":4673,"Keywords":-9218868437227405312"#, "failure"),
        (r#""EventID":4673,"EventType":"AUDIT_FAILURE""#, "failure"),
        (r#""EventID":4776,"Status":"0x0""#, "success"),
        (r#""EventID":4776,"Status":"0xc000006a""#, "failure"),
        (r#""EventID":4689,"Status":"0x1""#, ""),
    ] {
        let raw = format!(r#"{{"Channel":"Security","EventTime":"2026-11-24T07:00:00Z",{more}}}"#);
        check(WindowsNxlog, &raw, "2026-11-24T07:00:00Z", &[("event.outcome", outcome)]);
    }
}

#[test]
fn sysmon_events_of_both_shapes_reach_the_same_fields() {
    let expected = [
        ("event.dataset", "windows.sysmon"),
        ("event.action", "process-created"),
        ("process.name", "a.exe"),
        ("process.pid", "77"),
        ("process.parent.executable", r"C:\b.exe"),
        ("process.hash.sha256", "0a"),
        ("process.hash.imphash", "0b"),
        ("user.name", "kim"),
        ("user.domain", "EX"),
        ("winlog.event_data.Image", r"C:\x\a.exe"),
    ];
    check(
        WindowsEvtx,
        r##"{"Event":{"System":{"EventID":1,"TimeCreated":{"#attributes":{"SystemTime":"2026-11-24T07:00:01Z"}},"Channel":"Microsoft-Windows-Sysmon/Operational"},"EventData":{"UtcTime":"2026-11-24 07:00:00.000","Image":"C:\\x\\a.exe","ProcessId":77,"ParentImage":"C:\\b.exe","Hashes":"SHA256=0A,IMPHASH=0B","User":"EX\\kim"}}}"##,
        "2026-11-24T07:00:01Z",
        &expected,
    );
    check(
        WindowsNxlog,
        r#"{"@timestamp":"2026-11-24T09:00:00Z","UtcTime":"2026-11-24 07:00:00.000","EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Image":"C:\\x\\a.exe","ProcessId":"77","ParentImage":"C:\\b.exe","Hashes":"SHA256=0A,IMPHASH=0B","User":"EX\\kim"}"#,
        "2026-11-24T07:00:00Z",
        &expected,
    );
}

#[test]
fn sysmon_events_of_the_other_kinds_fill_their_fields() {
    let sysmon = |id: u16, more: &str| {
        format!(
            r#"{{"EventID":{id},"Channel":"Microsoft-Windows-Sysmon/Operational","UtcTime":"2026-11-24 07:00:00",{more}}}"#
        )
    };
    for (id, more, expected) in [
        (
            3,
            r#""SourceIp":"10.0.0.1","SourcePort":"1","DestinationIp":"10.0.0.2","DestinationPort":443,"Protocol":"tcp","Initiated":"true""#,
            &[
                ("source.ip", "10.0.0.1"),
                ("destination.port", "443"),
                ("network.direction", "egress"),
            ][..],
        ),
        (
            7,
            r#""ImageLoaded":"C:\\l.dll","Hashes":"SHA256=CC""#,
            &[("dll.name", "l.dll"), ("dll.hash.sha256", "cc")],
        ),
        (
            11,
            r#""TargetFilename":"C:\\d\\f.txt""#,
            &[("file.path", r"C:\d\f.txt"), ("file.name", "f.txt")],
        ),
        (
            13,
            r#""TargetObject":"HKLM\\Run\\x","Details":"y""#,
            &[("registry.path", r"HKLM\Run\x"), ("registry.data.strings", "y")],
        ),
        (
            22,
            r#""QueryName":"example.org","QueryStatus":"0""#,
            &[("dns.question.name", "example.org")],
        ),
    ] {
        check(WindowsNxlog, &sysmon(id, more), "2026-11-24T07:00:00Z", expected);
    }
}

#[test]
fn nxlog_times_are_taken_in_the_stated_order() {
    for (times, time, flags) in [
        (
            r#""UtcTime":"2026-11-24 07:00:00","EventTime":"2026-11-24 03:00:00""#,
            "2026-11-24T07:00:00Z",
            Flags(0),
        ),
        (
            r#""@timestamp":"2026-11-24T07:30:00Z","EventTime":"2026-11-24 03:00:00""#,
            "2026-11-24T07:30:00Z",
            Flags(0),
        ),
        (
            r#""@timestamp":"2026-11-24T07:30:00Z","EventTime":"2026-11-24T03:00:00-04:00""#,
            "2026-11-24T07:00:00Z",
            Flags(0),
        ),
        (
            r#""UtcTime":"-","EventTime":"2026-11-24 07:00:00""#,
            "2026-11-24T07:00:00Z",
            Flags::TIME_COMPLETED,
        ),
        (
            r#""EventReceivedTime":"2026-11-24 07:00:00""#,
            "2026-11-24T07:00:00Z",
            Flags::TIME_COMPLETED,
        ),
        (r#""EventTime":"soon""#, "2026-11-24T08:00:00Z", Flags::NO_TIME),
    ] {
        let raw = format!(r#"{{"EventID":1,"Channel":"System",{times}}}"#);
        check(WindowsNxlog, &raw, time, &[("event.dataset", "windows.system")]);
        assert_eq!(
            decoder(WindowsNxlog).decode(raw.into(), received()).header.flags,
            flags,
            "{times}"
        );
    }
}

#[test]
fn winlogbeat_old_and_new_reach_the_same_names() {
    let expected = [
        ("event.dataset", "windows.security"),
        ("event.code", "4624"),
        ("event.action", "logged-in"),
        ("host.name", "w1"),
        ("user.name", "kim"),
        ("winlog.event_data.TargetUserName", "kim"),
    ];
    check(
        Winlogbeat,
        r#"{"@timestamp":"2026-11-24T07:00:00Z","event":{"code":"4624","kind":"event"},"host":{"name":"w1"},"winlog":{"channel":"Security","event_id":"4624","computer_name":"w1.example.org","event_data":{"TargetUserName":"kim"}}}"#,
        "2026-11-24T07:00:00Z",
        &expected,
    );
    check(
        Winlogbeat,
        r#"{"@timestamp":"2026-11-24T07:00:00Z","event_id":4624,"log_name":"Security","computer_name":"w1","event_data":{"TargetUserName":"kim"}}"#,
        "2026-11-24T07:00:00Z",
        &expected,
    );
    check(
        Winlogbeat,
        r#"{"@timestamp":"2026-11-24T07:00:00Z","ecs":{"version":"8.0"},"event":{"dataset":"nginx.access","module":"nginx"},"source":{"ip":"192.0.2.3"}}"#,
        "2026-11-24T07:00:00Z",
        &[("event.dataset", "nginx.access"), ("event.module", "nginx"), ("source.ip", "192.0.2.3")],
    );
    // As the ECS loggers of Java, Python and .NET write it: names with dots.
    check(
        Winlogbeat,
        r#"{"@timestamp":"2026-11-24T07:00:00.120Z","log.level":"ERROR","message":"no route","ecs.version":"1.2.0","service.name":"billing","event.dataset":"billing.log","process.thread.name":"main","log.logger":"app.Router","host.name":"shop"}"#,
        "2026-11-24T07:00:00.120Z",
        &[
            ("event.dataset", "billing.log"),
            ("event.module", "ecs"),
            ("log.level", "ERROR"),
            ("log.logger", "app.Router"),
            ("service.name", "billing"),
            ("host.name", "shop"),
            ("process.thread.name", "main"),
        ],
    );
}

#[test]
fn zeek_of_both_shapes_reaches_the_same_names() {
    let expected = [
        ("event.dataset", "zeek.conn"),
        ("event.id", "C1"),
        ("source.ip", "10.0.0.1"),
        ("source.port", "5000"),
        ("destination.ip", "10.0.0.2"),
        ("destination.port", "53"),
        ("network.transport", "udp"),
        ("network.protocol", "dns"),
        ("source.bytes", "39"),
        ("zeek.id.orig_h", "10.0.0.1"),
    ];
    check(
        Zeek,
        r#"{"_path":"conn","ts":1795503600.5,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":5000,"id.resp_h":"10.0.0.2","id.resp_p":53,"proto":"udp","service":"dns","orig_bytes":39}"#,
        "2026-11-24T07:00:00.5Z",
        &expected,
    );
    check(
        Zeek,
        r#"{"@stream":"conn","@system":"s1","ts":1795503600.5,"uid":"C1","id_orig_h":"10.0.0.1","id_orig_p":5000,"id_resp_h":"10.0.0.2","id_resp_p":53,"proto":"udp","service":"dns","orig_bytes":39}"#,
        "2026-11-24T07:00:00.5Z",
        &expected,
    );
    check(
        Zeek,
        r#"{"_path":"dns","ts":"2026-11-24T07:00:00Z","uid":"C2","query":"example.org","qtype_name":"A","rcode_name":"NXDOMAIN"}"#,
        "2026-11-24T07:00:00Z",
        &[
            ("dns.question.name", "example.org"),
            ("dns.response_code", "NXDOMAIN"),
            ("dns.question.type", "A"),
        ],
    );
}

#[test]
fn suricata_alerts_tell_the_rule_and_the_application() {
    check(
        Suricata,
        r#"{"timestamp":"2026-11-24T09:00:00.000001+0200","flow_id":41,"event_type":"alert","src_ip":"192.0.2.1","src_port":4000,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","app_proto":"http","alert":{"action":"blocked","signature_id":9,"signature":"S","category":"C","severity":1},"http":{"hostname":"h","url":"/x","http_method":"GET","status":404}}"#,
        "2026-11-24T07:00:00.000001Z",
        &[
            ("event.module", "suricata"),
            ("event.dataset", "suricata.eve"),
            ("event.kind", "alert"),
            ("event.action", "alert"),
            ("event.outcome", "failure"),
            ("rule.id", "9"),
            ("rule.name", "S"),
            ("source.ip", "192.0.2.1"),
            ("network.transport", "tcp"),
            ("url.original", "/x"),
            ("http.response.status_code", "404"),
            ("suricata.eve.alert.severity", "1"),
        ],
    );
}

#[test]
fn channels_that_never_end_do_not_fill_the_memory() {
    let mut decoder = decoder(WindowsNxlog);
    for n in 0..2_000 {
        let event =
            decoder.decode(format!(r#"{{"EventID":1,"Channel":"Ch {n}"}}"#).into(), received());
        assert_eq!(all(&decoder, &event, "event.dataset"), format!("windows.ch-{n}"));
    }
}
