//! One request over a plain connection to this machine, cookies and all else being the caller's: nothing here
//! retries or follows.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// Longer than any one answer takes on a busy machine.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// An answer whose head has been read; the body waits.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Status line and headers as they came.
    pub head: String,
    pub rest: BufReader<TcpStream>,
}

/// Sends one request; `headers` are `Name: value` each. By HTTP/1.0, so that a stream comes in no chunks.
pub fn send(port: u16, method: &str, path: &str, headers: &[String], body: &[u8]) -> Result<Reply> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(READ_LIMIT))?;
    let mut head = format!(
        "{method} {} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {}\r\n",
        escaped(path),
        body.len()
    );
    for line in headers {
        head.extend([line, "\r\n"]);
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    stream.write_all(body)?;
    read_head(stream)
}

fn read_head(stream: TcpStream) -> Result<Reply> {
    let mut rest = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        ensure!(rest.read_line(&mut head)? > 0, "the answer breaks off: {head}");
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Reply { status: status.context("no status")?, head, rest })
}

impl Reply {
    /// The body if it says how long it is: a stream is left alone.
    pub fn text(&mut self) -> Result<String> {
        let length = header(&self.head, "content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.rest.read_exact(&mut body)?;
        Ok(String::from_utf8(body)?)
    }

    /// The same as JSON; null where it is empty or none.
    pub fn json(&mut self) -> Result<Value> {
        Ok(serde_json::from_str(&self.text()?).unwrap_or(Value::Null))
    }
}

/// The value of a header.
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Spaces and the like escaped; what is escaped already stays.
fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}+#".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
