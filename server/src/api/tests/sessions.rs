//! The first account, sign-ins, and what ends a session.

use super::*;
use tokio::task::JoinSet;

async fn all_at_once(server: &Server, requests: Vec<Request<Body>>) -> Vec<Answer> {
    let mut set = JoinSet::new();
    for request in requests {
        set.spawn(send(server.router.clone(), request));
    }
    set.join_all().await
}

fn count(answers: &[Answer], status: StatusCode) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_who_show_the_setup_token_at_once_make_one_account() {
    let server = Server::new();
    let required = server.send(request(Method::GET, "/setup", "")).await.body;
    assert_eq!(required["required"], true);
    let void = server.state.auth.accounts.make_setup_token().unwrap().unwrap();
    let token = server.state.auth.accounts.make_setup_token().unwrap().unwrap();
    assert_eq!(server.send(set_up(&void)).await.status, StatusCode::FORBIDDEN, "an older token");
    let answers = all_at_once(&server, (0..100).map(|_| set_up(&token)).collect()).await;
    assert_eq!(count(&answers, StatusCode::OK), 1);
    assert_eq!(count(&answers, StatusCode::CONFLICT), 99);
    assert_eq!(server.state.auth.accounts.all().len(), 1);
    assert!(server.state.auth.accounts.make_setup_token().unwrap().is_none(), "never again");
    let required = server.send(request(Method::GET, "/setup", "")).await.body;
    assert_eq!(required["required"], false);
    let signed = answers.iter().find(|answer| answer.status == StatusCode::OK).unwrap();
    let roles = &signed.body["user"]["roles"];
    assert_eq!(*roles, serde_json::json!(["analyst", "responder", "lead", "admin"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_wrong_sign_ins_at_once_cost_five_hashes() {
    let server = Server::new();
    server.first().await;
    let before = server.state.auth.hashes_computed();
    let wrong = || sign_in("lin", "another horse lamp river");
    let answers = all_at_once(&server, (0..200).map(|_| wrong()).collect()).await;
    assert_eq!(count(&answers, StatusCode::UNAUTHORIZED), 5);
    assert_eq!(count(&answers, StatusCode::TOO_MANY_REQUESTS), 195);
    assert_eq!(server.state.auth.hashes_computed() - before, 5);
    let right = server.sign_in("lin", PASSWORD).await;
    assert_eq!(right.status, StatusCode::TOO_MANY_REQUESTS, "the right one waits too");
    assert_eq!(right.headers[header::RETRY_AFTER], "180");
    server.pass_secs(180);
    assert_eq!(server.sign_in("lin", PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_does_not_exist_answers_like_one_that_does() {
    let server = Server::new();
    server.first().await;
    let before = server.state.auth.hashes_computed();
    let [unknown, known] =
        [server.sign_in("nobody", PASSWORD).await, server.sign_in("lin", "x").await];
    assert_eq!((unknown.status, &unknown.body), (known.status, &known.body));
    assert_eq!(server.state.auth.hashes_computed() - before, 2, "a hash for each");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_and_its_password_survive_a_restart_and_the_loss_of_the_catalog() {
    let server = Server::new();
    let lin = server.first().await;
    let server = server.restart();
    assert_eq!(
        server.get("/session", &lin).await.status,
        StatusCode::UNAUTHORIZED,
        "sessions do not"
    );
    let lin = server.sign_in("lin", PASSWORD).await.browser();
    let new = r#"{"name":"wei","roles":["analyst"],"password":"another good long phrase"}"#;
    let made = server.send(of(&lin, Method::POST, "/users", new)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let catalog = server.state.opened.folder.catalog();
    let Server { dir, state, router, .. } = server;
    state.opened.store.close().unwrap();
    drop((state, router));
    std::fs::remove_dir_all(catalog).unwrap();
    let server = Server::on(dir);
    let wei = server.sign_in("wei", "another good long phrase").await;
    assert_eq!(wei.status, StatusCode::OK, "{}", wei.body);
    assert_eq!(wei.body["user"]["roles"], serde_json::json!(["analyst"]));
}

#[tokio::test]
async fn a_session_ends_when_idle_and_background_requests_do_not_keep_it() {
    let server = Server::new();
    let lin = server.person("lin", &[Role::Viewer]);
    server.pass_secs(14 * 60);
    assert_eq!(server.get("/session", &lin).await.status, StatusCode::OK);
    server.pass_secs(14 * 60);
    let mut background = of(&lin, Method::GET, "/session", "");
    background.headers_mut().insert("x-custos-background", "1".parse().unwrap());
    assert_eq!(server.send(background).await.status, StatusCode::OK);
    server.pass_secs(60);
    assert_eq!(server.get("/session", &lin).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn signing_out_ends_this_browsers_session_at_once_and_no_other() {
    let server = Server::new();
    let [one, two] = [(); 2].map(|()| server.person("lin", &[Role::Viewer]));
    let (session, _) = server.state.auth.session(&one.cookie, true).unwrap();
    let out = server.send(of(&one, Method::DELETE, "/session", "")).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert_eq!(out.cookie(), Some(""), "the browser forgets it too");
    assert!(session.ended.is_cancelled(), "streams end with it");
    assert_eq!(server.get("/session", &one).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.get("/session", &two).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_and_other_roles_or_passwords_end_every_session_of_the_account() {
    let server = Server::new();
    let admin = server.person("admin", &[Role::Admin]);
    for change in [
        r#"{"roles":["analyst"]}"#,
        r#"{"password":"a phrase for somebody else"}"#,
        r#"{"disabled":true}"#,
    ] {
        let wei = server.person("wei", &[Role::Viewer]);
        let (session, _) = server.state.auth.session(&wei.cookie, true).unwrap();
        let changed = server.send(of(&admin, Method::PATCH, "/users/wei", change)).await;
        assert_eq!(changed.status, StatusCode::OK, "{change}: {}", changed.body);
        assert_eq!(server.get("/session", &wei).await.status, StatusCode::UNAUTHORIZED, "{change}");
        assert!(session.ended.is_cancelled(), "streams end with it: {change}");
        assert_eq!(server.get("/session", &admin).await.status, StatusCode::OK);
    }
    let refused = server.sign_in("wei", "a phrase for somebody else").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "disabled");
}

/// The sign-in was checked against the password of before, and only then came to its session.
#[tokio::test]
async fn a_sign_in_that_a_change_overtook_opens_nothing() {
    let server = Server::new();
    let before = server.person("wei", &[Role::Viewer]);
    let generation = server.state.auth.accounts.find("wei").unwrap().generation();
    let admin = server.person("admin", &[Role::Admin]);
    let change = of(&admin, Method::PATCH, "/users/wei", r#"{"roles":["analyst"]}"#);
    assert_eq!(server.send(change).await.status, StatusCode::OK);
    let late = server.state.auth.sessions.start("wei", generation, server.clock.now()).unwrap();
    let late = Browser { cookie: late.reveal().clone(), ..before };
    assert_eq!(server.get("/session", &late).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_new_after_a_sign_in_and_after_a_change_of_ones_own_account() {
    let server = Server::new();
    let first = server.first().await;
    let mut again = sign_in("lin", PASSWORD);
    let cookie = format!("__Host-custos={}", first.cookie);
    again.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
    let second = server.send(again).await.browser();
    assert_ne!(second.cookie, first.cookie);
    assert_ne!(second.csrf, first.csrf);
    assert_eq!(server.get("/session", &first).await.status, StatusCode::UNAUTHORIZED);
    let change = format!(r#"{{"current":"{PASSWORD}","password":"quite another long phrase"}}"#);
    let third = server.send(of(&second, Method::POST, "/me/password", &change)).await.browser();
    assert_eq!(server.get("/session", &second).await.status, StatusCode::UNAUTHORIZED);
    let roles = r#"{"roles":["admin","auditor"]}"#;
    let changed = server.send(of(&third, Method::PATCH, "/users/lin", roles)).await;
    let fourth = changed.cookie().expect("a new cookie").to_owned();
    assert_eq!(server.get("/session", &third).await.status, StatusCode::UNAUTHORIZED);
    let fourth = Browser { cookie: fourth, csrf: String::new() };
    let shown = server.get("/session", &fourth).await;
    assert_eq!(shown.body["user"]["roles"], serde_json::json!(["auditor", "admin"]));
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    let server = Server::new();
    let admin = server.person("admin", &[Role::Admin]);
    for change in [r#"{"disabled":true}"#, r#"{"roles":["lead"]}"#] {
        let answer = server.send(of(&admin, Method::PATCH, "/users/admin", change)).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{change}: {}", answer.body);
    }
    server.person("second", &[Role::Admin]);
    let answer =
        server.send(of(&admin, Method::PATCH, "/users/admin", r#"{"roles":["lead"]}"#)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

#[tokio::test]
async fn a_weak_password_and_a_name_that_is_none_are_refused_with_the_reason() {
    let server = Server::new();
    let admin = server.person("admin", &[Role::Admin]);
    for (name, password, part) in [
        ("wei", "short", "at least 15"),
        ("wei", "custoscustoscustos", "guessed"),
        ("W E I", "a good long phrase", "no name for an account"),
    ] {
        let body = serde_json::json!({"name": name, "roles": ["viewer"], "password": password});
        let answer = server.send(of(&admin, Method::POST, "/users", &body.to_string())).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(part), "{detail}");
        assert!(!detail.contains("good long"), "passwords are not repeated");
    }
}
