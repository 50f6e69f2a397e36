//! Files to import: the example's, and larger ones of the same shape.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use dealog_tests::repository;

pub(crate) fn mapping() -> PathBuf {
    repository().join("examples/maven/mapping.toml")
}

pub(crate) fn sample() -> PathBuf {
    repository().join("examples/maven/sample")
}

/// The sample's accounts, products and people, with so many deals.
pub(crate) fn write_deals(folder: &Path, deals: u32) {
    for file in ["accounts.csv", "products.csv", "sales_teams.csv"] {
        fs::copy(sample().join(file), folder.join(file)).unwrap();
    }
    let mut rows =
        "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n".to_owned();
    for index in 0..deals {
        let (day, month) = (1 + index % 28, 1 + index / 28 % 6);
        let end = match index % 3 {
            0 => format!("Won,2017-{month:02}-{day:02},2017-{:02}-{day:02},{}", month + 2, 500 + index),
            1 => format!("Lost,2017-{month:02}-{day:02},2017-{:02}-{day:02},0", month + 1),
            _ => format!("Engaging,2017-{month:02}-{day:02},,"),
        };
        writeln!(rows, "D{index:06},Ilse Brandt,GTX Basic,Alder Freight,{end}").unwrap();
    }
    fs::write(folder.join("sales_pipeline.csv"), rows).unwrap();
}
