//! Two servers whose clocks differ, and who are asked in turn about what the other has just done.

use std::fs;

use serde_json::Value;

use super::Run;
use crate::{
    broken::{Broken, Result, ensure},
    client::{Answer, Client},
    load::call,
    place::Faults,
    shim::{Control, Shim},
    workload::Command,
};

/// By so much at most, in milliseconds, ahead or behind.
const SKEW_MS_MAX: u64 = 5_000;
/// How often each is asked.
const TURNS: u64 = 10;
/// A server may be asked so often for a position that its read models have not come to.
const ATTEMPTS_MAX: usize = 20;

pub(super) async fn strike(run: &mut Run) -> Result<()> {
    run.cluster.kill_all().await?;
    let skew = i64::try_from(run.chance.within(20, SKEW_MS_MAX))?;
    let skew = if run.chance.percent(50) { skew } else { -skew };
    let mut shims = Vec::new();
    for (index, offset_ms) in [0, skew].into_iter().enumerate() {
        let folder = run.cluster.place.folder.join(format!("clock-{index}"));
        fs::create_dir_all(&folder)?;
        let shim = Shim::build(&folder)?;
        shim.set(Control { clock_offset_ns: offset_ms * 1_000_000, ..Control::default() })?;
        run.cluster.start(index + 1, &shim.faults("")).await?;
        // They are read as long as their servers run.
        shims.push(shim);
    }
    run.goes_on(20, 60).await?;
    let nodes = run.cluster.now();
    let [one, other] = nodes.as_slice() else { return Err(Broken("there are not two servers".into())) };
    for turn in 0..TURNS {
        let (commanded, asked) = if turn % 2 == 0 { (*one, *other) } else { (*other, *one) };
        let source = format!("skewed {skew} {turn} {}", run.chance.within(0, u64::MAX - 1));
        let command = Command::create_from(source.clone(), &source);
        let client = Client::new()?;
        let number = run.witness.sends(command.clone());
        let Answer::Done(done) = call(&client, &run.witness, number, &command, commanded).await? else {
            continue;
        };
        let source = source.replace(' ', "%20");
        for question in ["pipeline", "deals"] {
            let path = format!("/v1/{question}?source={source}&min_position={}", done.position);
            let answer = answered(&client, asked, &path).await?;
            let found = match question {
                "pipeline" => answer.pointer("/total/deals").and_then(Value::as_u64),
                _ => answer.pointer("/deals").and_then(Value::as_array).map(|deals| deals.len() as u64),
            };
            ensure!(found == Some(1), "with clocks {skew} ms apart, GET {path} does not have the deal: {answer}");
        }
    }
    run.goes_on(20, 60).await?;
    run.cluster.kill_all().await?;
    run.cluster.start(run.nodes, &Faults::none()).await
}

async fn answered(client: &Client, node: std::net::SocketAddr, path: &str) -> Result<Value> {
    for _ in 0..ATTEMPTS_MAX {
        if let Some(text) = client.ask(node, path).await? {
            return Ok(serde_json::from_str(&text)?);
        }
    }
    Err(Broken(format!("GET {path} is not answered")))
}
