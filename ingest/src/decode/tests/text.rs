//! Golden lines of syslog and of web servers.

use super::{all, check, decoder, received};
use crate::decode::SourceType::{Apache, Auto, Syslog};
use bytes::Bytes;
use custos_event::Flags;

const LINE: &str = "Mar 27 13:06:56 h1 ";
const TIME: &str = "2026-03-27T13:06:56Z";

fn says(tail: &str, expected: &[(&str, &str)]) {
    check(Syslog, &format!("{LINE}{tail}"), TIME, expected);
}

#[test]
fn the_header_is_read_in_each_of_its_forms() {
    says(
        "sshd[42]: x",
        &[
            ("event.module", "linux"),
            ("event.dataset", "linux.sshd"),
            ("host.name", "h1"),
            ("host.hostname", "h1"),
            ("process.name", "sshd"),
            ("process.pid", "42"),
            ("message", "x"),
        ],
    );
    check(
        Syslog,
        "<34>1 2026-11-24T07:00:00.003Z h.example.org su 7 ID47 [x@1 a=\"b \\] c\"][y] \u{feff}'su root' failed",
        "2026-11-24T07:00:00.003Z",
        &[
            ("syslog.facility", "4"),
            ("syslog.severity", "2"),
            ("syslog.msgid", "ID47"),
            ("host.name", "h.example.org"),
            ("process.pid", "7"),
            ("event.dataset", "linux.su"),
            ("message", "'su root' failed"),
        ],
    );
    check(
        Syslog,
        "<13>Oct 11 22:14:15 sshd: no host here",
        "2026-10-11T22:14:15Z",
        &[("host.name", ""), ("process.name", "sshd"), ("message", "no host here")],
    );
    check(
        Syslog,
        "2026-11-24T08:00:00.123456+01:00 h2 kernel: [ 1.0] up",
        "2026-11-24T07:00:00.123456Z",
        &[("event.dataset", "linux.kernel"), ("message", "[ 1.0] up")],
    );
    check(
        Syslog,
        "<13>just words without a tag",
        "2026-11-24T08:00:00Z",
        &[("event.dataset", "linux.syslog"), ("message", "just words without a tag")],
    );
    says("My.App v2: hm", &[("event.dataset", "linux.syslog"), ("message", "My.App v2: hm")]);
    says("My.App: hm", &[("event.dataset", "linux.my-app"), ("process.name", "My.App")]);
}

#[test]
fn sshd_tells_who_came_in_and_who_did_not() {
    let login = |outcome| [("event.action", "ssh-login"), ("event.outcome", outcome)];
    let from = [("source.ip", "192.0.2.1"), ("source.port", "4000")];
    says(
        "sshd[1]: Accepted publickey for kim from 192.0.2.1 port 4000 ssh2: RSA SHA256:x",
        &[&login("success")[..], &from, &[("user.name", "kim"), ("event.reason", "publickey")]]
            .concat(),
    );
    for (who, user) in [
        ("kim", "kim"),
        ("invalid user kim", "kim"),
        ("invalid user a from b", "a from b"),
        ("invalid user ", ""),
    ] {
        says(
            &format!("sshd[1]: Failed password for {who} from 192.0.2.1 port 4000 ssh2"),
            &[&login("failure")[..], &from, &[("user.name", user), ("event.reason", "password")]]
                .concat(),
        );
    }
    says(
        "sshd[1]: message repeated 2 times: [ Failed password for root from 192.0.2.1 port 4000 ssh2]",
        &[&login("failure")[..], &from, &[("user.name", "root")]].concat(),
    );
    for (message, action, user) in [
        ("Invalid user ad min from 192.0.2.1 port 4000", "ssh-invalid-user", "ad min"),
        ("Invalid user  from 192.0.2.1 port 4000", "ssh-invalid-user", ""),
        (
            "error: maximum authentication attempts exceeded for invalid user x from 192.0.2.1 port 4000 ssh2 [preauth]",
            "ssh-attempts-exceeded",
            "x",
        ),
        (
            "Disconnected from invalid user a b 192.0.2.1 port 4000 [preauth]",
            "ssh-disconnected",
            "a b",
        ),
        (
            "Connection closed by authenticating user kim 192.0.2.1 port 4000 [preauth]",
            "ssh-connection-closed",
            "kim",
        ),
        ("Connection closed by 192.0.2.1 port 4000 [preauth]", "ssh-connection-closed", ""),
        ("Received disconnect from 192.0.2.1 port 4000:11: bye", "ssh-disconnected", ""),
        ("Connection from 192.0.2.1 port 4000 on 10.0.0.1 port 22", "ssh-connected", ""),
    ] {
        says(
            &format!("sshd[1]: {message}"),
            &[&from[..], &[("event.action", action), ("user.name", user)]].concat(),
        );
    }
    says("sshd[1]: Received disconnect from 192.0.2.1: 11: bye", &[("source.ip", "192.0.2.1")]);
    says(
        "sshd[1]: Address 192.0.2.1 maps to x.example.org, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT!",
        &[("event.action", "ssh-reverse-lookup-mismatch"), ("source.ip", "192.0.2.1")],
    );
}

#[test]
fn pam_speaks_through_every_program() {
    says(
        "sudo: pam_unix(sudo:session): session opened for user root by kim(uid=1000)",
        &[
            ("event.action", "session-opened"),
            ("service.name", "sudo"),
            ("user.name", "kim"),
            ("user.effective.name", "root"),
        ],
    );
    says(
        "sshd[1]: pam_unix(sshd:session): session closed for user kim",
        &[("event.action", "session-closed"), ("user.name", "kim"), ("event.outcome", "")],
    );
    for said in [
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=kim",
        "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=kim",
    ] {
        says(
            &format!("sshd[1]: {said}"),
            &[
                ("event.action", "authentication-failed"),
                ("event.outcome", "failure"),
                ("source.ip", "192.0.2.1"),
                ("user.name", "kim"),
            ],
        );
    }
}

#[test]
fn commands_run_under_another_name_are_told() {
    says(
        "sudo:      kim : TTY=pts/0 ; PWD=/home/kim ; USER=root ; COMMAND=/usr/bin/id -u ; x=1",
        &[
            ("event.action", "sudo-command"),
            ("event.outcome", "success"),
            ("user.name", "kim"),
            ("user.effective.name", "root"),
            ("process.name", "sudo"),
            ("process.command_line", "/usr/bin/id -u ; x=1"),
            ("process.executable", "/usr/bin/id"),
            ("process.working_directory", "/home/kim"),
        ],
    );
    says(
        "sudo: kim : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
        &[("event.outcome", "failure"), ("event.reason", "3 incorrect password attempts")],
    );
    says(
        "su[3]: FAILED SU (to root) kim on pts/0",
        &[("event.action", "su"), ("event.outcome", "failure"), ("user.name", "kim")],
    );
    says(
        "CRON[9]: (root) CMD (cd / && run-parts /etc/cron.hourly)",
        &[
            ("event.dataset", "linux.cron"),
            ("event.action", "cron-command"),
            ("user.name", "root"),
            ("process.command_line", "cd / && run-parts /etc/cron.hourly"),
        ],
    );
}

#[test]
fn openssh_is_one_source_however_many_programs_it_is() {
    for program in ["sshd", "sshd-session", "sshd-auth"] {
        says(
            &format!("{program}[5]: Failed password for kim from 192.0.2.7 port 4711 ssh2"),
            &[
                ("event.dataset", "linux.sshd"),
                ("event.action", "ssh-login"),
                ("process.name", program),
            ],
        );
    }
}

#[test]
fn changes_of_accounts_are_told() {
    says(
        "useradd[5]: new user: name=kim, UID=1001, GID=1002, home=/home/kim, shell=/bin/bash",
        &[
            ("event.action", "user-added"),
            ("user.name", "kim"),
            ("user.id", "1001"),
            ("group.id", "1002"),
        ],
    );
    says(
        "usermod[5]: add 'kim' to group 'sudo'",
        &[("event.action", "user-added-to-group"), ("user.name", "kim"), ("group.name", "sudo")],
    );
    says(
        "usermod[5]: delete 'kim' from group 'sudo'",
        &[
            ("event.action", "user-removed-from-group"),
            ("user.name", "kim"),
            ("group.name", "sudo"),
        ],
    );
    says("usermod[5]: add 'kim' to shadow group 'sudo'", &[("event.action", "")]);
    says(
        "gpasswd[5]: user kim added by root to group wheel",
        &[("event.action", "user-added-to-group"), ("user.name", "kim"), ("group.name", "wheel")],
    );
    says(
        "gpasswd[5]: user kim removed by root from group wheel",
        &[
            ("event.action", "user-removed-from-group"),
            ("user.name", "kim"),
            ("group.name", "wheel"),
        ],
    );
    says(
        "useradd[5]: failed adding user 'kim', data deleted",
        &[("event.action", "user-added"), ("event.outcome", "failure"), ("user.name", "kim")],
    );
    says(
        "systemd-logind[6]: New session 7 of user kim.",
        &[
            ("event.dataset", "linux.systemd-logind"),
            ("event.action", "session-opened"),
            ("user.name", "kim"),
        ],
    );
}

#[test]
fn access_lines_are_read_in_each_of_their_forms() {
    let rest = r#"[24/Nov/2026:09:00:00 +0200] "GET /a/b?c=d HTTP/1.1" 404 17"#;
    let expected = [
        ("event.dataset", "apache.access"),
        ("event.outcome", "failure"),
        ("source.ip", "192.0.2.1"),
        ("user.name", "kim"),
        ("http.request.method", "GET"),
        ("url.original", "/a/b?c=d"),
        ("url.path", "/a/b"),
        ("url.query", "c=d"),
        ("http.version", "1.1"),
        ("http.response.status_code", "404"),
        ("http.response.body.bytes", "17"),
    ];
    let time = "2026-11-24T07:00:00Z";
    check(Apache, &format!("192.0.2.1 - kim {rest}"), time, &expected);
    let agents = [("http.request.referrer", "http://r/"), ("user_agent.original", r#"a \" b"#)];
    check(
        Apache,
        &format!(r#"192.0.2.1 - kim {rest} "http://r/" "a \" b""#),
        time,
        &[&expected[..], &agents].concat(),
    );
    check(
        Apache,
        &format!("www.example.org:443 192.0.2.1 - kim {rest}"),
        time,
        &[&expected[..], &[("url.domain", "www.example.org")]].concat(),
    );
    check(
        Apache,
        r#"host.example.org - - [24/Nov/2026:09:00:00 +0200] "\x16\x03" 400 - "-" "cut off"#,
        time,
        &[
            ("source.address", "host.example.org"),
            ("url.original", r"\x16\x03"),
            ("http.response.body.bytes", ""),
            ("http.request.referrer", ""),
            ("user_agent.original", "cut off"),
        ],
    );
}

#[test]
fn bytes_that_are_no_utf8_are_kept_and_flagged() {
    let raw = Bytes::from_static(b"Mar 27 13:06:56 h app: caf\xe9");
    let mut decoder = decoder(Auto);
    let event = decoder.decode(raw.clone(), received());
    assert_eq!(event.raw, raw);
    assert!(event.header.flags.has(Flags::NOT_UTF8));
    assert_eq!(all(&decoder, &event, "message"), "caf\u{fffd}");
}
