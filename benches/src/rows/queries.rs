//! Every query, over HTTP, on a server that has answered it before.

use std::time::{Duration, Instant};

use dealog_tests::Server;
use serde_json::Value;

use crate::{
    Result,
    bench::Bench,
    connection::Connection,
    table::{Line, Target, median, millis, percentile},
};

/// On Maven's data.
const MILLIS_MAX: u32 = 20;

/// There are many queries: each is asked for this part of a measurement's time.
const SLICES: u32 = 4;

/// A company that is asked, and the year that it is asked about.
struct Asked {
    connection: Connection,
    pipeline: String,
    deal: String,
    from: &'static str,
    to: &'static str,
    as_of: &'static str,
    month: &'static str,
}

struct Query {
    name: &'static str,
    targeted: bool,
    path: fn(&Asked) -> String,
}

const QUERIES: [Query; 13] = [
    Query { name: "pipeline", targeted: true, path: |asked| format!("/v1/pipeline?as_of={}", asked.as_of) },
    Query { name: "board", targeted: false, path: |asked| format!("/v1/board?pipeline={}", asked.pipeline) },
    Query { name: "funnel of a cohort", targeted: true, path: |asked| format!("/v1/funnel?{}", asked.year()) },
    Query {
        name: "funnel of a period",
        targeted: true,
        path: |asked| format!("/v1/funnel?mode=period&{}", asked.year()),
    },
    Query {
        name: "forecast",
        targeted: true,
        path: |asked| format!("/v1/forecast?from={}&to={}&as_of={}", asked.month, asked.to, asked.month),
    },
    Query { name: "win rate", targeted: false, path: |asked| format!("/v1/win-rate?{}", asked.year()) },
    Query { name: "cycle", targeted: false, path: |asked| format!("/v1/cycle?{}", asked.year()) },
    Query { name: "velocity", targeted: false, path: |asked| format!("/v1/velocity?{}", asked.year()) },
    Query { name: "time in stage", targeted: false, path: |asked| format!("/v1/time-in-stage?as_of={}", asked.as_of) },
    Query { name: "list of deals, 50", targeted: false, path: |_| "/v1/deals?limit=50".into() },
    Query { name: "one deal", targeted: false, path: |asked| format!("/v1/deals/{}", asked.deal) },
    Query { name: "history of a deal", targeted: false, path: |asked| format!("/v1/deals/{}/history", asked.deal) },
    Query { name: "page of events, 100", targeted: false, path: |_| "/v1/events?after=100&limit=100".into() },
];

/// What a query took on the demo and on Maven's data, in milliseconds.
type Times = [Vec<f64>; 2];

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let demo = Server::start(bench.demo(), &[]);
    let (runtime, slice) = (&bench.runtime, bench.slice / SLICES);
    let year = ["2025-07-01", "2026-07-01", "2026-06-30", "2026-06-01"];
    let of_demo = runtime.block_on(Asked::of(&demo, year))?;
    let year = ["2017-01-01", "2018-01-01", "2017-12-31", "2017-12-01"];
    let of_maven = runtime.block_on(Asked::of(bench.server(), year))?;
    let mut companies = [of_demo, of_maven];
    let mut times: Vec<Times> = QUERIES.iter().map(|_| Times::default()).collect();
    bench.rounds("queries", || {
        for (query, times) in QUERIES.iter().zip(&mut times) {
            for (asked, times) in companies.iter_mut().zip(times) {
                times.extend(runtime.block_on(asked.ask(query, slice))?);
            }
        }
        Ok(())
    })?;
    demo.stop();
    Ok(QUERIES.iter().zip(times).map(|(query, times)| line(query, times, bench.maven.name)).collect())
}

impl Asked {
    async fn of(server: &Server, [from, to, as_of, month]: [&'static str; 4]) -> Result<Self> {
        let mut connection = Connection::open(server.address()).await?;
        let pipelines: Value = serde_json::from_slice(connection.get("/v1/pipelines").await?)?;
        let deals: Value = serde_json::from_slice(connection.get("/v1/deals?limit=1").await?)?;
        let first = |list: &Value, name: &str| {
            list.pointer(&format!("/{name}/0/id")).and_then(Value::as_str).map(ToOwned::to_owned)
        };
        let pipeline = first(&pipelines, "items").ok_or("there is no pipeline")?;
        let deal = first(&deals, "deals").ok_or("there is no deal")?;
        Ok(Self { connection, pipeline, deal, from, to, as_of, month })
    }

    fn year(&self) -> String {
        format!("from={}&to={}&as_of={}", self.from, self.to, self.as_of)
    }

    /// What the answers took, after a first one that does not count.
    async fn ask(&mut self, query: &Query, slice: Duration) -> Result<Vec<f64>> {
        let path = (query.path)(self);
        self.connection.get(&path).await?;
        let (begun, mut times) = (Instant::now(), Vec::new());
        while begun.elapsed() < slice {
            let asked = Instant::now();
            self.connection.get(&path).await?;
            times.push(millis(asked.elapsed()));
        }
        Ok(times)
    }
}

fn line(query: &Query, [demo, maven]: Times, maven_name: &str) -> Line {
    let shown = |times: &[f64]| format!("{:.1} ms (p99 {:.1})", median(times.to_vec()), percentile(times.to_vec(), 99));
    let dealog = format!("demo {}, {maven_name} {}", shown(&demo), shown(&maven));
    let target = query.targeted.then(|| Target::below(median(maven), MILLIS_MAX, "ms"));
    Line::alone(format!("query: {}", query.name), dealog, target)
}
