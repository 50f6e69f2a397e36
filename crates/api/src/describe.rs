//! What the OpenAPI document says beyond what stands with each handler.

use utoipa::openapi::{
    KnownFormat, ObjectBuilder, OpenApi, Ref, RefOr, Schema, SchemaFormat,
    path::PathItem,
    schema::{SchemaType, Type},
};

const DESCRIPTION: &str = "When it happened: not later than now, not before the stream's last event. Now if absent.";

/// Every command's body takes `occurred_at`. It is not part of what a command asks for, so no command's type has it.
pub(crate) fn occurred_at(openapi: &mut OpenApi) {
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
