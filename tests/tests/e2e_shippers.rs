//! Shippers as people have them, set up by the snippets of docs/sources/, each as it is written there.

use anyhow::{Context as _, Result, ensure};
use custos_tests::{
    api::Api, certificates::Authority, custos::Node, kafka::Kafka, process::free_port,
    snippets::Places, wait,
};
use serde_json::Value;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const LIMIT: Duration = Duration::from_mins(1);

/// received = stored + rejected, and all of it is in the log.
fn balanced(api: &Api, expected: &[(&str, u64, u64)]) -> Result<()> {
    let answer = api.get("/sources")?;
    let sources = answer["sources"].as_array().context("no sources")?;
    for (name, stored, rejected) in expected {
        let found = sources.iter().find(|source| source["name"] == *name);
        let source = found.with_context(|| format!("no source {name} in {answer}"))?;
        let numbers = ["received", "stored", "rejected"].map(|key| source[key].as_u64());
        let right = [stored + rejected, *stored, *rejected].map(Some);
        ensure!(numbers == right, "{name}: {numbers:?}, not {right:?}");
    }
    Ok(())
}

#[test]
fn syslog_comes_by_tcp_udp_and_tls_from_whoever_speaks_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    Authority::make(folder.path(), &["server", "client"])?;
    let (http, plain, tls) = (free_port()?, free_port()?, free_port()?);
    let places = Places::default()
        .with("5514", plain)
        .with("6514", tls)
        .with("/etc/custos", folder.path().display());
    let mut node = Node::start(folder.path(), http, &places.snippet("syslog.md", "Custos")?)?;
    let api = Api::new(&node, http)?;

    // Two rsyslogs and two syslog-ngs, each fed with lines as machines write them.
    for (heading, source, host, lines) in [
        ("rsyslog", "hosts", "gate", 500_u32),
        ("rsyslog with TLS", "branches", "gate", 300),
        ("syslog-ng", "hosts", "web", 400),
        ("syslog-ng with TLS", "branches", "web", 200),
    ] {
        let port = free_port()?;
        let start = if host == "gate" { Places::rsyslog } else { Places::syslog_ng };
        let shipper = start(&places, "syslog.md", heading, folder.path(), port)?;
        let mut feed = TcpStream::connect(("127.0.0.1", port))?;
        for nth in 0..lines {
            writeln!(
                feed,
                "<38>Nov 24 03:14:15 {host} sshd[{nth}]: Failed password for root from 192.0.2.7 port {nth} ssh2"
            )?;
        }
        drop(feed);
        let query = format!(
            "custos.source:\"syslog:{source}\" and host.name:{host} and event.action:ssh-login"
        );
        let events = api.found(&query, lines as usize).with_context(|| shipper.shown())?;
        ensure!(events[0]["fields"]["log.source.address"] == "127.0.0.1", "{}", events[0]);
        ensure!(events[0]["fields"]["host.name"] == host, "{}", events[0]);
    }
    places.sh("syslog.md", "logger")?;
    places.sh("syslog.md", "logger over UDP")?;
    places.python("syslog.md", "Python")?;
    api.found("message:\"a message by logger\" and process.name:custos-test", 2)?;
    api.found("message:\"a message by Python\" and process.name:billing", 1)?;

    a_stranger_writes_nothing(tls, &node)?;

    // A line of 300 KiB is cut, its whole length known.
    let mut feed = TcpStream::connect(("127.0.0.1", plain))?;
    feed.write_all(&[b"<13>long: ", &vec![b'x'; 300 << 10][..], b"\n"].concat())?;
    feed.shutdown(std::net::Shutdown::Write)?;
    feed.read_to_end(&mut Vec::new())?;
    let long = api.found("process.name:long", 1)?;
    ensure!(long[0]["raw"].as_str().map(str::len) == Some(256 << 10), "the line was not cut");

    balanced(
        &api,
        &[("syslog:hosts", 903, 0), ("syslog:switches", 1, 0), ("syslog:branches", 500, 0)],
    )?;
    node.stop()
}

/// Who shows no certificate is refused.
fn a_stranger_writes_nothing(tls: u16, node: &Node) -> Result<()> {
    let connect = format!("127.0.0.1:{tls}");
    let mut stranger = Command::new("openssl")
        .args(["s_client", "-quiet", "-no_ign_eof", "-connect", &connect])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = stranger.stdin.take().context("no standard input")?;
    // It may have been hung up on already.
    drop(input.write_all(b"<13>a message by a stranger\n"));
    drop(input);
    stranger.wait()?;
    wait::until("the stranger to be refused", LIMIT, || {
        let refused = "custos_port_refused_total{source=\"syslog:branches\",reason=\"tls\"}";
        Ok((node.metric(refused)? >= 1.0).then_some(()))
    })
}

/// A port with a token, as the page's own block says.
fn places(port: u16) -> Places {
    let written = ["9200", "8088", "4318", "12202"];
    let places = written.iter().fold(Places::default(), |places, at| places.with(at, port));
    // printf %s secret-of-this-test | sha256sum
    places
        .with("SHA256-OF-TOKEN", "b05db83c10f57f133850faf16c565d0b7efb2eaa6563be47bce08ed221889997")
        .with("TOKEN", "secret-of-this-test")
}

#[test]
fn elasticsearch_clients_send_in_bulk_and_only_with_their_token() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (http, port) = (free_port()?, free_port()?);
    let places = places(port).with("/var/log", folder.path().display());
    let page = "elasticsearch.md";
    let mut node = Node::start(folder.path(), http, &places.snippet(page, "Custos")?)?;
    let api = Api::new(&node, http)?;

    let fed = free_port()?;
    let shipper = places.rsyslog(page, "rsyslog", folder.path(), fed)?;
    let mut line = TcpStream::connect(("127.0.0.1", fed))?;
    for nth in 0..200 {
        writeln!(line, "<38>Nov 24 03:14:15 gate app[7]: line {nth} by omelasticsearch")?;
    }
    drop(line);
    places.python(page, "Python")?;
    places.python(page, "OpenSearch for Python")?;
    places.sh(page, "curl")?;
    api.found("\"a line by curl\" and host.name:shop", 1)?;
    api.found("\"by opensearch-py\"", 500)?;
    api.found("\"by omelasticsearch\" and host.name:gate and process.name:app", 200)
        .with_context(|| shipper.shown())?;

    // Without the token, or with another, nothing goes.
    let guessed = places.snippet(page, "curl")?.replace("secret-of-this-test", "guessed");
    let refused = Command::new("sh").args(["-euc", &guessed]).stderr(Stdio::null()).status()?;
    ensure!(!refused.success(), "a guessed token was taken");
    // The node is killed and comes again: what was answered is there, once.
    node.kill()?;
    node.restart()?;
    api.found("\"by opensearch-py\"", 500)?;
    balanced(&api, &[("elasticsearch:web", 2_701, 0)])?;
    node.stop()
}

#[test]
fn splunk_otlp_and_gelf_clients_send_as_their_pages_say() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (http, splunk, otlp, gelf) = (free_port()?, free_port()?, free_port()?, free_port()?);
    let [at_splunk, at_otlp, at_gelf] = [splunk, otlp, gelf].map(places);
    let config = [
        at_splunk.snippet("splunk.md", "Custos")?,
        at_otlp.snippet("otlp.md", "Custos")?,
        at_gelf.snippet("gelf-http.md", "Custos")?,
    ];
    let mut node = Node::start(folder.path(), http, &config.concat())?;
    let api = Api::new(&node, http)?;
    at_splunk.python("splunk.md", "Python")?;
    at_splunk.sh("splunk.md", "curl")?;
    at_splunk.sh("splunk.md", "curl, raw lines")?;
    at_otlp.python("otlp.md", "Python")?;
    at_gelf.sh("gelf-http.md", "curl")?;
    at_gelf.python("gelf-http.md", "Python")?;

    let handler = api.found("\"a message by splunk-hec-handler\"", 1)?;
    ensure!(handler[0]["fields"]["host.name"] == "shop", "{}", handler[0]);
    ensure!(handler[0]["fields"]["log.file.path"] == "/srv/billing.log", "{}", handler[0]);
    let login = api.found("event.action:ssh-login and custos.source:\"splunk:apps\"", 1)?;
    ensure!(login[0]["fields"]["log.file.path"] == "/var/log/auth.log", "{}", login[0]);
    // Lines in no known form are kept, and found by who asks for rejects.
    api.found("event.kind:pipeline_error and custos.source:\"splunk:apps\"", 2)?;
    let query = "otel.attributes.order:299 and service.name:billing and log.level:ERROR";
    let record = api.found(query, 1)?;
    ensure!(record[0]["fields"]["message"] == "order 299 by OTLP", "{}", record[0]);
    ensure!(record[0]["fields"]["user.name"] == "mia", "{}", record[0]);
    let message = api.found("gelf._team:billing and syslog.severity:4", 1)?;
    ensure!(message[0]["fields"]["message"] == "a message by curl over GELF", "{}", message[0]);

    // pygelf has hung up on each of its requests before the answer.
    api.found("\"by pygelf over HTTP\" and gelf._team:shop", 50)?;

    balanced(&api, &[("splunk:apps", 2, 2), ("otlp:otel", 300, 0), ("gelf:edge", 51, 0)])?;
    node.stop()
}

#[test]
fn gelf_clients_send_over_udp_and_tcp() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (http, port) = (free_port()?, free_port()?);
    let places = Places::default().with("12201", port);
    let page = "gelf.md";
    let mut node = Node::start(folder.path(), http, &places.snippet(page, "Custos")?)?;
    let api = Api::new(&node, http)?;
    places.python(page, "Python, graypy over UDP")?;
    places.python(page, "Python, pygelf over UDP")?;
    places.python(page, "Python, pygelf over TCP")?;
    // Compressed, and too long for one datagram all the same.
    let long = api.found("\"a message by graypy over UDP\"", 1)?;
    let message = long[0]["fields"]["message"].as_str().context("no message")?;
    ensure!(message.ends_with(" 2998 2999"), "not whole: {message}");
    ensure!(long[0]["fields"]["log.source.address"] == "127.0.0.1", "{}", long[0]);
    api.found("message:\"a message by pygelf over UDP\" and gelf._team:billing", 1)?;
    api.found("message:\"a message by pygelf over TCP\" and syslog.severity:4", 1)?;

    // The first of two chunks whose other one never comes is kept, and told, after five seconds.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    socket.send_to(b"\x1e\x0fabcdefgh\x00\x02half a message", ("127.0.0.1", port))?;
    let half = api.found("error.message:\"1 of 2 GELF chunks did not come within 5 s\"", 1)?;
    ensure!(half[0]["raw"] == "half a message", "{}", half[0]);
    balanced(&api, &[("gelf:apps", 2, 1), ("gelf:services", 1, 0)])?;
    node.stop()
}

/// What a client has that was given an acknowledgement and asks for it after a restart: it is told that nothing is
/// known of it, as by Splunk, and sends again.
#[test]
fn splunk_acknowledgements_of_before_a_restart_are_unknown_and_what_is_sent_again_is_stored()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let (http, port) = (free_port()?, free_port()?);
    let places = places(port);
    let mut node = Node::start(folder.path(), http, &places.snippet("splunk.md", "Custos")?)?;
    let send = |path: &str, body: &str| -> Result<Value> {
        let channel = "X-Splunk-Request-Channel: 0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba".to_owned();
        let headers = ["Authorization: Splunk secret-of-this-test".to_owned(), channel];
        let path = format!("/services/collector{path}");
        let mut reply = custos_tests::http::send(port, "POST", &path, &headers, body.as_bytes())?;
        let answer = reply.json()?;
        ensure!(reply.status == 200, "{path}: {answer}");
        Ok(answer)
    };
    let event = r#"{"event":"<38>Nov 24 03:14:15 gate app[7]: once more"}"#;
    send("/event", event)?;
    let given = send("/event", event)?["ackId"].as_u64().context("no ackId")?;
    let asking = format!("{{\"acks\":[{given}]}}");
    let known = |answer: &Value| answer["acks"][given.to_string()].as_bool();
    ensure!(known(&send("/ack", &asking)?) == Some(true));
    node.kill()?;
    node.restart()?;
    ensure!(known(&send("/ack", &asking)?) == Some(false), "an unknown number was answered true");
    send("/event", event)?;
    let api = Api::new(&node, http)?;
    api.found("\"once more\"", 3)?;
    node.stop()
}

#[test]
fn kafka_producers_send_as_their_page_says() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (http, port) = (free_port()?, free_port()?);
    let places = Places::default().with("9092", port).with("/var/log", folder.path().display());
    let mut node = Node::start(folder.path(), http, &places.snippet("kafka.md", "Custos")?)?;
    let api = Api::new(&node, http)?;
    let fed = free_port()?;
    let shipper = places.rsyslog("kafka.md", "rsyslog", folder.path(), fed)?;
    writeln!(
        TcpStream::connect(("127.0.0.1", fed))?,
        "<38>Nov 24 03:14:15 gate sshd[7]: Invalid user guest from 192.0.2.7 port 4711"
    )?;
    places.sh("kafka.md", "kcat")?;
    places.python("kafka.md", "Python")?;
    api.found("event.action:ssh-invalid-user", 1).with_context(|| shipper.shown())?;
    api.found("event.action:ssh-login and host.name:gate", 101)?;
    balanced(&api, &[("listener:auth", 102, 0)])?;
    node.stop()
}

#[test]
fn kafka_producers_log_in_over_tls_and_write_only_their_topics() -> Result<()> {
    const PAGE: &str = "kafka-secured.md";
    let Some(libs) = Kafka::locate() else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    Authority::make(folder.path(), &["server", "client"])?;
    fs::write(folder.path().join("gate.secret"), "a long secret of the gate\n")?;
    let (http, port) = (free_port()?, free_port()?);
    let places = ["0.0.0.0", "siem.bank.example"]
        .into_iter()
        .fold(Places::default(), |places, host| places.with(host, "127.0.0.1"))
        .with("9093", port)
        .with("/etc/custos", folder.path().display());
    let config = places.snippet(PAGE, "Custos")?;
    let other = "[[listener.topics]]\nname = \"payments\"\n";
    let mut node = Node::start(folder.path(), http, &format!("{config}{other}"))?;
    let api = Api::new(&node, http)?;
    places.sh(PAGE, "kcat")?;
    places.python(PAGE, "Python")?;
    places.kafka_tools(&libs, PAGE, "Java")?;
    places.go(PAGE, "Go")?;
    api.found("event.action:ssh-login and host.name:gate and user.name:lin", 100)?;
    api.found("event.action:ssh-login and host.name:gate and user.name:anna", 100)?;
    api.found("event.action:ssh-login and host.name:gate and user.name:mei", 100)?;

    // Another topic, a wrong password, no TLS: nothing goes, and the log says why.
    let kcat = places.snippet(PAGE, "kcat")?;
    let secret = folder.path().join("gate.secret");
    for (written, instead, told) in [
        ("-t auth", "-t payments -X message.timeout.ms=5000", None),
        (
            &*format!("\"$(cat {})\"", secret.display()),
            "guessed -X message.timeout.ms=5000",
            Some("user name or password is wrong"),
        ),
        (
            "security.protocol=SASL_SSL",
            "security.protocol=SASL_PLAINTEXT -X message.timeout.ms=5000",
            Some("security.protocol SSL or SASL_SSL"),
        ),
    ] {
        ensure!(kcat.contains(written), "{written} is not in {kcat}");
        let changed = kcat.replace(written, instead);
        let refused = Command::new("sh").args(["-euc", &changed]).stderr(Stdio::null()).status()?;
        ensure!(!refused.success(), "{changed}");
        if let Some(told) = told {
            ensure!(node.shown().contains(told), "{told} is not in {}", node.shown());
        }
    }
    ensure!(node.metric("custos_listener_login_failed_total")? >= 1.0);
    ensure!(!node.shown().contains("long secret"), "the password is told");
    balanced(&api, &[("listener:auth", 301, 0)])?;
    node.stop()?;
    a_certificate_alone_opens_the_door(folder.path(), http, &config, &kcat)
}

/// With `client_ca`, and nobody who logs in; and nothing else does.
fn a_certificate_alone_opens_the_door(
    files: &Path,
    http: u16,
    config: &str,
    kcat: &str,
) -> Result<()> {
    let (users, _) = config.split_once("[[listener.users]]").context("no users")?;
    let mutual = format!("client_ca = \"{}\"\n", files.join("ca.pem").display());
    let config = users.replacen("[listener]\n", &format!("[listener]\n{mutual}"), 1);
    let folder = tempfile::tempdir()?;
    let mut node = Node::start(folder.path(), http, &config)?;
    let kcat = kcat.replace("SASL_SSL", "SSL -X message.timeout.ms=5000");
    let (kcat, _) = kcat.split_once("-X sasl.mechanisms").context("no mechanism")?;
    let kcat = kcat.trim_end().trim_end_matches('\\');
    let own = files.join("client");
    let shown =
        format!("-X ssl.certificate.location={0}.pem -X ssl.key.location={0}.key", own.display());
    for (more, opens) in [(&*shown, true), ("", false)] {
        let command = format!("{kcat} {more}");
        let status = Command::new("sh").args(["-euc", &command]).stderr(Stdio::null()).status()?;
        ensure!(status.success() == opens, "{command}\n{}", node.shown());
    }
    Api::new(&node, http)?.found("event.action:ssh-login and host.name:gate", 1)?;
    node.stop()
}

#[test]
fn a_source_that_falls_silent_is_told_and_so_is_that_it_speaks_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let http = free_port()?;
    let config = "[[sources.silent]]\nsource = \"http:doors\"\nafter = \"2s\"\n";
    let mut node = Node::start(folder.path(), http, config)?;
    let api = Api::new(&node, http)?;
    let told = |silent: bool| {
        wait::until(&format!("the journal to say that silence is {silent}"), LIMIT, || {
            let answer = api.get("/sources")?;
            let mut sources = answer["sources"].as_array().into_iter().flatten();
            let doors = sources.find(|source| source["name"] == "http:doors");
            let doors = doors.context("no source http:doors")?;
            let is_told = doors["silent_told"].is_string() && doors["silent"] == true;
            Ok((is_told == silent).then(|| doors["silent_told"].clone()))
        })
    };
    api.ship("doors", "{\"door\":\"V2\",\"result\":\"granted\"}\n")?;
    let at = told(true)?;
    // A server that comes again knows what was said, and does not say it twice.
    node.stop()?;
    node.restart()?;
    ensure!(told(true)? == at, "silence was told twice");
    api.ship("doors", "{\"door\":\"V2\",\"result\":\"granted\"}\n")?;
    told(false)?;
    node.stop()
}

/// The certificate that a port shows, as openssl prints it.
fn shown_certificate(port: u16) -> Result<String> {
    let connect = format!("127.0.0.1:{port}");
    let told = Command::new("openssl")
        .args(["s_client", "-connect", &connect])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    let told = String::from_utf8(told.stdout)?;
    let (_, from) = told.split_once("-----BEGIN").context("no certificate was shown")?;
    Ok(from.split_once("-----END").context("no end")?.0.to_owned())
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart_and_a_broken_one_is_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::make(folder.path(), &["server", "renewed"])?;
    let (http, port) = (free_port()?, free_port()?);
    let config = format!(
        "[[intake]]\nname = \"apps\"\nprotocol = \"gelf\"\ntransport = \"tls\"\n\
         listen = \"127.0.0.1:{port}\"\ncertificate = \"{0}/server.pem\"\nkey = \"{0}/server.key\"\n",
        folder.path().display()
    );
    let mut node = Node::start(folder.path(), http, &config)?;
    let first = shown_certificate(port)?;
    // As a renewal that is half done: the new certificate beside the old key.
    fs::copy(authority.file("renewed.pem"), authority.file("server.pem"))?;
    wait::until("the pair to be refused", LIMIT, || {
        ensure!(shown_certificate(port)? == first, "what does not hold together was shown");
        Ok((node.metric("custos_tls_files_refused_total")? >= 1.0).then_some(()))
    })?;
    fs::copy(authority.file("renewed.key"), authority.file("server.key"))?;
    wait::until("the renewed certificate", LIMIT, || {
        Ok((shown_certificate(port)? != first).then_some(()))
    })?;
    node.stop()
}
