//! Table, router and document say the same; answers carry what browsers have to be told.

use super::{
    super::{openapi, routes::table},
    *,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
};

/// `CUSTOS_BLESS=1 cargo test -p custos-server the_document` writes the snapshot anew; look at its diff.
const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

#[test]
fn the_document_is_the_one_in_the_repository() {
    let mut now = serde_json::to_string_pretty(&openapi::document()).unwrap();
    now.push('\n');
    if env::var_os("CUSTOS_BLESS").is_some() {
        fs::write(SNAPSHOT, &now).unwrap();
    }
    let then = fs::read_to_string(Path::new(SNAPSHOT)).unwrap_or_default();
    assert!(
        now == then,
        "the API is not the one in docs/openapi.json; if it should be: \
         CUSTOS_BLESS=1 cargo test -p custos-server the_document"
    );
}

#[test]
fn the_document_has_the_tables_operations_and_no_other() {
    let document = serde_json::to_value(openapi::document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut told = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            told.insert((method.to_uppercase(), path.clone()));
            assert!(ids.insert(operation["operationId"].to_string()), "{operation}");
        }
    }
    let routes = table();
    let listed = routes.iter().map(|route| (route.method.to_string(), route.path.to_owned()));
    assert_eq!(told, listed.collect());
    assert_eq!(told.len(), routes.len(), "a route stands twice in the table");
}

#[test]
fn every_schema_that_is_referred_to_is_there() {
    let text = serde_json::to_string(&openapi::document()).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    for after in text.split("#/components/schemas/").skip(1) {
        let name = after.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name} is not described");
    }
}

#[test]
fn schemas_of_one_name_are_one_schema() {
    let mut known = BTreeMap::new();
    for (name, schema) in table().into_iter().flat_map(|route| route.schemas) {
        let schema = serde_json::to_value(schema).unwrap();
        let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
        assert_eq!(*first, schema, "two schemas are called {name}; give one a name of its own");
    }
}

#[tokio::test]
async fn the_router_answers_to_the_tables_methods_and_no_other() {
    let server = Server::new();
    let routes = table();
    for route in &routes {
        let path: String = route.path.replace(['{', '}'], "");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let listed = routes.iter().any(|one| one.path == route.path && one.method == method);
            let asked = request(method.clone(), &path, "{}");
            let response = server.router.clone().oneshot(asked).await.unwrap();
            let answered = response.status() != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(answered, listed, "{method} {path}: {}", response.status());
        }
    }
    let answer = server.send(request(Method::GET, "/nowhere", "")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
}

#[tokio::test]
async fn every_answer_tells_the_browser_to_run_frame_guess_and_keep_nothing() {
    let server = Server::new();
    for path in ["/openapi.json", "/session", "/nowhere"] {
        let headers = server.send(request(Method::GET, path, "")).await.headers;
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert!(!headers.contains_key(header::STRICT_TRANSPORT_SECURITY), "not over http");
    }
    let mut behind = request(Method::GET, "/session", "");
    behind.headers_mut().insert("x-forwarded-proto", "https".parse().unwrap());
    assert!(server.send(behind).await.headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
}

#[test]
fn the_pages_policy_has_a_nonce_of_its_own_and_nothing_unsafe() {
    let [(one, nonce), (two, _)] = [(); 2].map(|()| super::super::headers::page_policy().unwrap());
    let one = one.to_str().unwrap();
    assert!(one.contains(&format!("'nonce-{nonce}'")) && !one.contains("unsafe"), "{one}");
    assert_ne!(one, two.to_str().unwrap());
}

#[tokio::test]
async fn what_does_not_read_is_a_problem_that_tells_where_and_nothing_of_the_inside() {
    let server = Server::new();
    let lead = server.person("lead", &[Role::Lead]);
    let answer = server.get("/count?query=(a", &lead).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body["column"].is_u64(), "{}", answer.body);
    let answer = server.get("/count?query=*&from=tomorrow", &lead).await;
    assert!(answer.body["detail"].as_str().unwrap().starts_with("from: "), "{}", answer.body);
    let large = format!(r#"{{"name":"lin","password":"{}"}}"#, "x".repeat(2 << 20));
    let answer = server.send(request(Method::POST, "/session", &large)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.body);
    for body in ["", "{", "[]", r#"{"name":"lin"}"#, r#"{"name":1,"password":"a"}"#] {
        let answer = server.send(request(Method::POST, "/session", body)).await;
        assert!(answer.status.is_client_error(), "{body}: {}", answer.status);
        assert_eq!(answer.body["status"], answer.status.as_u16(), "{}", answer.body);
    }
}
