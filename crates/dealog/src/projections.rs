//! `dealog projections` and `dealog rebuild`: how the read models are, and making them anew.

use comfy_table::{CellAlignment, Table, presets};
use dealog_events::Position;
use dealog_projections::{
    Build, ProjectionError, Standing, Status, Stop, Worker,
    deals::{Deals, NAME, VERSION},
};
use dealog_store::Place;
use serde::Serialize;
use tokio::sync::watch;

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
    let standing = standing(settings).await;
    // After the tables: the log is never behind them.
    let head = store.head().await?.position;
    store.close().await;
    let line = line(standing?, head);
    match shape {
        Shape::Table => out::print(table(&line))?,
        Shape::Json => {
            let text = serde_json::to_string_pretty(&[&line]);
            out::print(text.map_err(|error| Failure::Io { what: "JSON".into(), source: error.into() })?)?;
        }
    }
    if line.stopped { Err(Failure::Stopped(line.name)) } else { Ok(()) }
}

/// How the read models stand, or why they cannot be used.
type Found = Result<Standing, String>;

async fn standing(settings: &Settings) -> Result<Found, Failure> {
    let place = settings.views_place();
    if let Place::Sqlite(file) = &place
        && !file.exists()
    {
        return Ok(Ok(Standing { tables: None, stopped: None, building: None, leader: None }));
    }
    let found = async {
        let database = open::database(settings, &place).await?;
        let standing = database.standing(NAME).await;
        let distrusted = database.distrusted();
        database.close().await;
        Ok::<_, ProjectionError>((standing?, distrusted))
    };
    match found.await {
        Ok((standing, None)) => Ok(Ok(standing)),
        Ok((_, Some(error))) => Ok(Err(error)),
        Err(error @ ProjectionError::Damaged(_)) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn line(found: Found, head: Position) -> Line {
    let standing = match found {
        Ok(standing) => standing,
        Err(state) => {
            let lag = head.0;
            return Line { name: NAME, version: None, position: None, head, lag, state, leader: None, stopped: true };
        }
    };
    let position = standing.tables.as_ref().map(|tables| tables.position);
    let lag = head.0.saturating_sub(position.unwrap_or_default().0);
    let stopped = standing.stopped.is_some() || standing.building.as_ref().is_some_and(|build| build.stopped.is_some());
    Line {
        name: NAME,
        version: standing.tables.as_ref().map(|tables| tables.version),
        position,
        head,
        lag,
        state: state(&standing, lag),
        leader: standing.leader,
        stopped,
    }
}

fn state(standing: &Standing, lag: u64) -> String {
    let tables = match (&standing.tables, &standing.stopped) {
        (_, Some(stop)) => stopped(stop),
        (None, None) => "not made yet".into(),
        (Some(tables), None) if tables.version < VERSION => format!("of an earlier version than {VERSION}"),
        (Some(tables), None) if tables.version > VERSION => format!("of a later version than {VERSION}"),
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

fn table(line: &Line) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["NAME", "VERSION", "POSITION", "HEAD", "LAG", "STATE", "LEADER"]);
    let or_none = |number: Option<String>| number.unwrap_or_else(|| "-".into());
    table.add_row([
        line.name.to_owned(),
        or_none(line.version.map(|version| version.to_string())),
        or_none(line.position.map(|position| position.to_string())),
        line.head.to_string(),
        line.lag.to_string(),
        cell(&line.state),
        or_none(line.leader.as_deref().map(cell)),
    ]);
    for column in table.column_iter_mut().skip(1).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Makes the read models anew, beside a server or not.
pub(crate) async fn rebuild(settings: &Settings) -> Result<(), Failure> {
    settings.existing_log().await?;
    let store = open::log(settings).await?;
    let database = open::views(settings).await?;
    let mut worker = Worker::idle(store.clone(), database.clone(), Box::<Deals>::default(), settings.limits.worker);
    shown("Rebuilding", worker.status(), worker.rebuild()).await?;
    let position = worker.catch_up().await;
    database.close().await;
    store.close().await;
    out::print(format_args!("The read models were made anew from {} events.", position?))
}

/// Brings the read models to the end of the log.
pub(crate) async fn catch_up(settings: &Settings) -> Result<(), Failure> {
    let store = open::log(settings).await?;
    let database = open::views(settings).await?;
    let mut worker =
        Worker::start(store.clone(), database.clone(), Box::<Deals>::default(), settings.limits.worker).await?;
    shown("Folding the log", worker.status(), worker.catch_up()).await?;
    database.close().await;
    store.close().await;
    Ok(())
}

/// Does `work`, and shows how far it is.
async fn shown<T>(what: &'static str, mut status: watch::Receiver<Status>, work: impl Future<Output = T>) -> T {
    let bar = open::count_bar(what);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            Ok(()) = status.changed() => {
                if let Status::Building { position, head } = *status.borrow_and_update() {
                    bar.set_length(head.0);
                    bar.set_position(position.0);
                }
            }
        }
    }
}
