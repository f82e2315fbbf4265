//! The API as a program uses it: requests with the operator's token, and the stream of events.

use crate::{custos::Node, http, wait};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpStream,
    time::Duration,
};

/// How long a search may take to find what was sent.
const LIMIT: Duration = Duration::from_mins(1);

/// A client with the token of the node's folder.
#[derive(Clone, Debug)]
pub struct Api {
    port: u16,
    token: String,
}

impl Api {
    pub fn new(node: &Node, port: u16) -> Result<Self> {
        let token = fs::read_to_string(node.data().join("keys/api.token"))?.trim().to_owned();
        Ok(Self { port, token })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// As `--server` takes it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The status and the JSON of an answer, whatever the status.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let json = ["Content-Type: application/json".to_owned()];
        let body = body.map(Value::to_string);
        let more: &[String] = if body.is_some() { &json } else { &[] };
        let path = format!("/api/v1{path}");
        let mut reply = self.send(method, &path, more, body.unwrap_or_default().as_bytes())?;
        Ok((reply.status, reply.json()?))
    }

    /// The JSON of a GET that has to succeed. Spaces and the like in `path` are escaped here.
    pub fn get(&self, path: &str) -> Result<Value> {
        let (status, body) = self.ask("GET", path, None)?;
        ensure!(status == 200, "GET {path}: {status} {body}");
        Ok(body)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let (status, body) = self.ask("POST", path, Some(body))?;
        ensure!(status == 200, "POST {path}: {status} {body}");
        Ok(body)
    }

    /// Waits until a search finds `count` events; fails on more.
    pub fn found(&self, query: &str, count: usize) -> Result<Vec<Value>> {
        let path = format!("/events?limit=1000&query={query}");
        wait::until(&format!("{count} of {query}"), LIMIT, || {
            let answer = self.get(&path)?;
            let events = answer["events"].as_array().context("no events")?;
            ensure!(events.len() <= count, "{query}: {} events, not {count}", events.len());
            Ok((events.len() == count).then(|| events.clone()))
        })
    }

    /// Hands lines to the intake over HTTP; they are durable afterwards.
    pub fn ship(&self, source: &str, lines: &str) -> Result<()> {
        let path = format!("/ingest/v1/{source}");
        let mut reply = self.send("POST", &path, &[], lines.as_bytes())?;
        let said = reply.text()?;
        ensure!(reply.status == 200, "intake: {} {said}", reply.status);
        Ok(())
    }

    fn send(&self, method: &str, path: &str, more: &[String], body: &[u8]) -> Result<http::Reply> {
        let token = format!("Authorization: Bearer {}", self.token);
        http::send(self.port, method, path, &[&[token], more].concat(), body)
    }

    /// Opens the stream, going on behind `last`.
    pub fn stream(&self, query: &str, last: Option<&str>) -> Result<Stream> {
        let last: Vec<_> = last.iter().map(|id| format!("Last-Event-ID: {id}")).collect();
        let reply = self.send("GET", &format!("/api/v1/stream?{query}"), &last, b"")?;
        ensure!(reply.status == 200, "stream: {}", reply.head);
        Ok(Stream { lines: reply.rest })
    }
}

/// Server-sent events, read one by one. Dropping it drops the connection.
#[derive(Debug)]
pub struct Stream {
    lines: BufReader<TcpStream>,
}

/// One message; one without data moves the place only.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub id: Option<String>,
    pub event: String,
    pub data: Value,
}

impl Stream {
    /// The next message; none where the server has closed.
    pub fn next_message(&mut self) -> Result<Option<Message>> {
        let (mut message, mut line) = (Message::default(), String::new());
        loop {
            line.clear();
            if self.lines.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => message.id = Some(id.to_owned()),
                Some(("event", event)) => event.clone_into(&mut message.event),
                Some(("data", data)) => message.data = serde_json::from_str(data)?,
                Some(("retry", _)) => {}
                None if line == "\n" => return Ok(Some(message)),
                _ => bail!("no line of an event stream: {line:?}"),
            }
        }
    }
}
