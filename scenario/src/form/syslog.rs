//! Linux machines: sshd, PAM, sudo and cron, as rsyslog forwards them (RFC 5424).

use custos_event::Timestamp;

/// authpriv.info, authpriv.notice and cron.info, as the programs use them.
const AUTH_INFO: u8 = 86;
const AUTH_NOTICE: u8 = 85;
const CRON_INFO: u8 = 78;

fn line(priority: u8, time: Timestamp, host: &str, program: &str, pid: u64, said: &str) -> String {
    let pid = if pid == 0 { "-".to_owned() } else { pid.to_string() };
    format!("<{priority}>1 {time} {host} {program} {pid} - - {said}")
}

/// sshd speaks.
pub(crate) fn sshd(time: Timestamp, host: &str, pid: u64, said: &str) -> String {
    line(AUTH_INFO, time, host, "sshd", pid, said)
}

/// `user` runs `command` as `target`.
pub(crate) fn sudo(time: Timestamp, host: &str, user: &str, target: &str, command: &str) -> String {
    let said =
        format!("  {user} : TTY=pts/0 ; PWD=/home/{user} ; USER={target} ; COMMAND={command}");
    line(AUTH_NOTICE, time, host, "sudo", 0, said.trim_start())
}

/// `user` is refused by sudo.
pub(crate) fn sudo_refused(time: Timestamp, host: &str, user: &str, command: &str) -> String {
    let said = format!(
        "{user} : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/{user} ; USER=root ; \
         COMMAND={command}"
    );
    line(AUTH_NOTICE, time, host, "sudo", 0, &said)
}

pub(crate) fn cron(time: Timestamp, host: &str, pid: u64, said: &str) -> String {
    line(CRON_INFO, time, host, "CRON", pid, said)
}
