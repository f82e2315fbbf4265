//! Every route × every role: nothing but what the table says.

use super::{
    super::{route::Access, routes::table},
    *,
};
use crate::auth::Permission;
use custos_event::{Actor, Envelope, Fact, LogId, Partition, Seq, commit::LogReader as _};

/// The roles' permissions, spelled out a second time: to change them is a decision.
const GRANTED: [(Role, &[&str]); 6] = [
    (Role::Viewer, &["read_alerts", "read_sources"]),
    (Role::Analyst, &["read_events", "read_alerts", "read_sources", "triage"]),
    (Role::Responder, &["read_events", "read_alerts", "read_sources", "triage", "respond"]),
    (
        Role::Lead,
        &[
            "read_events",
            "read_alerts",
            "read_sources",
            "triage",
            "respond",
            "approve",
            "preserve",
            "erase",
            "reveal",
        ],
    ),
    (Role::Auditor, &["read_events", "read_alerts", "read_sources", "read_audit"]),
    (
        Role::Admin,
        &[
            "read_events",
            "read_alerts",
            "read_sources",
            "read_audit",
            "manage_rules",
            "manage_users",
            "manage_backups",
            "manage_sources",
            "preserve",
            "erase",
        ],
    ),
];

fn granted(role: Role, permission: Permission) -> bool {
    GRANTED.iter().any(|(one, names)| *one == role && names.contains(&permission.name()))
}

/// A path that the route answers to.
fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "1" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

/// The guard's own refusal, or None where the request got as far as the handler. What streams is not read on.
async fn refusal(server: &Server, request: Request<Body>) -> Option<StatusCode> {
    let response = server.router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    if status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN {
        return None;
    }
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8_lossy(&body).into_owned();
    let guards = text.contains("sign in first") || text.contains("this needs the permission");
    guards.then_some(status)
}

#[tokio::test]
async fn nobody_gets_past_the_door_but_to_sign_in() {
    let server = Server::new();
    for route in table() {
        let asked = request(route.method.clone(), &filled(route.path), "{}");
        let refused = refusal(&server, asked).await;
        let expected = (route.access != Access::Open).then_some(StatusCode::UNAUTHORIZED);
        assert_eq!(refused, expected, "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn each_role_does_what_its_permissions_say_and_nothing_else() {
    let server = Server::new();
    for role in Role::ALL {
        for route in table() {
            // A session each: some routes end it.
            let person = server.person(&format!("{role:?}").to_lowercase(), &[role]);
            let asked = of(&person, route.method.clone(), &filled(route.path), "{}");
            let refused = refusal(&server, asked).await;
            let may = match route.access {
                Access::Open | Access::SignedIn => true,
                Access::May(permission) => granted(role, permission),
            };
            let expected = (!may).then_some(StatusCode::FORBIDDEN);
            assert_eq!(refused, expected, "{role:?}: {} {}", route.method, route.path);
        }
    }
}

#[tokio::test]
async fn two_roles_are_worth_what_each_of_them_is_worth() {
    let server = Server::new();
    let both = server.person("both", &[Role::Viewer, Role::Admin]);
    let shown = server.get("/session", &both).await.body;
    let names: Vec<_> = GRANTED[5].1.iter().map(|name| Value::from(*name)).collect();
    assert_eq!(shown["user"]["permissions"], Value::Array(names), "{shown}");
}

#[tokio::test]
async fn a_token_approves_nothing_and_a_wrong_one_is_refused_even_beside_a_session() {
    let server = Server::new();
    let file = server.dir.path().join("keys/api.token");
    let token = std::fs::read_to_string(file).unwrap();
    for route in table() {
        let mut asked = request(route.method.clone(), &filled(route.path), "{}");
        asked.headers_mut().remove(header::ORIGIN);
        let bearer = format!("Bearer {}", token.trim());
        asked.headers_mut().insert(header::AUTHORIZATION, bearer.parse().unwrap());
        let approves = route.access == Access::May(Permission::Approve);
        let expected = approves.then_some(StatusCode::FORBIDDEN);
        assert_eq!(refusal(&server, asked).await, expected, "{} {}", route.method, route.path);
    }
    let admin = server.person("admin", &[Role::Admin]);
    let mut asked = of(&admin, Method::GET, "/users", "");
    asked.headers_mut().insert(header::AUTHORIZATION, "Bearer guessed".parse().unwrap());
    assert_eq!(server.send(asked).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_change_needs_the_sessions_token_and_its_own_page() {
    let server = Server::new();
    let admin = server.person("admin", &[Role::Admin]);
    let other = server.person("other", &[Role::Viewer]);
    let refused = |name: &'static str, value: Option<&str>| {
        let mut asked = of(&admin, Method::PATCH, "/users/other", r#"{"disabled":true}"#);
        match value {
            Some(value) => drop(asked.headers_mut().insert(name, value.parse().unwrap())),
            None => drop(asked.headers_mut().remove(name)),
        }
        server.send(asked)
    };
    for (name, value) in [
        ("x-csrf-token", None),
        ("x-csrf-token", Some("guessed")),
        ("x-csrf-token", Some(other.csrf.as_str())),
        ("origin", None),
        ("origin", Some("null")),
        ("origin", Some("http://127.0.0.1:8081")),
        ("origin", Some("https://evil.example")),
        ("sec-fetch-site", Some("cross-site")),
        ("sec-fetch-site", Some("same-site")),
        ("sec-fetch-site", Some("none")),
    ] {
        let answer = refused(name, value).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: {value:?}");
        assert!(!server.state.auth.accounts.find("other").unwrap().disabled(), "{name}: {value:?}");
    }
    let answer = refused("sec-fetch-site", Some("same-origin")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let mut foreign = sign_in("lin", PASSWORD);
    foreign.headers_mut().insert(header::ORIGIN, "https://evil.example".parse().unwrap());
    assert_eq!(server.send(foreign).await.status, StatusCode::FORBIDDEN, "nor a sign-in");
}

#[tokio::test]
async fn a_search_is_written_down_with_who_searched() {
    let server = Server::new();
    let wei = server.person("wei", &[Role::Analyst]);
    assert_eq!(server.get("/count?query=user.name:root", &wei).await.status, StatusCode::OK);
    let store = &server.state.opened.store;
    let next = store.next_seq(LogId::JOURNAL, Partition::default());
    let mut newest = None;
    let from = Seq(next.0 - 1);
    store
        .scan(LogId::JOURNAL, Partition::default(), from, next, &mut |_, bytes| {
            newest = Some(Envelope::decode(&bytes).unwrap());
            true
        })
        .unwrap();
    let newest = newest.unwrap();
    assert_eq!(newest.actor, Actor::User { name: "wei".into() });
    let searched = Fact::Searched { query: "user.name:root".into(), results: 0 };
    assert_eq!(newest.fact, searched);
}
