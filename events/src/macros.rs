//! The two shapes that repeat: a type that is a string in JSON, and the closed set of event types of one aggregate.

/// A type that is written as a string: JSON through `Display` and `FromStr`, and its schemas.
macro_rules! string_type {
    ($type:ty, $name:literal, $description:literal, $pattern:expr, $example:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut schema = schemars::json_schema!({
                    "type": "string", "description": $description, "examples": [$example]
                });
                let pattern: Option<&str> = $pattern;
                if let Some(pattern) = pattern {
                    schema.insert("pattern".into(), pattern.into());
                }
                schema
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                let pattern: Option<&str> = $pattern;
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some($description))
                    .min_length(Some(1))
                    .pattern(pattern)
                    .examples([$example])
                    .into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
        }
    };
}

/// The event types of one aggregate: an enum with one variant for each, its type name and its present schema version.
macro_rules! events {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $type:literal v $schema:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", $type, "`")] $variant($variant)),+
        }

        impl $name {
            /// Every type of this aggregate with its present schema version and its JSON Schema.
            pub(crate) const TYPES: &[crate::EventType] = &[
                $(crate::EventType { name: $type, schema: $schema, json_schema: || schemars::schema_for!($variant) }),+
            ];

            pub(crate) fn event_type(&self) -> (&'static str, u16) {
                match self { $(Self::$variant(_) => ($type, $schema)),+ }
            }

            pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
                match self { $(Self::$variant(event) => serde_json::to_string(event)),+ }
            }

            pub(crate) fn from_json(event_type: &str, data: &str) -> Result<Self, crate::ReadError> {
                match event_type {
                    $($type => serde_json::from_str(data).map(Self::$variant).map_err(|source| {
                        crate::ReadError::Data { event_type: event_type.into(), source }
                    }),)+
                    _ => Err(crate::ReadError::UnknownType(event_type.into())),
                }
            }
        }

        $(impl From<$variant> for crate::Event {
            fn from(event: $variant) -> Self {
                $name::$variant(event).into()
            }
        })+
    };
}
