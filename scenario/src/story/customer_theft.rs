//! After lunch somebody's account exports the whole customer list; within minutes the workstation asks for names
//! that carry it out of the house.

use crate::{
    Cast, Offset, Topic,
    form::{
        crm::Crm,
        suricata::Ends,
        zeek::{self, Conn},
    },
    script::Script,
};

/// Questions of one tunnel; each carries some 30 bytes.
const QUESTIONS: i64 = 40;

pub(super) fn tell(script: &mut Script, cast: &Cast) {
    let random = &mut script.random;
    let person = cast.victim(random, 2);
    let mut now = Offset::at(13, 20).plus_secs(random.between(0, 2_400));
    let (user, ip) = (person.login.as_str(), person.ip.as_str());
    let mut modules = ["Contacts", "Accounts", "Deals", "客户"];
    random.shuffle(&mut modules);
    for module in &modules[..3] {
        let records = 21_000 + script.random.below(40_000);
        let export = Crm { user, ip, action: "export", module, records, result: "ok" };
        script.add(Topic::Crm, now, |time| export.line(time));
        now = now.plus_secs(script.random.between(30, 110));
    }
    let zone = format!("{}.example.net", script.random.base32(5));
    let resolver = &cast.host("bastion").ip;
    for nth in 0..QUESTIONS {
        let random = &mut script.random;
        let name = format!("{}.{nth:x}.{zone}", random.base32(52));
        let (uid, ends) = (format!("C{}", random.hex(16)), Ends::new(random, ip, resolver, 53));
        let kind = if nth % 9 == 8 { "NULL" } else { "TXT" };
        let asked = (name.as_str(), kind, "NOERROR");
        script.add(Topic::Zeek, now, |time| zeek::dns(time, &uid, &ends, asked));
        now = now.plus_millis(script.random.between(700, 3_000));
    }
    let uid = format!("C{}", script.random.hex(16));
    let ends = Ends::new(&mut script.random, ip, resolver, 53);
    let tunnel = Conn { service: "dns", state: "SF", millis: 94_000, sent: 9_800, got: 14_100 };
    script.add(Topic::Zeek, now, |time| zeek::conn(time, &uid, &ends, tunnel));
}
