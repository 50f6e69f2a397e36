//! What a new company has, and a company of the importer's sample.

use serde_json::{Value, json};

use crate::{Client, Data, repository};

/// The pipeline that every company starts with.
pub const DEFAULT_PIPELINE: &str = "3f0c7b52-9a1e-5d44-8c6b-20d1e5f87a03";

/// A deal in the default pipeline, with these attributes besides.
pub fn deal(title: &str, more: &Value) -> Value {
    let mut deal = json!({"title": title, "pipeline": DEFAULT_PIPELINE});
    let more = more.as_object().expect("an object of attributes").clone();
    deal.as_object_mut().expect("an object").extend(more);
    deal
}

/// The company of the importer's sample: a few hundred events, no read models.
pub fn company(data: Data) -> Data {
    let maven = repository().join("examples/maven");
    let [mapping, sample] = ["mapping.toml", "sample"].map(|name| maven.join(name).display().to_string());
    data.run(["import", "--mapping", &mapping, &sample]).succeed();
    data
}

impl Client {
    /// Answers to fixed questions about it, to the byte.
    pub fn answers(&self) -> Vec<String> {
        let figures = ["pipeline", "funnel", "forecast", "time-in-stage", "win-rate", "cycle", "velocity", "board"];
        let figures = figures.map(|figure| format!("/v1/{figure}?as_of=2025-01-01"));
        let lists = ["deals?limit=500", "customers", "users", "teams", "pipelines"].map(|list| format!("/v1/{list}"));
        figures.iter().chain(&lists).map(|path| self.get(path).expect(200).text).collect()
    }
}
