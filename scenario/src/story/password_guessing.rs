//! Between two and four at night somebody guesses an administrator's password at the bastion.

use super::attacker;
use crate::{
    Cast, Offset, Story, Topic,
    form::{
        suricata::{self, Ends, Signature},
        syslog,
        zeek::{self, Conn},
    },
    script::Script,
};

const SCAN: Signature = Signature {
    id: 2_006_546,
    text: "ET SCAN LibSSH Based Frequent SSH Connections Likely BruteForce Attack",
    category: "Attempted Administrator Privilege Gain",
    severity: 2,
    action: "allowed",
};

pub(super) fn tell(script: &mut Script, cast: &Cast) {
    let random = &mut script.random;
    let (from, admin) = (
        attacker(random, Story::PasswordGuessing),
        &cast.admins()[random.index(cast.admins().len())],
    );
    let guesses = random.between(34, 60);
    let mut now = Offset::at(2, 0).plus_secs(random.between(0, 7_200));
    let (flow_id, uid) = (random.next() >> 12, format!("C{}", random.hex(16)));
    let ends = Ends::new(random, &from, &cast.public(22), 22);
    script.add(Topic::Suricata, now.plus_secs(20), |t| suricata::alert(t, flow_id, &ends, SCAN));
    for _ in 0..guesses {
        now = now.plus_millis(script.random.between(1_500, 4_200));
        say(script, now, &format!("Failed password for {} from {from}", admin.login));
    }
    now = now.plus_secs(script.random.between(3, 9));
    say(script, now, &format!("Accepted password for {} from {from}", admin.login));
    let session = Conn { service: "ssh", state: "SF", millis: 612_000, sent: 48_211, got: 90_377 };
    script.add(Topic::Zeek, now.plus_millis(50), |t| zeek::conn(t, &uid, &ends, session));
    for (command, secs) in [("/usr/bin/id", 25), ("/bin/bash", 48), ("/usr/bin/su -", 160)] {
        let user = &admin.login;
        script.add(Topic::Auth, now.plus_secs(secs), |t| {
            syslog::sudo(t, "bastion", user, "root", command)
        });
    }
}

fn say(script: &mut Script, now: Offset, said: &str) {
    let (pid, port) = (1_000 + script.random.below(30_000), 32_768 + script.random.below(28_000));
    let said = format!("{said} port {port} ssh2");
    script.add(Topic::Auth, now, |time| syslog::sshd(time, "bastion", pid, &said));
}
