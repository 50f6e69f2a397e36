//! Commands on one customer without a pause, by one seller: they would freeze it for everybody, and fill the disk.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Attack, MISUSER};
use crate::{
    broken::{Broken, Result},
    connection::request,
};

const CONNECTIONS: usize = 8;
/// At most 400 requests a second together.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn start(attack: &Attack, attacking: &mut JoinSet<Result<()>>) {
    for number in 0..CONNECTIONS {
        let attack = attack.clone();
        attacking.spawn(async move {
            let mut connection = attack.connect(MISUSER).await;
            let token = attack.callers.greedy_seller.clone();
            let body = json!({"name": format!("Abused {number}"), "kind": "organisation"}).to_string();
            let registered = connection.ask(&request("POST", "/v1/customers", Some(&token), &body)).await?;
            let registered: Value = serde_json::from_slice(&registered.body)?;
            let id = registered.get("id").and_then(Value::as_str);
            let id = id.ok_or_else(|| Broken(format!("a seller cannot register a customer: {registered}")))?;
            let (path, mut renamed) = (format!("/v1/customers/{id}"), 0_u64);
            let request = || {
                renamed += 1;
                request("PATCH", &path, Some(&token), &json!({"name": format!("Renamed {renamed}")}).to_string())
            };
            attack.ask_on(MISUSER, PAUSE, request).await;
            Ok(())
        });
    }
}
