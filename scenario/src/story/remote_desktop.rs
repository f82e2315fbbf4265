//! In the morning an exploit against a public machine gets through; then somebody comes in by remote desktop,
//! and an account becomes an administrator.

use super::attacker;
use crate::{
    Cast, Offset, Story, Topic,
    form::{
        suricata::{self, Ends, Signature},
        windows,
        zeek::{self, Conn},
    },
    script::Script,
};

const EXPLOIT: Signature = Signature {
    id: 2_030_387,
    text: "ET EXPLOIT Possible RDP Gateway Remote Code Execution Attempt (CVE-2020-0609)",
    category: "Attempted Administrator Privilege Gain",
    severity: 1,
    action: "allowed",
};

pub(super) fn tell(script: &mut Script, cast: &Cast) {
    let random = &mut script.random;
    let (from, target) = (attacker(random, Story::RemoteDesktop), cast.public(20));
    let victim = cast.victim(random, 1);
    let mut now = Offset::at(7, 40).plus_secs(random.between(0, 6_000));
    for port in [443, 3_389] {
        let random = &mut script.random;
        let (flow_id, ends) = (random.next() >> 12, Ends::new(random, &from, &target, port));
        script.add(Topic::Suricata, now, |time| suricata::alert(time, flow_id, &ends, EXPLOIT));
        now = now.plus_secs(script.random.between(20, 90));
    }
    for _ in 0..script.random.between(2, 4) {
        let random = &mut script.random;
        let (uid, ends) =
            (format!("C{}", random.hex(16)), Ends::new(random, &from, &target, 3_389));
        let (millis, sent, got) = (180_000, 64_310 + random.below(9_000), 910_233);
        let session = Conn { service: "rdp", state: "SF", millis, sent, got };
        script.add(Topic::Zeek, now, |time| zeek::conn(time, &uid, &ends, session));
        now = now.plus_secs(script.random.between(30, 80));
    }
    script.add(Topic::Windows, now, |time| windows::sign_in(victim, time, 10, &from));
    now = now.plus_secs(script.random.between(60, 200));
    let member = &cast.staff()[6].sid;
    let group = script.random.one_of(&["Administrators", "Administratoren", "管理员"]);
    let group = (group, "S-1-5-32-544");
    script.add(Topic::Windows, now, |t| windows::member_added(victim, t, member, group));
}
