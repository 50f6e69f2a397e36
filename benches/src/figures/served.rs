//! The log behind a real server: how long it takes to open, what it holds in memory, and what analysts and commands notice of
//! each other.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use dealog_tests::{Data, Server, until};
use futures_util::future::{try_join, try_join_all};
use serde_json::Value;
use tokio::runtime::{self, Runtime};

use super::LOG;
use crate::{
    Result,
    connection::Connection,
    moving,
    rows::{
        delivery,
        http::{self, Sender},
        memory,
    },
    table::{Line, Target, markdown, median, millis, number, percentile, rate},
};

/// What a server makes from the log and a run keeps: the read models, and the snapshot of the figures.
const MADE: [&str; 2] = ["views.db", "figures.snapshot"];
/// The folder of these, beside the log.
const KEPT: &str = "served";

/// What a write-ahead log has at most once it has been cut.
const WAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How long it may take to make them.
const MAKE: Duration = Duration::from_mins(30);
/// How long a server may take to be there once they are made.
const OPEN: Duration = Duration::from_mins(1);
/// How often it is asked whether it is.
const ASK_AGAIN: Duration = Duration::from_millis(5);
/// How often each time of opening is measured.
const OPENINGS: usize = 5;

const COMMAND_LINE_MILLIS_MAX: u32 = 200;
const SERVE_MILLIS_MAX: u32 = 1_000;
const FIGURES_MILLIS_MAX: u32 = 3_000;
const MEGABYTES_MAX: u32 = 700;

/// Analysts that ask one question after another.
const ANALYSTS: usize = 8;
const ANSWER_P99_MILLIS_MAX: u32 = 250;
/// 500 commands a second, over so many connections.
const BETWEEN_COMMANDS: Duration = Duration::from_millis(2);
const SENDERS: usize = 8;
/// Rounds with analysts and without, in turns, and how long each is.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);
/// Of their rate alone.
const COMMANDS_PERCENT_MIN: u32 = 80;

/// The questions of the table above, as analysts ask them over HTTP.
const QUESTIONS: [&str; 13] = [
    "/v1/pipeline",
    "/v1/board?pipeline={pipeline}",
    "/v1/forecast",
    "/v1/funnel?from=2025-07-01&to=2025-10-01",
    "/v1/win-rate?from=2025-01-01&to=2026-01-01&by=owner",
    "/v1/funnel?from=2020-01-01&to=2026-01-15",
    "/v1/win-rate?from=2020-01-01&to=2026-01-15&by=month",
    "/v1/cycle?from=2020-01-01&to=2026-01-15",
    "/v1/pipeline?as_of=2024-01-15",
    "/v1/win-rate?from=2022-01-01&to=2023-01-01&by=owner&known_at={middle}",
    "/v1/funnel?from=2022-07-01&to=2022-10-01&as_of=2024-01-15&known_at={middle}",
    "/v1/cycle?from=2020-01-01&to=2024-01-15&as_of=2024-01-15",
    "/v1/time-in-stage",
];

/// Serves the log in this folder, and gives the table of what was measured.
pub(super) fn measure(folder: &Path) -> Result<String> {
    make(folder)?;
    let data = Data::on_sqlite();
    fs::create_dir(data.folder())?;
    fs::copy(folder.join(LOG), data.folder().join(LOG))?;
    for made in MADE {
        fs::copy(folder.join(KEPT).join(made), data.folder().join(made))?;
    }
    let mut lines = opening(&data)?;
    let server = Server::start(&data, &[]);
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    ready(&server);
    let questions = questions(&server)?;
    let head = server.head();
    // Each once: what the answers take stays with the allocator.
    for question in &questions {
        server.get(question).expect(200);
    }
    lines.push(memory::line("memory of the server, after each question once".into(), &server, MEGABYTES_MAX)?);
    lines.extend(beside(&runtime, &server, &questions)?);
    lines.push(memory::line("memory of the server, after all that".into(), &server, MEGABYTES_MAX)?);
    server.stop();
    let title = format!("The same log, {} events, behind `dealog serve`:", number(head as f64));
    Ok(format!("{title}\n\n{}", markdown(&lines)))
}

/// Has a server make the read models and the snapshot, unless an earlier run did.
fn make(folder: &Path) -> Result<()> {
    let kept = folder.join(KEPT);
    if MADE.iter().all(|made| kept.join(made).exists()) {
        return Ok(());
    }
    let progress = super::bar("read models", "events")?;
    let data = Data::on_sqlite();
    fs::create_dir(data.folder())?;
    fs::copy(folder.join(LOG), data.folder().join(LOG))?;
    let server = Server::start(&data, &[]);
    progress.set_length(server.head());
    until("the read models should be made", MAKE, || {
        let ready = server.get("/health/ready");
        let models = ready.body.get("projections").and_then(Value::as_array);
        let position = |model: &Value| model.get("position").and_then(Value::as_u64);
        // The last of them is built last.
        progress.set_position(models.and_then(|models| models.last()).and_then(position).unwrap_or_default());
        (ready.status == 200).then_some(())
    });
    // The new tables came by one transaction. A stop does not wait until all of it is in the file.
    let wal = data.folder().join("views.db-wal");
    until("the new tables should be in views.db", MAKE, || {
        let bytes = fs::metadata(&wal).map_or(0, |wal| wal.len());
        (bytes <= WAL_BYTES_MAX).then_some(())
    });
    server.stop();
    progress.finish_and_clear();
    fs::create_dir_all(&kept)?;
    for made in MADE {
        fs::copy(data.folder().join(made), kept.join(made))?;
    }
    Ok(())
}

fn ready(server: &Server) {
    until("the server should be ready", OPEN, || (server.get("/health/ready").status == 200).then_some(()));
}

/// How long a command line takes that reads a little, and how long a server until it answers.
fn opening(data: &Data) -> Result<Vec<Line>> {
    let (mut command_line, mut live, mut figures) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..OPENINGS {
        let begun = Instant::now();
        data.run(["token", "list"]).succeed();
        command_line.push(millis(begun.elapsed()));
        let begun = Instant::now();
        let server = Server::start(data, &[]);
        answers(&server, "/v1/deals?limit=1")?;
        live.push(millis(begun.elapsed()));
        answers(&server, "/v1/pipeline")?;
        figures.push(millis(begun.elapsed()));
        ready(&server);
        server.stop();
    }
    let line = |what: &str, times: Vec<f64>, millis_max: u32| {
        let (p50, most) = (median(times.clone()), percentile(times, 100));
        let target = Target::below(p50, millis_max, "ms");
        Line::alone(what.to_owned(), format!("{p50:.0} ms (at most {most:.0})"), Some(target))
    };
    Ok(vec![
        line("`dealog token list`", command_line, COMMAND_LINE_MILLIS_MAX),
        line("from `dealog serve` to a list of deals", live, SERVE_MILLIS_MAX),
        line("from `dealog serve` to a figure, from the snapshot", figures, FIGURES_MILLIS_MAX),
    ])
}

/// Waits until the server answers this.
fn answers(server: &Server, path: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let answer = server.get(path);
        match answer.status {
            200 => return Ok(()),
            503 if begun.elapsed() < OPEN => std::thread::sleep(ASK_AGAIN),
            status => return Err(format!("{path}: {status}: {}", answer.body).into()),
        }
    }
}

fn questions(server: &Server) -> Result<Vec<String>> {
    let pipelines = server.get("/v1/pipelines").expect(200).body;
    let pipeline = pipelines.pointer("/items/0/id").and_then(Value::as_str).ok_or("there is no pipeline")?;
    let middle = (server.head() / 2).to_string();
    Ok(QUESTIONS.iter().map(|path| path.replace("{pipeline}", pipeline).replace("{middle}", &middle)).collect())
}

/// Commands alone and beside analysts, in turns.
fn beside(runtime: &Runtime, server: &Server, questions: &[String]) -> Result<Vec<Line>> {
    let pipeline = server.post("/v1/pipelines", &moving::pipeline()).expect(201).id();
    let mut senders = runtime.block_on(http::senders(server.address(), &pipeline, SENDERS))?;
    let mut analysts = runtime.block_on(try_join_all((0..ANALYSTS).map(|_| Connection::open(server.address()))))?;
    let (mut alone, mut beside, mut answers) = (Commands::default(), Commands::default(), Vec::new());
    for _ in 0..ROUNDS {
        runtime.block_on(alone.send(&mut senders))?;
        let asking = analysts.iter_mut().zip(0..).map(|(analyst, number)| ask(analyst, questions, number));
        let ((), answered) = runtime.block_on(try_join(beside.send(&mut senders), try_join_all(asking)))?;
        answers.extend(answered.concat());
    }
    let rate = answers.len() as f64 / (ROUND * u32::try_from(ROUNDS)?).as_secs_f64();
    let (p50, p99) = (median(answers.clone()), percentile(answers, 99));
    let kept = median(beside.rates.clone()) / median(alone.rates.clone());
    Ok(vec![
        Line::alone(
            format!("{ANALYSTS} analysts at once, each with one question after another, beside 500 commands/s"),
            format!("{rate:.0} answers/s, p50 {p50:.0} ms, p99 {p99:.0} ms"),
            Some(Target::below(p99, ANSWER_P99_MILLIS_MAX, "ms").of("p99")),
        ),
        alone.line("500 commands/s alone"),
        beside.line("500 commands/s beside these analysts").aiming(Target::rate_kept(kept, COMMANDS_PERCENT_MIN)),
    ])
}

/// Asks the questions in turn, each analyst beginning with another, and tells what the answers took.
async fn ask(analyst: &mut Connection, questions: &[String], first: usize) -> Result<Vec<f64>> {
    let (begun, mut took) = (Instant::now(), Vec::new());
    for question in questions.iter().cycle().skip(first * questions.len() / ANALYSTS) {
        if begun.elapsed() >= ROUND {
            break;
        }
        let asked = Instant::now();
        analyst.get(question).await?;
        took.push(millis(asked.elapsed()));
    }
    Ok(took)
}

/// Commands of several rounds.
#[derive(Default)]
struct Commands {
    rates: Vec<f64>,
    took: Vec<f64>,
}

impl Commands {
    async fn send(&mut self, senders: &mut [Sender]) -> Result<()> {
        let each = usize::try_from(ROUND.as_millis() / BETWEEN_COMMANDS.as_millis())? / senders.len();
        let begun = Instant::now();
        let sent = delivery::send(senders, BETWEEN_COMMANDS, each).await?;
        self.rates.push(rate(sent.len(), begun.elapsed()));
        self.took.extend(sent.iter().map(|sent| millis(sent.took)));
        Ok(())
    }

    fn line(self, what: &str) -> Line {
        let (p50, p99) = (median(self.took.clone()), percentile(self.took, 99));
        let rate = median(self.rates);
        Line::alone(what.to_owned(), format!("{rate:.0} commands/s, p50 {p50:.2} ms, p99 {p99:.2} ms"), None)
    }
}
