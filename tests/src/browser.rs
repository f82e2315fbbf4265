//! What a browser keeps of a session, without the browser: cookie and token go with each request.

use crate::http::{self, header};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

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
        let mut all = vec![format!("Origin: http://127.0.0.1:{}", self.port)];
        all.extend(self.cookie.iter().map(|cookie| format!("Cookie: __Host-custos={cookie}")));
        all.extend(self.csrf.iter().map(|csrf| format!("X-CSRF-Token: {csrf}")));
        all.extend(headers.iter().map(|&line| line.to_owned()));
        all.push("Content-Type: application/json".to_owned());
        let body = body.map(Value::to_string).unwrap_or_default();
        let path = format!("/api/v1{path}");
        let mut reply = http::send(self.port, method, &path, &all, body.as_bytes())?;
        let body = reply.json()?;
        Ok(Answer { status: reply.status, head: reply.head, body })
    }
}

fn set_cookie(head: &str) -> Option<&str> {
    header(head, "set-cookie")?.split(';').next()?.strip_prefix("__Host-custos=")
}
