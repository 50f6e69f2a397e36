//! `dealog projections` and `dealog rebuild`: how the read models are, and making them anew.

use comfy_table::{CellAlignment, Table, presets};
use dealog_api::Model;
use dealog_events::Position;
use dealog_projections::{Build, ProjectionError, Standing, Status, Stop, Watch, Worker, models};
use dealog_store::Place;
use serde::Serialize;

use crate::{
    cli::Shape,
    open::{self, Failure},
    out::{self, cell},
    settings::Settings,
};

/// How a projection is, as it is printed.
#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    /// Of the tables that are there.
    version: Option<i64>,
    position: Option<Position>,
    /// The end of the log.
    head: Position,
    /// Events that the tables lack.
    lag: u64,
    state: String,
    /// Whose worker keeps it up to date, as `host:process`.
    leader: Option<String>,
    /// Whether it goes no further.
    stopped: bool,
}

/// Prints how the read models are; fails where one of them goes no further.
pub(crate) async fn projections(settings: &Settings, shape: Shape) -> Result<(), Failure> {
    settings.existing_log().await?;
    let store = open::log(settings).await?;
    let found = standings(settings).await;
    // After the tables: the log is never behind them.
    let head = store.head().await?.position;
    store.close().await;
    let lines: Vec<Line> = found?.into_iter().map(|(model, found)| line(&model, found, head)).collect();
    match shape {
        Shape::Table => out::print(table(&lines))?,
        Shape::Json => {
            let text = serde_json::to_string_pretty(&lines);
            out::print(text.map_err(|error| Failure::Io { what: "JSON".into(), source: error.into() })?)?;
        }
    }
    let stopped: Vec<_> = lines.iter().filter(|line| line.stopped).map(|line| line.name).collect();
    if stopped.is_empty() { Ok(()) } else { Err(Failure::Stopped(stopped)) }
}

/// How a read model stands, or why it cannot be used.
type Found = Result<Standing, String>;

async fn standings(settings: &Settings) -> Result<Vec<(Model, Found)>, Failure> {
    let models = open::asked();
    let place = settings.views_place();
    if let Place::Sqlite(file) = &place
        && !file.exists()
    {
        let nothing = || Ok(Standing { tables: None, stopped: None, building: None, leader: None });
        return Ok(models.into_iter().map(|model| (model, nothing())).collect());
    }
    let found = async {
        let database = open::database(settings, &place).await?;
        let mut standings = Vec::with_capacity(models.len());
        for model in &models {
            standings.push(database.standing(model.name).await);
        }
        let standings = standings.into_iter().collect::<Result<Vec<_>, _>>();
        if let Err(ProjectionError::Damaged(reason)) = &standings {
            database.distrust(reason);
        }
        let distrusted = database.distrusted();
        database.close().await;
        Ok::<_, ProjectionError>((standings?, distrusted))
    };
    let cannot_be_used = |error: String| move |model| (model, Err(error.clone()));
    match found.await {
        Ok((standings, None)) => Ok(models.into_iter().zip(standings.into_iter().map(Ok)).collect()),
        Ok((_, Some(error))) => Ok(models.into_iter().map(cannot_be_used(error)).collect()),
        Err(error @ ProjectionError::Damaged(_)) => {
            Ok(models.into_iter().map(cannot_be_used(error.to_string())).collect())
        }
        Err(error) => Err(error.into()),
    }
}

fn line(model: &Model, found: Found, head: Position) -> Line {
    let name = model.name;
    let standing = match found {
        Ok(standing) => standing,
        Err(state) => {
            let lag = head.0;
            return Line { name, version: None, position: None, head, lag, state, leader: None, stopped: true };
        }
    };
    let position = standing.tables.as_ref().map(|tables| tables.position);
    let lag = head.0.saturating_sub(position.unwrap_or_default().0);
    let stopped = standing.stopped.is_some() || standing.building.as_ref().is_some_and(|build| build.stopped.is_some());
    Line {
        name,
        version: standing.tables.as_ref().map(|tables| tables.version),
        position,
        head,
        lag,
        state: state(&standing, model.version, lag),
        leader: standing.leader,
        stopped,
    }
}

fn state(standing: &Standing, version: i64, lag: u64) -> String {
    let tables = match (&standing.tables, &standing.stopped) {
        (_, Some(stop)) => stopped(stop),
        (None, None) => "not made yet".into(),
        (Some(tables), None) if tables.version < version => format!("of an earlier version than {version}"),
        (Some(tables), None) if tables.version > version => format!("of a later version than {version}"),
        (Some(_), None) if lag == 0 => "caught up".into(),
        (Some(_), None) => "behind".into(),
    };
    match &standing.building {
        None => tables,
        Some(build) => format!("{tables}; {}", building(build)),
    }
}

fn building(build: &Build) -> String {
    let (version, percent) = (build.version, build.percent());
    match &build.stopped {
        Some(stop) => format!("building version {version} {}", stopped(stop)),
        None if build.under_way => format!("building version {version}, {percent} %"),
        None => format!("building version {version} was interrupted at {percent} %: `dealog rebuild` goes on with it"),
    }
}

fn stopped(stop: &Stop) -> String {
    format!("stopped since {}: {}", stop.since, stop.reason)
}

fn table(lines: &[Line]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["NAME", "VERSION", "POSITION", "HEAD", "LAG", "STATE", "LEADER"]);
    let or_none = |number: Option<String>| number.unwrap_or_else(|| "-".into());
    for line in lines {
        table.add_row([
            line.name.to_owned(),
            or_none(line.version.map(|version| version.to_string())),
            or_none(line.position.map(|position| position.to_string())),
            line.head.to_string(),
            line.lag.to_string(),
            cell(&line.state),
            or_none(line.leader.as_deref().map(cell)),
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Rebuilds the read models, or only the one with this name. Servers may go on meanwhile.
pub(crate) async fn rebuild(settings: &Settings, model: Option<&str>) -> Result<(), Failure> {
    let names: Vec<_> = models::all().iter().map(|model| model.name()).collect();
    if let Some(model) = model
        && !names.contains(&model)
    {
        return Err(Failure::Views(format!("there is no read model {model}: there are {}", names.join(", "))));
    }
    settings.existing_log().await?;
    let store = open::log(settings).await?;
    let database = open::views(settings).await?;
    let mut worker = Worker::idle(store.clone(), database.clone(), models::all(), settings.limits.worker);
    let status = worker.status();
    let rebuild = async {
        match model {
            Some(model) => worker.rebuild_one(model).await,
            None => worker.rebuild().await,
        }
    };
    shown("Rebuilding", status, rebuild).await?;
    let position = worker.catch_up().await;
    database.close().await;
    store.close().await;
    let position = position?;
    match model {
        Some(model) => out::print(format_args!("The read model {model} was rebuilt from {position} events.")),
        None => out::print(format_args!("The read models were rebuilt from {position} events.")),
    }
}

/// Brings the read models to the end of the log.
pub(crate) async fn catch_up(settings: &Settings) -> Result<(), Failure> {
    let store = open::log(settings).await?;
    let database = open::views(settings).await?;
    let mut worker = Worker::start(store.clone(), database.clone(), models::all(), settings.limits.worker).await?;
    shown("Folding the log", worker.status(), worker.catch_up()).await?;
    database.close().await;
    store.close().await;
    Ok(())
}

/// Does `work`, and shows how far it is.
async fn shown<T>(what: &'static str, mut status: Watch, work: impl Future<Output = T>) -> T {
    let bar = open::count_bar(what);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            true = status.changed() => {
                let building = status.now().into_iter().find_map(|model| match model.status {
                    Status::CatchingUp { position, head } => Some((position, head)),
                    _ => None,
                });
                if let Some((position, head)) = building {
                    bar.set_length(head.0);
                    bar.set_position(position.0);
                }
            }
        }
    }
}
