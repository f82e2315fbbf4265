//! What looks bad and is not: each breaks one part of what a rule asks for. None of it may raise an alert.

use crate::{
    Cast, Offset, Topic,
    form::{
        backup::Backup,
        crm::Crm,
        door::Access,
        payment::{self, ThreeDs},
        suricata::{self, Ends, Signature},
        syslog, windows,
        zeek::{self, Conn},
    },
    script::Script,
};

pub(crate) fn play(script: &mut Script, cast: &Cast) {
    doors(script, cast);
    sign_ins(script, cast);
    payments(script, cast);
    network(script, cast);
    office(script, cast);
}

fn at(script: &mut Script, hour: i64) -> Offset {
    Offset::at(hour, 0).plus_millis(script.random.between(0, 3_600_000))
}

fn doors(script: &mut Script, cast: &Cast) {
    let (late, new, full) = (&cast.staff()[0], &cast.staff()[1], &cast.staff()[2]);
    let offset = at(script, 21);
    let refused = Access::denied(late, late.site.entrance, "outside schedule");
    script.add(Topic::Doors, offset, |time| refused.line(time));
    let offset = at(script, 9);
    let reason = "replacement of a lost badge";
    let replaced = Access { reason, ..Access::granted(new, new.site.entrance, "in") };
    script.add(Topic::Doors, offset, |time| replaced.line(time));
    // A delivery: the entrance stands open, and it is the entrance.
    let offset = at(script, 10);
    let held = Access { held: true, ..Access::granted(full, full.site.entrance, "in") };
    script.add(Topic::Doors, offset, |time| held.line(time));
    let offset = at(script, 14);
    let not_hers = Access::denied(full, full.site.secure, "no permission for this door");
    script.add(Topic::Doors, offset, |time| not_hers.line(time));
}

/// After the holidays: the password is wrong twice, then right. An administrator mistypes at sudo.
fn sign_ins(script: &mut Script, cast: &Cast) {
    for (admin, hour) in cast.admins().iter().zip(9..) {
        let offset = at(script, hour);
        let pid = 1_000 + script.random.below(30_000);
        let (login, ip) = (&admin.login, &admin.ip);
        for (word, secs) in [("Failed", 0), ("Failed", 6), ("Accepted", 15)] {
            let said = format!("{word} password for {login} from {ip} port 50022 ssh2");
            let host = &cast.host("web-01").name;
            script.add(Topic::Auth, offset.plus_secs(secs), |t| syslog::sshd(t, host, pid, &said));
        }
        let host = &cast.host("db-01").name;
        let command = "/bin/bash";
        let postgres = offset.plus_minutes(2);
        script.add(Topic::Auth, postgres, |t| syslog::sudo(t, host, login, "postgres", command));
        if hour == 10 {
            let mistyped = offset.plus_minutes(3);
            script.add(Topic::Auth, mistyped, |t| syslog::sudo_refused(t, host, login, command));
        }
    }
    // Root at the console of the backup machine, from the rack's own network.
    let (offset, ip) = (at(script, 11), cast.host("bastion").ip.clone());
    let said = format!("Accepted password for root from {ip} port 50122 ssh2");
    script.add(Topic::Auth, offset, |time| syslog::sshd(time, "backup-01", 2_211, &said));
}

fn payments(script: &mut Script, cast: &Cast) {
    for hour in [8, 10, 12, 13, 17] {
        let customer = &cast.customers[script.random.index(cast.customers.len())];
        // Somebody's card is empty, and they try it again and again.
        let offset = at(script, hour);
        for retry in 0..3 {
            let tried =
                payment::online(&mut script.random, customer).declined("insufficient funds");
            script.add(Topic::Payments, offset.plus_secs(retry * 45), |time| tried.line(time));
        }
        // Authentication failed, and the payment was declined as it should be.
        let offset = at(script, hour);
        let mut refused =
            payment::online(&mut script.random, customer).declined("authentication failed");
        refused.step_up = true;
        refused.three_ds = Some(ThreeDs { status: "N", eci: "07" });
        script.add(Topic::Payments, offset, |time| refused.line(time));
        // Large, without a question, yet known to the issuer.
        let offset = at(script, hour);
        let mut known = payment::online(&mut script.random, customer);
        known.amount = 100_000 + script.random.below(150_000);
        known.step_up = false;
        known.three_ds = Some(payment::PROVED);
        script.add(Topic::Payments, offset, |time| known.line(time));
    }
}

const BLOCKED: Signature = Signature {
    id: 2_034_647,
    text: "ET EXPLOIT Apache log4j RCE Attempt (http ldap)",
    category: "Attempted Administrator Privilege Gain",
    severity: 1,
    action: "blocked",
};

fn network(script: &mut Script, cast: &Cast) {
    for hour in [3, 9, 15, 20] {
        let offset = at(script, hour);
        let random = &mut script.random;
        let from = format!("100.{}.7.{}", 64 + random.below(64), 1 + random.below(254));
        let (flow_id, uid) = (random.next() >> 12, format!("C{}", random.hex(16)));
        let ends = Ends::new(random, &from, &cast.public(10), 443);
        script.add(Topic::Suricata, offset, |time| suricata::alert(time, flow_id, &ends, BLOCKED));
        // Remote desktop: refused from outside, and used from inside.
        let ends = Ends::new(&mut script.random, &from, &cast.public(20), 3_389);
        let refused = Conn { service: "", state: "REJ", millis: 1, sent: 0, got: 0 };
        script.add(Topic::Zeek, offset.plus_secs(5), |time| zeek::conn(time, &uid, &ends, refused));
        let (admin, other) = (&cast.admins()[0], &cast.staff()[3]);
        let ends = Ends::new(&mut script.random, &admin.ip, &other.ip, 3_389);
        let (millis, sent, got) = (340_000, 81_230, 1_441_200);
        let used = Conn { service: "rdp", state: "SF", millis, sent, got };
        script.add(Topic::Zeek, offset.plus_secs(90), |time| zeek::conn(time, &uid, &ends, used));
    }
    for hour in 8..18 {
        let offset = at(script, hour);
        let random = &mut script.random;
        let (uid, name) = (format!("C{}", random.hex(16)), random.base32(52));
        let ends = Ends::new(random, &cast.people[7].ip, &cast.host("bastion").ip, 53);
        // A content network's long name, asked for its address.
        let long = format!("{name}.cdn.example.net");
        let asked = (long.as_str(), "A", "NOERROR");
        script.add(Topic::Zeek, offset, |time| zeek::dns(time, &uid, &ends, asked));
        let dkim = ("selector1._domainkey.example.com", "TXT", "NOERROR");
        script.add(Topic::Zeek, offset.plus_secs(70), |time| zeek::dns(time, &uid, &ends, dkim));
    }
}

fn office(script: &mut Script, cast: &Cast) {
    let admin = &cast.admins()[1];
    let (offset, member) = (at(script, 10), &cast.staff()[4].sid);
    let group = ("Remote Desktop Users", "S-1-5-32-555");
    script.add(Topic::Windows, offset, |t| windows::member_added(admin, t, member, group));
    // An export that the system refused, and a bulk change that takes nothing out.
    let person = &cast.staff()[5];
    let (user, ip, module) = (person.login.as_str(), person.ip.as_str(), "Contacts");
    let denied = Crm { user, ip, action: "export", module, records: 36_000, result: "denied" };
    let offset = at(script, 11);
    script.add(Topic::Crm, offset, |time| denied.line(time));
    let import = Crm { action: "import", records: 12_000, result: "ok", ..denied };
    script.add(Topic::Crm, offset.plus_minutes(30), |time| import.line(time));
    // The week's copies that are past their time.
    let job = Backup {
        job: "weekly-prune".into(),
        kind: "full",
        result: "ok",
        bytes: 0,
        target: "s3://vault/db-01".into(),
        deleted: 2,
        user: None,
    };
    let offset = at(script, 4);
    script.add(Topic::Backup, offset, |time| job.line(time));
}
