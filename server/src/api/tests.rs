//! The API as a whole, asked in memory: who may do what, and who is signed in until when.

mod access;
mod document;
mod past;
mod sessions;

use super::{Shared, State, router, rules::Shelf};
use crate::{
    auth::{Auth, Lifetime},
    evidence::verification::Verifier,
    folder::{Folder, Opened, system},
    pipeline::{follow::follow, rulebook::Registrar},
    privacy::cases::Cases,
    projection::follower::{Views, ViewsFollower},
    projection::past::Past,
    respond::{Desk, Reads, config::Respond, evidence::Searcher, playbooks::Playbooks},
    sourcebook::SourceBook,
    upkeep::{Keeper, keeper},
    witness::Witnesses,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use custos_event::{AccountCommand, Clock, Private, Role, Sealed, Timestamp, time::ManualClock};
use custos_evidence::Keys;
use custos_ingest::kafka::ByTopic;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

const PASSWORD: &str = "correct horse lamp river";
const HOST: &str = "127.0.0.1:8080";

/// A server without a socket, and a clock that the test moves.
struct Server {
    dir: TempDir,
    state: State,
    router: Router,
    clock: Arc<ManualClock>,
    _stop: DropGuard,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// The cookie that it sets.
    fn cookie(&self) -> Option<&str> {
        let set = self.headers.get(header::SET_COOKIE)?.to_str().ok()?;
        set.split(';').next()?.strip_prefix("__Host-custos=")
    }

    fn browser(&self) -> Browser {
        let csrf = self.body["csrf"].as_str().unwrap().to_owned();
        Browser { cookie: self.cookie().unwrap().to_owned(), csrf }
    }
}

/// What a browser remembers of a session.
#[derive(Clone)]
struct Browser {
    cookie: String,
    csrf: String,
}

/// As the server does, on a thread that ends with the store or the test.
fn follow_views(opened: &Opened, views: &Views, stop: &CancellationToken) {
    let (mut follower, cursor) = (ViewsFollower::new(views), views.cursor());
    let (store, table, stop) = (opened.store.clone(), Arc::clone(&opened.table), stop.clone());
    std::thread::spawn(move || drop(follow(&store, &table, &cursor, &mut follower, &stop)));
}

impl Server {
    fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap())
    }

    fn on(dir: TempDir) -> Self {
        let opened = Folder::chosen(Some(dir.path().into())).open(true).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_000_000)));
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let auth = Auth::open(&opened, Lifetime::default(), Arc::clone(&shared)).unwrap();
        let journal = opened.journal().unwrap();
        let views = Views::open(journal.catalog(), &opened.store).unwrap();
        let stop = CancellationToken::new();
        follow_views(&opened, &views, &stop);
        let index = opened.open_index().unwrap();
        let config = Respond::default();
        let world = Arc::new(config.world().unwrap());
        let desk =
            Desk::open(&opened.store, Playbooks::default(), config.limits, Arc::clone(&shared));
        let searcher = Searcher { index: index.clone(), store: opened.store.clone() };
        let desk = desk.unwrap();
        let folder = dir.path().to_path_buf();
        let verifier = Verifier::new(folder, desk.clone(), Arc::clone(&shared), stop.clone());
        let parts = keeper::Parts {
            clock: Arc::clone(&shared),
            data: dir.path().into(),
            store: opened.store.clone(),
            table: Arc::clone(&opened.table),
            index: index.clone(),
            journal: journal.clone(),
            desk: desk.clone(),
            stop: stop.clone(),
        };
        let (opened_store, journal_of_rules) = (opened.store.clone(), journal.clone());
        let (_, upkeep) = Keeper::new((None, keeper::Keeping::default()), parts).unwrap();
        let of_book = (&opened.store, &journal);
        let mut topics = ByTopic::default();
        topics.add("doors", ()).unwrap();
        let names = (["edge".to_owned()].into(), topics);
        let clock_of_book = Arc::clone(&shared);
        let book = SourceBook::open(of_book, &Arc::default(), names, clock_of_book).unwrap();
        let state = State::new(Shared {
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            desk,
            witnesses: Witnesses::new(Keys::default(), Vec::new()),
            verifier,
            cases: Cases::open(&opened.store, &journal, Arc::clone(&shared)).unwrap(),
            reads: Reads { world, searcher },
            index,
            journal,
            opened,
            auth: Arc::new(auth),
            clock: shared,
            views,
            inlets: Arc::default(),
            sources: book,
            broken_rules: Shelf::broken(&[]),
            registrar: Registrar::open(&opened_store, &journal_of_rules).unwrap(),
            trial: super::rulebench::places(),
            upkeep,
            streams: super::stream::places(),
            stop: stop.clone(),
            past: Past::default(),
            sealed: Arc::default(),
            then: None,
        });
        let router = router(&state).layer(axum::middleware::from_fn(super::headers::set));
        Self { dir, state, router, clock, _stop: stop.drop_guard() }
    }

    /// The process ends and another begins on the same folder.
    fn restart(self) -> Self {
        let Self { dir, state, router, .. } = self;
        state.opened.store.close().unwrap();
        drop((state, router));
        Self::on(dir)
    }

    fn pass_secs(&self, secs: i64) {
        self.clock.set(self.clock.now().plus_secs(secs));
    }

    /// An account whose password nobody knows, and a session of it: no hash is computed.
    fn person(&self, name: &str, roles: &[Role]) -> Browser {
        let auth = &self.state.auth;
        if auth.accounts.find(name).is_none() {
            let (roles, password) = (roles.to_vec(), Sealed("00".into()));
            let create = vec![AccountCommand::Create { roles, password }];
            auth.accounts.command(&system("test"), name, create).unwrap();
        }
        let generation = auth.accounts.find(name).unwrap().generation();
        let id = auth.sessions.start(name, generation, self.clock.now()).unwrap();
        Browser { cookie: id.reveal().clone(), csrf: super::cookie::csrf(&id) }
    }

    /// The first account, by the token that a start prints.
    async fn first(&self) -> Browser {
        let token = self.state.auth.accounts.make_setup_token().unwrap().unwrap();
        let answer = self.send(set_up(&token)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.browser()
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        send(self.router.clone(), request).await
    }

    async fn get(&self, path: &str, browser: &Browser) -> Answer {
        self.send(of(browser, Method::GET, path, "")).await
    }

    async fn sign_in(&self, name: &str, password: &str) -> Answer {
        self.send(sign_in(name, password)).await
    }
}

async fn send(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status: parts.status, headers: parts.headers, body }
}

/// As the console's page sends it.
fn request(method: Method, path: &str, body: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(header::HOST, HOST)
        .header(header::ORIGIN, format!("http://{HOST}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

fn of(browser: &Browser, method: Method, path: &str, body: &str) -> Request<Body> {
    let mut request = request(method, path, body);
    let cookie = format!("theme=dark; __Host-custos={}", browser.cookie);
    request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
    request.headers_mut().insert("x-csrf-token", browser.csrf.parse().unwrap());
    request
}

fn sign_in(name: &str, password: &str) -> Request<Body> {
    let body = serde_json::json!({"name": name, "password": password});
    request(Method::POST, "/session", &body.to_string())
}

fn set_up(token: &Private<String>) -> Request<Body> {
    let body = serde_json::json!({"token": token.reveal(), "name": "lin", "password": PASSWORD});
    request(Method::POST, "/setup", &body.to_string())
}
