//! The API as a program uses it: requests with the operator's token, and the stream of events.

use crate::custos::Node;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// Longer than any one answer takes on a busy machine.
const READ_LIMIT: Duration = Duration::from_secs(30);

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

    /// The status and the JSON of an answer, whatever the status.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let answer = self.raw(method, &format!("/api/v1{path}"), kind, body.as_bytes())?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body)? };
        Ok((status, body))
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

    /// Hands lines to the intake over HTTP; they are durable afterwards.
    pub fn ship(&self, source: &str, lines: &str) -> Result<()> {
        let answer = self.raw("POST", &format!("/ingest/v1/{source}"), "", lines.as_bytes())?;
        ensure!(answer.starts_with("HTTP/1.0 200"), "intake: {answer}");
        Ok(())
    }

    fn raw(&self, method: &str, path: &str, more: &str, body: &[u8]) -> Result<String> {
        let mut stream = self.open(method, path, more, body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8(answer)?)
    }

    /// HTTP/1.0: the body ends with the connection and comes in no chunks.
    fn open(&self, method: &str, path: &str, more: &str, body: &[u8]) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(READ_LIMIT))?;
        let head = format!(
            "{method} {} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{more}Content-Length: {}\r\n\r\n",
            escaped(path),
            self.token,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        Ok(stream)
    }

    /// Opens the stream, going on behind `last`.
    pub fn stream(&self, query: &str, last: Option<&str>) -> Result<Stream> {
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let stream = self.open("GET", &format!("/api/v1/stream?{query}"), &last, b"")?;
        let mut lines = BufReader::new(stream);
        let mut status = String::new();
        lines.read_line(&mut status)?;
        ensure!(status.contains(" 200 "), "stream: {status}");
        let mut head = String::new();
        while head != "\r\n" {
            head.clear();
            lines.read_line(&mut head)?;
        }
        Ok(Stream { lines })
    }
}

fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}%+#".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
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
