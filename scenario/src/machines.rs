//! What goes on by itself: payments, connections and names, scheduled jobs, backups, the noise of the internet.

use crate::{
    Cast, Offset, Topic,
    form::{
        backup::Backup,
        payment,
        suricata::{self, Ends, Signature},
        syslog,
        zeek::{self, Conn},
    },
    random::Random,
    script::Script,
};
use custos_event::Timestamp;

/// Payments an hour, from midnight on: a low before dawn, a first peak at noon.
const PAYMENTS: [i64; 24] = [
    60, 40, 30, 25, 25, 40, 90, 180, 320, 420, 480, 560, 620, 560, 440, 380, 330, 300, 280, 250,
    200, 150, 110, 80,
];
/// Connections and names an hour: the office on top of what never sleeps.
const NETWORK: [i64; 24] = [
    120, 110, 110, 110, 110, 120, 160, 320, 560, 700, 720, 700, 540, 620, 700, 620, 420, 260, 180,
    140, 130, 120, 120, 120,
];
const NAMES: [&str; 8] = [
    "api.payments.example",
    "mail.bank.example",
    "updates.example.com",
    "www.example.org",
    "cdn.static.example.net",
    "time.example.org",
    "crm.bank.example",
    "login.bank.example",
];
/// What sensors report all day and nobody has to get up for.
const SIGNATURES: [Signature; 3] = [
    Signature {
        id: 2_001_219,
        text: "ET SCAN Potential SSH Scan",
        category: "Attempted Information Leak",
        severity: 2,
        action: "allowed",
    },
    Signature {
        id: 2_013_028,
        text: "ET POLICY curl User-Agent Outbound",
        category: "Attempted Information Leak",
        severity: 2,
        action: "allowed",
    },
    Signature {
        id: 2_210_044,
        text: "SURICATA STREAM Packet with invalid timestamp",
        category: "Generic Protocol Command Decode",
        severity: 3,
        action: "allowed",
    },
];
const BACKED_UP: [&str; 4] = ["db-01", "db-02", "crm-01", "pay-01"];

pub(crate) fn play(script: &mut Script, cast: &Cast) {
    for (hour, (payments, network)) in (0..).zip(PAYMENTS.into_iter().zip(NETWORK)) {
        for _ in 0..payments {
            let offset = within(&mut script.random, hour);
            let payment = everyday_payment(&mut script.random, cast);
            script.add(Topic::Payments, offset, |time| payment.line(time));
        }
        for _ in 0..network {
            let offset = within(&mut script.random, hour);
            let time = script.time(offset);
            let (topic, line) = connection(&mut script.random, cast, time);
            script.add(topic, offset, |_| line);
        }
        scanners(script, cast, hour);
        for host in &cast.hosts {
            scheduled(script, &host.name, hour);
        }
        backups(script, hour);
    }
}

fn within(random: &mut Random, hour: i64) -> Offset {
    Offset::at(hour, 0).plus_millis(random.between(0, 3_600_000))
}

/// Some are declined, for reasons of the payer's own.
pub(crate) fn everyday_payment(random: &mut Random, cast: &Cast) -> payment::Payment {
    let made = payment::ordinary(random, cast);
    match random.below(40) {
        0 => made.declined("insufficient funds"),
        1 => made.declined("余额不足"),
        2 => made.declined("expired card"),
        _ => made,
    }
}

/// One connection, as one of the sensors saw it.
pub(crate) fn connection(random: &mut Random, cast: &Cast, time: Timestamp) -> (Topic, String) {
    let person = &cast.people[random.index(cast.people.len())];
    let sort = random.below(20);
    let uid = format!("C{}", random.hex(16));
    if sort < 7 {
        let ends = Ends::new(random, &person.ip, &cast.host("bastion").ip, 53);
        return (Topic::Zeek, zeek::dns(time, &uid, &ends, question(random)));
    }
    let (millis, sent, got) =
        (20 + random.small(9_000), 200 + random.below(9_000), 400 + random.below(90_000));
    let host = &cast.hosts[random.index(cast.hosts.len())];
    let (port, service) =
        random.one_of(&[(443, "ssl"), (443, "ssl"), (80, "http"), (445, "smb"), (8_443, "ssl")]);
    let ends = Ends::new(random, &person.ip, &host.ip, port);
    if sort < 14 {
        let conn = Conn { service, state: "SF", millis, sent, got };
        (Topic::Zeek, zeek::conn(time, &uid, &ends, conn))
    } else {
        let flow_id = random.next() >> 12;
        (Topic::Suricata, suricata::flow(time, flow_id, &ends, sent, got))
    }
}

fn question(random: &mut Random) -> (&'static str, &'static str, &'static str) {
    let name = random.one_of(&NAMES);
    match random.below(30) {
        0 => ("_spf.example.net", "TXT", "NOERROR"),
        1 => ("wpad.bank.example", "A", "NXDOMAIN"),
        2..9 => (name, "AAAA", "NOERROR"),
        _ => (name, "A", "NOERROR"),
    }
}

/// The internet knocks: each address once or twice, then it is gone.
fn scanners(script: &mut Script, cast: &Cast, hour: i64) {
    for _ in 0..6 {
        let random = &mut script.random;
        let from = scanner(random);
        let offset = within(random, hour);
        let (pid, port) = (1_000 + random.below(30_000), 32_768 + random.below(28_000));
        let name = random.one_of(&["admin", "test", "oracle", "ubuntu", "git", "user"]);
        let knocks = if random.once_in(3) {
            vec![format!("Connection closed by {from} port {port} [preauth]")]
        } else {
            vec![
                format!("Invalid user {name} from {from} port {port}"),
                format!("Failed password for invalid user {name} from {from} port {port} ssh2"),
                format!("Connection closed by invalid user {name} {from} port {port} [preauth]"),
            ]
        };
        for (knock, nth) in knocks.iter().zip(0..) {
            let at = offset.plus_millis(nth * 900);
            script.add(Topic::Auth, at, |time| syslog::sshd(time, "bastion", pid, knock));
        }
        let random = &mut script.random;
        let (flow_id, found) = (random.next() >> 12, random.one_of(&SIGNATURES));
        let ends = Ends::new(random, &from, &cast.public(22), 22);
        script.add(Topic::Suricata, offset, |time| suricata::alert(time, flow_id, &ends, found));
    }
}

/// Somebody's machine in a far block of addresses; RFC 6598, as the customers'.
pub(crate) fn scanner(random: &mut Random) -> String {
    format!("100.{}.{}.{}", 64 + random.below(64), random.below(256), 1 + random.below(254))
}

fn scheduled(script: &mut Script, host: &str, hour: i64) {
    for quarter in 0..4 {
        let offset =
            Offset::at(hour, quarter * 15).plus_millis(1_000 + script.random.between(0, 900));
        let pid = 1_000 + script.random.below(30_000);
        let said = [
            "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
            "(root) CMD (command -v debian-sa1 > /dev/null && debian-sa1 1 1)",
            "pam_unix(cron:session): session closed for user root",
        ];
        for (said, nth) in said.into_iter().zip(0..) {
            // Sessions of every other quarter are told; the command always.
            if nth == 1 || quarter % 2 == 0 {
                let at = offset.plus_millis(nth * 20);
                script.add(Topic::Auth, at, |time| syslog::cron(time, host, pid, said));
            }
        }
    }
}

/// A full backup each night, then hourly what has changed; old copies leave one at a time.
fn backups(script: &mut Script, hour: i64) {
    for (name, minute) in BACKED_UP.into_iter().zip([5, 12, 19, 26]) {
        let random = &mut script.random;
        let full = hour == 1;
        let gib = if full { 40 + random.below(80) } else { 1 + random.below(3) };
        let job = Backup {
            job: format!("{name}-{}", if full { "daily" } else { "hourly" }),
            kind: if full { "full" } else { "incremental" },
            result: if random.once_in(30) { "warning" } else { "ok" },
            bytes: (gib << 30) + random.below(1 << 30),
            target: format!("s3://vault/{name}"),
            deleted: u64::from(full),
            user: None,
        };
        let at = Offset::at(hour, minute).plus_millis(random.between(0, 50_000));
        script.add(Topic::Backup, at, |time| job.line(time));
    }
}
