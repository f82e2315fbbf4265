//! The edges against real sockets and folders: what they send, refuse, bound and tell.

use super::*;
use custos_event::{
    LogId, Partition, Position, Private, Seq,
    respond::{Http, MailText},
};
use serde_json::json;
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc::{Receiver, sync_channel},
};

fn key() -> Key {
    let (log, partition) = (LogId::JOURNAL, Partition::default());
    Key { of: "RUN-000001/block".into(), intent: Position { log, partition, seq: Seq(41) } }
}

fn order<'o>(action: &'o Action, key: &'o Key, phase: Phase) -> Order<'o> {
    let at = Timestamp::from_secs(1_795_507_200);
    Order { action, phase, key, timeout: Duration::from_secs(5), at, customer: None }
}

fn put(path: &str) -> Action {
    Action::Http(Http {
        endpoint: "fw".into(),
        method: "PUT".into(),
        path: path.into(),
        headers: BTreeMap::from([("x-a".to_owned(), "b".to_owned())]),
        json: Some(json!({"a": 1})),
    })
}

fn get(path: &str) -> Action {
    let Action::Http(http) = put(path) else { unreachable!() };
    Action::Http(Http { method: "GET".into(), json: None, ..http })
}

/// A peer that answers once with `answer` and hands on what it was asked.
fn peer(answer: String) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, asked) = sync_channel(1);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        told.send(request(&mut stream)).unwrap();
        // A client that has read enough goes away; that is no fault of the peer.
        drop(stream.write_all(answer.as_bytes()));
        drop(stream.shutdown(Shutdown::Both));
    });
    (port, asked)
}

/// Head and body may come in several pieces.
fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut piece = [0; 4_096];
    loop {
        let length = stream.read(&mut piece).unwrap();
        if length == 0 {
            return text;
        }
        text.push_str(&String::from_utf8_lossy(&piece[..length]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_ascii_lowercase();
        let wanted = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        let wanted: usize = wanted.map_or(0, |length| length.parse().unwrap());
        if body.len() >= wanted {
            return text;
        }
    }
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn world(url: String) -> World {
    let endpoint = Endpoint {
        name: "fw".into(),
        url,
        networks: Vec::new(),
        token: Some(Private::new("s3cret".into())),
    };
    World::new(vec![endpoint], None, None).unwrap()
}

fn ask(action: &Action, phase: Phase, reply: String) -> (Answer, String) {
    let (port, asked) = peer(reply);
    let key = key();
    let told = world(format!("http://127.0.0.1:{port}/api")).perform(order(action, &key, phase));
    (told, asked.recv_timeout(Duration::from_secs(5)).unwrap())
}

#[test]
fn a_request_carries_its_key_and_the_endpoints_token_and_stays_below_its_path() {
    let (told, asked) = ask(&put("/blocks/a"), Phase::Act, answer("201 Created", r#"{"id":7}"#));
    assert_eq!(
        (told.outcome, told.output),
        (Outcome::Done, json!({"status": 201, "body": {"id": 7}}))
    );
    let asked = asked.to_ascii_lowercase();
    for part in [
        "put /api/blocks/a http/1.1",
        "idempotency-key: run-000001/block/41",
        "authorization: bearer s3cret",
        "x-a: b",
        r#"{"a":1}"#,
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}

#[test]
fn what_an_answer_means_depends_on_who_asked() {
    let outcome = |action: &Action, phase, status| ask(action, phase, answer(status, "")).0.outcome;
    assert_eq!(outcome(&put("/a"), Phase::Act, "409 Conflict"), Outcome::Failed);
    assert_eq!(outcome(&put("/a"), Phase::Act, "502 Bad Gateway"), Outcome::Unknown);
    assert_eq!(
        outcome(&put("/a"), Phase::Act, "302 Found\r\nLocation: http://127.0.0.1:1/"),
        Outcome::Failed
    );
    assert_eq!(outcome(&get("/a"), Phase::Precheck, "404 Not Found"), Outcome::Done);
    assert_eq!(outcome(&get("/a"), Phase::Precheck, "503 Busy"), Outcome::Failed);
    // The connection ends without an answer: an act may have happened, a read has not.
    assert_eq!(ask(&put("/a"), Phase::Act, String::new()).0.outcome, Outcome::Unknown);
    assert_eq!(ask(&get("/a"), Phase::Act, String::new()).0.outcome, Outcome::Failed);
}

#[test]
fn an_answer_is_bounded() {
    let long = "x".repeat(40_000);
    let (told, _) = ask(&put("/a"), Phase::Act, answer("200 OK", &long));
    assert_eq!(told.output["body"].as_str().map(str::len), Some(1_000));
    let endless = "x".repeat(600_000);
    let (told, _) = ask(&put("/a"), Phase::Act, answer("200 OK", &endless));
    assert_eq!((told.outcome, told.output["body"].is_null()), (Outcome::Done, true));
}

#[test]
fn nothing_is_sent_where_nobody_listens_or_nothing_may_be_reached() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let key = key();
    let tell = |url: String, action: &Action| world(url).perform(order(action, &key, Phase::Act));
    let refused = tell(format!("http://127.0.0.1:{closed}"), &put("/a"));
    assert_eq!(refused.outcome, Outcome::Failed, "{refused:?}");
    let (port, asked) = peer(answer("200 OK", ""));
    // A name that leads to this machine, where an address was not written.
    let inside = tell(format!("http://localhost:{port}"), &put("/a"));
    assert_eq!(inside.outcome, Outcome::Failed);
    assert!(inside.detail.contains("loopback"), "{}", inside.detail);
    assert!(asked.try_recv().is_err());
    for path in ["/../admin", "admin", "/a\\b", "/a#b"] {
        assert_eq!(tell(format!("http://127.0.0.1:{port}"), &put(path)).outcome, Outcome::Failed);
    }
    let Action::Http(mut http) = put("/a") else { unreachable!() };
    for (name, value) in
        [("x\r\ny", "b"), ("x-a", "b\r\nHost: c"), ("Host", "c"), ("Authorization", "c")]
    {
        http.headers = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let told = tell(format!("http://127.0.0.1:{port}"), &Action::Http(http.clone()));
        assert_eq!(told.outcome, Outcome::Failed, "{name:?}: {value:?}");
    }
    assert!(asked.try_recv().is_err());
}

fn mail(to: &[&str], subject: &str) -> Action {
    let to = to.iter().map(|to| (*to).to_owned()).collect();
    let (customer, text) = (None, "你好\n.\nbye".into());
    Action::Email(MailText { to, customer, subject: subject.into(), text })
}

fn post(action: &Action, transport: Transport) -> Answer {
    let groups = BTreeMap::from([("soc".to_owned(), vec!["a@bank.example".to_owned()])]);
    let mail = Mail { from: "Custos <custos@bank.example>".into(), groups, transport };
    let world = World::new(Vec::new(), Some(mail), None).unwrap();
    let key = key();
    world.perform(order(action, &key, Phase::Act))
}

#[test]
fn a_mail_lies_in_the_outbox_once_under_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = || Transport::Outbox(folder.path().join("out"));
    let told = post(&mail(&["soc", "b@bank.example"], "告警"), outbox());
    assert_eq!(told.outcome, Outcome::Done, "{told:?}");
    assert_eq!(post(&mail(&["soc"], "告警"), outbox()).outcome, Outcome::Done);
    let files: Vec<_> = std::fs::read_dir(folder.path().join("out")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let text = std::fs::read_to_string(files[0].as_ref().unwrap().path()).unwrap();
    assert!(text.contains("Message-ID: <RUN-000001.block.41@custos>"), "{text}");
    assert!(text.contains("To: a@bank.example"), "{text}");
}

#[test]
fn a_mail_with_a_line_break_in_its_head_or_to_nobody_known_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (to, subject) in [
        (&["soc"][..], "a\r\nBcc: eve@evil.example"),
        (&["a@bank.example\r\nBcc: eve@evil.example"], "a"),
        (&["nobody"], "a"),
        (&["no address @"], "a"),
        (&[], "a"),
    ] {
        let told = post(&mail(to, subject), Transport::Outbox(folder.path().join("out")));
        assert_eq!(told.outcome, Outcome::Failed, "{to:?} {subject:?}");
    }
    assert!(!folder.path().join("out").exists());
}

fn notice() -> Action {
    let customer = Some("C-1".to_owned());
    Action::Email(MailText { to: Vec::new(), customer, subject: "s".into(), text: "t".into() })
}

fn notify(address: Option<&str>, transport: Transport) -> Answer {
    let mail =
        Mail { from: "Custos <custos@bank.example>".into(), groups: BTreeMap::new(), transport };
    let world = World::new(Vec::new(), Some(mail), None).unwrap();
    let (key, action) = (key(), notice());
    let address = address.map(|text| Private::new(text.to_owned()));
    world.perform(Order { customer: address.as_ref(), ..order(&action, &key, Phase::Act) })
}

#[test]
fn a_notice_goes_to_the_address_that_was_looked_up_and_to_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = || Transport::Outbox(folder.path().join("out"));
    for (address, part) in [
        (None, "looked up"),
        (Some("none"), "no mail address"),
        (Some("a@b.c\r\nBcc: e@f.g"), "no mail address"),
    ] {
        let told = notify(address, outbox());
        assert_eq!(told.outcome, Outcome::Failed, "{address:?}");
        assert!(told.detail.contains(part) && told.detail.contains("'C-1'"), "{}", told.detail);
        assert!(address.is_none_or(|address| !told.detail.contains(address)), "{}", told.detail);
    }
    assert!(!folder.path().join("out").exists());
    assert_eq!(notify(Some("anna@example.org"), outbox()).outcome, Outcome::Done);
    let file = std::fs::read_dir(folder.path().join("out")).unwrap().next().unwrap().unwrap();
    let text = std::fs::read_to_string(file.path()).unwrap();
    assert!(text.contains("To: anna@example.org") && !text.contains("soc"), "{text}");
}

/// A mail server that lets who writes in, and says of each recipient what it is given, with the address.
fn refusing(word: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        // The first only asks whether anybody is there.
        for stream in listener.incoming().take(2) {
            let mut stream = stream.unwrap();
            drop(stream.write_all(b"220 here\r\n"));
            let lines = std::io::BufReader::new(stream.try_clone().unwrap());
            for line in std::io::BufRead::lines(lines).map_while(Result::ok) {
                let said = match line.split(' ').next().unwrap_or_default() {
                    "RCPT" => format!("{word} {line}\r\n"),
                    "QUIT" => "221 bye\r\n".to_owned(),
                    _ => "250 so\r\n".to_owned(),
                };
                drop(stream.write_all(said.as_bytes()));
            }
        }
    });
    port
}

#[test]
fn what_a_mail_server_says_of_a_customers_address_is_not_told() {
    for (word, part) in [("550 no such user", "550"), ("451 later", "451")] {
        let smtp = |port| Smtp { host: "127.0.0.1".into(), port, tls: SmtpTls::Off, login: None };
        let told = notify(Some("anna@example.org"), Transport::Smtp(smtp(refusing(word))));
        assert_eq!(told.outcome, Outcome::Failed);
        assert!(told.detail.contains(part) && !told.detail.contains("anna"), "{}", told.detail);
        let open = post(&mail(&["soc"], "a"), Transport::Smtp(smtp(refusing(word))));
        assert!(open.detail.contains("a@bank.example"), "the server repeats it: {}", open.detail);
    }
}

#[test]
fn a_mail_server_that_is_down_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let smtp = Smtp { host: "127.0.0.1".into(), port, tls: SmtpTls::Off, login: None };
    let told = post(&mail(&["soc"], "a"), Transport::Smtp(smtp));
    assert_eq!(told.outcome, Outcome::Failed);
    assert!(told.detail.contains(&port.to_string()), "{}", told.detail);
}

#[test]
fn what_the_configuration_does_not_name_is_not_reached() {
    let world = World::new(Vec::new(), None, None).unwrap();
    let key = key();
    for action in [put("/a"), mail(&["soc"], "a")] {
        let told = world.perform(order(&action, &key, Phase::Act));
        assert_eq!(told.outcome, Outcome::Failed);
        assert!(
            told.detail.contains("[respond.mail]") || told.detail.contains("[[respond.endpoints]]")
        );
    }
}
