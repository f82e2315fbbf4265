//! The OpenAPI 3.1 document, made from the table of routes.

use super::{extract::Json, routes};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{
        ComponentsBuilder, Info, OpenApi, OpenApiBuilder, Paths, Server,
        security::{
            ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
        },
    },
};

pub(super) const BASE: &str = "/api/v1";
const SESSION: &str = "session";
const TOKEN: &str = "token";

/// An OpenAPI document.
#[derive(Serialize, ToSchema)]
#[schema(value_type = Object)]
pub(crate) struct Document(OpenApi);

pub(super) async fn show() -> Json<Document> {
    Json(Document(document()))
}

pub(crate) fn document() -> OpenApi {
    let mut paths = Paths::new();
    let mut components = ComponentsBuilder::new();
    for route in routes::table() {
        let method = route.http_method();
        paths.add_path_operation(route.path, vec![method], route.operation);
        for (name, schema) in route.schemas {
            components = components.schema(name, schema);
        }
    }
    let cookie = ApiKeyValue::with_description(
        "__Host-custos",
        "Set by POST /session; changes also need the session's token in X-CSRF-Token",
    );
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(cookie));
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("For programs: keys/api.token of the data folder"))
        .build();
    let components = components
        .security_scheme(SESSION, cookie)
        .security_scheme(TOKEN, SecurityScheme::Http(bearer));
    let none = std::iter::empty::<String>;
    let security = [SESSION, TOKEN].map(|name| SecurityRequirement::new(name, none()));
    OpenApiBuilder::new()
        .info(Info::new("Custos", "1"))
        .servers(Some([Server::new(BASE)]))
        .paths(paths)
        .components(Some(components.build()))
        .security(Some(security))
        .build()
}
