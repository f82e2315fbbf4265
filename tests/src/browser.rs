//! What a browser keeps of a session, without the browser: cookie and token go with each request.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

/// One browser of one person.
#[derive(Clone, Debug)]
pub struct Browser {
    pub port: u16,
    pub cookie: Option<String>,
    pub csrf: Option<String>,
}

/// An answer with its body, where that has a length.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers as they came.
    pub head: String,
    /// Null where it is no JSON.
    pub body: Value,
}

impl Answer {
    /// Fails unless this is the status.
    pub fn with(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "{} instead of {status}: {}", self.status, self.body);
        Ok(self)
    }
}

impl Browser {
    /// Nobody yet, at a server on this machine.
    pub fn at(port: u16) -> Self {
        Self { port, cookie: None, csrf: None }
    }

    /// Makes the first account with the printed token.
    pub fn set_up(&mut self, token: &str, name: &str, password: &str) -> Result<Answer> {
        self.opened("/setup", &json!({"token": token, "name": name, "password": password}))
    }

    pub fn sign_in(&mut self, name: &str, password: &str) -> Result<Answer> {
        self.opened("/session", &json!({"name": name, "password": password}))
    }

    pub fn get(&self, path: &str) -> Result<Answer> {
        self.send("GET", path, None, &[])
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send("POST", path, Some(body), &[])
    }

    pub fn patch(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send("PATCH", path, Some(body), &[])
    }

    pub fn delete(&self, path: &str) -> Result<Answer> {
        self.send("DELETE", path, None, &[])
    }

    fn opened(&mut self, path: &str, body: &Value) -> Result<Answer> {
        let answer = self.post(path, body)?;
        if let Some(cookie) = set_cookie(&answer.head) {
            self.cookie = Some(cookie.to_owned());
            self.csrf = answer.body["csrf"].as_str().map(str::to_owned);
        }
        Ok(answer)
    }

    /// Below `/api/v1`; `headers` come last, `Name: value` each.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[&str],
    ) -> Result<Answer> {
        let port = self.port;
        let mut head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
             Origin: http://127.0.0.1:{port}\r\n"
        );
        let mut add = |line: &str| head.extend([line, "\r\n"]);
        if let Some(cookie) = &self.cookie {
            add(&format!("Cookie: __Host-custos={cookie}"));
        }
        if let Some(csrf) = &self.csrf {
            add(&format!("X-CSRF-Token: {csrf}"));
        }
        for line in headers {
            add(line);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        add("Content-Type: application/json");
        add(&format!("Content-Length: {}\r\n", body.len()));
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all((head + &body).as_bytes())?;
        read(stream)
    }
}

/// Reads the head, and the body if it says how long it is: a stream is left alone.
fn read(stream: TcpStream) -> Result<Answer> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        ensure!(reader.read_line(&mut head)? > 0, "the answer breaks off: {head}");
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let length = header(&head, "content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Answer { status: status.context("no status")?, head, body })
}

/// The value of a header.
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn set_cookie(head: &str) -> Option<&str> {
    header(head, "set-cookie")?.split(';').next()?.strip_prefix("__Host-custos=")
}
