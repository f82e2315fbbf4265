//! Before dawn root signs in at the backup machine from outside, and the copies of everything are deleted:
//! what comes before an extortion.

use super::attacker;
use crate::{
    Cast, Offset, Story, Topic,
    form::{
        backup::Backup,
        suricata::Ends,
        syslog,
        zeek::{self, Conn},
    },
    script::Script,
};

pub(super) fn tell(script: &mut Script, cast: &Cast) {
    let random = &mut script.random;
    let from = attacker(random, Story::WipedBackups);
    let mut now = Offset::at(4, 30).plus_secs(random.between(0, 3_000));
    let (pid, port) = (1_000 + random.below(30_000), 32_768 + random.below(28_000));
    let (uid, ends) =
        (format!("C{}", random.hex(16)), Ends::new(random, &from, &cast.host("backup-01").ip, 22));
    let said = format!("Accepted password for root from {from} port {port} ssh2");
    script.add(Topic::Auth, now, |time| syslog::sshd(time, "backup-01", pid, &said));
    let session = Conn { service: "ssh", state: "SF", millis: 401_000, sent: 21_300, got: 64_020 };
    script.add(Topic::Zeek, now.plus_millis(40), |time| zeek::conn(time, &uid, &ends, session));
    let mut systems = ["db-01", "db-02", "crm-01", "pay-01", "web-01"];
    script.random.shuffle(&mut systems);
    for system in systems {
        now = now.plus_secs(script.random.between(15, 50));
        let job = Backup {
            job: format!("{system}-delete"),
            kind: "full",
            result: "ok",
            bytes: 0,
            target: format!("s3://vault/{system}"),
            deleted: 14 + script.random.below(20),
            user: Some("root"),
        };
        script.add(Topic::Backup, now, |time| job.line(time));
    }
}
