//! What a new company has.

use serde_json::{Value, json};

/// The pipeline that every company starts with.
pub const DEFAULT_PIPELINE: &str = "3f0c7b52-9a1e-5d44-8c6b-20d1e5f87a03";

/// A deal in the default pipeline, with these attributes besides.
pub fn deal(title: &str, more: &Value) -> Value {
    let mut deal = json!({"title": title, "pipeline": DEFAULT_PIPELINE});
    let more = more.as_object().expect("an object of attributes").clone();
    deal.as_object_mut().expect("an object").extend(more);
    deal
}
