//! A peer that effects go to: it counts what it was asked by idempotency key, and can hold its answer until the
//! test has killed who asks.

use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// What is done with the next act (PUT or DELETE).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Do it and say so.
    #[default]
    Answer,
    /// Do it, and answer only when released.
    HoldAfter,
    /// Hold it, and then forget it: nothing was done.
    HoldBefore,
}

/// One act as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub method: String,
    pub path: String,
    pub key: String,
    pub done: bool,
}

#[derive(Debug, Default)]
struct Book {
    mode: Mode,
    holding: bool,
    acts: Vec<Act>,
    /// What is in force, by path.
    set: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Shared {
    book: Mutex<Book>,
    changed: Condvar,
}

/// A stand-in on a port of its own; it serves until the test's process ends.
#[derive(Clone, Debug)]
pub struct StandIn {
    pub port: u16,
    shared: Arc<Shared>,
}

impl StandIn {
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                // A client that goes away in the middle is part of the test.
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Ok(Self { port, shared })
    }

    pub fn set_mode(&self, mode: Mode) {
        self.shared.lock().mode = mode;
        self.shared.changed.notify_all();
    }

    /// Whether an act is held now.
    pub fn holds(&self) -> bool {
        self.shared.lock().holding
    }

    pub fn acts(&self) -> Vec<Act> {
        self.shared.lock().acts.clone()
    }

    /// The paths in force.
    pub fn set(&self) -> Vec<String> {
        self.shared.lock().set.keys().cloned().collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the mode holds.
    fn hold(&self, mode: Mode) {
        let mut book = self.lock();
        book.holding = true;
        let waits = |book: &mut Book| book.mode == mode;
        book = self.changed.wait_while(book, waits).unwrap_or_else(PoisonError::into_inner);
        book.holding = false;
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let method = words.next().context("no method")?.to_owned();
    let path = words.next().context("no path")?.to_owned();
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => value.clone_into(&mut key),
            "content-length" => length = value.parse()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let status = if method == "GET" {
        if shared.lock().set.contains_key(&path) { 200 } else { 404 }
    } else {
        act(shared, &method, &path, &key)
    };
    answer(stream, status)
}

fn act(shared: &Shared, method: &str, path: &str, key: &str) -> u16 {
    let mode = shared.lock().mode;
    if mode == Mode::HoldBefore {
        shared.hold(mode);
    }
    let mut book = shared.lock();
    let (method, path, key) = (method.to_owned(), path.to_owned(), key.to_owned());
    let done = mode != Mode::HoldBefore;
    if done && method == "DELETE" {
        book.set.remove(&path);
    } else if done {
        book.set.insert(path.clone(), key.clone());
    }
    book.acts.push(Act { method, path, key, done });
    drop(book);
    if mode == Mode::HoldAfter {
        shared.hold(mode);
    }
    if done { 200 } else { 503 }
}

fn answer(mut stream: TcpStream, status: u16) -> Result<()> {
    let body = r#"{"stand_in":true}"#;
    let head = format!("HTTP/1.1 {status} So\r\nContent-Type: application/json\r\n");
    let rest = format!("Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    Ok(stream.write_all((head + &rest).as_bytes())?)
}
