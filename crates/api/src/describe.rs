//! What the OpenAPI document says beyond what stands with each handler.

use axum::http::StatusCode;
use utoipa::openapi::{
    Content, HeaderBuilder, KnownFormat, ObjectBuilder, OpenApi, Ref, RefOr, Schema, SchemaFormat,
    path::{Operation, ParameterBuilder, ParameterIn, PathItem},
    schema::{SchemaType, Type},
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

const DESCRIPTION: &str = "When it happened: not later than now, not before the stream's last event. Now if absent.";

/// A parameter that every figure has, and nothing else.
const FIGURE_PARAMETER: &str = "competitor";

/// Adds all of it.
pub(crate) fn complete(openapi: &mut OpenApi) {
    occurred_at(openapi);
    token(openapi);
    open_what_is_flattened(openapi);
    for item in openapi.paths.paths.values_mut() {
        let PathItem { post, put, patch, delete, .. } = item;
        let commands = [post, put, patch, delete].into_iter().flatten();
        commands.for_each(|operation| limit_headers(operation, &["200", "201", "429"]));
        item.get.iter_mut().for_each(|operation| limit_headers(operation, &["429"]));
    }
    for operation in openapi.paths.paths.values_mut().flat_map(operations) {
        name(operation);
        custom_fields(operation);
        describe_responses(operation);
        body_is_never_null(operation);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, patch, delete, .. } = item;
    [get, put, post, patch, delete].into_iter().flatten()
}

/// Handlers of different resources are called alike, and ids of operations must differ: `deals_list`, `users_list`.
fn name(operation: &mut Operation) {
    let tag = operation.tags.iter().flatten().next();
    if let (Some(id), Some(tag)) = (&operation.operation_id, tag) {
        operation.operation_id = Some(format!("{tag}_{id}"));
    }
}

/// Figures can be asked for by each custom field that a company has, and only the company knows which these are.
fn custom_fields(operation: &mut Operation) {
    const PARAMETERS: [(&str, &str); 3] = [
        ("fields.NAME", "Only deals with one of these values of the custom field NAME, separated by commas."),
        ("fields.NAME.from", "Only deals whose custom field NAME, a number or a date, is at least this."),
        ("fields.NAME.to", "Only deals whose custom field NAME is at most this number, or before this date."),
    ];
    let Some(parameters) = &mut operation.parameters else { return };
    if !parameters.iter_mut().filter_map(as_item).any(|parameter| parameter.name == FIGURE_PARAMETER) {
        return;
    }
    parameters.extend(PARAMETERS.map(|(name, description)| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(SchemaType::new(Type::String))))
            .build()
            .into()
    }));
}

/// What answers with one of these statuses say about a caller's remaining quota. None of it is promised: without tokens nothing
/// is limited, and a caller with a bad token is told nothing.
fn limit_headers(operation: &mut Operation, statuses: &[&str]) {
    const TOLD: [(&str, &str); 2] = [
        ("RateLimit", "What is left: `r` of the policy's quota, all of it again in `t` seconds"),
        ("RateLimit-Policy", "What is limited: `q` is the quota, `w` the seconds in which it fills, `qu` its unit"),
    ];
    for (status, response) in &mut operation.responses.responses {
        let (true, Some(response)) = (statuses.contains(&status.as_str()), as_item(response)) else { continue };
        let after = ("Retry-After", "When to try again, in seconds");
        let retry = (status == "429").then_some(after);
        for (name, description) in TOLD.into_iter().chain(retry) {
            let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
            let header = HeaderBuilder::new().schema(Some(text)).description(Some(description)).build();
            response.headers.insert(name.to_owned(), header.into());
        }
    }
}

/// OpenAPI asks for a description of each response; where there is nothing to say, the status says it.
fn describe_responses(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let status = StatusCode::from_bytes(status.as_bytes()).ok();
        if let (RefOr::T(response), Some(reason)) = (response, status.and_then(|status| status.canonical_reason()))
            && response.description.is_empty()
        {
            reason.clone_into(&mut response.description);
        }
    }
}

/// Every command's body takes `occurred_at`. It is not part of what a command asks for, so no command's type has it.
fn occurred_at(openapi: &mut OpenApi) {
    let bodies: Vec<String> = openapi.paths.paths.values().flat_map(bodies).collect();
    let Some(components) = &mut openapi.components else { return };
    for body in bodies {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(&body) {
            let property = ObjectBuilder::new()
                .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
                .description(Some(DESCRIPTION));
            object.properties.insert("occurred_at".into(), property.into());
        }
    }
}

/// How callers say who they are. The empty choice: without any token set up, none is sent.
fn token(openapi: &mut OpenApi) {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "A token from `dealog token create`. Until the first one is created, none is needed, and the server listens on \
         loopback only.",
    ));
    let components = openapi.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    let none: [&str; 0] = [];
    openapi.security = Some(vec![SecurityRequirement::new("token", none), SecurityRequirement::default()]);
}

/// A body that may be left out is described as one that may be null, which it may not.
fn body_is_never_null(operation: &mut Operation) {
    for content in operation.request_body.iter_mut().filter_map(as_item).flat_map(|body| body.content.values_mut()) {
        let RefOr::T(Content { schema: Some(schema), .. }) = content else { continue };
        if let RefOr::T(Schema::OneOf(choices)) = schema
            && let Some(body) = choices.items.iter().find(|choice| matches!(choice, RefOr::Ref(_)))
        {
            *schema = body.clone();
        }
    }
}

fn as_item<T>(item: &mut RefOr<T>) -> Option<&mut T> {
    match item {
        RefOr::T(item) => Some(item),
        RefOr::Ref(_) => None,
    }
}

/// What is flattened into an answer stands beside other properties there, even where a request may hold nothing else.
fn open_what_is_flattened(openapi: &mut OpenApi) {
    let Some(components) = &mut openapi.components else { return };
    let known = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        let RefOr::T(Schema::AllOf(all)) = schema else { continue };
        for item in &mut all.items {
            let name = references(item).pop().unwrap_or_default();
            if let Some(RefOr::T(Schema::Object(object))) = known.get(&name)
                && object.additional_properties.is_some()
            {
                let mut open = object.clone();
                open.additional_properties = None;
                *item = Schema::Object(open).into();
            }
        }
    }
}

/// The names of the schemas of a path's request bodies.
fn bodies(item: &PathItem) -> Vec<String> {
    [&item.post, &item.put, &item.patch, &item.delete]
        .into_iter()
        .flatten()
        .filter_map(|operation| operation.request_body.as_ref())
        .filter_map(|body| match body {
            RefOr::T(body) => Some(body.content.values()),
            RefOr::Ref(_) => None,
        })
        .flatten()
        .filter_map(|content| match content {
            RefOr::T(content) => content.schema.as_ref(),
            RefOr::Ref(_) => None,
        })
        .flat_map(references)
        .collect()
}

fn references(schema: &RefOr<Schema>) -> Vec<String> {
    match schema {
        RefOr::Ref(Ref { ref_location, .. }) => {
            ref_location.rsplit('/').next().map(ToOwned::to_owned).into_iter().collect()
        }
        RefOr::T(Schema::OneOf(choices)) => choices.items.iter().flat_map(references).collect(),
        RefOr::T(_) => Vec::new(),
    }
}
