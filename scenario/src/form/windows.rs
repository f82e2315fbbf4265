//! Windows machines, as NXLog ships their events.

use super::json;
use crate::{cast::Person, random::Random};
use custos_event::Timestamp;
use serde_json::json as value;

/// What runs on an ordinary day: image, command line, parent.
const PROCESSES: [(&str, &str, &str); 5] = [
    (
        "C:\\Windows\\System32\\svchost.exe",
        "C:\\Windows\\system32\\svchost.exe -k netsvcs -p -s BITS",
        "C:\\Windows\\System32\\services.exe",
    ),
    (
        "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
        "\"C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe\" --type=utility",
        "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    ),
    (
        "C:\\Windows\\explorer.exe",
        "C:\\Windows\\Explorer.EXE",
        "C:\\Windows\\System32\\userinit.exe",
    ),
    (
        "C:\\Program Files\\Payments\\terminal-agent.exe",
        "\"C:\\Program Files\\Payments\\terminal-agent.exe\" --poll",
        "C:\\Windows\\System32\\services.exe",
    ),
    (
        "C:\\Windows\\System32\\conhost.exe",
        "\\??\\C:\\Windows\\system32\\conhost.exe 0xffffffff -ForceV1",
        "C:\\Program Files\\Payments\\terminal-agent.exe",
    ),
];

/// Sysmon saw a process start at somebody's workstation.
pub(crate) fn process(random: &mut Random, person: &Person, time: Timestamp) -> String {
    let (image, command, parent) = random.one_of(&PROCESSES);
    let pid = 400 + random.below(20_000);
    json(&value!({
        "@timestamp": time, "EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational",
        "SourceName": "Microsoft-Windows-Sysmon",
        "Hostname": format!("{}.bank.example", person.workstation),
        "EventType": "INFO", "Severity": "INFO", "SeverityValue": 2, "Task": 1,
        "RecordNumber": random.below(10_000_000), "ExecutionProcessID": 2_960, "ThreadID": 3_660,
        "UserID": "S-1-5-18", "RuleName": "-", "ProcessId": pid.to_string(),
        "ProcessGuid": format!("{{{}-0000-0000-0000-{}}}", random.hex(8), random.hex(12)),
        "Image": image, "CommandLine": command,
        "CurrentDirectory": "C:\\Windows\\system32\\", "User": format!("BANK\\{}", person.login),
        "IntegrityLevel": "Medium",
        "Hashes": format!("SHA256={}{}{}{}", random.hex(16), random.hex(16), random.hex(16), random.hex(16)),
        "ParentImage": parent, "ParentCommandLine": format!("\"{parent}\""),
        "ParentProcessId": (400 + random.below(20_000)).to_string(),
    }))
}

/// An event of the security log at somebody's workstation, with what is special about it.
fn security(person: &Person, time: Timestamp, code: u32, special: &serde_json::Value) -> String {
    let mut event = value!({
        "@timestamp": time, "EventID": code, "Channel": "Security",
        "SourceName": "Microsoft-Windows-Security-Auditing",
        "Hostname": format!("{}.bank.example", person.workstation),
        "EventType": "AUDIT_SUCCESS", "Severity": "INFO", "SeverityValue": 2,
        "ExecutionProcessID": 704, "ThreadID": 5_112,
    });
    if let (Some(event), Some(special)) = (event.as_object_mut(), special.as_object()) {
        event.extend(special.clone());
    }
    json(&event)
}

/// Somebody signs in at their own keyboard (type 2) or from another machine (type 10).
pub(crate) fn sign_in(person: &Person, time: Timestamp, kind: u32, from: &str) -> String {
    let special = value!({
        "TargetUserName": person.login, "TargetDomainName": "BANK", "TargetUserSid": person.sid,
        "LogonType": kind.to_string(), "IpAddress": from, "IpPort": "0",
        "WorkstationName": person.workstation, "AuthenticationPackageName": "Negotiate",
        "SubjectUserSid": "S-1-5-18", "SubjectLogonId": "0x3e7",
    });
    security(person, time, 4_624, &special)
}

/// `by` puts an account into a local group of their own workstation.
pub(crate) fn member_added(
    by: &Person,
    time: Timestamp,
    member: &str,
    (group, group_sid): (&str, &str),
) -> String {
    let special = value!({
        "MemberName": "-", "MemberSid": member, "TargetUserName": group,
        "TargetDomainName": "Builtin", "TargetSid": group_sid, "SubjectUserSid": by.sid,
        "SubjectUserName": by.login, "SubjectDomainName": "BANK", "SubjectLogonId": "0x27a79",
    });
    security(by, time, 4_732, &special)
}
