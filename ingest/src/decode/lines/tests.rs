//! Golden lines of each format.

use crate::decode::{DecodeOptions, Decoder, SourceType};
use custos_event::{FieldTable, Timestamp};
use proptest::prelude::*;
use std::sync::Arc;

fn decoder(table: &Arc<FieldTable>) -> Decoder {
    Decoder::new(Arc::clone(table), DecodeOptions::new(SourceType::Auto, "test".into()))
}

/// Reads one line as `auto` and compares what the fields hold.
fn check(raw: &str, expected: &[(&str, &str)]) {
    let table = Arc::new(FieldTable::new());
    let received = "2026-11-24T08:00:00Z".parse().unwrap();
    let event = decoder(&table).decode(raw.to_owned().into(), received);
    assert_eq!(event.header.rejection, None, "{raw}");
    for (field, value) in expected {
        let found = match *field {
            "time" => event.header.time.to_string(),
            field => {
                let values = event.all(table.get(field).unwrap_or_else(|| panic!("no {field}")));
                values.map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
            }
        };
        assert_eq!(found, *value, "{field} of {raw}");
    }
}

#[test]
fn cef_is_read_with_its_escapes_and_its_values_of_many_words() {
    let line = r"CEF:0|Acme\|Co|Wall|1.2|100|Port scan\\x|8|src=192.0.2.7 spt=4711 dst=10.0.0.1 dpt=22 proto=TCP suser=mia act=blocked rt=1700000000000 msg=a\=b and more words cs1Label=Zone";
    let expected = [
        ("event.dataset", "cef.event"),
        ("observer.vendor", "Acme|Co"),
        ("observer.product", "Wall"),
        ("event.code", "100"),
        ("rule.name", r"Port scan\x"),
        ("event.severity", "8"),
        ("source.ip", "192.0.2.7"),
        ("source.port", "4711"),
        ("destination.ip", "10.0.0.1"),
        ("network.transport", "tcp"),
        ("user.name", "mia"),
        ("event.action", "blocked"),
        ("event.outcome", "failure"),
        ("message", "a=b and more words"),
        ("cef.cs1Label", "Zone"),
        ("time", "2023-11-14T22:13:20Z"),
    ];
    check(line, &expected);
    check(&format!("<134>Nov 24 07:59:00 wall1 {line}"), &expected);
    check(&format!("<134>Nov 24 07:59:00 wall1 {line}"), &[("host.name", "wall1")]);
    check(&format!("<134>1 2026-11-24T07:59:00Z wall1 - - - - {line}"), &expected);
}

#[test]
fn leef_is_read_in_both_versions() {
    let expected = [
        ("event.dataset", "leef.event"),
        ("observer.product", "Wall"),
        ("event.code", "deny"),
        ("source.ip", "192.0.2.7"),
        ("destination.port", "22"),
        ("user.name", "mia"),
        ("event.severity", "5"),
    ];
    check("LEEF:1.0|Acme|Wall|1|deny|src=192.0.2.7\tdstPort=22\tusrName=mia\tsev=5", &expected);
    for delimiter in ["^", "x5E", "0x5e"] {
        let line = format!(
            "LEEF:2.0|Acme|Wall|1|deny|{delimiter}|src=192.0.2.7^dstPort=22^usrName=mia^sev=5"
        );
        check(&format!("<13>Nov 24 07:59:00 wall1 {line}"), &expected);
    }
    check("LEEF:2.0|Acme|Wall|1|deny||src=192.0.2.7\tdstPort=22\tusrName=mia\tsev=5", &expected);
}

#[test]
fn auditd_is_read_with_its_hexadecimal_values() {
    check(
        r#"type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2 success=no exit=-13 ppid=2686 pid=3538 auid=500 uid=500 comm="cat" exe="/bin/cat" key="sshd_config""#,
        &[
            ("event.dataset", "auditd.log"),
            ("event.id", "1364481363.243:24287"),
            ("event.sequence", "24287"),
            ("event.action", "syscall"),
            ("event.outcome", "failure"),
            ("process.executable", "/bin/cat"),
            ("process.name", "cat"),
            ("process.pid", "3538"),
            ("process.parent.pid", "2686"),
            ("user.id", "500"),
            ("rule.name", "sshd_config"),
            ("auditd.type", "SYSCALL"),
            ("auditd.arch", "c000003e"),
            ("time", "2013-03-28T14:36:03.243Z"),
        ],
    );
    check(
        "type=PROCTITLE msg=audit(1364481363.243:24287): proctitle=636174002F6574632F706173737764",
        &[
            ("process.command_line", "cat /etc/passwd"),
            // The same as that of the record above: by it a search finds both.
            ("event.id", "1364481363.243:24287"),
        ],
    );
    check(
        r#"<85>Nov 24 07:59:00 gate audit: type=EXECVE msg=audit(1364481363.243:7): argc=3 a0="sh" a1="-c" a2=6563686F206869"#,
        &[
            ("process.command_line", "sh -c echo hi"),
            ("auditd.a2", "echo hi"),
            ("host.name", "gate"),
        ],
    );
    check(
        r#"node=gate type=USER_LOGIN msg=audit(1364481363.243:8): pid=1 uid=0 msg='op=login acct="root" exe="/usr/sbin/sshd" hostname=? addr=192.0.2.7 terminal=ssh res=failed'"#,
        &[
            ("host.name", "gate"),
            ("user.name", "root"),
            ("source.ip", "192.0.2.7"),
            ("event.outcome", "failure"),
            ("event.category", "authentication"),
            ("process.executable", "/usr/sbin/sshd"),
        ],
    );
    // In quotes, letters that could be hexadecimal are letters.
    check(r#"type=SYSCALL msg=audit(1.0:1): comm="CAFE" exe="/a""#, &[("process.name", "CAFE")]);
}

#[test]
fn packet_filters_tell_who_was_kept_from_whom() {
    check(
        "<4>Nov 24 07:59:00 gate kernel: [123.456] [UFW BLOCK] IN=eth0 OUT= MAC=00:11 SRC=192.0.2.7 DST=10.0.0.1 LEN=60 TTL=51 DF PROTO=TCP SPT=4711 DPT=22 SYN URGP=0",
        &[
            ("event.dataset", "netfilter.log"),
            ("rule.name", "UFW BLOCK"),
            ("event.action", "deny"),
            ("event.outcome", "failure"),
            ("source.ip", "192.0.2.7"),
            ("destination.port", "22"),
            ("network.transport", "tcp"),
            ("observer.ingress.interface.name", "eth0"),
            ("host.name", "gate"),
        ],
    );
    check(
        "<134>Nov 24 07:59:00 pf filterlog[77]: 5,,,1000000103,igb0,match,block,in,4,0x0,,64,0,0,DF,6,tcp,60,192.0.2.7,10.0.0.1,4711,22,0,S,1,,64240,,mss",
        &[
            ("event.dataset", "pfsense.filterlog"),
            ("event.action", "block"),
            ("network.direction", "inbound"),
            ("source.ip", "192.0.2.7"),
            ("destination.port", "22"),
            ("network.transport", "tcp"),
            ("rule.id", "1000000103"),
        ],
    );
    check(
        "<134>Nov 24 07:59:00 pf filterlog: 5,,,1000000105,igb0,match,pass,out,6,0x00,0x0,255,ICMPv6,58,32,fe80::1,ff02::1,",
        &[
            ("event.outcome", "success"),
            ("source.ip", "fe80::1"),
            ("network.direction", "outbound"),
        ],
    );
}

#[test]
fn pairs_are_read_with_and_without_quotes() {
    check(
        r#"date=2026-11-24 time=07:59:58 devname="FGT" logid="0100032002" level="alert" user="ad\"min" srcip=192.0.2.7 dstport=22 action="deny" msg="Login failed, twice""#,
        &[
            ("event.dataset", "kv.generic"),
            ("host.name", "FGT"),
            ("user.name", "ad\"min"),
            ("source.ip", "192.0.2.7"),
            ("destination.port", "22"),
            ("event.action", "deny"),
            ("event.outcome", "failure"),
            ("message", "Login failed, twice"),
            ("kv.logid", "0100032002"),
            ("time", "2026-11-24T07:59:58Z"),
        ],
    );
    check(
        "time=2026-11-24T07:59:58Z level=info method=GET path=/a status=200",
        &[("http.response.status_code", "200"), ("time", "2026-11-24T07:59:58Z")],
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reading_panic(
        text in "(CEF:0|LEEF:2\\.0|type=A msg=audit\\(|IN= OUT= SRC= DST=|a=b c=d e=)?[|=\\\\\"' a-zA-Z0-9:.,)(\t^\u{e9}]{0,80}",
        program in "(<13>Nov 24 07:59:00 h (filterlog|kernel|CEF|audit): )?",
    ) {
        let table = Arc::new(FieldTable::new());
        let raw = format!("{program}{text}");
        let event = decoder(&table).decode(raw.into(), Timestamp::from_secs(1));
        prop_assert!(event.raw.len() <= 256);
    }
}
