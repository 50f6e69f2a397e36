//! `dealog copy`: a log brought to another database.

use std::path::PathBuf;

use dealog_store::{Place, compare, copy};

use crate::{
    open::{Failure, count_bar},
    out,
    settings::{DatabaseUrl, Settings},
};

/// A log as it is named on the command line: a PostgreSQL database, or a folder.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    Database(DatabaseUrl),
    Folder(PathBuf),
}

impl From<String> for Named {
    fn from(name: String) -> Self {
        if name.contains("://") { Self::Database(name.into()) } else { Self::Folder(name.into()) }
    }
}

impl Named {
    fn place(self) -> Result<Place, Failure> {
        match self {
            Self::Database(url) => Ok(url.checked().map_err(Failure::Settings)?.place()),
            Self::Folder(folder) => Ok(Place::Sqlite(folder.join("log.db"))),
        }
    }
}

/// Copies what `to` lacks of `from`, and compares both.
pub(crate) async fn run(settings: &Settings, from: Named, to: Named) -> Result<(), Failure> {
    let (from, to) = (from.place()?, to.place()?);
    let limits = settings.limits.store;
    if !from.exists(limits).await? {
        return Err(Failure::Folder(format!("there is no log at {from}: name a folder or a database that holds one")));
    }
    let source = from.open(limits).await?;
    let head = source.head().await?;
    let target = to.open_as(head.log_id, limits).await?;
    let outcome = async {
        let bar = count_bar("Copying");
        bar.set_length(head.position.0);
        let end = copy(&*source, &*target, |position| bar.set_position(position.0)).await?;
        bar.finish_and_clear();
        let bar = count_bar("Comparing");
        bar.set_length(end.0);
        compare(&*source, &*target, end, |position| bar.set_position(position.0)).await?;
        bar.finish_and_clear();
        Ok::<_, Failure>(end)
    };
    let outcome = outcome.await;
    target.close().await;
    source.close().await;
    let end = outcome?;
    out::print(format_args!(
        "{to} has all {end} events of {from}, the same to the byte: log {}.\nWhat is appended to {from} from now on comes along \
         when the same command is run again.",
        head.log_id
    ))
}
