//! rsyslog's omkafka, as Debian ships it, straight into the built-in listener.

use anyhow::{Context, Result, ensure};
use custos_tests::{
    custos::{Node, run},
    process::{Running, free_port},
    root, wait,
};
use std::{
    fs,
    io::Write,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const LIMIT: Duration = Duration::from_mins(1);
const LINES: usize = 2_000;

/// Takes syslog over TCP on `port` and forwards it; everything it writes is in `folder`.
fn rsyslog(folder: &Path, port: u16, kafka: u16) -> Result<Running> {
    let config = format!(
        r#"global(workDirectory="{work}")
        module(load="imtcp")
        module(load="omkafka")
        template(name="whole" type="string" string="%rawmsg%")
        input(type="imtcp" address="127.0.0.1" port="{port}")
        action(type="omkafka" broker=["127.0.0.1:{kafka}"] topic="auth" template="whole"
               confParam=["compression.codec=lz4", "enable.idempotence=true"]
               action.resumeRetryCount="-1" resubmitOnFailure="on" keepFailedMessages="on"
               failedMsgFile="{work}/failed")
        "#,
        work = folder.display(),
    );
    let file = folder.join("rsyslog.conf");
    fs::write(&file, config)?;
    let mut command = Command::new("/usr/sbin/rsyslogd");
    // -n: in the foreground, a child of this test; -i: its process id not in /run.
    command.arg("-n").arg("-f").arg(&file).arg("-i").arg(folder.join("rsyslog.pid"));
    command.stdout(Stdio::null());
    Running::start(
        "rsyslogd (Debian's rsyslog and rsyslog-kafka; tests/run.sh installs them)",
        &mut command,
    )
}

#[test]
fn what_rsyslog_forwards_is_stored_once_and_trips_its_rule() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (http, kafka, syslog) = (free_port()?, free_port()?, free_port()?);
    let config = format!(
        "[listener]\nlisten = \"127.0.0.1:{kafka}\"\n[[listener.topics]]\nname = \"auth\"\n\
         source = \"syslog\"\n[rules]\nfolders = [\"{}\"]\n",
        root().join("rules/detections").display(),
    );
    let mut node = Node::start(folder.path(), http, &config)?;
    let shipper = rsyslog(folder.path(), syslog, kafka)?;
    let mut stream =
        wait::until("rsyslog's port", LIMIT, || Ok(TcpStream::connect(("127.0.0.1", syslog)).ok()))
            .with_context(|| shipper.shown())?;
    for nth in 0..LINES {
        writeln!(
            stream,
            "<38>Nov 24 03:14:15 gate sshd[{nth}]: Failed password for invalid user u{nth} from 192.0.2.7 port 4711 ssh2"
        )?;
    }
    writeln!(
        stream,
        "<38>Nov 24 03:14:16 gate sshd[1]: Accepted password for root from 203.0.113.9 port 51544 ssh2"
    )?;
    stream.flush()?;
    let total = u64::try_from(LINES)? + 1;
    node.wait_for_stored(total, LIMIT).with_context(|| shipper.shown())?;

    let (server, data) =
        (format!("http://127.0.0.1:{http}"), node.data().to_string_lossy().into_owned());
    let ask = |words: &[&str]| {
        run(words.iter().copied().chain(["--server", &server, "--data", &data]))?.done()?.json()
    };
    wait::until("the alert of root's sign-in", LIMIT, || {
        let alerts = ask(&["alerts", "--json", "--limit", "0"])?;
        let root =
            alerts.iter().any(|alert| alert["rule"] == "6ddd22a6-3995-451f-b7bb-c37e76b1a3c6");
        Ok(root.then_some(()))
    })?;
    let failed = wait::until("every line to be searchable", LIMIT, || {
        let counted =
            ask(&["search", "--json", "--count", "event.action:ssh-login and host.name:gate"])?;
        Ok(counted[0]["count"].as_u64().filter(|count| *count >= total))
    })?;
    ensure!(failed == total, "{failed} sign-ins of {total}: something was stored twice");
    node.stop()
}
