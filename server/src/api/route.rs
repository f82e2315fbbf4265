//! One row of the table of routes: what it answers to, whom, how, and what it says of itself.

use super::{State, problem::Problem};
use crate::auth::Permission;
use axum::{
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter, on},
};
use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        Content, HttpMethod, Object, Ref, RefOr, Required, Response, Schema, Type,
        extensions::Extensions,
        path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        security::SecurityRequirement,
    },
};

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody: only what leads to a sign-in.
    Open,
    /// Everybody who has a session, whatever the roles.
    SignedIn,
    /// Who holds the permission.
    May(Permission),
}

impl Access {
    /// As the document has it.
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::SignedIn => "signed_in",
            Self::May(permission) => permission.name(),
        }
    }
}

impl From<Permission> for Access {
    fn from(permission: Permission) -> Self {
        Self::May(permission)
    }
}

/// A schema with its name in the document.
pub(super) type Named = (String, RefOr<Schema>);

/// One row.
pub(crate) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) access: Access,
    /// It can be asked as of another time.
    pub(super) has_past: bool,
    pub(super) handler: MethodRouter<State>,
    pub(super) operation: OperationBuilder,
    pub(super) schemas: Vec<Named>,
}

/// Each takes the path below `/api/v1`, who may, the handler, and one line for the document.
impl Route {
    pub(crate) fn get<T: 'static>(
        path: &'static str,
        access: impl Into<Access>,
        handler: impl Handler<T, State>,
        summary: &str,
    ) -> Self {
        Self::new((Method::GET, MethodFilter::GET), path, access.into(), handler, summary)
    }

    pub(crate) fn post<T: 'static>(
        path: &'static str,
        access: impl Into<Access>,
        handler: impl Handler<T, State>,
        summary: &str,
    ) -> Self {
        Self::new((Method::POST, MethodFilter::POST), path, access.into(), handler, summary)
    }

    pub(crate) fn patch<T: 'static>(
        path: &'static str,
        access: impl Into<Access>,
        handler: impl Handler<T, State>,
        summary: &str,
    ) -> Self {
        Self::new((Method::PATCH, MethodFilter::PATCH), path, access.into(), handler, summary)
    }

    pub(crate) fn delete<T: 'static>(
        path: &'static str,
        access: impl Into<Access>,
        handler: impl Handler<T, State>,
        summary: &str,
    ) -> Self {
        Self::new((Method::DELETE, MethodFilter::DELETE), path, access.into(), handler, summary)
    }

    fn new<T: 'static>(
        (method, filter): (Method, MethodFilter),
        path: &'static str,
        access: Access,
        handler: impl Handler<T, State>,
        summary: &str,
    ) -> Self {
        let id = operation_id(&method, path);
        let mut operation = OperationBuilder::new().summary(Some(summary)).operation_id(Some(id));
        operation = operation.tag(path.split('/').nth(1).unwrap_or_default());
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            operation = operation.parameter(in_path(name));
        }
        let extensions = Extensions::builder().add("x-permission", access.name()).build();
        operation = operation.extensions(Some(extensions));
        if access == Access::Open {
            operation = operation.securities(Some([SecurityRequirement::default()]));
        }
        let mut schemas = Vec::new();
        let problem = content::<Problem>(&mut schemas);
        let problem = Response::builder()
            .description("What went wrong")
            .content("application/problem+json", problem);
        let operation = operation.response("default", problem);
        let handler = on(filter, handler);
        Self { method, path, access, has_past: false, handler, operation, schemas }
    }

    /// The parameters behind the question mark.
    #[must_use]
    pub(crate) fn query<T: IntoParams>(mut self) -> Self {
        for parameter in T::into_params(|| Some(ParameterIn::Query)) {
            self.operation = self.operation.parameter(parameter);
        }
        self
    }

    /// It can be asked as of another time.
    #[must_use]
    pub(crate) fn with_past(mut self) -> Self {
        let about = "A commit's number or a time (RFC 3339): the answer is as it was then";
        let as_of = ParameterBuilder::new()
            .name("as_of")
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(Object::with_type(Type::String)));
        self.operation = self.operation.parameter(as_of.build());
        self.has_past = true;
        self
    }

    /// The body it takes.
    #[must_use]
    pub(crate) fn takes<T: ToSchema>(mut self) -> Self {
        let content = content::<T>(&mut self.schemas);
        let body = RequestBodyBuilder::new().required(Some(Required::True));
        let body = body.content("application/json", content).build();
        self.operation = self.operation.request_body(Some(body));
        self
    }

    /// The JSON it answers with.
    #[must_use]
    pub(crate) fn gives<T: ToSchema>(self) -> Self {
        self.answers::<T>("200", "application/json")
    }

    /// 201: the JSON of what was made.
    #[must_use]
    pub(crate) fn gives_new<T: ToSchema>(self) -> Self {
        self.answers::<T>("201", "application/json")
    }

    /// The lines it answers with, one JSON value each.
    #[must_use]
    pub(crate) fn gives_lines<T: ToSchema>(self) -> Self {
        self.answers::<T>("200", "application/x-ndjson")
    }

    /// Server-sent events whose data are such values.
    #[must_use]
    pub(crate) fn gives_events<T: ToSchema>(self) -> Self {
        self.answers::<T>("200", "text/event-stream")
    }

    /// 204: done, and nothing more to say.
    #[must_use]
    pub(crate) fn gives_nothing(mut self) -> Self {
        self.operation = self.operation.response("204", Response::new("Done"));
        self
    }

    fn answers<T: ToSchema>(mut self, status: &str, kind: &str) -> Self {
        let content = content::<T>(&mut self.schemas);
        let answer = Response::builder().description("Done").content(kind, content);
        self.operation = self.operation.response(status, answer);
        self
    }

    pub(super) fn http_method(&self) -> HttpMethod {
        match self.method {
            Method::POST => HttpMethod::Post,
            Method::PATCH => HttpMethod::Patch,
            Method::DELETE => HttpMethod::Delete,
            _ => HttpMethod::Get,
        }
    }
}

/// The schema by its name, and with it those that it refers to.
fn content<T: ToSchema>(schemas: &mut Vec<Named>) -> Content {
    let name = T::name().into_owned();
    T::schemas(schemas);
    schemas.push((name.clone(), T::schema()));
    Content::new(Some(Ref::from_schema_name(name)))
}

fn in_path(name: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(Object::with_type(Type::String)))
        .build()
}

/// `get_incidents_id` of `GET /incidents/{id}`.
fn operation_id(method: &Method, path: &str) -> String {
    let words = path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
    let method = method.as_str().to_ascii_lowercase();
    std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_")
}
